"""Where the notebooks are that reports are made from."""

from __future__ import annotations

import sysconfig
from pathlib import Path

from mobility.errors import NotFoundError

COHORT = "cohort"
VALIDATION = "lab-validation"
"""Names of the files of reports on several people, without their endings."""

GROUPED_BY = (
    *("sex", "age_band", "age", "height_m", "weight_kg", "user_id", "exercise"),
    *("view", "recording", "cameras", "method", "software"),
)
"""What people can be grouped by."""


def find_notebook(name: str) -> Path:
    """Find a report notebook: in the checkout, else where the installation put it."""
    checkout = Path(__file__).resolve().parents[2] / "notebooks"
    installed = Path(sysconfig.get_path("data")) / "share" / "mobility" / "notebooks"
    for place in (checkout, installed):
        if (place / f"{name}.ipynb").is_file():
            return place / f"{name}.ipynb"
    raise NotFoundError(f"there is no notebook {name}.ipynb in {checkout} or {installed}")
