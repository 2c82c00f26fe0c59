"""How it runs: the only home of the Docker SDK."""
