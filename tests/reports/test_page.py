"""A section says what it needs, and the page says once what is missing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from markupsafe import Markup
from read_pages import text_of

from mobility.assessment.verdict import judge
from mobility.base.provenance import AnalysisWarning
from mobility.errors import ReportError
from mobility.reports.figures import panels
from mobility.reports.html import paragraphs
from mobility.reports.page import Page, PageWithFiles, ReportPage, Section, section, show
from mobility.store import Store

GOOD = {"light": {"verdict": "ok", "advice": None}}


@pytest.fixture
def page() -> ReportPage:
    return ReportPage(Store("absent").demo("Overhead Squat").read_once())


def shown(made: Callable[[ReportPage], Markup], page: ReportPage) -> str:
    assert isinstance(made, Section)
    return text_of(made.of(page))


@section("Arms", needs=["repetitions", "findings", "arm_fall"], sided=True)
def arms(page: ReportPage) -> Markup:
    return paragraphs(f"{float(page.metrics['arm_fall']):.0f} degrees")


def test_a_section_has_the_name_of_its_function_and_shows_what_it_makes(page: ReportPage) -> None:
    assert (arms.name, arms.heading) == ("arms", "Arms")
    assert shown(arms, page) == f"{float(page.metrics['arm_fall']):.0f} degrees"
    vars(page)["verdict"] = judge([AnalysisWarning("models_contradict", "")], GOOD)
    assert shown(arms, page).startswith("Left and right may be swapped. ")


@pytest.mark.parametrize(
    ("changed", "warning", "why"),
    [
        (
            {"accepted_repetitions": 0},
            "",
            "Nothing was measured, because no repetition was accepted.",
        ),
        (
            {},
            "no_squat",
            "Findings are not reported, because the video shows a joint movement (left elbow).",
        ),
        (
            {},
            "hands_not_overhead",
            "Arm fall is not reported: the hands are not held above the head.",
        ),
        ({"arm_fall": None}, "", "Arm fall is not reported: it is not part of this analysis."),
        ({"arm_fall": np.nan}, "", "Arm fall is not reported: it is dark."),
    ],
)
def test_what_a_section_needs_and_is_missing_is_said_in_its_place(
    page: ReportPage, changed: dict[str, float | None], warning: str, why: str
) -> None:
    metrics = page.metrics.drop_vars([name for name, value in changed.items() if value is None])
    for name, value in changed.items():
        if value is not None:
            metrics[name] = xr.full_like(metrics[name], value).assign_attrs(note="it is dark")
    values = {"joints": "left elbow", "exercise": "squat"}
    warnings = [AnalysisWarning(warning, "", values)] if warning else []
    vars(page).update(metrics=metrics, verdict=judge(warnings, GOOD))
    assert shown(arms, page) == why


def test_a_section_of_any_page_is_shown_if_it_has_content_or_a_text_below_its_heading(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outputs: list[str] = []
    monkeypatch.setattr(
        "IPython.display.display", lambda *parts, **_: outputs.extend(part.data for part in parts)
    )
    empty, full = (lambda page, text=text: Markup(text) for text in ("", "<p>5</p>"))
    sections = [Section("Left out", empty), Section("Ours", empty, about="Why."), Section("", full)]
    show(sections, Page())
    assert outputs == ["## Ours\n\nWhy.", "", "<p>5</p>"]


@pytest.mark.parametrize("is_kept", [True, False])
def test_a_page_keeps_its_pictures_only_in_a_folder_that_is_named(
    is_kept: bool, tmp_path: Path
) -> None:
    figure, _ = panels(1, 1, height=1.0)
    page = PageWithFiles(out=str(tmp_path) if is_kept else "")
    assert 'alt="a line"' in page.figure(figure, "images/line", alt="a line")
    assert [file.name for file in tmp_path.rglob("*.png")] == ["line.png"] * is_kept


def test_the_error_of_a_section_of_another_package_names_the_section(page: ReportPage) -> None:
    def rack(_: ReportPage) -> Markup:
        raise KeyError("elbow_hight")

    rack.__module__ = "front_rack.page"
    with pytest.raises(ReportError, match=r"section 'rack' of front_rack\.page: KeyError"):
        shown(section("The rack")(rack), page)
