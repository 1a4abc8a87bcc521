"""In a real browser: the notebook of `make lab`, the demo's videos and its report."""

from __future__ import annotations

import itertools
import os
import re
import shlex
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import av
import cv2
import nbformat
import numpy as np
import pytest
from demo_sessions import put_result, taken_as_current
from jupyter_lab import jupyter_lab
from nbclient import NotebookClient
from nbconvert import HTMLExporter
from network_trace import addresses_outside, tracing
from widget_page import make_page

from mobility.provenance import history
from mobility.sessions.files import read_json, write_json
from mobility.store import Session, Store

pytestmark = pytest.mark.slow


def hosts(addresses: list[str]) -> set[str | None]:
    """Hosts that were asked; the file through which Jupyter opens a browser is of none."""
    return {urlsplit(address).hostname for address in addresses if not address.startswith("file:")}


# The notebook


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


def test_make_lab_opens_a_notebook_that_runs(
    lab: str, demo: Path, project: Path, tmp_path: Path, browse: Callable[..., Any]
) -> None:
    # The address that is printed leads there too, and not to the launcher.
    log = (tmp_path / ".jupyter-of-test" / "log").read_text(encoding="utf-8")
    assert "/lab/tree/my_workbench.ipynb?token=" in log
    seen = browse("notebook", lab, tmp_path)
    assert seen["title"].startswith("my_workbench")
    assert [cell["errors"] for cell in seen["cells"] if cell["errors"]] == []
    # Each cell ran once, in order: in the page and in the file that the page saved.
    # That is a copy: the notebook of the package is not changed by using it.
    names = ("my_workbench", "workbench")
    mine, original = (tmp_path / "notebooks" / f"{name}.ipynb" for name in names)
    assert original.read_bytes() == (project / "notebooks" / original.name).read_bytes()
    notebook = nbformat.read(mine, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    numbers = list(range(1, len(code) + 1))
    assert [cell["prompt"] for cell in seen["cells"]] == [f"[{number}]:" for number in numbers]
    assert [cell.execution_count for cell in code] == numbers
    outputs = [output for cell in code for output in cell.outputs]
    assert [o for o in outputs if o.output_type == "error" or o.get("name") == "stderr"] == []
    # A figure, and tables: one row a repetition, and of four metrics each side and the difference.
    # The drawing of a movement is hidden until one is chosen.
    pictures = [width for cell in seen["cells"] for width in cell["pictures"] if width]
    assert pictures
    assert min(pictures) > 300
    assert {3, 12} <= {cell["rows"] for cell in seen["cells"]}
    assert seen["said"] == []
    assert seen["dialogs"] == []
    assert hosts(seen["asked"]) == {"127.0.0.1"}


def test_the_workbench_leads_single_joints_from_an_empty_store_to_a_report(
    lab: str, demo: Path, project: Path, tmp_path: Path, browse: Callable[..., Any]
) -> None:
    path = tmp_path / "notebooks" / "my_workbench.ipynb"
    notebook = nbformat.read(path, as_version=4)
    (parameters,) = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    filmed = project / "data" / "demo" / "joint-angle-mobility" / "video.mp4"
    for before, after in (
        ('"Overhead Squat"', '"Joint Angle Mobility"'),
        ('""  # path of', f'"{filmed}"  # path of'),
    ):
        assert before in parameters.source
        parameters.source = parameters.source.replace(before, after)
    nbformat.write(notebook, path)
    store = Store(tmp_path / "sessions")
    assert store.sessions() == []
    seen = browse("workbench", lab, tmp_path)
    assert [cell["errors"] for cell in seen["cells"] if cell["errors"]] == []
    session = next(each for each in store.sessions() if each.title == "First run")
    assert session.record.exercise == "Joint Angle Mobility"

    # Two angles and a comment are chosen and saved, and stand in the report, and no others do.
    assert seen["config"]["shown"] == ["Shoulder, both sides", "Elbow, left"]
    comment = "Check the alignment on the way down."
    assert session.config() == {
        "shown_angles": ["shoulder_angle", "left_elbow_angle"],
        "comments": {"left_elbow_angle": comment},
    }
    # The folder of the reports is not below that of the server, so the kernel serves it.
    assert urlsplit(seen["address"]).path.endswith("/joint-angle-mobility.html")
    assert (tmp_path / "reports" / session.id / "joint-angle-mobility.html").is_file()
    assert comment in seen["report"]
    joints = {"Ankle", "Knee", "Hip", "Shoulder", "Elbow"}
    told = [h for h in seen["headings"] if h.strip() and h.split()[-1].capitalize() in joints]
    assert told == ["Shoulder", "Left elbow"]
    assert [alt for alt in seen["figures"] if "over the whole recording" in alt] == [
        "Shoulder flexion over the whole recording",
        "Elbow flexion over the whole recording",
    ]

    # The cursor runs while the video plays.
    trial = seen["trial"]
    for before, after in itertools.pairwise(trial["played"]):
        assert after["cursor"] > before["cursor"]
        assert after["video"] > before["video"]
    assert trial["skeleton_moves"]

    # A movement is corrected by dragging, kept as an edit, and told of by report and history.
    first, dragged, by_key = trial["end"]
    assert dragged > first + 0.05
    (edit,) = session.edits().edits
    assert edit.kind == "repetitions"
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

    # Uploads: what is wrong stands beside its field, and a good one becomes a session.
    upload = seen["upload"]
    assert upload["nothing"] == ["choose a video file", "say who it is, for example p01"]
    assert len(upload["broken"]) == 1
    assert upload["broken"][0].startswith("broken.mp4")
    assert upload["good"] == []
    (made,) = [each for each in store.sessions() if each.record.user_id == "p08"]
    assert made.record.exercise == "Joint Angle Mobility"
    video = project / "data" / "demo" / "joint-angle-mobility" / "video.mp4"
    assert made.video.read_bytes() == video.read_bytes()

    assert seen["errors"] == []
    assert seen["said"] == []
    assert hosts(seen["asked"]) == {"127.0.0.1"}


def test_the_workbench_has_no_dead_ends(
    lab: str, demo: Path, project: Path, tmp_path: Path, browse: Callable[..., Any]
) -> None:
    store = Store(tmp_path / "sessions", reports=tmp_path / "reports")
    joints = project / "data" / "demo" / "joint-angle-mobility"
    made: dict[str, tuple[Path, dict[str, Any]]] = {
        "wide": (demo, {"session_name": "A wide one", "user_id": "p01"}),
        "elsewhere": (demo, {"session_name": "Elsewhere", "state": "analyzing", "user_id": "p02"}),
        "elbow": (joints, {"session_name": "An elbow", "joints": ["elbow"], "user_id": "p03"}),
    }
    for day, (name, (source, changed)) in enumerate(made.items(), start=1):
        shutil.copytree(source, store.path / name)
        record = read_json(store.path / name / "session.json")
        date = {"created_at": f"2026-01-0{day}T10:00:00+00:00"}
        write_json(
            store.path / name / "session.json", {**record, **date, **changed, "session_id": name}
        )
        if changed.get("state") != "analyzing":
            taken_as_current(store.session(name))
    make_wide(store.session("wide"))

    # Somebody else analyses a session, until the page has seen it.
    def hold() -> None:
        with store.session_locked("elsewhere", what="the test"):
            end = time.monotonic() + 300
            while not (tmp_path / "release").exists() and time.monotonic() < end:
                time.sleep(0.1)

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        seen = browse("dead ends", lab, tmp_path)
    finally:
        (tmp_path / "release").touch()
        holder.join()

    # Every cell runs on an elbow alone, and Run All makes nothing and analyses nothing.
    assert [cell["errors"] for cell in seen["cells"] if cell["errors"]] == []
    assert {s.record.user_id for s in store.sessions()} == {"p01", "p02", "p03", "p09"}
    assert seen["opened"] == ["An elbow", "A wide one"]
    assert seen["viewers"] == 1
    assert seen["elsewhere"] == [True, False]
    first, still, below = seen["warnings"]
    assert first == still == below
    assert "are left out because their error is too large" in first
    assert seen["played to"] > 5
    # The head: a ball of 0.1 m; the nose: a dot.
    radii = sorted(circle[2] for circle in seen["circles"])
    assert len(radii) == 2
    assert radii[1] > 2 * radii[0]
    box, screen = seen["edges"]
    assert screen <= box
    colour, line, around = seen["link"]
    assert line == "underline"
    assert colour != around
    assert max(seen["dark"]) < 0.2
    # By keyboard alone, in the dark: an angle, a comment, saved; the trial is played and scrubbed.
    begun, paused, scrubbed = seen["keys"]["played"]
    assert begun < paused < scrubbed
    assert seen["keys"]["unseen"] == []
    assert store.session("elbow").config() == {
        "shown_angles": ["right_elbow_angle"],
        "comments": {"right_elbow_angle": "Slower next time."},
    }
    (taken,) = [session for session in store.sessions() if session.record.user_id == "p09"]
    assert taken.second_video is not None
    assert taken.second_video.read_bytes() == (joints / "video.mp4").read_bytes()
    assert store.participant("p09")["height_m"] == 1.72
    point = taken.edits().current("subject")
    assert seen["subject"] == "{:.0f},{:.0f}".format(*point)
    assert min(point) > 0
    assert seen["errors"] == []
    assert seen["said"] == []
    assert hosts(seen["asked"]) == {"127.0.0.1"}


def make_wide(session: Session) -> None:
    """Say of a session that its picture is wider than high; its analysis knows no better."""
    wide = {"image_width": 1920, "image_height": 1080}
    put_result(session, "pose", session.pose().load().assign_attrs(wide))


# The widgets


def test_every_widget_does_its_work(demo: Path, tmp_path: Path, browse: Callable[..., Any]) -> None:
    page = make_page(demo, tmp_path)
    with jupyter_lab(tmp_path, ["lab", page.name]) as address:
        seen = browse("widgets", address, tmp_path)
    store = Store(tmp_path / "sessions")

    # Display settings: chosen, put in order, one taken back, commented, saved.
    assert seen["config"]["shown"] == ["Hip, left", "Knee, both sides"]
    assert seen["config"]["paths"] == 3
    assert store.session("joints").config() == {
        "shown_angles": ["left_hip_angle", "knee_angle"],
        "comments": {"knee_angle": "Check the alignment on the way down."},
    }

    # The trial: the server's own route gives the video, and the cursor goes with it.
    trial = seen["trial"]
    time = store.session("squat").angles()["time"].values
    assert urlsplit(trial["source"]).path == "/files/sessions/squat/video.mp4"
    for before, after in itertools.pairwise(trial["played"]):
        assert after["frame"] > before["frame"]
        assert after["cursor"] > before["cursor"]
        assert after["video"] > before["video"]
    for state in trial["played"][1:]:
        # What is said is the frame on the screen; the clock of the page runs on meanwhile.
        assert time[state["frame"]] == pytest.approx(state["video"], abs=1.0)
    assert trial["skeleton_moves"]
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
    assert by_key == pytest.approx(dragged - 1 / 30, abs=0.011)
    assert trial["by_hand"]
    squat = store.session("squat")
    kept = squat.edits().current("repetitions")
    assert [rep["bottom"] for rep in kept][1] == 7.0
    assert kept[0]["end"] == pytest.approx(by_key, abs=0.006)
    assert squat.record.state == "analyzed"
    assert float(squat.repetitions()["bottom"][1]) == pytest.approx(7.0, abs=0.02)

    # Sessions: filtered; a deletion is asked for twice.
    table = seen["sessions"]
    assert table["all"] == 3
    assert len(table["filtered"]) == 1
    assert "An old one" in table["filtered"][0]
    assert (table["kept"], table["left"]) == (3, 2)
    assert not (tmp_path / "sessions" / "old").exists()

    # Uploads: what is wrong stands beside its field.
    upload = seen["upload"]
    assert upload["nothing"] == ["choose a video file", "say who it is, for example p01"]
    assert len(upload["broken"]) == 1
    assert upload["broken"][0].startswith("broken.mp4")
    assert "at most 2.0 MB" in upload["large"][0]
    assert upload["good"] == []
    (made,) = [session for session in store.sessions() if session.record.user_id == "p08"]
    assert made.video.read_bytes() == (demo / "video.mp4").read_bytes()

    # Where the widgets live, nobody sees their still pictures.
    assert seen["stills"] == [False] * 4

    assert seen["errors"] == []
    assert seen["said"] == []
    assert hosts(seen["asked"]) == {"127.0.0.1"}


def test_every_widget_works_without_a_mouse_and_says_what_it_is(
    demo: Path, tmp_path: Path, browse: Callable[..., Any]
) -> None:
    page = make_page(demo, tmp_path)
    with jupyter_lab(tmp_path, ["lab", page.name]) as address:
        seen = browse("keyboard", address, tmp_path)
    assert seen["nameless"] == {"config": [], "trial": [], "sessions": [], "upload": []}
    for told, said in (
        ("config", 'region "Display settings"'),
        ("config", 'textbox "Comment on Hip, left"'),
        ("config", 'img "Knee, both sides over time"'),
        ("trial", 'slider "Repetition 1, start"'),
        ("trial", 'spinbutton "Repetition 2, bottom, seconds"'),
        ("trial", 'slider "Time in the trial"'),
        ("sessions", 'button "Delete An old one"'),
        ("sessions", 'columnheader "Participant"'),
        ("upload", 'combobox "Exercise"'),
    ):
        assert said in seen["told"][told]
    # Tab leads to every control, in the order in which they stand, and shows where it is.
    for name, (count, places) in seen["reached"].items():
        assert count > 5, name
        assert places == list(range(count)), name
    assert all(outlines == ["solid"] for outlines in seen["outlines"].values()), seen["outlines"]
    assert seen["order"] == ["Hip, left", "Knee, both sides"]
    assert Store(tmp_path / "sessions").session("joints").config()["shown_angles"] == [
        "left_hip_angle",
        "knee_angle",
    ]
    assert (seen["asked_to"], seen["rows"]) == ("Keep", 3)
    assert seen["described"] == "say who it is, for example p01"
    assert seen["invalid"] == "true"
    assert seen["errors"] == []


def test_a_saved_notebook_shows_something_where_each_widget_was(
    demo: Path, tmp_path: Path, browse: Callable[..., Any]
) -> None:
    page = make_page(demo, tmp_path)
    notebook = nbformat.read(page, as_version=4)
    NotebookClient(
        notebook, resources={"metadata": {"path": str(tmp_path)}}, store_widget_state=False
    ).execute()
    assert "widgets" not in notebook.metadata
    nbformat.write(notebook, page)

    # As a page, by nbconvert.
    html, _ = HTMLExporter().from_notebook_node(notebook)
    (tmp_path / "saved.html").write_text(html)
    stills = [part.partition("</div>")[0] for part in html.split('<div data-mobility-still="')[1:]]
    settings, trial, sessions, upload = stills
    assert "<img" in settings
    assert "<img" in trial
    assert "<td>An old one</td>" in sessions
    assert "A form to add a video" in upload
    assert "application/vnd.jupyter.widget-view+json" not in html

    # In JupyterLab: from somebody else, and one's own, where the kernel that made it is gone.
    with jupyter_lab(tmp_path, ["lab", page.name]) as address:
        seen = browse("saved", address, tmp_path)
    for whose in ("another's", "own"):
        shown = seen[whose]
        assert len(shown["pictures"]) == 2, whose
        assert min(shown["pictures"]) > 300, whose
        assert "An old one" in shown["text"], whose
        assert "A form to add a video" in shown["text"], whose
        assert shown["errors"] == [], whose
    assert seen["hidden"] == [False] * 4
    assert seen["own"]["stills"] == [True] * 4
    assert hosts(seen["asked"]) == {"127.0.0.1"}


def test_what_is_chosen_stands_in_the_report(
    demo: Path, tmp_path: Path, browse: Callable[..., Any]
) -> None:
    page = make_page(demo, tmp_path)
    with jupyter_lab(tmp_path, ["lab", page.name]) as address:
        seen = browse("settings", address, tmp_path)
    assert urlsplit(seen["address"]).path == "/files/reports/joints/joint-angle-mobility.html"
    assert "Check the alignment on the way down." in seen["report"]
    # Gauges, then all measures.
    told = " ".join(seen["measures"])
    assert re.search(r"^Hip.* Knee.*Left hip.*Left knee.*Right knee", told)
    assert not any("lbow" in name for name in (*seen["headings"], *seen["measures"]))
    assert seen["figures"]
    assert seen["said"] == []
    assert hosts(seen["asked"]) == {"127.0.0.1"}


# The videos


@pytest.mark.parametrize("name", ["analyzed.mp4", "video.mp4"])
def test_video_plays_and_seeks(
    name: str, demo: Path, tmp_path: Path, browse: Callable[..., Any]
) -> None:
    path = demo / name
    with av.open(path) as container:
        stream = container.streams.video[0]
        frames = [
            (frame.time, frame.to_ndarray(format="gray")) for frame in container.decode(stream)
        ]
    times = np.array([time for time, _ in frames])
    height, width = frames[0][1].shape
    page = tmp_path / "page.html"
    page.write_text(
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Video</title>'
        "<style>video { display: block }</style>"
        f'<video muted preload="auto" src="{path.as_uri()}"></video>'
    )
    seen = browse("video", page.as_uri(), tmp_path)
    assert seen["error"] is None
    assert seen["ready"] >= 3  # HAVE_FUTURE_DATA
    assert (seen["width"], seen["height"]) == (width, height)
    truth = read_json(demo / "capture_quality.json")["frames"]["total"] / 30
    assert seen["duration"] == pytest.approx(truth, abs=0.1)
    assert seen["positions"] == sorted(set(seen["positions"]))
    assert seen["positions"][-1] > 0.2
    for (target, reached), part in zip(seen["sought"], ("0.2", "0.9", "0.5"), strict=True):
        assert reached == pytest.approx(target, abs=0.001)
        shown = cv2.imread(str(tmp_path / f"at-{part}.png"), cv2.IMREAD_GRAYSCALE).astype(float)
        apart = np.array([np.abs(picture - shown).mean() for _, picture in frames])
        # The frame that the truth has at this time is the one on the screen.
        assert times[apart.argmin()] == pytest.approx(target, abs=0.1)
        assert apart.min() < 5
    assert seen["said"] == []
    assert set(seen["asked"]) == {page.as_uri(), path.as_uri()}


# The report


def test_report_of_the_demo_is_whole(
    project: Path, demo: Path, tmp_path: Path, browse: Callable[..., Any]
) -> None:
    page = project / "reports" / "demo-overhead-squat" / "overhead-squat.html"
    seen = browse("report", page.as_uri(), tmp_path)
    assert len(seen["headings"]) == 1
    assert seen["headings"][0]
    assert seen["images"]
    assert all(image["width"] > 0 for image in seen["images"])
    assert all(image["alt"].strip() for image in seen["images"])
    assert {name: width for name, width in seen["widths"].items() if width > int(name)} == {}
    assert seen["said"] == []
    assert seen["asked"] == [page.as_uri()]
