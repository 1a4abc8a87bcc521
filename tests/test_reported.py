"""benchmarks/reported.py on errors that are made, of people who each count once."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml


@pytest.fixture(scope="module")
def reported(program) -> ModuleType:
    return program("reported")


def errors(
    off: Any,
    *,
    kind: str = "front",
    number: str = "absolute",
    angle: str = "knee_flexion",
    **also: Any,
) -> pd.DataFrame:
    """Errors of rendered people, one each, whose draws are spread by 4 degrees."""
    off = np.asarray(off, float)
    views = {"front": "front", "oblique": "front-oblique right", "from_the_side": "left"}
    truth = np.asarray(also.pop("truth", np.full(off.shape, 90.0)))
    columns = {"person": [f"{kind} {i}" for i in range(off.size)], "rendered": True, "kind": kind}
    columns |= {"view": views.get(kind, "back"), "number": number, "angle": angle, "noise": 0.0}
    columns |= {"error": off, "truth": truth, "value": truth + off, "spread": 4.0, "stated": 4.0}
    return pd.DataFrame(columns | also)


def test_each_kind_has_factors_of_its_own_and_few_people_those_of_the_like(
    reported: ModuleType,
) -> None:
    def off(scale: float, people: int) -> Any:
        return 4.0 * scale * np.resize([1.0, -1.0], people)

    made = pd.concat(
        [
            errors(off(0.5, 12)),
            errors(off(1.5, 12), kind="oblique"),
            errors(off(0.5, 2), kind="from_behind"),
        ]
    )
    trial = reported.factors_of(made)
    found = {kind: trial[kind]["absolute"]["knee_flexion"] for kind in trial}
    assert found["front"] == pytest.approx(0.5, abs=0.08)
    assert found["oblique"] == pytest.approx(1.5, abs=0.08)
    assert found["from_behind"] == found["oblique"]
    assert "on 12 rendered people" in trial["front"]["source"]
    left = reported.summary(made, trial).set_index("kind")
    assert left.loc["front", "rendered: ratio"] == pytest.approx(0.9, abs=0.05)
    assert left.loc["oblique", "rendered: holds"] == 1.0
    assert list(left.index) == ["front", "oblique", "from_behind"]


def test_differences_of_sides_are_surer_only_where_true_ones_were_seen(
    reported: ModuleType,
) -> None:
    small = np.resize([1.0, -1.0], 12)
    alike = np.resize([2.0, -3.0], 12)
    sides = {"number": "sides"}
    assert reported.factor_of(errors(small, truth=alike, **sides)) == 1.0
    apart = np.where(np.arange(12) < 2, 15.0, alike)
    assert reported.factor_of(errors(small, truth=apart, **sides)) < 0.5
    # Differences that are not seen contradict.
    unseen = np.where(np.arange(12) < 2, -12.0, small)
    assert reported.factor_of(errors(unseen, truth=apart, **sides)) > 1.2


def test_others_are_held_against_what_is_stated_by_view(reported: ModuleType) -> None:
    made = pd.concat(
        [
            errors([4.0, -4.0, 4.0, -12.0]),
            errors([2.0, 2.0, 2.0], kind="oblique", number="sides"),
            # Refused for its error, or from where no view has a name.
            errors([50.0], kind="from_the_side", stated=20.0),
            errors([50.0], kind="oblique", view="unknown"),
        ]
    )
    table = reported.reported(made).set_index(["number", "angle", "view"])
    assert len(table) == 2
    front = table.loc["absolute", "knee_flexion", "front"]
    assert front["ratio"] == pytest.approx(np.sqrt((3 * 16 + 144) / 4) / 4)
    assert (front["people"], front["holds"], front["bias"]) == (4, 0.75, -2.0)
    assert front["half"] == pytest.approx(1.96 * 4)
    assert front["earlier ratio"] == "0.75"
    # Seen from the right the near side is the right one.
    assert table.loc["sides", "knee_flexion", "oblique"]["bias"] == -2.0
    assert "Of the 0 ratios of 15 people or more" in reported.aims(table.reset_index())
    many = table.reset_index().assign(people=[15, 40], ratio=[1.3, 1.7])
    said = reported.aims(many)
    assert "Of the 2 ratios of 15 people or more, 1 are outside 0.65 to 1.35 and 1 outside" in said
    assert said.endswith("Mean of the shares: front 75 %, oblique 100 %.")


def test_parts_of_the_page_are_put_in_their_place(reported: ModuleType) -> None:
    text = reported.document(
        "# Errors\n\nfirst\n\n## Knees of who stands\n\nold\n", {"": "# Errors\n\nnew"}
    )
    assert text == "# Errors\n\nnew\n\n## Knees of who stands\n\nold\n"
    heldto = reported.PARTS[0]
    text = reported.document(text, {heldto: "by view"})
    assert text.index("new") < text.index(f"## {heldto}\n\nby view") < text.index("## Knees")
    assert reported.document(text, {}) == text
    assert reported.document(reported.PAGE.read_text(), {}) == reported.PAGE.read_text()


def test_the_head_of_the_table_is_that_which_is_written(reported: ModuleType) -> None:
    text = reported.TABLE.read_text(encoding="utf-8")
    assert text.startswith(reported.HEAD)
    assert set(yaml.safe_load(reported.HEAD + "trial: {}")) == {"trial"}
