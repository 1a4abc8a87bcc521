"""How often statements about a squat are right, counted on rendered squats with known truth.

usage: python benchmarks/findings.py [--cache FOLDER] [--grid GRID ...] [--clips N] [--resume]
                                     [--errors | --contradictions | --looked-at POSES | --each]
                                     [--json] [--write]

Needs the poses and truths that `mobility virtual-lab sweep benchmarks/reporting2.yaml` left in its
cache. Earlier counts on reporting.yaml, whose people do not have the proportions of real people,
are kept. The true positions of a case go through the same assessment. If the true value is within a
margin of the threshold, it counts neither as true nor as untrue, and the statement is counted
separately ("grey"). Other statements are right (TP: the finding exists and is stated; TN: it does
not exist, and this is stated) or wrong (FP, FN), or the report states that it cannot decide.

--each also prints the cases with wrong statements. --errors prints instead how far the metrics are
from the truth, by view. --contradictions prints the cases in which an index is above 90 although
something that it measures is outside its target. --looked-at prints the statements about filmed
squats next to what their frames show (looked_at.yaml).
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
import yaml
from scipy import stats

from mobility import tables
from mobility.assessment.criteria import is_stated
from mobility.assessment.findings import Finding, find, wrong_expected
from mobility.base.progress import progress_bar
from mobility.errors import BadInputError
from mobility.exercises.overhead_squat.exercise import overhead_squat
from mobility.keypoints.view import VIEWS, view_of_azimuth
from mobility.kinematics.angles import joint_angles
from mobility.kinematics.clean import clean_pose
from mobility.kinematics.expected_error import sd_of
from mobility.kinematics.fit.entry import VISIBILITY_THRESHOLD, fit_body
from mobility.kinematics.repetitions import find_repetitions
from mobility.sessions.files import atomic
from mobility.virtual_lab.case import read_case, read_truth, truth_pose, write_dataset
from mobility.virtual_lab.grid import grid_cases, read_grid
from mobility.virtual_lab.sweep import case_folder, read_pose

ROOT = Path(__file__).resolve().parents[1]
GRIDS = [ROOT / "benchmarks" / "reporting2.yaml"]
TABLE = ROOT / "benchmarks" / "findings.md"
VIEWS_OF_RULES = ROOT / "mobility" / "tables" / "views_of_rules.yaml"
LOOKED_AT = ROOT / "benchmarks" / "looked_at.yaml"
BY_HAND = "## Remarks"
"""Heading at which the part begins that is written by hand, up to the counts of earlier grids."""
LEFT_OUT = 0.1
"""Largest number of cases of a grid that may be missing."""

LEAST_FOR_QUARTILES = 4
"""Smallest number of intervals for which quartiles of their width are stated."""

MARGIN = {
    rule["metric"]: rule["margin"]["value"]
    for rule in tables.load("findings")["rules"].values()
    if "margin" in rule and not rule.get("spread")
}
"""Distance from its threshold at which a true value is clearly beyond it, or clearly not."""

DECIDED = ("outside", "met", "borderline")
"""Results that can be right or wrong."""

_PROCESSES = 2


class Told(NamedTuple):
    """The statement about one item in one case, and the truth.

    Attributes
    ----------
    true
        None if the truth is too close to the threshold, or has no value.
    stated
        None if the report states that it cannot decide.
    value, sd, truth
        The measured metric, its error, and the true metric, each on the side that is farther beyond
        the threshold.
    """

    kind: str
    item: str
    measure: str
    view: str
    trial: str
    true: bool | None
    stated: bool | None
    probability: float
    value: float
    sd: float
    truth: float

    @property
    def outcome(self) -> str:
        """Return one of TP, FP, TN, FN, "not told", "grey"."""
        if self.true is None:
            return "grey"
        if self.stated is None:
            return "not told"
        return ("TN", "FN", "FP", "TP")[2 * self.stated + self.true]


def assessed(folder: Path, *, resume: bool = False) -> tuple[xr.Dataset, xr.Dataset]:
    """Return the metrics of the recording and of the truth for a case in the cache."""
    kept = folder / "fitted.nc"
    if resume and kept.is_file():
        fitted = read_pose(kept)
    else:
        pose = clean_pose(read_pose(folder / "pose.nc"), visibility_threshold=VISIBILITY_THRESHOLD)
        fitted = fit_body(pose)
        write_dataset(fitted, kept)
    return measured(fitted), measured(truth_pose(read_truth(folder / "truth.nc")))


def measured(pose: xr.Dataset) -> xr.Dataset:
    """Return the metrics of a pose."""
    return overhead_squat(pose, joint_angles(pose), find_repetitions(pose))


def true_or_not(value: np.ndarray, threshold: float, side: str, margin: float) -> bool | None:
    """Return whether a true value, on any side, is clearly beyond a threshold; None if unclear."""
    if not np.isfinite(value).all():
        return None
    if side == "outside":
        beyond = float(np.max(np.abs(value))) - threshold
    else:
        sign = 1 if side == "above" else -1
        beyond = float(np.max(sign * (value - threshold)))
    return None if abs(beyond) < margin else beyond > 0


class Item(NamedTuple):
    """A criterion, compensation or rule, and the statement of the report about it."""

    kind: str
    item: str
    measure: str
    side: str
    threshold: float
    probability: float
    stated: bool | None


def items(metrics: xr.Dataset) -> list[Item]:
    """Collect the criteria, compensations and rules whose truth is known."""
    found = []
    for kind, name, dim in (
        ("FMS", "fms_probability", "fms_criterion"),
        ("NASM", "compensation_probability", "compensation"),
    ):
        limits = json.loads(metrics[name].attrs["thresholds"])
        for item, limit in limits.items():
            probability = float(metrics[name].sel({dim: item}))
            if kind == "FMS":
                probability = 1.0 - probability
            limits_of = (limit[k] for k in ("measure", "side", "value"))
            found.append(Item(kind, item, *limits_of, probability, is_stated(probability)))
    rules = tables.load("findings")["rules"]
    for item, findings in by_rule(find(metrics)).items():
        rule = rules[item]
        each = [np.nan if f.probability is None else f.probability for f in findings]
        probability = float(np.max(each)) if np.isfinite(each).all() else np.nan
        # What is told of a side is told: the other may be open.
        said = {finding.status for finding in findings}
        stated = True if "found" in said else False if said == {"not found"} else None
        found.append(
            Item(
                "finding",
                item,
                measure=rule["metric"],
                side=rule["direction"],
                threshold=rule["threshold"],
                probability=probability,
                stated=stated,
            )
        )
    return found


def by_rule(findings: Iterable[Finding]) -> dict[str, list[Finding]]:
    """Group the findings of the rules whose metrics have a known truth."""
    found: dict[str, list[Finding]] = {}
    for finding in findings:
        if finding.metric in MARGIN:
            found.setdefault(finding.rule, []).append(finding)
    return found


def clip_told(folder: Path, *, resume: bool = False) -> list[Told]:
    """Collect the statements about each item in a case."""
    metrics, truth = assessed(folder, resume=resume)
    case = read_case(folder / "case.yaml")
    return told_of(metrics, truth, view_of_azimuth(case.camera.azimuth), case.name)


def told_of(metrics: xr.Dataset, truth: xr.Dataset, view: str, trial: str) -> list[Told]:
    """Compare the statements about each item, from metrics, with the truth."""
    told = []
    for kind, item, measure, side, threshold, probability, stated in items(metrics):
        true = np.atleast_1d(truth[measure].to_numpy())
        value, sd = (np.atleast_1d(metrics[key].to_numpy()) for key in (measure, f"{measure}_sd"))
        worst = _worst(true, side)
        told.append(
            Told(
                *(kind, item, measure, view, trial),
                true_or_not(true, threshold, side, MARGIN[measure]),
                *(stated, probability, float(value[worst]), float(sd[worst]), float(true[worst])),
            )
        )
    return told


def clip_errors(folder: Path, *, resume: bool = False) -> list[dict[str, Any]]:
    """Return the measured minus the true value of each compared metric and side.

    Cases of two grids may have the same name, but their folders never do.
    """
    metrics, truth = assessed(folder, resume=resume)
    case = read_case(folder / "case.yaml")
    return errors_of(metrics, truth, view_of_azimuth(case.camera.azimuth), folder.name)


def looked_at(poses: Path) -> pd.DataFrame:
    """Compare the statements about filmed squats with their frames, one row per finding."""
    rows = []
    for clip, seen in yaml.safe_load(LOOKED_AT.read_text(encoding="utf-8")).items():
        pose = clean_pose(
            read_pose(poses / f"{clip}.nc"), visibility_threshold=VISIBILITY_THRESHOLD
        )
        said = {item.item: item for item in items(measured(fit_body(pose)))}
        rows += [
            {
                "clip": clip,
                "fault": name,
                "there": there,
                "said": "nothing" if (told := said[name].stated) is None else told,
                "outcome": "not told" if told is None else "right" if told == there else "wrong",
            }
            for name, there in seen["faults"].items()
        ]
    return pd.DataFrame(rows)


def contradictions(folder: Path, *, resume: bool = False) -> list[str]:
    """List each index above 90 although something that it measures is outside its target."""
    metrics = assessed(folder, resume=resume)[0]
    faults = {finding.rule for finding in find(metrics) if finding.status == "found"}
    table = tables.load("indices")
    return [
        f"{folder.name}: {name} {float(metrics[name]):.0f} beside {', '.join(sorted(against))}"
        for name in ("mobility_index", "quality_index")
        if float(metrics[name]) > 90
        and (against := faults & {part["rule"] for part in table[name]["parts"].values()})
    ]


def errors_of(
    metrics: xr.Dataset, truth: xr.Dataset, view: str, trial: str
) -> list[dict[str, Any]]:
    """Return the measured minus the true values of a case, one row each."""
    rows = []
    for measure in MARGIN:
        value, sd, true = (
            np.atleast_1d(a) for a in (metrics[measure], metrics[f"{measure}_sd"], truth[measure])
        )
        rows += [
            {
                "metric": measure,
                "view": view,
                "trial": trial,
                "error": float(value[i] - true[i]),
                "own sd": float(sd[i]),
                "truth": float(true[i]),
            }
            for i in range(value.size)
        ]
    return rows


def error_table(errors: pd.DataFrame) -> pd.DataFrame:
    """Return bias and spread of the errors by metric and view, and the stated errors.

    `own` is the root mean square of the errors in units of the stated errors.
    """
    known = errors[errors["error"].notna()]
    grouped = known.groupby(["metric", "view"], sort=False)
    return pd.DataFrame(
        {
            "bias": grouped["error"].mean(),
            "sd": grouped["error"].std(),
            "own sd": grouped["own sd"].median(),
            "own": known.assign(z=known["error"] / known["own sd"])
            .groupby(["metric", "view"], sort=False)["z"]
            .apply(lambda z: float(np.sqrt((z**2).mean()))),
            "clips": grouped["trial"].nunique(),
        }
    )


def _worst(true: np.ndarray, side: str) -> int:
    known = np.where(np.isfinite(true), true, 0.0)
    return int(np.argmax({"above": known, "below": -known, "outside": np.abs(known)}[side]))


def all_told(clips: list[list[Told]]) -> pd.DataFrame:
    """Collect the statements about each item in all cases, one row each, with its outcome."""
    return pd.DataFrame(
        [{**told._asdict(), "outcome": told.outcome} for clip in clips for told in clip]
    )


def of_clips(function: Callable[[Any], list[Any]], clips: Sequence[Any]) -> list[list[Any]]:
    """Apply a function to each case in separate processes."""
    # Read by BLAS when the processes start; more threads than cores wait for each other.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    bar = progress_bar("assessing", total=len(clips), unit="clip")
    rows = []
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(_PROCESSES, mp_context=spawn) as pool:
        for clip in pool.map(function, clips):
            rows.append(clip)
            bar.update()
    bar.close()
    return rows


COUNTS = ("TP", "FN", "FP", "TN", "not told", "grey")


def counted(told: pd.DataFrame) -> dict[str, Any]:
    """Count the outcomes, and return the shares of statements that were right."""
    n = {name: int((told["outcome"] == name).sum()) for name in COUNTS}
    positive, negative = n["TP"] + n["FN"], n["TN"] + n["FP"]
    there = int((told["true"] == True).sum())  # noqa: E712
    absent = int((told["true"] == False).sum())  # noqa: E712
    return {
        **n,
        "sensitivity": n["TP"] / positive if positive else np.nan,
        "specificity": n["TN"] / negative if negative else np.nan,
        "found of all": n["TP"] / there if there else np.nan,
        "cleared of all": n["TN"] / absent if absent else np.nan,
    }


def table(told: pd.DataFrame) -> pd.DataFrame:
    """Count each item over all cases."""
    groups = told.groupby(["kind", "item"], sort=False)
    return pd.DataFrame(
        [{"kind": kind, "item": item, **counted(part)} for (kind, item), part in groups]
    )


def by_view(told: pd.DataFrame) -> pd.DataFrame:
    """Count by view the possible statements, the statements made, and the right statements.

    Only findings count among the three kinds of items, because they repeat the others.
    """
    clear = told[(told["kind"] == "finding") & (told["outcome"] != "grey")]
    rows = []
    for view in [*(view for view in VIEWS if view in set(clear["view"])), "all"]:
        own = clear if view == "all" else clear[clear["view"] == view]
        made = own[own["outcome"] != "not told"]
        right = int(made["outcome"].isin(["TP", "TN"]).sum())
        counts = {"trials": own["trial"].nunique(), "could be made": len(own)}
        counts |= {"with a value": int(own["probability"].notna().sum()), "made": len(made)}
        share = {"made of all": len(made) / max(len(own), 1), "right": right}
        rows.append(
            {
                **{"view": view, **counts, **share, "wrong": len(made) - right},
                "right of made": right / len(made) if len(made) else np.nan,
            }
        )
    return pd.DataFrame(rows)


def clip_results(folder: Path) -> list[dict[str, Any]]:
    """Collect the result of each rule on each side of a case, and how far the truth is beyond it.

    The fitted body is the one of `clip_told`.
    """
    metrics, truth = assessed(folder, resume=True)
    view = view_of_azimuth(read_case(folder / "case.yaml").camera.azimuth)
    rules, rows = tables.load("findings")["rules"], []
    for finding in find(metrics):
        rule = rules[finding.rule]
        if finding.metric not in MARGIN or isinstance(rule["threshold"], dict):
            continue
        true = truth[finding.metric]
        value = float(true.sel(side=finding.side) if finding.side else true)
        sign = {"above": 1.0, "below": -1.0}.get(rule["direction"])
        limit = rule["threshold"]
        beyond = abs(value) - limit if sign is None else sign * (value - limit)
        rows.append(
            {
                **{"trial": folder.name, "view": view, "rule": finding.rule, "side": finding.side},
                **{"result": finding.result, "beyond": beyond, "margin": rule["margin"]["value"]},
                "probability": finding.probability,
                **hidden_and_half_width(finding),
                "wrong expected": wrong_expected([finding]),
                "z": (finding.value - value) / sd_of(*finding.interval)
                if finding.value is not None and finding.interval is not None
                else np.nan,
            }
        )
    return rows


def hidden_and_half_width(finding: Finding) -> dict[str, Any]:
    """Return whether the near side hides a finding, and half of the finding's interval."""
    low, high = finding.interval or (np.nan, np.nan)
    return {"hidden": finding.hidden, "half_width": (high - low) / 2}


def views_of_rules(rows: pd.DataFrame) -> str:
    """Return the lines of the table ``views_of_rules`` for results of `clip_results`."""
    seen, lines = rows[~rows["hidden"]], []
    for rule, of_rule in seen.groupby("rule", sort=False):
        lines.append(f"      {rule}:")
        for view in VIEWS:
            own = of_rule[of_rule["view"] == view]
            if own.empty:
                continue
            share = own["result"].isin(["outside", "met", "borderline"]).mean()
            entry = f"sides: {len(own)}, answered: {share:.2f}"
            widths = own["half_width"].astype(float).dropna()
            if len(widths) >= LEAST_FOR_QUARTILES:
                quartiles = widths.quantile([0.25, 0.5, 0.75])
                entry += f", half_width: [{', '.join(f'{each:.3g}' for each in quartiles)}]"
            lines.append(f"        {view}: {{{entry}}}")
    return "".join(f"{line}\n" for line in lines)


def write_views(grid: str, lines: str) -> None:
    """Write the counts from a grid into the table ``views_of_rules``."""
    text = VIEWS_OF_RULES.read_text(encoding="utf-8")
    before, found, after = text.partition(f"  {grid}:\n")
    kept = re.match(r"    source: .*\n    rules:\n", after)
    if not found or kept is None:
        raise BadInputError(f"{VIEWS_OF_RULES}: has no {grid}; give it source and rules")
    rest = re.sub(r"\A(?:      .*\n)*", "", after[kept.end() :])
    with atomic(VIEWS_OF_RULES) as hidden:
        hidden.write_text(before + found + kept[0] + lines + rest, encoding="utf-8")


def results_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Count the results by view, and how many are right.

    The result *outside* is right if the true value is beyond the threshold, *met* if it is not, and
    *borderline* if it is within the margin on either side of the threshold. *outside* and *met* are
    clearly right or wrong if the true value is more than the margin away from the threshold.
    """
    rows = judged(rows)
    rows = rows.assign(
        clear=(rows["beyond"].abs() > rows["margin"]) | (rows["result"] == "borderline"),
    )
    made = []
    for view, own in of_views(rows):
        shown = own[~own["result"].isin(["not_reported", "not_visible"])]
        decided = shown[shown["result"].isin(DECIDED)]
        clear = decided[decided["clear"]]
        made.append(
            {
                **{"view": view, "asked": len(own), "shown": len(shown)},
                **{name: int((own["result"] == name).sum()) for name in (*DECIDED, "inconclusive")},
                "decided of shown": len(decided) / max(len(shown), 1),
                "right": decided["right"].mean(),
                "right, clear truth": clear["right"].mean(),
                **{
                    f"right: {name}": decided.loc[decided["result"] == name, "right"].mean()
                    for name in DECIDED
                },
            }
        )
    return pd.DataFrame(made)


def judged(rows: pd.DataFrame) -> pd.DataFrame:
    """State for each result with a known truth whether it is right."""
    rows = rows[np.isfinite(rows["beyond"])]
    right = {
        "outside": rows["beyond"] > 0,
        "met": rows["beyond"] <= 0,
        "borderline": rows["beyond"].abs() <= rows["margin"],
    }
    chosen = [rows["result"] == name for name in DECIDED]
    return rows.assign(right=np.select(chosen, [right[n] for n in DECIDED], default=False))


def of_views(rows: pd.DataFrame) -> Iterable[tuple[str, pd.DataFrame]]:
    """Yield the rows of each view, and all rows."""
    for view in VIEWS:
        if view in set(rows["view"]):
            yield view, rows[rows["view"] == view]
    yield "all", rows


def wrong_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Compare the number of results expected to be wrong, from their probabilities, with the truth.

    *between* is the range that contains the count in 95 % of samples with independent results
    (Poisson).
    """
    made = []
    for view, own in of_views(judged(rows)):
        decided = own[own["result"].isin(DECIDED)]
        expected = float(decided["wrong expected"].sum())
        low, high = stats.poisson.interval(0.95, expected)
        made.append(
            {
                **{"view": view, "results": len(decided), "said wrong": round(expected, 1)},
                **{"wrong": int((~decided["right"]).sum())},
                "between": f"{low:.0f} and {high:.0f}",
            }
        )
    return pd.DataFrame(made)


def doubtful_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Compare, by rule, findings with a probability of 0.2 to 0.5 with how often they are true.

    `z` is the root mean square of all errors of the rule, in units of the stated errors.
    """
    known = rows[rows["probability"].notna() & np.isfinite(rows["beyond"])]
    likely = known["probability"].astype(float)
    doubtful = known[(likely > 0.2) & (likely < 0.5)]
    grouped = doubtful.assign(there=doubtful["beyond"] > 0).groupby("rule")
    squares = (known.set_index("rule")["z"].astype(float) ** 2).groupby("rule").mean()
    frame = pd.DataFrame(
        {
            "values": grouped.size(),
            "said": grouped["probability"].sum().astype(float),
            "there": grouped["there"].sum(),
            "z": np.sqrt(squares).reindex(list(grouped.groups)),
        }
    )
    return frame.sort_values("values", ascending=False, kind="stable").reset_index()


def bins_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Compare the probabilities of findings with how often the findings are true, in ten bins."""
    known = rows[rows["probability"].notna() & np.isfinite(rows["beyond"])]
    of_bin = np.minimum((10 * known["probability"].astype(float)).astype(int), 9)
    grouped = known.assign(there=known["beyond"] > 0).groupby(of_bin)
    return pd.DataFrame(
        {
            "said": grouped["probability"].mean().astype(float),
            "came true": grouped["there"].mean(),
            "values": grouped.size(),
        }
    ).reset_index(drop=True)


def skill_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Compare the probabilities of each rule with its base rate.

    `skill` is 1 - B / B0. B is the Brier score, the mean squared difference of the probability from
    the truth (1 or 0). B0 is the Brier score of the base rate, the share of these values for which
    the finding is true. 1 is perfect, 0 is no better than the base rate. The skill is not defined
    if the finding is always or never true.
    """
    known = rows[rows["probability"].notna() & np.isfinite(rows["beyond"])]
    there = (known["beyond"] > 0).astype(float)
    squared = (known["probability"].astype(float) - there) ** 2
    made = []
    for rule, own in there.groupby(known["rule"]):
        rate, brier = float(own.mean()), float(squared[own.index].mean())
        chance = rate * (1 - rate)
        made.append(
            {
                **{"rule": rule, "values": len(own), "there": int(own.sum()), "Brier": brier},
                **{"of the base rate": chance, "skill": 1 - brier / chance if chance else np.nan},
            }
        )
    return pd.DataFrame(made).sort_values("skill", ascending=False, ignore_index=True)


def results_markdown(rows: pd.DataFrame) -> str:
    """Return the results by view, and the probabilities beside the truth, as Markdown."""
    results, bins = results_table(rows), bins_table(rows)
    wrong, doubtful, skill = wrong_table(rows), doubtful_table(rows), skill_table(rows)
    lines = [
        "## Results",
        "",
        "Results of each rule on each side whose truth is known: *asked*. *shown*: reported and"
        " visible; *decided*: outside, met or borderline. *outside* is right if",
        "the true value is beyond the limit, *met* if it is not, *borderline* if it is within"
        " the margin of the rule of it. *clear truth*: without",
        "*outside* and *met* whose true value is within the margin of the limit. Intervals count"
        " the two sides of a person as two.",
        "",
        "| " + " | ".join(results) + " |",
        "|---|" + "---:|" * (results.shape[1] - 1),
    ]
    for row in results.to_dict("records"):
        made = row["outside"] + row["borderline"] + row["met"]
        shares = {
            name: "–" if np.isnan(share) else f"{share:.0%}"
            for name, share in row.items()
            if isinstance(share, float)
        }
        shares["right"] += between(round(made * row["right"]), made) if made else ""
        lines.append("| " + " | ".join(str(value) for value in (row | shares).values()) + " |")
    lines += [
        "",
        "## Wrong results",
        "",
        "*said wrong*: the sum of the probabilities that a result is wrong, as a report gives it."
        " *between*: 95 % of counts, if the results were independent.",
        "",
        *_table(wrong),
        "",
        "## What was said and what came true",
        "",
        "Probability of the fault, its mean in each tenth, and how often the true value is beyond"
        " the limit.",
        "",
        *_table(bins.map(lambda value: f"{value:.2f}" if isinstance(value, float) else value)),
        "",
        "Those from 0.2 to 0.5, by rule: how many are *said* to be there, and how many are. *z*:"
        " all errors of the rule, in units of those that are stated.",
        "",
        *_table(
            doubtful.assign(
                rule=doubtful["rule"].str.replace("_", " "),
                said=doubtful["said"].map("{:.1f}".format),
                z=doubtful["z"].map("{:.2f}".format),
            )
        ),
        "",
        "## Skill of each rule",
        "",
        "*Brier*: mean squared difference of the probability from what is true (1 or 0). *of the"
        " base rate*: the same for somebody who always says the share in",
        "which the fault is there. *skill*: 1 minus their ratio (1 is perfect, 0 is no better than"
        " the base rate).",
        "",
        *_table(
            skill.assign(rule=skill["rule"].str.replace("_", " ")).map(
                lambda value: (
                    value
                    if not isinstance(value, float)
                    else "–"
                    if np.isnan(value)
                    else f"{value:.2f}"
                )
            )
        ),
    ]
    return "\n".join(lines) + "\n"


def _table(frame: pd.DataFrame) -> list[str]:
    text = ["| " + " | ".join(frame) + " |", "|---|" + "---:|" * (frame.shape[1] - 1)]
    return text + ["| " + " | ".join(map(str, row)) + " |" for row in frame.to_numpy(dtype=object)]


def markdown(frame: pd.DataFrame, clips: str, grids: list[str]) -> str:
    """Return the table as Markdown."""
    limits = tables.load("findings")["results"]
    columns = ["", "fault", *COUNTS, "sensitivity", "specificity", "found", "cleared"]
    of = " and ".join(f"`benchmarks/{grid}`" for grid in grids)
    lines = [
        "Made by `python benchmarks/findings.py --write`.",
        "",
        f"Statements about {clips} trials of {of}, compared with the truth. A statement is made"
        f" where its probability is at least {limits['outside']:g}, its absence up to"
        f" {limits['met']:g};",
        "a criterion that is not met counts as a fault. TP: the fault is there and stated; FN:"
        " there and denied; FP: not there, but stated;",
        "TN: not there and denied. *not told*: the report says that it cannot tell. *grey*: the"
        " truth is too close to the threshold to count.",
        "Sensitivity and specificity are of what was told, with 95 % intervals (Clopper and Pearson"
        " 1934). *found* and *cleared* are shares of all",
        "trials with the fault, and of all without.",
        "",
        "| " + " | ".join(columns) + " |",
        "|---|---|" + "---:|" * (len(COUNTS) + 4),
    ]
    for row in frame.to_dict("records"):
        shares = [row[c] for c in ("sensitivity", "specificity", "found of all", "cleared of all")]
        words = [f"{share:.2f}" if np.isfinite(share) else "–" for share in shares]
        for i, (right, wrong) in enumerate((("TP", "FN"), ("TN", "FP"))):
            words[i] += between(row[right], row[right] + row[wrong])
        name = row["item"].replace("_", " ")
        lines.append(
            "| " + " | ".join([row["kind"], name, *(str(row[c]) for c in COUNTS), *words]) + " |"
        )
    return "\n".join(lines) + "\n"


def views_markdown(frame: pd.DataFrame) -> str:
    """Return the counts by view as Markdown."""
    lines = [
        "## By view",
        "",
        "| " + " | ".join(frame) + " |",
        "|---|" + "---:|" * (frame.shape[1] - 1),
    ]
    for row in frame.to_dict("records"):
        shares = {
            "made of all": f"{row['made of all']:.0%}",
            "right of made": "–"
            if np.isnan(row["right of made"])
            else f"{row['right of made']:.1%}",
        }
        shares["right of made"] += between(row["right"], row["made"])
        lines.append("| " + " | ".join(str(value) for value in (row | shares).values()) + " |")
    return "\n".join(lines) + "\n"


def with_record(text: str, before: str) -> str:
    """Append the part of the earlier text that was written by hand to the new counts."""
    return text + "\n" + before[before.index(BY_HAND) :]


def between(right: int, told: int) -> str:
    """Return the 95 % interval of a share (Clopper and Pearson 1934, Biometrika 26:404)."""
    if not told:
        return ""
    low, high = stats.binomtest(right, told).proportion_ci(0.95, method="exact")
    return f" ({low:.2f} to {high:.2f})"


def folders(grids: Iterable[Path], cache: Path) -> list[Path]:
    """Return the folders of the rendered cases of the grids.

    Raises
    ------
    BadInputError
        Too many cases are missing. Some drawn cases would fall, have an impossible weight, or are
        not found, but at most LEFT_OUT.
    """
    found = []
    for grid in grids:
        drawn = [case_folder(cache, case) for case in grid_cases(read_grid(grid))]
        rendered = [folder for folder in drawn if (folder / "pose.nc").is_file()]
        if len(rendered) < (1 - LEFT_OUT) * len(drawn):
            raise BadInputError(f"{cache} has {len(rendered)} of {len(drawn)} cases of {grid.name}")
        found += rendered
    return found


def main() -> None:
    """Print the requested results, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=ROOT / "build" / "virtual-lab")
    parser.add_argument(
        "--grid", type=Path, nargs="+", default=GRIDS, help="other grids, for choosing settings"
    )
    parser.add_argument("--clips", type=int, help="only the first N cases")
    parser.add_argument(
        "--resume", action="store_true", help="use the fitted bodies in the cache again"
    )
    parser.add_argument("--errors", action="store_true", help="print errors of the metrics instead")
    parser.add_argument("--each", action="store_true", help="print wrong statements")
    parser.add_argument("--json", action="store_true", help="print JSON instead")
    parser.add_argument(
        "--write", action="store_true", help=f"also write {TABLE.name} and {VIEWS_OF_RULES.name}"
    )
    parser.add_argument(
        "--contradictions", action="store_true", help="print indices that contradict a finding"
    )
    parser.add_argument(
        "--looked-at", type=Path, metavar="POSES", help="compare real squats with their frames"
    )
    given = parser.parse_args()
    if (given.clips is not None and given.clips < 1) or (given.write and given.grid != GRIDS):
        parser.error("--clips takes a number from 1; --write goes with the own grids")
    if given.looked_at:
        frame = looked_at(given.looked_at)
        print(frame.to_string(index=False), frame["outcome"].value_counts().to_dict(), sep="\n")
        return
    try:
        clips = folders(given.grid, given.cache)
    except BadInputError as error:
        parser.error(str(error))
    chosen = clips[: given.clips]
    if given.contradictions:
        lines = of_clips(partial(contradictions, resume=given.resume), chosen)
        print("\n".join([f"{len(chosen)} trials", *(line for each in lines for line in each)]))
        return
    if given.errors:
        rows = of_clips(partial(clip_errors, resume=given.resume), chosen)
        print(error_table(pd.DataFrame([r for each in rows for r in each])).round(3).to_string())
        return
    told = all_told(of_clips(partial(clip_told, resume=given.resume), chosen))
    frame = table(told)
    of = "" if len(chosen) == len(clips) else f" of {len(clips)}"
    views = by_view(told)
    text = markdown(frame, f"{len(chosen)}{of}", [path.name for path in given.grid])
    rows = pd.DataFrame([row for each in of_clips(clip_results, chosen) for row in each])
    text += "\n" + views_markdown(views) + "\n" + results_markdown(rows)
    if given.json:
        values = {"clips": len(chosen), "table": _plain(frame), "views": _plain(views)}
        values |= {"results": _plain(results_table(rows)), "bins": _plain(bins_table(rows))}
        values |= {"wrong": _plain(wrong_table(rows))}
        print(json.dumps(values | {"trials": _plain(told)}, indent=1))
    else:
        print(text)
    if given.each:
        wrong = told[told["outcome"].isin(["FP", "FN"])]
        print(wrong.drop(columns=["true", "stated"]).round(3).to_string(index=False))
    if given.write:
        with atomic(TABLE) as hidden:
            hidden.write_text(
                with_record(text, TABLE.read_text(encoding="utf-8")), encoding="utf-8"
            )
        write_views(GRIDS[0].name, views_of_rules(rows))


def _plain(frame: pd.DataFrame) -> list[Mapping[str, Any]]:
    rows: list[Mapping[str, Any]] = json.loads(frame.round(4).to_json(orient="records"))
    return rows


if __name__ == "__main__":
    main()
