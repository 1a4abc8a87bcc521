"""Simulated studies of groups: how often a difference is found that is there, or is not.

    python benchmarks/groups.py [--write]

Participants have 1 to 3 visits, two sides and one value in ten refused; the values of a person are
alike (standard deviation 4 between people, 2 between visits, 2 between sides, 1.5 of the rest).
`--write` puts the table into groups.md.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from mobility.studies.groups import groups

STUDIES = 2000
BETWEEN, OF_VISIT, OF_SIDE, REST = 4.0, 2.0, 2.0, 1.5
REFUSED = 0.1


def study(rng: np.random.Generator, each: int, *, difference: float) -> pd.DataFrame:
    """Simulate a study with as many people in each of two groups."""
    rows = []
    for person in range(2 * each):
        level = rng.normal(0, BETWEEN) + (difference if person < each else 0.0)
        sides = dict(zip(("left", "right"), rng.normal(0, OF_SIDE, 2), strict=True))
        for visit in range(rng.integers(1, 4)):
            of_visit = rng.normal(0, OF_VISIT)
            for side, of_side in sides.items():
                value = level + of_visit + of_side + rng.normal(0, REST)
                if rng.random() < REFUSED:
                    value = math.nan
                rows.append((f"P{person}", "a" if person < each else "b", f"{visit}", side, value))
    names = ["participant", "group", "visit", "side", "value"]
    return pd.DataFrame(rows, columns=names).assign(metric="angle", units="degree", reason="")


def rates(
    each: int, *, difference: float, studies: int = STUDIES, seed: int = 0
) -> dict[str, float]:
    """Share of studies with p < 0.05 and with the difference inside the interval, of one side."""
    rng = np.random.default_rng([seed, each, round(10 * difference)])
    found = inside = mean_square = 0.0
    for _ in range(studies):
        table = study(rng, each, difference=difference)
        row = groups(table[table["side"] == "left"], by="group").differences.iloc[0]
        found += row["p"] < 0.05
        inside += row["low"] <= -difference <= row["high"]
        mean_square += ((row["high"] - row["low"]) / 2 / stats.t.ppf(0.975, row["freedom"])) ** 2
    error = math.sqrt(mean_square / studies)
    freedom = 2 * each - 2
    limit = stats.t.ppf(0.975, freedom)
    theory = (
        1
        - stats.nct.cdf(limit, freedom, difference / error)
        + stats.nct.cdf(-limit, freedom, difference / error)
    )
    return {"found": found / studies, "inside": inside / studies, "theory": float(theory)}


def main() -> None:
    """Print the table, or write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true")
    write = parser.parse_args().write
    lines = [
        "# Groups",
        "",
        "Simulated studies of two groups, 1 to 3 visits of each person, one value in ten refused:",
        f"{STUDIES} studies a row, written by `python benchmarks/groups.py --write`. *Power in",
        "theory* is that of a t test of people's means with the mean standard error of the model.",
        "",
        "| people in each group | difference | p < 0.05 | power in theory | 95 % interval covers |",
        "|---:|---:|---:|---:|---:|",
    ]
    for each in (8, 15, 30):
        for difference in (0.0, 4.0):
            one = rates(each, difference=difference)
            theory = f"{one['theory']:.3f}" if difference else "0.050"
            lines.append(
                f"| {each} | {difference:g} | {one['found']:.3f} | {theory} | {one['inside']:.3f} |"
            )
            print(lines[-1], flush=True)
    if write:
        Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
