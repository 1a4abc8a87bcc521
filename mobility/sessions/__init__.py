"""A session is a folder of files; nothing of science."""
