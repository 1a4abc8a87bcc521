"""The squat. What :mod:`mobility.exercises.repeated` does is all it does.

Its table lists what it measures and shows.
"""

from mobility.exercises.repeated.exercise import Repeated


class Squat(Repeated):
    """A squat, with a bar or without."""
