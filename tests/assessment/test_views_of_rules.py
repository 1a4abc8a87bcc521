"""From which view a rule is answered."""

from __future__ import annotations

from dataclasses import replace

import hand_made
import pytest

from mobility import tables
from mobility.assessment.findings import Finding, all_rules, find
from mobility.assessment.views_of_rules import films_beside, surer_views, views_that_answer
from mobility.keypoints.view import VIEWS

FRONTAL = ("knee_inside_foot", "knee_flexion_asymmetry", "one_leg_knee_asymmetry")


def finding(rule: str, side: str = "", **changed: object) -> Finding:
    found = (f for f in find(hand_made.metrics_of()) if f.rule == rule and f.side == side)
    return replace(next(found), **changed)


def test_what_was_counted_is_a_share_of_each_view_and_else_the_declaration_is_asked(
    monkeypatch,
) -> None:
    counted = tables.load("views_of_rules")["counted"]
    for grid in counted.values():
        for rule, views in grid["rules"].items():
            assert rule in all_rules()
            assert set(views) <= set(VIEWS)
            assert all(0 <= each["answered"] <= 1 for each in views.values())
    for rule in FRONTAL:  # the frontal plane edge-on has no answer
        assert views_that_answer(rule)["side"] == 0
        assert views_that_answer(rule)["front"] > 0
    assert views_that_answer("knee_flexion_limited")["side"] == 1
    # A rule that needs five repetitions has no answer on these people.
    assert views_that_answer("knee_flexion_varies") == dict.fromkeys(VIEWS, 1.0)
    monkeypatch.setitem(tables.load("views_of_rules"), "counted", {})
    for rule in FRONTAL:
        seen = views_that_answer(rule)
        assert (seen["front"], seen["side"], seen["back-oblique"]) == (1, 0, 0)
    assert views_that_answer("heel_rise") == dict.fromkeys(VIEWS, 1.0)


def test_a_view_is_surer_where_its_intervals_are_clearly_narrower() -> None:
    counted = {
        "front": {"answered": 0.5, "half_width": [10, 12, 14]},
        "front-oblique": {"answered": 0.5, "half_width": [8, 9, 10.5]},
        "side": {"answered": 0.5, "half_width": [4, 5, 9]},
        "back": {"answered": 0.0},
    }
    table = {"counted": {"grid": {"rules": {"arms_fall_forward": counted}}}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "load", lambda _: table)
        assert surer_views("arms_fall_forward", "front") == {"side": pytest.approx(7 / 12)}
        assert surer_views("arms_fall_forward", "side") == {}
        assert surer_views("arms_fall_forward", "back") == {"side": 1.0}
        assert surer_views("heel_rise", "front") == {}
    assert next(iter(surer_views("arms_fall_forward", "front"))) == "side"


def test_an_angle_beside_the_person_is_filmed_from_the_side() -> None:
    """The ankle's intervals are a little narrower from the front, its errors are not."""
    assert next(iter(surer_views("ankle_dorsiflexion_limited", "front-oblique"))) == "side"
    assert next(iter(surer_views("ankle_dorsiflexion_limited", "back"))) == "side"
    # What the side does not show is filmed from the front.
    assert next(iter(surer_views("ankle_dorsiflexion_asymmetry", "front-oblique"))) == "front"


def test_one_film_for_all_that_is_hidden_and_another_for_what_it_does_not_show() -> None:
    hidden = [
        finding("knee_inside_foot", "right", result="not_visible"),
        *(
            finding(rule, "left", result="not_visible", hidden=True)
            for rule in ("knee_inside_foot", "knee_flexion_limited", "depth_not_reached")
        ),
    ]
    told = [finding("heel_rise", "right"), finding("arms_fall_forward", result="not_reported")]
    ((film, shown),) = films_beside([*hidden, *told], ["side"]).items()
    assert shown == hidden
    assert film in ("front", "front-oblique")
    # Of a leg behind the other what is seen from the side alone needs the other side.
    far = [finding("depth_not_reached", "left", result="not_visible", hidden=True)]
    assert films_beside(far, ["side"]) == {"left": far}
    heels = [finding("heel_rise", side, result="not_visible") for side in ("left", "right")]
    assert films_beside(heels, ["front"]) == {"side": heels}
    assert films_beside(heels[1:], ["front"]) == {"back-oblique": heels[1:]}
    open_arms = [finding("arms_fall_forward", result="inconclusive")]
    assert films_beside(open_arms, ["front"]) == {"side": open_arms}
    assert films_beside(open_arms, ["side"]) == films_beside(open_arms, ["unknown"]) == {}
