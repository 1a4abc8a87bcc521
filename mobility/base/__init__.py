"""What every room stands on: options, parsing, words, numbers, processes, files, provenance."""
