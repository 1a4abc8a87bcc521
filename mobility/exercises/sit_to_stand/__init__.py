"""Standing up from a chair and sitting down again."""
