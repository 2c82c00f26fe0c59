"""Pure statistics: medians with their intervals, Student's t, paired comparisons, digits. No third-party imports."""
