"""A session is a folder of files; this room contains no science."""
