"""Take pictures of a report, with and without numbered parts, a visit and a course."""

from __future__ import annotations

import datetime
import io
import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

import mobility as mb
from mobility.base.provenance import sha256
from mobility.sessions.files import read_json, write_json

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT / "tests"))

from cohort_cases import add_session  # noqa: E402
from demo_sessions import change_record, copy_of, put_result, taken_as_current  # noqa: E402

REPORT = PROJECT / "reports" / "demo-overhead-squat" / "overhead-squat.html"
IMAGES = PROJECT / "docs" / "images"
VISITED = ("overhead-squat", "sit-to-stand", "joint-angle-mobility")
WHEN = datetime.datetime(2026, 11, 30, 9, tzinfo=datetime.UTC)
WIDTH, SCALE, QUALITY = 960, 1.5, 70

ROW = ".front .gauges tbody tr:nth-child(1)"
PARTS = (
    ".front .trust",
    ".front .frames",
    f"{ROW} th",
    f"{ROW} td:nth-child(2)",
    f"{ROW} td:nth-child(3)",
    ".front .halves > div:nth-child(2) > ol",
    ".front .halves > div:nth-child(2) > ul",
    ".front .undecided",
)
"""The parts to which the numbers in the picture point; a table in docs/report.md explains them."""

STYLE = """
.front { padding: 12px 24px !important }
.front .frames img { height: 300px; object-fit: contain }
.front .gauges { border-spacing: 10px 6px; border-collapse: separate }
.front .gauges caption { padding-bottom: 10px }
.front ol, .front ul, .front .undecided { padding-left: 28px }
.front .undecided { padding-top: 8px }
"""

NUMBER = """(parts) => parts.forEach((selector, i) => {
    const box = document.querySelector(selector).getBoundingClientRect();
    const frame = document.body.appendChild(document.createElement("div"));
    const number = document.body.appendChild(document.createElement("div"));
    const [x, y] = [box.left + window.scrollX, box.top + window.scrollY];
    frame.style.cssText = `position: absolute; left: ${x - 4}px; top: ${y - 3}px;
        width: ${box.width + 6}px; height: ${box.height + 4}px; border: 2px solid #0072B2;
        border-radius: 6px; box-sizing: border-box`;
    number.textContent = i + 1;
    number.style.cssText = `position: absolute; left: ${x - 17}px; top: ${y - 13}px; width: 22px;
        height: 22px; border-radius: 50%; background: #0072B2; color: #fff; text-align: center;
        font: bold 15px/22px sans-serif`;
})"""


def report(browser: Browser) -> None:
    """Take the demo's first page, and again with a frame and a number around each part."""
    page = browser.new_page(viewport={"width": WIDTH, "height": 1400}, device_scale_factor=SCALE)
    page.goto(REPORT.as_uri())
    page.add_style_tag(content=STYLE)
    first = page.locator(".front").bounding_box()
    assert first is not None
    for name, parts in (("report", ()), ("report_parts", PARTS)):
        page.evaluate(NUMBER, parts)
        shown = page.screenshot(clip={**first, "x": 0, "width": WIDTH}, full_page=True)
        save(shown, name)


def visit(browser: Browser) -> None:
    """Make the page of a visit from demo sessions, and store a picture of its beginning."""
    demos = PROJECT / "data" / "demo"
    with tempfile.TemporaryDirectory() as folder:
        store = mb.Store(Path(folder) / "sessions")
        store.reports = Path(folder) / "reports"
        for name in VISITED:
            when = WHEN.isoformat()
            taken_as_current(copy_of(demos / name, store, name, user_id="p01", created_at=when))
        made = store.render_visit("p01")
        page = browser.new_page(
            viewport={"width": WIDTH, "height": 1141}, device_scale_factor=SCALE
        )
        page.goto(Path(made["html"]).as_uri())
        save(page.screenshot(), "visit")


def course(browser: Browser) -> None:
    """Make the course of eight visits from a demo, and store a picture of its beginning.

    The third visit has one repetition, the fourth comes from an older version, and the sixth was
    filmed from the front.
    """
    demo = PROJECT / "data" / "demo" / "overhead-squat"
    with tempfile.TemporaryDirectory() as folder:
        store = mb.Store(Path(folder) / "sessions")
        store.reports = Path(folder) / "reports"
        for number in range(8):
            name = f"visit-{number + 1}"
            values = {"trunk_tibia_difference": 45.0 - 5.0 * number + (-1) ** number}
            day = f"2026-{number + 1:02}-05"
            add_session(store, demo, name, user_id="p01", date=day, values=values)
        of_demo = mb.Session(demo, store)
        repetitions = of_demo.repetitions()
        repetitions["accepted"][1:] = False
        one = mb.overhead_squat(of_demo.fitted(), of_demo.measured_angles(), repetitions)
        put_result(store.session("visit-3"), "metrics", one)
        record = read_json(store.path / "visit-4" / "session.json")
        record["provenance"]["versions"]["mobility"] = "0.1.0"
        change_record(store.session("visit-4"), provenance=record["provenance"])
        quality = of_demo.capture_quality()
        quality["view"] |= {"name": "front", "azimuth_deg": 0.0}
        file = store.path / "visit-6" / "capture_quality.json"
        write_json(file, quality)
        stages = read_json(file.with_name("session.json"))["stages"]
        stages["capture_quality"]["sha256"] = sha256(file)
        change_record(store.session("visit-6"), stages=stages)
        for session in store.sessions():
            taken_as_current(session)
        store.course("p01").set_note("2026-05-05", "New exercises for the hips")
        made = store.render_course("p01")
        page = browser.new_page(
            viewport={"width": WIDTH, "height": 1141}, device_scale_factor=SCALE
        )
        page.goto(Path(made["html"]).as_uri())
        save(page.screenshot(), "course")


def save(shown: bytes, name: str) -> None:
    """Store a picture."""
    picture = Image.open(io.BytesIO(shown)).convert("RGB")
    picture.save(IMAGES / f"{name}.webp", quality=QUALITY, method=6)


def main() -> None:
    """Take all four pictures."""
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("needs Debian's chromium: apt-get install --no-install-recommends chromium")
    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        report(browser)
        visit(browser)
        course(browser)
        browser.close()


if __name__ == "__main__":
    main()
