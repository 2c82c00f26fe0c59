"""What is run: build an argv, read a result, and prove that the number is the one that was asked for."""
