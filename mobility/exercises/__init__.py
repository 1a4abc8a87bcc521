"""The exercises, a folder for each; rooms ask :mod:`mobility.catalogue.registry` for them."""
