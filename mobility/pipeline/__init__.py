"""From a video to stored results, stage by stage; and what several sessions give together."""
