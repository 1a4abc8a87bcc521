"""The squat. Everything that it does is inherited from :mod:`mobility.exercises.repeated`.

Its table lists what is measured and shown.
"""

from mobility.exercises.repeated.exercise import Repeated


class Squat(Repeated):
    """A squat, with or without a bar."""
