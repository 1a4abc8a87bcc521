"""What a browser sees, as JSON: ``browser.py CHROMIUM KIND URL [FOLDER]``.

The tests run this in a process of its own: playwright's event loop must not meet the loops of
the kernels, and its warnings are not the project's.
"""

from __future__ import annotations

import base64
import itertools
import json
import re
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import (
    ConsoleMessage,
    FileChooser,
    Frame,
    Locator,
    Page,
    Request,
    sync_playwright,
)

WIDTHS = (1000, 400)
IDLE = "Python 3 (ipykernel) | Idle"
Seen = dict[str, Any]

MEASURE_PAGE = """() => ({
    headings: [...document.querySelectorAll("h1")].map(e => e.innerText),
    images: [...document.images].map(e => ({width: e.naturalWidth, alt: e.alt})),
})"""

# Only what sticks out of the page itself counts: a wide table may scroll inside its own box.
MEASURE_WIDTH = "document.documentElement.scrollWidth"


# textContent, as what is scrolled out of sight has no innerText.
CELLS = """() => [...document.querySelectorAll(".jp-Notebook .jp-CodeCell")].map(cell => ({
    prompt: cell.querySelector(".jp-InputPrompt").textContent.trim(),
    errors: [...cell.querySelectorAll('.jp-OutputArea-output[data-mime-type$=".stderr"], '
             + '.jp-OutputArea-output[data-mime-type$=".error"]')].map(e => e.textContent),
    pictures: [...cell.querySelectorAll(".jp-OutputArea img")].map(e => e.naturalWidth),
    rows: cell.querySelectorAll(".jp-OutputArea table tbody tr").length,
}))"""

ERRORS = (
    '.jp-OutputArea-output[data-mime-type$=".stderr"], '
    '.jp-OutputArea-output[data-mime-type$=".error"]'
)


def see_report(page: Page, url: str, folder: Path | None) -> Seen:
    """Measure a page at two widths."""
    page.goto(url)
    seen: Seen = page.evaluate(MEASURE_PAGE)
    seen["widths"] = {}
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        seen["widths"][width] = page.evaluate(MEASURE_WIDTH)
    return seen


def keep(what: Page | Locator, folder: Path | None, name: str, **options: Any) -> None:
    """Keep how something looks, where somebody wants to look at it."""
    if folder:
        what.screenshot(path=folder / f"{name}.png", **options)


def until(place: Page | Frame, expression: str) -> None:
    """Wait until an expression holds, in a page that lets nobody evaluate texts by itself."""
    for _ in range(600):
        if place.evaluate(expression):
            return
        place.wait_for_timeout(100)
    raise TimeoutError(expression)


def see_trial(page: Page, url: str, folder: Path | None) -> Seen:
    """Play a report's trial, step in it, choose a curve; print it, and look without script."""
    page.goto(url)
    until(page, "document.querySelector('.live video')?.readyState >= 2")
    seen: Seen = {"ready": page.evaluate("document.querySelector('.live video').readyState")}
    page.get_by_label("One frame forward").click()
    text = "document.querySelector('.live input[type=range]').getAttribute('aria-valuetext')"
    seen["frame"] = page.evaluate(text).split(", ")[1]
    page.get_by_role("button", name="Play", exact=True).click()
    until(page, f"Number({text}.split(' ')[0]) > 0.3")
    page.get_by_role("button", name="Pause", exact=True).click()
    seen["played"] = int(page.evaluate(text).split("frame ")[1].split(" ")[0])
    mark = page.locator(".live .mobility-step")
    mark.click()
    seen["step"] = [mark.get_attribute("title"), page.evaluate(text).split(",")[0]]
    page.get_by_label("Trunk lean", exact=True).check()
    seen["panels"] = page.locator(".live .mobility-panels canvas").count()
    still = page.locator(".still").first
    seen["still"] = {"screen": still.is_visible()}
    page.emulate_media(media="print")
    seen["still"]["print"] = still.is_visible()
    folded = re.compile("What else is told|Loose clothes|does not measure depth")
    more = page.get_by_text(folded)
    seen["more printed"] = more.first.is_visible()
    page.emulate_media(media="screen")
    seen["widths"], seen["axe"], seen["body"], seen["cut off"] = {}, [], {}, {}
    assert page.context.browser is not None
    for width, scheme in ((1280, "light"), (1280, "dark"), (400, "light"), (400, "dark")):
        # The page allows no script but its own, and so none that checks it.
        context = page.context.browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True
        )
        other = context.new_page()
        other.goto(url)
        until(other, "document.querySelector('.live video')?.readyState >= 2")
        other.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
        seen["widths"][width] = other.evaluate(MEASURE_WIDTH)
        seen["cut off"][width] = other.locator(".live .mobility-step").evaluate(
            "e => e.scrollWidth > e.clientWidth || e.scrollHeight > e.clientHeight"
        )
        seen["bands"] = other.locator(".live .mobility-bands > *").all_inner_texts()
        rules = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
        panel = cv2.imdecode(
            np.frombuffer(other.locator(".mobility-body canvas").screenshot(), np.uint8),
            cv2.IMREAD_GRAYSCALE,
        )
        seen["body"][scheme] = float(np.median(panel)) / 255
        faults = Axe().run(other, options=rules).response["violations"]
        seen["axe"] += [f"{width} {scheme}: {each['id']}" for each in faults]
        context.close()
    context = page.context.browser.new_context(java_script_enabled=False)
    bare = context.new_page()
    bare.goto(url)
    seen["still"]["no script"] = bare.locator(".still").first.is_visible()
    context.close()
    return seen


def run_all(page: Page, url: str) -> None:
    """Open a notebook and run all of its cells, without looking at what they give."""
    page.goto(url)
    # The circle in the toolbar says idle before a kernel is connected; the status bar does not.
    page.get_by_text(IDLE).wait_for(timeout=120_000)
    menu(page, "Run", "Run All Cells")


def menu(page: Page, *names: str) -> None:
    """Choose in the menus of JupyterLab."""
    for name in names:
        page.get_by_role("menuitem", name=name, exact=True).click()


def save(page: Page, *, by_menu: bool = False) -> None:
    """Save the notebook, by the menu where the focus is in a widget, whose key is its own."""
    if by_menu:
        menu(page, "File")
        page.get_by_role("menuitem", name=re.compile("^Save Notebook(?! As)")).click()
    else:
        page.keyboard.press("Control+s")
    page.wait_for_function("""() => !document.querySelector(".jp-mod-dirty")""")


def until_run(page: Page) -> None:
    """Wait until every cell has run, or one has failed."""
    page.wait_for_function(
        """() => [...document.querySelectorAll(".jp-Notebook .jp-CodeCell .jp-InputPrompt")]
                 .every(e => /^\\[\\d+\\]:$/.test(e.textContent.trim()))
              || document.querySelector('.jp-OutputArea-output[data-mime-type$=".stderr"], '
                                        + '.jp-OutputArea-output[data-mime-type$=".error"]')""",
        timeout=600_000,
    )
    page.get_by_text(IDLE).wait_for()


def picture(page: Page, name: str, folder: Path | None) -> None:
    """Keep how one widget looks, in a window that is high enough for it."""
    if folder:
        widget = page.locator(f".mobility-{name}").first
        page.set_viewport_size({"width": 1280, "height": 1700})
        widget.scroll_into_view_if_needed()
        page.wait_for_timeout(500)
        widget.screenshot(path=folder / f"{name}.png")


def see_widgets(page: Page, url: str, folder: Path | None) -> Seen:
    """Use every widget of the page of tests/widget_page.py as a person would.

    The notebook ran elsewhere; it is run, saved, its kernel ended, and opened again.
    """
    page.set_viewport_size({"width": 1280, "height": 3600})
    page.goto(url)
    seen: Seen = {"another's": saved(page)}
    run_all(page, url)
    until_run(page)
    page.locator(".mobility-upload").wait_for()
    seen["hidden"] = still_pictures(page)
    page.set_viewport_size({"width": 1280, "height": 1700})
    seen["config"] = use_config(page, folder)
    report = open_report(page, "Knee and hip")
    seen["report"] = read_report(report)
    report.close()
    page.bring_to_front()
    seen["keyboard"] = use_keyboard(page)
    for use in (use_trial, use_sessions, use_upload):
        seen[use.__name__.removeprefix("use_")] = use(page, folder)
    seen["errors"] = page.locator(ERRORS).all_inner_texts()
    save(page, by_menu=True)
    menu(page, "Kernel", "Shut Down Kernel")
    page.get_by_text("No Kernel").first.wait_for()
    page.set_viewport_size({"width": 1280, "height": 3600})
    page.goto(url)
    seen["own"] = saved(page)
    return seen


def saved(page: Page) -> Seen:
    """What a notebook shows that was saved, before anything runs."""
    page.get_by_text(IDLE).wait_for(timeout=120_000)
    page.locator(".jp-OutputArea img").nth(1).wait_for()
    page.wait_for_timeout(2000)
    return {
        "text": page.locator(".jp-Notebook").inner_text(),
        "stills": still_pictures(page),
        "pictures": page.locator(".jp-OutputArea img").evaluate_all(
            "all => all.map(image => image.naturalWidth)"
        ),
        "errors": page.locator(ERRORS).all_inner_texts(),
    }


def still_pictures(page: Page) -> Any:
    """Tell of each still picture beside a widget whether it is seen."""
    return page.locator("[data-mobility-still]").evaluate_all(
        "all => all.map(still => still.checkVisibility())"
    )


# Tab reaches one radio button of a group, the chosen one or the first; the arrows reach the others.
CONTROLS = """root => [...root.querySelectorAll(
    "a[href], button, input, select, textarea, summary, [tabindex='0']"
)].filter(e => !e.disabled && e.checkVisibility()).filter(e => {
    const of = [...root.querySelectorAll(`[type=radio][name="${e.name}"]`)];
    return e.type !== "radio" || e === (of.find(each => each.checked) || of[0]);
})"""

FOCUSED = f"""root => {{
    const style = getComputedStyle(document.activeElement);
    return [({CONTROLS})(root).indexOf(document.activeElement), style.outlineStyle];
}}"""

NAMELESS = re.compile(
    r"^\s*- (button|checkbox|textbox|slider|combobox|spinbutton|searchbox|link|img|region|group"
    r"|progressbar|alertdialog)(?! \")",
    re.MULTILINE,
)


def use_keyboard(page: Page) -> Seen:
    """Use every widget without a mouse, and read what a screen reader is told."""
    page.locator(".mobility-trial .mobility-panels canvas").first.wait_for(timeout=120_000)
    seen: Seen = {"told": {}, "reached": {}, "outlines": {}, "nameless": {}}
    correct = page.get_by_text("Correct the repetitions")
    correct.press("Enter")
    config = page.locator(".mobility-config")
    config.get_by_label("Ankle, left", exact=True).press("Space")
    config.get_by_label("Comment on Ankle, left").wait_for()
    upload = page.locator(".mobility-upload")
    broken = {"name": "broken.mp4", "mimeType": "video/mp4", "buffer": b"no video" * 99}
    upload.locator("input[multiple]").set_input_files(broken)
    for name in ("config", "trial", "sessions", "upload"):
        widget = page.locator(f".mobility-{name}")
        tree = seen["told"][name] = widget.aria_snapshot()
        seen["nameless"][name] = [line.group().strip() for line in NAMELESS.finditer(tree)]
        count = widget.evaluate(f"root => ({CONTROLS})(root).length")
        widget.evaluate(f"root => ({CONTROLS})(root)[0].focus()")
        places = [widget.evaluate(FOCUSED)]
        while len({place for place, _ in places}) < count and len(places) < 2 * count + 8:
            page.keyboard.press("Tab")
            places.append(widget.evaluate(FOCUSED))
        # Tab stops at day, month and year of a date, which is one control.
        reached = [place for place, _ in itertools.groupby(place for place, _ in places)]
        seen["reached"][name] = [count, reached]
        seen["outlines"][name] = sorted({outline for _, outline in places[1:]})
    correct.press("Enter")
    # Settings: order by Alt and an arrow, saved by Ctrl+S.
    config.get_by_label("Ankle, left", exact=True).press("Alt+ArrowUp")
    page.keyboard.press("Control+s")
    config.get_by_text("saved; the next report uses these settings").wait_for()
    seen["order"] = config.locator("figcaption").all_inner_texts()
    # Sessions: a deletion is asked for, and Escape keeps the session.
    sessions = page.locator(".mobility-sessions")
    sessions.get_by_role("button", name="Delete An old one").press("Enter")
    sessions.get_by_role("alertdialog", name="Delete the session?").wait_for()
    seen["asked_to"] = page.evaluate("document.activeElement.textContent")
    page.keyboard.press("Escape")
    seen["rows"] = sessions.locator("tbody tr").count()
    # Upload: the fault is read out, and belongs to its field.
    upload.get_by_role("button", name="Add the video").press("Enter")
    upload.get_by_role("alert").filter(has_text="choose the exercise").wait_for()
    field = upload.get_by_role("group", name="Exercise")
    described = field.get_attribute("aria-describedby")
    seen["described"] = page.locator(f"[id='{described}']").inner_text()
    seen["invalid"] = field.get_attribute("aria-invalid")
    upload.get_by_role("button", name="Remove broken.mp4").press("Enter")
    return seen


def see_workbench(page: Page, url: str, folder: Path | None) -> Seen:
    """Go through the workbench with single joints: from an empty store to a report that is read."""
    page.set_viewport_size({"width": 1280, "height": 1700})
    run_all(page, url)
    seen: Seen = {"title": page.title()}
    until_run(page)
    seen["cells"] = page.evaluate(CELLS)
    seen["dialogs"] = page.locator(".jp-Dialog, .Toastify__toast").all_inner_texts()
    save(page, by_menu=True)
    seen["config"] = use_config(
        page, None, shown=("Elbow, left", "Shoulder, both sides"), undone="Knee, right"
    )
    seen["trial"] = use_trial(page, None, noun="Movement", middle="turn", moved_to="6.0")
    seen["upload"] = use_upload(
        page, None, demo="joint-angle-mobility", exercise="Joint Angle Mobility", limited=False
    )
    report = open_report(page, "First run")
    seen.update(read_report(report))
    seen["errors"] = page.locator(ERRORS).all_inner_texts()
    return seen


def open_report(page: Page, title: str) -> Page:
    """Render the report of a session from the table, and open it."""
    widget = page.locator(".mobility-sessions")
    widget.get_by_role("button", name=f"Report {title}").click()
    link = widget.get_by_role("link", name="open it")
    link.wait_for(timeout=400_000)
    with page.expect_popup() as opened:
        link.click()
    opened.value.wait_for_load_state()
    return opened.value


def read_report(report: Page) -> Seen:
    """Tell what stands in a report."""
    return {
        "address": report.url,
        "report": report.locator("body").inner_text(),
        "headings": report.locator("h2, h3, h4").all_text_contents(),
        "measures": report.locator("table").locator("th[scope=row]").all_text_contents(),
        "figures": report.evaluate("[...document.images].map(e => e.alt)"),
    }


def use_config(
    page: Page,
    folder: Path | None,
    *,
    shown: tuple[str, str] = ("Knee, both sides", "Hip, left"),
    undone: str = "Elbow, right",
) -> Seen:
    """Choose two angles, change their order, write a comment, undo, save."""
    first, second = shown
    widget = page.locator(".mobility-config")
    widget.wait_for(timeout=120_000)
    for label in (first, second, undone):
        widget.get_by_label(label, exact=True).check()
        widget.locator("figcaption").get_by_text(label, exact=True).wait_for()
        # Until the kernel has answered, the page shows what was asked.
        widget.locator("ul[aria-busy=false]").wait_for()
    # A curve that is drawn meanwhile moves the button away under the mouse.
    curves = widget.locator("figure.mobility-curve")
    for place in (0, 1):
        curves.nth(place).locator("svg path").first.wait_for()
    curves.nth(2).locator("svg path").first.wait_for(state="attached")
    widget.get_by_role("button", name="Undo").click()
    widget.get_by_label(undone, exact=True).and_(widget.locator(":not(:checked)")).wait_for()
    widget.locator("ul[aria-busy=false]").wait_for()
    widget.get_by_role("button", name=f"Move {second} up").click()
    widget.get_by_label(f"Comment on {first}").fill("Check the alignment on the way down.")
    widget.locator("figure.mobility-curve").nth(1).locator("svg path").first.wait_for()
    widget.get_by_role("button", name="Save", exact=True).click()
    widget.get_by_text("saved; the next report uses these settings").wait_for()
    widget.get_by_text("Saved.", exact=True).wait_for()
    picture(page, "config", folder)
    return {
        "shown": widget.locator("figcaption").all_inner_texts(),
        "paths": widget.locator("figure.mobility-curve path").count(),
    }


def drag(page: Page, what: Locator, x: float, y: float) -> None:
    """Take something in its middle and move it by pixels."""
    box = what.bounding_box()
    assert box is not None
    left, top = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(left, top)
    page.mouse.down()
    page.mouse.move(left + x, top + y, steps=4)
    page.mouse.up()


def use_trial(
    page: Page,
    folder: Path | None,
    *,
    noun: str = "Repetition",
    middle: str = "bottom",
    moved_to: str = "7.0",
) -> Seen:
    """Play, step, jump by a curve, turn the body, zoom, move the end of a repetition."""
    widget = page.locator(".mobility-trial")
    widget.locator(".mobility-panels canvas").first.wait_for(timeout=120_000)
    slider = widget.get_by_label("Time in the recording")
    page.wait_for_function("document.querySelector('.mobility-trial video').readyState >= 2")

    def state() -> Any:
        return widget.evaluate("""root => ({
            frame: Number(root.querySelector('input[type=range]').value),
            said: root.querySelector('input[type=range]').getAttribute('aria-valuetext'),
            video: root.querySelector('video').currentTime,
            cursor: parseFloat(root.querySelector('.mobility-cursor').style.left),
        })""")

    def looks(selector: str) -> Any:
        return widget.locator(selector).first.evaluate("canvas => canvas.toDataURL()")

    def key(name: str) -> Any:
        page.keyboard.press(name)
        page.wait_for_timeout(700)
        return state()

    def value() -> float:
        return float(end.get_attribute("aria-valuenow") or "nan")

    seen: Seen = {"source": widget.locator("video").get_attribute("src")}
    seen["played"] = [state()]
    empty = looks(".mobility-screen canvas")
    widget.get_by_role("button", name="Play").click()
    for _ in range(3):
        page.wait_for_function(
            "from => document.querySelector('.mobility-trial input[type=range]').value > from + 5",
            arg=seen["played"][-1]["frame"],
        )
        seen["played"].append(state())
    widget.get_by_role("button", name="Pause").click()
    seen["skeleton_moves"] = looks(".mobility-screen canvas") != empty
    widget.locator(".mobility-panels canvas").first.click(position={"x": 300, "y": 50})
    page.wait_for_timeout(700)
    seen["jumped"] = state()
    seen["stepped"] = key("ArrowRight")
    slider.focus()
    seen["slid"] = key("ArrowLeft")
    seen["cells"] = [page.locator(".jp-Cell").count()]
    widget.get_by_role("button", name="One frame forward").focus()
    page.keyboard.press("d")
    page.keyboard.press("d")
    page.wait_for_timeout(300)
    seen["cells"].append(page.locator(".jp-Cell").count())
    before = looks(".mobility-body canvas")
    widget.locator(".mobility-body canvas").focus()
    page.keyboard.press("ArrowRight")
    by_keys = looks(".mobility-body canvas")
    drag(page, widget.locator(".mobility-body canvas"), 60, 10)
    seen["turned"] = [before != by_keys, by_keys != looks(".mobility-body canvas")]
    page.keyboard.press("0")
    end = widget.get_by_role("slider", name=f"{noun} 1, end")
    seen["marks"] = {"whole": widget.get_by_role("slider", name=noun).count()}
    widget.get_by_role("button", name="Zoom in on the curves").click()
    seen["marks"]["zoomed"] = widget.get_by_role("slider", name=noun).count()
    seen["zoomed"] = widget.get_by_text(re.compile(r"^[\d.]+ to [\d.]+ s$")).inner_text()
    widget.get_by_role("button", name="Zoom out of the curves").click()
    widget.get_by_text("the whole recording").wait_for()
    seen["end"] = [value()]
    drag(page, end, 10, 0)
    seen["end"].append(value())
    end.focus()
    page.keyboard.press("ArrowLeft")
    seen["end"].append(value())
    widget.get_by_text(f"Correct the {noun.lower()}s").click()
    written = widget.get_by_label(f"{noun} 2, {middle}, seconds")
    written.fill(moved_to)
    written.press("Tab")
    picture(page, "trial", folder)
    widget.get_by_role("button", name=f"Save {noun.lower()}s").click()
    widget.get_by_text(f"saved; the next report uses these {noun.lower()}s").wait_for(
        timeout=600_000  # where the code is newer than the demo, all is computed anew
    )
    seen["by_hand"] = widget.get_by_role("button", name="Find them again").is_enabled()
    seen["skeleton"] = correct_skeleton(page, widget, folder)
    return seen


def correct_skeleton(page: Page, widget: Locator, folder: Path | None) -> Seen:
    """Mark a landmark as wrong, move a point of the picture, save, and undo it."""
    widget.get_by_text("Correct the skeleton").click()
    widget.get_by_label("First moment, seconds").fill("2.00")
    widget.get_by_label("Last moment, seconds").fill("2.40")
    widget.get_by_label("Landmark", exact=True).select_option("left_wrist")
    widget.get_by_role("button", name="is wrong").click()
    editor = widget.get_by_label("Correct the skeleton")
    rows = editor.locator("tr")
    seen: Seen = {"rows": [rows.inner_text()]}
    widget.get_by_role("button", name="Move points in the picture").click()
    screen = widget.locator(".mobility-screen")
    screen.scroll_into_view_if_needed()
    box = screen.bounding_box()
    assert box is not None
    for part in range(30, 85, 3):  # down the body, until a landmark is near
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] * part / 100
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + 6, y + 4, steps=3)
        page.mouse.up()
        if rows.count() > 1:
            break
    seen["rows"] += [rows.filter(has_text="moved").inner_text()]
    keep(widget, folder, "skeleton")
    widget.get_by_role("button", name="Save corrections").click()
    widget.get_by_text("saved; the next report uses the corrected skeleton").wait_for(
        timeout=600_000
    )
    seen["saved"] = rows.count()
    # A wrong landmark is gone from the skeleton, and can still be put in its place.
    rows.get_by_role("button", name="2.00 to 2.40 s", exact=True).click()
    page.mouse.click(box["x"] + box["width"] / 4, box["y"] + box["height"] / 4)
    seen["put"] = rows.filter(has_text="left wrist moved").count()
    editor.get_by_role("button", name="Undo changes").click()
    widget.get_by_role("button", name="Use what was detected").click()
    page.wait_for_function(
        """() => ![...document.querySelectorAll('.mobility-trial tr button')]
            .some(button => (button.ariaLabel || '').startsWith('Remove: '))""",
        timeout=600_000,
    )
    return seen


def use_sessions(page: Page, folder: Path | None) -> Seen:
    """Filter the table, open a session, keep one, delete it after all."""
    widget = page.locator(".mobility-sessions")
    rows = widget.locator("tbody tr")
    seen: Seen = {"all": rows.count()}
    widget.get_by_label("Search participants and sessions").fill("p07 old")
    seen["filtered"] = rows.all_inner_texts()
    widget.get_by_label("Search participants and sessions").fill("")
    widget.get_by_role("button", name="Open Overhead squat").click()
    widget.locator('tr[aria-selected="true"]').wait_for()
    widget.get_by_role("button", name="Delete An old one").click()
    picture(page, "sessions", folder)
    page.keyboard.press("Escape")
    seen["kept"] = rows.count()
    widget.get_by_role("button", name="Delete An old one").click()
    widget.get_by_role("alertdialog").get_by_role("button", name="Delete").click()
    widget.get_by_text("session old is deleted").wait_for()
    seen["left"] = rows.count()
    return seen


def use_upload(
    page: Page,
    folder: Path | None,
    *,
    demo: str = "overhead-squat",
    exercise: str = "Overhead Squat",
    limited: bool = True,
) -> Seen:
    """Add a film of no exercise, no film, too large a film, and then the demo's."""
    widget = page.locator(".mobility-upload")
    faults = widget.locator(".mobility-fault:visible")

    def take(file: Any) -> None:
        widget.locator("input[multiple]").set_input_files(file)

    def add() -> None:
        widget.get_by_role("button", name="Add the video").click()

    contents = {"broken": b"no video" * 99, "large": b"\0" * 2_500_000}
    seen: Seen = {}
    for name in ("broken", *(["large"] if limited else [])):
        take({"name": f"{name}.mp4", "mimeType": "video/mp4", "buffer": contents[name]})
        if "nothing" not in seen:
            add()
            widget.get_by_text("choose the exercise").wait_for()
            seen["nothing"] = faults.all_inner_texts()
            widget.get_by_role("combobox", name="Participant").fill("p08")
        widget.get_by_role("radio", name=exercise, exact=True).check()
        add()
        widget.locator(".mobility-fault:visible", has_text=name).wait_for()
        seen[name] = faults.all_inner_texts()
        if name == "broken":
            picture(page, "upload", folder)
        widget.get_by_role("button", name=f"Remove {name}.mp4").click()
    take(Path.cwd() / "data" / "demo" / demo / "video.mp4")
    widget.get_by_role("radio", name=exercise, exact=True).check()
    widget.get_by_role("group", name="More on video.mp4").locator("summary").click()
    preview = widget.locator("video.mobility-preview")
    preview.wait_for()
    preview.click(position={"x": 20, "y": 30})
    seen["subject"] = widget.get_by_role("textbox", name="Person").input_value()
    add()
    widget.get_by_text("video.mp4 is added").wait_for()
    seen["good"] = faults.all_inner_texts()
    page.locator(".mobility-sessions tbody tr", has_text="p08").wait_for()
    return seen


LIGHT = """element => {
    const [r, g, b] = getComputedStyle(element).backgroundColor.match(/[\\d.]+/g).map(Number);
    return (0.2126 * r + 0.7152 * g + 0.0722 * b) / 255;
}"""


# Where the keyboard is: the control by its name, the widget around it, and whether it is seen.
WHERE = """() => {
    const e = document.activeElement;
    const name = e.getAttribute("aria-label") || e.labels?.[0]?.innerText || e.innerText || "";
    const {outlineStyle, outlineWidth} = getComputedStyle(e);
    return {
        tag: e.tagName, name: name.trim().split("\\n")[0],
        widget: e.closest(".mobility > section")?.className || "",
        seen: outlineStyle !== "none" && parseFloat(outlineWidth) >= 1,
    };
}"""

MAYBE_OURS = ("BUTTON", "INPUT", "SELECT", "TEXTAREA", "SUMMARY", "CANVAS", "A")


class Keyboard:
    """Whoever has a page or a frame of it, and nothing but keys.

    Attributes
    ----------
    unseen
        Controls on which the focus could not be seen.
    """

    def __init__(self, page: Page, place: Page | Frame | None = None, *, widget: str = "") -> None:
        self.page, self.place, self.widget = page, place or page, widget
        self.unseen: list[str] = []

    def to(self, name: str) -> None:
        """Go on until the control whose name begins so has the focus."""
        passed = []
        for _ in range(400):
            self.page.keyboard.press("Tab")
            where = self.place.evaluate(WHERE)
            passed.append(where["name"])
            ours = self.place is not self.page or where["widget"] or not self.widget
            if ours and where["tag"] in MAYBE_OURS and not where["seen"]:
                self.unseen.append(where["name"])
            if where["name"].startswith(name) and self.widget in where["widget"]:
                return
        raise AssertionError(f"{name!r} is not reached; passed were {passed}")

    def press(self, *keys: str) -> None:
        """Press keys, one after the other."""
        for key in keys:
            self.page.keyboard.press(key)

    def play(self) -> list[float]:
        """Play, pause, go two frames on with the slider; seconds before and after each."""

        def seconds() -> float:
            text = f"document.querySelector('{inside} input[type=range]').ariaValueText"
            return float(self.place.evaluate(text).split(" ")[0])

        inside = f".{self.widget}" if self.widget else ".mobility-trial"
        moments = [seconds()]
        self.to("Play")
        self.press("Space")
        for _ in range(600):
            if seconds() > moments[0] + 0.3:
                break
            self.page.wait_for_timeout(100)
        self.press("Space")
        moments.append(seconds())
        self.to("Time in the recording")
        self.press("ArrowRight", "ArrowRight")
        return [*moments, seconds()]


# Whatever a page tries, it reads nothing of whoever serves it.
TRIES = """async (address) => {
    const said = {};
    for (const [name, attempt] of Object.entries({
        cookies: () => document.cookie,
        storage: () => localStorage.length,
        parent: () => window.parent === window ? null : window.parent.document.title,
        fetch: async () => (await fetch(address, {credentials: "include"})).status,
        socket: () => new Promise((good, bad) => {
            const socket = new WebSocket(address.replace("http", "ws"));
            socket.onopen = good;
            socket.onerror = () => bad(new Error("refused"));
        }),
        script: () => new Promise((good) => {
            const script = document.createElement("script");
            script.textContent = "window.written = 1";
            document.body.append(script);
            setTimeout(() => good(window.written ?? null), 200);
        }),
    })) {
        try { said[name] = await attempt() ?? null; } catch (error) { said[name] = error.name; }
    }
    return [window.origin, said];
}"""


WHITE = """canvas => {
    const {width, height} = canvas;
    const drawn = canvas.getContext("2d").getImageData(0, 0, width, height).data;
    let found = 0;
    for (let i = 0; i < drawn.length; i += 4)
        if (drawn[i] + drawn[i + 1] + drawn[i + 2] + drawn[i + 3] === 4 * 255) found += 1;
    return found;
}"""


def see_fenced(page: Page, url: str, folder: Path | None) -> Seen:
    """Look at a report that a server serves; it tries to read what is not its own."""
    page.context.add_cookies([{"name": "secret", "value": "1", "url": url}])
    page.goto(url)
    until(page, "document.querySelector('.live video')?.readyState >= 2")
    page.get_by_role("button", name="One frame forward").click()
    origin, attempts = page.evaluate(TRIES, url)
    return {
        "frame": page.get_by_label("Time in the recording").get_attribute("aria-valuetext"),
        "origin": origin,
        "tried": attempts,
        "title": page.title(),
    }


def see_open_keys(page: Page, url: str, folder: Path | None) -> Seen:
    """Use the page of `mobility open`, which has two sessions, by keyboard alone."""
    page.goto(url)
    page.set_default_timeout(400_000)
    sessions = page.locator(".mobility-sessions")
    sessions.locator(".mobility-film").nth(1).wait_for()
    table = Keyboard(page, widget="mobility-sessions")
    table.to("All sessions")
    table.press("Enter")
    sessions.locator("tbody tr").nth(1).wait_for()
    people = sessions.locator("tbody tr td:nth-child(3)")
    table.to("Participant")
    seen: Seen = {}
    for key in ("Enter", "Space"):
        table.press(key)
        seen.setdefault("sorted", []).append(people.all_inner_texts())

    table.to("Open A squat")
    table.press("Enter")
    page.locator("[data-place=trial] .mobility-trial canvas").first.wait_for()
    until(page, "document.querySelector('[data-place=trial] video')?.readyState >= 2")
    # Who opened it goes on from there.
    seen["stays"] = page.evaluate(WHERE)["name"]
    trial = Keyboard(page, widget="mobility-trial")
    seen["played"] = trial.play()
    panels = page.locator("[data-place=trial] .mobility-panels canvas")
    before = panels.count()
    trial.to("Trunk lean")
    trial.press("Space")
    seen["curves"] = [before, panels.count()]

    table.to("Report A squat")
    table.press("Enter")
    inside = page.frame_locator(".mobility-report iframe")
    inside.locator(".live video").wait_for()
    seen["waited"] = page.evaluate(WHERE)["name"]
    frame = page.locator(".mobility-report iframe").element_handle().content_frame()
    assert frame is not None
    report = Keyboard(page, frame)
    seen["report"] = report.play()
    opened = inside.locator("details[open]")
    before = opened.count()
    frame_headings = inside.locator("summary").all_inner_texts()
    report.to(frame_headings[-1].strip())
    report.press("Enter")
    seen["headings"] = [before, opened.count()]
    address = page.evaluate("new URL('/api/contents', location.href).href")
    seen["tried"] = frame.evaluate(TRIES, address)
    seen["open to us"] = page.evaluate("async (a) => (await fetch(a)).status", address)

    form = Keyboard(page, widget="mobility-upload")
    form.to("Choose videos")
    choosers: list[FileChooser] = []
    page.on("filechooser", lambda chooser: choosers.append(chooser))
    for _ in range(60):
        # The browser may still think that the report's frame has the focus: the key gets lost.
        form.press("Enter")
        page.wait_for_timeout(2000)
        if choosers:
            break
    choosers[0].set_files(
        {"name": "broken.mp4", "mimeType": "video/mp4", "buffer": b"no video" * 99}
    )
    # Who chose a film goes on with its exercise.
    page.locator(".mobility-upload [type=radio]:focus").wait_for()
    form.press("Space")
    form.to("Participant")
    page.keyboard.type("p08")
    form.to("Add the video")
    form.press("Enter")
    fault = page.locator(".mobility-upload .mobility-fault:visible").filter(has_text="broken")
    fault.wait_for()
    seen["fault"] = fault.inner_text()
    seen["unseen"] = [*table.unseen, *trial.unseen, *report.unseen, *form.unseen]
    white = page.locator("[data-place=trial] .mobility-body canvas").evaluate(WHITE)
    assert white > 100  # the ground of the light theme, around the bones
    page.emulate_media(color_scheme="dark")
    body = page.locator("[data-place=trial] .mobility-body canvas")
    cursor = page.locator("[data-place=trial] .mobility-cursor")
    seen["dark"] = [page.locator(".mobility-trial").evaluate(LIGHT), body.evaluate(LIGHT)]
    seen["cursor"] = cursor.evaluate("e => getComputedStyle(e).borderLeftColor")
    page.wait_for_timeout(500)
    seen["left white"] = body.evaluate(WHITE)

    # What is deleted leaves the page.
    keep(page, folder, "before-deletion", full_page=True)
    sessions.get_by_role("button", name="Delete A squat of p02").click()
    sessions.locator(".mobility-confirm .mobility-danger").click()
    page.locator("[data-place=trial] .mobility-trial").wait_for(state="detached")
    page.locator(".mobility-report").wait_for(state="hidden")
    seen["left"] = people.all_inner_texts()
    keep(page, folder, "after-deletion", full_page=True)
    return seen


DROP = """async (files) => {
    const dropped = new DataTransfer();
    for (const [name, coded] of files) {
        const bytes = Uint8Array.from(atob(coded), (letter) => letter.charCodeAt(0));
        dropped.items.add(new File([bytes], name, {type: "video/mp4"}));
    }
    document.querySelector("main").dispatchEvent(
        new DragEvent("drop", {dataTransfer: dropped, bubbles: true, cancelable: true}));
}"""


def drop(page: Page, *files: Path) -> None:
    """Drop films somewhere on the page."""
    page.evaluate(
        DROP, [[file.name, base64.b64encode(file.read_bytes()).decode()] for file in files]
    )


def see_open_reload(page: Page, url: str, folder: Path | None) -> Seen:
    """Lose FOLDER/large.mp4 by a reload and by a closed tab; then add FOLDER/small.mp4."""
    assert folder is not None
    seen: Seen = {"lost": []}

    def begin(tab: Page, film: str) -> None:
        upload = tab.locator(".mobility-upload")
        upload.locator("input[type=file][multiple]").set_input_files(folder / film)
        upload.get_by_role("radio", name="Overhead Squat").check()
        upload.get_by_label("Filmed on").fill("2025-03-01")
        upload.get_by_role("button", name="Add the video").click()

    def lost(tab: Page) -> None:
        notice = tab.locator(".mobility-upload").get_by_text("Not added: ")
        notice.wait_for()
        seen["lost"].append(notice.inner_text())

    page.goto(url)
    page.set_default_timeout(200_000)  # a closed page is missed after 40 s if its last word is lost
    begin(page, "large.mp4")
    page.get_by_text("large.mp4: ").wait_for()
    page.get_by_role("button", name="Cancel").wait_for()
    page.reload()
    lost(page)
    browser = page.context.browser
    assert browser is not None
    tab = browser.new_page()
    tab.set_default_timeout(200_000)
    tab.goto(url)
    begin(tab, "large.mp4")
    tab.get_by_text("large.mp4: ").wait_for()
    tab.close()
    lost(page)
    begin(page, "small.mp4")
    page.set_default_timeout(400_000)
    page.frame_locator(".mobility-report iframe").locator("h1").first.wait_for()
    places = "['upload', 'check', 'sessions', 'report']"
    widths = "p => document.querySelector(`[data-place=${p}] .mobility`).offsetWidth"
    seen["cards"] = page.evaluate(f"() => {places}.map({widths})")
    return seen


def see_open_first(page: Page, url: str, folder: Path | None) -> Seen:
    """Look at the first screen of `mobility open`, search; add FOLDER/one.mp4 and two.mp4 by keys.

    The store has 300 sessions, of which the newest have a still.
    """
    assert folder is not None
    page.goto(url)
    sessions, upload = page.locator(".mobility-sessions"), page.locator(".mobility-upload")
    people = sessions.locator(".mobility-person")
    people.first.wait_for()
    seen: Seen = {"first": people.first.inner_text(), "drawn": [people.count()]}
    page.wait_for_function("document.querySelector('.mobility-still img')?.naturalWidth > 50")
    seen["visit"] = sessions.locator("h5").first.evaluate("e => ({...e.dataset})")
    tree = page.locator("main").aria_snapshot()
    seen["nameless"] = [line.group().strip() for line in NAMELESS.finditer(tree)]
    keys = Keyboard(page, widget="mobility-sessions")
    keys.to("7 earlier visits")
    keys.press("Enter")
    seen["earlier"] = people.first.locator("h5").all_inner_texts()
    seen["folded"] = page.evaluate("document.activeElement.ariaExpanded")
    keys.to("Show 28 more participants")
    keys.press("Enter")
    seen["drawn"].append(people.count())
    next_one = sessions.locator("[data-person]").nth(12)
    seen["goes on"] = next_one.evaluate("e => e.contains(document.activeElement)")
    search = sessions.get_by_role("searchbox")
    seen["searched"] = {}
    for words in ("ann miller", "p07 squat", "nobody of this name"):
        search.fill(words)
        seen["searched"][words] = [people.count(), sessions.get_by_text("of 40").inner_text()]
    search.fill("")
    for view in ("All sessions", "Participants"):
        sessions.get_by_role("button", name=view, exact=True).click()
        seen[view] = [
            sessions.locator("[aria-pressed=true]").inner_text(),
            sessions.locator("tbody tr").count(),
        ]

    drop(page, folder / "one.mp4", folder / "two.mp4")
    keys = Keyboard(page, widget="mobility-upload")
    keys.press("Space")
    keys.to("Remove two.mp4")
    keys.press("Tab", "Space", "ArrowRight")
    keys.to("Participant")
    page.keyboard.type("ann miller")
    seen["asked for"] = upload.locator("label:visible").all_inner_texts()
    seen["whom"] = upload.get_by_text("Ann Miller, p01").is_visible()
    seen["widths"], seen["axe"] = {}, []
    for width, scheme in ((1280, "light"), (1280, "dark"), (400, "light"), (400, "dark")):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        seen["widths"][width] = page.evaluate(MEASURE_WIDTH)
        rules = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
        faults = Axe().run(page, options=rules).response["violations"]
        faulty = [f"{each['id']} {each['nodes'][0]['html']}" for each in faults]
        seen["axe"] += [f"{width} {scheme}: {fault}" for fault in faulty]
        keep(page, folder, f"first-{width}-{scheme}")
    page.set_viewport_size({"width": 1280, "height": 900})
    keys.to("Add 2 videos")
    keys.press("Enter")
    upload.get_by_text("2 videos are added").wait_for()
    visit = people.first.locator(".mobility-visit").first
    for name in ("one.mp4", "two.mp4"):
        visit.get_by_text(name, exact=True).wait_for()
    seen["added"] = visit.inner_text()
    seen["left"] = upload.locator(".mobility-card:visible").count()
    seen["unseen"] = keys.unseen
    return seen


def see_open(page: Page, url: str, folder: Path | None) -> Seen:
    """Drop FOLDER/squat.mp4 on the page of `mobility open`, film FOLDER/phone.mp4, compare them."""
    assert folder is not None
    seen: Seen = {}
    page.goto(url)
    upload, sessions = page.locator(".mobility-upload"), page.locator(".mobility-sessions")
    upload.wait_for()
    drop(page, folder / "squat.mp4")
    upload.get_by_role("radio", name="Overhead Squat").check()
    participant = upload.locator("input[list]")  # which hides without a film
    participant.fill("p08")
    upload.get_by_role("button", name="Add the video").click()
    sessions.get_by_role("button", name="All sessions").click()
    sessions.get_by_text(re.compile("^analysing: ")).wait_for()
    seen["watched"] = [sessions.locator("progress").is_visible()]
    rows = sessions.locator("tbody tr")
    here = rows.filter(has_text="p08").filter(has_text="analysed")
    here.wait_for()
    # The form is empty for the next film, which is of the same person only if one says so.
    seen["emptied"] = [upload.locator(".mobility-card:visible").count(), participant.input_value()]
    keep(upload, folder, "emptied")
    with page.expect_file_chooser():
        upload.get_by_role("button", name="Another video of p08").click()
    seen["next"] = participant.input_value()
    seen["locked"] = {
        what: here.get_by_role("button", name=re.compile(f"^{what} ")).get_attribute(
            "aria-disabled"
        )
        for what in ("Open", "Analyse", "Delete")
    }

    # Meanwhile a phone scans the code that the page shows.
    codes = page.locator(".mobility-phones")
    codes.get_by_label("Participant").fill("p 09")
    codes.get_by_role("button", name="Show a code").click()
    codes.get_by_role("alert").filter(has_text="p 09").wait_for()
    codes.get_by_label("Participant").fill("p09")
    codes.get_by_role("button", name="Show a code").click()
    seen["code"] = codes.locator("code").filter(has_text="mob_").inner_text()
    browser = page.context.browser
    assert browser is not None
    phone = browser.new_page(viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
    phone.set_default_timeout(400_000)
    asked: list[str] = []
    phone.on("request", lambda request: asked.append(request.url))
    phone.goto(seen["code"])
    camera = phone.locator("#video")
    seen["camera"] = [camera.get_attribute(name) for name in ("accept", "capture")]
    seen["how"] = phone.locator("#how").inner_text()
    phone.get_by_label("What do you want to film?").select_option("Elbow flexion")
    seen["how of the elbow"] = phone.locator("#how").inner_text()
    seen["drawing"] = phone.locator("#drawing").evaluate("image => image.naturalWidth")
    phone.get_by_label("What do you want to film?").select_option("Overhead Squat")
    camera.set_input_files(folder / "phone.mp4")
    phone.locator("#doing").filter(has_text="Measuring the movement").wait_for()
    # That is another process, and the page says so too.
    rows.filter(has_text="p09").filter(has_text="being analysed").wait_for()

    page.set_default_timeout(400_000)
    page.locator("[data-place=trial] .mobility-trial").wait_for()
    frame = page.frame_locator(".mobility-report iframe")
    frame.locator("h1").first.wait_for()
    seen["report"] = frame.locator("body").inner_text()
    phone.locator("#report").wait_for()
    on_phone = phone.frame_locator("#report")
    on_phone.locator("h1").first.wait_for()
    seen["phone's report"] = on_phone.locator("body").inner_text()
    # The trial plays on the phone; the report in the page reads nothing of it, nor with its key.
    on_phone.locator(".live video").wait_for()
    report = phone.locator("#report").element_handle().content_frame()
    assert report is not None
    until(report, "document.querySelector('.live video').readyState >= 2")
    sessions_of = phone.evaluate("new URL('/mobility-assessment/sessions/', location.href).href")
    seen["phone's fence"] = report.evaluate(TRIES, sessions_of)
    seen["phone's width"] = phone.evaluate(MEASURE_WIDTH)
    phone.reload()
    on_phone.locator("h1").first.wait_for()

    # The table comes to know of the phone's session by itself; two trials stand side by side.
    rows.filter(has_text="p09").filter(has_text="analysed").wait_for()
    rows.filter(has_text="p09").get_by_role("button", name="Show beside").click()
    page.locator("[data-place=beside] .mobility-trial").wait_for()
    # Both at once: the page still moves them into view.
    seen["boxes"] = page.evaluate(
        """() => ["trial", "beside"].map(
            (place) => document.querySelector(`[data-place=${place}]`).getBoundingClientRect()
        ).map(({x, y, width}) => ({x, y, width}))"""
    )
    page.wait_for_function(
        "document.querySelectorAll('.mobility-still img').length == 2"
        " && [...document.querySelectorAll('.mobility-still img')].every(e => e.naturalWidth)"
    )
    seen["rows"] = rows.all_inner_texts()
    sessions.get_by_role("button", name="Participant", exact=True).click()
    seen["sorted"] = [
        sessions.locator("tbody tr td:nth-child(3)").all_inner_texts(),
        sessions.locator("th[aria-sort=ascending]").inner_text(),
    ]
    seen["lines of dates"] = sessions.locator(".mobility-date").evaluate_all(
        """cells => cells.map((cell) => {
            const text = document.createRange();
            text.selectNodeContents(cell);
            return text.getClientRects().length;
        })"""
    )
    page.set_viewport_size({"width": 400, "height": 900})
    seen["narrow"] = page.evaluate(
        """() => [document.documentElement, document.querySelector(".mobility-table")]
            .map((each) => each.scrollWidth - each.clientWidth)"""
    )
    page.set_viewport_size({"width": 1280, "height": 1000})
    # What there is outlives the page.
    page.reload()
    page.locator("[data-place=beside] .mobility-trial canvas").first.wait_for()
    frame.locator("h1").first.wait_for()
    seen["of the phone"] = asked
    return seen


def main(chromium: str, kind: str, url: str, folder: str | None = None) -> None:
    """Open a browser, see the page, print what was seen, said and asked for."""
    see = globals()[f"see_{kind.replace(' ', '_')}"]
    errors: list[str] = []
    asked: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        if message.type == "error":
            errors.append(f"{message.type}: {message.text}")

    def hear_failure(request: Request) -> None:
        # A film that leaves the form is read no further.
        if not (request.url.startswith("blob:") and request.failure == "net::ERR_ABORTED"):
            errors.append(f"failed: {request.url}")

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium,
            headless=True,
            args=["--no-sandbox", "--disable-dev-shm-usage"],
        )
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(120_000)
        page.on("console", hear)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("requestfailed", hear_failure)
        page.on("request", lambda request: asked.append(request.url))
        page.on("websocket", lambda socket: asked.append(socket.url))
        try:
            seen = see(page, url, Path(folder) if folder else None)
        except Exception:
            keep(page, Path(folder) if folder else None, "failed")
            raise
        finally:
            browser.close()
    seen["said"] = errors
    seen["asked"] = [address for address in asked if not address.startswith(("data:", "blob:"))]
    json.dump(seen, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
