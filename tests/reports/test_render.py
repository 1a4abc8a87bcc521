"""Reports: what is in them, what is refused, and that they are whole or absent."""

from __future__ import annotations

import asyncio
import datetime
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest
from demo_sessions import copy_of
from jupyter_core.utils import ensure_event_loop
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from other_processes import wait_for

import mobility as mb
from mobility.base.progress import report_progress_to, send_first_page_to
from mobility.base.provenance import sha256
from mobility.documents.contract import ReportDocument
from mobility.documents.lab_references import Norms, RetestErrors
from mobility.errors import BadInputError, NotFoundError, ReportError
from mobility.pipeline import analysis
from mobility.reports import render as reports
from mobility.reports.html import to_pdf
from mobility.sessions.files import write_dataset, write_json
from mobility.sessions.record import Provenance, SessionRecord, Stage, VideoFile

HOSTILE = "Anna <img src=x onerror=alert(1)> & Ødegård"


def make_session(
    folder: Path, trial: Any, *, warnings: list[dict[str, str]] | None = None
) -> mb.Session:
    """Keep a synthetic trial as an analyzed session."""
    pose = trial.pose.assign_attrs(
        source_file="squat.mp4", image_width=1280, image_height=720, fps=30.0
    )
    fitted = mb.clean_pose(pose)
    angles, repetitions = mb.joint_angles(fitted), mb.find_repetitions(fitted)
    store = mb.Store(folder / "sessions", reports=folder / "reports")
    store.set_participant("p01", display_name=HOSTILE, sex="female", birth_year=1990, height_m=1.68)
    place = folder / "sessions" / "s01"
    place.mkdir(parents=True)
    for name, dataset in {
        "pose": pose,
        "fitted": fitted,
        "angles": angles,
        "repetitions": repetitions,
        "metrics": mb.overhead_squat(fitted, angles, repetitions),
    }.items():
        write_dataset(place / f"{name}.nc", dataset)
    frames = dict.fromkeys(("total", "with_person"), pose.sizes["time"])
    good = {"verdict": "ok", "advice": None}
    quality = {
        "frames": {**frames, **good},
        "visibility": {"legs": 0.95, "feet": 0.9, "arms": None},
        "view": {
            **{"name": "front-oblique right", "azimuth_deg": 35.2, "azimuth_sd_deg": 6.0},
            **{"supports": ["knee_flexion"], "does_not_support": ["pelvis_obliquity"]},
            **good,
        },
        "framing": {
            "outside": {"head": 0.0, "hands": 0.12, "feet": 0.0},
            **{"verdict": "poor", "advice": "Move the camera back <now>."},
        },
        "camera": {"moving": False, **good},
        "other_people": 0,
    }
    write_json(place / "capture_quality.json", quality)
    when = datetime.datetime(2026, 3, 11, 9, 5, tzinfo=datetime.UTC)
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
        stages={
            file.stem: Stage(
                key="0" * 64, file=file.name, sha256=sha256(file), seconds=1.0, finished=when
            )
            for file in place.iterdir()
        },
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


pytestmark = pytest.mark.usefixtures("one_server")


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory, analytic: Any) -> mb.Session:
    """Three squats, the right knee 16 degrees more flexed, seen from the front."""
    trial = analytic.squat_pose(reps=3, thigh=(15.0, 5.0), tibia=(25.0, 31.0), turn_out=10.0)
    warned = [{"code": "oblique_view", "message": "The camera <i>stands</i> 35° to the right."}]
    return make_session(tmp_path_factory.mktemp("reports"), trial, warnings=warned)


@pytest.fixture(scope="module")
def report(session: mb.Session) -> dict[str, Path]:
    """The report of the session, rendered once."""
    return reports.render_report(session)


REPORTS = Path(__file__).resolve().parents[2] / "reports"
DEMO_PAGES = [each for each in sorted(REPORTS.glob("demo-*/*.html")) if ".client" not in each.name]
MOST_WORDS = 230
"""On a first page: half of them are names of rows, answers, and doses of exercises."""


class Page(HTMLParser):
    """Collects what the tests ask of a page."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = self.title = self._inside = ""
        self.feed(file.read_text(encoding="utf-8"))

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

    @property
    def words(self) -> int:
        """Words of the text, without numbers and single letters."""
        return sum(len(word) > 1 for word in re.sub(r"[^A-Za-z]+", " ", self.text).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture(scope="module")
def page(report: dict[str, Path]) -> Page:
    """The HTML page of the report."""
    return Page(report["html"])


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


def test_a_wrong_parameter_is_an_error_before_any_kernel_and_an_absent_notebook_is_named(
    session: mb.Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "papermill.execute_notebook", lambda *_, **__: pytest.fail("a kernel was started")
    )
    with pytest.raises(BadInputError, match=r"imagse: unknown; did you mean 'images'\?") as caught:
        reports.render_report(session, parameters={"imagse": "elsewhere"})
    assert list(caught.value.fields) == ["imagse"]
    assert "\n" not in str(caught.value)
    notebook = small_notebook(tmp_path / "small.ipynb")
    for field, value in {"count": "3", "who": 3, "wide": 1}.items():
        with pytest.raises(BadInputError) as caught:
            reports.check_parameters(notebook, {field: value})
        assert list(caught.value.fields) == [field]
    with pytest.raises(NotFoundError, match=r"no notebook nothing\.ipynb"):
        reports.find_notebook("nothing")


# What is rendered


def test_files_are_where_they_should_be_and_the_session_serves_them(
    session: mb.Session, report: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = session.report_folder
    endings = {"html": "html", "client": "client.html", "notebook": "ipynb", "json": "json"}
    assert report == {
        kind: folder.absolute() / f"overhead-squat.{ending}" for kind, ending in endings.items()
    }
    for view in ("left", "right", "front"):
        image = (folder / "images" / f"{view}.png").read_bytes()
        assert image.startswith(b"\x89PNG\r\n")
    assert not [file for file in folder.parent.iterdir() if "unfinished" in file.name]
    document = ReportDocument.model_validate_json(report["json"].read_text(encoding="utf-8"))
    assert document.knee_movement_phases.front == "images/front.png"
    assert document.date == "11/03/2026"
    # thigh (15, 5) and tibia (25, 31) degrees: KF = 90 + TI - thigh elevation, before turning out.
    metrics = document.grouped_data["knee_flexion"].metrics
    assert metrics["knee_flexion_asymmetry"] == pytest.approx(16, abs=1.5)
    # It was put together by hand, without a video that could be analysed again.
    monkeypatch.setattr(analysis, "is_current", lambda _: True)
    front = session.report()["knee_movement_phases"]["front"]
    assert front.startswith("file://")
    assert front.endswith("/images/front.png")
    for page in ("html", "client"):
        assert "For research and training, not for diagnosis." in report[page].read_text("utf-8")
    text = report["notebook"].read_text(encoding="utf-8")
    assert str(session.store.path) not in text
    assert str(Path.home()) + os.sep not in text
    node = nbformat.read(report["notebook"], as_version=4)
    nbformat.validate(node)
    outputs = [output for cell in node.cells for output in cell.get("outputs", [])]
    assert not [each for each in outputs if each.output_type in ("error", "stream")]
    assert node.metadata["papermill"]["parameters"]["store"] == "../../sessions"


def test_page_is_titled_accessible_and_short(
    page: Page, session: mb.Session, report: dict[str, Path]
) -> None:
    assert page.title == session.title
    assert page.all("html") == [{"lang": "en"}]
    images = page.all("img")
    assert len(images) >= 4 + 5
    assert len({image["src"] for image in images}) == len(images)  # no picture twice
    assert all(len(image["alt"] or "") > 15 for image in images)
    assert len(page.all("h1")) == 1
    assert len(page.all("caption")) == len(page.all("table"))
    assert len(page.all("details")) == len(page.all("summary")) == 10
    assert {attrs.get("scope") for attrs in page.all("th")} == {"col", "row"}
    client = Page(report["client"])
    assert client.words <= MOST_WORDS + 30
    assert "What goes well" in client.text or "What to work on" in client.text
    assert not client.all("a")
    assert "±" not in client.text
    assert len(page.text.split()) <= 3100
    assert not client.all("details")
    assert not client.all("script")


@pytest.mark.parametrize("file", DEMO_PAGES, ids=lambda file: file.stem)
def test_the_page_of_a_demo_is_short(file: Path) -> None:
    assert Page(file.with_suffix(".client.html")).words <= MOST_WORDS
    assert len(Page(file).text.split()) <= 3000


def test_the_sections_that_one_cell_shows_are_folded_each_by_itself(tmp_path: Path) -> None:
    code = (
        "from IPython.display import HTML, Markdown, display\n"
        "display(HTML('<p>First'), metadata={})\n"
    )
    sections = (
        "from mobility.reports.page import Page, Section, show\n"
        "texts = {'one': 'There.', 'trial': 'Plays.', 'more': ''}\n"
        "shown = [Section(n, lambda _, n=n: texts[n], name=n) for n in texts]\n"
        "show(shown, Page())"
    )
    notebook = small_notebook(tmp_path / "a.ipynb", code, sections)
    node = nbformat.read(notebook, as_version=4)
    node.cells[-1].metadata["tags"] = ["sections"]
    nbformat.write(node, notebook)
    parts = dict.fromkeys(("style", "data", "script", "script_hash"), "")
    files = reports.render_notebook(
        notebook, tmp_path / "out", name="a", title="A", parameters={}, trial=lambda: parts
    )
    html = " ".join(files["html"].read_text(encoding="utf-8").split())
    _, first, one, played, *none = re.split("<section|<details", html)
    assert "First" in first
    assert "<h2>one</h2>" in one
    assert "There." in one
    assert played.startswith(' open="">')
    assert 'id="mobility-trial"' in played
    assert none == []  # nothing is said there
    client = files["client"].read_text(encoding="utf-8")
    assert "First" in client
    assert "There." not in client


def test_page_holds_no_code_asks_for_nothing_and_escapes_what_people_wrote(
    page: Page, report: dict[str, Path]
) -> None:
    text = report["html"].read_text(encoding="utf-8")
    assert "import mobility" not in text
    assert "session_id" not in page.text
    assert [script["type"] for script in page.all("script")] == ["application/json", "module"]
    assert not page.all("link")
    assert all((image["src"] or "").startswith("data:image/") for image in page.all("img"))
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:)?//""", text)
    assert not re.search(r"@import|[^.\w]url\(|fetch\(|XMLHttpRequest|WebSocket", text)
    for written in (HOSTILE, "squat <1>.mp4", "The camera <i>stands</i> 35° to the right."):
        assert written in page.text
    assert not [image for image in page.all("img") if "onerror" in image]
    assert not page.all("i")


def test_kernel_is_this_interpreter_and_its_key_is_gone_when_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is installed; and no key is left by a report that is killed."""
    kernels = tmp_path / "data" / "kernels" / "python3"
    kernels.mkdir(parents=True)
    (kernels / "kernel.json").write_text('{"argv": ["/nowhere/python"], "display_name": "broken"}')
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "data"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    startup = tmp_path / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00.py").write_text("leaked = 'from a start-up file'")
    look = (
        "import os, sys\nfrom pathlib import Path\n"
        "print(sys.executable, who, globals().get('leaked'))\n"
        "files = [f for f in Path(os.environ['IPYTHONDIR']).glob('kernel.*') if f.is_file()]\n"
        "print([f'{f.name} {f.stat().st_mode & 0o777:o}' for f in files])"
    )
    files = render_small(small_notebook(tmp_path / "a.ipynb", look), tmp_path / "out", who="me")
    text = Page(files["html"]).text
    assert f"{sys.executable} me None" in text
    assert "['kernel.log 600']" in text


@pytest.mark.slow
def test_recording_without_a_repetition_has_a_whole_report(tmp_path: Path, analytic: Any) -> None:
    standing = analytic.squat_pose(reps=1, thigh=90.0, tibia=0.0, trunk=0.0)
    files = reports.render_report(make_session(tmp_path, standing))
    text = Page(files["html"]).text
    assert "none found" in text
    assert "not measured: " not in text  # said once, not of each measure
    assert text.count("Nothing was measured, because no repetition was accepted.") == 1
    assert text.count("No findings and no advice") == 1
    assert "No overhead squat found." in text
    assert "nan" not in re.sub(r"[^a-z ]", " ", text.lower()).split()
    document = ReportDocument.model_validate_json(files["json"].read_text(encoding="utf-8"))
    assert document.knee_movement_phases.front is None
    assert document.grouped_data["hip_flexion"].metrics["left_hip_flexion"] is None


@pytest.mark.slow
def test_a_report_shows_what_the_labs_own_studies_found(tmp_path: Path, demo: Path) -> None:
    store = mb.Store(tmp_path / "sessions", reports=tmp_path / "reports")
    for name, day in (("one", "2026-03-01"), ("two", "2026-04-01")):
        created_at = f"{day}T10:00:00Z"
        copy_of(demo, store, name, user_id="p01", created_at=created_at).analyze()
    session = store.session("two")
    before = session.render_report()["html"].read_text(encoding="utf-8")
    conditions = {
        **{"exercise": "Overhead Squat", "view": session.capture_quality()["view"]["name"]},
        **{"method": session.metrics().attrs["method"], "cameras": 1, "standing": "usual"},
        **{"software": mb.__version__},
    }
    measured = {"conditions": conditions, "metric": "knee_flexion", "units": "degree"}
    norm = {**measured, "sex": None, "age": None, "people": 24, "mean": 110.0, "sd": 10.0}
    norm["percentiles"] = [(25, 103.0), (50, 110.0), (75, 117.0)]
    errors = [
        {**measured, "side": side, "sem": 2.0, "low": None, "high": None, "participants": 12}
        for side in ("left", "right")
    ]
    made = {"made": "2026-01-01T00:00:00Z"}
    store.save_reference(Norms.model_validate({"name": "ours", "norms": [norm], **made}))
    store.save_reference(RetestErrors.model_validate({"name": "twice", "errors": errors, **made}))
    page = session.render_report()["html"].read_text(encoding="utf-8")
    for words in (
        "shaded: the range of 50 % of this lab's 24 people (ours)",
        "This lab's own norms. The z score",
        "from this lab's study twice with 12 people",
    ):
        assert words in page
        assert words not in before


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
    stages: list[tuple[str, float, float | None]] = []
    with (
        report_progress_to(lambda *stage: stages.append(stage)),
        send_first_page_to(lambda page: seen.write_text(page, "utf-8")),
    ):
        files = render_small(notebook, tmp_path / "out", who=str(seen))
    first = seen.read_text("utf-8")
    assert "<title>A &lt;small&gt; page</title>" in first
    assert f"first {seen}" in first
    assert "the rest" not in first
    assert "the rest" in files["html"].read_text("utf-8")
    (total,) = {total for _, _, total in stages}
    assert stages == [("drawing the report", done, total) for done in range(int(total) + 1)]


def test_a_thread_of_a_server_draws_a_report_though_the_loop_of_the_server_is_busy(
    tmp_path: Path,
) -> None:
    notebook = small_notebook(tmp_path / "small.ipynb", "print(who)")

    async def serve() -> dict[str, Path]:
        ensure_event_loop()  # as Jupyter's server does; a thread has its context
        return await asyncio.to_thread(render_small, notebook, tmp_path / "out", who="drawn")

    assert "drawn" in asyncio.run(serve())["html"].read_text("utf-8")


# What fails


def test_a_failing_cell_is_one_line_and_leaves_the_earlier_report(tmp_path: Path) -> None:
    notebook = small_notebook(tmp_path / "small.ipynb", "if wide: exec(who)")
    files = render_small(notebook, tmp_path / "out", who="good")
    before = files["html"].read_bytes()
    for code, kind, words in (
        (
            *("raise ValueError('two\\nlines')", ReportError),
            r"^small.ipynb: a cell failed with ValueError: two lines$",
        ),
        (
            "from mobility.errors import NotFoundError\nraise NotFoundError('session x: not here')",
            *(NotFoundError, "^session x: not here$"),  # our own keeps its class
        ),
        ("import os; os._exit(3)", ReportError, "kernel"),
    ):
        with pytest.raises(kind, match=words):
            render_small(notebook, tmp_path / "out", who=code, wide=True)
        assert files["html"].read_bytes() == before
    # Killed between the renames: the earlier one is put back.
    (tmp_path / "out").rename(tmp_path / ".out.earlier")
    with pytest.raises(ReportError):
        render_small(notebook, tmp_path / "out", who="1 / 0", wide=True)
    assert files["html"].read_bytes() == before
    assert not [path for path in tmp_path.iterdir() if "unfinished" in path.name]
    with pytest.raises(ReportError):
        render_small(notebook, tmp_path / "new", who="1 / 0", wide=True)
    assert not (tmp_path / "new").exists()


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
    wait_for(lambda: half.exists() and half.read_text())
    kernel = int(half.read_text())
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    wait_for(lambda: not psutil.pid_exists(kernel))
    assert files["html"].read_bytes() == before
    files = render_small(notebook, tmp_path / "out", who="second")
    assert "second" in files["html"].read_text(encoding="utf-8")
    assert not half.parent.exists()


@pytest.mark.slow
def test_chromium_shows_the_page_without_asking_for_anything_and_prints_the_first_on_one_of_paper(
    report: dict[str, Path], tmp_path: Path, browse: Callable[..., Any]
) -> None:
    url = report["html"].as_uri()
    seen = browse("report", url)
    assert seen["said"] == []
    assert seen["asked"] == [url]
    assert len(seen["headings"]) == 1
    assert all(image["width"] > 0 for image in seen["images"])
    assert all(width <= int(allowed) for allowed, width in seen["widths"].items())
    pages = {}
    for kind in ("client", "html"):  # of the whole report, too, in which all headings are opened
        copy = tmp_path / report[kind].name
        copy.write_bytes(report[kind].read_bytes())
        pages[kind] = len(re.findall(rb"/Type /Page\b", to_pdf(copy).read_bytes()))
    assert pages["client"] == 1
    assert pages["html"] > 4
