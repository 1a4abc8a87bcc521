"""Files and Datasets of labs and other programs: read, and written for them."""
