"""A body whose segments keep their lengths, fitted to all frames of a recording at once.

MediaPipe's landmarks are good in the picture and poor in depth. A body with constant segment
lengths, planted feet and smooth movement leaves little uncertainty in depth: a thigh that looks
short points towards the camera or away from it.

The unknowns are the positions of 16 joints at regular instants (knots), and a few numbers that
apply to the whole recording; ``docs/fit.md`` has the equations.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any

import numpy as np
import xarray as xr
from pydantic import Field, InstanceOf
from threadpoolctl import threadpool_limits

from mobility import tables
from mobility.base.options import FilePath, Load, Names, Standing, checked, likely, quoted
from mobility.base.provenance import cameras_of, history, with_history
from mobility.errors import BadInputError
from mobility.keypoints.sources import MEDIAPIPE, origin_of, source_of
from mobility.kinematics.calibration import Calibration, known_cameras, matched
from mobility.kinematics.datasets import Poses
from mobility.kinematics.fit.body import (
    FEET,
    FIRST_DEPTH_ERROR,
    FIRST_LENGTH,
    FIRST_OFFSET,
    FITTED,
    FLOOR,
    FOCAL_FACTOR,
    HEIGHT,
    N_JOINTS,
    OFFSETS,
    PITCH,
    ROLL,
    SEGMENT_NAMES,
    SEGMENTS,
    SETTINGS,
    SHOULDERS,
    TERMS,
    Array,
    camera_rotation,
    hip_line,
    unit_vectors,
    up_of,
)
from mobility.kinematics.fit.cameras import camera_entries, warnings_of_cameras, with_cameras
from mobility.kinematics.fit.observed import (
    LEAST_WEIGHT,
    camera_shift,
    detections_of,
    per_camera,
    problem_of,
    seen_at,
    seen_span,
    starting_point,
    with_depths,
)
from mobility.kinematics.fit.one_view import Fit, better_of, contradiction, is_determined
from mobility.kinematics.fit.planted_feet import (
    Planted,
    lasting_stances,
    stances_and_steps,
    with_stances,
    with_stances_in_all_views,
)
from mobility.kinematics.fit.problem import Problem
from mobility.kinematics.fit.standing import WhyNotStanding, with_standing
from mobility.kinematics.fit.whole_trial import COARSE_HZ, SolvedTrial, solve_trial
from mobility.kinematics.skeleton import INDEX, KEYPOINTS, is_without_feet, landmarks, never_there

log = logging.getLogger(__name__)

VISIBILITY_THRESHOLD = 0.1
"""Threshold of clean_pose before a fit; low, because the fit weights landmarks by their
visibility."""

METHOD = "fitted_body"
"""Value of the attribute ``method`` of a fitted pose."""

KNOTS_HZ = 7.5
"""Largest number of knots per second, unless another number is given."""

_BEHIND, _FEET_SEEN = 0.5, 0.15
"""Limits for warnings: the forward component away from the camera, and the mean weight of heels and
toes.
"""

_FACE, _FACE_SEEN = ("nose", "left_eye", "right_eye"), 0.5
"""Landmarks that cannot be seen from behind; median confidence above which they count as seen."""

_LONGEST_UNSEEN_S = 0.25
"""Seconds from the nearest frame with a person beyond which positions are NaN."""

_FieldOfView = Annotated[float, Field(gt=5, lt=170)]
_FocalLength = Annotated[float, Field(gt=0)]
_Pitch = Annotated[float, Field(ge=-60, le=60)]


@checked
# With several BLAS threads a fit of these small matrices takes up to a hundred times as long, and
# its last digits depend on their number.
@threadpool_limits.wrap(limits=1, user_api="blas")  # type: ignore[untyped-decorator]
def fit_body(
    pose: Poses,
    *,
    field_of_view: _FieldOfView | tuple[_FieldOfView | None, ...] | None = None,
    focal_length: _FocalLength | tuple[_FocalLength | None, ...] | None = None,
    calibration: InstanceOf[Calibration] | FilePath | None = None,
    camera_pitch: _Pitch | tuple[_Pitch | None, ...] | None = None,
    height_m: Annotated[float, Field(ge=0.5, le=2.6)] | None = None,
    feet_planted: Planted = None,
    unbalanced: bool = False,
    standing: Standing = "straight",
    load: Load | None = None,
    without: Names = (),
    rate_hz: Annotated[float, Field(ge=5, le=30)] = KNOTS_HZ,
    draws: Annotated[int, Field(ge=8, le=200)] = 32,
) -> xr.Dataset:
    r"""Fit a body with constant segment lengths to all frames of a recording.

    The result is the pose of a body that matches the landmarks in the pictures of one or more
    cameras. Its segments keep their lengths, and its feet stay in place while they stand. Posterior
    samples give the uncertainty. :func:`~mobility.kinematics.angles.joint_angles` accepts it like
    any other pose, and adds the error of each angle. Pass `height_m` if lengths matter (angles do
    not depend on it), and a `calibration` if you have one.

    Parameters
    ----------
    pose
        Pose Dataset with ``image_position`` (pixels), ``confidence`` and the attributes image_width
        and image_height. ``position`` (metres) may be missing, as for models without depth: the fit
        then starts from the lengths of the segments in the picture, and is less certain. Landmarks
        may be missing, but the shoulders, hips, knees or ankles must not be missing completely.
        Exchanges of left and right should have been undone with ``clean_pose(pose,
        visibility_threshold=0.1)``: the fit weights landmarks by their visibility, so it needs the
        hidden side too.

        Poses of the same movement, from several cameras that did not move, give one body that
        agrees with all of them. The cameras need not be calibrated or started together: time
        offsets (:mod:`mobility.kinematics.fit.time_offset`), positions and focal lengths are
        estimated. The first camera defines the times and the axes. Two views are also fitted
        separately. If their angles contradict each other, only the view that fits better is used,
        with its times and axes.
    field_of_view
        Field of view of the longer side of the picture, degrees; one number for all cameras, or a
        tuple with one for each.
    focal_length
        Focal length in pixels, instead of `field_of_view`. Without either it is fitted, starting
        from the value in the video file (``focal_length_35mm``, sd 8 %), or from 0.86 of the longer
        side (sd 15 %).
    calibration
        File with the lenses and positions of the cameras
        (:func:`~mobility.kinematics.calibration.read_calibration`). The focal lengths, positions
        and scale are then known, and so is the vertical if the file states which way is up. Lens
        distortion is removed from the landmarks. A video belongs to the camera whose name is in its
        file name (``source_file``); otherwise cameras and videos are matched by order. With several
        cameras, only the time offsets are estimated; with one camera, only its lens and the
        vertical are used.
    camera_pitch
        Downward tilt of the camera in degrees, measured to within about 2 degrees; negative if the
        camera looks up. One number for all cameras, or a tuple with one for each. Without it, the
        pitch is fitted, which can tilt the whole body in a view from the front.
    height_m
        Stature in metres, by default 1.70. Only lengths depend on it. With several calibrated
        cameras, it is measured.
    feet_planted
        Whether the feet stay in place; None lets the function decide. For feet that are lifted,
        pass the times (s) in which each foot stays in one place, ``{"left": [(0, 12)], "right":
        [(0, 3), (14, 25)]}``. The foot has a separate place in each of these times, and the centre
        of mass is over the feet that stay. A lifted foot is not fixed to a place, however still it
        is.
    unbalanced
        Whether something besides the feet, such as a chair, carries the body at times. The centre
        of mass is then not kept over the feet in any frame.
    standing
        "straight": while the feet stay, the subject is assumed to stand straight when tallest, as
        in the static trial of a laboratory. The errors of the world landmarks at that moment are
        assumed to last through the recording. A number is the measured flexion of the knees in
        standing, in degrees. "free" means that nothing is assumed about how the subject stands. In
        views from the front, knees and trunk are then less certain.
    load
        What the person carries: ("hands", 0.25) or ("shoulders", 0.25), with its mass as a multiple
        of the mass of the body. The centre of mass of both is then over the feet. By default the
        hands are empty.
    without
        Terms of the table ``fit`` that are left out, for benchmarks.
    rate_hz
        Largest number of knots per second, at most the frame rate. The default follows movements of
        up to about 3 Hz. On squats, 15 knots per second gave the same lower-body errors to within
        0.1 degrees.
    draws
        Number of posterior samples.

    Returns
    -------
    xarray.Dataset
        A pose Dataset with the attribute ``method="fitted_body"``. ``position``: x right of the
        camera, y up against gravity, z horizontally towards the camera, metres, the floor at y = 0
        and the camera at x = z = 0. The face and the hands move with the body, and stay at their
        place in the picture. Values are NaN if nobody was seen for 0.25 s; a joint that was never
        seen is always NaN. ``position_draws`` (draw, fit_time, fit_space, fit_keypoint): deviations
        from the fit at the knots.

        The history entry contains the camera, the lengths as fractions of stature, the offsets, and
        whether the feet were planted. It also contains the ``stances`` and the ``steps`` between
        them (:mod:`mobility.kinematics.stances`), and the assumed or measured flexion of the knees
        in standing. If two views contradict each other, ``camera`` is the number of the view that
        was used.

    Raises
    ------
    BadInputError
        If `pose` lacks a required part, both focal length and field of view are passed, or fewer
        than 5 frames show a person.

    Notes
    -----
    The page `The fit` shows the terms and equations of the function that is minimised; the table
    ``fit`` contains their numbers and sources. No term makes assumptions about the posture of a
    measured joint, except the terms for standing, weak terms for flexion, and the trunk lean of a
    subject who walks. MediaPipe's smoothing delays its landmarks; that delay (table
    ``pose_sources``) is subtracted.

    The posterior samples come from the Hessian, and from solutions with one limb mirrored in depth
    that explain the picture nearly as well. To propagate the uncertainty to any quantity, compute
    the quantity from each sample; see :func:`~mobility.kinematics.angle_errors.angle_draws`.

    References
    ----------
    Triggs et al. 2000, Bundle adjustment, LNCS 1883:298. Schmidt 1966, Adv Control Syst 3:293
    (considered parameters). De Leva 1996, J Biomech 29:1223. Drillis & Contini 1966.
    """
    poses = [pose] if isinstance(pose, xr.Dataset) else list(pose)
    if not poses:
        raise BadInputError("there is no pose. Pass at least one")
    for name in without:
        if name not in TERMS:
            raise BadInputError.of(
                {"without": f"there is no term {quoted(name)}{likely(name, TERMS)}"}
            )
    if field_of_view is not None and focal_length is not None:
        raise BadInputError("pass field_of_view or focal_length, not both")
    if calibration is not None:
        if field_of_view is not None or focal_length is not None:
            raise BadInputError(
                "the calibration gives the lens; leave out field_of_view and focal_length"
            )
        calibration = matched(calibration, poses)
        if calibration.up is not None and camera_pitch is not None:
            raise BadInputError("the calibration states which way is up; leave out camera_pitch")
    fields_of_view = per_camera(field_of_view, poses, "field_of_view")
    focal_lengths = per_camera(focal_length, poses, "focal_length")
    pitches = per_camera(camera_pitch, poses, "camera_pitch")
    fit_of = functools.partial(
        _fit,
        height_m=height_m,
        unbalanced=unbalanced,
        standing=standing,
        load=load,
        without=without,
        rate_hz=rate_hz,
        draws=draws,
    )
    fit = fit_of(
        poses, fields_of_view, focal_lengths, pitches, calibration, feet_planted=feet_planted
    )
    if len(poses) != 2 or not fit.doubtful:
        return fit.body
    offset = cameras_of(fit.body)[1]["time_offset_s"]
    alone = [
        fit_of(
            poses[i : i + 1],
            fields_of_view[i : i + 1],
            focal_lengths[i : i + 1],
            pitches[i : i + 1],
            None
            if calibration is None
            else replace(calibration, cameras=(calibration.cameras[i],)),
            feet_planted=_moved(feet_planted, -offset) if i else feet_planted,
        )
        for i in (0, 1)
    ]
    why = contradiction(alone[0].body, alone[1].body, offset)
    return fit.body if why is None else better_of(alone, why, poses)


def _moved(feet_planted: Planted, seconds: float) -> Planted:
    """Convert the times in which feet stay to the clock of another camera."""
    if not isinstance(feet_planted, Mapping):
        return feet_planted
    return {
        side: [(first + seconds, last + seconds) for first, last in times]
        for side, times in feet_planted.items()
    }


def _fit(
    poses: Sequence[xr.Dataset],
    fields_of_view: tuple[float | None, ...],
    focal_lengths: tuple[float | None, ...],
    pitches: tuple[float | None, ...],
    calibration: Calibration | None,
    *,
    height_m: float | None,
    feet_planted: Planted,
    unbalanced: bool,
    standing: Standing,
    load: Load | None,
    without: Names,
    rate_hz: float,
    draws: int,
) -> Fit:
    """Fit a body to all the poses; options as in :func:`fit_body`."""
    pose = poses[0]
    calibrated = None if calibration is None else known_cameras(calibration, poses)
    sights = [
        detections_of(camera_pose, fov, px, pitch)
        for camera_pose, fov, px, pitch in zip(
            poses if calibrated is None else calibrated.poses,
            fields_of_view,
            focal_lengths if calibrated is None else calibrated.focal,
            pitches,
            strict=True,
        )
    ]
    time = pose["time"].to_numpy().astype(np.float64)
    _, centred, world, weight, focal, focal_from, *_ = sights[0]
    span, present = seen_span(sights[0])

    coarse = problem_of(sights[0], span, min(COARSE_HZ, rate_hz), height_m, calibrated)
    left_out = frozenset(without) | ({"balance"} if unbalanced else set())
    coarse, joints = starting_point(replace(coarse, without=left_out, load=load))
    fine = problem_of(sights[0], span, rate_hz, height_m, calibrated)
    fine = replace(
        fine,
        without=coarse.without,
        load=load,
        scale=coarse.scale,
        distance=np.interp(fine.knots, coarse.knots, coarse.distance),
    )
    fine = with_depths(with_stances(fine, feet_planted, camera_shift(pose, sights[0])))
    coarse = replace(coarse, planted=fine.planted, stances=fine.stances, feet_given=fine.feet_given)
    doubtful = False
    if len(poses) > 1:
        coarse, fine, joints, doubtful = with_cameras(
            coarse, fine, joints, poses, sights, feet_planted, calibrated
        )
    coarse, fine, solved, why_not_standing = _solved(
        *(coarse, fine, joints, standing),
        draws=draws,
        stances_given=isinstance(feet_planted, Mapping),
    )

    rotation = camera_rotation(solved.shared)
    gravity = solved.joints @ rotation.T
    if fine.planted:
        floor = float(solved.shared[FLOOR])
    else:
        floor = float(np.percentile(gravity[:, FEET, 1], 2))
    position = np.full((time.size, len(KEYPOINTS), 3), np.nan)
    position[span] = _at_frames(
        solved,
        fine,
        time[span],
        centred[span],
        None if world is None else world[span],
        weight[span],
    ) @ rotation.T - np.array([0.0, floor, 0.0])
    never_seen = [
        INDEX[FITTED[j]]
        for j in range(N_JOINTS)
        if not any((camera.weight[:, j] > LEAST_WEIGHT).any() for camera in fine.per_camera)
    ]
    position[:, never_seen] = np.nan
    present_times, after = time[present], np.searchsorted(time[present], time)
    last = present_times.size - 1
    apart = [np.abs(present_times[np.clip(at, 0, last)] - time) for at in (after, after - 1)]
    position[np.minimum(*apart) > _LONGEST_UNSEEN_S] = np.nan

    deviation = np.stack(
        [
            (solved.joints + dx) @ camera_rotation(solved.shared + db).T - gravity
            for dx, db in zip(solved.draws, solved.shared_draws, strict=True)
        ]
    )
    warnings = _warnings(solved, fine, poses)
    if not is_determined(fine, solved.shared):
        deviation *= SETTINGS["depth_unknown"]["spread"]
        warnings.append(tables.warning("warnings.depth_unknown"))
    if why_not_standing is not None and (fine.planted or not isinstance(standing, str)):
        warnings.append(_nobody_stands(why_not_standing))
    several: dict[str, Any] = {}
    cameras = camera_entries(fine, solved.joints, solved.shared, solved.shared_draws, sights)
    if len(poses) > 1:
        several = {"cameras": cameras, "further_histories": [history(other) for other in poses[1:]]}
        more = warnings_of_cameras(poses, cameras, calibrated=calibrated is not None)
        doubtful |= "cameras_disagree" in {warning["code"] for warning in more}
        warnings += more
    if calibrated is not None:
        several["calibrated"] = calibrated.history_entry
        warnings += calibrated.warnings
    joint_positions = gravity - np.array([0.0, floor, 0.0])
    stood = np.zeros(1) if fine.standing is None else fine.standing
    result = _fitted_dataset(pose, position, fine.knots, joint_positions, deviation)
    lengths = np.exp(solved.shared[FIRST_LENGTH:FIRST_OFFSET] - solved.shared[HEIGHT])
    stretch = float(np.exp(solved.shared[FOCAL_FACTOR]))
    body = with_history(
        result.assign_attrs(method=METHOD),
        "fit_body",
        {
            "field_of_view": _as_given(fields_of_view),
            "focal_length": _as_given(focal_lengths),
            "camera_pitch": _as_given(pitches),
            "calibration": None if calibrated is None else calibrated.history_entry["file"],
            "height_m": height_m,
            "feet_planted": feet_planted,
            "unbalanced": unbalanced,
            "standing": standing,
            "load": load,
            "without": list(without),
            "rate_hz": rate_hz,
            "draws": draws,
        },
        source=pose,
        planted=fine.planted,
        **stances_and_steps(fine, solved.joints, solved.shared),
        standing_seconds=round(float(stood.sum() / max(stood.max(), 1e-9) * fine.step), 2),
        standing_knee_deg=_knee_of_standing(fine, standing),
        focal_length_px=round(focal * stretch, 1),
        camera_pitch_deg=round(float(np.degrees(np.arctan(solved.shared[PITCH]))), 2),
        camera_roll_deg=round(float(np.degrees(np.arctan(solved.shared[ROLL]))), 2),
        length_fractions=_rounded(SEGMENT_NAMES, lengths),
        landmark_offsets_m=_rounded(OFFSETS, solved.shared[FIRST_OFFSET:FIRST_DEPTH_ERROR]),
        focal_length_from=focal_from,
        mirrored=solved.mirrored,
        iterations=solved.steps,
        warnings=warnings,
        **several,
    )
    body.attrs |= origin_of(poses)._asdict()
    return Fit(body, cameras[0]["residual_m"], float(fine.weight.mean()), doubtful)


def _solved(
    coarse: Problem,
    fine: Problem,
    joints: Array,
    standing: Standing,
    *,
    draws: int,
    stances_given: bool,
) -> tuple[Problem, Problem, SolvedTrial, WhyNotStanding | None]:
    """Solve the recording; join stances between which the body takes no step, and solve it again.

    Returns
    -------
    coarse, fine
        The solved problems, with the weights of standing.
    solved, why_not_standing
        Their solution, and the reason why nobody was found to stand.
    """
    while True:
        weighted_coarse, weighted_fine, why_not = with_standing(coarse, fine, joints, standing)
        rng = np.random.default_rng(0)
        solved = solve_trial(weighted_coarse, weighted_fine, joints, draws=draws, rng=rng)
        stances = fine.stances if stances_given else lasting_stances(fine, solved.shared)
        if stances == fine.stances:
            return weighted_coarse, weighted_fine, solved, why_not
        coarse, fine = (with_stances_in_all_views(problem, stances) for problem in (coarse, fine))


def _as_given(values: tuple[float | None, ...]) -> float | tuple[float | None, ...] | None:
    """Return one value if all cameras have the same."""
    return values[0] if len(set(values)) == 1 else values


def _knee_of_standing(fine: Problem, standing: Standing) -> dict[str, float] | None:
    """Return the knee flexion in standing that the fit used, and its sd; None without it."""
    if fine.standing is None:
        return None
    mean, sd = fine.standing_knee
    return {"assumed" if isinstance(standing, str) else "given": mean, "sd": sd}


def _rounded(names: Iterable[str], values: Array) -> dict[str, float]:
    return {name: round(float(value), 4) for name, value in zip(names, values, strict=True)}


def _warnings(
    solved: SolvedTrial, fine: Problem, poses: Sequence[xr.Dataset]
) -> list[dict[str, str]]:
    """Warn about everything that makes the result less certain than it looks."""
    forward = np.cross(up_of(solved.shared), unit_vectors(hip_line(solved.joints)))
    backs = [
        np.array([0.0, 0.0, 1.0]),
        *(view.towards_camera(solved.shared) for view in fine.views),
    ]
    facing = max(float(np.median(forward @ back)) for back in backs)
    warnings = []
    if facing < -_BEHIND:
        face = max(map(_face_seen, poses)) >= _FACE_SEEN
        evidence, values = ("face", {"face": True}) if face else ("back", {})
        warnings.append(tables.warning(f"warnings.seen_from_behind.{evidence}", **values))
    if _feet_hardly_seen(fine):
        warnings.append(_feet_not_seen(poses))
    return warnings


def _face_seen(pose: xr.Dataset) -> float:
    """Return the median confidence of the nose or the eye that is seen best; 0 for MediaPipe."""
    if source_of(pose).key == MEDIAPIPE:
        return 0.0
    names = [name for name in _FACE if name not in never_there(pose, _FACE)]
    if not names:
        return 0.0
    return float(np.median(np.nan_to_num(landmarks(pose, "confidence", keypoints=names)), 0).max())


def _feet_not_seen(poses: Sequence[xr.Dataset]) -> dict[str, Any]:
    if all(is_without_feet(pose) for pose in poses):
        return tables.warning("warnings.feet_not_seen.absent", absent=True)
    return tables.warning("warnings.feet_not_seen.hidden")


def _feet_hardly_seen(problem: Problem) -> bool:
    return max(float(view.weight[:, FEET].mean()) for view in problem.per_camera) < _FEET_SEEN


def _nobody_stands(why: WhyNotStanding) -> dict[str, Any]:
    return tables.warning("warnings.nobody_stands", why=tables.sentence(f"reasons.standing.{why}"))


def _at_frames(
    solved: SolvedTrial,
    fine: Problem,
    time: Array,
    image: Array,
    world: Array | None,
    weight: Array,
) -> Array:
    """Return all 33 landmarks at the frames, in camera axes, with constant segment lengths.

    Face and hands are as deep as shoulders and wrists if their depth is not known.
    """
    from scipy.interpolate import CubicSpline

    joints = CubicSpline(fine.knots, solved.joints)(time)
    length = dict(zip(SEGMENT_NAMES, np.exp(solved.shared[FIRST_LENGTH:FIRST_OFFSET]), strict=True))
    # Segments keep their directions, so that no joint angle changes; ankles stay in place.
    for name, far in (("shank", 0), ("thigh", 0), ("upper_arm", 1), ("forearm", 1)):
        for ends in SEGMENTS[name].ends:
            moved, fixed = ends[far], ends[1 - far]
            away = unit_vectors(joints[:, moved] - joints[:, fixed])
            joints[:, moved] = joints[:, fixed] + away * length[name]
    for heel, toe in SEGMENTS["foot"].ends:
        middle = joints[:, [heel, toe]].mean(axis=1)
        sole = unit_vectors(joints[:, toe] - joints[:, heel]) * length["foot"]
        joints[:, heel], joints[:, toe] = middle - 0.5 * sole, middle + 0.5 * sole
    points = np.full((time.size, len(KEYPOINTS), 3), np.nan)
    points[:, [INDEX[name] for name in FITTED]] = joints
    stretch = np.exp(solved.shared[FOCAL_FACTOR])
    shoulders = joints[:, SHOULDERS].mean(axis=1)
    world = np.zeros((time.size, len(KEYPOINTS), 3)) if world is None else world
    depths = world[:, [INDEX["left_shoulder"], INDEX["right_shoulder"]]].mean(axis=1)
    for i, name in enumerate(KEYPOINTS):
        if name in FITTED:
            continue
        side = "left" if "left" in name else "right"
        anchor, anchor_depth = shoulders, depths
        if name.rsplit("_", 1)[-1] in ("pinky", "index", "thumb"):
            anchor = points[:, INDEX[f"{side}_wrist"]]
            anchor_depth = world[:, INDEX[f"{side}_wrist"]]
        depth = -anchor[:, 2] - fine.scale * (world[:, i, 2] - anchor_depth[:, 2])
        points[:, i] = seen_at(image[:, i] / stretch, depth)
        points[weight[:, i] <= LEAST_WEIGHT, i] = np.nan
    return points


def _fitted_dataset(
    pose: xr.Dataset, position: Array, knots: Array, centre: Array, deviation: Array
) -> xr.Dataset:
    """Make the Dataset of the fitted positions, their errors and posterior samples."""
    dims: tuple[Hashable, ...] = ("time", "space", "keypoint")
    dims += ("individual",) if "individual" in pose.dims else ()
    space = ["x", "y", "z"]
    if "position" in pose:
        dims, space = pose["position"].dims, pose["space"].to_numpy().tolist()
    values = xr.DataArray(
        position,
        dims=("time", "keypoint", "space"),
        coords={"space": ["x", "y", "z"], "keypoint": list(KEYPOINTS)},
    ).sel(space=space, keypoint=pose["keypoint"])
    if "individual" in dims:
        values = values.expand_dims("individual")
    result = pose.copy().assign_coords(space=space)
    result["position"] = (
        dims,
        values.transpose(*dims).to_numpy(),
        {
            "units": "m",
            "long_name": "position of the fitted body",
            "axes": "x right of the camera, y up, z horizontally towards the camera",
            "origin": "on the floor under the camera",
        },
    )
    result["fit_position"] = (
        ("fit_time", "fit_space", "fit_keypoint"),
        centre.transpose(0, 2, 1),
        {"units": "m", "long_name": "position of the fitted joints at the knots of the fit"},
    )
    result["position_draws"] = (
        ("draw", "fit_time", "fit_space", "fit_keypoint"),
        # Eleven bits, a tenth of a millimetre, are enough for a posterior sample, and the file
        # compresses well.
        deviation.transpose(0, 1, 3, 2).astype(np.float16).astype(np.float32),
        {
            "units": "m",
            "long_name": "deviation of the posterior samples from the fit, at its knots",
            "method": "Gauss-Newton Hessian; mirrored solutions by their probability",
        },
    )
    return result.assign_coords(
        fit_time=("fit_time", knots, {"units": "s", "long_name": "time of the knots of the fit"}),
        fit_space=["x", "y", "z"],
        fit_keypoint=list(FITTED),
    )
