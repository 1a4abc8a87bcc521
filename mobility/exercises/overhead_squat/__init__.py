"""The overhead squat."""
