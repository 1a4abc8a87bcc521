"""Reports: notebooks that papermill runs, and the figures and sections that they show."""
