"""The page beside the report: one HTML file that opens from disk, asks nobody for anything, and holds every sample."""
