"""From landmarks to joint angles and repetitions: plain functions on Datasets."""
