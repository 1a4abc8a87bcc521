"""Reading and writing of files and Datasets from labs and other programs."""
