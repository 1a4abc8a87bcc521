"""Reports: notebooks run by papermill, and the figures and sections that they show."""
