"""Where notebooks, demo and its reports are, which are not in the package itself."""

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
    found = beside_package("notebooks") / f"{name}.ipynb"
    if not found.is_file():
        raise NotFoundError(f"there is no notebook {name}.ipynb in {found.parent}")
    return found


def beside_package(folder: str) -> Path:
    """Folder beside the package: of the checkout, else of the installation."""
    checkout = Path(__file__).resolve().parents[2]
    if (checkout / "notebooks" / "workbench.ipynb").is_file():
        return checkout / folder
    return Path(sysconfig.get_path("data")) / "share" / "mobility" / folder
