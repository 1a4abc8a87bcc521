"""Drawings of how to film each movement of a single joint, by scripts/movement_drawings.py."""
