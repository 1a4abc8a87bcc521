"""The single-leg squat: down and up on one leg, or on each in turn."""
