"""Take pictures of the trial viewer with the demo, for docs/images/trial.webp."""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Locator, Page, sync_playwright

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT / "tests"))

from browser import run_all  # noqa: E402
from jupyter_lab import jupyter_lab  # noqa: E402
from widget_page import make_page  # noqa: E402

FIRST_S, LAST_S, PER_SECOND = 0.9, 5.1, 8
"""One repetition, from standing to standing."""

WIDTH, QUALITY = 720, 60
MOST_BYTES = 1_500_000
SHOWN = 2
"""Curves below the video."""


def frames(page: Page, trial: Locator) -> list[Image.Image]:
    """Step through the repetition, and keep each picture from the title to the second curve."""
    trial.locator(".mobility-panels canvas").first.wait_for(timeout=120_000)
    page.wait_for_function("document.querySelector('.mobility-trial video').readyState >= 2")
    for name in ("Ankle dorsiflexion", "Shoulder elevation"):
        trial.get_by_label(name, exact=True).uncheck()
    slider = trial.get_by_label("Time in the recording")
    rate = float(page.evaluate(FRAME_RATE))
    trial.evaluate("one => one.scrollIntoView({block: 'start'})")
    found = []
    for i in range(round((LAST_S - FIRST_S) * PER_SECOND)):
        frame = round((FIRST_S + i / PER_SECOND) * rate)
        slider.evaluate(STEP_TO, frame)
        trial.get_by_text(f"frame {frame + 1} of").wait_for()
        page.wait_for_timeout(250)  # until the video has found the frame
        whole, last = trial.bounding_box(), trial.locator(".mobility-panels").bounding_box()
        assert whole is not None
        assert last is not None
        clip = {**whole, "height": last["y"] + last["height"] - whole["y"]}
        found.append(Image.open(io.BytesIO(page.screenshot(clip=clip))).convert("RGB"))
    return found


STEP_TO = """(slider, frame) => {
    slider.value = frame;
    slider.dispatchEvent(new Event("input", {bubbles: true}));
}"""
FRAME_RATE = """() => {
    const root = document.querySelector(".mobility-trial");
    const frames = Number(root.querySelector("input[type=range]").max);
    return frames / root.querySelector("video").duration;
}"""


def main() -> None:
    """Open the viewer in a real JupyterLab, and write its pictures as one animation."""
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("needs Debian's chromium: apt-get install --no-install-recommends chromium")
    out = PROJECT / "docs" / "images" / "trial.webp"
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        folder = Path(temporary)
        notebook = make_page(PROJECT / "data" / "demo" / "overhead-squat", folder)
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        with jupyter_lab(folder, ["lab", notebook.name]) as address:
            page = browser.new_page(viewport={"width": 1280, "height": 2400})
            run_all(page, address)
            trial = page.locator(".mobility-trial").first
            pictures = frames(page, trial)
        browser.close()
    height = round(pictures[0].height * WIDTH / pictures[0].width)
    first, *others = [one.resize((WIDTH, height), Image.Resampling.LANCZOS) for one in pictures]
    first.save(
        out,
        save_all=True,
        append_images=others,
        duration=1000 // PER_SECOND,
        loop=0,
        quality=QUALITY,
        method=6,
    )
    if out.stat().st_size > MOST_BYTES:
        sys.exit(f"{out}: {out.stat().st_size} bytes, more than {MOST_BYTES}")
    print(out, out.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
