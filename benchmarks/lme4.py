"""Compare variance components with those from lme4, on designs of every kind.

usage: python benchmarks/lme4.py [--write]

200 designs are drawn from their seeds: 3 to 30 participants, measured by operators, on visits (the
same visits for everybody, or separate dates for each participant), in repeated trials, with up to
40 % of the values lost. Each variance except the residual is zero in 30 % of the designs. In the
last eight designs, the residual variance is 1e-5 of the total. ``lme4.csv`` lists the variances and
the REML log-likelihood that lme4 found, by the seed of the design. --write makes this file, with R
and its package lme4; the comparison needs neither.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from mobility.sessions.files import atomic
from mobility.studies.statistics.components import (
    RESIDUAL,
    TIMES,
    groups_of_terms,
    variance_components,
)

TABLE = Path(__file__).with_suffix(".csv")
USUAL, HARDLY_ANY_RESIDUAL = 192, 8
"""Number of designs; seeds of the second kind begin at `FIRST_OF_THESE`."""
FIRST_OF_THESE = 1000
TINY = 1e-5
"""Residual variance of these, as a share of the total."""

CLOSE, LIKELY = 1e-3, 1e-6
"""Each variance is within this share of lme4's (or of its residual, if that is more), or
the log-likelihood is no lower, to this share of it."""


class Drawn(NamedTuple):
    """The values of a design, and the labels of each value by factor."""

    y: np.ndarray
    labels: dict[str, np.ndarray]


def drawn(seed: int) -> Drawn:
    """Draw a design and its values."""
    rng = np.random.default_rng(seed)
    people, kind = int(rng.integers(3, 31)), rng.choice(["visits", "operators", "both", "dates"])
    sizes = {"participant": people}
    if kind in ("operators", "both"):
        sizes["operator"] = int(rng.integers(2, 4))
    if kind != "operators":
        sizes["visit"] = int(rng.integers(2, 5))
    trials = int(rng.integers(1, 4))
    codes = [each.ravel() for each in np.indices((*sizes.values(), trials))]
    labels = dict(zip(sizes, codes, strict=False))
    if kind == "dates":
        labels["visit"] = labels["participant"] * sizes["visit"] + labels["visit"]
    kept = rng.random(len(codes[0])) >= rng.choice([0.0, 1.0], p=[0.1, 0.9]) * rng.uniform(0, 0.4)
    labels = {name: each[kept] for name, each in labels.items()}
    names = list(sizes)
    pairs = [[one, other] for i, one in enumerate(names) for other in names[i + 1 :]]
    terms = [[name] for name in names] + pairs + ([names] if len(names) > 2 else [])
    y = np.zeros(int(kept.sum()))
    for term in terms:
        together = np.stack([labels[name] for name in term])
        level = np.unique(together, axis=1, return_inverse=True)[1].ravel()
        variance = 10 ** rng.uniform(-1.5, 1) * (rng.random() >= 0.3)
        y += rng.normal(0, variance**0.5, level.max(initial=0) + 1)[level]
    size = TINY**0.5 * y.std() if seed >= FIRST_OF_THESE else 1.0
    return Drawn(y + size * rng.normal(0, 1, len(y)), labels)


def groups(design: Drawn) -> dict[str, np.ndarray]:
    """Return the group of each value for each term that the design can distinguish."""
    return groups_of_terms(
        {name: np.unique(each, return_inverse=True)[1] for name, each in design.labels.items()}
    )


def log_likelihood(design: Drawn, variances: dict[str, float]) -> float:
    """Return the REML log-likelihood as lme4 states it, in a plain form."""
    y, n = design.y - design.y.mean(), len(design.y)
    covariance = variances[RESIDUAL] * np.eye(n)
    for term, codes in groups(design).items():
        covariance += variances[term] * (codes[:, None] == codes)
    try:
        root = np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:
        return -np.inf
    ones, values = np.linalg.solve(root, np.stack([np.ones(n), y], axis=1)).T
    weight = ones @ ones
    rest = values - ones * (ones @ values) / weight
    log_determinant = 2 * np.log(root.diagonal()).sum() + np.log(weight)
    return float(-0.5 * ((n - 1) * np.log(2 * np.pi) + log_determinant + rest @ rest))


class Comparison(NamedTuple):
    """A design of the table, and what was found."""

    seed: int
    theirs: float
    """Log-likelihood of lme4's variances, and of ours; NaN where these are refused."""
    ours: float
    stated: float
    """Log-likelihood that lme4 states."""
    close: bool
    """Whether each variance is close to lme4's."""
    reason: str

    @property
    def right(self) -> bool:
        """Whether the variances equal those of lme4, or are as likely."""
        return self.close or self.ours >= self.theirs - LIKELY * abs(self.theirs)


def comparisons() -> Iterator[Comparison]:
    """Compare each design of the table."""
    for row in pd.read_csv(TABLE).to_dict("records"):
        design = drawn(int(row["design"]))
        theirs = {term: row[term] for term in (*groups(design), RESIDUAL)}
        likelihood = log_likelihood(design, theirs)
        found = variance_components(design.y, design.labels)
        if found.reason:
            ours, close = np.nan, False
        else:
            variances = dict(zip(found.terms, found.variances.tolist(), strict=True))
            ours = log_likelihood(design, variances)
            nothing = CLOSE * theirs[RESIDUAL]
            close = all(
                abs(variances[term] - theirs[term]) <= max(CLOSE * theirs[term], nothing)
                for term in theirs
            )
        yield Comparison(
            int(row["design"]), likelihood, ours, row["log_likelihood"], close, found.reason
        )


def write() -> None:
    """Draw the designs, and write the results of lme4."""
    rows, count = [], {False: 0, True: 0}
    seed = 0
    while count[True] < HARDLY_ANY_RESIDUAL:
        design = drawn(seed)
        if not refused(design):
            count[seed >= FIRST_OF_THESE] += 1
            columns = {term.replace(TIMES, "."): codes for term, codes in groups(design).items()}
            rows.append(pd.DataFrame({"design": seed, "y": design.y, **columns}))
        seed = FIRST_OF_THESE if count[False] == USUAL and seed < FIRST_OF_THESE else seed + 1
    values = pd.concat(rows)
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder, "values.csv"), Path(folder, "variances.csv")
        values.to_csv(given, index=False, float_format="%.17g")
        subprocess.run(["Rscript", TABLE.with_suffix(".R"), given, made], check=True)
        found = pd.read_csv(made).sort_values("design")
    found.columns = [name.replace(".", TIMES) for name in found.columns]
    with atomic(TABLE) as hidden:
        found.to_csv(hidden, index=False, float_format="%.10g")


def refused(design: Drawn) -> bool:
    """Whether the design itself cannot distinguish its variances, whatever the values."""
    rng = np.random.default_rng(0)
    return len(design.y) < 4 or bool(
        variance_components(rng.normal(size=len(design.y)), design.labels).reason
    )


def report() -> str:
    """Count the designs whose variances are right, as likely, likelier, refused, or wrong."""
    found = list(comparisons())
    refusals = [each for each in found if each.reason]
    wrong = [each for each in found if not each.reason and not each.right]
    gains = [each.ours - each.theirs for each in found if not each.reason]
    text = [
        f"{len(found)} designs, {sum(each.seed >= FIRST_OF_THESE for each in found)} of them with"
        f" a residual variance of {TINY:g} of the total",
        f"each variance within {CLOSE:.1%} of lme4's: {sum(each.close for each in found)}",
        f"otherwise the log-likelihood no lower (to {LIKELY:g} of it):"
        f" {sum(each.right and not each.close for each in found)}",
        f"refused: {len(refusals)}, wrong: {len(wrong)}",
        f"log-likelihood less lme4's: {min(gains):.2g} to {max(gains):.2g}",
    ]
    text += [
        f"design {each.seed}: {each.reason or each.ours - each.theirs}"
        for each in (*refusals, *wrong)
    ]
    return "\n".join(text)


def main() -> None:
    """Compare, or write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="make the table again, with R")
    if parser.parse_args().write:
        write()
    print(report())


if __name__ == "__main__":
    main()
