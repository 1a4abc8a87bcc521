"""From the video to the pose: decoding, the pose model and the landmarks."""
