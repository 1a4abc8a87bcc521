"""What is kept of a participant: how long, where, and how it is given out or deleted."""
