"""From angles to the measures and sentences of an assessment."""
