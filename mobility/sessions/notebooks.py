"""Where notebooks, demo and its reports are: beside the package, not in it."""

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
"""Columns by which people can be grouped."""


def find_notebook(name: str) -> Path:
    """Path of a report notebook: in the checkout, else in the installation."""
    notebook = beside_package("notebooks") / f"{name}.ipynb"
    if not notebook.is_file():
        raise NotFoundError(f"there is no notebook {name}.ipynb in {notebook.parent}")
    return notebook


def beside_package(folder: str) -> Path:
    """Folder beside the package: of the checkout, else of the installation."""
    checkout = Path(__file__).resolve().parents[2]
    if (checkout / "notebooks" / "workbench.ipynb").is_file():
        return checkout / folder
    return Path(sysconfig.get_path("data")) / "share" / "mobility" / folder
