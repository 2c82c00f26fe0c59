"""The results table in columns: what DuckDB is for, and the only place that knows it."""
