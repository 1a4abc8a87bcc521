"""False and true trends over courses of several visits, with the data of `changes.py`.

usage: python benchmarks/courses.py [--data FOLDER] [--write]

A visit of a course is one repetition of a person with markers, drawn from the repetitions of one
recording. The stated errors of the camera and from day to day are added at random, as in
`changes.py`. A course has all numbers of the page. A course without a change is false if the page
states a change of any number. A true trend changes one number, evenly from the first to the last
visit, by twice the smallest detectable change of two visits.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import changes
import numpy as np
import pandas as pd

from mobility import tables
from mobility.assessment import trial_errors
from mobility.kinematics.expected_error import half_width
from mobility.studies.course import trend

TABLE = Path(__file__).with_suffix(".md")
VISITS = (2, 3, 4, 8, 12)
COURSES = 100
"""Number of courses of each person and number of visits."""


def people(markers: pd.DataFrame) -> list[pd.DataFrame]:
    """Return the numbers of the page of each person, with errors that leave the person out."""
    by_hand, shown = tables.load(trial_errors.TABLE), changes.on_pages()
    of_people = []
    for person, rows in markers.groupby("person"):
        others = markers[markers["person"].ne(person)]
        known = {**by_hand, "scatter": changes.scatter(others)}
        rows = changes.with_errors(rows, known)
        rows = rows[rows["metric"].isin(shown) & rows["sem"].notna()]
        if rows["repetition"].nunique() > 1:
            of_people.append(rows)
    return of_people


def courses(rows: pd.DataFrame, visits: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    """Simulate courses of a person; return for each whether the results are false, and true."""
    numbers = [one for _, one in rows.groupby(["metric", "side"]) if len(one) > 1]
    days = 14.0 * np.arange(visits)
    results = []
    for _ in range(COURSES):
        changing = rng.integers(len(numbers))
        row: dict[str, Any] = {"pairs": False, "each": [], "page": False}
        for place, number in enumerate(numbers):
            drawn = number.iloc[rng.integers(len(number), size=visits)]
            sem = drawn["sem"].to_numpy()
            noise = np.hypot(drawn["camera"], drawn["day"]).to_numpy() * rng.normal(size=visits)
            values = drawn["value"].to_numpy() + noise
            line = trend(days, values, sem)
            least = half_width(np.hypot(sem[0], sem[1:]))
            row["pairs"] |= bool((abs(values[1:] - values[0]) > least).any())
            row["each"].append(line.exceeds())
            row["page"] |= line.exceeds(len(numbers))
            if place == changing:
                sign = rng.choice([-1.0, 1.0])
                true = sign * 2 * half_width(np.hypot(sem[0], sem[-1]))
                raised = trend(days, values + true * days / days[-1], sem)
                row["true"] = (
                    raised.exceeds(len(numbers)) and (raised.last - raised.first) * true > 0
                )
        row["each"] = float(np.mean(row["each"]))
        results.append(row)
    return results


def lines(markers: pd.DataFrame) -> list[str]:
    """Return the table in Markdown."""
    of_people, rng = people(markers), np.random.default_rng(0)
    text = [
        "# Trends over several visits",
        "",
        "Written by `python benchmarks/courses.py --write`. The head of the script explains how.",
        f"There are {len(of_people)} people and {COURSES} courses of each person and row.",
        "*First visit*: share of courses with a false change if each visit is compared with the",
        "first. *Number*: share of false trends of single numbers without correction. *False*:",
        "share of courses whose page states any false trend (the aim is 5 % at most). *Highest*:",
        "the same for the person with the highest share. *True*: share of true trends that are",
        "found, with their sign (the aim is 80 % at least).",
        "",
        "| visits | first visit | number | false | highest | true |",
        "|---:|---:|---:|---:|---:|---:|",
    ]
    for visits in VISITS:
        each = pd.DataFrame(
            {"person": place, **row}
            for place, rows in enumerate(of_people)
            for row in courses(rows, visits, rng)
        )
        share = each.drop(columns="person").astype(float).mean()
        worst = each.groupby("person")["page"].mean().max()
        text.append(
            f"| {visits} | {share['pairs']:.1%} | {share['each']:.1%} | {share['page']:.1%}"
            f" | {worst:.1%} | {share['true']:.1%} |"
        )
    return text


def main() -> None:
    """Print, or write, the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, default=changes.ROOT.parent / "shared/data")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    text = "\n".join(lines(changes.with_markers(options.data))) + "\n"
    if options.write:
        TABLE.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
