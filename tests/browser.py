"""What a browser sees, as JSON: ``browser.py CHROMIUM KIND URL [FOLDER]``.

The tests run this in a process of its own: playwright's event loop must not meet the loops of
the kernels, and its warnings are not the project's.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

WIDTHS = (1000, 400)

MEASURE_PAGE = """() => ({
    headings: [...document.querySelectorAll("h1")].map(e => e.innerText),
    images: [...document.images].map(e => ({width: e.naturalWidth, alt: e.alt})),
})"""

# Only what sticks out of the page itself counts: a wide table may scroll inside its own box.
MEASURE_WIDTH = "document.documentElement.scrollWidth"

PLAY_VIDEO = """async () => {
    const video = document.querySelector("video");
    const event = name => new Promise((resolve, reject) => {
        video.addEventListener(name, resolve, {once: true});
        setTimeout(() => reject(new Error(`no ${name} in 20 s`)), 20000);
    });
    if (video.readyState < 4) await event("canplaythrough");
    const seen = {
        ready: video.readyState, width: video.videoWidth, height: video.videoHeight,
        duration: video.duration, positions: [video.currentTime],
    };
    await video.play();
    for (let i = 0; i < 3; i++) {
        await event("timeupdate");
        seen.positions.push(video.currentTime);
    }
    video.pause();
    seen.error = video.error && video.error.message;
    return seen;
}"""

SEEK = """async target => {
    const video = document.querySelector("video");
    const done = new Promise((resolve, reject) => {
        video.addEventListener("seeked", resolve, {once: true});
        setTimeout(() => reject(new Error("no seeked in 20 s")), 20000);
    });
    video.currentTime = target;
    await done;
    // The picture is on the screen when the second frame of the page begins.
    await new Promise(resolve => requestAnimationFrame(() => requestAnimationFrame(resolve)));
    return video.currentTime;
}"""

# textContent, as what is scrolled out of sight has no innerText.
CELLS = """() => [...document.querySelectorAll(".jp-Notebook .jp-CodeCell")].map(cell => ({
    prompt: cell.querySelector(".jp-InputPrompt").textContent.trim(),
    errors: [...cell.querySelectorAll('.jp-OutputArea-output[data-mime-type$=".stderr"], '
             + '.jp-OutputArea-output[data-mime-type$=".error"]')].map(e => e.textContent),
    pictures: [...cell.querySelectorAll(".jp-OutputArea img")].map(e => e.naturalWidth),
    rows: cell.querySelectorAll(".jp-OutputArea table tbody tr").length,
}))"""


def see_report(page: Page, url: str, folder: Path | None) -> dict[str, Any]:
    """Measure a page at two widths."""
    page.goto(url)
    seen: dict[str, Any] = page.evaluate(MEASURE_PAGE)
    seen["widths"] = {}
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        seen["widths"][width] = page.evaluate(MEASURE_WIDTH)
        if folder:
            page.screenshot(path=folder / f"report-{width}.png", full_page=True)
    return seen


def see_video(page: Page, url: str, folder: Path | None) -> dict[str, Any]:
    """Play the video of a page, then seek in it: back, and forwards."""
    page.goto(url)
    seen: dict[str, Any] = page.evaluate(PLAY_VIDEO)
    seen["sought"] = []
    for part in (0.2, 0.9, 0.5):
        target = part * seen["duration"]
        seen["sought"].append([target, page.evaluate(SEEK, target)])
        if folder:
            page.locator("video").screenshot(path=folder / f"at-{part}.png")
    return seen


def see_notebook(page: Page, url: str, folder: Path | None) -> dict[str, Any]:
    """Run all cells of the notebook that JupyterLab shows."""
    page.goto(url)
    # The circle in the toolbar says idle before a kernel is connected; the status bar does not.
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=60_000)
    opened = page.title()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    page.wait_for_function(
        """() => [...document.querySelectorAll(".jp-Notebook .jp-CodeCell .jp-InputPrompt")]
                 .every(e => /^\\[\\d+\\]:$/.test(e.textContent.trim()))
              || document.querySelector('.jp-OutputArea-output[data-mime-type$=".stderr"], '
                                        + '.jp-OutputArea-output[data-mime-type$=".error"]')""",
        timeout=180_000,
    )
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=60_000)
    seen = {
        "title": opened,
        "cells": page.evaluate(CELLS),
        "dialogs": page.locator(".jp-Dialog, .Toastify__toast").all_inner_texts(),
    }
    if folder:
        # High enough for the whole notebook, which scrolls inside its own panel.
        page.set_viewport_size({"width": 1280, "height": 4000})
        page.locator(".jp-Notebook .jp-Cell").first.scroll_into_view_if_needed()
        page.wait_for_timeout(1000)
        page.screenshot(path=folder / "notebook.png")
    page.keyboard.press("Control+s")
    page.wait_for_function("""() => !document.querySelector(".jp-mod-dirty")""")
    return seen


def main(chromium: str, kind: str, url: str, folder: str | None = None) -> None:
    """Open a browser, see the page, print what was seen, said and asked for."""
    see = {"report": see_report, "video": see_video, "notebook": see_notebook}[kind]
    said: list[str] = []
    asked: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium,
            headless=True,
            args=["--no-sandbox", "--disable-dev-shm-usage"],
        )
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.on(
            "console",
            lambda message: (
                said.append(f"{message.type}: {message.text}") if message.type == "error" else None
            ),
        )
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("requestfailed", lambda request: said.append(f"failed: {request.url}"))
        page.on("request", lambda request: asked.append(request.url))
        page.on("websocket", lambda socket: asked.append(socket.url))
        try:
            seen = see(page, url, Path(folder) if folder else None)
        except Exception:
            if folder:
                page.screenshot(path=Path(folder) / "failed.png")
            raise
        finally:
            browser.close()
    seen["said"] = said
    seen["asked"] = [address for address in asked if not address.startswith(("data:", "blob:"))]
    json.dump(seen, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
