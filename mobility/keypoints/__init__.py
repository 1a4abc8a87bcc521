"""Sources of keypoints (pose models), and what is known about each source."""
