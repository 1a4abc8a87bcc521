"""Metrics of the overhead squat: joint angles at the bottom, knee movement, tempo."""

from __future__ import annotations

import json
import warnings
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility import provenance, tables
from mobility.errors import BadInputError
from mobility.kinematics.angles import body_frame
from mobility.kinematics.skeleton import SIDES, require_pose

Array = NDArray[np.float64]

PHASES = ("standing", "mid_descent", "bottom", "mid_ascent")
"""Phases at which the knee movement is reported."""

_OUTWARD = xr.DataArray([-1.0, 1.0], dims="side", coords={"side": list(SIDES)})
_REPETITION = (
    "start",
    "bottom_start",
    "bottom",
    "bottom_end",
    "end",
    "depth",
    "accepted",
    "hip_height",
    "standing",
)
_CARRIED = ("source_file", "source_software", "video_sha256", "model_sha256", "method", "fps")


def overhead_squat(pose: xr.Dataset, angles: xr.Dataset, repetitions: xr.Dataset) -> xr.Dataset:
    """Measure the joint angles, the knee movement and the tempo of squats.

    Parameters
    ----------
    pose
        Pose Dataset in metres, y up: ``position(time, space, keypoint, individual)``.
    angles
        Angles Dataset of the same frames, degrees, over ``(time, side)`` or ``(time,)``,
        each with its ``<name>_sd``.
    repetitions
        Repetitions Dataset of the same frames.

    Returns
    -------
    xarray.Dataset
        The metrics, each with the attributes ``units``, ``long_name``, ``group``,
        ``statistic`` and ``reference``. Values that cannot be supported are NaN.

        Per repetition: ``<angle>_bottom`` (median of the frames within the bottom),
        ``<angle>_peak`` (the extreme within the repetition; maximum, for
        ``thigh_elevation`` the minimum, for ``hip_abduction`` the signed value farthest
        from zero), ``<angle>_bottom_asymmetry`` (right minus left),
        ``knee_ankle_separation_ratio_phase(rep, phase)``,
        ``knee_deviation_phase(rep, phase, side)``, ``depth``, ``descent_duration``,
        ``bottom_duration``, ``ascent_duration``.

        Over the accepted repetitions: ``<angle>`` (median of the bottom values),
        ``<angle>_asymmetry`` (difference of these medians, right minus left),
        ``<angle>_variability`` (SD, from three repetitions on),
        ``ankle_dorsiflexion_from_standing``, ``knee_ankle_separation_ratio`` (median of the
        smallest over the phases), ``knee_deviation`` (median of the largest over the
        phases), ``knee_deviation_asymmetry``, ``accepted_repetitions``.

    Raises
    ------
    BadInputError
        When an angle or a variable is missing, or the frames of the inputs differ.

    Notes
    -----
    A value of which more than half of the frames are NaN is NaN. Rejected repetitions have
    their own values, but enter none of those over repetitions.

    The ``_sd`` of an angle is mostly the bias of the model, which more frames or
    repetitions do not average away. Within a repetition it is therefore the median of the
    frames' ``_sd``. Over n repetitions it is sqrt(m² + s²/n), with m the median ``_sd`` of
    the repetitions and s their SD (from two repetitions on; one tells nothing about s).
    For an asymmetry m² = sd_left² + sd_right²: taking the sides as independent is
    conservative, since a bias that both sides share cancels in their difference.

    References
    ----------
    Butler, Plisky, Southers, Scoma, Kiesel (2010), Sports Biomechanics 9:270.
    Bell, Padua, Clark (2008), Arch Phys Med Rehabil 89:1323.
    Ortiz et al. (2016), Open Access J Sports Med 7:65.
    """
    table = tables.load("overhead_squat")
    require_pose(pose, what="overhead_squat")
    _require(repetitions, "repetitions", list(_REPETITION))
    _require(angles, "angles", [v for name in table["angles"] for v in (name, f"{name}_sd")])
    _same_frames(pose, repetitions, "repetitions")
    _same_frames(pose, angles, "angles")
    bottom_frames = phase_frames(repetitions).sel(phase="bottom", drop=True)
    standing_frames = phase_frames(repetitions).sel(phase="standing", drop=True)
    rep_frames = _between(repetitions["time"], repetitions["start"], repetitions["end"])
    accepted = repetitions["accepted"].values.astype(bool)

    metrics: dict[str, xr.DataArray] = {}
    for name, entry in table["angles"].items():
        angle, sd = angles[name], angles[f"{name}_sd"]
        bottom, bottom_sd = _median_within(angle, sd, bottom_frames)
        peak, peak_sd = _peak_within(angle, sd, rep_frames, entry["peak"])
        described = {**entry, "units": "degree"}
        _add(metrics, f"{name}_bottom", bottom, bottom_sd, described, "median within the bottom")
        peak_text = {"magnitude": "value farthest from zero"}.get(entry["peak"], entry["peak"])
        _add(metrics, f"{name}_peak", peak, peak_sd, described, f"{peak_text} in the repetition")
        _add_over_repetitions(
            metrics, name, bottom, bottom_sd, accepted, described, "median at the bottom"
        )
        if entry["sided"]:
            asymmetry, asymmetry_sd = _right_minus_left(bottom, bottom_sd)
            _add(
                metrics,
                f"{name}_bottom_asymmetry",
                asymmetry,
                asymmetry_sd,
                described,
                "right minus left, within the bottom",
                suffix=", asymmetry",
            )
        _add(
            metrics,
            f"{name}_variability",
            _sample_sd(bottom, accepted, least=3),
            None,
            described,
            "standard deviation over accepted repetitions",
            suffix=", variability",
        )
        if name == "ankle_dorsiflexion":
            standing, _ = _median_within(angle, sd, standing_frames)
            value, value_sd = _over_repetitions(bottom - standing, bottom_sd, accepted)
            _add(
                metrics,
                f"{name}_from_standing",
                value,
                value_sd,
                described,
                "median over accepted repetitions of bottom minus standing",
                suffix=" from standing",
            )

    movement = knee_movement(pose, repetitions)
    frames = phase_frames(repetitions)
    for name, entry in table["knee_movement"].items():
        phase, phase_sd = _median_within(movement[name], movement[f"{name}_sd"], frames)
        _add(metrics, f"{name}_phase", phase, phase_sd, entry, "median within the phase")
        extreme, extreme_sd = _extreme_of_phases(phase, phase_sd, entry["extreme"])
        _add_over_repetitions(
            metrics, name, extreme, extreme_sd, accepted, entry, f"{entry['extreme']} over phases"
        )
        if note := movement[name].attrs.get("note"):
            for key in metrics:
                if key.startswith(name):
                    metrics[key].attrs["note"] = note

    # The recording may cut a repetition off, and its start or end is then not its own.
    whole = repetitions["complete"]
    tempo = {
        "depth": repetitions["depth"],
        "descent_duration": (repetitions["bottom_start"] - repetitions["start"]).where(whole),
        "bottom_duration": repetitions["bottom_end"] - repetitions["bottom_start"],
        "ascent_duration": (repetitions["end"] - repetitions["bottom_end"]).where(whole),
        "accepted_repetitions": xr.DataArray(int(accepted.sum())),
    }
    for name, value in tempo.items():
        statistic = "count" if name == "accepted_repetitions" else "value of the repetition"
        _add(metrics, name, value, None, table["tempo"][name], statistic)

    result = xr.Dataset(metrics, coords={"rep": repetitions["rep"].values})
    result.attrs = {key: pose.attrs[key] for key in _CARRIED if key in pose.attrs}
    result.attrs["ds_type"] = "metrics"
    return provenance.with_history(
        result.assign_attrs(history=_merged_history(angles, repetitions)),
        "overhead_squat",
        {},
        accepted_repetitions=int(accepted.sum()),
        warnings=provenance.history(movement)[-1]["warnings"],
    )


def knee_movement(pose: xr.Dataset, repetitions: xr.Dataset) -> xr.Dataset:
    r"""Knee-ankle separation ratio and knee deviation at every frame.

    With eZ the horizontal direction from the left to the right hip, eX that to the front,
    K, A and T the knee, ankle and toe, W the median distance of the ankles along eZ over
    the standing frames, and s = +1 on the right, -1 on the left:

    - ``knee_ankle_separation_ratio`` = \|(K_R - K_L)·eZ\| / \|(A_R - A_L)·eZ\|;
    - ``knee_deviation`` = s (z - K·eZ) / W, where z is the place of the line from ankle to
      toe along eZ at the knee's place along eX. Positive: the knee is medial of that line.

    Parameters
    ----------
    pose
        Pose Dataset in metres, y up: ``position(time, space, keypoint, individual)``.
    repetitions
        Repetitions Dataset of the same frames; its standing frames give W.

    Returns
    -------
    xarray.Dataset
        ``knee_ankle_separation_ratio(time)``, ``knee_deviation(time, side)``, both without
        unit, each with its ``_sd``. NaN where landmarks are missing, the hip line is steep,
        the ankles touch, or the foot points sideways; NaN throughout, with the warning
        ``frontal_plane_not_visible``, when eZ points along the camera axis.

    Raises
    ------
    BadInputError
        When a variable is missing or the frames of the inputs differ.

    Notes
    -----
    The ``_sd`` comes from first-order propagation of an independent position error of each
    landmark, whose size along eZ is sqrt(p² (1 - c²) + d² c²) with p and d the SD in the
    image plane and in depth, and c = eZ·camera axis.

    References
    ----------
    Ortiz et al. (2016), Open Access J Sports Med 7:65.
    Bell, Padua, Clark (2008), Arch Phys Med Rehabil 89:1323.
    """
    table = tables.load("overhead_squat")
    require_pose(pose, what="knee_movement")
    _require(repetitions, "repetitions", list(_REPETITION))
    _same_frames(pose, repetitions, "repetitions")
    limits = {name: entry["value"] for name, entry in table["limits"].items()}
    error = {name: entry["value"] for name, entry in table["landmark_position"].items()}

    axes = body_axes(pose)
    knee, ankle, toe = (_sided(pose, joint) for joint in ("knee", "ankle", "foot_index"))
    knee_x, ankle_x, toe_x = (_dot(point, axes.sel(axis="X")) for point in (knee, ankle, toe))
    knee_z, ankle_z, toe_z = (_dot(point, axes.sel(axis="Z")) for point in (knee, ankle, toe))

    # Depth is the worst direction of a single camera, here the z axis of the pose.
    share = axes.sel(axis="Z", space="z", drop=True)
    plane_variance, depth_variance = error["image_plane_sd_m"] ** 2, error["depth_sd_m"] ** 2
    variance_z = plane_variance * (1 - share**2) + depth_variance * share**2
    variance_x = plane_variance * share**2 + depth_variance * (1 - share**2)

    width = abs(_right_left(ankle_z))
    width = width.where(width >= limits["smallest_ankle_width_m"])
    ratio = abs(_right_left(knee_z)) / width
    ratio_sd = (2 * variance_z * (1 + ratio**2)) ** 0.5 / width

    standing_width = _nanmedian(abs(_right_left(ankle_z)).where(repetitions["standing"]), "time")
    standing_width = standing_width.where(standing_width >= limits["smallest_ankle_width_m"])
    forward, outward = toe_x - ankle_x, toe_z - ankle_z
    usable = forward > (forward**2 + outward**2) ** 0.5 * np.cos(
        np.radians(limits["largest_toe_out_deg"])
    )
    forward = forward.where(usable)
    slope, reach = outward / forward, (knee_x - ankle_x) / forward
    deviation = _OUTWARD * (ankle_z + reach * outward - knee_z) / standing_width
    leverage = 1 + (1 - reach) ** 2 + reach**2
    offset_variance = (variance_z + slope**2 * variance_x) * leverage
    deviation_sd = (offset_variance + 2 * deviation**2 * variance_z) ** 0.5 / standing_width

    found: list[dict[str, str]] = []
    note = ""
    angle = _frontal_plane_angle(share, repetitions)
    if angle > limits["largest_frontal_plane_angle_deg"]:
        note = (
            f"refused: the camera sees the frontal plane edge-on (the line of the hips is "
            f"{angle:.0f}° out of the image); film from the front for knee movement"
        )
        found.append({"code": "frontal_plane_not_visible", "message": f"Knee movement {note}"})
    elif bool(np.isnan(standing_width)) and bool(ratio.notnull().any()):
        found.append(
            {
                "code": "standing_ankle_width_unknown",
                "message": "Knee deviation refused: no standing frames with the ankles apart",
            }
        )

    values = {
        "knee_ankle_separation_ratio": (ratio, ratio_sd),
        "knee_deviation": (deviation.transpose("time", "side"), deviation_sd),
    }
    variables: dict[str, xr.DataArray] = {}
    for name, (value, sd) in values.items():
        if note:
            value, sd = xr.full_like(value, np.nan), xr.full_like(sd, np.nan)
        entry = table["knee_movement"][name]
        _add(
            variables, name, value, sd.transpose(*value.dims).where(value.notnull()), entry, "frame"
        )
        if note:
            variables[name].attrs["note"] = note
    result = xr.Dataset(variables).drop_vars(["axis", "space"], errors="ignore")
    result.attrs = {key: pose.attrs[key] for key in _CARRIED if key in pose.attrs}
    result.attrs["ds_type"] = "knee_movement"
    return provenance.with_history(
        result.assign_attrs(history=_merged_history(pose, repetitions)),
        "knee_movement",
        {},
        standing_ankle_width_m=None if np.isnan(standing_width) else float(standing_width),
        frontal_plane_angle_deg=None if np.isnan(angle) else float(angle),
        warnings=found,
    )


def phase_frames(repetitions: xr.Dataset) -> xr.DataArray:
    """Say which frames belong to which phase of each repetition.

    Parameters
    ----------
    repetitions
        Repetitions Dataset.

    Returns
    -------
    xarray.DataArray
        Boolean, over ``(rep, phase, time)``. Standing: up to half a second before the start.
        Mid-descent and mid-ascent: the hips within a tenth of the descent around its
        middle, or the nearest frame. Bottom: from ``bottom_start`` to ``bottom_end``.
    """
    _require(repetitions, "repetitions", list(_REPETITION))
    limits = tables.load("overhead_squat")["limits"]
    time, height = repetitions["time"].values, repetitions["hip_height"].values
    frames = np.zeros((repetitions.sizes["rep"], len(PHASES), time.size), bool)
    previous_end = -np.inf
    for rep in range(repetitions.sizes["rep"]):
        one = {name: float(repetitions[name][rep]) for name in ("start", "bottom", "end")}
        earliest = max(previous_end, one["start"] - limits["standing_window_s"]["value"])
        frames[rep, 0] = _within(time, earliest, one["start"])
        frames[rep, 2] = _within(
            time, float(repetitions["bottom_start"][rep]), float(repetitions["bottom_end"][rep])
        )
        for phase, first, last in (
            (1, one["start"], one["bottom"]),
            (3, one["bottom"], one["end"]),
        ):
            inside = _within(time, first, last) & np.isfinite(height)
            if not inside.any():
                continue
            top, low = height[inside].max(), height[inside].min()
            distance = np.where(inside, np.abs(height - (top + low) / 2), np.inf)
            near = distance <= limits["mid_phase_band"]["value"] * (top - low)
            frames[rep, phase] = near if near.any() else distance == distance.min()
        previous_end = one["end"]
    return xr.DataArray(
        frames,
        dims=("rep", "phase", "time"),
        coords={"rep": repetitions["rep"].values, "phase": list(PHASES), "time": time},
    )


def body_axes(pose: xr.Dataset) -> xr.DataArray:
    """Axes of the body at every frame: X to the front, Y up, Z to the subject's right.

    eZ is the horizontal part of the line from the left to the right hip, eX = eY × eZ.

    Parameters
    ----------
    pose
        Pose Dataset in metres, y up.

    Returns
    -------
    xarray.DataArray
        Unit vectors, over ``(time, axis, space)``; NaN where a hip is missing or the hip
        line is more than 60° from the horizontal.

    References
    ----------
    Wu et al. (2002), J Biomech 35:543.
    """
    hips = _sided(pose, "hip").transpose("side", "time", "space").to_numpy()
    return xr.DataArray(
        body_frame(hips[0], hips[1]),
        dims=("time", "axis", "space"),
        coords={"time": pose["time"].values, "axis": ["X", "Y", "Z"], "space": ["x", "y", "z"]},
    )


def _require(dataset: xr.Dataset, what: str, names: list[str]) -> None:
    missing = [name for name in names if name not in dataset]
    if missing:
        raise BadInputError(
            f"{what}: variables missing: {', '.join(missing)}; give the Dataset unchanged"
        )


def _same_frames(pose: xr.Dataset, other: xr.Dataset, what: str) -> None:
    if not np.array_equal(pose["time"].values, other["time"].values):
        raise BadInputError(
            f"{what}: not of the same frames as the pose "
            f"({other.sizes['time']} and {pose.sizes['time']}); make it from this pose"
        )


def _sided(pose: xr.Dataset, joint: str) -> xr.DataArray:
    """Positions of a paired landmark, over (time, space, side)."""
    position = pose["position"]
    if "individual" in position.dims:
        position = position.isel(individual=0, drop=True)
    position = position.sel(space=["x", "y", "z"])
    pair = position.sel(keypoint=[f"{side}_{joint}" for side in SIDES])
    return pair.rename(keypoint="side").assign_coords(side=list(SIDES))


def _right_left(sided: xr.DataArray) -> xr.DataArray:
    return sided.sel(side="right", drop=True) - sided.sel(side="left", drop=True)


def _dot(points: xr.DataArray, axis: xr.DataArray) -> xr.DataArray:
    return (points * axis).sum("space", skipna=False).drop_vars("axis", errors="ignore")


def _frontal_plane_angle(share: xr.DataArray, repetitions: xr.Dataset) -> float:
    """Angle of eZ out of the image plane in degrees: median of the frames within repetitions."""
    inside = _between(repetitions["time"], repetitions["start"], repetitions["end"]).any("rep")
    watched = share.where(inside) if bool((inside & share.notnull()).any()) else share
    if not bool(watched.notnull().any()):
        return float("nan")
    return float(np.degrees(np.arcsin(min(float(abs(watched).median()), 1.0))))


def _within(time: Array, first: float, last: float) -> NDArray[np.bool_]:
    # Boundaries are frame times that may have gone through a file: allow for rounding.
    return np.asarray((time >= first - 1e-9) & (time <= last + 1e-9))


def _between(time: xr.DataArray, first: xr.DataArray, last: xr.DataArray) -> xr.DataArray:
    inside: xr.DataArray = (time >= first - 1e-9) & (time <= last + 1e-9)
    return inside


def _nanmedian(values: xr.DataArray, dim: str) -> xr.DataArray:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
        median: xr.DataArray = values.median(dim, skipna=True)
    return median


def _median_within(
    value: xr.DataArray, sd: xr.DataArray, frames: xr.DataArray
) -> tuple[xr.DataArray, xr.DataArray]:
    """Median over the frames of each window, NaN if most of them are; and that of the sd."""
    supported = _supported(value, frames)
    chosen = frames & value.notnull()
    return (
        _nanmedian(value.where(chosen), "time").where(supported),
        _nanmedian(sd.where(chosen), "time").where(supported),
    )


def _supported(value: xr.DataArray, frames: xr.DataArray) -> xr.DataArray:
    seen, asked = (frames & value.notnull()).sum("time"), frames.sum("time")
    largest = tables.load("overhead_squat")["limits"]["largest_gap_share"]["value"]
    supported: xr.DataArray = (seen > 0) & (seen >= (1 - largest) * asked)
    return supported


def _peak_within(
    value: xr.DataArray, sd: xr.DataArray, frames: xr.DataArray, kind: str
) -> tuple[xr.DataArray, xr.DataArray]:
    """Extreme value of each window and the sd of the frame where it is."""
    rank = {"maximum": value, "minimum": -value, "magnitude": abs(value)}[kind]
    where = rank.where(frames).fillna(-np.inf).argmax("time")
    supported = _supported(value, frames)
    return value.isel(time=where, drop=True).where(supported), sd.isel(time=where, drop=True).where(
        supported
    )


def _extreme_of_phases(
    value: xr.DataArray, sd: xr.DataArray, kind: str
) -> tuple[xr.DataArray, xr.DataArray]:
    """Extreme over the phases; NaN where a phase is, which might have been the extreme."""
    complete = value.notnull().all("phase")
    rank = (value if kind == "maximum" else -value).fillna(-np.inf)
    where = rank.argmax("phase")
    return value.isel(phase=where).where(complete), sd.isel(phase=where).where(complete)


def _right_minus_left(value: xr.DataArray, sd: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    return _right_left(value), (sd**2).sum("side", skipna=False) ** 0.5


def _sample_sd(value: xr.DataArray, accepted: NDArray[np.bool_], *, least: int) -> xr.DataArray:
    chosen = value.isel(rep=accepted)
    count = chosen.notnull().sum("rep")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Degrees of freedom", RuntimeWarning)
        return chosen.std("rep", ddof=1, skipna=True).where(count >= least)


def _over_repetitions(
    value: xr.DataArray, sd: xr.DataArray, accepted: NDArray[np.bool_]
) -> tuple[xr.DataArray, xr.DataArray]:
    """Median of the accepted repetitions; its sd from model bias and sampling."""
    chosen = value.isel(rep=accepted)
    count = chosen.notnull().sum("rep")
    sampling = _sample_sd(value, accepted, least=2).fillna(0) / count.clip(min=1) ** 0.5
    bias = _nanmedian(sd.isel(rep=accepted).where(chosen.notnull()), "rep")
    return _nanmedian(chosen, "rep"), (bias**2 + sampling**2) ** 0.5


def _add(
    metrics: dict[str, xr.DataArray],
    name: str,
    value: xr.DataArray,
    sd: xr.DataArray | None,
    entry: dict[str, Any],
    statistic: str,
    *,
    suffix: str = "",
) -> None:
    """Add a metric and its sd with the attributes that every metric carries."""
    dims = [dim for dim in ("time", "rep", "phase", "side") if dim in value.dims]
    attrs = {key: entry[key] for key in ("units", "group", "reference")}
    long_name = f"{entry['long_name']}{suffix}"
    bare = value.transpose(*dims).reset_coords(drop=True)
    metrics[name] = bare.assign_attrs(attrs, long_name=long_name, statistic=statistic)
    if sd is not None:
        metrics[f"{name}_sd"] = (
            sd.transpose(*dims)
            .reset_coords(drop=True)
            .assign_attrs(
                attrs,
                long_name=f"{long_name}, standard deviation of the error",
                statistic=f"error of: {statistic}",
            )
        )


def _add_over_repetitions(
    metrics: dict[str, xr.DataArray],
    name: str,
    value: xr.DataArray,
    sd: xr.DataArray,
    accepted: NDArray[np.bool_],
    entry: dict[str, Any],
    statistic: str,
) -> None:
    """Add the value over accepted repetitions and, of sided ones, the asymmetry."""
    over, over_sd = _over_repetitions(value, sd, accepted)
    statistic = f"{statistic}, median over accepted repetitions"
    _add(metrics, name, over, over_sd, entry, statistic)
    if "side" not in value.dims:
        return
    # The difference of the two reported medians, so that the reader can check it.
    _, difference_sd = _over_repetitions(*_right_minus_left(value, sd), accepted)
    _add(
        metrics,
        f"{name}_asymmetry",
        _right_left(over),
        difference_sd.where(_right_left(over).notnull()),
        entry,
        f"right minus left: {statistic}",
        suffix=", asymmetry",
    )


def _merged_history(first: xr.Dataset, second: xr.Dataset) -> str:
    """History of two Datasets that were made from one: the common entries once."""
    entries = provenance.history(first)
    entries += [entry for entry in provenance.history(second) if entry not in entries]
    return json.dumps(entries, sort_keys=True)
