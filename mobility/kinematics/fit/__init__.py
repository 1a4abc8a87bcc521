"""A body whose segments keep their lengths, fitted to all frames of a recording at once.

The public function is :func:`mobility.kinematics.fit.entry.fit_body`.
"""
