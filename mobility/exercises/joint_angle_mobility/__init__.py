"""Single joints that are moved one at a time."""
