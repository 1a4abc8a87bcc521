"""Lab data: what is compared with them, and the reports on it."""
