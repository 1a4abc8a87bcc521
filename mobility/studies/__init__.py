"""Studies of many sessions: reliability, groups, norms and curves."""
