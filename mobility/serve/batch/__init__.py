"""Many videos: their list, the work, its summary, and a folder that is watched."""
