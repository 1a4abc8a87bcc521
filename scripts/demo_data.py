"""Make the demo again: render its video with its truth, analyse it, render its report.

usage: python scripts/demo_data.py [--keep-video]
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path

from mobility.workbench.store import Store

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "data" / "demo" / "overhead-squat"
NAME = "demo-overhead-squat"
RENDERED = ("case.yaml", "truth.nc", "video.mp4")


def main() -> None:
    """Replace data/demo/overhead-squat and reports/demo-overhead-squat."""
    if "--keep-video" not in sys.argv[1:]:
        from mobility.virtual_lab.case import render_case

        render_case(FOLDER / "case.yaml", FOLDER)
    with tempfile.TemporaryDirectory(dir=ROOT / "data") as scratch:
        store = Store(Path(scratch) / "sessions", reports=Path(scratch) / "reports")
        store.set_participant("demo", display_name="Demo", sex="male", age=30, height_m=1.75)
        session = store.create(
            FOLDER / "video.mp4",
            user_id="demo",
            exercise_name="Overhead Squat",
            session_name="Demo: Overhead Squat",
        )
        session.analyze()
        for old in FOLDER.iterdir():
            if old.name not in RENDERED:
                old.unlink()
        for made in session.folder.iterdir():
            if made.is_file() and not made.name.startswith((".", "video")):
                shutil.copyfile(made, FOLDER / made.name)
        record = json.loads((FOLDER / "session.json").read_text())
        record["session_id"] = NAME
        (FOLDER / "session.json").write_text(json.dumps(record, indent=2) + "\n")
        people = FOLDER.parent / "participants"
        people.mkdir(exist_ok=True)
        shutil.copyfile(store.path / "participants" / "demo.json", people / "demo.json")
    shutil.rmtree(ROOT / "reports" / NAME, ignore_errors=True)
    demo = Store(ROOT / "data" / "sessions", reports=ROOT / "reports").demo("Overhead Squat")
    demo.store.reports = ROOT / "reports"
    demo.render_report()


if __name__ == "__main__":
    main()
