"""What the records mean: results a cell, controls, and what may be ranked against what."""
