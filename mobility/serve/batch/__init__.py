"""Many videos: their list, the work, its summary, and watching a folder."""
