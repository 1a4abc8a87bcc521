"""Plots for a notebook: of one recording, two recordings, people and groups.

Each function draws on the matplotlib Axes `ax`, or on a new figure, and returns the Axes, so that
titles, limits and colours can be changed afterwards.
"""

from mobility.plotting.trial_plots import bland_altman, body, compare, curves, repetitions
from mobility.studies.cohort_plots import change, group_curves, reliability, retest_curves

__all__ = [
    "bland_altman",
    "body",
    "change",
    "compare",
    "curves",
    "group_curves",
    "reliability",
    "repetitions",
    "retest_curves",
]
