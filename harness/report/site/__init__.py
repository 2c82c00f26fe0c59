"""The site over all reports of a repository: an index, a page a matrix, a page a machine. No page asks anybody for anything."""
