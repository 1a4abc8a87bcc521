"""Documents of the interface: their contract, what fills them, threads and display settings."""
