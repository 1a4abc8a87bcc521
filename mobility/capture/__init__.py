"""Video in, pose out: decoding, the pose model, the landmarks."""
