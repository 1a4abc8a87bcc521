"""Reports: what is in them, what is refused, and that they are whole or absent."""

from __future__ import annotations

import datetime
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import psutil
import pytest
import xarray as xr
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from processes import wait_for

import mobility as mb
from mobility import tables
from mobility.documents.contract import ReportDocument
from mobility.documents.fill import group_metrics
from mobility.errors import BadInputError, NotFoundError, ReportError
from mobility.kinematics.expected_error import another_model
from mobility.pipeline import analysis
from mobility.progress import first_page_told_to, progress_told_to
from mobility.provenance import Warned, sha256, with_history
from mobility.reports import render as reports
from mobility.reports import sections
from mobility.reports.pdf import to_pdf
from mobility.sessions.files import read_json, write_dataset, write_json
from mobility.sessions.record import (
    Edit,
    Edits,
    Provenance,
    SessionRecord,
    Stage,
    VideoFile,
)

HOSTILE = "Anna <img src=x onerror=alert(1)> & Ødegård"


def make_session(
    folder: Path, trial: Any, *, warnings: list[dict[str, str]] | None = None
) -> mb.Session:
    """Keep a synthetic trial as an analyzed session."""
    pose = trial.pose.assign_attrs(
        source_file="squat.mp4", image_width=1280, image_height=720, fps=30.0
    )
    fitted = mb.clean_pose(pose)
    angles = mb.joint_angles(fitted)
    repetitions = mb.find_repetitions(fitted)
    metrics = mb.overhead_squat(fitted, angles, repetitions)
    store = mb.Store(folder / "sessions", reports=folder / "reports")
    store.set_participant("p01", display_name=HOSTILE, sex="female", birth_year=1990, height_m=1.68)
    place = folder / "sessions" / "s01"
    place.mkdir(parents=True)
    results = {
        "pose": pose,
        "fitted": fitted,
        "angles": angles,
        "repetitions": repetitions,
        "metrics": metrics,
    }
    when = datetime.datetime(2026, 3, 11, 9, 5, tzinfo=datetime.UTC)
    stages = {}
    for name, dataset in results.items():
        write_dataset(place / f"{name}.nc", dataset)
        stages[name] = Stage(
            key="0" * 64,
            file=f"{name}.nc",
            sha256=sha256(place / f"{name}.nc"),
            seconds=1.0,
            finished=when,
        )
    quality = place / "capture_quality.json"
    write_json(
        quality,
        {
            "frames": {
                **dict.fromkeys(("total", "with_person"), pose.sizes["time"]),
                "verdict": "ok",
                "advice": None,
            },
            "visibility": {"legs": 0.95, "feet": 0.9, "arms": None},
            "view": {
                "name": "front-oblique right",
                "azimuth_deg": 35.2,
                "azimuth_sd_deg": 6.0,
                "supports": ["knee_flexion"],
                "does_not_support": ["pelvis_obliquity"],
                "verdict": "ok",
                "advice": None,
            },
            "framing": {
                "outside": {"head": 0.0, "hands": 0.12, "feet": 0.0},
                "verdict": "poor",
                "advice": "Move the camera back <now>.",
            },
            "camera": {"moving": False, "verdict": "ok", "advice": None},
            "other_people": 0,
        },
    )
    stages["capture_quality"] = Stage(
        key="0" * 64, file=quality.name, sha256=sha256(quality), seconds=0.1, finished=when
    )
    record = SessionRecord(
        schema_version="1",
        session_id="s01",
        user_id="p01",
        exercise="Overhead Squat",
        joints=["ankle", "knee", "hip", "shoulder", "elbow"],
        created_at=when,
        video=VideoFile(
            file="video.mp4", original_name="squat <1>.mp4", sha256="a" * 64, size=1000
        ),
        state="analyzed",
        stages=stages,
        provenance=Provenance(
            video_sha256="a" * 64,
            model_sha256="b" * 64,
            versions={"mobility": mb.__version__, "mediapipe": "1.2.3"},
            options={"subject": None, "blur_face": False},
            options_sha256="c" * 64,
        ),
        warnings=warnings or [],
    )
    write_json(place / "session.json", record.model_dump(mode="json"))
    return store.session("s01")


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory, analytic: Any) -> mb.Session:
    """Three squats, the right knee 16 degrees more flexed, seen from the front."""
    trial = analytic.squat_pose(reps=3, thigh=(15.0, 5.0), tibia=(25.0, 31.0), turn_out=10.0)
    told = [{"code": "oblique_view", "message": "The camera <i>stands</i> 35° to the right."}]
    return make_session(tmp_path_factory.mktemp("reports"), trial, warnings=told)


@pytest.fixture(scope="module")
def report(session: mb.Session) -> dict[str, Path]:
    """The report of the session, rendered once."""
    return reports.render_report(session)


class Page(HTMLParser):
    """Collects what the tests ask of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.title = ""
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag

    def handle_data(self, data: str) -> None:
        if self._inside == "title":
            self.title += data
        elif self._inside not in ("style", "script"):
            self.text += data

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture(scope="module")
def page(report: dict[str, Path]) -> Page:
    """The HTML page of the report."""
    return Page(report["html"].read_text(encoding="utf-8"))


def small_notebook(path: Path, *cells: str) -> Path:
    """Write a notebook with a parameters cell."""
    first = new_code_cell('who: str = "nobody"\ncount: int = 1\nwide: bool = False')
    first.metadata["tags"] = ["parameters"]
    notebook = new_notebook(
        cells=[new_markdown_cell("# Small"), first, *(new_code_cell(cell) for cell in cells)],
        metadata={"kernelspec": {"name": "absent", "language": "python", "display_name": "-"}},
    )
    nbformat.write(notebook, path)
    return path


def render_small(notebook: Path, folder: Path, **parameters: Any) -> dict[str, Path]:
    return reports.render_notebook(
        notebook, folder, name="small", title="A <small> page", parameters=parameters
    )


# What is refused


def test_misspelt_parameter_is_an_error_before_any_kernel(
    session: mb.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("a kernel was started")

    monkeypatch.setattr(reports, "_run", never)
    with pytest.raises(BadInputError, match=r"imagse: unknown; did you mean 'images'\?") as caught:
        reports.render_report(session, parameters={"imagse": "elsewhere"})
    assert list(caught.value.fields) == ["imagse"]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("parameters", "field"),
    [({"count": "3"}, "count"), ({"who": 3}, "who"), ({"wide": 1}, "wide")],
)
def test_parameter_of_another_type_is_refused(
    tmp_path: Path, parameters: dict[str, Any], field: str
) -> None:
    notebook = small_notebook(tmp_path / "small.ipynb")
    with pytest.raises(BadInputError) as caught:
        reports.check_parameters(notebook, parameters)
    assert list(caught.value.fields) == [field]


def test_absent_notebook_is_named() -> None:
    with pytest.raises(NotFoundError, match=r"no notebook nothing\.ipynb"):
        reports.find_notebook("nothing")


# What is rendered


def test_files_are_where_they_should_be(session: mb.Session, report: dict[str, Path]) -> None:
    folder = session.report_folder
    assert report == {
        kind: folder.absolute() / f"overhead-squat.{ending}"
        for kind, ending in (
            *(("html", "html"), ("client", "client.html")),
            *(("notebook", "ipynb"), ("json", "json")),
        )
    }
    for view in ("left", "right", "front"):
        image = (folder / "images" / f"{view}.png").read_bytes()
        assert image.startswith(b"\x89PNG\r\n")
    assert not [file for file in folder.parent.iterdir() if "unfinished" in file.name]


def test_document_fits_the_contract_with_relative_images(report: dict[str, Path]) -> None:
    document = ReportDocument.model_validate_json(report["json"].read_text(encoding="utf-8"))
    assert document.knee_movement_phases.front == "images/front.png"
    assert document.date == "11/03/2026"
    # thigh (15, 5) and tibia (25, 31) degrees: KF = 90 + TI - thigh elevation, before turning out.
    metrics = document.grouped_data["knee_flexion"].metrics
    assert metrics["knee_flexion_asymmetry"] == pytest.approx(16, abs=1.5)


def test_session_serves_the_rendered_report(
    session: mb.Session, report: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    # It was put together by hand, without a video that could be analysed again.
    monkeypatch.setattr(analysis, "is_current", lambda _: True)
    answer = session.report()
    front = answer["knee_movement_phases"]["front"]
    assert front.startswith("file://")
    assert front.endswith("/images/front.png")


def test_page_is_titled_and_accessible(page: Page, session: mb.Session) -> None:
    assert page.title == session.title
    assert page.all("html") == [{"lang": "en"}]
    images = page.all("img")
    assert len(images) >= 4 + 5
    assert len({image["src"] for image in images}) == len(images)  # no picture twice
    assert all(len(image["alt"] or "") > 15 for image in images)
    assert len(page.all("h1")) == 1
    assert len(page.all("caption")) == len(page.all("table"))
    assert len(page.all("details")) == len(page.all("summary")) == 9
    assert {attrs.get("scope") for attrs in page.all("th")} == {"col", "row"}


def words(text: str) -> int:
    """Words that a reader sees."""
    return len(text.split())


def test_the_first_page_has_250_words_and_all_of_it_3000(
    page: Page, report: dict[str, Path]
) -> None:
    client = Page(report["client"].read_text(encoding="utf-8"))
    assert words(client.text) <= 250
    assert page.text.strip().startswith(client.text.strip()[:200])
    assert words(page.text) <= 3000
    assert not client.all("details")
    assert not client.all("script")


def test_page_holds_no_code_and_asks_for_nothing(page: Page, report: dict[str, Path]) -> None:
    text = report["html"].read_text(encoding="utf-8")
    assert "import mobility" not in text
    assert "session_id" not in page.text
    assert [script["type"] for script in page.all("script")] == ["application/json", "module"]
    assert not page.all("link")
    assert all((image["src"] or "").startswith("data:image/") for image in page.all("img"))
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:)?//""", text)
    assert not re.search(r"@import|[^.\w]url\(|fetch\(|XMLHttpRequest|WebSocket", text)


def test_what_people_wrote_is_escaped(page: Page) -> None:
    assert HOSTILE in page.text
    assert "squat <1>.mp4" in page.text
    assert "The camera <i>stands</i> 35° to the right." in page.text
    assert not [image for image in page.all("img") if "onerror" in image]
    assert not page.all("i")


def test_order_is_what_a_reader_looks_for(page: Page) -> None:
    found = [
        page.text.index(mark)
        for mark in (
            "added ",
            "What stands out",
            "What to do",
            "The trial",
            "All measures",
            "Median over the accepted repetitions, ± half of the 95 % interval",
            "Cannot be told",
            "Exercises for what was found",
            "Compensations of the overhead squat assessment",
            "Every repetition found",
            "accepted of",
            "Frames with the person",
            "Method and limits",
            "It is not a diagnosis",
            "a" * 64,
            "References",
        )
    ]
    assert found == sorted(found)


def test_rendered_notebook_holds_no_path_of_this_machine(
    session: mb.Session, report: dict[str, Path]
) -> None:
    text = report["notebook"].read_text(encoding="utf-8")
    assert str(session.store.path) not in text
    assert str(Path.home()) + os.sep not in text
    node = nbformat.read(report["notebook"], as_version=4)
    nbformat.validate(node)
    assert node.metadata["papermill"]["parameters"]["store"] == "../../sessions"


@pytest.mark.slow
def test_same_session_gives_the_same_page(session: mb.Session, report: dict[str, Path]) -> None:
    first = {
        file.name: file.read_bytes()
        for file in session.report_folder.rglob("*.*")
        if file.is_file()
    }
    reports.render_report(session)
    for name in (
        *("overhead-squat.html", "overhead-squat.client.html"),
        *("overhead-squat.json", "overhead-squat.ipynb", "front.png"),
    ):
        [file] = session.report_folder.rglob(name)
        assert file.read_bytes() == first[name], name


def test_kernel_is_this_interpreter_whatever_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernels = tmp_path / "data" / "kernels" / "python3"
    kernels.mkdir(parents=True)
    (kernels / "kernel.json").write_text('{"argv": ["/nowhere/python"], "display_name": "broken"}')
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "data"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    startup = tmp_path / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00.py").write_text("leaked = 'from a start-up file'")
    notebook = small_notebook(
        tmp_path / "small.ipynb", "import sys; print(sys.executable, who, globals().get('leaked'))"
    )
    files = render_small(notebook, tmp_path / "out", who="me")
    text = Page(files["html"].read_text(encoding="utf-8")).text
    assert f"{sys.executable} me None" in text


def test_the_key_of_a_kernel_is_gone_when_it_runs_and_its_log_is_private(tmp_path: Path) -> None:
    """So none is left by a report that is killed."""
    look = """
    import os
    from pathlib import Path
    files = [f for f in Path(os.environ["IPYTHONDIR"]).glob("kernel.*") if f.is_file()]
    print([f"{f.name} {f.stat().st_mode & 0o777:o}" for f in files])
    """
    notebook = small_notebook(tmp_path / "small.ipynb", textwrap.dedent(look))
    files = render_small(notebook, tmp_path / "out")
    assert "['kernel.log 600']" in Page(files["html"].read_text(encoding="utf-8")).text


@pytest.mark.slow
def test_recording_without_a_repetition_has_a_whole_report(tmp_path: Path, analytic: Any) -> None:
    standing = analytic.squat_pose(reps=1, thigh=90.0, tibia=0.0, trunk=0.0)
    files = reports.render_report(make_session(tmp_path, standing))
    page = Page(files["html"].read_text(encoding="utf-8"))
    assert "none found" in page.text
    assert "not measured: " not in page.text  # said once, not of each measure
    assert page.text.count("Nothing is measured without a repetition that counts.") == 1
    assert page.text.count("Findings and exercises are not given.") == 1
    assert "No overhead squat found." in page.text
    assert "nan" not in re.sub(r"[^a-z ]", " ", page.text.lower()).split()
    document = ReportDocument.model_validate_json(files["json"].read_text(encoding="utf-8"))
    assert document.knee_movement_phases.front is None
    assert document.grouped_data["hip_flexion"].metrics["left_hip_flexion"] is None


def test_the_first_page_is_told_before_the_rest_is_drawn(tmp_path: Path) -> None:
    seen = tmp_path / "seen.html"
    notebook = small_notebook(
        tmp_path / "small.ipynb",
        "print('first', who)",
        # Ends only when somebody was told.
        "import time; from pathlib import Path\n"
        "for _ in range(600):\n"
        "    if Path(who).is_file(): break\n"
        "    time.sleep(0.1)\n"
        "assert Path(who).is_file(); print('the rest')",
    )
    written = nbformat.read(notebook, as_version=4)
    written.cells.insert(3, new_markdown_cell("## Below"))
    nbformat.write(written, notebook)
    with first_page_told_to(lambda page: seen.write_text(page, "utf-8")):
        files = render_small(notebook, tmp_path / "out", who=str(seen))
    first = seen.read_text("utf-8")
    assert "<title>A &lt;small&gt; page</title>" in first
    assert f"first {seen}" in first
    assert "the rest" not in first
    assert "the rest" in files["html"].read_text("utf-8")


@pytest.mark.slow
def test_notebook_runs_by_papermill_alone(session: mb.Session, tmp_path: Path) -> None:
    import papermill

    node = papermill.execute_notebook(
        reports.find_notebook("overhead_squat"),
        None,
        {"store": str(session.store.path), "session_id": session.id},
        progress_bar=False,
        cwd=tmp_path,
    )
    assert not [
        output
        for cell in node.cells
        for output in cell.get("outputs", [])
        if output.output_type in ("error", "stream")
    ]
    assert list(tmp_path.iterdir()) == []  # it shows, and writes nothing unless told


# What fails


def test_the_report_that_is_drawn_is_a_stage_with_all_its_parts(tmp_path: Path) -> None:
    notebook = small_notebook(tmp_path / "small.ipynb", "1 + 1")
    told: list[tuple[str, float, float | None]] = []
    with progress_told_to(lambda *said: told.append(said)):
        render_small(notebook, tmp_path / "out", who="me")
    assert told == [("drawing the report", done, 3) for done in range(4)]


def test_failing_cell_is_one_line(tmp_path: Path) -> None:
    notebook = small_notebook(tmp_path / "small.ipynb", "raise ValueError('two\\nlines')")
    with pytest.raises(ReportError) as caught:
        render_small(notebook, tmp_path / "out")
    assert str(caught.value) == "small.ipynb: a cell failed with ValueError: two lines"
    assert not (tmp_path / "out").exists()


def test_our_own_error_keeps_its_class(tmp_path: Path) -> None:
    cell = "from mobility.errors import NotFoundError\nraise NotFoundError('session x: not here')"
    notebook = small_notebook(tmp_path / "small.ipynb", cell)
    with pytest.raises(NotFoundError, match=r"^session x: not here$"):
        render_small(notebook, tmp_path / "out")


def test_dead_kernel_is_told(tmp_path: Path) -> None:
    notebook = small_notebook(tmp_path / "small.ipynb", "import os; os._exit(3)")
    with pytest.raises(ReportError, match="kernel"):
        render_small(notebook, tmp_path / "out")


@pytest.mark.slow
def test_failure_leaves_the_earlier_report(tmp_path: Path) -> None:
    notebook = small_notebook(tmp_path / "small.ipynb", "assert who != 'bad'; print(who)")
    files = render_small(notebook, tmp_path / "out", who="good")
    before = files["html"].read_bytes()
    with pytest.raises(ReportError, match="AssertionError"):
        render_small(notebook, tmp_path / "out", who="bad")
    assert files["html"].read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir() if "unfinished" in p.name) == []


@pytest.mark.slow
def test_report_killed_on_the_way_leaves_the_earlier_one(tmp_path: Path) -> None:
    notebook = small_notebook(
        tmp_path / "small.ipynb",
        "import os\nfrom pathlib import Path\nPath('half').write_text(f'{os.getpid()}\\n')",
        "import time\nif wide: time.sleep(600)",
        "print(who)",
    )
    files = render_small(notebook, tmp_path / "out", who="first")
    before = files["html"].read_bytes()
    script = (
        "import sys; from pathlib import Path; from mobility.reports import render\n"
        "render.render_notebook(Path(sys.argv[1]), Path(sys.argv[2]), name='small', title='t',"
        " parameters={'wide': True})"
    )
    child = subprocess.Popen([sys.executable, "-c", script, str(notebook), str(tmp_path / "out")])
    half = tmp_path / ".out.unfinished" / "half"
    deadline = time.monotonic() + 240
    while not (half.exists() and half.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    kernel = int(half.read_text())
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    wait_for(lambda: not psutil.pid_exists(kernel))
    assert files["html"].read_bytes() == before
    files = render_small(notebook, tmp_path / "out", who="second")
    assert "second" in files["html"].read_text(encoding="utf-8")
    assert not half.parent.exists()


@pytest.mark.slow
def test_killed_between_the_renames_is_put_back(tmp_path: Path) -> None:
    notebook = small_notebook(tmp_path / "small.ipynb", "assert who != 'bad'")
    files = render_small(notebook, tmp_path / "out", who="good")
    before = files["html"].read_bytes()
    (tmp_path / "out").rename(tmp_path / ".out.earlier")
    with pytest.raises(ReportError):
        render_small(notebook, tmp_path / "out", who="bad")
    assert files["html"].read_bytes() == before


# Sections


def test_group_without_a_value_says_why(session: mb.Session) -> None:
    metrics, repetitions = session.metrics(), session.repetitions()
    note = "seen from the side, where one leg hides the other"
    for name in ("knee_deviation", "knee_deviation_asymmetry", "knee_ankle_separation_ratio"):
        metrics[name] = xr.full_like(metrics[name], np.nan).assign_attrs(note=note, units="1")
    glance = sections.at_a_glance(metrics, repetitions)
    assert glance.count("not measured: seen from the side, where one leg hides the other<") == 2
    assert "nan" not in glance.lower()


def test_no_repetition_is_said_everywhere(session: mb.Session) -> None:
    repetitions = session.repetitions()
    empty = repetitions.isel(rep=slice(0, 0))
    metrics = mb.overhead_squat(session.fitted(), session.angles(), empty)
    assert sections.count_repetitions(empty) == "none found"
    assert sections.at_a_glance(metrics, empty).count("no repetition was found") == 6
    assert "No repetition was found" in sections.repetition_table(metrics, empty)
    rejected = repetitions.assign(
        accepted=("rep", [False, False, True]), reason=("rep", ["too fast", "cut off", ""])
    )
    assert sections.count_repetitions(rejected) == (
        "1 accepted of 3 found (left out: no. 1: too fast; no. 2: cut off)"
    )


def test_phase_table_is_of_accepted_repetitions_with_intervals(session: mb.Session) -> None:
    metrics, repetitions = session.metrics(), session.repetitions()
    name = "knee_ankle_separation_ratio_phase"
    metrics[name] = xr.full_like(metrics[name], 0.9)
    metrics[name][0] = 0.2
    metrics[f"{name}_sd"] = xr.full_like(metrics[name], 0.1)
    accepted = repetitions["accepted"].copy(data=[False, *[True] * (repetitions.sizes["rep"] - 1)])
    text = sections.phase_table(metrics, repetitions.assign(accepted=accepted))
    assert text.count("0.90 <span class='interval'>± 0.20</span>") == 4
    one = accepted.copy(data=[True, *[False] * (repetitions.sizes["rep"] - 1)])
    assert "0.20 <span" in sections.phase_table(metrics, repetitions.assign(accepted=one))


def test_cut_off_repetition_is_accepted_and_said_so(session: mb.Session) -> None:
    repetitions = session.repetitions()
    complete = repetitions["complete"].copy(data=[False, *[True] * (repetitions.sizes["rep"] - 1)])
    text = sections.repetition_table(session.metrics(), repetitions.assign(complete=complete))
    assert text.count("accepted, cut off") == 1
    assert "accepted, cut off" not in sections.repetition_table(session.metrics(), repetitions)


def test_text_depends_on_the_method(session: mb.Session) -> None:
    raw = session.fitted().assign_attrs(method="mediapipe_world")
    body = raw.assign_attrs(method="fitted_body")
    assert "20 degrees and more are usual" in sections.distrust([], raw)
    assert "constant segment lengths" in sections.distrust([], body)
    assert "20 degrees" not in sections.distrust([], body)
    assert "moves trunk lean and thigh elevation by 10°" in sections.gravity(raw)
    assert "gravity is estimated together" in sections.gravity(body)
    assert "from a table" in sections.uncertainty_in_short(raw)
    drawn = body.assign(position_draws=("draw", np.zeros(32)))
    assert "32 bodies" in sections.uncertainty_in_short(drawn)
    assert "MDC₉₅" in sections.uncertainty_in_short(drawn)


@pytest.mark.parametrize(
    ("how", "planted", "seconds", "said"),
    [
        ("straight", True, 3.24, "Calibrated on 3.2 s in which the person stands straight."),
        (12.0, True, 2.0, "stands with the knees bent by 12°, as given."),
        ("free", True, 0.0, "As chosen, nothing is taken"),
        ("straight", True, 0.0, "Nobody is seen to stand straight"),
        ("straight", False, 0.0, "The feet move or are not seen"),
    ],
)
def test_the_report_says_on_what_a_trial_is_calibrated(
    session: mb.Session, how: str | float, planted: bool, seconds: float, said: str
) -> None:
    pinned = tables.load("pose_model")["full"]["bundle"]["sha256"]
    pose = with_history(
        session.fitted().assign_attrs(model_sha256=pinned),
        "fit_body",
        {"standing": how},
        planted=planted,
        standing_seconds=seconds,
    )
    text = sections.calibration(pose)
    assert said in text
    assert ("this recording is unlike those" in text) is (seconds == 0)
    assert text.count("<li>") == (seconds == 0)
    # Another pose model is warned of with the angles, and once is enough.
    other = pose.assign_attrs(model_sha256="0" * 64)
    assert sections.calibration(other) == text
    warned = [Warned(code="errors_of_another_model", message=str(another_model(other)))]
    told = sections.distrust(warned, other) + sections.calibration(other)
    assert told.count("another pose model") == 1
    assert sections.calibration(session.pose()) == ""


def test_nobody_who_stands_is_warned_of_in_the_report(session: mb.Session) -> None:
    warned = [Warned("nobody_stands", "Nobody is seen to stand straight: <b>.")]
    told = sections.distrust(warned, session.fitted())
    assert "Nobody is seen to stand straight: &lt;b&gt;." in told


@pytest.mark.parametrize("name", ["overhead_squat", "joint_angle_mobility"])
def test_every_report_shows_the_calibration(project: Path, name: str) -> None:
    assert "sections.calibration(pose)" in (project / "notebooks" / f"{name}.ipynb").read_text()


@pytest.mark.parametrize(
    ("value", "sd", "expected"),
    [
        (np.nan, 5.0, ""),
        (9.0, np.nan, "error unknown"),
        # 1.96 · √2 · 5 = 13.86
        (13.8, 5.0, "within error"),
        (-13.9, 5.0, "left larger"),
        (13.9, 5.0, "right larger"),
    ],
)
def test_verdict_compares_with_the_minimal_detectable_difference(
    value: float, sd: float, expected: str
) -> None:
    metrics = xr.Dataset({"a_asymmetry": value, "a_asymmetry_sd": sd})
    assert sections.verdict(metrics, "a_asymmetry") == expected


@pytest.mark.parametrize(
    ("value", "units", "signed", "expected"),
    [
        (12.5001, "degree", False, "13°"),
        (-0.2, "degree", True, "0°"),
        (-3.2, "degree", True, "−3°"),
        (3.2, "degree", True, "+3°"),
        (0.918, "1", False, "0.92"),
        (47.6, "percent", False, "48 %"),
        (1.04, "s", False, "1.0 s"),
        (np.nan, "degree", False, "–"),
    ],
)
def test_quantities_have_sensible_digits(
    value: float, units: str, signed: bool, expected: str
) -> None:
    assert sections.quantity(value, units, signed=signed) == expected


def test_interval_is_196_sd() -> None:
    # 1.96 * 5.2 = 10.19, 1.96 * 0.1 = 0.196
    assert "± 10°" in sections.quantity(90, "degree", sd=5.2)
    assert "± 0.20" in sections.quantity(1, "1", sd=0.1)


@pytest.mark.slow
def test_chromium_shows_the_page_without_asking_for_anything(
    report: dict[str, Path], browse: Callable[..., Any]
) -> None:
    url = report["html"].as_uri()
    seen = browse("report", url)
    assert seen["said"] == []
    assert seen["asked"] == [url]
    assert all(image["width"] > 0 for image in seen["images"])
    assert all(width <= int(allowed) for allowed, width in seen["widths"].items())


@pytest.mark.slow
def test_the_first_page_is_one_of_paper(
    report: dict[str, Path], tmp_path: Path, browse: Callable[..., Any]
) -> None:
    """Also of the whole report, in which all headings are opened."""
    pages = {}
    for kind in ("client", "html"):
        copy = tmp_path / report[kind].name
        copy.write_bytes(report[kind].read_bytes())
        printed = to_pdf(copy).read_bytes()
        pages[kind] = len(re.findall(rb"/Type /Page\b", printed))
    assert pages["client"] == 1
    assert pages["html"] > 4


def test_what_was_corrected_by_hand_is_said() -> None:
    when = datetime.datetime(2026, 11, 25, 9, 30, tzinfo=datetime.UTC)
    common = {"who": "Ann", "when": when, "before": None}
    one = Edit(kind="repetitions", after=[{"start": 0.5}], **common)
    assert sections.corrections(Edits()) is None
    assert sections.corrections(Edits(edits=[one])) == "repetitions by Ann, 25 Nov 2026, 09:30"
    undone = Edit(kind="repetitions", after=None, **common)
    assert sections.corrections(Edits(edits=[one, undone])) is None


def test_sides_of_different_phases_are_not_compared() -> None:
    metrics = xr.Dataset({"a": 1.0, "a_asymmetry": 5.0, "a_asymmetry_sd": 1.0})
    metrics["a_asymmetry"].attrs["quantity"] = "a"
    metrics["a"].attrs["phase"] = "left: bottom, right: mid-descent"
    assert sections.verdict(metrics, "a_asymmetry") == "between different phases"
    metrics["a"].attrs["phase"] = "bottom"
    assert sections.verdict(metrics, "a_asymmetry") == "right larger"


def test_a_check_that_failed_says_what_to_do(session: mb.Session) -> None:
    text = sections.capture_quality(session.capture_quality())
    assert "out of the picture or at its edge: hands 12 % of the frames" in text
    assert "class='poor'>poor</td>" in text
    assert "Move the camera back &lt;now&gt;." in text
    assert "from the front right, 35° ± 12° to the person&#x27;s right" in text
    assert "From this view pelvic obliquity is less certain." in text


def test_checks_that_are_ok_need_no_advice(project: Path) -> None:
    demo = read_json(project / "data" / "demo" / "overhead-squat" / "capture_quality.json")
    text = sections.capture_quality(demo)
    assert text.count("class='ok'>ok</td>") == 11
    assert "What to do" not in text


def test_refused_angle_has_its_reason_in_place_of_the_number(project: Path) -> None:
    """The draws of the demo, six times as far apart."""
    folder = project / "data" / "demo" / "overhead-squat"
    results = {}
    for name in ("fitted", "repetitions"):
        with xr.open_dataset(folder / f"{name}.nc") as stored:
            results[name] = stored.load()
    fitted = results["fitted"].assign(position_draws=6 * results["fitted"].position_draws)
    angles = mb.joint_angles(fitted)
    metrics = mb.overhead_squat(fitted, angles, results["repetitions"])
    reason = angles["hip_abduction"].attrs["refused"]
    assert reason == tables.sentence("reasons.uncertain")
    assert metrics["hip_abduction"].isnull().all()
    for side in ("left", "right"):
        shown = sections.cell(metrics, "hip_abduction", results["repetitions"], side=side)
        assert shown == f"<span class='missing'>not measured: {reason}</span>"
    group = group_metrics(metrics)["hip_abduction"]
    assert group["left_hip_abduction"] is None
    assert json.dumps(group["right_hip_abduction"]) == "null"


def test_two_cameras_are_told_with_view_offset_and_residual(session: mb.Session) -> None:
    one = session.fitted()
    assert sections.cameras(one) == ""
    assert "one camera" in sections.distrust([], one)
    found = [
        {
            **{"azimuth_deg": 4.0, "focal_length_px": 900.4, "residual_m": 0.012},
            "residual_px": 3.31,
        },
        {
            **{"azimuth_deg": -88.0, "focal_length_px": 1000.0, "residual_m": 0.015},
            **{"residual_px": 4.2, "time_offset_s": -0.5184, "time_offset_sd_s": 0.005},
        },
    ]
    two = with_history(one, "fit_body", {}, cameras=found)
    shown = sections.cameras(two)
    for text in (
        "front",
        "left (88° from the front)",
        "−0.518 s ± 0.010 s",
        "1.2 cm",
        "4.2 pixels",
    ):
        assert text in shown
    assert "Two cameras saw this trial" in sections.distrust([], two)
    assert "one camera" not in sections.distrust([], two)
    assert "was found together with the body" in sections.distrust([], two)

    known = {"file": "<b>.toml", "vertical": True}
    for vertical, lens in (True, "lens and vertical are"), (False, "lens is"):
        known["vertical"] = vertical
        calibrated = with_history(one, "fit_body", {}, calibrated=known)
        said = sections.distrust([], calibrated)
        assert f"one camera, which does not measure depth. Its {lens} known from" in said
        assert "the calibration &lt;b&gt;.toml" in said
        both = with_history(one, "fit_body", {}, calibrated=known, cameras=found)
        said = sections.distrust([], both)
        assert "where they stood" not in said
        assert "lenses, places" in said
        assert ("the vertical, were found together with the body" in said) is not vertical
        assert ("is known from the calibration" in sections.gravity(both)) is vertical

    quality = session.capture_quality()
    both = sections.capture_quality({**quality, "second_camera": quality})
    assert both.count("Frames with the person") == 2
    assert "From this view " in sections.capture_quality(quality)
    assert "From this view " not in both
    assert "First camera" in both
    assert "Second camera" in both

    second = VideoFile(file="video-2.mp4", original_name="<b>side", sha256="d" * 64, size=1)
    record = session.record.model_copy(update={"second_video": second})
    told = sections.who_and_what(record, None, one, session.repetitions(), Edits())
    assert "&lt;b&gt;side" in told
    told = sections.provenance(record, one, session.metrics(), made_on=datetime.date(2026, 1, 1))
    assert "d" * 64 in told
