"""Pure statistics: intervals, paired comparisons, digits. Used while measuring and when reporting."""
