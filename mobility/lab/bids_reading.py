"""Reading of Motion-BIDS data sets, from :mod:`mobility.lab.bids` or other programs."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from mobility.base.options import FilePath, checked
from mobility.base.provenance import with_history
from mobility.errors import BadInputError, NotFoundError
from mobility.kinematics.datasets import check_times
from mobility.kinematics.skeleton import SIDES, Array
from mobility.lab.bids import ATTRIBUTES, FIRST, MISSING, UNITS
from mobility.lab.lab_datasets import METRES
from mobility.sessions.files import read_json

_OUR_UNITS = {in_bids: ours for ours, in_bids in UNITS.items() if ours != "second"}
_EVENT = ("onset", "duration", "trial_type", "repetition")
_RESERVED = ("time", "position", "space", "keypoint", "side", "rep")


@checked
def read_bids(folder: FilePath) -> dict[str, xr.Dataset]:
    """Read the recordings of a Motion-BIDS data set.

    Parameters
    ----------
    folder
        Folder of the data set, from :meth:`mobility.Store.to_bids` or another program.

    Returns
    -------
    dict of str to xarray.Dataset
        The recordings by the beginning of their file names (``sub-p01_task-Squat_tracksys-phone``).

        Each has ``time`` in seconds, and ``position`` (time, space, keypoint) in metres. Joint
        angles are in degrees; those that begin with left or right are over (time, side). An angle
        that was not reported has the reason in the attribute ``refused``. Other channels keep their
        names and units. The repetitions are over ``rep``, with times in seconds.

        The attributes are ``participant``, ``session`` ("" if there are no visits) and
        ``exercise``. If this package wrote the data set, there are also ``view``, ``verdict``,
        ``source_software`` and, for movements of a joint, ``movement``.

    Raises
    ------
    NotFoundError
        There is no such folder, or a file is missing.
    BadInputError
        The folder is not a data set, has no motion, or a file is damaged.
    """
    root = Path(folder)
    if not root.is_dir():
        raise NotFoundError(f"{root}: no such folder. Name the folder of a data set")
    if not (root / "dataset_description.json").is_file():
        fault = "is not a BIDS data set, because it has no dataset_description.json"
        raise BadInputError(f"{root}: {fault}. Name the folder of a data set")
    files = sorted(
        [*root.glob("sub-*/motion/*_motion.tsv"), *root.glob("sub-*/ses-*/motion/*_motion.tsv")]
    )
    if not files:
        raise BadInputError(f"{root}: has no file *_motion.tsv. Name another data set")
    return {file.name.removesuffix("_motion.tsv"): _read_recording(file) for file in files}


def _read_recording(file: Path) -> xr.Dataset:
    stem = file.name.removesuffix("_motion.tsv")
    document = _read_document(file.with_name(f"{stem}_motion.json"))
    channels = _read_table(
        file.with_name(f"{stem}_channels.tsv"),
        "name",
        "component",
        "type",
        "tracked_point",
        "units",
    )
    values = _parsed(file, header=None, dtype=float, na_values=[MISSING]).to_numpy()
    if values.shape[1] != len(channels):
        raise BadInputError(
            f"{file}: has {values.shape[1]} columns, but its channels.tsv lists {len(channels)} "
            "channels. Restore both files"
        )
    wrong = channels["name"].duplicated() | channels["name"].isin(_RESERVED)
    if wrong.any():
        name = channels["name"][wrong].iloc[0]
        raise BadInputError(f"{file}: a channel cannot be called {name!r} here. Rename it")
    recording = _read_channels(channels, values, file)
    first = _number(document.get(FIRST, 0.0), FIRST, file)
    latency = np.flatnonzero(channels["type"].eq("LATENCY"))
    if latency.size:
        time = values[:, latency[0]] + first
    else:
        rate = _number(document.get("SamplingFrequency"), "SamplingFrequency", file, above=0.0)
        time = first + np.arange(len(values)) / rate
    try:
        time = check_times(time)
    except BadInputError as error:
        raise BadInputError(f"{file}: {error}") from None
    recording = recording.assign_coords(time=("time", time, {"units": "s"}))
    events = file.with_name(f"{stem}_events.tsv")
    if events.is_file():
        recording = recording.merge(_read_events(events, first), join="exact")
    entities = dict(part.split("-", 1) for part in stem.split("_") if "-" in part)
    recording.attrs = {
        **{"participant": entities.get("sub", ""), "session": entities.get("ses", "")},
        "exercise": str(document.get("TaskName", entities.get("task", ""))),
        **{name: str(document[key]) for name, key in ATTRIBUTES.items() if key in document},
    }
    return with_history(recording, "read_bids", {"file": file.name})


def _read_channels(channels: pd.DataFrame, values: Array, file: Path) -> xr.Dataset:
    variables: dict[str, xr.DataArray] = {}
    places: dict[tuple[str, str], Array] = {}
    sides: dict[str, dict[str, xr.DataArray]] = {}
    for number, channel in enumerate(channels.to_dict("records")):
        name, units, kind = channel["name"], channel["units"], channel["type"]
        column = values[:, number]
        if kind == "POS":
            if units not in METRES or channel["component"] not in tuple("xyz"):
                raise BadInputError(
                    f"{file}: the position {name!r} is along {channel['component']!r} in "
                    f"{units!r}, which cannot be read. Use x, y, z in m, cm or mm"
                )
            places[channel["component"], channel["tracked_point"]] = METRES[units] * column
        elif kind != "LATENCY":
            if kind == "JNTANG" and units == "rad":
                column, units = np.degrees(column), "deg"
            attrs = {"units": _OUR_UNITS.get(units, units)}
            if (reason := channel.get("status_description", MISSING)) != MISSING:
                attrs["refused"] = reason
            one = xr.DataArray(column, dims="time", attrs=attrs)
            side, _, quantity = name.partition("_")
            if side in SIDES and quantity and kind in ("JNTANG", "MISC"):
                sides.setdefault(quantity, {})[side] = one
            else:
                variables[name] = one
    for name, of_sides in sides.items():
        one = next(iter(of_sides.values()))
        both = [of_sides.get(side, one * np.nan).to_numpy() for side in SIDES]
        variables[name] = xr.DataArray(
            np.stack(both, axis=-1), {"side": list(SIDES)}, ("time", "side"), attrs=one.attrs
        )
    if places:
        points = list(dict.fromkeys(point for _, point in places))
        empty = np.full(len(values), np.nan)
        position = [[places.get((axis, point), empty) for point in points] for axis in "xyz"]
        coords = {"space": list("xyz"), "keypoint": points}
        variables["position"] = xr.DataArray(
            np.moveaxis(np.array(position), -1, 0),
            coords,
            ("time", "space", "keypoint"),
            attrs={"units": "m"},
        )
    return xr.Dataset(variables)


def _read_events(file: Path, first: float) -> xr.Dataset:
    """Return the repetitions among the events; without any, an empty Dataset."""
    table = _read_table(file, "onset", "duration")
    if not {*_EVENT} <= {*table}:
        return xr.Dataset()
    document = _read_document(file.with_suffix(".json"))
    for name in ("onset", "duration", "repetition"):
        table[name] = pd.to_numeric(table[name], errors="coerce")
    table["onset"] += first
    table = table.dropna(subset="repetition")  # events that do not belong to a repetition
    if table.duplicated(["trial_type", "repetition"]).any():
        raise BadInputError(f"{file}: lists an event of a repetition twice. Delete one of them")
    is_whole = table["trial_type"].eq("repetition")
    whole = table[is_whole].set_index("repetition")
    times = {"start": whole["onset"], "end": whole["onset"] + whole["duration"]}
    for name, rows in table[~is_whole].groupby("trial_type", sort=False):
        times[str(name)] = rows.set_index("repetition")["onset"].reindex(whole.index)
    variables = {name: ("rep", column.to_numpy(), {"units": "s"}) for name, column in times.items()}
    for name in map(str, whole.columns.difference([*_EVENT], sort=False)):
        entry = document.get(name)
        units = entry.get("Units") if isinstance(entry, dict) else None
        variables[name] = ("rep", *_read_column(whole[name], units))
    return xr.Dataset(variables, {"rep": whole.index.astype(int).to_numpy()})


def _read_column(cells: pd.Series[str], units: str | None) -> tuple[Array, dict[str, str]]:
    """Return a column as numbers if it has a unit, otherwise as flags or as text."""
    if units is not None:
        numbers = pd.to_numeric(cells, errors="coerce").to_numpy(float)
        return numbers, {"units": _OUR_UNITS.get(units, units)}
    if cells.isin(["true", "false"]).all():
        return cells.eq("true").to_numpy(), {}
    return cells.where(cells.ne(MISSING), "").to_numpy(str), {}


def _read_document(file: Path) -> dict[str, Any]:
    document = read_json(file)
    if not isinstance(document, dict):
        raise BadInputError(f"{file}: is not a JSON object. Restore it")
    return document


def _number(value: Any, key: str, file: Path, *, above: float = -np.inf) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not above < value < np.inf:
        raise BadInputError(f"{file}: its motion.json has no possible {key}. Restore it")
    return float(value)


def _read_table(file: Path, *columns: str) -> pd.DataFrame:
    table = _parsed(file, dtype=str, keep_default_na=False)
    if absent := [name for name in columns if name not in table]:
        raise BadInputError(f"{file}: lacks the column {absent[0]}. Add it")
    return table


def _parsed(file: Path, **options: Any) -> pd.DataFrame:
    try:
        return pd.read_csv(file, sep="\t", quoting=csv.QUOTE_NONE, **options)
    except FileNotFoundError:
        raise NotFoundError(f"{file}: no such file. Restore it") from None
    except (OSError, ValueError) as error:  # also if rows differ in length, or it is not UTF-8
        raise BadInputError(f"{file}: cannot be read ({error}). Restore it") from None
