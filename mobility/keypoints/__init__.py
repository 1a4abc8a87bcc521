"""Keypoints of pose models: what gives them, and what is known of each source."""
