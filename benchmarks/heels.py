"""Errors of the heel rise in a squat, and how they depend on the value.

usage: python benchmarks/heels.py CACHE ...

CACHES are the results of `mobility virtual-lab sweep` for people2.yaml, people3.yaml and
people4.yaml. The script prints the curve `with_value` of tables/expected_error.yaml that is the
most likely for these heels. It also prints a table by reported value: the number of heels, how many
of them rise, their error and the stated error. With the caches of reporting2.yaml and
reporting3.yaml, only the table counts, because nothing is chosen on them.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
from findings import assessed
from scipy.optimize import minimize
from tqdm import tqdm

from mobility.errors import BadInputError
from mobility.kinematics.expected_error import factor_with_value
from mobility.kinematics.skeleton import SIDES

RISES_DEG = 4.0
"""Heel rise from which the report says that a heel rises."""
EDGES_DEG = (-90.0, -2.0, 1.0, 2.0, 4.0, 8.0, 90.0)


def heels_of(folder: Path) -> list[dict[str, float]]:
    """Yield value, error and sd of both heels of a case; `drawn` is the sd without the curve."""
    try:
        metrics, truth = assessed(folder, resume=True)
    except BadInputError:  # a view from which nothing is measured
        return []
    rows = []
    for side in SIDES:
        value, sd = (metrics[name].sel(side=side) for name in ("heel_rise", "heel_rise_sd"))
        true = float(truth["heel_rise"].sel(side=side))
        drawn = float(sd / factor_with_value("heel_rise", value))
        rows.append({"value": float(value), "true": true, "sd": float(sd), "drawn": drawn})
    return rows


def curve(heels: pd.DataFrame) -> tuple[float, float, float]:
    """Return the most likely `at_zero`, `per_degree` and `at_most`, for normal errors.

    Values below 0 count as 0: many heels are exact there, which would make `at_zero` 0.
    """
    value, error = heels["value"].clip(lower=0.0), heels["value"] - heels["true"]

    def cost(entry: Sequence[float]) -> float:
        at_zero, per_degree, at_most = entry
        sd = heels["drawn"] * np.clip(at_zero + per_degree * value, 1e-3, at_most)
        return float((np.log(sd) + (error / sd) ** 2 / 2).sum())

    at_zero, per_degree, at_most = minimize(cost, [0.5, 0.2, 1.5], method="Nelder-Mead").x
    return float(at_zero), float(per_degree), float(at_most)


def table(heels: pd.DataFrame) -> pd.DataFrame:
    """Return the errors by reported value."""
    error = heels["value"] - heels["true"]
    by = pd.cut(heels["value"], list(EDGES_DEG))
    return pd.DataFrame(
        {
            "heels": error.groupby(by, observed=True).size(),
            "rise": (heels["true"] > RISES_DEG).groupby(by, observed=True).sum(),
            "rms": (error**2).groupby(by, observed=True).mean() ** 0.5,
            "stated": (heels["sd"] ** 2).groupby(by, observed=True).mean() ** 0.5,
            "inside": (error.abs() <= 1.96 * heels["sd"]).groupby(by, observed=True).mean(),
        }
    )


def main() -> None:
    """Print the curve and the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("caches", type=Path, nargs="+")
    folders = sorted(
        truth.parent for cache in parser.parse_args().caches for truth in cache.glob("*/truth.nc")
    )
    with ProcessPoolExecutor() as pool:
        rows = [row for each in tqdm(pool.map(heels_of, folders)) for row in each]
    heels = pd.DataFrame(rows).dropna()
    print("at_zero {:.2f}  per_degree {:.3f}  at_most {:.2f}".format(*curve(heels)))
    print(table(heels).round(2).to_string())


if __name__ == "__main__":
    main()
