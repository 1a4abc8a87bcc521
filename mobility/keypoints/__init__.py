"""Keypoints of pose models: their sources, and what is known about each source."""
