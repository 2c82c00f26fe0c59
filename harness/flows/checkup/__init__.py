"""The checks of `invoke doctor`, a file for each kind of thing. None of them changes anything."""
