"""What is kept: append-only records, sessions and a journal for each machine. Raw: statistics come on reading."""
