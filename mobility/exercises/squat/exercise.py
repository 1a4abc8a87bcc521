"""The squat, which is as :mod:`mobility.exercises.repeated` has it; its table says the rest."""

from mobility.exercises.repeated.exercise import Repeated


class Squat(Repeated):
    """A squat, with a bar or without."""
