"""What studies ask of many sessions: reliability, groups, norms, curves."""
