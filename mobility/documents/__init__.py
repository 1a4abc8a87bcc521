"""Documents of the interface: contract, functions that fill them, threads, display settings."""
