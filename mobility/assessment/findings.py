"""Findings: statements about a participant that the metrics support, from a table of rules.

A rule also lists the views that can decide it, so that a further video can be recommended.
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

from mobility import tables
from mobility.assessment.criteria import is_stated, probability_in_words, probability_of
from mobility.assessment.number import (
    ABSENT_SIDE,
    CONTRADICTED,
    GROSS,
    HIDDEN,
    HIDDEN_SIDE,
    Number,
    number_of,
    reason_of_side,
    value_at,
)
from mobility.assessment.numbers import COMPARES_SIDES
from mobility.assessment.results import Result, Status
from mobility.base import formatting
from mobility.base.formatting import capital
from mobility.catalogue.exercise import Exercise, main_moment
from mobility.catalogue.exercise_table import names_of_numbers
from mobility.catalogue.registry import exercise_of, exercises
from mobility.errors import BadInputError
from mobility.keypoints.view import (
    UNKNOWN,
    VIEWS,
    View,
    degrees_from,
    view_in_words,
    view_kind,
)
from mobility.kinematics.expected_error import sd_of
from mobility.kinematics.skeleton import other_side

if TYPE_CHECKING:
    import xarray as xr

Level = Literal["participant", "professional"]
LEVELS: tuple[Level, ...] = get_args(Level)


_STATUS: Mapping[bool | None, Status] = {
    True: "found",
    False: "not found",
    None: "cannot be told",
}


@dataclass(frozen=True)
class Finding:
    """Result of one rule on one side, or on the whole body.

    Attributes
    ----------
    id
        ``<rule>``, or ``<rule>_<side>`` if the metric has sides.
    metric
        Variable of the metrics Dataset.
    group
        Group of the report, or "whole_movement".
    number
        The metric on this side, with its errors, or the reason why it is missing.
    interval
        95 % interval of the true value, in `units`; None if there is none. For a standard deviation
        over repetitions it is not symmetrical.
    threshold
        Threshold that the value was compared with; None if it is unknown.
    probability
        Probability that the value is outside its target; None if it cannot be computed.
    status
        "found", "not found" or "cannot be told".
    result
        The status in more detail: "outside" (its target), "met", "borderline" (within the margin
        around the target), "inconclusive" (there is a value, but it is undecided), "not_reported"
        (there is no value, or no error, for the `reason`), "not_visible" (the camera cannot see
        it).
    beyond
        Probability that the value is farther from the target than the margin, on either side; None
        if it cannot be computed.
    reason
        Why it is not decided; otherwise "".
    rule, source
        Name of the rule, and the source of its threshold.
    participant, professional
        The sentence for each reader.
    hidden
        Whether the camera is on the other side and cannot see this side. False if neither side is
        visible, as with the frontal plane in a view from the side; then only the `result` is
        "not_visible".
    norm
        Group (age, sex) that the norm used as threshold belongs to; otherwise empty.
    gross
        What the picture clearly shows although the result is "inconclusive", in a few words without
        a number ("leans far forward"); otherwise empty.
    """

    id: str
    metric: str
    group: str
    number: Number
    interval: tuple[float, float] | None
    threshold: float | None
    probability: float | None
    status: Status
    reason: str
    rule: str
    source: str
    participant: str = ""
    professional: str = ""
    hidden: bool = False
    norm: str = ""
    result: Result = "not_reported"
    beyond: float | None = None
    gross: str = ""

    @property
    def side(self) -> str:
        """Whether the finding is about the "left" or the "right"; "" without sides."""
        return self.number.side

    @property
    def value(self) -> float | None:
        """Measured value in `units`; None if there is none."""
        return self.number.value if self.number.is_measured else None

    @property
    def units(self) -> str:
        """Unit of value, interval and threshold."""
        return self.number.units


def find(metrics: xr.Dataset) -> tuple[Finding, ...]:
    """Judge the metrics of an exercise by its rules.

    :func:`mobility.assessment.criteria.probability_of` gives the probability that a value is below,
    above or outside a threshold, from the error in the metric's ``_sd``, which depends on the view.
    For a standard deviation x over n repetitions, (n - 1) x² / σ² is distributed as χ² with n - 1
    degrees of freedom.

    :func:`mobility.assessment.criteria.is_stated` decides whether a finding is "found" or "not
    found"; otherwise it "cannot be told". If the value is probably within the rule's margin of the
    threshold (0.8 or more, ``results`` in the table), the result is "borderline" and nothing is
    found.

    Parameters
    ----------
    metrics
        Metrics Dataset: each metric over ``(side)`` or without dimension, with ``<name>_sd`` and,
        if it is not reported, the attribute ``note``.

    Returns
    -------
    tuple of Finding
        Findings in the order of the table, one for each side of a metric with sides. A finding is
        not decided if the metric is absent or NaN, or if its error is unknown.

    Raises
    ------
    BadInputError
        If a metric has a different unit from its rule, or unexpected dimensions.
    """
    rules = all_rules()
    names = exercise_of(metrics).table["rules"]
    return tuple(
        finding for name in names for finding in _findings_of_rule(metrics, name, rules[name])
    )


def refused(finding: Finding, reason: str) -> Finding:
    """Return the finding without a result, with a reason."""
    rule = all_rules()[finding.rule]
    if isinstance(rule["threshold"], Mapping):
        rule = {**rule, "threshold": finding.threshold, "words": finding.norm}
    return _refused(finding.rule, rule, Number(side=finding.side, reason=reason), reason)


@functools.cache
def all_rules() -> Mapping[str, Mapping[str, Any]]:
    """Return the rules of ``tables/findings.yaml``, and those of the exercises' own tables."""
    rules: dict[str, Mapping[str, Any]] = dict(tables.load("findings")["rules"])
    for exercise in exercises():
        rules |= exercise.own_table("findings").get("rules", {})
    return rules


def in_place(exercise: Exercise) -> dict[str, Mapping[str, Any]]:
    """Return the rules of an exercise in the order of its first page."""
    rules, names = all_rules(), exercise.table["rules"]
    return {name: rules[name] for name in sorted(names, key=place)}


def place(rule_name: str) -> float:
    """Return the position of a rule on the first page; infinity for rules that come last."""
    return float(all_rules()[rule_name].get("place", math.inf))


def say(findings: Sequence[Finding], level: Level) -> str:
    """Summarise `findings` of one rule and status in one sentence.

    Parameters
    ----------
    findings
        One finding, or the findings of both sides, for one rule and status. Findings that are not
        reported for the same reason may come from several rules.
    level
        Reader of the sentence: "participant" or "professional".
    """
    first = findings[0]
    rules = all_rules()
    rule = rules[first.rule]
    names = list(dict.fromkeys(finding.rule for finding in findings))
    oriented = [_oriented(finding, rule) for finding in findings]
    limit = in_units(first.threshold, rule) if first.threshold is not None else "unknown"
    probabilities = [f.probability for f in findings if f.probability is not None]
    fields = {
        "measured": " and ".join(_measured(finding, rule) for finding in oriented),
        "threshold": limit,
        "limit": "unknown" if first.threshold is None else _digits(first.threshold, rule),
        "norm": first.norm,
        "sign": _sign(first, rule),
        "reason": first.reason.rstrip("."),
        "name": capital(", ".join(dict.fromkeys(name_of(finding.rule) for finding in findings))),
        "question": "; whether ".join(rules[name]["question"] for name in names),
        "probability": " and ".join(map(probability_in_words, probabilities)),
    }
    words = tables.load("findings")["wording"]
    if first.result == "borderline":
        beyond = [f.beyond for f in findings if f.beyond is not None]
        fields["within"] = " and ".join(
            probability_in_words(1.0 - probability) for probability in beyond
        )
        fields["margin"] = in_units(float(rule["margin"]["value"]), rule)
        # With its sign, as in the row.
        fields["measured"] = " and ".join(_measured(finding, rule) for finding in findings)
        fields["target"] = f"{'±' if rule['direction'] == 'outside' else ''}{limit}"
        borderline: str = words["borderline"][level]
        return borderline.format(**fields)
    if first.status == "cannot be told":
        text: str = words["inconclusive" if probabilities else "not_reported"][level]
        undecided = text.format(**fields)
        return f"{undecided} {say_gross(first, level)}" if first.gross else undecided
    sentence: str = rule[level][first.status.replace(" ", "_")].format(**fields)
    return sentence


def say_gross(finding: Finding, level: Level) -> str:
    """Describe in one sentence what the picture clearly shows; empty if there is nothing gross."""
    return str(all_rules()[finding.rule]["gross"][level]) if finding.gross else ""


def wrong_expected(findings: Iterable[Finding]) -> float:
    """Compute how many results of findings are expected to be wrong.

    The number is a sum of probabilities. For *outside*, it is the probability that the value is not
    outside its target. For *met*, it is the probability that it is outside. For *borderline*, it is
    the probability that it is farther from the target than the margin. Other results make no
    statement that could be wrong.
    """

    def of_one(finding: Finding) -> float:
        outside = finding.probability or 0.0
        wrong = {"outside": 1.0 - outside, "met": outside, "borderline": finding.beyond or 0.0}
        return wrong.get(finding.result, 0.0)

    return sum(map(of_one, findings))


def row_name(rule_name: str) -> str:
    """Return the name of a rule as a row of a page: "Knee flexion"."""
    return str(all_rules()[rule_name]["row"])


def name_of(rule_name: str) -> str:
    """Return the name of a rule within a sentence: "knee flexion"."""
    row = row_name(rule_name)
    return row if row[1:2].isupper() else row[:1].lower() + row[1:]


def excess(finding: Finding) -> float:
    r"""Compute the expected excess over the threshold, as a multiple of a large excess (``large``).

    With the excess d of the value and the standard deviation s of its error, this is
    :math:`E[\max(0, N(d, s))] = d \Phi(d/s) + s \varphi(d/s)`. A small excess that is certain
    counts less than a large one that is likely. For a standard deviation over repetitions, the
    result is d itself.
    """
    if finding.value is None or finding.threshold is None or finding.interval is None:
        return 0.0
    rule = all_rules()[finding.rule]
    low, high = finding.interval
    centre, sd = (low + high) / 2, sd_of(low, high)
    if rule.get("spread"):  # its interval is not symmetrical
        centre, sd = finding.value, 0.0
    beyond = {
        "below": finding.threshold - centre,
        "above": centre - finding.threshold,
    }.get(rule["direction"], abs(centre) - finding.threshold)
    expected = max(beyond, 0.0)
    if sd > 0:
        z = beyond / sd
        density = math.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
        expected = beyond * 0.5 * math.erfc(-z / math.sqrt(2)) + sd * density
    if "large" in rule:
        return expected / float(rule["large"]["value"])
    return expected / float(tables.load("findings")["order"]["large"][finding.units])


def label(finding: Finding) -> str:
    """Describe a finding in a few words; if nothing was found, return the name of the check."""
    rule = all_rules()[finding.rule]
    if finding.result != "outside":
        return name_of(finding.rule)
    limit = "" if finding.threshold is None else in_units(finding.threshold, rule)
    text: str = rule["label"].format(threshold=limit)
    return text


def in_units(value: float, rule: Mapping[str, Any]) -> str:
    """Write a value in the unit that its rule shows."""
    return f"{_digits(value, rule)}{_number_format(rule)['suffix']}"


def interval_text(interval: tuple[float, float], rule: Mapping[str, Any]) -> str:
    """Write a 95 % interval, with the unit only once: "88 to 108°"."""
    low, high = interval
    return f"{_digits(low, rule)} to {in_units(high, rule)}"


def _digits(value: float, rule: Mapping[str, Any]) -> str:
    """Write a value in the unit of a rule, without that unit."""
    style = _number_format(rule)
    return formatting.rounded(value * style.get("scale", 1), style["digits"])


def _number_format(rule: Mapping[str, Any]) -> Mapping[str, Any]:
    digits, suffix = formatting.digits_and_suffix(rule["unit"])
    return {"digits": digits, "suffix": suffix, **rule.get("shown", {})}


def _findings_of_rule(metrics: xr.Dataset, name: str, rule: Mapping[str, Any]) -> list[Finding]:
    metric = rule["metric"]
    if metric not in metrics:
        number = number_of(metrics, metric)
        return [_refused(name, rule, number, number.reason)]
    variable = metrics[metric]
    if variable.dims not in ((), ("side",)):
        raise BadInputError(
            f"metrics: {metric} has the dimensions {variable.dims}; it may have only side"
        )
    units = variable.attrs.get("units", rule["unit"])
    if units != rule["unit"]:
        raise BadInputError(
            f"metrics: {metric} is in {units!r}, but its rule in findings.yaml is in "
            f"{rule['unit']!r}; use that unit"
        )
    if not variable.dims:
        return [_finding_of_side(metrics, name, rule, "")]
    # The hidden side comes last, so that the first reason is that of the near side.
    sides = sorted(map(str, variable["side"].values), key=metrics.attrs.get(HIDDEN_SIDE, "").__eq__)
    sides = [side for side in sides if side != metrics.attrs.get(ABSENT_SIDE)]
    findings = []
    for side in sides:
        of_side = _finding_of_side(metrics, name, rule, side)
        if reason_of_side(metrics, side):
            of_side = replace(of_side, hidden=True, result="not_visible")
        findings.append(of_side)
    return findings


def threshold_of(metrics: xr.Dataset, rule: Mapping[str, Any]) -> float:
    """Return the threshold of a rule, or the participant's ``norm``; NaN without one."""
    if isinstance(rule["threshold"], Mapping):
        return float(metrics[rule["metric"]].attrs.get("norm_limit", math.nan))
    return float(rule["threshold"])


def _with_norm(metrics: xr.Dataset, rule: Mapping[str, Any]) -> Mapping[str, Any]:
    """Put the participant's threshold and words into a rule with a norm."""
    if not isinstance(rule["threshold"], Mapping):
        return rule
    attrs = metrics[rule["metric"]].attrs
    limit = threshold_of(metrics, rule)
    limits = {"threshold": limit if math.isfinite(limit) else None}
    return {**rule, **limits, "words": attrs.get("norm", ""), "no_norm": attrs.get("no_norm", "")}


def _finding_of_side(metrics: xr.Dataset, name: str, rule: Mapping[str, Any], side: str) -> Finding:
    metric = rule["metric"]
    rule = _with_norm(metrics, rule)
    number = number_of(metrics, metric, side)
    if not number.is_measured:
        finding = _refused(name, rule, number, number.reason)
        unseen = str(metrics[metric].attrs.get(HIDDEN, "")).split()
        is_hidden = side in unseen or (unseen and not side)
        if is_hidden:
            return replace(finding, result="not_visible")
        apart = str(metrics[metric].attrs.get(CONTRADICTED, "")).split()
        is_open = side in apart or (apart and not side)
        return replace(finding, result="inconclusive") if is_open else finding
    if rule["threshold"] is None:
        reason = rule["no_norm"] or tables.sentence("reasons.no_norm")
        return _refused(name, rule, number, reason)
    if rule.get("spread"):
        return _finding_of_spread(metrics, name, rule, number)
    value, sd = number.value, number.sd
    if not (math.isfinite(sd) and sd >= 0):
        return _refused(name, rule, number, tables.sentence("reasons.no_error"))
    limit, direction = rule["threshold"], rule["direction"]
    probability = float(probability_of(value, sd, limit, side=direction))
    beyond = None
    if "margin" in rule:
        beyond = _farther(value, sd, limit, rule["margin"]["value"], direction)
    finding = _decided(name, rule, number, number.interval, probability, beyond)
    return _with_gross(finding, rule) if metrics[metric].attrs.get(GROSS) else finding


def _farther(value: float, sd: float, limit: float, margin: float, direction: str) -> float:
    """Compute the probability that a value is farther from its limit than the margin."""

    def above(bound: float) -> float:
        return float(probability_of(value, sd, bound, side="above"))

    def between(low: float, high: float) -> float:
        return above(low) - above(high)

    within = between(limit - margin, limit + margin)
    if direction == "outside":  # the magnitude has a limit on both sides of 0
        least = max(limit - margin, 0.0)
        within = between(least, limit + margin) + between(-limit - margin, -least)
    return 1.0 - within


def _finding_of_spread(
    metrics: xr.Dataset, name: str, rule: Mapping[str, Any], number: Number
) -> Finding:
    """Judge a standard deviation over repetitions by its chi-square distribution."""
    from scipy.special import chdtr, chdtri

    count = value_at(metrics, "accepted_repetitions")
    if not math.isfinite(count):
        return _refused(name, rule, number, tables.sentence("reasons.unknown_repetitions"))
    free = count - 1
    squares = free * number.value**2
    probability = float(chdtr(free, squares / rule["threshold"] ** 2))
    low, high = (math.sqrt(squares / float(chdtri(free, tail))) for tail in (0.025, 0.975))
    return _decided(name, rule, number, (low, high), probability)


def _decided(
    name: str,
    rule: Mapping[str, Any],
    number: Number,
    interval: tuple[float, float],
    probability: float,
    beyond: float | None = None,
) -> Finding:
    stated = is_stated(probability, met=rule.get("met", {}).get("value"))
    result: Result = "outside" if stated else "met" if stated is False else "inconclusive"
    least = float(tables.load("findings")["results"]["borderline"])
    if beyond is not None and 1.0 - beyond >= least:
        result, stated = "borderline", None
    reason = ""
    if result in ("inconclusive", "borderline"):
        reason = tables.sentence(
            "reasons.too_close" if result == "inconclusive" else "reasons.borderline"
        )
    return _finding(
        *(name, rule, number, _STATUS[stated], reason),
        *(interval, probability),
        result=result,
        beyond=beyond,
    )


def _with_gross(finding: Finding, rule: Mapping[str, Any]) -> Finding:
    """Add what the picture shows to an inconclusive check; other results stay unchanged."""
    if finding.result != "inconclusive" or "gross" not in rule:
        return finding
    return _with_sentences(replace(finding, gross=str(rule["gross"]["label"])))


def _refused(name: str, rule: Mapping[str, Any], number: Number, reason: str) -> Finding:
    result: Result = "inconclusive" if number.is_measured else "not_reported"
    return _finding(name, rule, number, "cannot be told", reason, result=result)


def _finding(
    name: str,
    rule: Mapping[str, Any],
    number: Number,
    status: Status,
    reason: str,
    interval: tuple[float, float] | None = None,
    probability: float | None = None,
    *,
    result: Result,
    beyond: float | None = None,
) -> Finding:
    finding = Finding(
        id=f"{name}_{number.side}" if number.side else name,
        metric=rule["metric"],
        group=rule["group"],
        number=replace(number, units=rule["unit"]),
        interval=interval,
        threshold=None if isinstance(rule["threshold"], Mapping) else rule["threshold"],
        probability=probability,
        status=status,
        reason=reason,
        rule=name,
        source=rule["source"],
        norm=rule.get("words", ""),
        result=result,
        beyond=beyond,
    )
    return _with_sentences(finding)


def _with_sentences(finding: Finding) -> Finding:
    return replace(
        finding,
        participant=say([finding], "participant"),
        professional=say([finding], "professional"),
    )


def _oriented(finding: Finding, rule: Mapping[str, Any]) -> Finding:
    """Make a negative value positive if words state its sign."""
    if "signs" not in rule or finding.value is None or finding.value >= 0:
        return finding
    turned = finding.interval and (-finding.interval[1], -finding.interval[0])
    return replace(finding, number=replace(finding.number, value=-finding.value), interval=turned)


def _sign(finding: Finding, rule: Mapping[str, Any]) -> str:
    if "signs" not in rule or finding.value is None:
        return ""
    word: str = rule["signs"]["negative" if finding.value < 0 else "positive"]
    return word


def _measured(finding: Finding, rule: Mapping[str, Any]) -> str:
    """Write side, value and interval: "left 98° (88 to 108°)"; a unit that is a word only once."""
    if finding.value is None:
        return finding.side
    text = in_units(finding.value, rule)
    if finding.interval is not None and finding.units != "count":
        text = f"{text} ({interval_text(finding.interval, rule)})"
    suffix = str(_number_format(rule)["suffix"])
    if len(suffix) > 3:
        text = f"{text.replace(suffix, '')}{suffix}"
    return f"{finding.side} {text}" if finding.side else text


_SIDE = "side"


def views_that_answer(rule: str) -> Mapping[str, float]:
    """Return the share of sides on which a rule is decided, by kind of view.

    The shares were counted in benchmarks on rendered people (table ``views_of_rules``). The far
    side was not counted if the near side hides it. For a rule without such a count, the share is 1
    if its measure and its angle declare that the view shows it, otherwise 0.
    """
    shares = {view: float(counts["answered"]) for view, counts in _counted(rule).items()}
    if not any(shares.values()):
        declared = next(
            filter(None, (_declared(rule, exercise) for exercise in exercises())), ("", {})
        )
        return {view: _declared_share(*declared, view) for view in VIEWS}
    return {view: shares.get(view, 0.0) for view in VIEWS}


def surer_views(rule: str, view: str) -> dict[str, float]:
    """Return the kinds of view with clearly smaller errors than this view, the most precise first.

    Each value is the fraction by which the median 95 % interval is narrower. Clearly smaller means
    that the upper quartile of their margins of error is below the lower quartile of this view. If
    this view was counted but never gave a value, the view with the narrowest intervals is returned.

    An angle that is seen better from the side should be filmed from there, even if its intervals
    are a little narrower from the front. Its errors are larger from the front. At the bottom of
    squats by people who were not used for tuning, the errors of ankle dorsiflexion are 5.0 degrees
    (root mean square) from the front and 3.2 from the side (``benchmarks/reported.md``).
    """
    counted = _counted(rule)
    widths = {kind: counts.get("half_width") for kind, counts in counted.items()}
    if view not in counted:
        return {}
    own_width = widths[view]
    if own_width is None:
        medians = {kind: float(width[1]) for kind, width in widths.items() if width}
        gains = {min(medians, key=lambda kind: medians[kind]): 1.0} if medians else {}
        return _from_the_side(rule, gains)
    gains = {
        kind: 1.0 - float(width[1] / own_width[1])
        for kind, width in widths.items()
        if width and width[2] < own_width[0]
    }
    return _from_the_side(
        rule, dict(sorted(gains.items(), key=lambda kind_and_gain: -kind_and_gain[1]))
    )


def _from_the_side(rule: str, gains: Mapping[str, float]) -> dict[str, float]:
    """Replace the front by the side, if the front is best for an angle that the side shows."""
    first = next(iter(gains), "")
    if first != "front":
        return dict(gains)
    of_rule = filter(None, (_declared(rule, exercise) for exercise in exercises()))
    kind, entry = next(of_rule, ("", {}))
    of_angle = str(entry.get("from", "")).startswith("angles.")
    if not of_angle or entry.get("frontal") or kind in COMPARES_SIDES:
        return dict(gains)
    other_gains = {view: gain for view, gain in gains.items() if view not in (first, _SIDE)}
    return {_SIDE: gains[first], **other_gains}


def hidden_in_words(view: View) -> str:
    """Describe in a sentence what is hidden or less visible in a view.

    Empty for an unknown view.
    """
    if view.kind == UNKNOWN:
        return ""
    side = "right" if view.azimuth_deg > 0 else "left"
    return tables.sentence(
        f"capture.view_hides.{view.kind.replace('-', '_')}",
        azimuth=abs(view.azimuth_deg),
        side=side,
        other=other_side(side),
    )


def another_view(view: Mapping[str, Any], meant: str | None) -> list[dict[str, Any]]:
    """Warn that the view is not the intended view.

    Parameters
    ----------
    view
        Part "view" of the capture quality; empty if there is none.
    meant
        Name of a view, as :func:`mobility.keypoints.view.view_name` returns it; None for any view.
    """
    if meant is None or view.get("name", UNKNOWN) == UNKNOWN:
        return []
    most = tables.load("verdict")["meant_view"]["beyond_deg"]
    if degrees_from(meant, view["azimuth_deg"]) <= most:
        return []
    words = {"seen": view_in_words(view["name"]), "wanted": view_in_words(meant)}
    return [tables.warning("warnings.other_view", **words)]


def films_beside(findings: Sequence[Finding], views: Collection[str]) -> dict[str, list[Finding]]:
    """Return the further videos that would decide undecided findings, as few as possible.

    Parameters
    ----------
    findings
        Findings of all videos together; only findings that are inconclusive or not visible count.
    views
        Names of the filmed views, at least one.

    Returns
    -------
    dict
        Findings by the view of the further video: a kind of view or, if only one side is not
        visible, "left" or "right". Findings are left out if no other view shows them, or shows them
        clearly better.
    """
    sides = Counter(finding.rule for finding in findings if finding.result == "not_visible")
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
    """Return the views of videos that would decide one finding, and the worth of each."""
    if finding.result == "inconclusive":
        return surer_views(finding.rule, view)
    if finding.result != "not_visible":
        return {}
    counted, shares = _counted(finding.rule), views_that_answer(finding.rule)
    worth = {film: share for film, share in shares.items() if share > 0}
    for film in worth.keys() & counted.keys():  # few sides prove little (Laplace)
        sides = counted[film]["sides"]
        worth[film] = (worth[film] * sides + 1) / (sides + 2)
    if of_one_side and finding.side and _SIDE in worth:
        worth[finding.side] = worth.pop(_SIDE)
    return {film: share for film, share in worth.items() if film != view}


def _counted(rule: str) -> Mapping[str, Any]:
    grids = tables.load("views_of_rules")["counted"].values()
    return next((grid["rules"][rule] for grid in grids if rule in grid["rules"]), {})


def _declared_share(kind: str, entry: Mapping[str, Any], view: str) -> float:
    """Return 1 if the measure declares that the view shows this kind of number, otherwise 0."""
    frontal = entry.get("frontal") or kind in COMPARES_SIDES
    if frontal and not tables.load("views")["views"][view].get("frontal_plane", True):
        return 0.0
    kernel, _, angle = str(entry.get("from", "")).partition(".")
    shown = kernel != "angles" or view in tables.load("angles")[angle]["seen"]["from"]
    return float(shown)


def _declared(rule: str, exercise: Exercise) -> tuple[str, Mapping[str, Any]] | None:
    """Return the kind of number that a rule judges, and the declaration of its measure."""
    if rule not in exercise.table["rules"]:
        return None
    moment = main_moment(exercise.moments)
    for name, entry in exercise.measures.items():
        for kind, number in names_of_numbers(name, entry, moment):
            if number == all_rules()[rule]["metric"]:
                return kind, entry
    return None
