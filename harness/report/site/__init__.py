"""The site over all reports: an index, a page a matrix, a page a machine. No page asks anybody for anything."""
