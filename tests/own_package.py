"""The package of the page on exercises of one's own."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path


def package_of_the_page(project: Path, folder: Path, *, name: str = "heel_raise") -> Path:
    """Write the files that the page shows, and what an installation adds to them.

    The package gets another `name` where several are to be imported.
    """
    page = (project / "docs" / "own-exercise.md").read_text(encoding="utf-8")
    files = dict(re.findall(r"^## `(.+?)`\n.*?^```\w+\n(.*?)^```", page, flags=re.S | re.M))
    for place, text in files.items():
        file = folder / place.replace("heel_raise", name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    points = tomllib.loads(files["pyproject.toml"])["project"]["entry-points"]
    lines = [f"{key} = {name}" for key in points["mobility.exercises"]]
    installed = folder / "heel_raise-0.1.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: heel-raise\nVersion: 0.1\n")
    (installed / "entry_points.txt").write_text("\n".join(["[mobility.exercises]", *lines]))
    return folder / name
