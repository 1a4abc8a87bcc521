"""Rising from a chair and sitting down again."""
