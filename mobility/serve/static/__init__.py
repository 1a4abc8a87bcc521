"""Files of the pages of `mobility open`, and of the pages for phones."""
