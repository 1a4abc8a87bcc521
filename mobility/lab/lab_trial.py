"""Comparison of a trial that was both filmed and measured in a lab, on the clock of the video.

The primary comparison uses our formulas for both: they are applied to the joint centres of the lab.
The comparison with the angles of the lab's model is secondary, because these are defined
differently. Comparing both kinds of angles on the same lab data shows the effect of the
definitions.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from mobility import tables
from mobility.base.formatting import listed, rounded
from mobility.base.provenance import warnings_of, with_history
from mobility.base.uncertain import is_error, sd_name
from mobility.errors import BadInputError
from mobility.kinematics.angles import joint_angles
from mobility.kinematics.skeleton import SIDES, called
from mobility.lab.agreement import agreement
from mobility.lab.joint_centres import lab_pose
from mobility.lab.lab_files import read_lab
from mobility.lab.lab_mappings import given_mapping
from mobility.lab.pairing import DISCRETE
from mobility.lab.synchronise import Synchronisation, align, find_lag

FILE = str | os.PathLike[str]

ESTIMATORS: Mapping[str, str] = {
    "fitted": "video, fitted body",
    "landmarks": "video, landmarks without a fit",
    "raw": "video, landmarks without a fit",
    "image": "video, lines in the picture",
    "lab_formulas": "lab, our formulas on its joint centres",
    "lab_model": "lab, angles of its own model",
}
"""Estimators of angles, in the order in which they are stored."""


class Comparison(NamedTuple):
    """Two estimators of the same angles; the second is the reference."""

    name: str
    measured: str
    reference: str
    title: str


COMPARISONS = tuple(
    Comparison(f"{measured}_{reference}", measured, reference, title)
    for measured, reference, title in (
        ("fitted", "lab_formulas", "Video against the lab, same formulas"),
        ("landmarks", "lab_formulas", "Video against the lab, same formulas"),
        ("fitted", "lab_model", "Video against the lab's own model"),
        ("landmarks", "lab_model", "Video against the lab's own model"),
        ("raw", "lab_formulas", "Landmarks without a fit against the lab, same formulas"),
        ("image", "lab_formulas", "Lines in the picture against the lab, same formulas"),
        ("lab_model", "lab_formulas", "The lab's own model against our formulas, both on lab data"),
    )
)
"""All comparisons; the first one that is possible for a trial is its primary comparison."""

DEFINITIONS = "lab_model_lab_formulas"

_CLOCKS_AGREE_S = 0.02
"""Largest lag between markers and angles of the lab, in seconds: two frames at 100 Hz."""

_ANGLE_NAMES = tuple(tables.load("angles"))


@dataclass(frozen=True)
class Reference:
    """A lab's measurements of a trial, on the lab's clock."""

    formulas: xr.Dataset | None  # angles by our formulas, if the lab gave markers
    model: xr.Dataset | None  # angles of the lab's model, in our names
    pose: xr.Dataset | None  # the joint centres
    # Difference between the lab's definition of an angle and ours, from its mapping.
    differences: Mapping[str, str] = field(default_factory=dict)
    # Name, SHA-256 and mapping of each file by its role (lab, angles, static).
    files: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    warnings: tuple[dict[str, str], ...] = ()


@dataclass(frozen=True)
class Trial:
    """A trial on one clock: lag, curves, and agreement."""

    sync: Synchronisation
    curves: xr.Dataset
    agreement: xr.Dataset
    warnings: tuple[dict[str, Any], ...]


def read_reference(
    lab_file: FILE,
    *,
    lab_angles: FILE | None = None,
    static: FILE | None = None,
    mapping: Any = None,
    units: Any = None,
    vertical_axis: Any = None,
) -> Reference:
    """Read the lab's measurements of a trial: markers, angles, or both, from one file or two.

    `static` is a trial with the markers that were taken off for the movement. `mapping`, `units`
    and `vertical_axis` are as in :func:`~mobility.lab.lab_files.read_lab`; the last two apply to
    `lab_file`.
    """
    # One mapping may describe markers, angles, or both.
    for_markers = for_angles = None
    if mapping is not None:
        lab_mapping = given_mapping(mapping)
        for_markers = lab_mapping if lab_mapping.joint_centres or lab_mapping.pelvis else None
        for_angles = lab_mapping if lab_mapping.angles else None
    main_mapping = mapping if lab_angles is None else for_markers
    main = read_lab(lab_file, mapping=main_mapping, units=units, vertical_axis=vertical_axis)
    files = {"lab": _source_attrs(main)}
    read = [main]
    pose = formulas = None
    if "marker_position" in main:
        still = None
        if static is not None:
            still = read_lab(static, mapping=for_markers, units=units, vertical_axis=vertical_axis)
            files["static"] = _source_attrs(still)
        pose = lab_pose(main, mapping=for_markers, static=still)
        formulas = joint_angles(pose)
        read.append(formulas)
    elif static is not None:
        raise BadInputError(
            f"{os.fspath(lab_file)}: has no markers, so a static trial has no use; leave it "
            "out, or use the lab file that has the markers"
        )
    source = main
    if lab_angles is not None:
        source = read_lab(lab_angles, mapping=for_angles)
        files["angles"] = _source_attrs(source)
        read.append(source)
    names = [name for name in _ANGLE_NAMES if name in source]
    if lab_angles is not None and not names:
        raise BadInputError(
            f"{os.fspath(lab_angles)}: has no angle that a built-in mapping knows; pass a mapping"
        )
    return Reference(
        formulas=formulas,
        model=source[names] if names else None,
        pose=pose,
        differences={
            name: text
            for name in names
            if (text := str(source[name].attrs.get("difference", ""))) not in ("", "not stated")
        },
        files=files,
        # Markers need no stated error, because they are the reference.
        warnings=tuple(w for w in warnings_of(*read) if w["code"] != "unknown_error"),
    )


def compare(
    video: xr.Dataset,
    repetitions: xr.Dataset,
    reference: Reference,
    *,
    margin_deg: float | None = None,
    max_lag_s: float | None = None,
    lag_s: float | None = None,
    values: Sequence[str] = DISCRETE,
) -> Trial:
    """Bring a trial to one clock, and compare its angles.

    If the `video` has ``<angle>_raw`` and ``<angle>_image``, these are also compared. The times of
    the video's `repetitions` also apply to the lab. The lag (see
    :func:`~mobility.lab.synchronise.find_lag`) is estimated from angles with the same formulas, if
    the lab has markers. It includes the delay of the video's angles (``video_delay`` in
    ``tables/synchronisation.yaml``), and its error includes the variation of that delay.
    `margin_deg` is for the test of equivalence; `values` are as in
    :func:`~mobility.lab.agreement.agreement`. A warning lists angles of the video that are missing
    in the lab data.
    """
    warnings: list[dict[str, Any]] = list(reference.warnings)
    both = [angles for angles in (reference.formulas, reference.model) if angles is not None]
    if not both:
        raise BadInputError(
            "compare: the lab files have no angle that the video has; pass a mapping"
        )
    first = next((angles for angles in both if _has_any(angles, video)), both[0])
    sync = find_lag(video, first, max_lag_s=max_lag_s, lag_s=lag_s)
    delay = tables.load("synchronisation")["video_delay"]
    if not sync.given:
        # The delay of the video's angles varies between trials.
        sd = float(np.hypot(sync.lag_sd_s, delay["sd_beyond_random_s"]))
        sync = replace(sync, lag_sd_s=sd)
    if reference.formulas is not None and reference.model is not None:
        warnings += _warn_of_lab_clocks(reference)
    curves = _curves(video, repetitions, reference, sync)
    warnings += _warn_of_lacking(video, curves)
    agreements = {}
    for comparison in COMPARISONS:
        names = set(curves["estimator"].to_numpy().tolist())
        if not {comparison.measured, comparison.reference} <= names:
            continue
        measured, lab = (angles_of(curves, e) for e in (comparison.measured, comparison.reference))
        if set(measured.data_vars) & set(lab.data_vars):
            agreements[comparison.name] = agreement(
                measured, lab, repetitions, margin_deg=margin_deg, values=values
            )
    if not agreements:
        raise BadInputError("compare: video and lab have no angle in common; pass a mapping")
    together = stacked(agreements)
    warnings += [w for w in warnings_of(*agreements.values()) if w not in warnings]
    return Trial(sync, curves, together, tuple(warnings))


def angles_of(curves: xr.Dataset, estimator: str) -> xr.Dataset:
    """Return angles of one estimator over (time, side) or (time,), with the video's ``_sd``."""
    angles: dict[str, xr.DataArray] = {}
    if estimator not in curves["estimator"].values:
        return xr.Dataset(attrs=curves.attrs)
    for name in _ANGLE_NAMES:
        if name not in curves:
            continue
        values = curves[name].sel(estimator=estimator, drop=True)
        if bool(values.notnull().any()):
            angles[name] = values
            if estimator in ("fitted", "landmarks") and sd_name(name) in curves:
                angles[sd_name(name)] = curves[sd_name(name)]
    return xr.Dataset(angles, attrs=curves.attrs)


def repetitions_of(curves: xr.Dataset) -> xr.Dataset:
    """Return the repetitions that are stored with the curves of a trial."""
    prefix = "repetition_"
    return xr.Dataset(
        {
            str(name).removeprefix(prefix): variable
            for name, variable in curves.data_vars.items()
            if str(name).startswith(prefix)
        }
    )


def repetition_variables(repetitions: xr.Dataset) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return times and marks of repetitions as variables to store with curves, and coordinates.

    :func:`repetitions_of` reads them.
    """
    variables: dict[str, Any] = {}
    coords: dict[str, Any] = {}
    for key, stored in repetitions.data_vars.items():
        name = str(key)
        if re.fullmatch(r"(\w+_)?(start|end)|bottom|accepted|compared", name):
            variables[f"repetition_{name}"] = stored.variable
            coords |= {str(d): repetitions[d].variable for d in stored.dims if d in repetitions}
    return variables, coords


def stacked(agreements: Mapping[str, xr.Dataset]) -> xr.Dataset:
    """Stack agreement Datasets of the same repetitions along `comparison`.

    Missing values of a comparison become NaN, counts 0, and reasons "not compared".
    """
    others = [str(name) for part in agreements.values() for name in part["angle"].values]
    order = {"angle": tuple(dict.fromkeys((*_ANGLE_NAMES, *others))), "side": (*SIDES, "middle")}
    labels = {
        dim: [one for one in names if any(one in part[dim].values for part in agreements.values())]
        for dim, names in order.items()
    }
    parts = []
    for name, part in agreements.items():
        plain = part.drop_vars(["units", "peak_kind", "sided"], errors="ignore")
        fill = {
            str(key): {"f": np.nan, "i": 0, "b": False}.get(value.dtype.kind, "not compared")
            for key, value in plain.variables.items()
        }
        wide = plain.reindex(labels, fill_value=fill)
        texts = {k: v.astype(str) for k, v in wide.data_vars.items() if v.dtype.kind == "O"}
        parts.append(wide.assign(texts).expand_dims(comparison=[name]))
    together = xr.concat(
        parts,
        "comparison",
        data_vars="all",
        coords="minimal",
        compat="override",
        join="exact",
        combine_attrs="override",
    )
    for key in together.data_vars:
        together[key].attrs = dict(parts[0][key].attrs)
    return together.assign_attrs(primary=next(iter(agreements)))


def _source_attrs(dataset: xr.Dataset) -> dict[str, str]:
    keys = ("source_file", "source_sha256", "source_format", "mapping")
    return {key: str(dataset.attrs[key]) for key in keys if key in dataset.attrs}


def _warn_of_lab_clocks(reference: Reference) -> list[dict[str, str]]:
    """Warn if markers and angles of the lab are not on the same clock."""
    assert reference.formulas is not None
    assert reference.model is not None
    if "angles" not in reference.files:
        return []
    try:
        lag = find_lag(reference.formulas, reference.model, max_lag_s=2.0)
    except BadInputError:
        return [tables.warning("warnings.lab_clock_not_checked")]
    if abs(lag.lag_s) <= max(_CLOCKS_AGREE_S, 3 * lag.lag_sd_s):
        return []
    later = rounded(lag.lag_s, 3, signed=True)
    return [tables.warning("warnings.lab_clocks_differ", later=later)]


def _has_any(lab: xr.Dataset, video: xr.Dataset) -> bool:
    """Return whether the lab has a value of an angle that the video has."""
    return any(bool(lab[name].notnull().any()) for name in video.data_vars if name in lab)


def _warn_of_lacking(video: xr.Dataset, curves: xr.Dataset) -> list[dict[str, Any]]:
    """Return a warning that lists the angles of the video that no file of the lab has."""
    of_lab = [name for name in ("lab_formulas", "lab_model") if name in curves["estimator"].values]
    lacking = []
    for name, values in video.data_vars.items():
        if is_error(name) or str(name).endswith(("_raw", "_image")):
            continue
        has_value = values.notnull().any("time")
        if name in curves:
            has_value &= ~curves[name].sel(estimator=of_lab).notnull().any(["estimator", "time"])
        if "side" not in has_value.dims or bool(has_value.all()):
            lacking += [called(str(name))] if bool(has_value.any()) else []
        else:
            lacking += [f"{side} {called(str(name))}" for side in SIDES if has_value.sel(side=side)]
    return [tables.warning("warnings.lab_lacks", what=listed(lacking))] if lacking else []


def _curves(
    video: xr.Dataset, repetitions: xr.Dataset, reference: Reference, sync: Synchronisation
) -> xr.Dataset:
    time = video["time"].to_numpy()
    fitted = str(video.attrs.get("method", "")).startswith("fitted")
    sources: dict[str, tuple[xr.Dataset, str]]
    sources = {"fitted" if fitted else "landmarks": (video, "")}
    for name in ("raw", "image"):
        if any(f"{angle}_{name}" in video for angle in _ANGLE_NAMES):
            sources[name] = (video, f"_{name}")
    if reference.formulas is not None:
        sources["lab_formulas"] = (align(reference.formulas, sync, time), "")
    if reference.model is not None:
        sources["lab_model"] = (align(reference.model, sync, time), "")
    estimators = [name for name in ESTIMATORS if name in sources]
    variables: dict[str, Any] = {}
    for angle in _ANGLE_NAMES:
        definition = tables.load("angles")[angle]
        dims = ("time", "side") if definition["sided"] else ("time",)
        named = [(sources[name][0], f"{angle}{sources[name][1]}") for name in estimators]
        values = np.stack([_angle_values(source, name, dims, time.size) for source, name in named])
        if not np.isnan(values).all():
            attrs = {"units": "degree", "long_name": definition["long_name"]}
            variables[angle] = (("estimator", *dims), values, attrs)
            sd = sd_name(angle)
            if sd in video:
                variables[sd] = video[sd].transpose(*dims).drop_vars("time").variable
    of_repetitions, coords = repetition_variables(repetitions)
    variables |= of_repetitions
    result = xr.Dataset(
        variables,
        coords={
            **coords,
            "estimator": estimators,
            "time": ("time", time, {"units": "s", "long_name": "time of the video"}),
            "side": list(SIDES),
            "rep": repetitions["rep"].variable,
            "lab_time": (
                "time",
                sync.lab_time(time),
                {"units": "s", "long_name": "time of the lab"},
            ),
        },
        attrs={
            "ds_type": "lab_comparison",
            **{f"{name}_means": ESTIMATORS[name] for name in estimators},
            "synchronisation": json.dumps(sync.document()),
            "lab_files": json.dumps({k: dict(v) for k, v in reference.files.items()}),
            "definition_differences": json.dumps(dict(reference.differences)),
        },
    )
    return with_history(
        result,
        "compare",
        {"lag_s": sync.lag_s, "given": sync.given},
        source=video,
        lab_files={k: dict(v) for k, v in reference.files.items()},
    )


def _angle_values(
    dataset: xr.Dataset, name: str, dims: tuple[str, ...], frames: int
) -> np.ndarray[Any, np.dtype[np.float64]]:
    if name not in dataset:
        return np.full((frames, len(SIDES))[: len(dims)], np.nan)
    values = dataset[name].reindex({"side": SIDES} if "side" in dims else {})
    return values.transpose(*dims).to_numpy().astype(np.float64)
