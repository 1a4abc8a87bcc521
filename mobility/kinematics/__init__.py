"""From landmarks to joint angles and repetitions: functions that take and return Datasets."""
