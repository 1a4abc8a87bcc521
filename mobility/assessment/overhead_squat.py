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
from mobility.kinematics.angles import DEFAULT_METHOD, body_frame
from mobility.kinematics.skeleton import SIDES, require_pose

Array = NDArray[np.float64]

PHASES = ("standing", "mid_descent", "bottom", "mid_ascent")
"""Phases at which the knee movement is reported."""

MOVING_PHASES = PHASES[1:]
"""Phases over which the extremes are taken: standing is no part of the movement."""

_OUTWARD = np.array([-1.0, 1.0])
_JOINTS = ("hip", "knee", "ankle", "foot_index")
_DRAWS = 64
_Z95 = 1.96
_PHASE_WORDS = {"mid_descent": "mid-descent", "mid_ascent": "mid-ascent"}
_REPETITION = (
    "start",
    "bottom_start",
    "bottom",
    "bottom_end",
    "end",
    "depth",
    "accepted",
    "complete",
    "start_seen",
    "end_seen",
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
        from zero), ``<angle>_phase`` (median within each phase),
        ``<angle>_bottom_asymmetry`` (right minus left),
        ``knee_ankle_separation_ratio_phase(rep, phase)``,
        ``knee_deviation_phase(rep, phase, side)``, ``depth``, ``descent_duration``,
        ``bottom_duration``, ``ascent_duration``. Start and end are the turning points; the
        bottom includes the ends of descent and ascent, as far as the hips are within 3 % of
        the depth of their lowest place, so that its duration is longer, and those of descent
        and ascent are shorter, than between turning points.

        Over the accepted repetitions: ``<angle>`` (median of the bottom values),
        ``<angle>_asymmetry`` (difference of these medians, right minus left),
        ``<angle>_variability`` (SD, from three repetitions on),
        ``ankle_dorsiflexion_from_standing``, ``knee_ankle_separation_ratio`` (median of the
        smallest over mid-descent, bottom and mid-ascent), ``knee_deviation`` (median of the
        largest over the same), ``knee_deviation_asymmetry``, ``accepted_repetitions``. The
        attribute ``phase`` of the extremes names the phase in which they occur.

    Raises
    ------
    BadInputError
        When an angle or a variable is missing, or the frames of the inputs differ.

    Notes
    -----
    A value of which more than half of the frames are NaN is NaN. Rejected repetitions have
    their own values, but enter none of those over repetitions. Where the recording cuts a
    repetition off, the phases at that end are NaN.

    Where the line of the hips is more than 60 degrees out of the image, one side hides the
    other and abduction lies along the camera axis: hip abduction, all differences of the
    sides and the knee movement are NaN, with the attribute ``note`` and a warning.

    The ``_sd`` of an angle is mostly the bias of the model, which more frames or
    repetitions do not average away. Within a repetition it is therefore the median of the
    frames' ``_sd``. Over n repetitions it is sqrt(m² + s²/n), with m the median ``_sd`` of
    the repetitions and s their SD (from two repetitions on; one tells nothing about s).
    For an asymmetry m² = sd_left² + sd_right²: taking the sides as independent is
    conservative, since a bias that both sides share cancels in their difference; so is
    sqrt(sd_bottom² + sd_standing²) for ``ankle_dorsiflexion_from_standing``.

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
    frames = phase_frames(repetitions)
    rep_frames = _between(repetitions["time"], repetitions["start"], repetitions["end"])
    accepted = repetitions["accepted"].values.astype(bool)

    metrics: dict[str, xr.DataArray] = {}
    for name, entry in table["angles"].items():
        angle, sd = angles[name], angles[f"{name}_sd"]
        phase, phase_sd = _median_within(angle, sd, frames)
        bottom, bottom_sd = (v.sel(phase="bottom", drop=True) for v in (phase, phase_sd))
        peak, peak_sd = _peak_within(angle, sd, rep_frames, entry["peak"])
        described = {**entry, "units": "degree"}
        _add(metrics, f"{name}_phase", phase, phase_sd, described, "median within the phase")
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
        if reason := angle.attrs.get("refused"):
            for key in metrics:
                if key.startswith(name):
                    metrics[key].attrs["note"] = f"refused: {reason}"
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
            standing, standing_sd = (v.sel(phase="standing", drop=True) for v in (phase, phase_sd))
            change_sd = (bottom_sd**2 + standing_sd**2) ** 0.5
            value, value_sd = _over_repetitions(bottom - standing, change_sd, accepted)
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
    for name, entry in table["knee_movement"].items():
        phase, phase_sd = _median_within(movement[name], movement[f"{name}_sd"], frames)
        _add(metrics, f"{name}_phase", phase, phase_sd, entry, "median within the phase")
        extreme, extreme_sd, where = _extreme_of_phases(phase, phase_sd, entry["extreme"])
        _add_over_repetitions(
            metrics,
            name,
            extreme,
            extreme_sd,
            accepted,
            entry,
            f"{entry['extreme']} over mid-descent, bottom and mid-ascent",
        )
        metrics[name].attrs["phase"] = _phases_in_words(where, accepted)
        if note := movement[name].attrs.get("note"):
            for key in metrics:
                if key.startswith(name):
                    metrics[key].attrs["note"] = note
    found = list(provenance.history(movement)[-1]["warnings"])
    found += _hands_not_overhead(pose, frames, accepted)
    found += _refuse_side_view(metrics, _camera_angle(pose, repetitions))

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
        warnings=found,
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
    The ``_sd`` is the root mean square, over draws of all landmark positions, of what both
    quantities deviate from their value; hips included, since their line defines eZ. For a
    fitted body the draws are its ``position_draws``, interpolated from the knots. Else 64
    draws (of a fixed seed, with the covariance of the sample made exact) move each hip,
    knee, ankle and toe by independent errors in the image plane and in depth, the sizes of
    which are in the table; the errors last through a phase, but those of the standing frames
    that give W are others. Where 1.96 ``_sd`` exceeds the limit of the table the value is
    refused, NaN, and the attribute ``note`` says so.

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
    method = str(pose.attrs.get("method", DEFAULT_METHOD))
    known = table["landmark_position"]
    error = {name: v["value"] for name, v in known.get(method, known[DEFAULT_METHOD]).items()}

    points, standing = _points(pose), repetitions["standing"].values.astype(bool)
    width = float(_standing_width(points, standing, limits))
    ratio, deviation = _movement(points, np.asarray(width), limits)
    if "position_draws" in pose:
        ratio_sd, deviation_sd = _sd_of_draws(pose, standing, limits)
    else:
        ratio_sd, deviation_sd = _sd_of_landmarks(points, standing, error, limits)

    found: list[dict[str, str]] = []
    note = ""
    angle = _camera_angle(pose, repetitions)
    if angle > limits["largest_frontal_plane_angle_deg"]:
        note = (
            f"refused: the camera sees the frontal plane edge-on (the line of the hips is "
            f"{angle:.0f}° out of the image); film from the front for knee movement"
        )
        found.append({"code": "frontal_plane_not_visible", "message": f"Knee movement {note}"})
    elif np.isnan(width) and np.isfinite(ratio).any():
        found.append(
            {
                "code": "standing_ankle_width_unknown",
                "message": "Knee deviation refused: no standing frames with the ankles apart",
            }
        )

    watched = _watched(repetitions)
    variables: dict[str, xr.DataArray] = {}
    for name, value, sd in (
        ("knee_ankle_separation_ratio", ratio, ratio_sd),
        ("knee_deviation", deviation, deviation_sd),
    ):
        entry = table["knee_movement"][name]
        reason = note
        if note:
            value = np.full_like(value, np.nan)
        else:
            value, reason, share = _refuse_uncertain(value, sd, watched, entry)
            if share > limits["largest_gap_share"]:
                message = f"{entry['long_name'].split(',')[0].capitalize()} {reason}"
                found.append({"code": f"{name}_uncertain", "message": message})
        dims = ("time", "side")[: value.ndim]
        coords = {"time": pose["time"].variable, "side": list(SIDES)}
        labelled = [
            xr.DataArray(v, dims=dims, coords={d: coords[d] for d in dims})
            for v in (value, np.where(np.isnan(value), np.nan, sd))
        ]
        _add(variables, name, labelled[0], labelled[1], entry, "frame")
        if reason:
            variables[name].attrs["note"] = reason
    result = xr.Dataset(variables)
    result.attrs = {key: pose.attrs[key] for key in _CARRIED if key in pose.attrs}
    result.attrs["ds_type"] = "knee_movement"
    return provenance.with_history(
        result.assign_attrs(history=_merged_history(pose, repetitions)),
        "knee_movement",
        {},
        standing_ankle_width_m=None if np.isnan(width) else width,
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
        Boolean, over ``(rep, phase, time)``. Standing: the frames of the half second before
        the start in which the subject stands. Mid-descent and mid-ascent: the hips within a
        tenth of the descent around its middle, or the nearest frame. Bottom: from
        ``bottom_start`` to ``bottom_end``. Where the recording cuts off the start (the end),
        no frame belongs to standing and mid-descent (mid-ascent), whose middle is unknown.
    """
    _require(repetitions, "repetitions", list(_REPETITION))
    limits = tables.load("overhead_squat")["limits"]
    time, height = repetitions["time"].values, repetitions["hip_height"].values
    standing = repetitions["standing"].values.astype(bool)
    frames = np.zeros((repetitions.sizes["rep"], len(PHASES), time.size), bool)
    previous_end = -np.inf
    for rep in range(repetitions.sizes["rep"]):
        one = {name: float(repetitions[name][rep]) for name in ("start", "bottom", "end")}
        earliest = max(previous_end, one["start"] - limits["standing_window_s"]["value"])
        seen = {1: bool(repetitions["start_seen"][rep]), 3: bool(repetitions["end_seen"][rep])}
        if seen[1]:
            frames[rep, 0] = _within(time, earliest, one["start"]) & standing
        frames[rep, 2] = _within(
            time, float(repetitions["bottom_start"][rep]), float(repetitions["bottom_end"][rep])
        )
        for phase, first, last in (
            (1, one["start"], one["bottom"]),
            (3, one["bottom"], one["end"]),
        ):
            inside = _within(time, first, last) & np.isfinite(height)
            if not inside.any() or not seen[phase]:
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


def _points(pose: xr.Dataset) -> Array:
    """Hips, knees, ankles and toes, shape (time, joint, side, space)."""
    joints = [
        _sided(pose, joint).transpose("time", "side", "space").to_numpy() for joint in _JOINTS
    ]
    return np.stack(joints, axis=1).astype(np.float64)


def _along(points: Array) -> tuple[Array, Array]:
    """Coordinates along eX and eZ of points (..., joint, side, space)."""
    frame = body_frame(points[..., 0, 0, :], points[..., 0, 1, :])[..., None, None, :, :]
    x: Array = (points * frame[..., 0, :]).sum(axis=-1)
    z: Array = (points * frame[..., 2, :]).sum(axis=-1)
    return x, z


def _apart(distance: Array, limits: dict[str, float]) -> Array:
    return np.where(distance >= limits["smallest_ankle_width_m"], distance, np.nan)


def _standing_width(points: Array, standing: NDArray[np.bool_], limits: dict[str, float]) -> Array:
    """Median distance of the ankles along eZ over the standing frames; the last axis but three."""
    ankles = _along(points[..., standing, :, :, :])[1][..., 2, :]
    if not standing.any():
        return np.full(ankles.shape[:-2], np.nan)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
        return _apart(np.nanmedian(abs(ankles[..., 1] - ankles[..., 0]), axis=-1), limits)


def _movement(points: Array, width: Array, limits: dict[str, float]) -> tuple[Array, Array]:
    """Separation ratio (..., time) and deviation (..., time, side) of points."""
    x, z = _along(points)
    knee_z, ankle_z = z[..., 1, :], z[..., 2, :]
    ankles = _apart(abs(ankle_z[..., 1] - ankle_z[..., 0]), limits)
    ratio = abs(knee_z[..., 1] - knee_z[..., 0]) / ankles
    forward, outward = x[..., 3, :] - x[..., 2, :], z[..., 3, :] - ankle_z
    least = np.hypot(forward, outward) * np.cos(np.radians(limits["largest_toe_out_deg"]))
    forward = np.where(forward > least, forward, np.nan)
    reach = (x[..., 1, :] - x[..., 2, :]) / forward
    offset = _OUTWARD * (ankle_z + reach * outward - knee_z)
    return ratio, offset / width[..., None, None]


def _root_mean_square(off: Array) -> Array:
    """Over the draws, the first axis; NaN where most of them are."""
    known = np.isfinite(off).sum(axis=0)
    mean = np.nansum(off**2, axis=0) / np.maximum(known, 1)
    return np.where(2 * known > len(off), np.sqrt(mean), np.nan)


def _hands_not_overhead(
    pose: xr.Dataset, frames: xr.DataArray, accepted: NDArray[np.bool_]
) -> list[dict[str, str]]:
    """Warn where the wrists are below the shoulders at the bottom: this was no overhead squat."""
    height = pose["position"].isel(individual=0, drop=True).sel(space="y", drop=True)
    wrists, shoulders = (
        height.sel(keypoint=[f"{side}_{joint}" for side in SIDES]).mean("keypoint")
        for joint in ("wrist", "shoulder")
    )
    above = wrists - shoulders
    bottom = frames.sel(phase="bottom", drop=True).isel(rep=np.flatnonzero(accepted)).any("rep")
    median = _nanmedian(above.where(bottom), "time")
    if not float(median) < 0:
        return []
    message = (
        "The hands are below the shoulders at the bottom: this was no overhead squat, and its "
        "values do not compare with those of one."
    )
    return [{"code": "hands_not_overhead", "message": message}]


def _sd_of_draws(
    pose: xr.Dataset, standing: NDArray[np.bool_], limits: dict[str, float]
) -> tuple[Array, Array]:
    """Errors at the frames from the draws of the posterior of a fitted body."""
    time, knots = pose["time"].to_numpy(), pose["fit_time"].to_numpy()
    names = [f"{side}_{joint}" for joint in _JOINTS for side in SIDES]
    order = ("fit_time", "fit_keypoint", "fit_space")
    chosen = pose[["fit_position", "position_draws"]].sel(
        fit_keypoint=names, fit_space=["x", "y", "z"]
    )
    shape = (knots.size, len(_JOINTS), len(SIDES), 3)
    centre = chosen["fit_position"].transpose(*order).to_numpy().astype(np.float64)
    deviations = chosen["position_draws"].transpose("draw", *order).to_numpy()
    centre = centre.reshape(shape)
    after = np.searchsorted(time, knots).clip(1, time.size - 1)
    nearest = after - (knots - time[after - 1] < time[after] - knots)

    def measured(points: Array) -> tuple[Array, Array]:
        width = _standing_width(points, standing[nearest], limits)
        return _movement(points, width, limits)

    # One draw after the other: all at once would need a gigabyte for a trial of minutes.
    each = zip(*(measured(centre + draw.reshape(shape)) for draw in deviations), strict=True)
    errors = []
    for value, drawn in zip(measured(centre), each, strict=True):
        columns = _root_mean_square(np.stack(drawn) - value).reshape(knots.size, -1)
        sd = np.stack([np.interp(time, knots, column) for column in columns.T], axis=-1)
        errors.append(sd.reshape(time.size, *value.shape[1:]))
    return errors[0], errors[1]


def _sd_of_landmarks(
    points: Array, standing: NDArray[np.bool_], error: dict[str, float], limits: dict[str, float]
) -> tuple[Array, Array]:
    """Errors from draws of independent errors of all landmarks."""
    shape = points.shape[1:]
    size = int(np.prod(shape))
    normal = np.random.default_rng(0).normal(size=(_DRAWS, 2 * size))
    # Orthogonal columns: the first-order part of the error is then exact.
    exact = np.linalg.qr(normal)[0] * np.sqrt(_DRAWS)
    sizes = np.empty(shape)
    sizes[...] = error["image_plane_sd_m"]
    sizes[..., 2] = error["depth_sd_m"]
    sizes[0, :, 2] = error["hip_depth_sd_m"]
    exact = exact.reshape(_DRAWS, 2, *shape) * sizes
    value = _movement(points, _standing_width(points, standing, limits), limits)
    off: list[tuple[Array, Array]] = []
    for moved, moved_standing in exact:
        width = _standing_width(points + moved_standing, standing, limits)
        drawn = _movement(points + moved, width, limits)
        off.append((drawn[0] - value[0], drawn[1] - value[1]))
    ratio, deviation = (np.stack(part) for part in zip(*off, strict=True))
    return _root_mean_square(ratio), _root_mean_square(deviation)


def _refuse_uncertain(
    value: Array, sd: Array, watched: NDArray[np.bool_], entry: dict[str, Any]
) -> tuple[Array, str, float]:
    """Blank what is too uncertain: values, note ('' where none), share of the watched frames."""
    limit = entry["largest_interval"]["value"]
    half = _Z95 * sd
    known = np.isfinite(value)
    refused = known & ~(half <= limit)
    if not refused.any():
        return value, "", 0.0
    inside = watched.reshape(watched.shape + (1,) * (value.ndim - 1)) & known
    seen = refused & inside if (refused & inside).any() else refused
    typical = half[seen & np.isfinite(half)]
    share = float((refused & inside).sum() / max(inside.sum(), 1))

    def said(number: float) -> str:
        return f"± {100 * number:.0f} %" if entry["percent"] else f"± {number:.2g}"

    interval = f"({said(float(np.median(typical)))}) " if typical.size else ""
    note = f"refused: its 95 % interval {interval}exceeds {said(limit)}{entry['of']}"
    return np.where(refused, np.nan, value), note, share


def _camera_angle(pose: xr.Dataset, repetitions: xr.Dataset) -> float:
    """Angle of eZ out of the image in degrees: median of the frames within repetitions.

    Of several cameras, that of the one that sees the frontal plane best.
    """
    share = body_axes(pose).sel(axis="Z", space="z").to_numpy()
    watched = share[_watched(repetitions) & np.isfinite(share)]
    known = watched if watched.size else share[np.isfinite(share)]
    if not known.size:
        return float("nan")
    shares = [float(np.median(abs(known)))]
    shares += [
        abs(np.sin(np.radians(camera["azimuth_deg"]))) for camera in provenance.cameras_of(pose)[1:]
    ]
    return float(np.degrees(np.arcsin(min(*shares, 1.0))))


def _watched(repetitions: xr.Dataset) -> NDArray[np.bool_]:
    """Frames within a repetition."""
    inside = _between(repetitions["time"], repetitions["start"], repetitions["end"])
    return inside.any("rep").to_numpy()


def _refuse_side_view(metrics: dict[str, xr.DataArray], angle: float) -> list[dict[str, str]]:
    """Blank, in place, what a camera at the side does not show; the warning, if any."""
    limits = tables.load("overhead_squat")["limits"]
    if not angle > limits["largest_frontal_plane_angle_deg"]["value"]:
        return []
    turned = f"(the line of the hips is {angle:.0f}° out of the image)"
    for name, variable in metrics.items():
        if name.startswith("hip_abduction"):
            note = f"refused: the camera sees the frontal plane edge-on {turned}"
        elif "_asymmetry" in name and ("note" not in variable.attrs or variable.notnull().any()):
            note = f"refused: seen from the side, one leg hides the other {turned}"
        else:
            continue
        metrics[name] = xr.full_like(variable, np.nan).assign_attrs(note=note)
    message = f"Hip abduction and differences between left and right refused: side view {turned}"
    return [{"code": "sides_not_comparable", "message": message}]


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
) -> tuple[xr.DataArray, xr.DataArray, xr.DataArray]:
    """Extreme over the moving phases, and its phase; NaN where one is that might have been it."""
    value, sd = (v.sel(phase=list(MOVING_PHASES)) for v in (value, sd))
    complete = value.notnull().all("phase")
    rank = (value if kind == "maximum" else -value).fillna(-np.inf)
    where = rank.argmax("phase")
    return (
        value.isel(phase=where, drop=True).where(complete),
        sd.isel(phase=where, drop=True).where(complete),
        where.where(complete, -1),
    )


def _phases_in_words(where: xr.DataArray, accepted: NDArray[np.bool_]) -> str:
    """Name the phases in which the accepted repetitions have their extremes, as 'bottom'."""
    used = where.isel(rep=accepted)
    sides = [used.sel(side=side) for side in SIDES] if "side" in used.dims else [used]
    texts = []
    for side in sides:
        numbers = sorted({int(i) for i in side.values if i >= 0})
        words = [_PHASE_WORDS.get(MOVING_PHASES[i], MOVING_PHASES[i]) for i in numbers]
        texts.append(" or ".join(words))
    if len(texts) == 1 or texts[0] == texts[1]:
        return texts[0]
    return ", ".join(f"{side}: {text}" for side, text in zip(SIDES, texts, strict=True) if text)


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
