"""From video to pose: decoding, the pose model, the landmarks."""
