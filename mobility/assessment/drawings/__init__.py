"""How each movement of a single joint is filmed, drawn by scripts/movement_drawings.py."""
