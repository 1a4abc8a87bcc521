"""From a video to stored results, stage by stage."""
