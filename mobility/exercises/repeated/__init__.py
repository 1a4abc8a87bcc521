"""What exercises made of repetitions have in common."""
