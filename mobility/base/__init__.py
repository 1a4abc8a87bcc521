"""Shared by every room: options, parsing, words, numbers, processes, files, provenance."""
