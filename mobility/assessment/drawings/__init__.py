"""Drawings of how to film each movement of a single joint, made by scripts/movement_drawings.py."""
