"""The metrics of a session as a table, stored next to the metrics.

A cohort reads the table in milliseconds; reading the Dataset, with hundreds of variables, takes
half a second.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mobility.assessment.exercise_stages import stages_of
from mobility.assessment.kinds import owners
from mobility.assessment.number import reason_missing
from mobility.base.uncertain import sd_name, sem_name
from mobility.catalogue.registry import exercise_of
from mobility.kinematics.expected_error import half_width

if TYPE_CHECKING:
    import pyarrow as pa
    import xarray as xr


TEXTS = (
    *("method", "metric", "quantity", "kind", "side", "level", "phase", "item"),
    *("units", "text", "reason", "long_name", "group", "version"),
)
NUMBERS = ("value", "sd", "sem", "lower", "upper")


def metrics_table(metrics: xr.Dataset) -> pa.Table:
    """Put each value of a session's metrics into a row of a table.

    Returns
    -------
    pyarrow.Table
        Columns `TEXTS` (empty if there is no text), `NUMBERS` and ``rep``, as
        :func:`mobility.studies.cohort.to_dataframe` describes them.
    """
    method = str(metrics.attrs.get("method", ""))
    metrics = stages_of(exercise_of(metrics)).reported(metrics)
    return as_table([{"method": method, **row} for row in _rows(metrics)])


def as_table(rows: list[dict[str, Any]]) -> pa.Table:
    """Put rows into a table; missing values are empty."""
    import pyarrow as pa

    columns = {name: as_texts([str(row.get(name, "")) for row in rows]) for name in TEXTS}
    for name in NUMBERS:
        columns[name] = pa.array([row.get(name, math.nan) for row in rows], pa.float64())
    return pa.table({**columns, "rep": pa.array([row.get("rep") for row in rows], pa.int32())})


def write_metrics_table(path: str | os.PathLike[str], metrics: xr.Dataset) -> None:
    """Write the table of the metrics as Parquet."""
    import pyarrow.parquet as pq

    pq.write_table(metrics_table(metrics), path)


def read_metrics_table(path: str | os.PathLike[str]) -> pa.Table:
    """Read a table from :func:`write_metrics_table`; raises KeyError if the columns differ."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        return file.read(use_threads=False).select([*TEXTS, *NUMBERS, "rep"])


def as_texts(values: list[str]) -> pa.DictionaryArray:
    """Encode texts as a column in which each distinct text is stored once."""
    import pyarrow as pa

    numbers = {text: number for number, text in enumerate(dict.fromkeys(values))}
    return pa.DictionaryArray.from_arrays(
        pa.array([numbers[text] for text in values], pa.int32()),
        pa.array(list(numbers), pa.string()),
    )


def _rows(metrics: xr.Dataset) -> list[dict[str, Any]]:
    rows = []
    # Plain variables: a Dataset searches likely spellings of an absent name.
    variables = metrics.variables
    beside = owners(variables)
    for name in map(str, metrics.data_vars):
        if name in beside or name in _LABELS:
            continue
        variable = variables[name]
        sd, sem = (variables.get(error_name) for error_name in (sd_name(name), sem_name(name)))
        interval = variables.get(f"{name}_interval")
        described = {
            "metric": name,
            "quantity": variable.attrs.get("quantity", name),
            "kind": variable.attrs.get("kind", ""),
            "units": variable.attrs.get("units", ""),
            "long_name": variable.attrs.get("long_name", name.replace("_", " ")),
            "group": variable.attrs.get("group", ""),
            "version": str(variable.attrs.get("version", "")),
        }
        values = variable.values
        errors, retest = (
            error.values if error is not None and error.dims == variable.dims else None
            for error in (sd, sem)
        )
        labels = [
            variables[dim].values if dim in variables else np.arange(size)
            for dim, size in variable.sizes.items()
        ]
        for index in np.ndindex(variable.shape):
            where = {
                str(dim): labels[axis][i]
                for axis, (dim, i) in enumerate(zip(variable.dims, index, strict=True))
            }
            row = {**described, **_labels_of(_place_of(where, variables))}
            if values.dtype.kind not in "biuf":
                rows.append({**row, "text": str(values[index])})
                continue
            value = float(values[index])
            error = math.nan if errors is None else float(errors[index])
            lower, upper = value - half_width(error), value + half_width(error)
            if interval is not None and interval.dims == ("bound",) and not where:
                bounds = dict(zip(variables["bound"].values, interval.values, strict=True))
                lower, upper = float(bounds["lower"]), float(bounds["upper"])
            row |= {"value": value, "sd": error, "lower": lower, "upper": upper}
            row["sem"] = math.nan if retest is None else float(retest[index])
            if not math.isfinite(value):
                row["reason"] = reason_missing(metrics, name, **where)
            rows.append(row)
    return rows


def _place_of(where: Mapping[str, Any], variables: Mapping[Any, xr.Variable]) -> dict[str, Any]:
    """Put the movement in place of the joint, and the number of a movement into ``rep``."""
    place = dict(where)
    if "movement" in place:
        i = place.pop("movement")
        place |= {name: variables[f"movement_{name}"].values[i] for name in ("joint", "side")}
        place["rep"] = variables["movement_number"].values[i]
    if "joint" in place:
        shown = variables["shown"].values[variables["joint"].values.tolist().index(place["joint"])]
        of_sides = dict(zip(variables["side"].values, shown, strict=True))
        # A side that is not seen uses the movement of the other side.
        names = [of_sides.get(place.get("side", ""), ""), *of_sides.values()]
        place["joint"] = next(filter(None, names), place["joint"])
    return place


def _labels_of(where: Mapping[str, Any]) -> dict[str, Any]:
    """Return the side, repetition, phase or part that a value belongs to."""
    items = [str(v) for dim, v in where.items() if dim not in ("rep", "phase", "side")]
    return {
        "side": str(where.get("side", "")),
        "level": "phase" if "phase" in where else "repetition" if "rep" in where else "session",
        "rep": int(where["rep"]) if "rep" in where else None,
        "phase": str(where.get("phase", "")),
        "item": ", ".join(items),
    }


_LABELS = ("movement_joint", "movement_side", "movement_number")
"""Variables that name the movement of the other variables."""
