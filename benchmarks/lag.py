"""By how much angles from a video are late, on rendered squats with the same clock as the truth.

usage: python benchmarks/lag.py CACHE

CACHE is the cache of `mobility virtual-lab sweep benchmarks/reporting2.yaml --cache CACHE`.
`mobility/tables/synchronisation.yaml` contains the printed values.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from mobility.errors import BadInputError
from mobility.lab.synchronise import find_lag
from mobility.sessions.files import read_dataset

ANGLES = ("knee_flexion", "hip_flexion", "ankle_dorsiflexion")


def lags(cache: Path, estimator: str = "fitted") -> pd.DataFrame:
    """Return the lag (s) of the truth relative to an estimator, and its sd, for every case."""
    rows = []
    for file in sorted(cache.glob("*/angles.nc")):
        measured = read_dataset(file)
        video = measured[list(ANGLES)].sel(estimator=estimator, drop=True)
        truth = xr.Dataset({name: measured[f"{name}_true"] for name in ANGLES})
        try:
            found = find_lag(video, truth)
        except BadInputError as error:
            rows.append({"case": file.parent.name, "refused": str(error)})
            continue
        rows.append({"case": file.parent.name, "lag_s": found.lag_s, "lag_sd_s": found.lag_sd_s})
    return pd.DataFrame(rows)


def main() -> None:
    """Print mean and spread."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cache", type=Path)
    table = lags(parser.parse_args().cache)
    known = table[table["lag_s"].notna()]
    sd, told = float(known["lag_s"].std(ddof=1)), float(known["lag_sd_s"].median())
    print(f"cases                   {len(known)} of {len(table)}")
    print(f"mean lag                {known['lag_s'].mean():.4f} s")
    print(f"sd of the lags          {sd:.4f} s")
    print(f"sd as find_lag tells    {told:.4f} s (median)")
    print(f"sd beyond that          {np.sqrt(max(0.0, sd**2 - told**2)):.4f} s")


if __name__ == "__main__":
    main()
