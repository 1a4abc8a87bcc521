"""From angles to the measures and words of an assessment."""
