"""Plots of a trial, of two, and of agreement; :mod:`mobility.plot` hands them out."""
