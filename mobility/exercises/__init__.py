"""The exercises, a folder for each; rooms ask :mod:`mobility.registry` for them."""
