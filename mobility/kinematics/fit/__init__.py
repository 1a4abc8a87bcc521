"""A body whose segments keep their lengths, fitted to all frames of a trial at once.

The way in is :func:`mobility.kinematics.fit.entry.fit_body`.
"""
