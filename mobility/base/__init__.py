"""Code that all rooms share: options, parsing, words, numbers, processes, files, provenance."""
