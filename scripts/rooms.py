"""Draw the rooms of the package and what each imports: ``python scripts/rooms.py``.

A room is a folder of the package, or a module next to the folders. Doors give access to the rooms
below them, wings add to the core, and the core contains everything that turns a video into a page.
An arrow is left out if a longer path shows the same dependency.
"""

from __future__ import annotations

import ast
import tomllib
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "images" / "rooms.svg"
FACE = "mobility"
WIDTH, HEIGHT, ROW, LEFT = 132, 28, 46, 90
DOORS = {"store", "plot"}
WINGS = {"serve", "lab", "virtual_lab", "studies", "leg_loads"}
FILL = {"door": "#ffffff", "wing": "#fdf3e3", "core": "#e8f0f8"}


def _contract() -> dict[str, list[str]]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contract: dict[str, list[str]] = settings["tool"]["importlinter"]["contracts"][0]
    return contract


def layers() -> list[list[str]]:
    """Return the rooms from the highest to the lowest, as in the import contract."""
    return [[name.split(".")[1] for name in row.split(" | ")] for row in _contract()["layers"]]


def imports() -> dict[str, set[str]]:
    """Return the rooms that each room imports, anywhere in its code."""
    found: dict[str, set[str]] = {}
    for file in sorted((ROOT / FACE).rglob("*.py")):
        name = file.relative_to(ROOT / FACE).with_suffix("").parts[0]
        if name != "__init__":
            found.setdefault(name, set()).update(_rooms_in(file))
    # What ``mobility`` itself hands out is no room.
    return {room: (others - {room}) & found.keys() for room, others in found.items()}


def _rooms_in(file: Path) -> set[str]:
    rooms = set()
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        rooms |= {name.split(".")[1] for name in names if name.startswith(f"{FACE}.")}
    return rooms


def without_shortcuts(found: dict[str, set[str]]) -> dict[str, set[str]]:
    """Leave out imports that a longer path also shows."""

    def reached(room: str) -> set[str]:
        return found[room].union(*(reached(other) for other in found[room]))

    return {
        room: {other for other in others if not any(other in reached(o) for o in others - {other})}
        for room, others in found.items()
    }


def picture() -> str:
    """Return a drawing (SVG) of the rooms in their layers."""
    rows = layers()
    broadest = max(map(len, rows))
    whole = broadest * (WIDTH + 24) + 2 * LEFT
    place = {}
    for y, row in enumerate(rows):
        start = (whole - len(row) * (WIDTH + 24) + 24) / 2
        for x, room in enumerate(row):
            place[room] = (start + x * (WIDTH + 24), 12 + y * ROW)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {whole} {len(rows) * ROW}" '
        'font-family="sans-serif" font-size="13">',
        "<title>Rooms of the package; each imports only what is below it</title>",
        f'<rect width="{whole}" height="{len(rows) * ROW}" fill="#ffffff"/>',
    ]
    for room, others in sorted(without_shortcuts(imports()).items()):
        for other in sorted(others):
            (x, y), (u, v) = place[room], place[other]
            bend = 0 if v - y == ROW else 90 if (len(room) + len(other)) % 2 else -90
            lines.append(
                f'<path d="M{x + WIDTH / 2:g} {y + HEIGHT:g} C{x + WIDTH / 2 + bend:g} '
                f"{y + HEIGHT + 18:g} {u + WIDTH / 2 + bend:g} {v - 18:g} {u + WIDTH / 2:g} {v:g}"
                '" fill="none" stroke="#8a97a6"/>'
            )
    for room, (x, y) in place.items():
        fill = FILL["door" if room in DOORS else "wing" if room in WINGS else "core"]
        lines += [
            f'<rect x="{x:g}" y="{y:g}" width="{WIDTH}" height="{HEIGHT}" rx="5" fill="{fill}" '
            'stroke="#2f5d8a"/>',
            f'<text x="{x + WIDTH / 2:g}" y="{y + 19:g}" text-anchor="middle" fill="#16324f">'
            f"{escape(room)}</text>",
        ]
    for kind, row in (("door", DOORS), ("wing", WINGS), ("core", place.keys() - DOORS - WINGS)):
        first = min(place[room][1] for room in row)
        lines.append(f'<text x="6" y="{first + 19:g}" fill="#5b6875">{kind}</text>')
    return "\n".join([*lines, "</svg>"]) + "\n"


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
