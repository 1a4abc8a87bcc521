"""One table with the measurements from video and lab for each repetition of each trial."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility import tables
from mobility.assessment.phases import within
from mobility.assessment.summaries import median_within, peak_within
from mobility.base.formatting import shortened
from mobility.base.uncertain import is_sd, sd_name
from mobility.errors import BadInputError
from mobility.kinematics.datasets import in_degrees
from mobility.kinematics.expected_error import half_width
from mobility.kinematics.repetitions import normalise_repetitions
from mobility.kinematics.skeleton import SIDES, Array, definitions
from mobility.studies.statistics.limits_of_agreement import numbers
from mobility.studies.statistics.waveforms import curve_errors

Values = dict[str, tuple[tuple[str, ...], Any]]

DISCRETE = ("bottom", "peak", "range")
"""Values of a repetition: the median within the bottom, the extreme, and largest minus smallest."""

_EXTREMES = ("peak", "largest", "smallest", "range")
"""Values of a whole repetition; each other value is the median of a part of it."""

CURVE_ERRORS = ("bias", "mae", "rmse", "rmse_offset_removed")

POINTS = 101
"""Points of the curve of a repetition."""

_HALF_TURN = 180.0
_FRAMES = {
    "frames_compared": "frames with a value from both",
    "frames_refused": "frames for which the lab has a value, but the video has none",
    "frames_lab_missing": "frames without a value from the lab",
}
_VALUES = {
    "video_values": "values from the video",
    "lab_values": "values from the lab",
    sd_name("video_values"): "values from the video, standard deviation of the error",
}


class _Layout(NamedTuple):
    """Names of all angles (or metrics), whether each has sides, and all sides."""

    names: list[str]
    sided: list[bool]
    sides: list[str]


def paired_angles(
    videos: Sequence[xr.Dataset],
    labs: Sequence[xr.Dataset],
    repetitions: Sequence[xr.Dataset],
    participants: Sequence[str],
    values: Sequence[str] = DISCRETE,
) -> tuple[xr.Dataset, list[dict[str, str]]]:
    """Measure angles, or other values, from video and lab in each accepted repetition.

    Arguments as in `agreement`. The table has the dimension ``rep``, numbered through all trials,
    with the coordinates ``participant``, ``trial`` and ``repetition``; ``angle`` has ``units``,
    ``sided`` and ``peak_kind``. It contains `video_curves` and `lab_curves` (rep, angle, side,
    percent), and `video_values`, `lab_values` and `video_values_sd` (rep, metric, angle, side). It
    also has `repetition_bias` and the other errors, `repetition_coverage` and
    `repetition_frames_...` (rep, angle, side). Angles are in degrees. The second result is the list
    of warnings.
    """
    units: dict[str, str] = {}
    shared = [
        _shared_angles(v, r, t + 1, units)
        for t, (v, r) in enumerate(zip(videos, labs, strict=True))
    ]
    layout = _layout(videos, shared)
    _check_values(values, repetitions)
    warnings: list[dict[str, str]] = []
    parts: list[Values] = []
    owners: list[tuple[str, int, Array]] = []
    for t, (video, lab, windows) in enumerate(zip(videos, labs, repetitions, strict=True)):
        accepted = _accepted(windows, t + 1)
        if not accepted.sizes["rep"]:
            warnings.append(tables.warning("warnings.trial_without_repetition", trial=t + 1))
            continue
        parts.append(_one_trial(video, lab, accepted, shared[t], layout, values))
        owners.append((participants[t], t + 1, accepted["rep"].to_numpy()))
    if not parts:
        raise BadInputError("agreement: there is no accepted repetition in any trial")
    of_names = [units[name] for name in layout.names]
    table = _table(parts, owners, layout, of_names, list(values))
    table = table.assign_coords(
        percent=(
            "percent",
            np.linspace(0, 100, POINTS),
            {"units": "percent", "long_name": "of the repetition"},
        ),
        peak_kind=("angle", [_peak_kind(name) for name in layout.names]),
    )
    for name in ("video_curves", "lab_curves"):
        what = name.split("_")[0]
        table[name].attrs = {"units": common_units(of_names), "long_name": f"curves of the {what}"}
    errors = curve_errors(table["video_curves"], table["lab_curves"], dim="percent")
    table = table.assign({f"repetition_{name}": errors[name] for name in CURVE_ERRORS})
    text = tables.load("agreement")["coverage"]["long_name"]
    table["repetition_coverage"].attrs = {"units": "1", "long_name": text}
    for name, text in _FRAMES.items():
        table[f"repetition_{name}"].attrs = {"units": "1", "long_name": text}
    largest = abs(table["video_curves"] - table["lab_curves"]).max(["rep", "side", "percent"])
    wraps = (largest > _HALF_TURN) & [in_degrees(unit) for unit in of_names]
    wrapping = [str(name) for name in largest["angle"].values[wraps.values]]
    if wrapping:
        warnings.append(tables.warning("warnings.angle_wraps", angles=", ".join(wrapping)))
    return table, warnings


def paired_metrics(
    videos: Sequence[xr.Dataset], labs: Sequence[xr.Dataset], participants: Sequence[str]
) -> xr.Dataset:
    """Combine the metrics of repetitions from video and lab in one table.

    Their names become angles. The table is as in :func:`paired_angles`, with a single metric
    ``value`` and without curves.
    """
    units: dict[str, str] = {}
    shared = []
    for t, (video, lab) in enumerate(zip(videos, labs, strict=True)):
        what = f"agreement: trial {t + 1}"
        for dataset in (video, lab):
            if "rep" not in dataset.coords:
                raise BadInputError(
                    f"{what}: there are neither angles over 'time' nor metrics over 'rep'"
                )
        if not np.array_equal(video["rep"].values, lab["rep"].values):
            raise BadInputError(f"{what}: video and lab do not have the same repetitions")
        names = [name for name in _names(video, "rep") if name in _names(lab, "rep")]
        if not names:
            raise BadInputError(f"{what}: video and lab have no metric of repetitions in common")
        for name in names:
            unit_pair = [d[name].attrs.get("units", "not stated") for d in (video, lab)]
            if unit_pair[0] != unit_pair[1] or units.setdefault(name, unit_pair[0]) != unit_pair[0]:
                raise BadInputError(
                    f"{what}: {name} is in different units ({unit_pair[0]} and {unit_pair[1]}, "
                    f"but first {units.get(name, unit_pair[0])})"
                )
            _same_sides(video, lab, name, what)
        shared.append(names)
    layout = _layout(videos, shared)
    dims = ("rep", "metric", "angle", "side")
    parts: list[Values] = []
    owners: list[tuple[str | list[str], int, Array]] = []
    for t, (video, lab) in enumerate(zip(videos, labs, strict=True)):
        ours, theirs, sd = _arrays_of_both(video, lab, shared[t], layout, "rep")
        parts.append(
            {
                name: (dims, values[:, None])
                for name, values in zip(_VALUES, (ours, theirs, sd), strict=True)
            }
        )
        owner: str | list[str] = participants[t]
        if "participant" in video.coords:
            owner = [str(name) for name in video["participant"].values]
        owners.append((owner, t + 1, video["rep"].to_numpy()))
    if not sum(len(numbers) for _, _, numbers in owners):
        raise BadInputError("agreement: there is no repetition in any trial")
    return _table(parts, owners, layout, [units[name] for name in layout.names], ["value"])


def common_units(units: Sequence[str]) -> str:
    """Return the unit that all metrics share, or where to find the unit of each."""
    return units[0] if len(set(units)) == 1 else "as the coordinate units"


def _table(
    parts: Sequence[Values],
    owners: Sequence[tuple[str | list[str], int, Array]],
    layout: _Layout,
    units: list[str],
    metrics: list[str],
) -> xr.Dataset:
    """Concatenate the repetitions of all trials."""
    counts = [len(numbers) for _, _, numbers in owners]
    participants = [
        name
        for (names, _, _), n in zip(owners, counts, strict=True)
        for name in ([names] * n if isinstance(names, str) else names)
    ]
    table = xr.Dataset(
        {
            name: (dims, np.concatenate([part[name][1] for part in parts]))
            for name, (dims, _) in parts[0].items()
        },
        coords={
            "rep": np.arange(1, sum(counts) + 1),
            "participant": ("rep", np.array(participants, dtype=str)),
            "trial": ("rep", np.repeat([trial for _, trial, _ in owners], counts)),
            "repetition": ("rep", np.concatenate([numbers for _, _, numbers in owners])),
            "metric": np.array(metrics),
            "angle": np.array(layout.names),
            "side": np.array(layout.sides),
            "units": ("angle", np.array(units)),
            "sided": ("angle", np.array(layout.sided)),
        },
    )
    for name, text in _VALUES.items():
        table[name].attrs = {"units": common_units(units), "long_name": text}
    return table


def _layout(datasets: Sequence[xr.Dataset], shared: Sequence[list[str]]) -> _Layout:
    """Return the names and sides of the angles in all trials."""
    sided: dict[str, bool] = {}
    for t, (dataset, names) in enumerate(zip(datasets, shared, strict=True)):
        for name in names:
            has = "side" in dataset[name].dims
            if sided.setdefault(name, has) != has:
                raise BadInputError(
                    f"agreement: trial {t + 1}: {name} has sides only in some of the trials"
                )
    sides = [*(SIDES if any(sided.values()) else ()), *(() if all(sided.values()) else ("middle",))]
    return _Layout(list(sided), list(sided.values()), sides)


def _names(dataset: xr.Dataset, dim: str) -> list[str]:
    """Return numeric variables over `dim` and perhaps side, without standard deviations."""
    return [
        str(name)
        for name, variable in dataset.data_vars.items()
        if dim in variable.dims
        and set(variable.dims) <= {dim, "side"}
        and variable.dtype.kind in "fiu"
        and not is_sd(name)
    ]


def _same_sides(video: xr.Dataset, lab: xr.Dataset, name: str, what: str) -> None:
    if ("side" in video[name].dims) != ("side" in lab[name].dims):
        raise BadInputError(f"{what}: {name} has sides in only one of video and lab")
    for dataset in (video, lab):
        if "side" in dataset[name].dims:
            sides = dataset["side"].values.tolist() if "side" in dataset.coords else []
            if not sides or not set(sides) <= set(SIDES):
                raise BadInputError(f"{what}: the sides of {name} must be left and right")


def _shared_angles(
    video: xr.Dataset, lab: xr.Dataset, number: int, units: dict[str, str]
) -> list[str]:
    """Return the angles that both have at the same frames, and add the units of each to `units`.

    Angles must be in degrees. Other values, such as moments, must be in the same units.
    """
    what = f"agreement: trial {number}"
    for source, dataset in (("video", video), ("lab", lab)):
        if "time" not in dataset.dims:
            raise BadInputError(f"{what}: the {source} has no dimension 'time'")
    times = video["time"].to_numpy(), lab["time"].to_numpy()
    if len(times[0]) != len(times[1]) or not np.allclose(times[0], times[1], rtol=0, atol=1e-6):
        raise BadInputError(
            f"{what}: video and lab are not on the same times"
            f" ({len(times[0])} and {len(times[1])}); synchronise them first"
        )
    ours, theirs = _names(video, "time"), _names(lab, "time")
    names = [name for name in ours if name in theirs]
    if not names:
        raise BadInputError(
            f"{what}: video and lab have no angle in common (video: {shortened(ours, most=5)};"
            f" lab: {shortened(theirs, most=5)})"
        )
    for name in names:
        stated = [dataset[name].attrs.get("units", "not stated") for dataset in (video, lab)]
        is_angle = name in definitions()
        for source, unit in zip(("video", "lab"), stated, strict=True):
            if is_angle and not in_degrees(unit):
                raise BadInputError(
                    f"{what}: {name} of the {source} must be in degrees (units: {unit})"
                )
        unit = "degree" if is_angle else stated[0]
        if unit == "not stated":
            raise BadInputError(
                f"{what}: {name} is not an angle and has no units; set its attribute units"
            )
        if not is_angle and {*stated, units.setdefault(name, unit)} != {unit}:
            raise BadInputError(
                f"{what}: {name} is in different units ({stated[0]} and {stated[1]}, but first "
                f"{units[name]}); convert them to one unit"
            )
        units[name] = unit
        _same_sides(video, lab, name, what)
    return names


def _peak_kind(angle: str) -> str:
    entry = tables.load("measures")["measures"].get(angle)
    return str(entry["peak"]) if entry else "maximum"


def _arrays_of_both(
    video: xr.Dataset, lab: xr.Dataset, shared: Sequence[str], layout: _Layout, dim: str
) -> tuple[Array, Array, Array]:
    """Return values of video and lab, and sd of the video, (dim, angle, side); NaN if missing."""
    columns = {side: s for s, side in enumerate(layout.sides)}
    shape = (video.sizes[dim], len(layout.names), len(layout.sides))
    arrays = tuple(np.full(shape, np.nan) for _ in range(3))
    names_of: tuple[Callable[[str], str], ...] = (str, str, sd_name)
    for values, dataset, name_of in zip(arrays, (video, lab, video), names_of, strict=True):
        for a, name in enumerate(layout.names):
            if name not in shared or name_of(name) not in dataset:
                continue
            variable = dataset[name_of(name)]
            numbers(variable.to_numpy(), what=f"agreement: {name_of(name)}")
            if not layout.sided[a]:
                values[:, a, columns["middle"]] = variable.to_numpy()
                continue
            for s, side in enumerate(variable["side"].values.tolist()):
                values[:, a, columns[side]] = variable.transpose(dim, "side").to_numpy()[:, s]
    return arrays[0], arrays[1], arrays[2]


def _check_values(values: Sequence[str], repetitions: Sequence[xr.Dataset]) -> None:
    parts = [name for name in values if name not in (*_EXTREMES, "bottom")]
    for name in parts:
        if not all(f"{name}_{end}" in trial for trial in repetitions for end in ("start", "end")):
            raise BadInputError(
                f"agreement: values: the repetitions have no {name}_start and {name}_end"
            )


def _accepted(repetitions: xr.Dataset, number: int) -> xr.Dataset:
    """Keep the accepted repetitions, with their numbers."""
    lacking = [name for name in ("start", "end") if name not in repetitions]
    if lacking:
        raise BadInputError(
            f"agreement: trial {number}: the repetitions have no {', '.join(lacking)}"
        )
    if "rep" not in repetitions.coords:
        repetitions = repetitions.assign_coords(rep=np.arange(1, repetitions.sizes["rep"] + 1))
    if "accepted" not in repetitions:
        return repetitions.assign(accepted=("rep", np.ones(repetitions.sizes["rep"], bool)))
    return repetitions.isel(rep=np.flatnonzero(repetitions["accepted"].to_numpy().astype(bool)))


def _one_trial(
    video: xr.Dataset,
    lab: xr.Dataset,
    repetitions: xr.Dataset,
    shared: list[str],
    layout: _Layout,
    names: Sequence[str],
) -> Values:
    """Return curves, values and counts of frames of each repetition."""
    ours, theirs, sd = _arrays_of_both(video, lab, shared, layout, "time")
    time = video["time"].to_numpy()
    dims = ("time", "angle", "side")
    shown = _shown(repetitions, layout)
    curves = normalise_repetitions(
        xr.Dataset({"video": (dims, ours), "lab": (dims, theirs)}, coords={"time": time}),
        repetitions,
        points=POINTS,
    ).transpose("rep", "angle", "side", "percent")
    inside = _windows(time, repetitions, "start", "end")
    both, has_lab = np.isfinite(ours - theirs), np.isfinite(theirs)
    has_sd = both & np.isfinite(sd)
    hit = has_sd & (np.abs(ours - theirs) <= half_width(np.where(has_sd, sd, 0)))
    with_sd = _count(has_sd, inside)
    coverage = np.divide(
        _count(hit, inside), with_sd, out=np.full(with_sd.shape, np.nan), where=with_sd > 0
    )
    measured: Values = {
        f"{what}_curves": (
            ("rep", "angle", "side", "percent"),
            np.where(shown[..., None], curves[what].to_numpy(), np.nan),
        )
        for what in ("video", "lab")
    }
    over = ("rep", "angle", "side")
    measured["repetition_coverage"] = (over, np.where(shown, coverage, np.nan))
    for name, frames in zip(_FRAMES, (both, has_lab & ~both, ~has_lab), strict=True):
        measured[f"repetition_{name}"] = (over, np.where(shown, _count(frames, inside), 0))
    parts = {
        name: _windows(time, repetitions, f"{name}_start", f"{name}_end")
        for name in names
        if name not in _EXTREMES and f"{name}_start" in repetitions and f"{name}_end" in repetitions
    }
    video_values, video_sd = _discrete(ours, sd, inside, parts, layout.names, names)
    lab_values, _ = _discrete(theirs, np.full_like(sd, np.nan), inside, parts, layout.names, names)
    for name, values in zip(_VALUES, (video_values, lab_values, video_sd), strict=True):
        shown_values = np.where(shown[:, None], values, np.nan)
        measured[name] = (("rep", "metric", "angle", "side"), shown_values)
    return measured


def _shown(repetitions: xr.Dataset, layout: _Layout) -> NDArray[np.bool_]:
    """Return what each repetition shows, (rep, angle, side): all, or its ``compared``."""
    shown = np.ones((repetitions.sizes["rep"], len(layout.names), len(layout.sides)), bool)
    if "compared" not in repetitions:
        return shown
    by_side = repetitions["compared"].astype(bool)
    if "angle" in by_side.dims:
        by_side = by_side.reindex(angle=layout.names, fill_value=False)
    else:
        by_side = by_side.expand_dims(angle=layout.names)
    for side in set(layout.sides) & set(SIDES):
        values = by_side.sel(side=side).transpose("rep", "angle").to_numpy()
        shown[:, :, layout.sides.index(side)] = values
    return shown


def _windows(time: Array, repetitions: xr.Dataset, first: str, last: str) -> NDArray[np.bool_]:
    """Return the frames of each repetition between two of its times, (rep, time)."""
    edges = zip(repetitions[first].to_numpy(), repetitions[last].to_numpy(), strict=True)
    return np.stack([within(time, start, end) for start, end in edges])


def _count(frames: NDArray[np.bool_], inside: NDArray[np.bool_]) -> NDArray[np.int64]:
    return np.stack([frames[window].sum(axis=0) for window in inside])


def _discrete(
    values: Array,
    sd: Array,
    inside: NDArray[np.bool_],
    parts: Mapping[str, NDArray[np.bool_]],
    angles: Sequence[str],
    names: Sequence[str],
) -> tuple[Array, Array]:
    """Return values of repetitions of one system and their sd, (rep, metric, angle, side)."""
    dims = ("time", "angle", "side")
    series, errors = xr.DataArray(values, dims=dims), xr.DataArray(sd, dims=dims)
    frames = xr.DataArray(inside, dims=("rep", "time"))
    kinds = [_peak_kind(name) for name in angles]
    extremes = {
        kind: [part.to_numpy() for part in peak_within(series, errors, frames, kind)]
        for kind in dict.fromkeys(("maximum", "minimum", *kinds))
    }
    spread = extremes["maximum"][0] - extremes["minimum"][0]
    missing = np.full_like(spread, np.nan)
    of_name: dict[str, Sequence[Array]] = {
        "largest": extremes["maximum"],
        "smallest": extremes["minimum"],
        "range": (spread, missing),
        "peak": [
            np.stack([extremes[kind][part][:, a] for a, kind in enumerate(kinds)], axis=1)
            for part in (0, 1)
        ],
    }
    for name, windows in parts.items():
        medians = median_within(series, errors, xr.DataArray(windows, dims=("rep", "time")))
        of_name[name] = [part.to_numpy() for part in medians]
    both = [of_name.get(name, (missing, missing)) for name in names]
    return np.stack([value for value, _ in both], axis=1), np.stack([e for _, e in both], axis=1)
