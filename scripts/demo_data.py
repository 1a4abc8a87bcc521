"""Make the demos again: render their videos with their truth, analyse them, render their reports.

usage: python scripts/demo_data.py [--keep-video | --report-only] [EXERCISE ...]

If no exercise is named, the demos of all exercises are made.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

import yaml

from mobility.catalogue import registry
from mobility.store import Store

ROOT = Path(__file__).resolve().parents[1]
RENDERED = ("case.yaml", "truth.nc", "video.mp4")


class Demo(NamedTuple):
    """The joints that are measured, and the person."""

    joints: str
    user_id: str
    name: str


DEMOS = {
    "Overhead Squat": Demo("all", "demo", "Demo"),
    "Joint Angle Mobility": Demo("shoulder,elbow", "demo-2", "Demo 2"),
    "Squat": Demo("all", "demo-3", "Demo 3"),
    "Sit-to-Stand": Demo("all", "demo-4", "Demo 4"),
    "Single-Leg Squat": Demo("all", "demo-5", "Demo 5"),
}


def make(exercise: str, *, keep_video: bool) -> None:
    """Replace the demo session of an exercise."""
    slug = registry.exercise(exercise).slug
    folder = ROOT / "data" / "demo" / slug
    demo = DEMOS[exercise]
    if not keep_video:
        from mobility.virtual_lab.case import render_case

        render_case(folder / "case.yaml", folder)
    with tempfile.TemporaryDirectory(dir=ROOT / "data") as scratch:
        store = Store(Path(scratch) / "sessions", reports=Path(scratch) / "reports")
        body = yaml.safe_load((folder / "case.yaml").read_text())["body"]
        person = {key: body[key] for key in ("sex", "age", "height_m")}
        store.set_participant(demo.user_id, display_name=demo.name, **person)
        session = store.create(
            folder / "video.mp4",
            user_id=demo.user_id,
            exercise_name=exercise,
            session_name=f"Demo: {exercise}",
            body_joint_angles=demo.joints,
        )
        session.analyze()
        for old in folder.iterdir():
            if old.name not in RENDERED:
                old.unlink()
        for made in session.folder.iterdir():
            if made.is_file() and not made.name.startswith((".", "video")):
                shutil.copyfile(made, folder / made.name)
        record = json.loads((folder / "session.json").read_text())
        record["session_id"] = f"demo-{slug}"
        (folder / "session.json").write_text(json.dumps(record, indent=2) + "\n")
        people = folder.parent / "participants"
        people.mkdir(exist_ok=True)
        file = f"{demo.user_id}.json"
        shutil.copyfile(store.path / "participants" / file, people / file)


def report(exercise: str) -> None:
    """Replace the report of the demo session of an exercise."""
    session = Store(ROOT / "data" / "sessions").demo(exercise)
    session.store.reports = ROOT / "reports"
    shutil.rmtree(session.report_folder, ignore_errors=True)
    session.render_report()


def main() -> None:
    """Replace the demos in data/demo and their reports in reports."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("exercise", nargs="*", metavar="EXERCISE", help=", ".join(DEMOS))
    parser.add_argument("--keep-video", action="store_true", help="do not render the video again")
    parser.add_argument("--report-only", action="store_true", help="only render the report again")
    given = parser.parse_args()
    if unknown := set(given.exercise) - set(DEMOS):
        parser.error(f"{', '.join(sorted(unknown))}: no demo; there are {', '.join(DEMOS)}")
    for exercise in given.exercise or DEMOS:
        if not given.report_only:
            make(exercise, keep_video=given.keep_video)
        report(exercise)


if __name__ == "__main__":
    main()
