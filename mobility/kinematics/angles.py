r"""Joint and segment angles of a pose.

The frame follows the recommendations of the International Society of Biomechanics, reduced to what
landmarks can give: :math:`e_Y` is up, :math:`e_Z` the horizontal part of the line from the left to
the right hip (the subject's right), and :math:`e_X = e_Y \times e_Z` points forward.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from pydantic import Field

from mobility import tables
from mobility.errors import BadInputError
from mobility.kinematics.expected_error import TABLE, another_model, spread_factors
from mobility.kinematics.skeleton import INDEX, KEYPOINTS, SIDES, require_pose
from mobility.options import checked, likely
from mobility.provenance import cameras_of, with_history
from mobility.view import camera_view

Array = NDArray[np.float64]

DEFAULT_METHOD = "mediapipe_world"
"""How the positions of a pose were obtained, where its attrs have no ``method``."""

_MIN_LENGTH = 1e-9
"""Metres; a shorter vector has no direction."""

_LYING = np.cos(np.radians(60.0))
"""Horizontal part of the unit hip line; below it (60 degrees) the subject's right is undefined."""

_KNEE = (10.0, 30.0)
_ELBOW = (15.0, 20.0)
"""Degrees: a straight joint is bent sideways (varus and valgus; the elbow has its carrying angle),
and any backwards, by no more than this. What is twice as much is flexion."""

_CREASE = (45.0, 90.0)
"""Elevation of the arm, degrees: below, the crease of the elbow faces forward, above anywhere."""

_BEHIND = (110.0, 150.0)
"""Degrees from straight forward: an arm is beside the body up to the first (20 behind the side, for
that is how well its plane is known), and extended backwards from the other on."""

_EXTENSION = (60.0, 90.0)
"""Degrees; an arm is extended backwards up to the first, one that is raised more is overhead."""

_MENTIONED = 0.05
"""Share of refused values from which the refusal of an angle is a warning."""

_PICTURE_ONLY = "measured in the picture only, of a body that is fitted to one camera"

_CUT = -90.0
"""Degrees; signed angles are given in (-90, 270], so that their jump lies where no joint goes."""


def direction(v: Array) -> Array:
    """Scale vectors (last axis) to unit length; NaN where the length is zero."""
    length = np.sqrt((v * v).sum(axis=-1, keepdims=True))
    unit: Array = v / np.where(length > _MIN_LENGTH, length, np.nan)
    return unit


def angle_between(u: Array, v: Array) -> Array:
    r"""Unsigned angle between vectors, degrees: :math:`\mathrm{atan2}(|u \times v|, u \cdot v)`.

    Accurate near 0 and 180 degrees, where an arc cosine is not. NaN if either has no length.
    """
    u, v = direction(u), direction(v)
    cross = np.cross(u, v)
    sine, cosine = np.sqrt((cross * cross).sum(axis=-1)), (u * v).sum(axis=-1)
    angle: Array = np.degrees(np.arctan2(sine, cosine))
    return angle


def body_frame(left_hip: Array, right_hip: Array) -> Array:
    """Forward, up and right unit vectors of the subject.

    Parameters
    ----------
    left_hip, right_hip
        Positions (..., 3) in metres, y up.

    Returns
    -------
    Array
        Shape (..., 3, 3): rows eX (forward), eY (up), eZ (right). NaN where the hip line is more
        than 60 degrees from the horizontal (the subject lies on the side) or has no length.
    """
    across = direction(right_hip - left_hip)
    flat = across * np.array([1.0, 0.0, 1.0])
    level = np.hypot(flat[..., 0], flat[..., 2])
    right = direction(np.where((level >= _LYING)[..., None], flat, np.nan))
    up = np.broadcast_to(np.array([0.0, 1.0, 0.0]), right.shape)
    up = np.where(np.isnan(right), np.nan, up)
    return np.stack([np.cross(up, right), up, right], axis=-2)


def sagittal_angle(u: Array, v: Array, frame: Array) -> Array:
    """Signed angle from `u` to `v` about eZ, degrees in (-90, 270].

    Components along eZ are removed first. The branch is cut at -90 rather than at 180 degrees,
    because arms that hang at the sides lie at 180 and would jump by 360 with every small movement,
    and nothing measured here is near -90.
    """
    ux, uy = _forward_and_up(u, frame)
    vx, vy = _forward_and_up(v, frame)
    flat = np.minimum(np.hypot(ux, uy), np.hypot(vx, vy))
    angle = np.degrees(np.arctan2(ux * vy - uy * vx, ux * vx + uy * vy))
    return np.where(flat > _MIN_LENGTH, _unwrapped(angle), np.nan)


def knee_flexion(thigh: Array, shank: Array, across: Array) -> Array:
    """Angle between thigh and shank, negative when the knee is hyperextended, degrees.

    It is the angle in space, except near straight, where that folds at zero. There it is the part
    about the hip line: up to 10 degrees of bend sideways are varus or valgus and no flexion. No
    varus is 20 degrees and no hyperextension 60: what bends by so much is a leg that is turned, or
    a bent one, and all of it is flexion. Between 10 and 20 degrees sideways, and 30 and 60
    altogether, the one goes over into the other, so that nothing jumps.

    Parameters
    ----------
    thigh, shank
        Hip to knee, knee to ankle, (..., 3).
    across
        Left hip to right hip, (..., 3). Where it has no length the angle has no sign.
    """
    size, cosine = _bend(thigh, shank, -across)
    return _signed_flexion(size, cosine, *_KNEE)


def elbow_flexion(upper_arm: Array, forearm: Array, down: Array, across: Array) -> Array:
    """Angle between upper arm and forearm, negative when a hanging elbow is hyperextended, degrees.

    As :func:`knee_flexion`, with 15 to 30 degrees sideways for the carrying angle and 20 to 40
    altogether, but only while the arm hangs: then the crease of the elbow faces forward. Where it
    faces on a raised arm depends on the turn of the upper arm about itself, which shoulder, elbow
    and wrist in one line do not tell. From 45 to 90 degrees of elevation the sign therefore goes
    over into none.

    Parameters
    ----------
    upper_arm, forearm
        Shoulder to elbow, elbow to wrist, (..., 3).
    down
        Mid-shoulder to mid-hip, (..., 3).
    across
        Left hip to right hip. Where one of these has no length the angle has no sign.
    """
    size, cosine = _bend(upper_arm, forearm, across)
    raised = _share(angle_between(down, upper_arm), _CREASE)
    return _signed_flexion(size, np.where(np.isnan(raised), np.nan, cosine), *_ELBOW, raised)


def shoulder_flexion(down: Array, upper_arm: Array, across: Array) -> Array:
    """Angle between trunk and upper arm, negative when the arm is behind the trunk, degrees.

    In front of the trunk and beside it, up to a plane of elevation of 110 degrees, the angle counts
    in full, from 150 on as extension, and between them it goes through zero. No arm is extended by
    more than some 60 degrees: beyond 90 it is overhead, on whichever side of the head.

    Parameters
    ----------
    down, upper_arm
        Mid-shoulder to mid-hip, shoulder to elbow, (..., 3).
    across
        Left hip to right hip, (..., 3). Where it has no length the angle has no sign.
    """
    size, cosine = _bend(down, upper_arm, across)
    azimuth = np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))
    behind = _share(azimuth, _BEHIND) * (1.0 - _share(size, _EXTENSION))
    return np.where(np.isnan(cosine), size, size * (1.0 - 2.0 * behind))


def _bend(u: Array, v: Array, hinge: Array) -> tuple[Array, Array]:
    """Angle from `u` to `v`, and the cosine between the axis of that turn and `hinge` across `u`.

    The cosine is NaN where there is no such axis.
    """
    u = direction(u)
    hinge = direction(hinge)
    hinge = direction(hinge - (hinge * u).sum(axis=-1, keepdims=True) * u)
    axis = direction(np.cross(u, direction(v)))
    return angle_between(u, v), (axis * hinge).sum(axis=-1)


def _signed_flexion(
    size: Array, cosine: Array, sideways: float, back: float, unsigned: Array | float = 0.0
) -> Array:
    """Part of a bend about a hinge where it is small, all of it where it is not one of a hinge."""
    along = size * cosine
    aside = size * np.sqrt(np.clip(1.0 - cosine**2, 0.0, None))
    whole = np.maximum(_share(aside, (sideways, 2 * sideways)), _share(size, (back, 2 * back)))
    whole = np.maximum(whole, unsigned)
    return np.where(np.isnan(cosine), size, along + whole * (size - along))


def _share(value: Array, ends: tuple[float, float]) -> Array:
    """How far a value is from the first of `ends` to the other, 0 to 1."""
    return np.clip((value - ends[0]) / (ends[1] - ends[0]), 0.0, 1.0)


def _forward_and_up(v: Array, frame: Array) -> tuple[Array, Array]:
    return (v * frame[..., 0, :]).sum(axis=-1), (v * frame[..., 1, :]).sum(axis=-1)


def _unwrapped(angle: Array) -> Array:
    return np.where(angle <= _CUT, angle + 360.0, angle)


def angles_from_points(points: Array) -> dict[str, Array]:
    """All angles of an array of positions; the kernel of :func:`joint_angles`.

    Parameters
    ----------
    points
        Shape (time, 33, 3), metres, y up, landmarks in MediaPipe's order.

    Returns
    -------
    dict
        Degrees by name: (time, 2) for left and right, (time,) for the body as a whole.
    """
    left, right = (points[:, INDEX[f"{side}_hip"]] for side in SIDES)
    return _angles_in(points, body_frame(left, right), right - left)


def _angles_in(points: Array, frame: Array, across: Array) -> dict[str, Array]:
    """Angles in the subject's frame (time, 3, 3), whose rows are forward, up and right.

    `across` (time, 3) is the line of the hips; where it is NaN, knees, elbows and shoulders have no
    sign.
    """

    def pair(name: str) -> Array:
        return points[:, [INDEX[f"{side}_{name}"] for side in SIDES]]

    shoulder, elbow, wrist = pair("shoulder"), pair("elbow"), pair("wrist")
    hip, knee, ankle = pair("hip"), pair("knee"), pair("ankle")
    foot = pair("foot_index") - pair("heel")
    frames, hip_line = frame[:, None], across[:, None]
    thigh, shank = knee - hip, ankle - knee
    mid_hip, mid_shoulder = hip.mean(axis=1), shoulder.mean(axis=1)
    spine = mid_shoulder - mid_hip
    down = -spine[:, None]
    outwards = np.array([-1.0, 1.0])
    defined = np.where(np.isnan(frame[:, 1, 1]), np.nan, 1.0)

    def lean(v: Array, axes: Array) -> Array:
        forward, up = _forward_and_up(direction(v), axes)
        return _unwrapped(np.degrees(np.arctan2(forward, up)))

    def elevation(v: Array) -> Array:
        unit = direction(v)
        return np.degrees(np.arctan2(unit[..., 1], np.hypot(unit[..., 0], unit[..., 2])))

    def aside(v: Array, axis: Array) -> Array:
        sine = (direction(v) * axis).sum(axis=-1)
        return np.asarray(np.degrees(np.arcsin(np.clip(sine, -1.0, 1.0))))

    upper_arm = elbow - shoulder
    arms = wrist.mean(axis=1) - mid_shoulder
    return {
        "knee_flexion": knee_flexion(thigh, shank, hip_line),
        "hip_flexion": sagittal_angle(down, thigh, frames),
        "ankle_dorsiflexion": 90.0 - angle_between(foot, -shank),
        "hip_abduction": outwards * aside(thigh, direction(hip_line)),
        "shoulder_flexion": shoulder_flexion(down, upper_arm, hip_line),
        "elbow_flexion": elbow_flexion(upper_arm, wrist - elbow, down, hip_line),
        "tibia_inclination": lean(-shank, frames),
        "thigh_elevation": elevation(-thigh) * defined[:, None],
        "trunk_lean": lean(spine, frame),
        "trunk_lateral_lean": aside(spine, frame[:, 2]),
        "pelvis_obliquity": elevation(hip[:, 1] - hip[:, 0]) * defined,
        "arm_fall": _unwrapped(-sagittal_angle(spine, arms, frame)),
    }


def definitions() -> dict[str, Mapping[str, Any]]:
    """Definitions of all angles, those that are measured of single joints only included."""
    own = tables.load("in_picture")["angles"].items()
    single = {name: entry["definition"] for name, entry in own if "definition" in entry}
    return {**tables.load("angles"), **single}


def of_single_joints(body: Mapping[str, Array]) -> dict[str, Array]:
    """Angles that are measured of single joints only, (..., side); NaN where no body has them.

    Parameters
    ----------
    body
        What :func:`angles_from_points` returned of the whole body, or deviations of it.
    """
    found = {}
    for name, entry in tables.load("in_picture")["angles"].items():
        if "definition" in entry:
            right = (
                body[entry["body"]] if "body" in entry else np.full_like(body["trunk_lean"], np.nan)
            )
            found[name] = np.stack([-right, right], axis=-1)
    return found


def angle_draws(fitted: xr.Dataset) -> xr.Dataset:
    """Joint angles of each draw of the posterior of a fitted body, less those of the fit.

    Parameters
    ----------
    fitted
        What :func:`~mobility.kinematics.fit.entry.fit_body` returned.

    Returns
    -------
    xarray.Dataset
        The angles of ``joint_angles`` over (draw, fit_time, side) or (draw, fit_time): deviations
        in degrees, times the factors of :func:`~mobility.kinematics.expected_error.spread_factors`.
        The standard deviation of anything computed from angles (a difference of sides, a median
        over repetitions) is that of its values over the draws.

    Raises
    ------
    BadInputError
        If `fitted` has no ``position_draws``.
    """
    if "position_draws" not in fitted:
        raise BadInputError("angle_draws: the pose has no 'position_draws'; make it with fit_body")
    draws = fitted["position_draws"].transpose("draw", "fit_time", "fit_keypoint", "fit_space")
    knots = fitted["fit_time"].to_numpy()
    middle = _angles_at_knots(fitted)
    # One draw after the other: all at once would need gigabytes for a trial of minutes.
    each = [_angles_at_knots(fitted, draw) for draw in draws.to_numpy().astype(np.float64)]
    definitions = tables.load("angles")
    factors = spread_factors(fitted)
    variables = {}
    for name, value in middle.items():
        off = np.stack([drawn[name] for drawn in each]) - value
        dims = ("draw", "fit_time", "side")[: off.ndim]
        variables[name] = (
            dims,
            factors[name] * ((off + 180.0) % 360.0 - 180.0),
            {"units": "degree", "long_name": f"deviation of {definitions[name]['long_name']}"},
        )
    return xr.Dataset(variables, coords={"fit_time": knots, "side": list(SIDES)})


def _angles_at_knots(fitted: xr.Dataset, off: Array | float = 0.0) -> dict[str, Array]:
    """Angles of a fitted body, moved by `off` (fit_time, fit_keypoint, fit_space), at its knots."""
    centre = fitted["fit_position"].transpose("fit_time", "fit_keypoint", "fit_space").to_numpy()
    body = np.full((len(centre), len(KEYPOINTS), 3), np.nan)
    body[:, [INDEX[str(name)] for name in fitted["fit_keypoint"].to_numpy()]] = centre + off
    return angles_from_points(body)


def angle_sd(fitted: xr.Dataset) -> xr.Dataset:
    """Give the standard deviation of each joint angle of a fitted body at its frames.

    Parameters
    ----------
    fitted
        What :func:`~mobility.kinematics.fit.entry.fit_body` returned.

    Returns
    -------
    xarray.Dataset
        ``<angle>_sd`` in degrees over (time, side) or (time,): root mean square of
        :func:`angle_draws`, interpolated from the knots. NaN where the position is NaN.

    Raises
    ------
    BadInputError
        If `fitted` has no ``position_draws``.
    """
    draws = angle_draws(fitted)
    time = fitted["time"].to_numpy()
    knots = draws["fit_time"].to_numpy()
    hip = fitted["position"].sel(keypoint=["left_hip", "right_hip"])
    lost = hip.isnull().any([d for d in hip.dims if d != "time"]).to_numpy()
    variables = {}
    for name, off in draws.data_vars.items():
        values = np.sqrt((off.to_numpy() ** 2).mean(axis=0))
        columns = values.reshape(knots.size, -1)
        sd = np.stack([np.interp(time, knots, c) for c in columns.T], axis=-1)
        sd[lost] = np.nan
        variables[f"{name}_sd"] = (
            ("time", "side")[: values.ndim],
            sd.reshape(time.size, *values.shape[1:]),
            {"units": "degree", "long_name": f"standard deviation of the error of {name}"},
        )
    return xr.Dataset(variables, coords={"time": fitted["time"].variable, "side": list(SIDES)})


def largest_sd(angle: str, *, method: str = DEFAULT_METHOD) -> float:
    """Largest standard deviation of its error, degrees, with which an angle is reported.

    Parameters
    ----------
    angle
        Name of the angle, as in ``tables/angle_limits.yaml``.
    method
        How the positions of the pose were obtained; some have limits of their own.
    """
    table = tables.load("angle_limits")
    angles = {**table["angles"], **table["single_joints"]}
    return float(table["methods"].get(method, angles[angle])["largest_sd_deg"])


@checked
def joint_angles(
    pose: xr.Dataset,
    *,
    limits: Mapping[str, Annotated[float, Field(gt=0)]] | None = None,
    in_picture: bool = False,
) -> xr.Dataset:
    r"""Joint and segment angles of a pose, with the expected error of each.

    With shoulder S, hip H, knee K, ankle A, heel, toe T, elbow E, wrist W, and a bar for the mean
    of left and right:

    - knee flexion: angle between :math:`K-H` and :math:`A-K`, negative in hyperextension;
    - hip flexion: signed sagittal angle from :math:`\bar H-\bar S` to :math:`K-H`;
    - ankle dorsiflexion: 90 degrees minus the angle between :math:`T-heel` and :math:`K-A`;
    - hip abduction: :math:`\arcsin(\pm \hat t \cdot e_Z)` with the unit thigh :math:`\hat t`;
    - shoulder flexion: angle between :math:`\bar H-\bar S` and :math:`E-S`;
    - elbow flexion: angle between :math:`E-S` and :math:`W-E`;
    - tibia inclination, trunk lean: :math:`\mathrm{atan2}(v \cdot e_X, v \cdot e_Y)` of
      :math:`K-A` and of :math:`\bar S-\bar H`;
    - thigh elevation, pelvis obliquity: angle of :math:`H-K`, and of the line from the left to the
      right hip, above the horizontal;
    - arm fall: minus the signed sagittal angle from :math:`\bar S-\bar H` to :math:`\bar W-\bar S`.

    Signed sagittal angles are given in (-90, 270]. Without abduction, knee flexion =
    90 + tibia inclination - thigh elevation, hip flexion = 90 + trunk lean - thigh elevation, and
    on a flat foot dorsiflexion = tibia inclination.

    Parameters
    ----------
    pose
        Pose Dataset; ``position`` (time, space, keypoint, individual) in metres, y up (the camera
        is taken to be level). The attribute ``method`` says how the positions were obtained;
        without it they are raw MediaPipe world landmarks.
    limits
        Largest expected error with which an angle is given, degrees, by angle; of those that are
        not named, and where it is None, the limits of the table hold.
    in_picture
        Whether the angles of single joints are also measured in the picture, and weighed with
        those of the body by their errors
        (:func:`~mobility.kinematics.in_picture.measured_angles`). For movements of single joints,
        which are filmed so that they are seen; only of a body that was fitted to one camera. The
        Dataset then also has trunk_lateral_flexion and neck_lateral_flexion, over (time, side).

    Returns
    -------
    xarray.Dataset
        In degrees, over (time, side): knee_flexion, hip_flexion, ankle_dorsiflexion,
        hip_abduction, shoulder_flexion, elbow_flexion, tibia_inclination, thigh_elevation; over
        (time,): trunk_lean, trunk_lateral_lean, pelvis_obliquity, arm_fall. Each has ``<name>_sd``,
        the expected error of one value as a standard deviation: of a fitted body from the posterior
        of the fit, else from ``tables/expected_error.yaml``. Where the legs are not seen, what that
        table says of the arms is added (in quadrature; attribute ``added_sd_deg`` of the angle).
        Values whose expected error exceeds the limit of the angle (``tables/angle_limits.yaml``)
        are refused: NaN, the reason in the attribute ``refused`` (with the view of the camera, and
        the median error of what was refused), the share of the values in ``refused_share``, and a
        warning. An angle is NaN where a landmark that it needs is NaN or two of them coincide.
        Where the other hip is missing, knee and elbow have no sign. Where the hip line is more than
        60 degrees from the horizontal (lying on the side) knee, hip abduction, ankle, elbow and
        shoulder remain.

    Raises
    ------
    BadInputError
        If `pose` is not a pose Dataset of one person.

    References
    ----------
    Wu et al. 2002, J Biomech 35:543; Wu et al. 2005, J Biomech 38:981; Grood & Suntay 1983,
    J Biomech Eng 105:136.
    """
    require_pose(pose, what="joint_angles")
    known_angles, single = definitions(), tables.load("in_picture")["angles"]
    for name in limits or {}:
        if name not in known_angles:
            raise BadInputError(f"joint_angles: no angle {name!r}{likely(name, known_angles)}")
    position = pose["position"]
    if "individual" in position.dims:
        position = position.isel(individual=0, drop=True)
    points = (
        position.sel(space=["x", "y", "z"], keypoint=list(KEYPOINTS))
        .transpose("time", "keypoint", "space")
        .to_numpy()
        .astype(np.float64)
    )

    method = str(pose.attrs.get("method", DEFAULT_METHOD))
    table = tables.load(TABLE)
    errors = table["landmarks"].get(method)
    # Where there is no picture there is no camera that a reason could name.
    camera = camera_view(pose).camera if "image_position" in pose else ""
    if len(cameras := cameras_of(pose)) > 1:
        camera = f"{len(cameras)} cameras"
    posterior = None
    if "position_draws" in pose:
        posterior, factors = angle_sd(pose), spread_factors(pose)
    added = {} if posterior is None else legs_unseen_sd(pose)
    flat = xr.Dataset()
    if in_picture and posterior is not None and len(cameras) < 2 and "image_position" in pose:
        from mobility.kinematics.in_picture import measured_angles  # built on what is here

        flat = measured_angles(pose)
    warnings: list[dict[str, str]] = []
    if errors is None and posterior is None:
        message = f"No errors are known for angles of method '{method}'; _sd is missing."
        warnings.append({"code": "unknown_error", "message": message})
    if posterior is not None and (other := another_model(pose)):
        warnings.append({"code": "errors_of_another_model", "message": other})

    measured = angles_from_points(points)
    if in_picture:
        measured |= of_single_joints(measured)
    variables: dict[str, xr.DataArray] = {}
    for name, values in measured.items():
        definition = known_angles[name]
        dims = ("time", "side") if definition["sided"] else ("time",)
        if name in flat:
            values = flat[name].to_numpy()
        variables[name] = xr.DataArray(
            values,
            dims=dims,
            attrs={
                "units": "degree",
                "long_name": definition["long_name"],
                "segments": definition["segments"],
                "plane": definition["plane"],
                "zero": definition["zero"],
                "positive": definition["positive"],
                "reference": definition["source"],
            },
        )
        of_body = name if name in tables.load("angles") else single[name].get("body")
        if of_body is None and name not in flat:
            sd, source = np.full(values.shape, np.nan), "unknown"
            variables[name].attrs["refused"] = _PICTURE_ONLY
        elif posterior is not None:
            sd, source = np.full(values.shape, np.nan), "the picture's own angle"
            if of_body is not None:
                sd = posterior[f"{of_body}_sd"].to_numpy()
                if sd.shape != values.shape:  # against the vertical, and no camera is level
                    level = tables.load("in_picture")["vertical"]["sd_deg"]
                    sd = np.hypot(np.stack([sd, sd], axis=-1), level)
                    if name not in flat:
                        variables[name].attrs["added_sd_deg"] = float(level)
                source = "spread of the angle over the draws of the fit's posterior"
                source += f", times {factors[of_body]:g} (table {TABLE})"
            if name in flat:
                sd = flat[f"{name}_sd"].to_numpy()
                if of_body is not None:
                    source += ", and the picture's own angle, each weighed by its error"
                variables[name].attrs |= flat[name].attrs
            elif name in added:
                sd = np.hypot(sd, added[name])
                variables[name].attrs["added_sd_deg"] = added[name]
                source += f"; {added[name]:g} degrees added, as the legs are not seen"
        elif errors is not None:
            sd = np.full(values.shape, float(errors["angles"][of_body]["sd"]))
            source = f"{errors['source']} {errors['angles'][of_body]['source']}"
        else:
            sd, source = np.full(values.shape, np.nan), "unknown"
        known = ~np.isnan(values)
        limit = (limits or {}).get(name, largest_sd(name, method=method))
        # A draw in which an angle is not even defined leaves its error without a bound.
        boundless = np.isnan(sd) if posterior is not None else np.zeros(sd.shape, dtype=bool)
        refused = known & ((sd > limit) | boundless)
        if refused.any():
            share = float(refused.sum() / known.sum())
            told = sd[refused & ~boundless]
            size = f"sd {np.median(told):.0f} deg" if told.size else "sd without a bound"
            reason = f"{name.replace('_', ' ')} {size} (limit {limit:g})"
            if camera:
                reason = f"{camera}: {reason}"
            variables[name] = variables[name].where(~refused)
            variables[name].attrs.update(refused=reason, refused_share=share)
            if share > _MENTIONED:
                text = f"{_capital(definition['long_name'])} refused in {share:.0%} of the values: "
                warnings.append({"code": "angle_refused", "message": f"{text}{reason}."})
        variables[f"{name}_sd"] = xr.DataArray(
            np.where(known & ~refused, sd, np.nan),
            dims=dims,
            attrs={
                "units": "degree",
                "long_name": f"standard deviation of the error of {definition['long_name']}",
                "reference": source,
            },
        )
    result = xr.Dataset(
        variables, coords={"time": pose["time"].variable, "side": list(SIDES)}
    ).assign_attrs({key: value for key, value in pose.attrs.items() if key != "ds_type"})
    return with_history(
        result.assign_attrs(ds_type="angles"),
        "joint_angles",
        ({} if limits is None else {"limits": dict(limits)})
        | ({"in_picture": True} if in_picture else {}),
        method=method,
        warnings=warnings,
    )


def legs_unseen(pose: xr.Dataset) -> bool:
    """Whether both knees are outside the picture or hidden in most of the frames.

    Parameters
    ----------
    pose
        Pose Dataset with ``confidence``, ``image_position`` or both; what is missing hides nothing.
    """
    limits = tables.load(TABLE)["legs_unseen"]
    knees = pose.sel(keypoint=[f"{side}_knee" for side in SIDES])
    if "individual" in knees.dims:
        knees = knees.isel(individual=0, drop=True)
    unseen = np.zeros((knees.sizes["time"], len(SIDES)), dtype=bool)
    if "confidence" in knees:
        unseen |= (knees["confidence"] < limits["visibility"]).transpose("time", ...).to_numpy()
    if "image_position" in knees and {"image_width", "image_height"} <= set(pose.attrs):
        for pixel, size in (("u", "image_width"), ("v", "image_height")):
            place = knees["image_position"].sel(pixel=pixel).transpose("time", ...)
            unseen |= ((place < 0) | (place > pose.attrs[size])).to_numpy()
    return bool(unseen.size and unseen.all(axis=1).mean() > limits["share"])


def legs_unseen_sd(pose: xr.Dataset) -> dict[str, float]:
    """Degrees to be added to the error of each angle where one camera does not see the legs."""
    if len(cameras_of(pose)) > 1 or not legs_unseen(pose):
        return {}
    entries = tables.load(TABLE)["legs_unseen"]["angles"]
    return {name: float(entry["sd"]) for name, entry in entries.items()}


IMAGE_ANGLES = (
    "knee_flexion",
    "hip_flexion",
    "ankle_dorsiflexion",
    "shoulder_flexion",
    "elbow_flexion",
    "trunk_lean",
)
"""Angles that are also measured in the plane of the picture."""


def image_plane_angles(pose: xr.Dataset) -> xr.Dataset:
    """Angles between the landmarks in the picture: what can be measured without any depth.

    The definitions are those of :func:`joint_angles` with the picture for the sagittal plane. From
    the side they agree with the angles in space, as far as the limbs move in that plane; from
    elsewhere they are those of a projection. Forward is to the right of the picture where the
    camera is on the subject's right, else to the left: seen from the front or from behind that
    decides only the sign of angles which are not seen at all.

    Parameters
    ----------
    pose
        Pose Dataset with ``position`` (for the side of the camera) and ``image_position`` in square
        pixels, v downwards.

    Returns
    -------
    xarray.Dataset
        In degrees, over (time, side): knee_flexion, hip_flexion, ankle_dorsiflexion,
        shoulder_flexion, elbow_flexion; over (time,): trunk_lean. No errors are known.

    Raises
    ------
    BadInputError
        If `pose` is not a pose Dataset of one person with ``image_position``.
    """
    require_pose(pose, what="image_plane_angles")
    if "image_position" not in pose:
        raise BadInputError("image_plane_angles: the pose has no 'image_position'")
    marks = pose["image_position"]
    if "individual" in marks.dims:
        marks = marks.isel(individual=0, drop=True)
    pixels = (
        marks.sel(pixel=["u", "v"], keypoint=list(KEYPOINTS))
        .transpose("time", "keypoint", "pixel")
        .to_numpy()
        .astype(np.float64)
    )
    points = np.stack([pixels[..., 0], -pixels[..., 1], np.zeros(pixels.shape[:2])], axis=-1)
    view = camera_view(pose)
    forward = np.nan if np.isnan(view.azimuth_deg) else (1.0 if view.azimuth_deg > 0 else -1.0)
    axes = np.array([[forward, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, forward]])
    frame = np.broadcast_to(axes, (len(points), 3, 3))
    values = _angles_in(points, frame, frame[:, 2])
    if view.kind in ("front", "back"):
        signs = np.full((len(points), 3), np.nan)
        unsigned = _angles_in(points, frame, signs)
        values |= {name: unsigned[name] for name in ("shoulder_flexion", "elbow_flexion")}
    result = xr.Dataset(
        {name: _projected(name, values[name]) for name in IMAGE_ANGLES},
        coords={"time": pose["time"].variable, "side": list(SIDES)},
    )
    kept = {key: value for key, value in pose.attrs.items() if key not in ("ds_type", "method")}
    result = result.assign_attrs(kept, ds_type="angles", method="image_plane")
    azimuth = None if np.isnan(view.azimuth_deg) else round(view.azimuth_deg, 1)
    return with_history(result, "image_plane_angles", {}, azimuth_deg=azimuth)


def _projected(name: str, values: Array) -> xr.DataArray:
    definition = tables.load("angles")[name]
    return xr.DataArray(
        values,
        dims=("time", "side")[: values.ndim],
        attrs={
            "units": "degree",
            "long_name": f"{definition['long_name']}, in the plane of the picture",
            "segments": definition["segments"],
            "plane": "picture",
            "zero": definition["zero"],
            "positive": definition["positive"],
            "reference": definition["source"],
        },
    )


def with_raw_angles(angles: xr.Dataset, pose: xr.Dataset) -> xr.Dataset:
    """Add the angles that were not fitted, for comparison, beside those that were.

    Parameters
    ----------
    angles
        What :func:`joint_angles` returned, of the fitted pose.
    pose
        The pose of the same frames before the fit.

    Returns
    -------
    xarray.Dataset
        `angles` with ``<name>_raw``, computed from the landmarks in space as they are, and
        ``<name>_image`` of :func:`image_plane_angles`. Neither is refused where it is uncertain,
        and neither has an ``_sd``: they are for those who compare, and no metric uses them.

    Raises
    ------
    BadInputError
        If the frames differ, or `pose` is not a pose Dataset.
    """
    image = image_plane_angles(pose)
    if not np.array_equal(angles["time"].to_numpy(), image["time"].to_numpy()):
        raise BadInputError("with_raw_angles: the angles and the pose have different frames")
    position = pose["position"]
    if "individual" in position.dims:
        position = position.isel(individual=0, drop=True)
    points = position.sel(space=["x", "y", "z"], keypoint=list(KEYPOINTS))
    raw = angles_from_points(
        points.transpose("time", "keypoint", "space").to_numpy().astype(np.float64)
    )
    more = {}
    for name, values in raw.items():
        more[f"{name}_raw"] = xr.DataArray(
            values,
            dims=("time", "side")[: values.ndim],
            attrs={
                **{k: v for k, v in angles[name].attrs.items() if not k.startswith("refused")},
                "long_name": f"{angles[name].attrs['long_name']}, landmarks without a fit",
            },
        )
    more |= {f"{name}_image": values for name, values in image.data_vars.items()}
    method = str(pose.attrs.get("method", DEFAULT_METHOD))
    return with_history(angles.assign(more), "with_raw_angles", {}, raw_method=method)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
