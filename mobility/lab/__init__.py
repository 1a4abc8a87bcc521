"""Lab data: comparisons with them, and the reports on these comparisons."""
