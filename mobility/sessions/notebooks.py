"""Where notebooks, demo and its reports are: beside the package, not in it."""

from __future__ import annotations

import sysconfig
from pathlib import Path

from mobility.catalogue import registry
from mobility.errors import NotFoundError

VISIT = "visit"
"""Name of the files of the page of a visit, without their endings."""

COHORT = "cohort"
VALIDATION = "lab-validation"
GROUPS = "groups"
RELIABILITY = "reliability"
"""Names of the files of reports on several people, without their endings."""

GROUPED_BY = (
    *("sex", "age_band", "age", "height_m", "weight_kg", "user_id", "exercise"),
    *("view", "recording", "cameras", "method", "source_software", "software"),
)
"""Columns by which people can be grouped."""


def find_notebook(name: str) -> Path:
    """Path of a report notebook: in the checkout, else in the installation."""
    notebook = beside_package("notebooks") / f"{name}.ipynb"
    if not notebook.is_file():
        raise NotFoundError(f"there is no notebook {name}.ipynb in {notebook.parent}")
    return notebook


def demo_places(exercise_name: str) -> tuple[Path, Path]:
    """Folder of the demo session of an exercise, and that of the reports of demos."""
    demos = beside_package("data/demo")
    folder = demos / registry.exercise(exercise_name).slug
    if not (folder / "session.json").is_file():
        raise NotFoundError(
            f"demo of {exercise_name}: is not part of this installation, there is none in {demos}"
        )
    return folder, beside_package("reports")


def demo_video(exercise_name: str) -> Path:
    """Path of the video of the demo session of an exercise."""
    folder, _ = demo_places(exercise_name)
    return next(folder.glob("video.*"))


def beside_package(folder: str) -> Path:
    """Folder beside the package: of the checkout, else of the installation."""
    checkout = Path(__file__).resolve().parents[2]
    if (checkout / "notebooks" / "workbench.ipynb").is_file():
        return checkout / folder
    return Path(sysconfig.get_path("data")) / "share" / "mobility" / folder
