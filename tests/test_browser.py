"""In a real browser: the notebook of `make lab`, the demo's videos and its report."""

from __future__ import annotations

import itertools
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import nbformat
import pytest
from jupyter_lab import jupyter_lab
from nbconvert import HTMLExporter
from network_trace import addresses_outside, tracing
from widget_page import make_page

from mobility.base.provenance import history
from mobility.store import Session, Store

pytestmark = pytest.mark.slow


@pytest.fixture
def lab(project: Path, tmp_path: Path) -> Iterator[str]:
    """Start what `make lab` starts, on a copy of the notebooks; the address that it opens."""
    shutil.copytree(
        project / "notebooks", tmp_path / "notebooks", ignore=shutil.ignore_patterns("my_*")
    )
    # Run by make itself, the tests inherit its flags, with which it tells of folders too.
    clean = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    makefile = ["make", "--no-print-directory", "-f", str(project / "Makefile")]

    def made(*asked: str, folder: Path) -> str:
        done = subprocess.run(
            [*makefile, *asked], cwd=folder, env=clean, capture_output=True, text=True, check=True
        )
        return done.stdout

    made("notebooks/my_workbench.ipynb", folder=tmp_path)
    program, *arguments = shlex.split(made("--dry-run", "lab", folder=project).splitlines()[-1])
    assert Path(program).name == "jupyter"
    trace = tmp_path / "trace"
    with jupyter_lab(
        tmp_path,
        arguments,
        under=tracing(trace, detached=True),
        MOBILITY_STORE=str(tmp_path / "sessions"),
        MOBILITY_REPORTS=str(tmp_path / "reports"),
    ) as address:
        yield address
    assert addresses_outside(trace) == set()


def test_make_lab_opens_a_workbench_that_leads_from_an_empty_store_to_a_report(
    lab: str, demo: Path, project: Path, tmp_path: Path, browse: Callable[..., Any]
) -> None:
    # The address that is printed leads there too, and not to the launcher.
    log = (tmp_path / ".jupyter-of-test" / "log").read_text(encoding="utf-8")
    assert "/lab/tree/my_workbench.ipynb?token=" in log
    path = tmp_path / "notebooks" / "my_workbench.ipynb"
    notebook = nbformat.read(path, as_version=4)
    (parameters,) = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    video = project / "data" / "demo" / "joint-angle-mobility" / "video.mp4"
    for before, after in (
        ('"Overhead Squat"', '"Joint Angle Mobility"'),
        ('""  # path of', f'"{video}"  # path of'),
    ):
        assert before in parameters.source
        parameters.source = parameters.source.replace(before, after)
    nbformat.write(notebook, path)
    store = Store(tmp_path / "sessions")
    assert store.sessions() == []
    seen = browse("workbench", lab, tmp_path)

    # Each cell ran once, in order: in the page and in the file that the page saved.
    # That is a copy: the notebook of the package is not changed by using it.
    assert seen["title"].startswith("my_workbench")
    assert [cell["errors"] for cell in seen["cells"] if cell["errors"]] == []
    original = path.with_name("workbench.ipynb")
    assert original.read_bytes() == (project / "notebooks" / original.name).read_bytes()
    code = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    numbers = list(range(1, len(code) + 1))
    assert [cell["prompt"] for cell in seen["cells"]] == [f"[{number}]:" for number in numbers]
    assert [cell.execution_count for cell in code] == numbers
    outputs = [output for cell in code for output in cell.outputs]
    assert [o for o in outputs if o.output_type == "error" or o.get("name") == "stderr"] == []
    # A figure, and tables: one row a movement. The drawing of a movement is hidden until one is
    # chosen.
    pictures = [width for cell in seen["cells"] for width in cell["pictures"] if width]
    assert min(pictures) > 300
    assert 3 in {cell["rows"] for cell in seen["cells"]}
    assert seen["dialogs"] == []
    session = next(each for each in store.sessions() if each.title == "First run")
    assert session.record.exercise == "Joint Angle Mobility"

    # Two angles and a comment are chosen and saved, and stand in the report, and no others do.
    assert seen["config"]["shown"] == ["Shoulder, both sides", "Elbow, left"]
    assert session.config() == {
        "shown_angles": ["shoulder_angle", "left_elbow_angle"],
        "comments": {"left_elbow_angle": COMMENT},
    }
    # The folder of the reports is not below that of the server, so the kernel serves it.
    assert urlsplit(seen["address"]).path.endswith("/joint-angle-mobility.html")
    assert (tmp_path / "reports" / session.id / "joint-angle-mobility.html").is_file()
    assert COMMENT in seen["report"]
    joints = {"Ankle", "Knee", "Hip", "Shoulder", "Elbow"}
    headings = [h for h in seen["headings"] if h.strip() and h.split()[-1].capitalize() in joints]
    assert headings == ["Shoulder", "Left elbow"]
    assert [alt for alt in seen["figures"] if "over the whole recording" in alt] == [
        "Shoulder flexion over the whole recording",
        "Elbow flexion over the whole recording",
    ]

    # A movement is corrected by dragging, kept as an edit, and told of by report and history.
    trial_was_played(seen["trial"])
    first, dragged, by_key = seen["trial"]["end"]
    assert dragged > first + 0.05
    edit, corrected, undone = session.edits().edits
    assert [each.kind for each in (edit, corrected, undone)] == ["repetitions", "points", "points"]
    assert undone.after is None
    kept = edit.after
    assert kept[0]["end"] == pytest.approx(by_key, abs=0.006)
    assert kept[1]["bottom"] == 6.0
    assert "left shoulder" in kept[0]["joints"]
    assert session.record.state == "analyzed"
    assert session.repetitions()["end"].values[0] == pytest.approx(kept[0]["end"])
    assert history(session.metrics())[-1]["arguments"]["movements"] == kept
    assert "corrected by hand" in seen["report"]
    assert session.analyze().edits().current("repetitions") == kept
    assert session.repetitions()["end"].values[0] == pytest.approx(kept[0]["end"])

    made = videos_were_sent(seen["upload"], store, video)
    assert made.record.exercise == "Joint Angle Mobility"
    nothing_went_wrong(seen)


COMMENT = "Check the alignment on the way down."
"""What tests/browser.py writes on an angle."""


def trial_was_played(trial: dict[str, Any]) -> None:
    """The cursor runs while the video plays."""
    for before, after in itertools.pairwise(trial["played"]):
        for name in ("frame", "cursor", "video"):
            assert after[name] > before[name]
    assert trial["skeleton_moves"]


def videos_were_sent(upload: dict[str, Any], store: Store, video: Path) -> Session:
    """What is wrong stood beside its field, and a good one became a session."""
    assert upload["nothing"] == ["choose the exercise"]
    (broken,) = upload["broken"]
    assert broken.startswith("broken.mp4")
    assert upload["good"] == []
    (made,) = [each for each in store.sessions() if each.record.user_id == "p08"]
    assert made.video.read_bytes() == video.read_bytes()
    # Who is filmed was pointed at in the picture.
    point = made.record.options["subject"]
    assert upload["subject"] == "{:.0f},{:.0f}".format(*point)
    assert min(point) > 0
    return made


def nothing_went_wrong(seen: dict[str, Any]) -> None:
    """No cell, no console tells of an error, and nobody but this machine was asked."""
    assert seen["errors"] == []
    assert seen["said"] == []
    # The file through which Jupyter opens a browser is of no host.
    asked = [address for address in seen["asked"] if not address.startswith("file:")]
    assert {urlsplit(address).hostname for address in asked} == {"127.0.0.1"}


def test_every_widget_does_its_work_by_mouse_and_by_keys_and_leaves_a_picture(
    demo: Path, tmp_path: Path, browse: Callable[..., Any]
) -> None:
    page = make_page(demo, tmp_path)
    notebook = nbformat.read(page, as_version=4)
    assert "widgets" not in notebook.metadata
    # As a page, by nbconvert.
    html, _ = HTMLExporter().from_notebook_node(notebook)
    stills = [part.partition("</div>")[0] for part in html.split('<div data-mobility-still="')[1:]]
    shown = ("<img", "<img", "<td>An old one</td>", "A form to add a video")
    for still, words in zip(stills, shown, strict=True):
        assert words in still
    assert "application/vnd.jupyter.widget-view+json" not in html

    with jupyter_lab(tmp_path, ["lab", page.name]) as address:
        seen = browse("widgets", address, tmp_path)
    store = Store(tmp_path / "sessions")

    # In JupyterLab: from somebody else, and one's own, where the kernel that made it is gone.
    for whose in ("another's", "own"):
        saved = seen[whose]
        assert len(saved["pictures"]) == 2, whose
        assert min(saved["pictures"]) > 300, whose
        for words in ("Overhead squat, first visit", "A form to add a video"):
            assert words in saved["text"], whose
        assert saved["errors"] == [], whose
    # Where the widgets live, nobody sees their still pictures.
    assert seen["hidden"] == [False] * 4
    assert seen["own"]["stills"] == [True] * 4

    # Display settings: chosen, put in order, one taken back, commented, saved, in the report.
    assert seen["config"]["shown"] == ["Hip, left", "Knee, both sides"]
    assert seen["config"]["paths"] == 3
    report = seen["report"]
    assert urlsplit(report["address"]).path == "/files/reports/joints/joint-angle-mobility.html"
    assert COMMENT in report["report"]
    # Gauges, then all measures.
    measures = " ".join(report["measures"])
    assert re.search(r"^Hip.* Knee.*Left hip.*Left knee.*Right knee", measures)
    assert not any("lbow" in name for name in (*report["headings"], *report["measures"]))
    assert report["figures"]

    # Without a mouse: each says what it is, Tab leads to every control and shows where it is.
    keys = seen["keyboard"]
    assert keys["nameless"] == {"config": [], "trial": [], "sessions": [], "upload": []}
    for name, control in (
        ("config", 'region "Display settings"'),
        ("config", 'textbox "Comment on Ankle, left"'),
        ("config", 'img "Knee, both sides over time"'),
        ("trial", 'slider "Repetition 1, start"'),
        ("trial", 'spinbutton "Repetition 2, bottom, seconds"'),
        ("trial", 'slider "Time in the recording"'),
        ("sessions", 'button "Delete An old one"'),
        ("sessions", 'columnheader "Participant"'),
        ("upload", 'group "Exercise"'),
        ("upload", 'radio "Overhead Squat"'),
    ):
        assert control in keys["told"][name]
    for name, (count, places) in keys["reached"].items():
        assert count > 5, name
        assert places == list(range(count)), name
    assert all(outlines == ["solid"] for outlines in keys["outlines"].values()), keys["outlines"]
    assert keys["order"] == ["Hip, left", "Ankle, left", "Knee, both sides"]
    assert store.session("joints").config() == {
        "shown_angles": ["left_hip_angle", "left_ankle_angle", "knee_angle"],
        "comments": {"knee_angle": COMMENT},
    }
    assert (keys["asked_to"], keys["rows"]) == ("Keep", 3)
    assert keys["described"] == "choose the exercise"
    assert keys["invalid"] == "true"

    # The trial: the server's own route gives the video, and the cursor goes with it.
    trial = seen["trial"]
    trial_was_played(trial)
    time = store.session("squat").angles()["time"].values
    assert urlsplit(trial["source"]).path == "/files/sessions/squat/video.mp4"
    for state in trial["played"][1:]:
        # What is said is the frame on the screen; the clock of the page runs on meanwhile.
        assert time[state["frame"]] == pytest.approx(state["video"], abs=1.0)
    assert trial["jumped"]["frame"] != trial["played"][-1]["frame"]
    assert trial["stepped"]["frame"] == trial["jumped"]["frame"] + 1
    assert trial["slid"]["frame"] == trial["jumped"]["frame"]
    shown = trial["stepped"]["frame"]
    assert time[shown] <= trial["stepped"]["video"] < time[shown + 1]
    assert trial["turned"] == [True, True]
    # Zoomed, the curves and marks are those of half of the trial, around the frame on the screen.
    low, high = (float(text) for text in trial["zoomed"].removesuffix(" s").split(" to "))
    assert high - low == pytest.approx((time[-1] - time[0]) / 2, abs=0.1)
    assert low <= time[trial["slid"]["frame"]] <= high
    assert trial["marks"]["whole"] == 9
    assert 0 < trial["marks"]["zoomed"] < 9
    # Keys in a widget are its own: "d d" elsewhere deletes the cell.
    assert trial["cells"][0] == trial["cells"][1]
    first, dragged, by_key = trial["end"]
    assert dragged > first + 0.05
    assert by_key == pytest.approx(dragged - (time[1] - time[0]), abs=0.011)
    assert trial["by_hand"]
    wrong, moved = trial["skeleton"]["rows"]
    assert "2.00 to 2.40 s" in wrong
    assert "left wrist wrong" in wrong
    assert "moved" in moved
    assert trial["skeleton"]["saved"] == 2
    assert trial["skeleton"]["put"] == 1
    squat = store.session("squat")
    kept = squat.edits().current("repetitions")
    assert kept[1]["bottom"] == 7.0
    assert kept[0]["end"] == pytest.approx(by_key, abs=0.006)
    assert squat.record.state == "analyzed"
    assert float(squat.repetitions()["bottom"][1]) == pytest.approx(7.0, abs=0.02)

    # Sessions: filtered; a deletion is asked for twice.
    table = seen["sessions"]
    (row,) = table["filtered"]
    assert "An old one" in row
    assert (table["all"], table["kept"], table["left"]) == (3, 3, 2)
    assert not (tmp_path / "sessions" / "old").exists()
    assert "at most 2.0 MB" in seen["upload"]["large"][0]
    videos_were_sent(seen["upload"], store, demo / "video.mp4")
    # JupyterLab says itself of each saved widget that the kernel which made it is gone.
    # And of a widget that had something to say when its kernel was shut down.
    usual = ("widget model not found", "Cannot send")
    errors = [line for line in seen["said"] if not any(each in line for each in usual)]
    nothing_went_wrong({**seen, "said": errors})


# The report
