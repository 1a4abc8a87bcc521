r"""A body whose segments keep their lengths, fitted to all frames of a trial at once.

MediaPipe's landmarks are good in the picture and poor in depth. A body with constant segment
lengths, planted feet and smooth movement leaves little depth to guess: a thigh that looks short
points towards the camera or away from it.

The unknowns are the positions of 16 joints at regular instants (knots) and a few numbers that are
shared by the whole trial: focal length, camera tilt, floor, segment lengths, offsets of landmarks
from joint centres, places of the feet. The normal equations of Gauss-Newton are banded in the
positions with a border for what is shared.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from pydantic import Field, InstanceOf
from threadpoolctl import threadpool_limits

from mobility import tables
from mobility.errors import BadInputError
from mobility.kinematics.angles import angle_between
from mobility.kinematics.calibration import Calibration, Known, known_cameras
from mobility.kinematics.skeleton import INDEX, KEYPOINTS, SIDES, require_pose
from mobility.options import Standing, checked, likely
from mobility.progress import progress_bar
from mobility.provenance import history, with_history

if TYPE_CHECKING:
    from mobility.kinematics.cameras import View

log = logging.getLogger(__name__)

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

VISIBILITY_THRESHOLD = 0.1
"""Gate of clean_pose before a fit, which weighs landmarks by their visibility itself."""

METHOD = "fitted_body"
"""Value of the attribute ``method`` of a fitted pose."""

FITTED: tuple[str, ...] = tuple(
    f"{side}_{name}"
    for name in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle", "heel", "foot_index")
    for side in SIDES
)
"""The joints that are fitted; all other landmarks are carried along for drawing."""

LS, RS, LE, RE, LW, RW, LH, RH, LK, RK, LA, RA, LC, RC, LT, RT = range(16)
_LEFT = {"shoulder": LS, "elbow": LE, "wrist": LW, "hip": LH, "knee": LK, "ankle": LA}
_LEFT |= {"heel": LC, "toe": LT}
"""Left joint of each pair; the right one follows it."""

_N = 16
_D = 3 * _N
_BAND = 3 * _D
"""Entries on and below the diagonal: second differences couple a knot with the next two."""

_SETTINGS: Mapping[str, Any] = tables.load("fit")
_TERM: Mapping[str, Any] = _SETTINGS["terms"]
"""What each term assumes: table fit."""

_LANDMARK_SD = tuple(
    _TERM["picture"]["sd_m"][joint.replace("foot_index", "toe")]
    for joint in (name.partition("_")[2] for name in FITTED)
)
"""Metres, by joint as in FITTED: error of a landmark in the picture, at the body's distance."""


class _Segment(NamedTuple):
    ends: tuple[tuple[int, int], ...]
    ratio: float  # length as a fraction of stature
    ratio_sd: float  # of its logarithm
    sd: float  # metres, by which the length may vary from knot to knot


def _segments() -> Mapping[str, _Segment]:
    found = {}
    for name, entry in tables.load("body_segments")["segments"].items():
        ends: tuple[tuple[int, int], ...] = ()
        if "limb" in entry:
            one, other = (_LEFT[joint] for joint in entry["limb"])
            ends = ((one, other), (one + 1, other + 1))
        elif "across" in entry:
            ends = ((_LEFT[entry["across"]], _LEFT[entry["across"]] + 1),)
        found[name] = _Segment(ends, entry["ratio"], entry["ratio_sd"], entry["sd_m"])
    return found


_SEGMENTS: Mapping[str, _Segment] = _segments()
"""Table body_segments; the trunk joins the middles of shoulders and hips."""

_ALONG = {
    "thigh": (LH, LK),
    "shank": (LK, LA),
    "upper_arm": (LS, LE),
    "forearm": (LE, LW),
    "foot": (LC, LT),
}
"""Left ends of the segment along which an offset lies."""

_SCALE: Sequence[str] = _TERM["scale"]["of"]
"""Segments whose mean fraction of stature fixes the scale, which a picture does not contain."""


class _Offset(NamedTuple):
    joints: tuple[int, int]
    direction: str
    mean: float
    sd: float


def _offsets() -> Mapping[str, _Offset]:
    return {
        name: _Offset(
            (_LEFT[entry["joint"]], _LEFT[entry["joint"]] + 1),
            entry["direction"],
            entry["mean_m"],
            entry["sd_m"],
        )
        for name, entry in tables.load("landmark_offsets")["offsets"].items()
    }


_OFFSETS: Mapping[str, _Offset] = _offsets()
"""Metres by which MediaPipe's landmark lies off the joint centre, or off the line of the sole for
heel and toe: table landmark_offsets."""


class _Depth(NamedTuple):
    near: int
    far: int
    sd: float  # metres
    behind: float  # fraction by which it is larger seen from behind


_DEPTHS: Mapping[str, _Depth] = {
    name: _Depth(FITTED.index(near), FITTED.index(far), sd, behind)
    for name, (near, far, sd, behind) in _TERM["depths"]["of"].items()
}
"""Depths between joints that MediaPipe's world landmarks tell."""

_SHARE_OF_SEVERAL: float = _TERM["depths"]["share_of_several_cameras"]
"""Weight of these depths where several cameras show the depth: they err alike in every view."""

_DEPTH_ERRORS: Mapping[str, Mapping[str, Any]] = _TERM["depth_errors"]["of"]
"""What they get wrong all through a trial; unknowns of the fit."""

_COM_SHARES = (
    (LS, LE, 0.0263, 0.577),
    (LE, LW, 0.0150, 0.457),
    (LW, LW, 0.0059, 0.0),
    (LH, LK, 0.1447, 0.385),
    (LK, LA, 0.0457, 0.443),
    (LC, LT, 0.0133, 0.42),
)
"""From, to, mass of one side and place of its centre: de Leva 1996, J Biomech 29:1223."""

_TRUNK_MASS, _TRUNK_CENTRE, _HEAD_MASS, _HEAD_ABOVE = 0.432, 0.55, 0.068, 0.5
"""The head's centre lies half a trunk above the shoulders."""

_STATURE = _TERM["stature"]["usual_m"]

_KNEE = _TERM["standing"]["knee_deg"]
_STANDING_KNEE = (_KNEE["mean"], _KNEE["sd"])
_GATE_DRAWS = 256

_TILT_SD = (
    float(np.radians(_TERM["tilt"]["pitch_sd_deg"])),
    float(np.radians(_TERM["tilt"]["roll_sd_deg"])),
)

_HELD = 1e-3
"""Radians within which the fit holds the angles of standing."""

_LEFT_OUT = 100.0
"""By how much a prior of what is shared is widened to leave it out."""

_SEEN = 0.05
"""Weight (squared visibility) below which a landmark says nothing."""

_HARDLY = 0.01
"""Weight of a foot that is hidden; enough to tell whether it stays."""

_BEHIND, _FEET_SEEN = 0.5, 0.15
"""Part of the forward direction that points away from the camera; mean weight of heels and toes."""

_LIMBS = (
    *((*ends, "arms") for ends in ((LS, LE, LW), (LH, LS, LE), (RS, RE, RW), (RH, RS, RE))),
    *((*ends, "knees") for ends in ((LH, LK, LA), (RH, RK, RA))),
)
"""Elbows, shoulders and knees, as three joints each, and which width is theirs."""

_BARELY = (0.0, 0.1, 0.1)
"""Weights of no slope and of no curvature under a triangle, so that few frames give their mean."""

_COARSE_HZ = 2.5
_FIRST_DAMPING = 3e-2
_WINDOW_KNOTS, _OVERLAP_KNOTS = 450, 30
_SWITCH = 2.0
"""A mirrored limb must be better by so much (twice the log-likelihood) to be preferred."""

_DOUBT, _SAME_MODE, _HOPELESS = 6.0, 0.10, 40.0
"""A mirrored solution that costs so much more is e times less probable. Two would be right if the
terms were independent and their errors normal; they are not."""

_FRAME_SHARE = 0.45
"""Share of the error of one knot that is not smoothed away because errors last; from the
agreement of errors and standard deviations on rendered clips."""

_UNSEEN_S = 0.25
"""Seconds from the nearest frame with a person beyond which nothing is reported."""

_NAMES = tuple(_SEGMENTS)
_RATIO = np.log([s.ratio for s in _SEGMENTS.values()])
_RATIO_SD = np.array([s.ratio_sd for s in _SEGMENTS.values()])
_FEET = (LC, LT, RC, RT)

# Places in the border.
_F, _PITCH, _ROLL, _FLOOR, _H, _KNEES, _TRUNK = range(7)
_LEN = 7
_OFF = _LEN + len(_SEGMENTS)
_DEEP = _OFF + len(_OFFSETS)
_FOOT = _DEEP + len(_DEPTH_ERRORS)

_PARENTS = {LE: LS, RE: RS, LW: LE, RW: RE, LK: LH, RK: RH, LA: LK, RA: RK}
_PARENTS |= {LC: LA, RC: RA, LT: LA, RT: RA}
_UPPER = [LS, RS, LE, RE, LW, RW]


@dataclass(frozen=True)
class _Problem:
    """What is observed at the knots."""

    knots: Array  # (n,), s
    image: Array  # (n, joint, 2), right and up of the centre, in focal lengths
    world: Array  # (n, joint, 3), m
    weight: Array  # (n, joint)
    focal_sd: float
    stature: float  # logarithm
    planted: bool = False
    distance: Array = field(default_factory=lambda: np.zeros(0))  # (n,), m
    scale: float = 1.0  # of the world landmarks
    told: Array = field(default_factory=lambda: np.zeros((0, 0)))  # (n, depth), m
    told_sd: Array = field(default_factory=lambda: np.zeros((0, 0)))
    standing: Array | None = None  # (n,), weight of standing straight
    standing_knee: tuple[float, float] = _STANDING_KNEE  # degrees, mean and standard deviation
    without: frozenset[str] = frozenset()  # terms
    prior: tuple[Array, Array] | None = None  # mean and precision of the border
    views: tuple[View, ...] = ()  # of further cameras
    stature_sd: float = _TERM["stature"]["sd"]
    tilt: tuple[float, float] = (0.0, 0.0)  # of the camera, tangents of pitch and roll
    tilt_sd: tuple[float, float] = _TILT_SD
    calibrated: bool = False
    feet_told: bool = False  # whether the feet stay was said, and not seen

    @property
    def terms(self) -> frozenset[str]:
        """Terms that apply."""
        apart = {"upright"} if self.planted else {"bends", "feet", "balance"}
        if self.calibrated:
            apart |= {"bends", "standing"}  # several cameras measure the depth
        elif self.standing is None:
            apart |= {"standing", "depth_errors"}
        if "feet" in self.without:
            apart |= {"balance"}  # over feet whose places nothing tells
        return (frozenset(_TERM) | {"views", "places"}) - apart - self.without

    @property
    def step(self) -> float:
        return float(self.knots[1] - self.knots[0])

    @property
    def depth_share(self) -> float:
        """Weight of the depths of the world landmarks."""
        return _SHARE_OF_SEVERAL if self.views else 1.0

    @property
    def each(self) -> list[_Problem]:
        """What each of the cameras observed."""
        return [self, *(view.problem for view in self.views)]

    @property
    def border(self) -> int:
        return _FOOT + (12 if self.planted else 0) + sum(view.size for view in self.views)


class _Normal(NamedTuple):
    """Gauss-Newton at one point: gradient and Hessian of half the cost, in blocks."""

    cost: float
    diagonal: Array  # (n, 48, 48)
    gradient: Array  # (n * 48,)
    cross: Array  # (n * 48, border)
    shared: Array  # (border, border)
    shared_gradient: Array
    smooth: float


class _Solution(NamedTuple):
    joints: Array  # (n, joint, 3), camera axes
    border: Array
    normal: _Normal
    steps: int


_FieldOfView = Annotated[float, Field(gt=5, lt=170)]
_FocalLength = Annotated[float, Field(gt=0)]


@checked
# The matrices are small: with several BLAS threads, which wait for each other, a fit takes up to a
# hundred times as long, and its last digits depend on their number.
@threadpool_limits.wrap(limits=1, user_api="blas")  # type: ignore[untyped-decorator]
def fit_body(
    pose: xr.Dataset | Sequence[xr.Dataset],
    *,
    field_of_view: _FieldOfView | tuple[_FieldOfView | None, ...] | None = None,
    focal_length: _FocalLength | tuple[_FocalLength | None, ...] | None = None,
    calibration: InstanceOf[Calibration] | str | os.PathLike[str] | None = None,
    height_m: Annotated[float, Field(ge=0.5, le=2.6)] | None = None,
    feet_planted: bool | None = None,
    standing: Standing = "straight",
    without: Sequence[str] = (),
    rate_hz: Annotated[float, Field(ge=5, le=30)] = 7.5,
    draws: Annotated[int, Field(ge=8, le=200)] = 32,
) -> xr.Dataset:
    r"""Fit a body with constant segment lengths to all frames of a trial.

    Minimised over the joint positions :math:`x_t` at regular knots and the shared numbers
    :math:`\beta` is the sum of squares, each in units of its standard deviation, of

    - the distance in the picture between each landmark and its joint (pinhole camera, Huber);
    - segment lengths less their shared values, and these less usual fractions of stature;
    - depth between the ends of segments less that of the world landmarks (Cauchy);
    - second differences in time;
    - feet turned far from the pelvis;
    - with planted feet: heel and toe less their constant places (Cauchy; a heel that is seen may
      rise), these less one floor, and the centre of mass less its place over the feet (Cauchy);
    - with planted feet, where the subject stands tall and still: knees and trunk less the usual
      angles of standing (Cauchy), and an error of the depths of knees and trunk that is the same
      all through the trial, as a static trial calibrates markers;
    - with planted feet: :math:`\log(1 + b^2 / w^2)` of the bend :math:`b`, the length of the
      difference of the unit vectors along both segments, of knees, elbows and shoulders: drawn
      weakly to straight, and beyond :math:`w` no bend likelier than another;
    - with moving feet: the centre of mass less its place over the ankles, and the trunk less its
      usual lean (Cauchy);
    - camera tilt, focal length and offsets of the landmarks less what is usual.

    The table ``fit`` has each term with its numbers and their source.

    But for standing, the bends and that lean, no term concerns the posture of a joint that is
    measured; bends make up for nearly all places of a limb's joints bending it. Errors of landmarks
    last from frame to frame, so frames count as one independent observation in 1.3 s. Starting
    points with single limbs mirrored in depth are tried; those that explain the picture nearly as
    well widen the uncertainty. MediaPipe smooths its landmarks from frame to frame, by which they
    come late; the usual delay (table ``synchronisation``) is taken off.

    The uncertainty is a sample of the posterior, ``position_draws``: drawn from the Gauss-Newton
    Hessian (positions and shared numbers together) and, with their probabilities, from the mirrored
    solutions. The usual angles of standing and walking are drawn as people differ, one of each for
    the whole trial, however many frames show it (considered parameters, Schmidt 1966). Any quantity
    is propagated by computing it from each draw; see
    :func:`~mobility.kinematics.angles.angle_draws`.

    Parameters
    ----------
    pose
        Pose Dataset with ``position`` (metres), ``image_position`` (pixels), ``confidence`` and the
        attributes image_width and image_height. Landmarks may be missing. Exchanges of left and
        right should have been undone, ``clean_pose(pose, visibility_threshold=0.1)``: the fit
        weighs landmarks by their visibility and needs the hidden side too. A sequence of poses
        of the same trial, seen by several cameras that stood still, gives one body that agrees
        with all of them. The cameras need not be calibrated or started together: time offsets
        (:func:`~mobility.kinematics.cameras.time_offset`), places and focal lengths are found.
        The first camera defines the times and the axes.
    field_of_view
        Of the longer side of the picture, degrees; one number holds for all cameras, a tuple
        gives each its own.
    focal_length
        In pixels, instead of `field_of_view`. Without either it is fitted (0.88 of the longer side,
        sd 12 %).
    calibration
        File with the lenses of the cameras, and where they stood
        (:func:`~mobility.kinematics.calibration.read_calibration`): focal lengths, places and scale
        are then known, landmarks are freed from distortion, and so is the vertical where the file
        says which way is up. Cameras are those whose name is in the name of the video
        (``source_file``), else in their order. Of several, only the time offset is found. Of one
        camera, its lens and the vertical are taken.
    height_m
        Stature in metres. Without it 1.70 is taken: angles do not depend on it, lengths do. Several
        calibrated cameras show it.
    feet_planted
        Whether the feet stay where they are; None finds out.
    standing
        "straight": where feet stay, whoever is tallest and still stands straight, as in the static
        trial of a laboratory, and what the world landmarks get wrong there, they get wrong all
        through. A number is the flexion (degrees) in which the knees were measured to stand.
        "free": nothing is known of how the subject stands; from the front, knees and trunk are
        then less certain.
    without
        Terms of the table ``fit`` to leave out, for benchmarks.
    rate_hz
        Knots per second, at most; the frame rate if that is less. The default follows movements
        of up to about 3 Hz; on squats 15 gave the same lower-body errors within 0.1 degrees.
    draws
        Number of draws of the posterior.

    Returns
    -------
    xarray.Dataset
        The pose schema with the attribute ``method="fitted_body"``. ``position``: x right of the
        camera, y up against gravity, z horizontally towards the camera, metres, the floor at y = 0
        and the camera at x = z = 0. Face and hands are carried along at their place in the picture.
        NaN where nobody was seen for 0.25 s, and for a joint that was never seen.
        ``position_draws`` (draw, fit_time, fit_space, fit_keypoint): deviations from the fit at the
        knots. The history entry tells camera, lengths as a fraction of stature, offsets, and
        whether the feet were planted.

    Raises
    ------
    BadInputError
        If `pose` lacks what is needed, both focal length and field of view are given, or fewer than
        5 frames show a person.

    References
    ----------
    de Leva 1996, J Biomech 29:1223; Triggs et al. 2000, Bundle adjustment, LNCS 1883:298;
    Schmidt 1966, Application of state-space methods to navigation problems, Adv Control Syst 3:293;
    Drillis & Contini 1966, Body segment parameters.
    """
    poses = [pose] if isinstance(pose, xr.Dataset) else list(pose)
    if not poses:
        raise BadInputError("fit_body: no pose was given")
    pose = poses[0]
    for name in without:
        if name not in _TERM:
            raise BadInputError(f"fit_body: without: no term {name!r}{likely(name, _TERM)}")
    if field_of_view is not None and focal_length is not None:
        raise BadInputError("fit_body: give field_of_view or focal_length, not both")
    given: Known | None = None
    if calibration is not None:
        if field_of_view is not None or focal_length is not None:
            raise BadInputError(
                "fit_body: the calibration has the lens; leave out field_of_view and focal_length"
            )
        given = known_cameras(calibration, poses)
    sights = [
        _sight(each, fov, px)
        for each, fov, px in zip(
            poses if given is None else given.poses,
            _of_each(field_of_view, poses, "field_of_view"),
            _of_each(focal_length if given is None else given.focal, poses, "focal_length"),
            strict=True,
        )
    ]
    time = pose["time"].to_numpy().astype(np.float64)
    _, centred, world, weight, focal, known = sights[0]
    span, present = _span(sights[0])

    coarse = _problem(sights[0], span, min(_COARSE_HZ, rate_hz), height_m, given)
    coarse, joints = _start(replace(coarse, without=frozenset(without)), feet_planted)
    fine = _problem(sights[0], span, rate_hz, height_m, given)
    fine = replace(
        fine,
        planted=coarse.planted,
        feet_told=coarse.feet_told,
        without=coarse.without,
        scale=coarse.scale,
        distance=np.interp(fine.knots, coarse.knots, coarse.distance),
    )
    fine = _with_depths(fine)
    if len(poses) > 1:
        from mobility.kinematics.cameras import with_cameras

        coarse, fine, joints = with_cameras(
            coarse, fine, joints, poses, sights, feet_planted, given
        )
    coarse, fine = _with_standing(coarse, fine, joints, standing)
    rng = np.random.default_rng(0)
    solved = _solve_trial(coarse, fine, joints, draws=draws, rng=rng)

    rotation = _rotation(solved.border)
    gravity = solved.joints @ rotation.T
    if fine.planted:
        floor = float(solved.border[_FLOOR])
    else:
        floor = float(np.percentile(gravity[:, _FEET, 1], 2))
    position = np.full((time.size, len(KEYPOINTS), 3), np.nan)
    position[span] = _at_frames(
        solved, fine, time[span], centred[span], world[span], weight[span]
    ) @ rotation.T - np.array([0.0, floor, 0.0])
    never = [
        INDEX[FITTED[j]]
        for j in range(_N)
        if not any((one.weight[:, j] > _SEEN).any() for one in fine.each)
    ]
    position[:, never] = np.nan
    seen = time[present]
    nearest = np.abs(seen[np.clip(np.searchsorted(seen, time), 0, seen.size - 1)] - time)
    before = np.abs(seen[np.clip(np.searchsorted(seen, time) - 1, 0, seen.size - 1)] - time)
    position[np.minimum(nearest, before) > _UNSEEN_S] = np.nan

    deviation = np.stack(
        [
            (solved.joints + dx) @ _rotation(solved.border + db).T - gravity
            for dx, db in zip(solved.draws, solved.border_draws, strict=True)
        ]
    )
    warnings = _warnings(solved, fine, standing)
    several: dict[str, Any] = {}
    if len(poses) > 1:
        from mobility.kinematics.cameras import described, warnings_of_cameras

        told = described(fine, solved.joints, solved.border, solved.border_draws, sights)
        several = {"cameras": told, "further_histories": [history(each) for each in poses[1:]]}
        warnings += warnings_of_cameras(poses, told, calibrated=given is not None)
    if given is not None:
        several["calibrated"] = given.told
        warnings += given.warnings
    centre = gravity - np.array([0.0, floor, 0.0])
    result = _dataset(pose, position, fine.knots, centre, deviation)
    lengths = np.exp(solved.border[_LEN:_OFF] - solved.border[_H])
    stretch = float(np.exp(solved.border[_F]))
    return with_history(
        result.assign_attrs(method=METHOD),
        "fit_body",
        {
            "field_of_view": field_of_view,
            "focal_length": focal_length,
            "calibration": None if given is None else given.told["file"],
            "height_m": height_m,
            "feet_planted": feet_planted,
            "standing": standing,
            "without": list(without),
            "rate_hz": rate_hz,
            "draws": draws,
        },
        source=pose,
        planted=fine.planted,
        standing_seconds=0.0
        if fine.standing is None
        else round(float((fine.standing > 0).sum() * fine.step), 2),
        focal_length_px=round(focal * stretch, 1),
        camera_pitch_deg=round(float(np.degrees(np.arctan(solved.border[_PITCH]))), 2),
        camera_roll_deg=round(float(np.degrees(np.arctan(solved.border[_ROLL]))), 2),
        length_fractions={n: round(float(v), 4) for n, v in zip(_NAMES, lengths, strict=True)},
        landmark_offsets_m={
            n: round(float(v), 4) for n, v in zip(_OFFSETS, solved.border[_OFF:_DEEP], strict=True)
        },
        focal_length_given=known,
        mirrored=solved.mirrored,
        steps=solved.steps,
        warnings=warnings,
        **several,
    )


class _Sight(NamedTuple):
    """What one camera saw."""

    time: Array  # (time,), s, at which the body was where the landmarks are
    image: Array  # (time, 33, 2), right and up of the centre, in focal lengths
    world: Array  # (time, 33, 3), m
    weight: Array  # (time, 33)
    focal: float  # pixels
    known: bool  # whether the focal length was given


def _sight(pose: xr.Dataset, field_of_view: float | None, focal_length: float | None) -> _Sight:
    require_pose(pose, what="fit_body")
    time, world, image, visibility, size = _observed(pose)
    longer = max(size)
    focal = _TERM["focal"]["usual"] * longer
    if focal_length is not None:
        focal = focal_length
    elif field_of_view is not None:
        focal = longer / 2 / np.tan(np.radians(field_of_view) / 2)
    known = field_of_view is not None or focal_length is not None
    centred = np.stack([image[..., 0] - size[0] / 2, size[1] / 2 - image[..., 1]], axis=-1) / focal
    usable = np.isfinite(world).all(axis=-1) & np.isfinite(centred).all(axis=-1)
    weight = np.where(usable, np.clip(np.nan_to_num(visibility), 0, 1) ** 2, 0.0)
    if pose.attrs.get("source_software") == "MediaPipe":
        time = time - tables.load("synchronisation")["landmark_delay"]["mean_s"]
    return _Sight(time, centred, world, weight, focal, known)


def _focal_sd(sight: _Sight) -> float:
    return float(_TERM["focal"]["sd_if_given" if sight.known else "sd"])


def _span(sight: _Sight) -> tuple[slice, Mask]:
    """Frames from the first to the last with a person, and which frames show one."""
    present = (sight.weight[:, [INDEX[name] for name in FITTED]] > _SEEN).sum(axis=1) >= 6
    if present.sum() < 5:
        raise BadInputError(
            f"fit_body: {int(present.sum())} frames show a person; at least 5 are needed"
        )
    first, last = np.flatnonzero(present)[[0, -1]]
    return slice(int(first), int(last) + 1), present


def _problem(
    sight: _Sight, span: slice, rate: float, height_m: float | None, given: Known | None
) -> _Problem:
    fitted = [INDEX[name] for name in FITTED]
    knots, values, share = _resampled(
        sight.time[span],
        np.concatenate([sight.image, sight.world], axis=-1)[span][:, fitted],
        sight.weight[span][:, fitted],
        rate,
    )
    problem = _Problem(
        knots=knots,
        image=values[..., :2],
        world=values[..., 2:],
        weight=share,
        focal_sd=_focal_sd(sight),
        stature=float(np.log(_STATURE if height_m is None else height_m)),
    )
    if given is None:
        return problem
    problem = replace(problem, focal_sd=given.focal_sd, calibrated=bool(given.axes))
    if given.axes and height_m is None:
        problem = replace(problem, stature_sd=_TERM["stature"]["sd_if_cameras_are_calibrated"])
    if given.tilt is not None:
        problem = replace(problem, tilt=given.tilt, tilt_sd=(given.tilt_sd, given.tilt_sd))
    return problem


def _of_each(
    option: float | tuple[float | None, ...] | None, poses: Sequence[xr.Dataset], name: str
) -> tuple[float | None, ...]:
    """Give an option of the cameras for each of them."""
    if not isinstance(option, tuple):
        return (option,) * len(poses)
    if len(option) != len(poses):
        raise BadInputError(
            f"fit_body: {name} has {len(option)} values for {len(poses)} cameras; give one for all "
            "or one for each"
        )
    return option


def _warnings(solved: _Trial, fine: _Problem, standing: Standing) -> list[dict[str, str]]:
    """List what makes the result less certain than it looks."""
    across = solved.joints[:, RH] - solved.joints[:, LH]
    forward = np.cross(_up(solved.border), _unit(across))
    backs = [np.array([0.0, 0.0, 1.0]), *(view.back(solved.border) for view in fine.views)]
    facing = max(float(np.median(forward @ back)) for back in backs)
    feet = max(float(one.weight[:, _FEET].mean()) for one in fine.each)
    found = {
        "seen_from_behind": (
            facing < -_BEHIND,
            "Seen from behind: knee, hip and trunk angles are much less certain.",
        ),
        "feet_not_seen": (
            feet < _FEET_SEEN,
            "The feet are hardly seen: ankle, knee and tibia angles are much less certain.",
        ),
        "nobody_stands": (
            fine.planted and fine.standing is None and standing != "free",
            "Nobody is seen to stand straight and whole in the picture: knee, hip and trunk angles "
            "are less certain, and knees may read too bent. Stand tall for two seconds before the "
            "first repetition.",
        ),
    }
    return [{"code": code, "message": text} for code, (true, text) in found.items() if true]


def _observed(pose: xr.Dataset) -> tuple[Array, Array, Array, Array, tuple[float, float]]:
    """Take out times, world and image landmarks (time, 33, 3 or 2), visibility, size."""
    for name in ("image_position", "confidence"):
        if name not in pose:
            raise BadInputError(f"fit_body: the pose has no '{name}'; make one with estimate_pose")
    try:
        size = float(pose.attrs["image_width"]), float(pose.attrs["image_height"])
    except KeyError as absent:
        raise BadInputError(f"fit_body: the pose has no attribute {absent}") from None

    def values(name: str, last: str | None, labels: Sequence[str]) -> Array:
        variable = pose[name]
        if "individual" in variable.dims:
            variable = variable.isel(individual=0, drop=True)
        variable = variable.sel(keypoint=list(KEYPOINTS))
        if last is None:
            ordered = variable.transpose("time", "keypoint")
        else:
            ordered = variable.sel({last: list(labels)}).transpose("time", "keypoint", last)
        return ordered.to_numpy().astype(np.float64)

    return (
        pose["time"].to_numpy().astype(np.float64),
        values("position", "space", "xyz"),
        values("image_position", "pixel", "uv"),
        values("confidence", None, ""),
        size,
    )


def _resampled(
    time: Array, values: Array, weight: Array, rate: float
) -> tuple[Array, Array, Array]:
    """Weighted means under triangles around regular knots, and their weights."""
    usual = float(np.median(np.diff(time)))
    span = float(time[-1] - time[0])
    count = max(int(np.ceil(span / max(1 / rate, usual))) + 1, 4)
    step = span / (count - 1)
    knots = time[0] + step * np.arange(count)
    place = (time - time[0]) / step
    mean, mass = _averaged(place, values, weight, count, step / usual)
    return knots, mean, mass


def _averaged(
    place: Array, values: Array, weight: Array, count: int, frames_per_knot: float
) -> tuple[Array, Array]:
    """Values at the knots of what lies at `place` (0 to count - 1) between them, and their weights.

    Parabolas under triangles: a mean would lag where a movement begins, and at both ends of it.
    """
    left = np.minimum(place.astype(np.intp), count - 2)
    share = place - left
    total = np.zeros((3, count, *values.shape[1:]))
    moments, frames = np.zeros((5, count, weight.shape[1])), np.zeros(count)
    known = np.where((weight > 0)[..., None], values, 0.0)
    for knot, part, away in ((left, 1 - share, share), (left + 1, share, share - 1)):
        own = weight * part[:, None]
        for power in range(5):
            grown = own * away[:, None] ** power
            np.add.at(moments[power], knot, grown)
            if power < 3:
                np.add.at(total[power], knot, known * grown[..., None])
        np.add.at(frames, knot, part)
    mass: Array = moments[0]
    normal = moments[np.add.outer(range(3), range(3))].transpose(2, 3, 0, 1)
    normal += np.diag(_BARELY) * mass[..., None, None]
    normal[mass == 0] = np.eye(3)
    solved = np.linalg.solve(normal, total.transpose(1, 2, 0, 3))
    found: Array = solved[..., 0, :].astype(np.float64)
    expected = 0.5 * min(1.0, frames_per_knot)  # frames at a knot without gaps, halved at the ends
    trust = np.minimum(1.0, frames / expected) / np.maximum(frames, 1e-9)
    return found, mass * trust[:, None]


def _unit(v: Array) -> Array:
    unit: Array = v / np.maximum(np.sqrt((v * v).sum(axis=-1, keepdims=True)), 1e-9)
    return unit


def _up(border: Array) -> Array:
    return _unit(np.array([border[_ROLL], 1.0, border[_PITCH]]))


def _rotation(border: Array) -> Array:
    """Rows: right, up and horizontally towards the camera, in camera axes."""
    up = _up(border)
    towards = _unit(np.array([0.0, 0.0, 1.0]) - up * up[2])
    return np.stack([np.cross(up, towards), up, towards])


def _start(problem: _Problem, feet_planted: bool | None) -> tuple[_Problem, Array]:
    """World landmarks moved to where they cover the picture; also finds planted feet.

    Nothing is assumed about the posture in which the trial begins.
    """
    from scipy.ndimage import median_filter, uniform_filter1d

    image, world, seen = problem.image, problem.world, problem.weight > _SEEN
    n = len(image)
    at = np.arange(n)
    distance = np.full(n, np.nan)
    for i in np.flatnonzero(seen.sum(axis=1) >= 6).tolist():
        u, w = image[i, seen[i]], world[i, seen[i]]
        # A body at w + (a, b, -d) is seen at u where a - u d = -x - u z.
        left = np.zeros((2 * len(u), 3))
        left[0::2, 0], left[1::2, 1], left[:, 2] = -1, -1, u.ravel()
        right = (w[:, :2] + u * w[:, 2:]).ravel()
        distance[i] = np.linalg.lstsq(left, right, rcond=None)[0][2]
    good = np.isfinite(distance)
    width = max(3, int(2 / problem.step) | 1)
    distance = np.interp(at, at[good], distance[good])
    distance = uniform_filter1d(
        median_filter(distance, width, mode="nearest"), width, mode="nearest"
    )
    distance = np.maximum(distance, 0.5)

    z, u = np.zeros((n, _N)), image.copy()
    for j in range(_N):
        rows = seen[:, j]
        if rows.any():
            z[:, j] = np.interp(at, at[rows], world[rows, j, 2])
            for a in (0, 1):
                u[:, j, a] = np.interp(at, at[rows], image[rows, j, a])
        elif j in _PARENTS:  # never seen: anywhere but on its neighbour
            u[:, j] = u[:, _PARENTS[j]] + np.array([0.003 * (-1) ** j, -0.08])
            z[:, j] = z[:, _PARENTS[j]] + 0.02
    joints = _seen_at(u, distance[:, None] - z)
    # The world landmarks often turn the feet towards the camera; they point along the pelvis.
    across = (joints[:, RH] - joints[:, LH]) * np.array([1.0, 0.0, 1.0])
    forward = np.cross([0.0, 1.0, 0.0], _unit(np.median(_unit(across), axis=0)))[2]
    for ankle, heel, toe in ((LA, LC, LT), (RA, RC, RT)):
        z[:, heel], z[:, toe] = z[:, ankle] - 0.05 * forward, z[:, ankle] + 0.16 * forward
    joints = _seen_at(u, distance[:, None] - z)
    legs = [
        problem.stature + _RATIO[i] - np.log(np.percentile(_lengths(joints, _NAMES[i]), 60))
        for i in (0, 1)
    ]
    scale = float(np.exp(np.mean(legs)))
    joints, distance = joints * scale, distance * scale
    planted = feet_planted
    if planted is None:
        planted = all(_is_planted(problem, distance, pair) for pair in ((LA, LT), (RA, RT)))
    told = feet_planted is not None
    problem = replace(problem, planted=planted, distance=distance, scale=scale, feet_told=told)
    return _with_depths(problem), joints


def _standing(problem: _Problem, *, measured: bool = False) -> Array | None:
    """Weight of each knot as one at which the subject stands straight and still; None without any.

    Tall are shoulders that stand high above the ankles in the picture. Knees bent by 25 degrees
    lower them by a sixtieth only, but nobody stays there: who stands is still. Knees that were
    `measured` may be bent.
    """
    term = _TERM["standing"]
    seen = (problem.weight[:, [LS, RS, LH, RH, LK, RK, LA, RA]] > _SEEN).all(axis=1)
    if not problem.planted or not seen.any():
        return None
    up = problem.image[..., 1]
    height = up[:, [LS, RS]].mean(axis=1) - up[:, [LA, RA]].mean(axis=1)
    most = float(np.percentile(height[seen], 98))
    if most * np.median(problem.distance) < term["least_height"] * np.exp(problem.stature):
        return None
    tall = height / most
    t, around = problem.knots, term["still_for_s"] / 2
    change = np.interp(t + around, t, tall) - np.interp(t - around, t, tall)
    still = np.abs(change) < term["still"]
    near = seen & still & (tall > term["tall"])
    if not near.any():
        return None
    world = problem.world[near]
    bends = [
        np.median(angle_between(world[:, k] - world[:, h], world[:, a] - world[:, k]))
        for h, k, a in ((LH, LK, LA), (RH, RK, RA), (LS, LH, LK), (RS, RH, RK))
    ]
    if max(bends) > term["most_bent_deg"] and not measured:
        return None
    return np.where(near, term["weight"] / near.sum(), 0.0)


def _with_standing(
    coarse: _Problem, fine: _Problem, joints: Array, standing: Standing
) -> tuple[_Problem, _Problem]:
    """Give both the frames in which the subject stands straight, where it is said and seen so."""
    measured = not isinstance(standing, str)
    at = None if standing == "free" else _standing(fine, measured=measured)
    if at is None:
        return coarse, fine
    knee = _STANDING_KNEE if isinstance(standing, str) else (standing, _KNEE["sd_if_measured"])
    here = at[np.abs(coarse.knots[:, None] - fine.knots).argmin(axis=1)]
    if not here.any():  # they are shorter than the coarse knots are apart
        here[np.abs(coarse.knots - fine.knots[at.argmax()]).argmin()] = 1.0
    if not measured and _seen_bent(coarse, joints, here > 0):
        return coarse, fine
    return (
        _standing_at(coarse, here * (at.sum() / here.sum()), knee),
        _standing_at(fine, at, knee),
    )


def _seen_bent(problem: _Problem, joints: Array, standing: Mask) -> bool:
    """Whether knees are seen to be bent at these knots by a fit that is not told of standing."""
    rows = _windows(len(problem.knots))
    part = max(rows, key=lambda each: int(standing[each].sum()))
    free, start, standing = _part(problem, part), joints[part], standing[part]
    found = _solve(free, start, _first_border(free, start), steps=28, tolerance=1e-3)
    rng = np.random.default_rng(0)
    shift = _shifts(free, _schur(found.normal), rng, _GATE_DRAWS)
    drawn = found.joints[standing] + _sampled(found.normal, shift, rng)[:, standing]

    def knees(points: Array) -> Array:
        bends = [
            angle_between(
                points[..., k, :] - points[..., h, :], points[..., a, :] - points[..., k, :]
            )
            for h, k, a in ((LH, LK, LA), (RH, RK, RA))
        ]
        return np.stack(bends, axis=-1)

    off = float(knees(found.joints[standing]).mean()) - _KNEE["mean"]
    sd = float(np.sqrt(knees(drawn).var(axis=0).mean()))
    return bool(off > _TERM["standing"]["contradicted"] * sd)


def _standing_at(problem: _Problem, weights: Array, knee: tuple[float, float]) -> _Problem:
    def here(one: _Problem) -> _Problem:
        return replace(one, standing=weights, standing_knee=knee, without=problem.without)

    views = tuple(replace(view, problem=here(view.problem)) for view in problem.views)
    return replace(here(problem), views=views)


def _with_depths(problem: _Problem) -> _Problem:
    """Depths along the segments as the world landmarks tell them, and how far to trust all."""
    z = problem.scale * problem.world[..., 2]
    across = _unit((problem.world[:, RH] - problem.world[:, LH]) * np.array([1.0, 0.0, 1.0]))
    behind = max(-float(np.cross([0.0, 1.0, 0.0], _unit(np.median(across, axis=0)))[2]), 0.0)
    sd = np.array([error * (1 + worse * behind) for _, _, error, worse in _DEPTHS.values()])
    return replace(
        problem,
        told=np.stack([z[:, b] - z[:, a] for a, b, _, _ in _DEPTHS.values()], axis=-1),
        told_sd=np.tile(sd, (len(z), 1)),
    )


def _seen_at(image: Array, depth: Array) -> Array:
    return np.concatenate([image * depth[..., None], -depth[..., None]], axis=-1)


def _is_planted(problem: _Problem, distance: Array, joints: tuple[int, int]) -> bool:
    spreads = []
    for j in joints:
        rows = problem.weight[:, j] > _HARDLY
        if rows.sum() >= 3 and np.ptp(problem.knots[rows]) >= _SETTINGS["planted"]["seen_s"]:
            low, high = np.percentile(problem.image[rows, j], [5, 95], axis=0)
            spreads.append(float((high - low).max() * np.median(distance)))
    return bool(spreads) and min(spreads) < _SETTINGS["planted"]["moved_m"]


def _lengths(joints: Array, name: str) -> Array:
    ends = _SEGMENTS[name].ends
    return np.concatenate([np.linalg.norm(joints[:, b] - joints[:, a], axis=-1) for a, b in ends])


def _directions(joints: Array, up: Array) -> Array:
    """Return the direction of each offset at each joint, (n, offset, joint, 3); else zero."""
    found = np.zeros((len(joints), len(_OFFSETS), _N, 3))
    hips = _unit(joints[:, RH] - joints[:, LH])
    shoulders = _unit(joints[:, RS] - joints[:, LS])
    upwards = np.broadcast_to(up, hips.shape)
    whole = {
        "up": upwards,
        "forward": _unit(np.cross(upwards, hips)),
        "trunk": _unit(joints[:, [LS, RS]].mean(axis=1) - joints[:, [LH, RH]].mean(axis=1)),
    }
    for i, offset in enumerate(_OFFSETS.values()):
        for j in offset.joints:
            if offset.direction in whole:
                found[:, i, j] = whole[offset.direction]
            elif offset.direction in ("hips", "shoulders"):
                outwards = hips if offset.direction == "hips" else shoulders
                found[:, i, j] = outwards if j % 2 else -outwards
            else:
                start, end = _ALONG[offset.direction]
                found[:, i, j] = _unit(joints[:, end + j % 2] - joints[:, start + j % 2])
    return found


def _mass_shares() -> Array:
    """Weights of the joints in the centre of mass."""
    share = np.zeros(_N)
    shoulders, hips = np.zeros(_N), np.zeros(_N)
    shoulders[[LS, RS]] = hips[[LH, RH]] = 0.5
    share += _TRUNK_MASS * ((1 - _TRUNK_CENTRE) * hips + _TRUNK_CENTRE * shoulders)
    share += _HEAD_MASS * (shoulders + _HEAD_ABOVE * (shoulders - hips))
    for a, b, mass, place in _COM_SHARES:
        for side in (0, 1):
            share[a + side] += mass * (1 - place)
            share[b + side] += mass * place
    total: Array = share / share.sum()
    return total


_SHARES = _mass_shares()


class _Rows:
    """Residuals of all knots, row by row, with what they depend on."""

    def __init__(self, n: int, border: int, most: int = 120) -> None:
        self.count = 0
        self.cost = 0.0
        self.residual = np.zeros((n, most))
        self.weight = np.zeros((n, most))
        self.joints = np.zeros((n, most, _N, 3))
        self.border = np.zeros((n, most, border))

    def add(
        self,
        residual: Array,
        weight: Array | float,
        joints: Sequence[tuple[int, Array]],
        border: Sequence[tuple[int | slice, Array | float]] = (),
        *,
        cost: float | None = None,
    ) -> None:
        """Add one row; `cost` where it is not the weighted square."""
        i = self.count
        self.residual[:, i] = residual
        self.weight[:, i] = weight
        for j, slope in joints:
            self.joints[:, i, j] += slope
        for place, change in border:
            self.border[:, i, place] += change
        self.cost += float((weight * residual**2).sum()) if cost is None else cost
        self.count += 1


def _cauchy(square: Array, width: float) -> tuple[Array, Array]:
    """Factor on the weight, and the cost, of residuals with Cauchy's tails."""
    return 1 / (1 + square / width**2), width**2 * np.log1p(square / width**2)


def _build(problem: _Problem, joints: Array, border: Array) -> _Normal:
    """Cost, gradient and Gauss-Newton Hessian at one point."""
    n, step = len(joints), problem.step
    share = step / _SETTINGS["lasting"]["seconds"]
    rows = _Rows(n, problem.border, 120 * (1 + len(problem.views)))
    for name, add_rows in _KNOT_TERMS.items():
        if name in problem.terms:
            add_rows(rows, problem, joints, border, share)
    for view in problem.views:
        view.add_rows(rows, joints, border, share)

    variance = (_TERM["smooth"]["acceleration_m_s2"] * step**2) ** 2 / (30 * step)
    smooth = share / variance * ("smooth" in problem.terms)
    second = joints[2:] - 2 * joints[1:-1] + joints[:-2]
    residual, slopes = _shared_rows(problem, border)
    cost = rows.cost + smooth * float((second**2).sum()) + float(residual @ residual)

    k = rows.count
    r, w = rows.residual[:, :k], rows.weight[:, :k]
    jx = rows.joints[:, :k].reshape(n, k, _D)
    jb = rows.border[:, :k]
    weighted = (jx * w[..., None]).transpose(0, 2, 1)
    gradient = np.matmul(weighted, r[..., None])[..., 0]
    pull = second.reshape(n - 2, _D) * smooth
    gradient[2:] += pull
    gradient[1:-1] -= 2 * pull
    gradient[:-2] += pull
    flat = jb.reshape(n * k, -1)
    flat_weighted = flat * w.reshape(-1, 1)
    shared = flat_weighted.T @ flat + slopes.T @ slopes
    shared_gradient = flat_weighted.T @ r.ravel() + slopes.T @ residual
    if problem.prior is not None:
        mean, precision = problem.prior
        off = border - mean
        cost += float(off @ precision @ off)
        shared = shared + precision
        shared_gradient = shared_gradient + precision @ off
    return _Normal(
        cost,
        np.matmul(weighted, jx),
        gradient.ravel(),
        np.matmul(weighted, jb).reshape(n * _D, -1),
        shared,
        shared_gradient,
        smooth,
    )


def _picture_rows(
    rows: _Rows, problem: _Problem, joints: Array, border: Array, share: float
) -> None:
    directions = _directions(joints, _up(border))
    landmark = joints + np.einsum("o,nojx->njx", border[_OFF:_DEEP], directions)
    depth = np.maximum(-landmark[..., 2], 0.1)
    stretch = np.exp(border[_F])
    per_metre = problem.distance[:, None] / np.array(_LANDMARK_SD)
    place = stretch * landmark[..., :2] / depth[..., None]
    off = (place - problem.image) * per_metre[..., None]
    huber = _TERM["picture"]["huber"]
    size = np.sqrt((off**2).sum(axis=-1))
    weight = problem.weight * share
    far = size > huber
    factor = np.where(far, huber / np.maximum(size, huber), 1.0)
    loss = np.where(far, 2 * huber * size - huber**2, size**2) * weight
    for j in range(_N):
        for a in (0, 1):
            slope = np.zeros((len(joints), 3))
            slope[:, a] = stretch / depth[:, j] * per_metre[:, j]
            slope[:, 2] = place[:, j, a] / depth[:, j] * per_metre[:, j]
            through = (directions[:, :, j] * slope[:, None]).sum(axis=-1)
            rows.add(
                off[:, j, a],
                weight[:, j] * factor[:, j],
                [(j, slope)],
                [(_F, place[:, j, a] * per_metre[:, j]), (slice(_OFF, _DEEP), through)],
                cost=float(loss[:, j].sum()) if a == 0 else 0.0,
            )


def _length_rows(
    rows: _Rows, problem: _Problem, joints: Array, border: Array, share: float
) -> None:
    for i, segment in enumerate(_SEGMENTS.values()):
        length = float(np.exp(border[_LEN + i]))
        for a, b in segment.ends:
            v = joints[:, b] - joints[:, a]
            slope = _unit(v) / segment.sd
            off = (np.linalg.norm(v, axis=-1) - length) / segment.sd
            rows.add(off, share, [(b, slope), (a, -slope)], [(_LEN + i, -length / segment.sd)])
        if not segment.ends:
            v = joints[:, [LS, RS]].mean(axis=1) - joints[:, [LH, RH]].mean(axis=1)
            slope = 0.5 * _unit(v) / segment.sd
            off = (np.linalg.norm(v, axis=-1) - length) / segment.sd
            ends = [(LS, slope), (RS, slope), (LH, -slope), (RH, -slope)]
            rows.add(off, share, ends, [(_LEN + i, -length / segment.sd)])


def _depth_rows(rows: _Rows, problem: _Problem, joints: Array, border: Array, share: float) -> None:
    towards = np.array([0.0, 0.0, 1.0])
    share = share * problem.depth_share
    calibrated = "depth_errors" in problem.terms
    for i, (name, (a, b, _, _)) in enumerate(_DEPTHS.items()):
        sd = problem.told_sd[:, i]
        wrong = [
            (_DEEP + k, error["in"][name])
            for k, error in enumerate(_DEPTH_ERRORS.values())
            if calibrated and name in error["in"]
        ]
        error = sum(sign * border[place] for place, sign in wrong)
        off = (joints[:, b, 2] - joints[:, a, 2] + error - problem.told[:, i]) / sd
        weight = np.minimum(problem.weight[:, a], problem.weight[:, b]) * share
        factor, loss = _cauchy(off**2, _TERM["depths"]["cauchy"])
        slope = towards / sd[:, None]
        rows.add(
            off,
            weight * factor,
            [(b, slope), (a, -slope)],
            [(place, sign / sd) for place, sign in wrong],
            cost=float((loss * weight).sum()),
        )


def _toe_out_rows(
    rows: _Rows, problem: _Problem, joints: Array, border: Array, share: float
) -> None:
    up = _up(border)
    sd = np.radians(_TERM["toe_out"]["sd_deg"])
    mean = np.sin(np.radians(_TERM["toe_out"]["mean_deg"]))
    across = joints[:, RH] - joints[:, LH]
    across = _unit(across - (across @ up)[:, None] * up)
    foot = float(np.exp(border[_LEN + _NAMES.index("foot")]))
    for heel, toe, outwards in ((LC, LT, -across), (RC, RT, across)):
        sole = joints[:, toe] - joints[:, heel]
        off = ((sole * outwards).sum(axis=-1) / foot - mean) / sd
        slope = outwards / (foot * sd)
        rows.add(off, share, [(toe, slope), (heel, -slope)])


def _bend_rows(rows: _Rows, problem: _Problem, joints: Array, border: Array, share: float) -> None:
    for top, middle, end, kind in _LIMBS:
        width = _TERM["bends"]["width"][kind]
        upper, lower = joints[:, middle] - joints[:, top], joints[:, end] - joints[:, middle]
        before, after = _unit(upper), _unit(lower)
        off = (after - before) / width
        square = (off**2).sum(axis=-1)
        factor = 1 / (1 + square)
        for x, axis in enumerate(np.eye(3)):
            first, second = (
                (axis - along[:, x, None] * along) / (width * np.linalg.norm(v, axis=-1)[:, None])
                for along, v in ((before, upper), (after, lower))
            )
            rows.add(
                off[:, x],
                share * factor,
                [(end, second), (middle, -second - first), (top, first)],
                cost=float(np.log1p(square).sum()) * share if x == 0 else 0.0,
            )


def _foot_rows(rows: _Rows, problem: _Problem, joints: Array, border: Array, share: float) -> None:
    feet = border[_FOOT : _FOOT + 12].reshape(4, 3)
    up, turn = _up(border), _up_slopes(border)
    term = _TERM["feet"]
    fixed = term["sd_m"]
    stiff = 1 / fixed
    for i, j in enumerate(_FEET):
        away = joints[:, j] - feet[i]
        loose = np.zeros(len(joints))
        if j in (LC, RC):
            seen = np.interp(problem.weight[:, j], term["heel_seen"], (0.0, 1.0))
            rising = np.where(away @ up > 0, seen, 0.0)  # into the floor it does not go
            loose = 1 / (fixed + rising * (term["heel_rise_sd_m"] - fixed)) - stiff
        whitened = stiff * np.eye(3) + loose[:, None, None] * np.outer(up, up)
        off = np.einsum("nx,nxy->ny", away, whitened)
        tilt = (away @ turn)[:, None] * up[:, None] + (away @ up)[:, None, None] * turn
        tilt *= loose[:, None, None]
        factor, loss = _cauchy((off**2).sum(axis=-1), term["cauchy"])
        place = slice(_FOOT + 3 * i, _FOOT + 3 * i + 3)
        for x in range(3):
            rows.add(
                off[:, x],
                share * factor,
                [(j, whitened[:, x])],
                [(place, -whitened[:, x]), (_PITCH, tilt[:, x, 0]), (_ROLL, tilt[:, x, 1])],
                cost=float(loss.sum()) * share if x == 0 else 0.0,
            )


def _balance_rows(
    rows: _Rows, problem: _Problem, joints: Array, border: Array, share: float
) -> None:
    feet = border[_FOOT : _FOOT + 12].reshape(4, 3)
    up, turn = _up(border), _up_slopes(border)
    term = _TERM["balance"]
    sd, fraction = term["sd_m"], term["foot_fraction"]
    part = np.array([1 - fraction, fraction] * 2) / 2
    over = np.einsum("j,njx->nx", _SHARES, joints) - part @ feet
    forward = (feet[[1, 3]] - feet[[0, 2]]).mean(axis=0)
    forward = _unit(forward - up * (forward @ up))
    axes = np.stack([forward, np.cross(forward, up)])
    off = over @ axes.T / sd
    factor, loss = _cauchy((off**2).sum(axis=-1), term["cauchy"])
    for x, axis in enumerate(axes):
        slope = axis / sd
        tilt = -(axis @ turn) * (over @ up)[:, None] / sd
        rows.add(
            off[:, x],
            share * factor,
            [(j, np.broadcast_to(_SHARES[j] * slope, over.shape)) for j in range(_N) if _SHARES[j]],
            [
                (slice(_FOOT, _FOOT + 12), -np.outer(part, slope).ravel()),
                (_PITCH, tilt[:, 0]),
                (_ROLL, tilt[:, 1]),
            ],
            cost=float(loss.sum()) * share if x == 0 else 0.0,
        )


def _standing_rows(
    rows: _Rows, problem: _Problem, joints: Array, border: Array, share: float
) -> None:
    """Knees and trunk of somebody who stands straight."""
    term = _TERM["standing"]
    weight = np.zeros(len(joints)) if problem.standing is None else problem.standing
    across = _unit(joints[:, RH] - joints[:, LH])
    forward = _unit(np.cross(_up(border), across))
    knee_sd, trunk_sd = _usual_angles(problem)[1]
    for top, middle, end in ((LH, LK, LA), (RH, RK, RA)):
        thigh, shank = joints[:, middle] - joints[:, top], joints[:, end] - joints[:, middle]
        bend = _unit(thigh) - _unit(shank)
        for axis, mean, sd, place in (
            (forward, border[_KNEES], knee_sd, _KNEES),
            (across, *_radians(term["knee_across_deg"]), None),
        ):
            upper, lower = _turned(thigh, axis) / sd, _turned(shank, axis) / sd
            slopes = [(end, -lower), (middle, lower + upper), (top, -upper)]
            off = ((bend * axis).sum(axis=-1) - mean) / sd
            turned = _with_gravity(bend, across, border, sd, place)
            _add_robust(rows, off, weight, term["cauchy"], slopes, turned)
    for axis, mean, sd, place in (
        (forward, border[_TRUNK], trunk_sd, _TRUNK),
        (across, *_radians(term["trunk_across_deg"]), None),
    ):
        _trunk_row(rows, joints, border, axis, mean, sd, weight, term["cauchy"], place)


def _trunk_row(
    rows: _Rows,
    joints: Array,
    border: Array,
    axis: Array,
    mean: float,
    sd: float,
    weight: Array,
    cauchy: float,
    place: int | None,
) -> None:
    """How far the trunk leans along an axis; `place` in the border of how far it does forwards."""
    trunk = joints[:, [LS, RS]].mean(axis=1) - joints[:, [LH, RH]].mean(axis=1)
    off = ((_unit(trunk) * axis).sum(axis=-1) - mean) / sd
    slope = 0.5 * _turned(trunk, axis) / sd
    slopes = [(LS, slope), (RS, slope), (LH, -slope), (RH, -slope)]
    across = _unit(joints[:, RH] - joints[:, LH])
    turned = _with_gravity(_unit(trunk), across, border, sd, place)
    _add_robust(rows, off, weight, cauchy, slopes, turned)


def _with_gravity(
    v: Array, across: Array, border: Array, sd: float, place: int | None
) -> list[tuple[int, Array | float]]:
    """Slopes by the border of the part of `v` forwards, which turns with gravity."""
    if place is None:
        return []
    turn = _up_slopes(border)
    tilted = [(v * np.cross(turn[:, k], across)).sum(axis=-1) / sd for k in (0, 1)]
    return [(_PITCH, tilted[0]), (_ROLL, tilted[1]), (place, -1 / sd)]


def _add_robust(
    rows: _Rows,
    off: Array,
    weight: Array,
    cauchy: float,
    joints: Sequence[tuple[int, Array]],
    border: Sequence[tuple[int, Array | float]],
) -> None:
    factor, loss = _cauchy(off**2, cauchy)
    rows.add(off, weight * factor, joints, border, cost=float((weight * loss).sum()))


def _usual_angles(problem: _Problem) -> tuple[Array, Array]:
    """Mean and standard deviation of the usual angles of knees and trunk, radians."""
    trunk = _TERM["standing" if problem.planted else "upright"]["trunk_deg"]
    mean, sd = np.radians([problem.standing_knee, (trunk["mean"], trunk["sd"])]).T
    return mean, sd


def _radians(angle: Mapping[str, float]) -> tuple[float, float]:
    return float(np.radians(angle["mean"])), float(np.radians(angle["sd"]))


def _turned(v: Array, axis: Array) -> Array:
    """Slope of the part along `axis` of the unit vector along `v`."""
    along = _unit(v)
    slope: Array = axis - (axis * along).sum(axis=-1)[:, None] * along
    slope /= np.linalg.norm(v, axis=-1)[:, None]
    return slope


def _upright_rows(
    rows: _Rows, problem: _Problem, joints: Array, border: Array, share: float
) -> None:
    up, turn, term = _up(border), _up_slopes(border), _TERM["upright"]
    sd = term["sd_m"]
    part = _SHARES.copy()
    part[[LA, RA]] -= 0.5
    over = np.einsum("j,njx->nx", part, joints)
    side = _unit(np.cross(up, [0.0, 0.0, 1.0]))
    axes = np.stack([np.cross(side, up), side])
    off = over @ axes.T / sd
    factor, loss = _cauchy((off**2).sum(axis=-1), term["cauchy"])
    for x, axis in enumerate(axes):
        tilt = -(axis @ turn) * (over @ up)[:, None] / sd
        slopes = [
            (j, np.broadcast_to(part[j] * axis / sd, over.shape))
            for j in np.flatnonzero(part).tolist()
        ]
        rows.add(
            off[:, x],
            share * factor,
            slopes,
            [(_PITCH, tilt[:, 0]), (_ROLL, tilt[:, 1])],
            cost=float(loss.sum()) * share if x == 0 else 0.0,
        )
    if problem.calibrated or problem.feet_told:
        return  # several cameras see how the trunk leans; who sits or lies does not walk
    forward = _unit(np.cross(up, _unit(joints[:, RH] - joints[:, LH])))
    weight = np.full(len(joints), term["trunk_weight"] / len(joints))
    sd = _usual_angles(problem)[1][1]
    _trunk_row(
        *(rows, joints, border, forward, border[_TRUNK], sd),
        *(weight, term["trunk_cauchy"], _TRUNK),
    )


def _up_slopes(border: Array) -> Array:
    """Change of the up vector with pitch and roll, (3, 2)."""
    up = _up(border)
    length = np.sqrt(1 + border[_PITCH] ** 2 + border[_ROLL] ** 2)
    ends = np.array([[0.0, 1.0], [0.0, 0.0], [1.0, 0.0]])
    slopes: Array = (ends - np.outer(up, up @ ends)) / length
    return slopes


_KNOT_TERMS: Mapping[str, Callable[[_Rows, _Problem, Array, Array, float], None]] = {
    "picture": _picture_rows,
    "lengths": _length_rows,
    "depths": _depth_rows,
    "toe_out": _toe_out_rows,
    "bends": _bend_rows,
    "feet": _foot_rows,
    "balance": _balance_rows,
    "upright": _upright_rows,
    "standing": _standing_rows,
}
"""Terms with residuals at each knot; `smooth` couples knots, all others are of what is shared."""


def _shared_rows(problem: _Problem, border: Array) -> tuple[Array, Array]:
    """Residuals of the shared numbers alone, and their slopes."""
    p = problem.border
    residual: list[float] = []
    slopes: list[Array] = []

    def add(term: str, off: float, sd: float, *of: tuple[int | slice, Array | float]) -> None:
        # A term that is left out keeps the equations solvable.
        sd = sd if term in problem.terms else _LEFT_OUT * sd
        slope = np.zeros(p)
        for place, change in of:
            slope[place] += change
        residual.append(off / sd)
        slopes.append(slope / sd)

    add("focal", border[_F], problem.focal_sd, (_F, 1.0))
    for at, usual, sd in zip((_PITCH, _ROLL), problem.tilt, problem.tilt_sd, strict=True):
        add("tilt", border[at] - usual, sd, (at, 1.0))
    for at, usual in zip((_KNEES, _TRUNK), _usual_angles(problem)[0], strict=True):
        add("places", border[at] - usual, _HELD, (at, 1.0))
    add("stature", border[_H] - problem.stature, problem.stature_sd, (_H, 1.0))
    excess = border[_LEN:_OFF] - border[_H] - _RATIO
    for i, off in enumerate(excess):
        add("usual_lengths", off, _RATIO_SD[i], (_LEN + i, 1.0), (_H, -1.0))
    scale = [_NAMES.index(name) for name in _SCALE]
    terms = [(_LEN + i, 1 / len(scale)) for i in scale]
    add("scale", float(excess[scale].mean()), _TERM["scale"]["sd"], (_H, -1.0), *terms)
    for i, offset in enumerate(_OFFSETS.values()):
        add("offsets", border[_OFF + i] - offset.mean, offset.sd, (_OFF + i, 1.0))
    for i, error in enumerate(_DEPTH_ERRORS.values()):
        add("depth_errors", border[_DEEP + i], error["sd_m"], (_DEEP + i, 1.0))
    add("places", border[_FLOOR], 100.0, (_FLOOR, 1.0))
    if problem.planted:
        turn = _up_slopes(border)
        for i in range(_FOOT, _FOOT + 12):
            add("places", border[i], 100.0, (i, 1.0))
        for i in range(4):
            place = slice(_FOOT + 3 * i, _FOOT + 3 * i + 3)
            point = border[place]
            tilted = point @ turn
            add(
                "feet",
                float(_up(border) @ point) - border[_FLOOR],
                _TERM["feet"]["flat_sd_m"],
                (place, _up(border)),
                (_FLOOR, -1.0),
                (_PITCH, tilted[0]),
                (_ROLL, tilted[1]),
            )
    for view in problem.views:
        for off, sd, *of in view.usual(border):
            add("views", off, sd, *of)
    return np.array(residual), np.stack(slopes)


def _banded(normal: _Normal, damping: float) -> Array:
    """Put the Hessian of the positions into LAPACK's lower band storage."""
    n = len(normal.diagonal)
    band = np.zeros((n, _D, _BAND))
    for j in range(_D):
        band[:, j, : _D - j] = normal.diagonal[:, j:, j]
    main, next_ = np.full(n, 6.0), np.full(n - 1, -4.0)
    main[[0, -1]], next_[[0, -1]] = 1.0, -2.0
    main[[1, -2]] = 5.0
    # The tiny addition keeps positions defined through gaps without observations.
    band[:, :, 0] += normal.smooth * main[:, None] + 1e-6
    band[:, :, 0] *= 1 + damping
    band[:-1, :, _D] += normal.smooth * next_[:, None]
    band[:-2, :, 2 * _D] += normal.smooth
    return band.reshape(n * _D, _BAND).T


def _forward(factor: Array, right: Array) -> Array:
    """Solve L x = right with a banded Cholesky factor for many right sides, block by block.

    LAPACK's dtbtrs takes one right side after the other; with the border there are 37.
    """
    from numpy.lib.stride_tricks import as_strided
    from scipy.linalg import blas

    columns = np.ascontiguousarray(factor.T)
    size, word = len(columns), columns.itemsize
    flat = columns.reshape(-1)
    # Row i, column j of a block lies at j * (_BAND - 1) + i from the block's first entry.
    strides = (word, (_BAND - 1) * word)
    upper = np.triu(np.ones((_BAND, _BAND)), 1)
    found = np.empty_like(right)
    carried: Array = np.zeros((0, right.shape[1]))
    for a in range(0, size, _BAND):
        m = min(_BAND, size - a)
        part: Array = right[a : a + m]
        if a:
            start = flat[(a - _BAND) * _BAND + _BAND :]
            part = part - (as_strided(start, (m, _BAND), strides) * upper[:m]) @ carried
        main = as_strided(flat[a * _BAND :], (m, m), strides)
        carried = blas.dtrsm(1.0, main, part, lower=1)
        found[a : a + m] = carried
    return found


def _solve(
    problem: _Problem,
    joints: Array,
    border: Array,
    *,
    steps: int,
    tolerance: float,
    free: bool = True,
) -> _Solution:
    """Gauss-Newton with Levenberg's damping; `free` also moves the shared numbers.

    The damping follows the ratio of found to expected gain: Nielsen 1999, IMM-REP-1999-05.
    """
    from scipy.linalg import lapack

    damping, growth, done = _FIRST_DAMPING, 2.0, 0
    here = _build(problem, joints, border)
    for _ in range(steps):
        band = _banded(here, damping)
        weights = damping / (1 + damping) * band[0]
        factor, failed = lapack.dpbtrf(band, lower=1, overwrite_ab=0)
        if failed:
            damping *= 10
            continue
        pull = here.gradient
        shift: Array = np.zeros(len(border))
        expected = 0.0
        if free:
            half = _forward(factor, np.column_stack([here.gradient, here.cross]))
            schur = here.shared - half[:, 1:].T @ half[:, 1:]
            damped = np.diag(here.shared) * damping
            slope = here.shared_gradient - half[:, 1:].T @ half[:, 0]
            shift = -np.linalg.solve(schur + np.diag(damped), slope).astype(np.float64)
            pull = pull + here.cross @ shift
            expected += float(shift @ (damped * shift - here.shared_gradient))
        solved, _info = lapack.dpbtrs(factor, pull[:, None], lower=1)
        move: Array = -solved[:, 0]
        expected += float(move @ (weights * move - here.gradient))
        tried = joints + np.clip(move.reshape(joints.shape), -0.5, 0.5)
        numbers = border + np.clip(shift, -1, 1)
        there = _build(problem, tried, numbers)
        gain = here.cost - there.cost
        if gain > 0:
            small = gain < tolerance * here.cost
            joints, border, here = tried, numbers, there
            damping = max(damping * max(0.2, 1 - (2 * gain / expected - 1) ** 3), 1e-7)
            growth = 2.0
            done += 1
            if small:
                break
        else:
            damping *= growth
            growth *= 2
            if damping > 1e4:
                break
    return _Solution(joints, border, here, done)


def _mirrored(joints: Array, *, planted: bool) -> dict[str, Array]:
    """Other starting points with (nearly) the same picture: limbs mirrored in depth."""
    z = joints[..., 2]
    found = {}

    def keep(name: str, depth: Array) -> None:
        depth = np.minimum(depth, -0.3)
        found[name] = joints * (depth / z)[..., None]

    hips, shoulders = z[:, [LH, RH]].mean(axis=1), z[:, [LS, RS]].mean(axis=1)
    knees, ankles = z[:, [LK, RK]].mean(axis=1), z[:, [LA, RA]].mean(axis=1)
    trunks = {"trunk": hips - shoulders, "trunk_along_shanks": 1.3 * (knees - ankles)}
    for name, new in trunks.items():
        if planted:
            continue
        depth = z.copy()
        depth[:, _UPPER] += (new - (shoulders - hips))[:, None]
        keep(name, depth)
    if planted:
        # From behind, a squat looks like shanks that lean back below a trunk far forward.
        lean = 2 * (z[:, [LA, RA]] - z[:, [LK, RK]])
        depth = z.copy()
        depth[:, [LK, RK]] += lean
        depth[:, [LH, RH]] += lean
        keep("shanks", depth)
        depth = depth.copy()
        depth[:, _UPPER] += lean.mean(axis=1, keepdims=True)
        keep("shanks_below_the_body", depth)
    for k, side in enumerate(SIDES):
        shoulder, elbow, wrist = z[:, LS + k], z[:, LE + k], z[:, LW + k]
        depth = z.copy()
        depth[:, LE + k] = shoulder + wrist - elbow
        keep(f"{side}_elbow", depth)
        depth = z.copy()
        depth[:, LE + k], depth[:, LW + k] = 2 * shoulder - elbow, 2 * shoulder - wrist
        keep(f"{side}_arm", depth)
        depth = z.copy()
        depth[:, LW + k] = 2 * elbow - wrist
        keep(f"{side}_forearm", depth)
    return found


@dataclass(frozen=True)
class _Trial:
    joints: Array
    border: Array
    draws: Array  # (draw, n, joint, 3)
    border_draws: Array
    mirrored: dict[str, float]
    steps: int


def _windows(n: int) -> list[slice]:
    if n <= _WINDOW_KNOTS + _OVERLAP_KNOTS:
        return [slice(0, n)]
    count = int(np.ceil((n - _OVERLAP_KNOTS) / (_WINDOW_KNOTS - _OVERLAP_KNOTS)))
    starts = np.linspace(0, n - _WINDOW_KNOTS, count).astype(int).tolist()
    return [slice(s, s + _WINDOW_KNOTS) for s in starts]


def _part(problem: _Problem, rows: slice) -> _Problem:
    return replace(
        problem,
        knots=problem.knots[rows],
        image=problem.image[rows],
        world=problem.world[rows],
        weight=problem.weight[rows],
        distance=problem.distance[rows],
        told=problem.told[rows],
        told_sd=problem.told_sd[rows],
        standing=None if problem.standing is None else problem.standing[rows],
        views=tuple(view.part(rows) for view in problem.views),
    )


def _first_border(problem: _Problem, joints: Array) -> Array:
    border = np.zeros(problem.border)
    border[_PITCH], border[_ROLL] = problem.tilt
    border[_H] = problem.stature
    border[[_KNEES, _TRUNK]] = _usual_angles(problem)[0]
    border[_LEN:_OFF] = problem.stature + _RATIO
    border[_OFF:_DEEP] = [offset.mean for offset in _OFFSETS.values()]
    if problem.planted:
        feet = np.median(joints[:, _FEET], axis=0)
        border[_FOOT : _FOOT + 12] = feet.ravel()
        border[_FLOOR] = feet[:, 1].mean()
    return border


def _solve_trial(
    coarse: _Problem, fine: _Problem, joints: Array, *, draws: int, rng: np.random.Generator
) -> _Trial:
    """Solve window after window, so that memory does not grow with the trial.

    What one window says about the shared numbers is the prior of the next; then all windows are
    solved once more with the numbers that all of them together found.
    """
    from scipy.interpolate import CubicSpline

    border = _first_border(coarse, joints)
    windows = _windows(len(fine.knots))
    prior: tuple[Array, Array] | None = None
    starts: list[Array] = []
    solvable: list[_Problem] = []
    others: list[tuple[slice, float, Array]] = []
    mirrored: dict[str, float] = {}
    steps = 0
    precision = np.zeros((coarse.border, coarse.border))
    bar = progress_bar("fitting the body", total=2 * len(windows), unit="window")
    parts, begins = [], []
    for rows in windows:
        near = (coarse.knots >= fine.knots[rows][0] - 0.5) & (
            coarse.knots <= fine.knots[rows][-1] + 0.5
        )
        at = np.flatnonzero(near)
        parts.append(_part(coarse, slice(at[0], at[-1] + 1)))
        begins.append(joints[near])
    for rows, seen, begin in zip(windows, parts, begins, strict=True):
        part = replace(seen, prior=prior)
        best = _solve(part, begin, border, steps=28, tolerance=1e-3)
        best, modes, found = _try_mirrored(part, best)
        for name, gain in found.items():
            mirrored[name] = max(gain, mirrored.get(name, -np.inf))
        window = replace(_part(fine, rows), prior=prior)
        solvable.append(replace(window, prior=None))
        smooth = CubicSpline(part.knots, best.joints)(window.knots)
        solved = _solve(window, smooth, best.border, steps=12, tolerance=1e-3)
        steps += solved.steps
        starts.append(solved.joints)
        others += [(rows, p, CubicSpline(part.knots, d)(window.knots)) for p, d in modes]
        border = solved.border
        precision = _schur(solved.normal)
        prior = (border, precision)
        bar.update()

    shift = _shifts(fine, precision, rng, draws)
    n = len(fine.knots)
    total = np.zeros((n, 1, 1))
    mean, spread = np.zeros((n, _N, 3)), np.zeros((draws, n, _N, 3))
    for rows, window, begin in zip(windows, solvable, starts, strict=True):
        solved = _solve(
            window, begin, border, steps=0 if len(windows) == 1 else 6, tolerance=1e-4, free=False
        )
        sample = _sampled(solved.normal, shift, rng)
        fade = np.ones(rows.stop - rows.start)
        ramp = np.linspace(0, 1, _OVERLAP_KNOTS + 2)[1:-1]
        if rows.start > 0:
            fade[:_OVERLAP_KNOTS] = ramp
        if rows.stop < n:
            fade[-_OVERLAP_KNOTS:] *= ramp[::-1]
        share = fade[:, None, None]
        mean[rows] += share * solved.joints
        spread[:, rows] += share * sample
        total[rows] += share
        bar.update()
    bar.close()
    mean, spread = mean / total, spread / total
    for rows, chance, change in others:
        spread[rng.random(draws) < chance, rows] += change
    return _Trial(mean, border, spread, shift.T, mirrored, steps)


def _try_mirrored(
    problem: _Problem, best: _Solution
) -> tuple[_Solution, list[tuple[float, Array]], dict[str, float]]:
    """Solve from mirrored limbs; the best solution, and the others with their probabilities."""
    kept: list[_Solution] = []
    gains = {}
    for name in _mirrored(best.joints, planted=problem.planted):
        begin = _mirrored(best.joints, planted=problem.planted)[name]
        other = _solve(problem, begin, best.border, steps=3, tolerance=5e-3, free=False)
        if other.normal.cost > best.normal.cost + _HOPELESS:
            continue
        other = _solve(problem, other.joints, other.border, steps=3, tolerance=2e-3)
        if np.abs(other.joints - best.joints).max() < 0.03:
            continue
        gain = best.normal.cost - other.normal.cost
        if gain > _SWITCH:
            gains[name] = round(gain, 1)
            kept.append(best)
            best = other
        else:
            kept.append(other)
    modes: list[tuple[float, Array]] = []
    for other in sorted(kept, key=lambda solution: solution.normal.cost):
        change = other.joints - best.joints
        if any(np.abs(change - known).max() < _SAME_MODE for _, known in modes):
            continue
        worse = np.clip(other.normal.cost - best.normal.cost, 0.0, 100.0)
        chance = float(1 / (1 + np.exp(worse / _DOUBT)))
        if chance > 0.02 and np.abs(change).max() > 0.03:
            modes.append((chance, change))
    return best, modes, gains


def _schur(normal: _Normal) -> Array:
    """Precision of the shared numbers, the positions integrated out."""
    from scipy.linalg import lapack

    factor, _info = lapack.dpbtrf(_banded(normal, 0.0), lower=1, overwrite_ab=1)
    half = _forward(factor, normal.cross)
    precision: Array = normal.shared - half.T @ half
    return precision


def _shifts(problem: _Problem, precision: Array, rng: np.random.Generator, draws: int) -> Array:
    """Deviations of the border, (border, draw).

    How a person stands is held by the fit, for what else would tell it is wrong by more. So it is
    a parameter that is considered: drawn as people differ, and all else follows it.
    """
    held = np.isin(np.arange(len(precision)), (_KNEES, _TRUNK))
    free = precision[np.ix_(~held, ~held)]
    shift = np.empty((len(precision), draws))
    shift[held] = _usual_angles(problem)[1][:, None] * rng.standard_normal((2, draws))
    follow = np.linalg.solve(free, precision[np.ix_(~held, held)] @ shift[held])
    noise = rng.standard_normal((len(free), draws))
    shift[~held] = np.linalg.solve(np.linalg.cholesky(free).T, noise) - follow
    return shift


def _sampled(normal: _Normal, shift: Array, rng: np.random.Generator) -> Array:
    """Deviations of the positions, (draw, n, joint, 3), for given deviations of the border."""
    from scipy.linalg import lapack

    size = len(normal.gradient)
    factor, _info = lapack.dpbtrf(_banded(normal, 0.0), lower=1, overwrite_ab=1)
    follow, _info = lapack.dpbtrs(factor, normal.cross @ shift, lower=1)
    noise = rng.standard_normal((size, shift.shape[1]))
    own, _info = lapack.dtbtrs(factor, noise, uplo="L", trans="T")
    moved = _FRAME_SHARE * own - follow
    sample: Array = moved.T.reshape(shift.shape[1], size // _D, _N, 3)
    return sample


def _at_frames(
    solved: _Trial, fine: _Problem, time: Array, image: Array, world: Array, weight: Array
) -> Array:
    """All 33 landmarks at the frames, camera axes; segment lengths made exactly constant."""
    from scipy.interpolate import CubicSpline

    joints = CubicSpline(fine.knots, solved.joints)(time)
    length = dict(zip(_NAMES, np.exp(solved.border[_LEN:_OFF]), strict=True))
    # Directions, and so all joint angles, are kept; ankles stay where they are.
    for name, far in (("shank", 0), ("thigh", 0), ("upper_arm", 1), ("forearm", 1)):
        for ends in _SEGMENTS[name].ends:
            moved, fixed = ends[far], ends[1 - far]
            away = _unit(joints[:, moved] - joints[:, fixed])
            joints[:, moved] = joints[:, fixed] + away * length[name]
    for heel, toe in _SEGMENTS["foot"].ends:
        middle = joints[:, [heel, toe]].mean(axis=1)
        sole = _unit(joints[:, toe] - joints[:, heel]) * length["foot"]
        joints[:, heel], joints[:, toe] = middle - 0.5 * sole, middle + 0.5 * sole
    points = np.full((time.size, len(KEYPOINTS), 3), np.nan)
    points[:, [INDEX[name] for name in FITTED]] = joints
    stretch = np.exp(solved.border[_F])
    shoulders = joints[:, [LS, RS]].mean(axis=1)
    told = world[:, [INDEX["left_shoulder"], INDEX["right_shoulder"]]].mean(axis=1)
    for name in KEYPOINTS:
        if name in FITTED:
            continue
        i = INDEX[name]
        side = "left" if "left" in name else "right"
        anchor, from_ = shoulders, told
        if name.rsplit("_", 1)[-1] in ("pinky", "index", "thumb"):
            anchor = points[:, INDEX[f"{side}_wrist"]]
            from_ = world[:, INDEX[f"{side}_wrist"]]
        depth = -anchor[:, 2] - fine.scale * (world[:, i, 2] - from_[:, 2])
        points[:, i] = _seen_at(image[:, i] / stretch, depth)
        points[weight[:, i] <= _SEEN, i] = np.nan
    return points


def _dataset(
    pose: xr.Dataset, position: Array, knots: Array, centre: Array, deviation: Array
) -> xr.Dataset:
    dims = pose["position"].dims
    values = xr.DataArray(
        position[:, :, :, None],
        dims=("time", "keypoint", "space", "individual"),
        coords={"space": ["x", "y", "z"], "keypoint": list(KEYPOINTS)},
    )
    if "individual" not in dims:
        values = values.isel(individual=0)
    values = values.sel(space=pose["space"], keypoint=pose["keypoint"]).transpose(*dims)
    result = pose.copy()
    result["position"] = (
        dims,
        values.to_numpy(),
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
        # Eleven bits, a tenth of a millimetre, are more than a draw is worth, and files compress.
        deviation.transpose(0, 1, 3, 2).astype(np.float16).astype(np.float32),
        {
            "units": "m",
            "long_name": "deviation of draws of the posterior from the fit, at its knots",
            "method": "Gauss-Newton Hessian; mirrored solutions by their probability",
        },
    )
    return result.assign_coords(
        fit_time=("fit_time", knots, {"units": "s", "long_name": "time of the knots of the fit"}),
        fit_space=["x", "y", "z"],
        fit_keypoint=list(FITTED),
    )
