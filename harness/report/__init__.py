"""How results are shown: sections return neutral blocks, writers turn blocks into text."""
