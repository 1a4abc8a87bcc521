"""Studies: how reliable measures are, and how many participants a study needs."""
