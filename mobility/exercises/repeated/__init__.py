"""What exercises that are made of repetitions have alike."""
