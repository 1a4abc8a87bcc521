"""The packages that pages of the documentation show, file by file."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path


def package_of_the_page(
    project: Path, folder: Path, *, name: str = "", page: str = "own-exercise.md"
) -> Path:
    """Write the files that a page shows, and what an installation adds to them.

    The package gets another `name` where several are to be imported.
    """
    text = (project / "docs" / page).read_text(encoding="utf-8")
    files = dict(re.findall(r"^##+ `(.+?)`\n.*?^```\w+\n(.*?)^```", text, flags=re.S | re.M))
    metadata = tomllib.loads(files["pyproject.toml"])["project"]
    ((key, package),) = metadata["entry-points"]["mobility.exercises"].items()
    for place, content in files.items():
        file = folder / place.replace(package, name or package)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")
    installed = folder / f"{package}-{metadata['version']}.dist-info"
    installed.mkdir()
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {metadata['name']}",
        f"Version: {metadata['version']}",
    ]
    (installed / "METADATA").write_text("\n".join(lines))
    points = f"[mobility.exercises]\n{key} = {name or package}"
    (installed / "entry_points.txt").write_text(points)
    return folder / (name or package)
