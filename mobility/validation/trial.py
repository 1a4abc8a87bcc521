"""One trial, filmed and measured in a lab: what the lab measured, on the clock of the video.

Like is compared with like first: our own formulas, on the joint centres of the lab. The angles
of the lab's own model come second, for they are defined otherwise; by how much is seen where both
are computed from the same trial of the lab.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from mobility import tables
from mobility.errors import BadInputError
from mobility.kinematics.angles import joint_angles
from mobility.kinematics.skeleton import SIDES
from mobility.provenance import warnings_of, with_history
from mobility.validation.agreement import agreement
from mobility.validation.joint_centres import lab_pose
from mobility.validation.lab_files import read_lab
from mobility.validation.mappings import given_mapping
from mobility.validation.synchronise import Synchronisation, align, find_lag

FILE = str | os.PathLike[str]

ESTIMATORS: Mapping[str, str] = {
    "fitted": "video, fitted body",
    "landmarks": "video, landmarks without a fit",
    "raw": "video, landmarks without a fit",
    "image": "video, lines in the picture",
    "lab_formulas": "lab, our formulas on its joint centres",
    "lab_model": "lab, angles of its own model",
}
"""Ways to an angle, in the order in which they are kept."""


class Comparison(NamedTuple):
    """Two ways to the same angles, the second as the reference."""

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
        ("lab_model", "lab_formulas", "The lab's own model against our formulas, both of the lab"),
    )
)
"""What can be compared; the first that there is is the primary one."""

DEFINITIONS = "lab_model_lab_formulas"

_CLOCKS_AGREE_S = 0.02
"""Seconds by which markers and angles of the lab may be apart; two frames at 100 Hz."""

_KNOWN_ANGLES = tuple(tables.load("angles"))


@dataclass(frozen=True)
class Reference:
    """What a lab measured in a trial, on the lab's clock."""

    formulas: xr.Dataset | None  # our angles of the lab's joint centres, where it gave markers
    model: xr.Dataset | None  # the angles that the lab's own model gave, in our names
    pose: xr.Dataset | None  # the joint centres
    # By angle, how the lab's definition differs from ours, as its mapping says.
    differences: Mapping[str, str] = field(default_factory=dict)
    # Name, SHA-256 and mapping of each file by what it is (lab, angles, static).
    files: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    warnings: tuple[dict[str, str], ...] = ()


@dataclass(frozen=True)
class Trial:
    """A trial on one clock: the lag, the curves, and how well they agree."""

    sync: Synchronisation
    curves: xr.Dataset
    agreement: xr.Dataset
    warnings: tuple[dict[str, str], ...]


def read_reference(
    lab_file: FILE,
    *,
    lab_angles: FILE | None = None,
    static: FILE | None = None,
    mapping: Any = None,
    units: Any = None,
    vertical_axis: Any = None,
) -> Reference:
    """Read what a lab measured in a trial: markers, angles, or both in one file or in two.

    `static` is a trial with the markers that were taken off for the movement. `mapping`, `units`
    and `vertical_axis` are as :func:`~mobility.validation.lab_files.read_lab` takes them, the
    latter two of `lab_file`.
    """
    # One mapping may be of the markers, of the angles, or of both.
    of_markers = of_angles = None
    if mapping is not None:
        given = given_mapping(mapping)
        of_markers = given if given.joint_centres or given.pelvis else None
        of_angles = given if given.angles else None
    in_one = mapping if lab_angles is None else of_markers
    main = read_lab(lab_file, mapping=in_one, units=units, vertical_axis=vertical_axis)
    files = {"lab": _described(main)}
    found = [main]
    pose = formulas = None
    if "marker_position" in main:
        still = None
        if static is not None:
            still = read_lab(static, mapping=of_markers, units=units, vertical_axis=vertical_axis)
            files["static"] = _described(still)
        pose = lab_pose(main, mapping=of_markers, static=still)
        formulas = joint_angles(pose)
        found.append(formulas)
    elif static is not None:
        raise BadInputError(
            f"{os.fspath(lab_file)}: has no markers, so a static trial does not help; leave it "
            "out, or give the markers of the trial"
        )
    source = main
    if lab_angles is not None:
        source = read_lab(lab_angles, mapping=of_angles)
        files["angles"] = _described(source)
        found.append(source)
    names = [name for name in _KNOWN_ANGLES if name in source]
    if lab_angles is not None and not names:
        raise BadInputError(f"{os.fspath(lab_angles)}: has no angle that is known; give a mapping")
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
        # That markers have no stated error is as it should be: they are the reference.
        warnings=tuple(w for w in warnings_of(*found) if w["code"] != "unknown_error"),
    )


def compare(
    video: xr.Dataset,
    repetitions: xr.Dataset,
    reference: Reference,
    *,
    margin_deg: float | None = None,
    max_lag_s: float | None = None,
    lag_s: float | None = None,
) -> Trial:
    """Bring a trial to one clock, and compare its angles.

    Of the `video` ``<angle>_raw`` and ``<angle>_image`` are compared too where they are there; the
    times of its `repetitions` count for the lab. The lag (see
    :func:`~mobility.validation.synchronise.find_lag`) is found with the same formulas where the lab
    gave markers. It contains by what the video's angles come late (``video_delay`` in
    ``tables/synchronisation.yaml``), and its error the variation of that. `margin_deg` is for the
    test of equivalence.
    """
    warnings = list(reference.warnings)
    first = reference.formulas if reference.formulas is not None else reference.model
    if first is None:
        raise BadInputError("compare: the lab files hold no angle that the video has")
    sync = find_lag(video, first, max_lag_s=max_lag_s, lag_s=lag_s)
    delay = tables.load("synchronisation")["video_delay"]
    if not sync.given:
        # From trial to trial the video's angles come late by more or less.
        sd = float(np.hypot(sync.lag_sd_s, delay["sd_beyond_random_s"]))
        sync = replace(sync, lag_sd_s=sd)
    if reference.formulas is not None and reference.model is not None:
        warnings += _clocks_of_lab(reference)
    curves = _curves(video, repetitions, reference, sync)
    found = {}
    for comparison in COMPARISONS:
        names = set(curves["estimator"].to_numpy().tolist())
        if not {comparison.measured, comparison.reference} <= names:
            continue
        one, other = (angles_of(curves, e) for e in (comparison.measured, comparison.reference))
        if set(one.data_vars) & set(other.data_vars):
            found[comparison.name] = agreement(one, other, repetitions, margin_deg=margin_deg)
    if not found:
        raise BadInputError("compare: video and lab have no angle in common")
    together = stacked(found)
    warnings += [w for w in warnings_of(*found.values()) if w not in warnings]
    return Trial(sync, curves, together, tuple(warnings))


def angles_of(curves: xr.Dataset, estimator: str) -> xr.Dataset:
    """Angles of one estimator over (time, side) or (time,), those that it has.

    Those of the video bring their ``<angle>_sd``.
    """
    found: dict[str, xr.DataArray] = {}
    if estimator not in curves["estimator"].values:
        return xr.Dataset(attrs=curves.attrs)
    for name in _KNOWN_ANGLES:
        if name not in curves:
            continue
        own = curves[name].sel(estimator=estimator, drop=True)
        if bool(own.notnull().any()):
            found[name] = own
            if estimator in ("fitted", "landmarks") and f"{name}_sd" in curves:
                found[f"{name}_sd"] = curves[f"{name}_sd"]
    return xr.Dataset(found, attrs=curves.attrs)


def repetitions_of(curves: xr.Dataset) -> xr.Dataset:
    """Repetitions that are kept with the curves of a trial."""
    prefix = "repetition_"
    return xr.Dataset(
        {
            str(name).removeprefix(prefix): variable
            for name, variable in curves.data_vars.items()
            if str(name).startswith(prefix)
        }
    )


def stacked(found: Mapping[str, xr.Dataset]) -> xr.Dataset:
    """Lay agreement Datasets of the same repetitions over each other, along `comparison`.

    What one comparison does not have is NaN, 0 for counts, and "not compared" for reasons.
    """
    order = {"angle": _KNOWN_ANGLES, "side": (*SIDES, "middle")}
    labels = {
        dim: [each for each in known if any(each in one[dim].values for one in found.values())]
        for dim, known in order.items()
    }
    parts = []
    for name, one in found.items():
        plain = one.drop_vars(["units", "peak_kind", "sided"], errors="ignore")
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
    return together.assign_attrs(primary=next(iter(found)))


def _described(dataset: xr.Dataset) -> dict[str, str]:
    keys = ("source_file", "source_sha256", "source_format", "mapping")
    return {key: str(dataset.attrs[key]) for key in keys if key in dataset.attrs}


def _clocks_of_lab(reference: Reference) -> list[dict[str, str]]:
    """Warn where markers and angles of the lab are not on the same clock."""
    assert reference.formulas is not None
    assert reference.model is not None
    if "angles" not in reference.files:
        return []
    try:
        apart = find_lag(reference.formulas, reference.model, max_lag_s=2.0)
    except BadInputError:
        return [tables.warning("warnings.lab_clock_not_checked")]
    if abs(apart.lag_s) <= max(_CLOCKS_AGREE_S, 3 * apart.lag_sd_s):
        return []
    later = f"{apart.lag_s:+.3f}".replace("-", "−")
    return [tables.warning("warnings.lab_clocks_differ", later=later)]


def _curves(
    video: xr.Dataset, repetitions: xr.Dataset, reference: Reference, sync: Synchronisation
) -> xr.Dataset:
    time = video["time"].to_numpy()
    own = "fitted" if str(video.attrs.get("method", "")).startswith("fitted") else "landmarks"
    sources: dict[str, tuple[xr.Dataset, str]] = {own: (video, "")}
    for name in ("raw", "image"):
        if any(f"{angle}_{name}" in video for angle in _KNOWN_ANGLES):
            sources[name] = (video, f"_{name}")
    if reference.formulas is not None:
        sources["lab_formulas"] = (align(reference.formulas, sync, time), "")
    if reference.model is not None:
        sources["lab_model"] = (align(reference.model, sync, time), "")
    estimators = [name for name in ESTIMATORS if name in sources]
    variables: dict[str, Any] = {}
    for angle in _KNOWN_ANGLES:
        definition = tables.load("angles")[angle]
        dims = ("time", "side") if definition["sided"] else ("time",)
        found = [sources[estimator] for estimator in estimators]
        rows = np.stack([_row(one, f"{angle}{suffix}", dims, time.size) for one, suffix in found])
        if not np.isnan(rows).all():
            attrs = {"units": "degree", "long_name": definition["long_name"]}
            variables[angle] = (("estimator", *dims), rows, attrs)
            sd = f"{angle}_sd"
            if sd in video:
                variables[sd] = video[sd].transpose(*dims).drop_vars("time").variable
    for name in ("start", "bottom_start", "bottom", "bottom_end", "end", "accepted"):
        if name in repetitions:
            variables[f"repetition_{name}"] = repetitions[name].variable
    made = xr.Dataset(
        variables,
        coords={
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
        made,
        "compare",
        {"lag_s": sync.lag_s, "given": sync.given},
        source=video,
        lab_files={k: dict(v) for k, v in reference.files.items()},
    )


def _row(
    dataset: xr.Dataset, name: str, dims: tuple[str, ...], frames: int
) -> np.ndarray[Any, np.dtype[np.float64]]:
    if name not in dataset:
        return np.full((frames, len(SIDES))[: len(dims)], np.nan)
    values = dataset[name].reindex({"side": SIDES} if "side" in dims else {})
    return values.transpose(*dims).to_numpy().astype(np.float64)
