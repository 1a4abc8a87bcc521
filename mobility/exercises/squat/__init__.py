"""The squat, with the arms as one likes."""
