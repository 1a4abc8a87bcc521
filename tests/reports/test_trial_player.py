"""The trial in a page: its data, its small video, and a page that plays without a kernel."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nbformat.v4 import new_markdown_cell, new_notebook

from mobility import tables
from mobility.base.provenance import with_history
from mobility.capture.video import presentation_times, probe, read_frames
from mobility.reports import render, trial_player
from mobility.store import Session, Store
from mobility.widgets.media import address


@pytest.fixture(scope="module")
def demo() -> Store:
    return Store("absent").demo("Overhead Squat")


@pytest.mark.slow
def test_the_small_video_keeps_its_times_and_hides_all_but_the_body(demo, tmp_path: Path) -> None:
    for faces in (False, True):
        (tmp_path / f"{faces}.mp4").write_bytes(trial_player.small_video(demo, faces=faces))
    hidden, shown = ([*read_frames(tmp_path / f"{faces}.mp4")] for faces in (False, True))
    info = probe(tmp_path / "False.mp4")
    assert info.height == trial_player.HEIGHT
    np.testing.assert_allclose([f.time for f in hidden], presentation_times(demo.video), atol=1e-4)
    scale = trial_player.HEIGHT / demo.pose().attrs["image_height"]
    for measured in (0, 100):
        off = presentation_times(demo.video) - float(demo.pose()["time"][measured])
        frame = int(np.abs(off).argmin())
        u, v = demo.pose()["image_position"].isel(time=measured, individual=0).sel(keypoint="nose")
        y, x = round(float(v) * scale), round(float(u) * scale)
        one, other = (f[frame].image[y - 10 : y + 10, x - 10 : x + 10] for f in (hidden, shown))
        assert one.std() < 0.7 * other.std()
        hips = demo.pose()["image_position"].isel(time=measured, individual=0)
        hips = hips.sel(keypoint=["left_hip", "right_hip"]).mean("keypoint")
        u, v = (round(float(each) * scale) for each in hips)
        hip, floor = np.s_[v - 20 : v + 20, u - 20 : u + 20], np.s_[-60:, :100]
        one, other = (f[frame].image.astype(int) for f in (hidden, shown))
        assert np.abs(one[hip] - other[hip]).mean() < 6
        boards = [np.abs(np.diff(image[floor], axis=1)).sum() for image in (one, other)]
        assert boards[0] < 0.5 * boards[1]


def test_the_page_says_what_is_blurred_or_left_out(demo, monkeypatch) -> None:
    monkeypatch.setattr(trial_player, "QUALITIES", (51,))
    monkeypatch.setattr(trial_player, "small_video", lambda *_, **__: b"film")
    for faces in (False, True):
        notices = json.loads(trial_player.embedded(demo, faces=faces)["data"])["state"]["notes"]
        assert notices == ([] if faces else [tables.sentence("report.blurred")])
    monkeypatch.undo()
    monkeypatch.setattr(trial_player, "MOST_BYTES", 1000)
    monkeypatch.setattr(trial_player, "QUALITIES", (51,))
    data = json.loads(trial_player.embedded(demo)["data"])
    assert data["video"] == ""
    assert "too large for a page" in data["state"]["notes"][0]


def test_no_text_ends_the_data() -> None:
    title = "</script><img onerror=1>"
    parts = trial_player.page_parts({"state": {"title": title}})
    assert "<" not in parts["data"]
    assert json.loads(parts["data"])["state"]["title"] == title


def make_page(session: Session, folder: Path, *, more: str = "") -> Path:
    """Page with a session's trial, as a report has it, under a heading of its own."""
    tagged = {"metadata": {"tags": ["trial"]}}
    cells = [
        new_markdown_cell(f"# Overhead squat\n\n{more}"),
        new_markdown_cell("## The trial", **tagged),
        new_markdown_cell("A still picture of the curves.", **tagged),
        new_markdown_cell("## More\n\nWhat else is told."),
    ]
    text = render.to_html(
        new_notebook(cells=cells), title="Demo", trial=trial_player.embedded(session)
    )
    file = folder / "page.html"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def page(demo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Page with the demo's trial, as of someone who steps in it."""
    parts = [{"first_s": a, "last_s": b, "standing_s": 1.0} for a, b in ((0, 4.6), (5.0, 13))]
    step = {"from_s": 4.6, "to_s": 5.0, "forward_m": 0.2, "left_m": 0.0, "wider_m": 0.2}
    fitted = with_history(demo.fitted(), "fit_body", {}, stances=parts, steps=[step])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "fitted", lambda: fitted)
        return make_page(demo, tmp_path_factory.mktemp("page"))


def test_the_page_allows_this_script_and_no_network(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    (policy,) = re.findall(r'<meta content="([^"]*)" http-equiv="Content-Security-Policy"', text)
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'; ")
    assert "http" not in policy
    (script,) = re.findall(r'<script type="module">(.*?)</script>', text, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy.endswith(f"media-src blob:; script-src 'sha256-{digest}'")


@pytest.mark.slow
def test_chromium_plays_the_trial_from_a_file(demo, page: Path, browse: Callable[..., Any]) -> None:
    seen = browse("trial", page.as_uri())
    assert seen["said"] == []
    assert set(seen["asked"]) == {page.as_uri()}
    assert seen["ready"] >= 2
    assert seen["frame"] == f"frame 2 of {demo.pose().sizes['time']}"
    assert seen["played"] > 2
    words = "steps forward and moves the feet wider apart at 4.8 s"
    assert seen["step"] == [words, "4.60 s"]
    assert seen["panels"] == 5  # one curve more was chosen
    assert seen["still"] == {"screen": False, "print": True, "no script": True}
    assert seen["more printed"]
    # As it is seen, with what the page does to its pictures in the dark.
    assert seen["body"]["light"] > 0.9
    assert seen["body"]["dark"] < 0.2
    assert seen["axe"] == []
    assert all(width <= int(allowed) for allowed, width in seen["widths"].items())
    # Also on a phone the whole of a mark can be read, and what the bands are.
    assert not any(seen["cut off"].values())
    assert seen["bands"] == [
        "repetition: start to bottom",
        "bottom",
        "bottom to end",
        "step to another place",
    ]


@pytest.mark.slow
def test_over_http_a_report_plays_and_reads_nothing_of_its_server(
    demo, tmp_path: Path, browse: Callable[..., Any]
) -> None:
    # Worse than what any text in a report can be: they are all escaped.
    hostile = (
        "<script>document.title = 'written'</script><img src=x onerror=\"document.title = 1\">"
    )
    url = address(make_page(demo, tmp_path, more=hostile), {})
    assert url.startswith("http://127.0.0.1:")
    seen = browse("fenced", url)
    assert seen["frame"].endswith(f"frame 2 of {demo.pose().sizes['time']}")
    assert seen["title"] == "Demo"
    assert seen["origin"] == "null"
    assert seen["tried"] == {
        "cookies": "SecurityError",
        "storage": "SecurityError",
        "parent": None,
        "fetch": "TypeError",
        "socket": "Error",
        "script": None,
    }
