"""From which view a rule is decided, and which film would decide what one film does not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from mobility import tables
from mobility.assessment.findings import Finding, all_rules
from mobility.assessment.numbers import COMPARES_SIDES
from mobility.catalogue.exercise import Exercise, main_moment
from mobility.catalogue.exercise_table import names_of_numbers
from mobility.catalogue.registry import exercises
from mobility.keypoints.view import (
    UNKNOWN,
    VIEWS,
    View,
    degrees_from,
    view_in_words,
    view_kind,
)
from mobility.kinematics.skeleton import other_side

_SIDE = "side"


def views_that_answer(rule: str) -> Mapping[str, float]:
    """Give the share of sides on which a rule is decided, by kind of view.

    It is what the benchmarks counted on rendered people (table ``views_of_rules``), without the
    side that the near one hides. A rule that they did not count, or that was not decided there, has
    1 or 0, as the declarations of its measure and of its angle say which views show it.
    """
    shares = {view: float(each["answered"]) for view, each in _counted(rule).items()}
    if not any(shares.values()):
        declared = next(filter(None, (_declared(rule, each) for each in exercises())), ("", {}))
        return {view: _declared_share(*declared, view) for view in VIEWS}
    return {view: shares.get(view, 0.0) for view in VIEWS}


def surer_views(rule: str, view: str) -> dict[str, float]:
    """Give the kinds of view with a clearly smaller error than another, the surest first.

    With each comes by what share the median of its 95 % intervals is narrower. Clearly: the upper
    quartile of their half-widths is below the lower one of the other view. If a view never gave a
    value, though it was counted, the view with the narrowest intervals is given.

    An angle of which the side sees more is filmed from there, also if the intervals from the front
    are a little narrower, because its errors are not: at the bottom of squats of people on whom
    nothing was chosen, those of ankle dorsiflexion are 5.0 degrees (root mean square) from the
    front and 3.2 from the side (``benchmarks/reported.md``).
    """
    counted = _counted(rule)
    widths = {each: counts.get("half_width") for each, counts in counted.items()}
    if view not in counted:
        return {}
    own_width = widths[view]
    if own_width is None:
        medians = {each: float(width[1]) for each, width in widths.items() if width}
        gains = {min(medians, key=lambda each: medians[each]): 1.0} if medians else {}
        return _from_the_side(rule, gains)
    gains = {
        each: 1.0 - float(width[1] / own_width[1])
        for each, width in widths.items()
        if width and width[2] < own_width[0]
    }
    return _from_the_side(rule, dict(sorted(gains.items(), key=lambda each: -each[1])))


def _from_the_side(rule: str, gains: Mapping[str, float]) -> dict[str, float]:
    """Put the side in place of the front, where that is the surest for an angle beside it."""
    first = next(iter(gains), "")
    if first != "front":
        return dict(gains)
    of_rule = filter(None, (_declared(rule, each) for each in exercises()))
    kind, entry = next(of_rule, ("", {}))
    of_angle = str(entry.get("from", "")).startswith("angles.")
    if not of_angle or entry.get("frontal") or kind in COMPARES_SIDES:
        return dict(gains)
    others = {view: gain for view, gain in gains.items() if view not in (first, _SIDE)}
    return {_SIDE: gains[first], **others}


def hidden_in_words(view: View) -> str:
    """Say in a sentence what a view hides or shows less well; empty of an unknown one."""
    if view.kind == UNKNOWN:
        return ""
    side = "right" if view.azimuth_deg > 0 else "left"
    return tables.sentence(
        f"capture.view_hides.{view.kind.replace('-', '_')}",
        azimuth=abs(view.azimuth_deg),
        side=side,
        other=other_side(side),
    )


def another_view(seen: Mapping[str, Any], meant: str | None) -> list[dict[str, Any]]:
    """Warn of another view than was meant.

    Parameters
    ----------
    seen
        Part "view" of the capture quality; empty without one.
    meant
        Name of a view, as :func:`mobility.keypoints.view.view_name` gives it; None for any.
    """
    if meant is None or seen.get("name", UNKNOWN) == UNKNOWN:
        return []
    most = tables.load("verdict")["meant_view"]["beyond_deg"]
    if degrees_from(meant, seen["azimuth_deg"]) <= most:
        return []
    words = {"seen": view_in_words(seen["name"]), "wanted": view_in_words(meant)}
    return [tables.warning("warnings.other_view", **words)]


def films_beside(findings: Sequence[Finding], views: Collection[str]) -> dict[str, list[Finding]]:
    """Say which further films would decide what films do not, with as few films as possible.

    Parameters
    ----------
    findings
        Of the films together; only those that are not visible or inconclusive count.
    views
        Names of the views that were filmed, at least one.

    Returns
    -------
    dict
        Findings by the view of the film: a kind of view or, if one side alone is not visible,
        "left" and "right". What no other view shows, or shows clearly better, is left out.
    """
    sides = Counter(each.rule for each in findings if each.result == "not_visible")
    kinds = {view if view == UNKNOWN else view_kind(view) for view in views}
    asked = {}
    for number, finding in enumerate(findings):
        one_side = finding.hidden or sides[finding.rule] == 1
        beside = [_films_of_finding(finding, kind, of_one_side=one_side) for kind in kinds]
        films = set.intersection(*(set(worth) for worth in beside)) - {*views, *kinds}
        asked[number] = {film: min(worth[film] for worth in beside) for film in films}
    order = (*VIEWS, "left", "right")
    findings_of_film: dict[str, list[Finding]] = {}
    while asked := {number: films for number, films in asked.items() if films}:
        worth = {film: [f[film] for f in asked.values() if film in f] for film in order}
        best = max(order, key=lambda film: (len(worth[film]), sum(worth[film])))
        findings_of_film[best] = [
            findings[number] for number, films in asked.items() if best in films
        ]
        asked = {number: films for number, films in asked.items() if best not in films}
    return findings_of_film


def _films_of_finding(finding: Finding, view: str, *, of_one_side: bool) -> dict[str, float]:
    """Give the views of films that would decide one finding, and how much each is worth."""
    if finding.result == "inconclusive":
        return surer_views(finding.rule, view)
    if finding.result != "not_visible":
        return {}
    counted, shares = _counted(finding.rule), views_that_answer(finding.rule)
    worth = {each: share for each, share in shares.items() if share > 0}
    for film in worth.keys() & counted.keys():  # of few sides little is known (Laplace)
        sides = counted[film]["sides"]
        worth[film] = (worth[film] * sides + 1) / (sides + 2)
    if of_one_side and finding.side and _SIDE in worth:
        worth[finding.side] = worth.pop(_SIDE)
    return {each: share for each, share in worth.items() if each != view}


def _counted(rule: str) -> Mapping[str, Any]:
    grids = tables.load("views_of_rules")["counted"].values()
    return next((grid["rules"][rule] for grid in grids if rule in grid["rules"]), {})


def _declared_share(kind: str, entry: Mapping[str, Any], view: str) -> float:
    """Give 1 where a view shows a number of a measure, as its declaration says, else 0."""
    frontal = entry.get("frontal") or kind in COMPARES_SIDES
    if frontal and not tables.load("views")["views"][view].get("frontal_plane", True):
        return 0.0
    kernel, _, angle = str(entry.get("from", "")).partition(".")
    shown = kernel != "angles" or view in tables.load("angles")[angle]["seen"]["from"]
    return float(shown)


def _declared(rule: str, exercise: Exercise) -> tuple[str, Mapping[str, Any]] | None:
    """Give the kind of the number that a rule judges, and the declaration of its measure."""
    if rule not in exercise.table["rules"]:
        return None
    moment = main_moment(exercise.moments)
    for name, entry in exercise.measures.items():
        for kind, number in names_of_numbers(name, entry, moment):
            if number == all_rules()[rule]["metric"]:
                return kind, entry
    return None
