"""Code shared by the exercises that consist of repetitions."""
