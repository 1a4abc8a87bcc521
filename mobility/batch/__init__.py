"""Many videos: a manifest, its run, its summary, and a folder that is watched."""
