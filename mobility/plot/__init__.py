"""Plots of a trial, of two, and of agreement; :mod:`mobility.plots` hands them out."""
