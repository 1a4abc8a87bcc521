"""Coefficients, intervals, mixed models and planning for studies and comparisons."""
