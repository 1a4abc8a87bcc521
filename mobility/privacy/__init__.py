"""Data of participants: retention, export, deletion."""
