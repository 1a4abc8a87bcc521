"""Pages of `mobility open` and of its phones, as files."""
