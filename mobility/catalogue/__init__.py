"""The exercises and joints that there are, here and in other packages."""
