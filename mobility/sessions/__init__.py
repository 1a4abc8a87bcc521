"""Sessions as folders of files; this room contains no science."""
