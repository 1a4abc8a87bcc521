"""Sessions, documents, figures, reports: what holds and shows the results."""
