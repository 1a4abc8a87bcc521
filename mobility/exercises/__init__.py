"""The exercises, one folder each; rooms look them up in :mod:`mobility.catalogue.registry`."""
