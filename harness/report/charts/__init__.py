"""Charts of results: each function returns neutral blocks, or nothing where there is nothing to see."""
