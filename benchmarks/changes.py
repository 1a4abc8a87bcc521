"""False and true changes between visits with one repetition each, of real people.

usage: python benchmarks/changes.py [--data FOLDER] [--poses FOLDER] [--write] [--write-table]

The repetitions of a person in one recording are treated as visits with one repetition each, so
every change that is reported between two of them is false:

- *markers*: ten people of UI-PRMD, three recordings of `real_motions` and two more people, whose
  joint centres come from a lab (../shared/data beside the checkout). The stated error of setting up
  a camera again is added at random. In a second row, the variation from day to day (table
  `between_visits`) is added, too. What is known from other people is computed without the person.
- *videos*: single squats, cut out of recordings of several squats. Each is fitted and measured
  separately.

A true change is twice the smallest detectable change, added to one of the two visits.
`--write-table` writes the variation between the repetitions of the people with markers into the
table `between_visits`. `--poses` is the folder with the poses of the videos; missing poses are
estimated.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import uiprmd
import xarray as xr
import yaml
from real import body_of
from scipy.optimize import brentq
from scipy.special import digamma, polygamma

import mobility as mb
from mobility import tables
from mobility.assessment import trial_errors
from mobility.assessment.findings import in_place
from mobility.assessment.trial_errors import known_of, visit_sem
from mobility.base.formatting import quantity
from mobility.catalogue.registry import exercise as registered
from mobility.kinematics.expected_error import half_width, retest_sems
from mobility.pipeline.metrics_table import metrics_table
from mobility.sessions.files import read_dataset

ROOT = Path(__file__).resolve().parents[1]
TABLE = Path(__file__).with_suffix(".md")
KNOWN = ROOT / "mobility" / "tables" / f"{trial_errors.TABLE}.yaml"
KINDS = ("median", "from_standing", "asymmetry")
LAB = {
    "a": ("real_motions/squats_a.trc.gz", None),
    "b": ("real_motions/squats_b.trc.gz", None),
    "c": ("real_motions/squats_c.trc.gz", None),
    "woman": ("opencap_s4/squats1.trc", "opencap_s4/static1.trc"),
    "man": ("cmbbe/squats.trc", None),
}
FILMS = {
    "opencap_s4_squats1_phone": "woman",
    "cmbbe_squats_cam0": "man",
    "cmbbe_squats_cam1": "man",
    "tfjs_pose_squats": "tfjs",
    "front_squats_arms_out": "arms out",
    "front_squats_weights_at_shoulders": "weights",
    "front_squats_arms_hanging": "arms hanging",
    "side_squats_arms_forward": "arms forward",
}
CAMERA = "oblique"
"""Kind of view whose error is added for people with markers."""
LEAST_PEOPLE = 4
"""Smallest number of people for a variation in the table."""
DRAWS = 200
"""Number of draws of the errors of camera and day for each pair of repetitions."""


def numbers(metrics: xr.Dataset) -> pd.DataFrame:
    """Return the numbers of a recording that are compared between visits."""
    table = metrics_table(metrics).to_pandas()
    texts = ["metric", "kind", "side", "units", "level", "item"]
    table = table.astype(dict.fromkeys(texts, "str"))
    wanted = table["level"].eq("session") & table["kind"].isin(KINDS) & table["item"].eq("")
    columns = ["metric", "kind", "side", "units", "value", "sd", "sem"]
    return table.loc[wanted & table["value"].notna(), columns]


def with_markers(data: Path) -> pd.DataFrame:
    """Return the numbers of each repetition of the people with markers."""
    parts = []
    for path in uiprmd.trials(data / "lab" / "uiprmd"):
        person, repetition = path.name.split("_")[1:3]
        parts.append(numbers(uiprmd.metrics(path)).assign(person=person, repetition=repetition))
    for person, (file, static) in LAB.items():
        trial = mb.read_lab(data / "lab" / file)
        pose = mb.lab_pose(trial, static=static and mb.read_lab(data / "lab" / static))
        pose = pose.assign_attrs(method="truth")  # nothing is refused because of its error
        angles, repetitions = mb.joint_angles(pose), mb.find_repetitions(pose)
        for i in np.flatnonzero(repetitions["accepted"]):
            one = mb.overhead_squat(pose, angles, repetitions.isel(rep=[i]))
            parts.append(numbers(one).assign(person=person, repetition=str(i)))
    camera = tables.load("trial_errors")["retest"]["sem"][CAMERA]
    rows = pd.concat(parts, ignore_index=True)
    return rows.assign(recording="lab", camera=rows["metric"].map(camera))


def cuts(pose: xr.Dataset) -> Iterator[xr.Dataset]:
    """Cut a recording in the middle between its repetitions."""
    repetitions = mb.find_repetitions(body_of(pose))
    repetitions = repetitions.isel(rep=repetitions["accepted"].to_numpy())
    starts, ends = repetitions["start"].to_numpy(), repetitions["end"].to_numpy()
    time = pose["time"].to_numpy()
    middle = (ends[:-1] + starts[1:]) / 2
    for first, last in itertools.pairwise([time[0], *middle, time[-1]]):
        yield pose.isel(time=(time >= first) & (time <= last))


def in_videos(data: Path, poses: Path | None) -> pd.DataFrame:
    """Return the numbers of single squats that are cut out of recordings of several squats."""
    parts = []
    for film, person in FILMS.items():
        landmarks = data / "lab" / "landmarks" / f"{film}_pose.nc"
        estimated = poses and poses / f"{film}.nc"
        if landmarks.exists():
            pose = read_dataset(landmarks)
        elif estimated and estimated.exists():
            pose = read_dataset(estimated)
        else:
            pose = mb.estimate_pose(data / "videos" / f"{film}.mp4")
        for number, cut in enumerate(cuts(pose)):
            body = body_of(cut)
            repetitions = mb.find_repetitions(body)
            if int(repetitions["accepted"].sum()) != 1:
                continue
            metrics = mb.overhead_squat(body, mb.joint_angles(body), repetitions)
            camera = retest_sems(body)
            rows = numbers(metrics)
            error = rows["metric"].map(camera).fillna(rows["sd"])
            rows = rows.assign(camera=error, repetition=str(number))
            parts.append(rows.assign(person=person, recording=film))
    return pd.concat(parts, ignore_index=True)


def variances(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the variance of each person's repetitions, both sides together, and its freedom."""
    groups = rows.groupby(["metric", "units", "person", "side"], sort=False)["value"]
    each = groups.agg(["var", "count"]).reset_index()
    each = each[each["count"] >= 2]
    persons = each.groupby(["metric", "units", "person"], sort=False)
    return (
        persons.agg(variance=("var", "mean"), freedom=("count", "min"))
        .reset_index()
        .assign(freedom=lambda table: table["freedom"] - 1)
    )


def prior_freedom(table: pd.DataFrame) -> float:
    """Return the degrees of freedom with which the variation of other people counts (Smyth 2004).

    The more the variances of people differ beyond chance, the fewer degrees of freedom there are.
    All metrics are evaluated together.
    """
    half = table["freedom"] / 2
    logs = np.log(table["variance"]) - digamma(half) + np.log(half)
    centred = logs - logs.groupby(table["metric"]).transform("mean")
    groups = table["metric"].nunique()
    spread = (centred**2).sum() / (len(table) - groups) - polygamma(1, half).mean()
    if spread <= polygamma(1, 500.0):
        return 1000.0
    return 2 * float(brentq(lambda x: polygamma(1, x) - spread, 1e-3, 1e3))


def pooled(table: pd.DataFrame) -> dict[str, float]:
    """Pool the standard deviation of a person's repetitions over people, by metric."""
    parts = table.assign(total=table["variance"] * table["freedom"]).groupby("metric")
    return dict(np.sqrt(parts["total"].sum() / parts["freedom"].sum()))


def scatter(rows: pd.DataFrame) -> dict[str, Any]:
    """Return the entries of the table on the variation of repetitions."""
    table = variances(rows)
    people = table.groupby("metric")["person"].nunique()
    table = table[table["metric"].map(people) >= LEAST_PEOPLE]
    absolute = table[~table["metric"].str.endswith("_from_standing")]
    # The two sides of a person are counted as if they were independent, so that more of what
    # differs between people counts, and what is known of others for less.
    sides = rows.groupby("metric")["side"].nunique()
    varied = absolute[absolute["variance"] > 0]
    freedom = prior_freedom(varied.assign(freedom=varied["freedom"] * varied["metric"].map(sides)))
    angles = pooled(absolute[absolute["units"].eq("degree")])
    return {
        "people": int(absolute["person"].nunique()),
        "freedom": float(np.floor(freedom)),
        "any_angle": _short(np.sqrt(np.mean(np.square(list(angles.values()))))),
        "sd": {name: _short(sd) for name, sd in sorted(pooled(table).items())},
    }


def _short(value: float) -> float:
    return float(f"{value:.2g}")


def write_known(rows: pd.DataFrame) -> None:
    """Write the variation of repetitions into the table, whose other parts are written by hand."""
    text = KNOWN.read_text(encoding="utf-8")
    by_hand = text[: text.index("\nscatter:") + 1]
    found = scatter(rows)
    source = (
        f"Squats of {found.pop('people')} people with markers who squatted at least twice in one "
        "recording (UI-PRMD, real_motions, OpenCap, cmbbe), each repetition measured by itself; "
        "freedom: Smyth 2004, Stat Appl Genet Mol Biol 3:3"
    )
    written = yaml.safe_dump({"scatter": {"source": source, **found}}, sort_keys=False, width=140)
    KNOWN.write_text(by_hand + written, encoding="utf-8")


def with_errors(rows: pd.DataFrame, known: Mapping[str, Any]) -> pd.DataFrame:
    """Add the standard error between visits with one repetition, and its part from day to day.

    `known` contains the variation of other people, in the form of the table.
    """
    of_metric = {
        (metric, units): known_of(metric, units, known)
        for metric, units in set(zip(rows["metric"], rows["units"], strict=True))
    }
    each = [of_metric[key] for key in zip(rows["metric"], rows["units"], strict=True)]
    sem = [
        float(visit_sem(camera, 0.0, 1, known=one))
        for camera, one in zip(rows["camera"], each, strict=True)
    ]
    return rows.assign(sem=sem, day=[one.day for one in each])


def pairs(rows: pd.DataFrame) -> pd.DataFrame:
    """Pair the repetitions of each recording, metric and side, as two visits."""
    keys = ["person", "recording", "metric", "side"]
    both = rows.merge(rows, on=keys, suffixes=("", "_later"))
    both = both[both["repetition"] < both["repetition_later"]]
    return both[both["sem"].notna() & both["sem_later"].notna()]


def shares(compared: pd.DataFrame, *, camera: bool, days: bool, seed: int = 0) -> dict[str, Any]:
    """Return the shares of false and of true changes that are reported as changes.

    `camera` and `days` add these errors at random; otherwise the repetitions already contain them.
    """
    rng = np.random.default_rng(seed)
    change = (compared["value_later"] - compared["value"]).to_numpy()[:, None]
    drawn = change + np.zeros((1, DRAWS if camera or days else 1))
    for wanted, name in ((camera, "camera"), (days, "day")):
        if wanted:
            sd = np.hypot(compared[name], compared[f"{name}_later"]).to_numpy()[:, None]
            drawn = drawn + sd * rng.normal(size=drawn.shape)
    least = half_width(np.hypot(compared["sem"], compared["sem_later"])).to_numpy()[:, None]
    before = half_width(np.hypot(compared["camera"], compared["camera_later"])).to_numpy()[:, None]
    # A true change may go either way.
    signs = rng.choice([-1.0, 1.0], size=drawn.shape)
    raised = drawn + 2 * least * signs
    claimed = abs(drawn) > least
    by_person = pd.Series(claimed.mean(axis=1)).groupby(compared["person"].to_numpy()).mean()
    return {
        "people": by_person.size,
        "pairs": len(compared),
        "before": (abs(drawn) > before).mean(),
        "false": claimed.mean(),
        "worst": by_person.max(),
        "true": ((abs(raised) > least) & (np.sign(raised) == signs)).mean(),
    }


def evaluated(markers: pd.DataFrame, videos: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the shares by source, and each metric's detectable change and false changes."""
    by_hand = tables.load(trial_errors.TABLE)
    parts: dict[str, list[pd.DataFrame]] = {"markers": [], "videos": []}
    for source, rows in (("markers", markers), ("videos", videos)):
        for person, own in rows.groupby("person"):
            known = {**by_hand, "scatter": scatter(markers[markers["person"].ne(person)])}
            parts[source].append(with_errors(own, known))
    of_markers, of_videos = (pairs(pd.concat(parts[source])) for source in parts)
    compared = on_pages()
    rows = []
    for what, source, camera, days in (
        ("markers, error of the camera added", of_markers, True, False),
        ("markers, and variation from day to day", of_markers, True, True),
        ("single squats cut from videos", of_videos, False, False),
        ("single squats, and variation from day to day", of_videos, False, True),
    ):
        for which, chosen in (
            ("all numbers", source),
            ("numbers of the page", source[source["metric"].isin(compared)]),
        ):
            rows.append({"what": what, "which": which, **shares(chosen, camera=camera, days=days)})
    metrics = []
    for metric in compared:
        one = of_videos[of_videos["metric"].eq(metric)]
        if len(one):
            least = half_width(np.hypot(one["sem"], one["sem_later"]))
            metrics.append(
                {
                    **{"metric": metric, "units": one["units"].iloc[0], "least": least.median()},
                    **shares(one, camera=False, days=False),
                }
            )
    return pd.DataFrame(rows), pd.DataFrame(metrics)


def on_pages() -> list[str]:
    """List the numbers that a report compares with the last visit."""
    rules = in_place(registered("Overhead Squat")).values()
    return list(dict.fromkeys(rule["metric"] for rule in rules))


def _least(value: float, units: str) -> str:
    return quantity(value, units, digits=1 if units == "degree" else 2)


def lines(table: pd.DataFrame, metrics: pd.DataFrame) -> list[str]:
    """Return both tables in Markdown."""
    text = [
        "# Changes between visits of one repetition",
        "",
        "Written by `python benchmarks/changes.py --write`. The head of the script says who was",
        "measured and how. *False*: share of the changes that are claimed although they are two",
        "repetitions of one recording (the aim is 5 % at most). *Highest*: the share of the person",
        "with the highest. *Camera*: the share if the error of the camera alone counts, as it did",
        "before. *True*: share in which a true change of twice the smallest detectable one is",
        "claimed, with its sign (the aim is 80 % at least).",
        "",
        "| visits | numbers | people | pairs | camera | false | highest | true |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    text += [
        f"| {row.what} | {row.which} | {row.people} | {row.pairs} | {row.before:.1%}"
        f" | {row.false:.1%} | {row.worst:.1%} | {row.true:.1%} |"
        for row in table.itertuples()
    ]
    text += [
        "",
        "Numbers of the page of single squats that were cut from videos, with the median of the",
        "smallest detectable change of two visits of one repetition each:",
        "",
        "| number | smallest detectable change | pairs | camera | false |",
        "|---|---:|---:|---:|---:|",
    ]
    text += [
        f"| {row.metric} | {_least(row.least, row.units)} | {row.pairs} | {row.before:.1%}"
        f" | {row.false:.1%} |"
        for row in metrics.itertuples()
    ]
    return text


def main() -> None:
    """Print, or write, the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data")
    parser.add_argument("--poses", type=Path)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--write-table", action="store_true")
    options = parser.parse_args()
    markers = with_markers(options.data)
    if options.write_table:
        write_known(markers)
        return
    text = "\n".join(lines(*evaluated(markers, in_videos(options.data, options.poses)))) + "\n"
    if options.write:
        TABLE.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
