"""Loads of the legs without force plates: weight share, ground reaction, joint moments.

A wing: :mod:`~mobility.leg_loads.loads` has the functions, and ``extension.yaml`` adds measures, a
rule and a section of the report to the exercises.
"""
