"""Results of merging the videos of a visit, counted on rendered people and on two phones.

usage: python benchmarks/visits.py --cache CACHE [--render] [--pairs CACHE] [--data FOLDER]
                                   [--poses FOLDER] [--write]

`--render` films the people of visits.yaml into CACHE, each squat diagonally, from the front and
from a side. People, cameras and the rules of merging were chosen before any result was seen, with
one exception: the difference of the ankles is merged, because a video from the front shrinks it.
This was found on these people, and must be confirmed on others. `--pairs`, for a sweep of
reporting3.yaml, adds people from the front and from a side, on whom nothing was chosen. The phones
are those of real.yaml.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from findings import MARGIN, assessed, true_or_not
from real import OPENCAP, at_frames, body_of, clips, stated

import mobility as mb
from mobility.assessment.findings import Finding, all_rules, find
from mobility.assessment.phases import phase_frames
from mobility.assessment.results import RESULTS
from mobility.assessment.verdict import Verdict
from mobility.keypoints.view import camera_view
from mobility.studies.merging import Film, merge
from mobility.virtual_lab.case import Case
from mobility.virtual_lab.grid import grid_cases, read_grid
from mobility.virtual_lab.sweep import case_folder, read_pose, sweep

PEOPLE = Path(__file__).with_name("visits.yaml")
KINDS = ("oblique", "front", "side")
"""The videos of each person, in the order of the grid."""
PAIRS = Path(__file__).with_name("reporting3.yaml")
KINDS_OF_PAIRS = ("front", "side")
SURER, APART = "the surer film", "all, each side by itself"
MIXED = "all, differences merged"
ANGLES = {
    **{"hip_flexion": "hip", "knee_flexion": "knee", "ankle_dorsiflexion": "ankle"},
    **{"thigh_elevation": "thigh", "tibia_inclination": "shank", "shoulder_flexion": "shoulder"},
    "trunk_lean": "trunk",
}
SIDED = (
    "hip_flexion",
    "knee_flexion",
    "ankle_dorsiflexion",
    "thigh_elevation",
    "tibia_inclination",
)
ROOT = Path(__file__).resolve().parents[1]
TABLE = Path(__file__).with_suffix(".md")
PHONES = ("cmbbe_squats_cam0", "cmbbe_squats_cam1")
COUNTS = ("numbers", *RESULTS, "told", "wrong")


def films(grid: Path = PEOPLE, kinds: Sequence[str] = KINDS) -> list[list[Case]]:
    """Return the videos of each person, one of each kind."""
    cases = grid_cases(read_grid(grid))
    return [cases[i : i + len(kinds)] for i in range(0, len(cases), len(kinds))]


class Person(NamedTuple):
    """The videos of a person, with the truth."""

    name: str
    films: Sequence[Film]
    truth: xr.Dataset


def people(cache: Path, grid: Path = PEOPLE, kinds: Sequence[str] = KINDS) -> list[Person]:
    """Measure the videos of each person; people who could not be rendered are left out."""
    measured_people = []
    for cases in films(grid, kinds):
        folders = [case_folder(cache, case) for case in cases]
        if not all((folder / "truth.nc").is_file() for folder in folders):
            continue
        read = [assessed(folder, resume=True) for folder in folders]
        seen = [camera_view(read_pose(folder / "fitted.nc")) for folder in folders]
        of_person = [
            Film(kind, metrics, Verdict("good", ""), view.name, view.azimuth_deg)
            for kind, (metrics, _), view in zip(kinds, read, seen, strict=True)
        ]
        measured_people.append(Person(cases[0].name, of_person, read[0][1]))
    return measured_people


def ways(of_person: Sequence[Film]) -> dict[str, xr.Dataset]:
    """Return the numbers of a person for each way to choose or merge the videos."""
    by_kind = {film.id: film for film in of_person}
    together = {
        " + ".join(kinds): merge([by_kind[kind] for kind in kinds])
        for count in range(1, len(by_kind) + 1)
        for kinds in itertools.combinations(by_kind, count)
    }
    others = {SURER: _of_the_surer, APART: _apart, MIXED: _mixed}
    return {**together, **{way: function(of_person) for way, function in others.items()}}


def _of_the_surer(of_person: Sequence[Film]) -> xr.Dataset:
    """Take each number from the video that states the smallest error."""
    alone = [merge([film]) for film in of_person]
    chosen = alone[0].copy()
    for name in (str(each) for each in chosen.data_vars if f"{each}_sd" in chosen):
        of_films = [(film[name], film[f"{name}_sd"]) for film in alone]
        sds = xr.concat([sd.fillna(np.inf) for _, sd in of_films], "film")
        best = sds.argmin("film")
        for each, place in ((name, 0), (f"{name}_sd", 1)):
            values = xr.concat([pair[place] for pair in of_films], "film")
            chosen[each] = values.isel(film=best)
    return chosen


def _apart(of_person: Sequence[Film]) -> xr.Dataset:
    """Merge each side separately, as if no difference between the sides were stated."""
    without = [
        replace(film, metrics=film.metrics.drop_vars([f"{name}_asymmetry" for name in SIDED]))
        for film in of_person
    ]
    return merge(without)


def _mixed(of_person: Sequence[Film]) -> xr.Dataset:
    """Merge all differences between the sides, as if none came from a single video."""
    renamed = []
    for film in of_person:
        differences = {f"{name}_asymmetry": film.metrics[f"{name}_asymmetry"] for name in SIDED}
        alike = {name: each.assign_attrs(quantity="any") for name, each in differences.items()}
        renamed.append(replace(film, metrics=film.metrics.assign(alike)))
    return merge(renamed)


def errors(measured_people: Sequence[Person]) -> pd.DataFrame:
    """Return the errors of the numbers for all ways, with the stated errors."""
    rows = []
    for person in measured_people:
        for way, metrics in ways(person.films).items():
            for name in (*ANGLES, *(f"{name}_asymmetry" for name in SIDED)):
                if name not in metrics:
                    continue
                value, sd, true = (
                    np.atleast_1d(each.to_numpy().astype(float))
                    for each in (metrics[name], metrics[f"{name}_sd"], person.truth[name])
                )
                rows += [
                    {"person": person.name, "way": way, "number": name, "error": v - t, "sd": s}
                    for v, s, t in zip(value, sd, true, strict=True)
                    if np.isfinite(t)
                ]
    return pd.DataFrame(rows)


def error_table(of_ways: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    """Return root mean square errors by way, and the share of errors within 1.96 stated sd."""
    given = of_ways[of_ways["error"].notna() & of_ways["number"].isin(list(names))]
    squares = given.assign(
        square=given["error"] ** 2, within=given["error"].abs() <= 1.96 * given["sd"]
    )
    table = squares.pivot_table(index="way", columns="number", values="square", sort=False) ** 0.5
    table = table.reindex(columns=list(names)).rename(columns=names)
    by_way = squares.groupby("way", sort=False)
    table["all"] = by_way["square"].mean() ** 0.5
    table["stated"] = (given["sd"] ** 2).groupby(given["way"], sort=False).mean() ** 0.5
    table["within"] = by_way["within"].mean()
    table["numbers"] = by_way.size()
    return table


def results(measured_people: Sequence[Person]) -> pd.DataFrame:
    """Count the results of the rules by the videos that were merged, and the wrong results."""
    rows = []
    for person in measured_people:
        for way, metrics in ways(person.films).items():
            if way in (SURER, APART, MIXED):
                continue
            for each in find(metrics):
                if each.metric in MARGIN:
                    wrong = _is_wrong(each, person)
                    rows.append({"way": way, "result": each.result, "wrong": wrong})
    table = pd.DataFrame(rows)
    counted = table.pivot_table(
        index="way", columns="result", aggfunc="size", fill_value=0, sort=False
    )
    counted = counted.reindex(columns=list(RESULTS), fill_value=0)
    counted["told"] = counted[["outside", "borderline", "met"]].sum(axis=1)
    counted["wrong"] = table.groupby("way", sort=False)["wrong"].sum()
    return counted


def _is_wrong(finding: Finding, person: Person) -> bool:
    """Return whether a finding is stated that clearly does not exist, or a clear one is missed."""
    rule = all_rules()[finding.rule]
    true = person.truth[finding.metric]
    value = float(true.sel(side=finding.side) if finding.side else true)
    is_there = true_or_not(
        np.array([value]), rule["threshold"], rule["direction"], MARGIN[finding.metric]
    )
    if is_there is None:
        return False
    said = {"outside": True, "met": False, "borderline": False}.get(finding.result)
    return said is not None and said != is_there


def phones(data: Path, poses: Path) -> pd.DataFrame:
    """Return errors of two phones' videos of one trial, compared with OpenCap's angles."""
    of_phones, truth = [], {}
    for clip in clips(data, poses, PHONES):
        body = body_of(clip.pose)
        repetitions = mb.find_repetitions(body)
        metrics = mb.overhead_squat(body, mb.joint_angles(body), repetitions)
        view = camera_view(body)
        good = Verdict("good", "")
        of_phones.append(Film(clip.name, metrics, good, view.name, view.azimuth_deg))
        known = at_frames(clip.references[OPENCAP], stated(body), OPENCAP)
        at_bottom = phase_frames(repetitions).sel(phase="bottom").to_numpy()
        accepted = repetitions["accepted"].to_numpy().astype(bool)
        for name in ANGLES:
            if name in known:
                each = [known[name].isel(time=at).median("time") for at in at_bottom[accepted]]
                truth.setdefault(name, []).append(xr.concat(each, "rep").median("rep"))
    rows = []
    for way, chosen in {
        **{f"{film.id[-4:]} ({film.view})": [film] for film in of_phones},
        "both, merged": of_phones,
    }.items():
        metrics = merge(chosen)
        for name, found in truth.items():
            true = xr.concat(found, "film").mean("film")
            value, sd = (np.atleast_1d(metrics[each]) for each in (name, f"{name}_sd"))
            error = value - np.atleast_1d(true)
            rows += [
                {"person": "phones", "way": way, "number": name, "error": e, "sd": s}
                for e, s in zip(error, sd, strict=True)
                if np.isfinite(e)
            ]
    return pd.DataFrame(rows)


def merged_and_better(of_ways: pd.DataFrame, counted: pd.DataFrame) -> pd.DataFrame:
    """Compare a visit of front and side with the better of its two videos, number by number."""
    table = error_table(of_ways[~of_ways["way"].isin([APART, MIXED])], ANGLES)
    merged, alone = table.loc[" + ".join(KINDS_OF_PAIRS)], table.loc[list(KINDS_OF_PAIRS)]
    names = [*ANGLES.values(), "all"]
    rows = {
        "merged": merged[names].astype(float),
        "better video": alone[names].min(),
        "ratio": merged[names].astype(float) / alone[names].min(),
    }
    of_merged = counted.loc[" + ".join(KINDS_OF_PAIRS)]
    of_alone = counted.loc[list(KINDS_OF_PAIRS)]
    checks = counted[list(RESULTS)].sum(axis=1)
    right = 1 - counted["wrong"] / counted["told"]
    better = of_alone["told"].idxmax()
    for column, of in (("with a result", counted["told"] / checks), ("right", right)):
        rows["merged"][column] = of[of_merged.name]
        rows["better video"][column] = of[better]
        rows["ratio"][column] = of[of_merged.name] - of[better]
    return pd.DataFrame(rows).T.rename(index={"ratio": "ratio (difference of shares)"})


def pairs_of(measured_people: Sequence[Person]) -> list[str]:
    """Describe the results of a visit from front and side, for people who determined no factor."""
    of_ways, counted = errors(measured_people), results(measured_people)
    return [
        "## From the front and from a side",
        "",
        f"{len(measured_people)} rendered people of reporting3.yaml, on whom nothing was chosen.",
        "Of the two videos, the better one has the smaller error, or more checks with a result.",
        "",
        _markdown(error_table(of_ways[~of_ways["way"].isin([APART, MIXED])], ANGLES)),
        "",
        _markdown(merged_and_better(of_ways, counted)),
        "",
        _markdown(counted),
        "",
    ]


def document(
    measured_people: Sequence[Person], pairs: Sequence[Person], of_phones: pd.DataFrame
) -> str:
    """Return the tables in Markdown."""
    of_ways = errors(measured_people)
    apart = {f"{name}_asymmetry": ANGLES[name] for name in SIDED}
    return "\n".join(
        [
            "# The films of a visit, merged",
            "",
            "Written by `python benchmarks/visits.py --cache CACHE --write`, whose head says who",
            f"was filmed: {len(measured_people)} rendered people of visits.yaml, of whom half move",
            "their sides differently. Root mean square errors at the bottom in degrees; *stated*:",
            "root mean square of the stated sd; *within*: share within 1.96 of it, of all numbers",
            "that are given.",
            "",
            _markdown(error_table(of_ways[of_ways["way"] != MIXED], ANGLES)),
            "",
            "Right minus left: of the knee that of the films from the front, but in the last row",
            f"(*{MIXED}*). Where sides differ a film from the front shrinks the difference of the",
            "ankles, which bend along the line of sight.",
            "",
            _markdown(error_table(of_ways[of_ways["way"] != APART], apart)),
            "",
            "Results of the checks whose truth is known, each side counted. *Told*: outside,",
            "borderline or met. *Wrong*: clearly inside but called outside, or clearly outside but",
            "called borderline or met.",
            "",
            _markdown(results(measured_people)),
            "",
            "Two phones that filmed one man at the same time, taken as two films, against what",
            "OpenCap made of both, which is 4 to 6 degrees off itself:",
            "",
            _markdown(error_table(of_phones, ANGLES).dropna(axis="columns", how="all")),
            "",
            *(pairs_of(pairs) if pairs else []),
        ]
    )


def _markdown(table: pd.DataFrame) -> str:
    head = ["", *map(str, table.columns)]
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * len(table.columns)]
    for way, row in table.iterrows():
        shown = [
            f"{value:.0f}" if name in COUNTS else "–" if pd.isna(value) else f"{value:.2f}"
            for name, value in row.items()
        ]
        lines.append("| " + " | ".join([str(way), *shown]) + " |")
    return "\n".join(lines)


def main() -> None:
    """Render the videos, or print or write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--pairs", type=Path, metavar="CACHE")
    parser.add_argument("--render", action="store_true", help="film the people")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--poses", type=Path, default=ROOT / "build" / "poses")
    parser.add_argument("--write", action="store_true", help=TABLE.name)
    given = parser.parse_args()
    if given.render:
        sweep([film for person in films() for film in person], given.cache, resume=True)
    pairs = people(given.pairs, PAIRS, KINDS_OF_PAIRS) if given.pairs else []
    text = document(people(given.cache), pairs, phones(given.data, given.poses))
    print(text)
    if given.write:
        TABLE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
