"""A session is a folder of files, here or behind a URL; nothing of science."""
