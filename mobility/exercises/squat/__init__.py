"""The squat, with the arms in any position."""
