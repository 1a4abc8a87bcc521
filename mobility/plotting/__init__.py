"""Plots of one or two recordings, and of agreement. :mod:`mobility.plot` exports them."""
