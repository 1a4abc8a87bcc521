"""Simulated studies of groups: how often a difference is found, whether or not there is one.

    python benchmarks/groups.py [--write]

Participants have 1 to 3 visits and two sides, and one value in ten is missing. The values of a
person are correlated (standard deviation 4 between people, 2 between visits, 2 between sides, 1.5
for the rest). In the second table, all participants have two visits, and a quarter or two fifths of
the values are lost by chance; sizes and shares were chosen before any result was seen. In the third
and fourth tables, one group is smaller, and may vary more. `--write` writes all tables into
groups.md.
"""

from __future__ import annotations

import argparse
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from mobility.studies.groups import groups
from mobility.studies.statistics.waveforms import independent_curve_test

STUDIES = 500
LOST_STUDIES = 60
UNEQUAL_STUDIES = 400
CURVE_STUDIES = 2000
AT_ONCE = 25
"""Number of studies that are compared together, as measures of one table, which is faster."""
EFFECTS = ("group", "visit", "side", "group × visit", "group × side")
BETWEEN, OF_VISIT, OF_SIDE, REST = 4.0, 2.0, 2.0, 1.5
REFUSED = 0.1
DESIGNS: dict[str, dict[str, Any]] = {
    "one value": {"visits": 1},
    "one value, adjusted for age": {"visits": 1, "adjust": ["age"]},
    "1 to 3 visits": {},
    "1 to 3 visits, adjusted for age": {"adjust": ["age"]},
    "2 visits, group × visit": {"visits": 2, "within": ["visit"], "effect": "group × visit"},
}
DESIGNS_OF = {(5, 12): tuple(DESIGNS), (8, 8): ("one value", "1 to 3 visits")}
"""Numbers of people in the first group, which may vary more, and in the second."""
SPREADS = (1.0, 3.0)
POINTS, WIDTH = 21, 0.12
"""Number of points of a curve, and the share of it over which neighbours are similar."""


def study(
    rng: np.random.Generator,
    sizes: tuple[int, int],
    *,
    difference: float = 0.0,
    visits: int | None = None,
    lost: float = REFUSED,
    spread: float = 1.0,
) -> pd.DataFrame:
    """Simulate a study of two groups, the first of which varies `spread` times as much."""
    rows = []
    for person in range(sum(sizes)):
        first = person < sizes[0]
        times, age = spread if first else 1.0, rng.uniform(20, 60)
        level = rng.normal(0, BETWEEN)
        sides = dict(zip(("left", "right"), rng.normal(0, OF_SIDE, 2), strict=True))
        for visit in range(visits or rng.integers(1, 4)):
            of_visit = rng.normal(0, OF_VISIT)
            for side, of_side in sides.items():
                value = times * (level + of_visit + of_side + rng.normal(0, REST))
                value = math.nan if rng.random() < lost else value + difference * first
                rows.append((f"P{person}", "a" if first else "b", f"{visit}", side, value, age))
    names = ["participant", "group", "visit", "side", "value", "age"]
    return pd.DataFrame(rows, columns=names).assign(metric="angle", units="degree", reason="")


def compared(tables: Iterable[pd.DataFrame], **options: Any) -> pd.DataFrame:
    """Return the group differences of each study, with the number of the study as the metric."""
    numbered = (table.assign(metric=f"{number}") for number, table in enumerate(tables))
    parts = []
    while some := list(itertools.islice(numbered, AT_ONCE)):
        parts.append(groups(pd.concat(some, ignore_index=True), by="group", **options).differences)
    return pd.concat(parts, ignore_index=True)


def rates(
    each: int, *, difference: float, studies: int = STUDIES, seed: int = 0
) -> dict[str, float]:
    """Return the shares of studies with p < 0.05 and with the difference inside the interval."""
    rng = np.random.default_rng([seed, each, round(10 * difference)])
    tables = (study(rng, (each, each), difference=difference) for _ in range(studies))
    rows = compared(table[table["side"].eq("left")] for table in tables)
    found = int(rows["p"].lt(0.05).sum())
    inside = int((rows["low"].le(-difference) & rows["high"].ge(-difference)).sum())
    half = (rows["high"] - rows["low"]) / 2
    mean_square = float(((half / stats.t.ppf(0.975, rows["freedom"])) ** 2).sum())
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
    """Return shares without a true effect: p < 0.05 for each effect, p < 0.001, and no result."""
    rng = np.random.default_rng([seed, each, round(100 * lost)])
    tables = (study(rng, (each, each), visits=2, lost=lost) for _ in range(studies))
    rows = compared(tables, within=["visit", "side"])
    given = rows[rows["reason"].eq("")]
    rates = given["p"].lt(0.05).groupby(given["effect"]).mean()
    found = {effect: float(rates.get(effect, math.nan)) for effect in EFFECTS}
    return found, float(given["p"].lt(0.001).mean()), 1 - len(given) / len(rows)


def unequal_rates(
    sizes: tuple[int, int],
    spread: float,
    *,
    visits: int | None = None,
    within: Sequence[str] = (),
    adjust: Sequence[str] = (),
    effect: str = "group",
    difference: float = 0.0,
    studies: int = UNEQUAL_STUDIES,
) -> tuple[float, float]:
    """Return the shares of p < 0.05 with this package, and with Student's t of means or changes."""
    rng = np.random.default_rng([sum(sizes), sizes[0], round(10 * spread), round(difference)])
    how: dict[str, Any] = {"visits": visits, "spread": spread, "difference": difference}
    how["lost"] = 0.0 if visits else REFUSED
    tables = [study(rng, sizes, **how).query("side == 'left'") for _ in range(studies)]
    rows = compared(tables, within=within, adjust=adjust)
    p = rows.loc[rows["effect"].eq(effect), "p"].dropna()
    student = 0
    for table in tables:
        people = table.groupby(["group", "participant"])["value"]
        of_each = people.last() - people.first() if within else people.mean()
        of_groups = [of_each[name].dropna() for name in "ab"]
        student += stats.ttest_ind(*of_groups).pvalue < 0.05
    return float(p.lt(0.05).mean()), student / studies


def curve_rates(
    sizes: tuple[int, int], spread: float, *, difference: float = 0.0, studies: int = CURVE_STUDIES
) -> float:
    """Return the share of studies in which curves of two groups differ anywhere."""
    rng = np.random.default_rng([sum(sizes), sizes[0], round(10 * spread), round(difference)])
    at = np.linspace(0, 1, POINTS)
    alike = np.exp(-0.5 * ((at[:, None] - at) / WIDTH) ** 2) + 1e-8 * np.eye(POINTS)
    covariance = BETWEEN**2 * (0.7 + 0.3 * alike)
    hump = difference * np.exp(-0.5 * ((at - 0.5) / WIDTH) ** 2)
    found = 0
    for _ in range(studies):
        first, second = (rng.multivariate_normal(np.zeros(POINTS), covariance, n) for n in sizes)
        found += independent_curve_test(spread * first, second + hump, most=1000).p.min() <= 0.05
    return found / studies


def of_equal_groups() -> Iterator[str]:
    """Return lines on groups that vary equally, with some missing values."""
    yield from (
        "# Groups",
        "",
        "Simulated studies of two groups, 1 to 3 visits of each person, one value in ten refused:",
        f"{STUDIES} studies a row, written by `python benchmarks/groups.py --write`. *Power in",
        "theory* is that of a t test of people's means with the mean standard error of the model.",
        "",
        "| people in each group | difference | p < 0.05 | power in theory | 95 % interval covers |",
        "|---:|---:|---:|---:|---:|",
    )
    for each in (8, 15, 30):
        for difference in (0.0, 4.0):
            one = rates(each, difference=difference)
            theory = one["theory"] if difference else 0.05
            shares = " | ".join(f"{share:.3f}" for share in (one["found"], theory, one["inside"]))
            yield f"| {each} | {difference:g} | {shares} |"


def of_lost_values() -> Iterator[str]:
    """Return lines on studies with many lost values."""
    yield from (
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
    )
    for each in (5, 8):
        for lost in (0.25, 0.4):
            found, small, refused = lost_rates(each, lost)
            shares = " | ".join(f"{100 * share:.1f}" for share in found.values())
            yield f"| {each} | {lost:.0%} | {shares} | {100 * small:.2f} | {100 * refused:.1f} |"


def of_unequal_groups() -> Iterator[str]:
    """Return lines on two groups, one of which may vary more."""
    yield from (
        "",
        "## Groups that vary differently",
        "",
        f"{UNEQUAL_STUDIES} studies a row. The first group varies as much as the second, or 3",
        "times as much. Percent of tests with p < 0.05, in brackets those of Student's t of means",
        "or changes of people, which takes groups to vary alike: without a difference; and with",
        "one of 6 where both vary alike (power).",
        "",
        "| people | values | false, alike | false, 3 times | power |",
        "|---:|---|---:|---:|---:|",
    )
    for sizes, names in DESIGNS_OF.items():
        for name in names:
            shares = [unequal_rates(sizes, spread, **DESIGNS[name]) for spread in SPREADS]
            if "effect" not in DESIGNS[name]:
                shares.append(unequal_rates(sizes, 1.0, difference=6.0, **DESIGNS[name]))
            cells = [f"{100 * one:.1f} ({100 * other:.1f})" for one, other in shares]
            row = [f"{sizes[0]} and {sizes[1]}", name, *cells, *["–"] * (3 - len(cells))]
            yield f"| {' | '.join(row)} |"


def of_curves() -> Iterator[str]:
    """Return lines on curves of such groups."""
    yield from (
        "",
        "## Curves",
        "",
        f"The same in {CURVE_STUDIES} studies of curves of {POINTS} points, which share 70 % of",
        "their variance: percent of studies in which groups differ anywhere; power of a hump of 8.",
        "",
        "| people | false, alike | false, 3 times | power |",
        "|---:|---:|---:|---:|",
    )
    for sizes in DESIGNS_OF:
        shares = [curve_rates(sizes, spread) for spread in SPREADS]
        shares.append(curve_rates(sizes, 1.0, difference=8.0))
        cells = " | ".join(f"{100 * share:.1f}" for share in shares)
        yield f"| {sizes[0]} and {sizes[1]} | {cells} |"


def main() -> None:
    """Print the tables, or write them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true")
    write = parser.parse_args().write
    lines = []
    for line in itertools.chain(
        of_equal_groups(), of_lost_values(), of_unequal_groups(), of_curves()
    ):
        print(line, flush=True)
        lines.append(line)
    if write:
        Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
