"""What to run: the file to a `Matrix`, a `Matrix` to cells and rounds. Pure, but for reading the files."""
