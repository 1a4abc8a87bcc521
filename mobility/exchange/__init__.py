"""Files and Datasets of labs and other programs: reading and writing."""
