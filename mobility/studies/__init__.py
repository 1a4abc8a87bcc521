"""What studies ask of many sessions: reliability, groups, curves, numbers of participants."""
