"""Write the measured errors into the README and the pages on accuracy.

The figures come from benchmarks/real.md (people on video; ``python benchmarks/real.py --write``),
benchmarks/reported.md (the numbers of a report; ``python benchmarks/reported.py --write``) and
reports/virtual-lab/virtual-lab.nc (rendered people; ``mobility virtual-lab sweep
benchmarks/reporting2.yaml``). They are written between ``<!-- made by scripts/accuracy_tables.py:
NAME -->`` and ``<!-- end -->``; a test compares the files with them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr
import yaml

PROJECT = Path(__file__).resolve().parents[1]
FILES = ("README.md", "docs/accuracy.md", "docs/accuracy-methods.md")
SQUATS = ("opencap_s4_squats1_phone",)
WALKERS = ("opencap_walk", "opencap_walk_ts")

TRUSTED_DEG, TRUSTED_RENDERED_DEG = 4.0, 6.0
"""Largest mean absolute errors, on video and rendered, of an angle that can be trusted."""

CAREFUL_DEG, LEAST_GIVEN = 10.0, 50.0
"""With a larger error, or a smaller percentage of reported values, an angle cannot be trusted."""

KINDS = {"front": "front", "oblique": "diagonal", "from_the_side": "side"}
"""Views for which the margins of a report's numbers are listed, by the names of the benchmarks."""

VIEWS = {"front-oblique": "diagonal", "back-oblique": "diagonal, from behind"}
"""Names of the virtual lab's views on the pages, if they have another name there."""

VERDICTS = ("**trust**", "**take care**", "**do not trust**")


class Measured(NamedTuple):
    """The errors of one method, angle and posture in one video, degrees and percent."""

    error: float
    bias: float
    given: float
    within: float


class Film:
    """The tables of benchmarks/real.md."""

    def __init__(self, text: str) -> None:
        self._rows = _table(text[text.index("## All clips") :])

    def clips(self, reference: str) -> list[str]:
        """Return the videos that have a reference of this kind."""
        return list(dict.fromkeys(r["clip"] for r in self._rows if r["reference"] == reference))

    def of(
        self, clip: str, angle: str, posture: str = "all", method: str = "fit", reference: str = ""
    ) -> Measured | None:
        """Return the errors of one method in the videos in which they were measured."""
        for row in self._rows:
            asked = (row["clip"], row["angle"], row["posture"]) == (clip, angle, posture)
            if asked and row[method] and row["reference"] in (reference or row["reference"]):
                numbers = [float(x) for x in re.findall(r"[-+]?\d+(?:\.\d+)?", row[method])]
                return Measured(*(numbers + [np.nan] * 4)[:4])
        return None


class Row(NamedTuple):
    """One line of the tables that state what to trust."""

    what: str
    clips: Sequence[str]
    angles: Sequence[str]
    posture: str
    rendered: str | None


def _table(text: str) -> list[dict[str, str]]:
    """Return the rows of the first table in a Markdown text."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    head, _, *rows = map(_cells, lines)
    return [dict(zip(head, row, strict=True)) for row in rows if len(row) == len(head)]


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def rows(film: Film) -> list[Row]:
    """List the angles and movements of the tables; the report shows the first one first."""
    standing, both = film.clips("standing"), ("knee flexion", "hip flexion")
    ankle, elbow = ("ankle dorsiflexion",), ("elbow flexion",)
    return [
        Row("knee at the bottom of a squat", SQUATS, both[:1], "bottom", "knee_flexion"),
        Row("trunk lean in a squat", SQUATS, ("trunk lean",), "all", "trunk_lean"),
        Row("knee flexion in a squat", SQUATS, ("knee flexion",), "all", "knee_flexion"),
        Row("ankle in a squat, feet flat", SQUATS, ankle, "all", "ankle_dorsiflexion"),
        Row("hip flexion in a squat", SQUATS, ("hip flexion",), "all", "hip_flexion"),
        Row("hip at the bottom of a squat", SQUATS, both[1:], "bottom", "hip_flexion"),
        Row("ankle at the bottom of a squat", SQUATS, ankle, "bottom", "ankle_dorsiflexion"),
        Row("knee and hip in straight standing", standing, both, "all", None),
        Row("knee and hip while walking", WALKERS, both, "all", None),
        Row("shoulder in a squat", SQUATS, ("shoulder flexion",), "all", "shoulder_flexion"),
        Row("elbow in a squat or walking", (*SQUATS, *WALKERS), elbow, "all", "elbow_flexion"),
        Row("ankle while walking", WALKERS, ankle, "all", None),
    ]


def verdict(errors: Sequence[float], given: float, rendered: float | None) -> int:
    """Return which of VERDICTS applies; the mean error decides."""
    mean = float(np.mean(errors))
    if mean > CAREFUL_DEG or given < LEAST_GIVEN:
        return 2
    trusted = mean <= TRUSTED_DEG and (rendered is None or rendered <= TRUSTED_RENDERED_DEG)
    return 0 if trusted else 1


class Trusted(NamedTuple):
    """The errors and the verdict of a row."""

    what: str
    which: int
    errors: Sequence[float]
    people: int
    given: float
    rendered: float | None


def trusted(film: Film, lab: xr.Dataset) -> list[Trusted]:
    """Measure every row, the best verdict first."""
    found = []
    for row in rows(film):
        each = [film.of(c, a, row.posture) for c in row.clips for a in row.angles]
        measured = [one for one in each if one is not None]
        errors, given = [m.error for m in measured], float(np.mean([m.given for m in measured]))
        part = "deep" if row.posture == "bottom" else "all"
        rendered = None if row.rendered is None else lab_error(lab, row.rendered, "mae", part=part)
        which = verdict(errors, given, rendered)
        found.append(Trusted(row.what, which, errors, people(row.clips), given, rendered))
    return sorted(found, key=lambda one: one.which)


def in_brief(film: Film, lab: xr.Dataset) -> Iterator[str]:
    """List one error and the verdict for each row, and the range on rendered people."""
    yield "| angle | mean error, degrees | verdict |"
    yield "|---|---|---|"
    for one in trusted(film, lab):
        yield f"| {one.what} | {np.mean(one.errors):.1f} | {VERDICTS[one.which]} |"
    arms = ("shoulder", "elbow")
    found = [one for one in trusted(film, lab) if not one.what.startswith(arms)]
    rendered = [one.rendered for one in found if one.rendered is not None]
    yield f"\nFor {lab.sizes['case']} rendered people, seen from all sides, the errors of knee,"
    yield f"hip, ankle and trunk angles in a squat are {_span(rendered)} degrees."


def in_full(film: Film, lab: xr.Dataset) -> Iterator[str]:
    """List the numbers from which the verdicts follow."""
    rendered = f"{lab.sizes['case']} rendered people"
    yield f"| | | mean error on video | largest | people | values given | {rendered} |"
    yield "|---|---|---|---|---|---|---|"
    for one in trusted(film, lab):
        mean, largest = f"{np.mean(one.errors):.1f}", f"{max(one.errors):.1f}"
        shown = "" if one.rendered is None else f"{one.rendered:.1f}"
        cells = (VERDICTS[one.which], one.what, mean, largest, str(one.people))
        yield f"| {' | '.join([*cells, f'{one.given:.0f} %', shown])} |"


def margins(film: Film, lab: xr.Dataset) -> Iterator[str]:
    """List the margins of error of a value, and of differences that cancel the bias of a video."""
    text = (PROJECT / "benchmarks" / "reported.md").read_text(encoding="utf-8")
    again = _table(text[text.index("\n## Measured again") :])
    halves = {
        (row["kind"], row["number"], row["angle"]): row["rendered: half"] for row in _table(text)
    } | {(row["kind"], "again", row["metric"]): row["mdc95"] for row in again}
    yield "| | view | at the bottom | from standing | right − left | between sessions |"
    yield "|---|---|---|---|---|---|"
    for angle in ("knee_flexion", "hip_flexion", "ankle_dorsiflexion", "trunk_lean"):
        for kind, view in KINDS.items():
            numbers = ("absolute", "from_standing", "sides", "again")
            found = [halves.get((kind, number, angle)) for number in numbers]
            cells = [f"{float(half):.0f}" if half else "" for half in found]
            yield f"| {angle.replace('_', ' ')} | {view} | {' | '.join(cells)} |"


def film_table(film: Film, lab: xr.Dataset) -> Iterator[str]:
    """List the errors of landmarks, fitted body and OpenCap Monocular on video."""
    angles = ("knee flexion", "hip flexion", "ankle dorsiflexion", "trunk lean")
    yield "| | " + " | ".join(angles) + " |"
    yield "|---" * (len(angles) + 1) + "|"
    free = "fitted body, without assuming that they stand"
    named = {"landmarks": "landmarks", "fit": "fitted body", "fit, standing free": free}
    standing = film.clips("standing")
    straight, monocular = f"{people(standing)} people who stand straight", "OpenCap Monocular"
    compared = ["landmarks", "fit", monocular]
    for what, clips, reference, methods in (
        (straight, standing, "standing", list(named)),
        ("five squats of one woman, diagonal view", SQUATS, "markers", compared),
        ("two walkers", WALKERS, "markers", compared),
    ):
        for method in methods:
            cells = []
            for angle in angles:
                each = [film.of(c, angle, "all", method, reference) for c in clips]
                measured = [one for one in each if one is not None]
                cells.append(_span([one.error for one in measured]) if measured else "")
                if measured and all(one.given == 0 for one in measured):
                    cells[-1] = "not reported"
            yield f"| {what}: {named.get(method, method)} | {' | '.join(cells)} |"


def rendered_table(film: Film, lab: xr.Dataset) -> Iterator[str]:
    """List the errors on rendered people, by angle and view."""
    views = [str(view) for view in lab["view"].to_numpy()]
    words = [VIEWS.get(view, view) for view in views]
    yield "| mean absolute error | " + " | ".join(words) + " | reported | within 1.96 sd |"
    yield "|---" * (len(views) + 3) + "|"
    for name in filter(None, dict.fromkeys(row.rendered for row in rows(film))):
        errors = [lab_error(lab, name, "mae", view) for view in views]
        shares = [f"{100 * lab_error(lab, name, share):.0f} %" for share in ("given", "coverage")]
        cells = [f"{e:.1f}" if np.isfinite(e) else "" for e in errors]
        yield f"| {name.replace('_', ' ')} | {' | '.join([*cells, *shares])} |"


def people(clips: Sequence[str]) -> int:
    """Count the people in videos of benchmarks/real.yaml."""
    text = (PROJECT / "benchmarks" / "real.yaml").read_text(encoding="utf-8")
    return len({yaml.safe_load(text)["clips"][clip]["person"] for clip in clips})


def lab_error(
    lab: xr.Dataset, angle: str, what: str, view: str = "all", part: str = "all"
) -> float:
    """Return a mean error of the fitted body over rendered people."""
    chosen = {"estimator": "fitted", "angle": angle, "view": view, "clips": "all", "part": part}
    return float(lab[what].sel(chosen))


def _span(errors: Sequence[float]) -> str:
    low, high = min(errors), max(errors)
    return f"{low:.1f}" if f"{low:.1f}" == f"{high:.1f}" else f"{low:.1f} to {high:.1f}"


TABLES: Mapping[str, Callable[[Film, xr.Dataset], Iterator[str]]] = {
    "what to trust": in_full,
    "what to trust, in brief": in_brief,
    "margins": margins,
    "on film": film_table,
    "rendered": rendered_table,
}


def filled(text: str) -> str:
    """Return `text` with the current figures between its marks."""
    film = Film((PROJECT / "benchmarks" / "real.md").read_text(encoding="utf-8"))
    with xr.open_dataset(PROJECT / "reports" / "virtual-lab" / "virtual-lab.nc") as lab:
        for name, table in TABLES.items():
            mark = f"<!-- made by scripts/accuracy_tables.py: {name} -->\n"
            made = f"{mark}\n" + "\n".join(table(film, lab)) + "\n\n<!-- end -->"
            if mark in text:
                before, _, after = text.partition(mark)
                text = before + made + after.partition("<!-- end -->")[2]
    return text


def main() -> None:
    """Write the files again."""
    for name in FILES:
        path = PROJECT / name
        path.write_text(filled(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
