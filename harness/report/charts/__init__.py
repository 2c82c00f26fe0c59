"""Charts of results: each function returns neutral blocks, or nothing where there is nothing to see."""

MOST_LINES = 7
"""Of one chart: as many as there are colours that colour-blind readers can tell apart."""
