"""The verdict: what a recording can be used for, based on its warnings and checks.

Report, documents and command line leave out what the verdict rules out. A page states either that a
recording is good or what is wrong with it, never both.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Literal, get_args

from mobility import tables
from mobility.assessment.findings import Finding, find, refused
from mobility.assessment.results import DECIDED
from mobility.base.formatting import capital, listed
from mobility.base.provenance import AnalysisWarning
from mobility.catalogue import registry
from mobility.catalogue.exercise import Exercise
from mobility.catalogue.registry import exercise_of
from mobility.keypoints.view import UNKNOWN

if TYPE_CHECKING:
    import xarray as xr

Level = Literal["good", "limited", "not_this_exercise", "unusable"]
LEVELS: tuple[Level, ...] = get_args(Level)
_ABOUT_HALF = (0.4, 0.6)
"""Shares of the checks that are described as about half of them."""
"""From good to bad."""

Part = Literal[
    "indices", "fms", "arms", "feet", "smoothness", "exercises", "differences", "findings"
]
"""Results that a verdict may rule out: indices, the score of the FMS deep squat, findings on the
arms, on the feet or on smoothness, exercises, differences between the sides, or all findings.
"""

PARTS: tuple[Part, ...] = get_args(Part)

_LEVEL_OF_CHECK: Mapping[str, Level] = {"poor": "limited", "unusable": "unusable"}


@dataclass(frozen=True)
class Reason:
    """One problem with a recording.

    Attributes
    ----------
    level
        Level of the verdict that the problem leads to.
    why
        The reason as a clause, without a capital and a full stop.
    about
        Topic of the reason: a recording has at most one reason for each topic.
    what_to_do
        What to do, in a sentence; empty if there is nothing to do.
    rules_out
        Results that are not reported because of this problem.
    sides_in_doubt
        Whether the sides may have been exchanged.
    looks_like
        What the recording shows instead of the exercise; empty if this is not clear.
    instead
        Slug of the exercise that was shown instead; empty if there is none.
    code
        Code of the warning; for a check without a code, its name.
    """

    level: Level
    why: str
    about: str
    what_to_do: str = ""
    rules_out: frozenset[str] = frozenset()
    sides_in_doubt: bool = False
    looks_like: str = ""
    instead: str = ""
    code: str = ""


@dataclass(frozen=True)
class Verdict:
    """What a recording can be used for.

    Attributes
    ----------
    level
        "good", "limited", "not_this_exercise" or "unusable".
    headline
        The verdict in a few words, and how many checks of the squat have a result.
    why
        The reason, in one plain sentence; empty if nothing is wrong.
    what_to_do
        What to do about it, in a sentence or two; empty if there is nothing to do.
    rules_out
        Results that are not reported, see :data:`Part`.
    reasons
        Everything that is wrong with the recording, the worst first.
    instead
        Slug of the exercise that `what_to_do` mentions; empty if it mentions none.
    """

    level: Level
    headline: str
    why: str = ""
    what_to_do: str = ""
    rules_out: frozenset[str] = frozenset()
    reasons: tuple[Reason, ...] = ()
    instead: str = ""

    @property
    def text(self) -> str:
        """Headline, why and what to do, as one text."""
        return " ".join(filter(None, [self.headline, self.why, self.what_to_do]))

    @property
    def film_again(self) -> bool:
        """Whether most results are missing or wrong, so that only another video helps."""
        return LEVELS.index(self.level) > LEVELS.index("limited")

    @property
    def sides_in_doubt(self) -> bool:
        """Whether the sides may have been exchanged."""
        return any(reason.sides_in_doubt for reason in self.reasons)

    def absent(self, *parts: Part) -> str:
        """Return a sentence that lists the `parts` that are not reported, and why.

        Empty if all parts are reported.
        """
        out = [part for part in parts if part in self.rules_out]
        if not out:
            return ""
        names = tables.load("verdict")["parts"]
        names_of_parts = {"parts": capital(listed([names[part] for part in out]))}
        because = [reason.why for reason in self.reasons if reason.rules_out.issuperset(out)]
        if not because:
            return tables.sentence("comments.verdict.absent", **names_of_parts)
        return tables.sentence("comments.verdict.absent_because", **names_of_parts, why=because[0])

    def keep(self, findings: Iterable[Finding]) -> tuple[Finding, ...]:
        """Leave out the findings that are ruled out."""
        if "findings" in self.rules_out:
            return ()
        return tuple(finding for finding in findings if self.keeps(finding.metric))

    def checks(self, findings: Iterable[Finding]) -> tuple[Finding, ...]:
        """Return all findings, marking those ruled out as not reported, with the reason."""
        return tuple(
            finding
            if self.shows(finding.metric)
            else refused(finding, self.why_without(finding.metric))
            for finding in findings
        )

    def keeps(self, metric: str) -> bool:
        """Whether a metric belongs to no part that is ruled out."""
        return not self.rules_out & _parts_with(metric)

    def why_without(self, quantity: str, item: str = "") -> str:
        """Return, as a clause, why a quantity or one of its items is not reported.

        Empty if it is reported. Counts are always reported: they show that there was nothing to
        measure.
        """
        table = tables.load("verdict")["parts_of"]
        parts = [part for part, names in table.items() if quantity in names]
        measure = tables.load("criteria")["compensations"]["assessed"].get(item, {}).get("measure")
        parts += _parts_with(quantity) | (_parts_with(measure) if measure else set())
        if quantity not in table["counts"]:
            parts.append("findings")
        for part in parts:
            if part in self.rules_out:
                because = [reason.why for reason in self.reasons if part in reason.rules_out]
                return because[0] if because else self.why.rstrip(".")
        return ""

    def shows(self, metric: str) -> bool:
        """Whether a metric is shown on the first page."""
        return "findings" not in self.rules_out and self.keeps(metric)


def _parts_with(metric: str) -> set[str]:
    metrics_of_parts = tables.load("verdict")["metrics_of"]
    return {
        part
        for part, patterns in metrics_of_parts.items()
        if any(fnmatchcase(metric, pattern) for pattern in patterns)
    }


def judge(
    warnings: Iterable[AnalysisWarning],
    quality: Mapping[str, Any] | None = None,
    metrics: xr.Dataset | None = None,
    *,
    exercise: Exercise | None = None,
) -> Verdict:
    """Decide what a recording can be used for.

    Parameters
    ----------
    warnings
        All recorded warnings; for single-joint movements, those that concern the shown results.
    quality
        The document from :func:`mobility.capture.quality.capture_quality`. If it is None, only the
        warnings decide.
    metrics
        Metrics of the exercise. For a squat, the verdict states how many of the checks
        (:func:`mobility.assessment.findings.find`) have a result.

    exercise
        The intended exercise; by default that of the `metrics`.

    Returns
    -------
    Verdict
        "good" only if there are no warnings and no failed checks. A recording without checks is
        "limited".
    """
    exercise = exercise or exercise_of(metrics)
    joints = exercise.noun == "movement"
    reasons = list(_reasons_of_warnings(warnings, exercise))
    nothing = metrics is not None and not joints and _without_repetition(metrics)
    if nothing and not _rule_out_all(reasons):
        why = tables.sentence("reasons.no_repetition")
        reasons.append(
            _reason_of_warning(AnalysisWarning("no_repetition", "", {"reason": why}), exercise)
        )
    checked = quality is not None and any(_checks_made(quality))
    if quality is not None:
        # A check replaces a warning about the same topic, because it has a level.
        faults = {reason.about: reason for reason in _reasons_of_checks(quality, exercise)}
        reasons = [faults.pop(reason.about, reason) for reason in reasons]
        reasons += faults.values()
    if quality is not None and not checked:
        why = tables.sentence("comments.verdict.not_checked")
        reasons.append(Reason("limited", why, about="checks"))
    good = Verdict("good", headline("good", exercise) if checked else "")
    verdict = _verdict_from(reasons, exercise) if reasons else good
    if metrics is None or joints or "findings" in verdict.rules_out:
        return verdict
    return _with_results(verdict, find(metrics))


def _with_results(verdict: Verdict, findings: Sequence[Finding]) -> Verdict:
    """Add in words how many checks have a clear result, and the main reason for the others."""
    findings = verdict.checks(findings)
    if not findings:
        return verdict
    silent = [finding for finding in findings if finding.result not in DECIDED]
    share = 1 - len(silent) / len(findings)
    text = tables.sentence(f"comments.verdict.clear.{_amount(share)}")
    reasons = Counter(finding.reason for finding in silent if finding.probability is None)
    reason, times = reasons.most_common(1)[0] if reasons else ("", 0)
    is_new = all(cause.why != reason for cause in verdict.reasons)
    if 2 * times > len(findings) and is_new:
        because = tables.sentence("comments.verdict.main_obstacle", reason=reason)
        text = f"{text} {because}"
    if verdict.level == "not_this_exercise":
        return replace(verdict, why=f"{verdict.why} {text}")
    return replace(verdict, headline=" ".join(filter(None, [verdict.headline, text])))


def _amount(share: float) -> str:
    """Name a share: "all", "most", "half", "few" or "none"."""
    if share in (0, 1):
        return "all" if share else "none"
    return "most" if share > _ABOUT_HALF[1] else "few" if share < _ABOUT_HALF[0] else "half"


def _verdict_from(reasons_given: Sequence[Reason], exercise: Exercise) -> Verdict:
    """Make a verdict: the worst reasons explain it, and every reason rules out parts."""
    worst_first = sorted(reasons_given, key=lambda reason: -LEVELS.index(reason.level))
    once: dict[str, Reason] = {}
    for reason in worst_first:
        once.setdefault(reason.about, reason)
    reasons = list(once.values())
    level = reasons[0].level
    worst = [reason for reason in reasons if reason.level == level]
    if level == "not_this_exercise":  # the fact that it is no squat explains the rest
        worst = [reason for reason in worst if "findings" in reason.rules_out][:1] or worst
    rules_out = frozenset(exercise.table["parts"]).intersection(
        *[frozenset().union(*(reason.rules_out for reason in reasons_given))]
    )
    why = listed([reason.why for reason in worst])
    looks = [reason.looks_like for reason in worst if reason.looks_like][:1]
    why = (
        tables.sentence("comments.verdict.looks_like", what=looks[0], why=why)
        if looks
        else f"{capital(why)}."
    )
    limits = [reason for reason in reasons if reason.level == "limited"]
    if level == "not_this_exercise" and limits and "findings" not in rules_out:
        # The remaining findings have the limits of the recording.
        besides = listed([reason.why for reason in limits])
        why += " " + tables.sentence("comments.verdict.besides", limits=besides)
        worst += limits
    does = each_once(reason.what_to_do for reason in worst)
    return Verdict(
        level=level,
        headline=headline(level, exercise),
        why=why,
        what_to_do=" ".join(filter(None, does)),
        rules_out=rules_out,
        reasons=tuple(reasons),
        instead=next((reason.instead for reason in worst if reason.instead), ""),
    )


def each_once(texts: Iterable[str]) -> list[str]:
    """Remove from each text the sentences that an earlier text contains or begins with."""
    sentences_so_far: list[str] = []
    texts_left = []
    for text in texts:
        sentences = []
        for sentence in re.split(r"(?<=[.!?]) +(?=[A-Z])", text):
            if not any(earlier.startswith(sentence.rstrip(".")) for earlier in sentences_so_far):
                sentences.append(sentence)
                sentences_so_far.append(sentence)
        texts_left.append(" ".join(sentences))
    return texts_left


def headline(level: Level, exercise: Exercise) -> str:
    """Return the sentence for a level."""
    return f"{capital(exercise.verdict_words(level))}."


def _reason(
    entry: Mapping[str, Any], level: Level, why: str, *, second: bool, what_to_do: str = ""
) -> Reason:
    always = tables.load("verdict")["levels"][level].get("rules_out", ())
    about = entry.get("about", why)
    return Reason(
        level=level,
        why=tables.sentence("comments.verdict.second_camera", why=why) if second else why,
        about=f"second {about}" if second else about,
        what_to_do=what_to_do or entry.get("do", ""),
        rules_out=frozenset((*always, *entry.get("rules_out", ()))),
        sides_in_doubt=entry.get("sides_in_doubt", False),
    )


def _reasons_of_warnings(
    warnings: Iterable[AnalysisWarning], exercise: Exercise
) -> Iterator[Reason]:
    """Return reasons in the order of the table, which lists the most important warnings first."""
    all_warnings = list(warnings)
    for code in tables.load("verdict")["warnings"]:
        for warning in (other for other in all_warnings if other.code == code):
            if "level" in _entry_of(warning):
                yield _reason_of_warning(warning, exercise)


def _entry_of(warning: AnalysisWarning) -> dict[str, Any]:
    entry = dict(tables.load("verdict")["warnings"][warning.code])
    for value, otherwise in entry.get("if", {}).items():
        entry |= otherwise if warning.values.get(value) else {}
    return entry


def _reason_of_warning(warning: AnalysisWarning, exercise: Exercise) -> Reason:
    entry = _entry_of(warning)
    advice = exercise.table.get("advice_on", {}).get(warning.code, entry.get("do", ""))
    why = entry["is"].format(**warning.values)
    instead = str(warning.values.get("exercise", ""))
    names = {exercise.slug: exercise.name for exercise in registry.exercises()}
    named = {**warning.values, "exercise": names.get(instead, instead)}
    what_to_do = advice.format(**named)
    second = warning.values.get("seen_by", 1) > 1 and not entry.get("once")
    reason = _reason(entry, entry["level"], why, second=second, what_to_do=what_to_do)
    looks = entry.get("looks_like", {}).get(warning.values.get("looks", ""), "")
    return replace(reason, looks_like=looks, instead=instead, code=warning.code)


def _without_repetition(metrics: xr.Dataset) -> bool:
    return "accepted_repetitions" in metrics and int(metrics["accepted_repetitions"]) == 0


def _rule_out_all(reasons: Iterable[Reason]) -> bool:
    """Whether any reason rules out all findings."""
    return any("findings" in reason.rules_out for reason in reasons)


def _checks_made(quality: Mapping[str, Any]) -> Iterator[bool]:
    for camera_quality in (quality, quality.get("second_camera") or {}):
        for name in tables.load("verdict")["checks"]:
            check = camera_quality.get(name)
            yield isinstance(check, Mapping) and check.get("verdict") is not None


def _reasons_of_checks(quality: Mapping[str, Any], exercise: Exercise) -> Iterator[Reason]:
    second = quality.get("second_camera") or {}
    for camera_quality in (quality, second):
        for name, entry in tables.load("verdict")["checks"].items():
            check = camera_quality.get(name)
            if not isinstance(check, Mapping):
                continue
            level = _LEVEL_OF_CHECK.get(str(check.get("verdict")))
            if level is None:
                continue
            for fault, fault_level, advice in _faults(name, entry, check, level, exercise):
                reason = _reason(
                    fault,
                    fault_level,
                    fault["is"],
                    second=camera_quality is second,
                    what_to_do=advice,
                )
                yield replace(reason, code=fault.get("code", name))


def _faults(
    name: str,
    entry: Mapping[str, Any],
    check: Mapping[str, Any],
    level: Level,
    exercise: Exercise,
) -> Iterator[tuple[Mapping[str, Any], Level, str]]:
    """Yield entry, level and advice for each problem that a check found."""
    advice = str(check.get("advice") or "")
    if name == "view":
        if exercise.noun == "movement":
            yield entry["joints"], level, advice
        elif check.get("name", UNKNOWN) == UNKNOWN:
            yield entry["unknown"], level, advice
    elif name == "framing":
        yield from _faults_of_framing(entry, check, level, advice, exercise)
    else:
        yield {**entry, **entry.get(str(check["verdict"]), {})}, level, advice


def _faults_of_framing(
    entry: Mapping[str, Any],
    check: Mapping[str, Any],
    level: Level,
    advice: str,
    exercise: Exercise,
) -> Iterator[tuple[Mapping[str, Any], Level, str]]:
    """Yield the problems of the framing by part of the body; for single joints as a whole."""
    framing = tables.load("capture_quality")["framing"]
    limits = framing["share"]["above"]
    advice_on = exercise.table.get("advice_on", {})
    outside = {} if exercise.noun == "movement" else check.get("outside") or {}
    at_edge = check.get("at_edge") or {}
    # Earlier versions did not store it, and feet are out of the picture whenever ankles are.
    ankles = check.get("ankles_outside")
    any_part = False
    for part, share in outside.items():
        if share is None or part not in entry:
            continue
        if not share + (at_edge.get(part) or 0.0) > limits["poor"]:
            continue
        any_part = True
        part_level: Level = "unusable" if share > limits["unusable"] else "limited"
        what_to_do = advice_on.get(f"{part}_out_of_picture", framing["advice"][part])
        kind: str = part_level if share > limits["poor"] else "edge"
        if kind == "unusable" and "ankles_seen" in entry[part] and ankles is not None:
            kind = kind if ankles > limits["unusable"] else "ankles_seen"
        part_entry = {**entry[part], **entry[part].get(kind, {})}
        yield part_entry, part_entry.get("level", part_level), what_to_do
    if not any_part:
        yield entry["joints"], level, advice


def warning_lines(warnings: Sequence[AnalysisWarning]) -> list[str]:
    """Write each warning on a line; angles that are not reported share one line."""
    # A record that other code wrote may lack these values.
    refused = [
        warning
        for warning in warnings
        if warning.code == "angle_refused" and "limit" in warning.values
    ]
    if len(refused) < 2:
        return [warning.message for warning in warnings]
    by_limit: dict[str, list[str]] = {}
    for warning in refused:
        angle, share = str(warning.values["angle"]), warning.values["share"]
        part = tables.sentence(
            "warnings.angles_refused.part", angle=angle[0].lower() + angle[1:], share=share
        )
        by_limit.setdefault(str(warning.values["limit"]), []).append(part)
    parts = "; ".join(
        tables.sentence("warnings.angles_refused.limit", limit=limit, parts=", ".join(part))
        for limit, part in by_limit.items()
    )
    together = tables.sentence("warnings.angles_refused.all", parts=parts)
    return [
        together if warning is refused[0] else warning.message
        for warning in warnings
        if warning is refused[0] or warning not in refused
    ]
