"""The exercise that measures joints that are moved one at a time."""
