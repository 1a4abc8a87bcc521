"""Simulated studies of groups: how often a difference is found that is there, or is not.

    python benchmarks/groups.py [--write]

Participants have 1 to 3 visits, two sides and one value in ten refused; the values of a person are
alike (standard deviation 4 between people, 2 between visits, 2 between sides, 1.5 of the rest).
In the second table all have two visits, and a quarter or two fifths of the values are lost by
chance; sizes and shares were chosen before any was seen. `--write` puts both into groups.md.
"""

from __future__ import annotations

import argparse
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from mobility.studies.groups import groups

STUDIES = 2000
LOST_STUDIES = 1000
EFFECTS = ("group", "visit", "side", "group × visit", "group × side")
BETWEEN, OF_VISIT, OF_SIDE, REST = 4.0, 2.0, 2.0, 1.5
REFUSED = 0.1


def study(
    rng: np.random.Generator,
    each: int,
    *,
    difference: float = 0.0,
    visits: int | None = None,
    lost: float = REFUSED,
) -> pd.DataFrame:
    """Simulate a study with as many people in each of two groups, of 1 to 3 visits or `visits`."""
    rows = []
    for person in range(2 * each):
        level = rng.normal(0, BETWEEN) + (difference if person < each else 0.0)
        sides = dict(zip(("left", "right"), rng.normal(0, OF_SIDE, 2), strict=True))
        for visit in range(visits or rng.integers(1, 4)):
            of_visit = rng.normal(0, OF_VISIT)
            for side, of_side in sides.items():
                value = level + of_visit + of_side + rng.normal(0, REST)
                if rng.random() < lost:
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


def lost_rates(
    each: int, lost: float, *, studies: int = LOST_STUDIES, seed: int = 0
) -> tuple[dict[str, float], float, float]:
    """Share of p < 0.05 of each effect where there is none, of p < 0.001, of those refused."""
    rng = np.random.default_rng([seed, each, round(100 * lost)])
    found, given, small = Counter[str](), Counter[str](), 0
    for _ in range(studies):
        table = study(rng, each, visits=2, lost=lost)
        rows = groups(table, by="group", within=["visit", "side"]).differences
        for row in rows[rows["reason"].eq("")].itertuples():
            given[row.effect] += 1
            found[row.effect] += row.p < 0.05
            small += row.p < 0.001
    rates = {effect: found[effect] / given[effect] for effect in EFFECTS}
    tests = given.total()
    return rates, small / tests, 1 - tests / (studies * len(EFFECTS))


def main() -> None:
    """Print the tables, or write them."""
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
    lines += [
        "",
        "## Values lost",
        "",
        "No difference at all, two visits with both sides, values lost by chance:",
        f"{LOST_STUDIES} studies a row of",
        '`groups(by="group", within=["visit", "side"])`. Percent of tests with p < 0.05, of each',
        "effect; with p < 0.001, of all together; and refused.",
        "",
        f"| people in each group | lost | {' | '.join(EFFECTS)} | p < 0.001 | refused |",
        f"|---:|---:|{'---:|' * len(EFFECTS)}---:|---:|",
    ]
    for each in (5, 8):
        for lost in (0.25, 0.4):
            rates_of, small, refused = lost_rates(each, lost)
            shares = " | ".join(f"{100 * share:.1f}" for share in rates_of.values())
            lines.append(
                f"| {each} | {lost:.0%} | {shares} | {100 * small:.2f} | {100 * refused:.1f} |"
            )
            print(lines[-1], flush=True)
    if write:
        Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
