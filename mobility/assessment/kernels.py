"""Measure functions (kernels); a measure names one as ``from: <kernel>.<output>``.

A function of points computes quantities in every frame, and is called once for all measures that
need it. The errors are computed by calling it again with displaced points. A function of the
recording computes the other values: times, counts, slopes and smoothness (spectral arc length,
dimensionless jerk).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from inspect import signature
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from mobility import tables
from mobility.assessment.body_axes import OUTWARD, by_body_axes, median_of, points_of
from mobility.assessment.phases import never_standing_there
from mobility.base import provenance
from mobility.base.options import likely
from mobility.catalogue.exercise import Exercise
from mobility.errors import BadInputError
from mobility.keypoints.view import hides_frontal_plane
from mobility.kinematics.datasets import EVENTS
from mobility.kinematics.repetitions import EDGE_SPEED
from mobility.kinematics.skeleton import KEYPOINTS, SIDES

Array = NDArray[np.float64]

CUTOFF_HZ = 10.0
"""Highest frequency of the spectral arc length."""


_THRESHOLD = 0.05
"""Share of the largest magnitude below which the end of the spectrum is left out."""

_PADDING = 4
"""The spectrum has at least 2 to the power of this number times as many points as there are
samples.
"""


def sparc(speed: ArrayLike, *, rate_hz: float, cutoff_hz: float = CUTOFF_HZ) -> float:
    r"""Compute the spectral arc length of a speed profile: 0 is smooth, negative is jerky.

    V is the magnitude of the Fourier transform of the speed, divided by its largest value, and f_c
    the highest frequency below the cutoff at which V reaches 5 %: :math:`-\int_0^{f_c}
    \sqrt{(1/f_c)^2 + (dV/df)^2}\, df`.

    Parameters
    ----------
    speed
        Speed of one movement, at regular times, any unit.
    rate_hz
        Samples per second.
    cutoff_hz
        Highest frequency that counts; it should not exceed the cutoff of the low-pass filter of the
        data.

    Returns
    -------
    float
        The value is -1.40 for a movement with the least possible jerk. NaN for a speed that is
        zero, contains NaN, or has fewer than two samples.

    Raises
    ------
    BadInputError
        If the speed is not one series, or a number is out of range.

    References
    ----------
    Balasubramanian, Melendez-Calderon, Roby-Brami, Burdet (2015), J NeuroEng Rehabil 12:112.
    """
    values = _series(speed, rate_hz, "sparc")
    if cutoff_hz <= 0:
        raise BadInputError.of({"cutoff_hz": "must be positive"})
    if values.size < 2 or np.isnan(values).any() or not values.any():
        return float("nan")
    points = 2 ** (int(np.ceil(np.log2(values.size))) + _PADDING)
    magnitude = np.abs(np.fft.rfft(values, points))
    magnitude /= magnitude.max()
    frequency = np.arange(magnitude.size) * rate_hz / points
    inside = np.flatnonzero((frequency <= cutoff_hz) & (magnitude >= _THRESHOLD))
    if inside.size < 2:
        return float("nan")
    part = magnitude[inside[0] : inside[-1] + 1]
    step = 1 / (part.size - 1)
    return float(-np.hypot(step, np.diff(part)).sum())


def ldlj(speed: ArrayLike, *, rate_hz: float) -> float:
    r"""Compute the log dimensionless jerk of a speed profile: a jerky movement is more negative.

    With the speed v of a movement of duration T,
    :math:`-\ln\left(\frac{T^3}{v_{peak}^2} \int_0^T \ddot v^2\, dt\right)`.

    Parameters
    ----------
    speed
        Speed of one movement, at regular times, any unit.
    rate_hz
        Samples per second.

    Returns
    -------
    float
        The value is -ln 204.8 = -5.322 for a movement with the smallest possible jerk. NaN for a
        speed without jerk, with a NaN, or with fewer than five samples.

    Raises
    ------
    BadInputError
        If the speed is not one series, or the rate is not positive.

    References
    ----------
    Balasubramanian, Melendez-Calderon, Roby-Brami, Burdet (2015), J NeuroEng Rehabil 12:112.
    """
    values = _series(speed, rate_hz, "ldlj")
    if values.size < 5 or np.isnan(values).any():
        return float("nan")
    peak = np.abs(values).max()
    jerk = np.gradient(np.gradient(values, 1 / rate_hz), 1 / rate_hz)
    duration = (values.size - 1) / rate_hz
    total = np.trapezoid(jerk**2, dx=1 / rate_hz)
    if peak == 0 or total == 0:
        return float("nan")
    return float(-np.log(duration**3 / peak**2 * total))


def _series(speed: ArrayLike, rate_hz: float, what: str) -> Array:
    values = np.asarray(speed, dtype=np.float64)
    if values.ndim != 1:
        raise BadInputError(
            f"{what}: the speed must be a single series (got the shape {values.shape})"
        )
    if not rate_hz > 0:
        raise BadInputError.of({"rate_hz": f"must be positive (got {rate_hz:g})"}, what=what)
    return values


PHASES = ("descent", "ascent")
"""Phases of a repetition whose smoothness is measured."""

_GRID_HZ = 100.0
"""Rate at which the speed is computed from the curve through the heights."""

LONGEST_GAP = 0.2
"""Longest time, in seconds, that may be missing within a phase."""

_JOINTS = ("hip", "ankle")


def hip_smoothness(pose: xr.Dataset, repetitions: xr.Dataset) -> tuple[dict[str, Array], float]:
    """Compute the smoothness of the hips' speed above the ankles in descent and ascent.

    The speed is the derivative of a cubic spline through the heights of the frames. The descent
    lasts from ``start`` to the first moment from ``bottom_start`` on at which the speed is below 5
    % of its peak; the ascent is its mirror image. Both begin and end nearly at rest.

    Parameters
    ----------
    pose
        Pose Dataset in metres, y up.
    repetitions
        Repetitions Dataset of the same frames.

    Returns
    -------
    smoothness, cutoff_hz
        ``<phase>_sparc`` and ``<phase>_ldlj`` over repetitions, and the cutoff of the spectral arc
        length, see :func:`bandwidth`. NaN if the recording cuts the phase off, or if more than 0.2
        s of it are missing.
    """
    cutoff = min(CUTOFF_HZ, bandwidth(pose))
    time, height = pose["time"].to_numpy(), _height(points_of(pose, _JOINTS))
    count = repetitions.sizes["rep"]
    result = {
        f"{phase}_{kind}": np.full(count, np.nan) for phase in PHASES for kind in ("sparc", "ldlj")
    }
    for rep in range(count):
        repetition = repetitions.isel(rep=rep)
        for phase, flag in zip(PHASES, ("start_seen", "end_seen"), strict=True):
            window = _window(repetition, phase, time, height) if bool(repetition[flag]) else None
            if window is None:
                continue
            speed = _speed(time, height, window)
            result[f"{phase}_sparc"][rep] = sparc(speed, rate_hz=_GRID_HZ, cutoff_hz=cutoff)
            result[f"{phase}_ldlj"][rep] = ldlj(speed, rate_hz=_GRID_HZ)
    return result, cutoff


def bandwidth(pose: xr.Dataset) -> float:
    """Return the highest frequency, Hz, that the positions of a pose can have.

    It is the lowest of the cutoff of the low-pass filter, half of the rate of the knots of a fitted
    body, and half of the frame rate.
    """
    highest = [0.5 / float(np.median(np.diff(pose["time"].to_numpy())))]
    cleaned = [e for e in provenance.history(pose) if e["operation"] == "clean_pose"]
    for entry in cleaned:
        highest += [float(step["cutoff_hz"]) for step in entry["steps"] if "cutoff_hz" in step]
    if "fit_time" in pose:
        highest.append(0.5 / float(np.median(np.diff(pose["fit_time"].to_numpy()))))
    return min(highest)


def _height(points: Array) -> Array:
    """Return the height of the hips above the ankles from points (time, joint, side, space)."""
    rise: Array = points[:, 0, :, 1].mean(axis=-1) - points[:, 1, :, 1].mean(axis=-1)
    return rise


def _window(
    repetition: xr.Dataset, phase: str, time: Array, height: Array
) -> tuple[float, float] | None:
    """Return the first and last moment of a phase; None if too much of it is missing."""
    start, bottom_start, bottom, bottom_end, end = (float(repetition[name]) for name in EVENTS)
    first, last = (start, bottom) if phase == "descent" else (bottom, end)
    times = time[np.isfinite(height)]
    inside = times[(times >= first - 1e-9) & (times <= last + 1e-9)]
    gaps = np.diff(inside, prepend=first, append=last)
    if inside.size < 4 or gaps.max() > LONGEST_GAP:
        return None
    speed = np.abs(_speed(time, height, (first, last)))
    moment = np.linspace(first, last, speed.size)
    slow = speed < EDGE_SPEED * speed.max()
    if phase == "descent":
        at_rest = moment[slow & (moment >= bottom_start)]
        return first, float(at_rest[0]) if at_rest.size else last
    at_rest = moment[slow & (moment <= bottom_end)]
    return float(at_rest[-1]) if at_rest.size else first, last


def _speed(time: Array, height: Array, window: tuple[float, float]) -> Array:
    """Return the speed within the window, at regular times; NaN if too much of it is missing."""
    from scipy.interpolate import CubicSpline

    first, last = window
    count = max(round((last - first) * _GRID_HZ) + 1, 2)
    margin = 1.0  # seconds: the ends of the spline must lie outside
    near = np.isfinite(height) & (time >= first - margin) & (time <= last + margin)
    if near.sum() < 4:
        return np.full(count, np.nan)
    curve = CubicSpline(time[near], height[near])
    return np.asarray(curve.derivative()(np.linspace(first, last, count)))


Points = Mapping[str, Array]
"""Points by the name of the joint, each (time, side, space): left first, metres, y up."""

Doubts = Callable[[xr.Dataset, xr.Dataset, Mapping[str, Array]], tuple[dict[str, str], list[Any]]]
"""Makes sentences about missing outputs, and warnings, from the pose, the repetitions and the
outputs.
"""


@dataclass(frozen=True)
class PointKernel:
    """A measure function of points.

    Attributes
    ----------
    compute
        Gets the points, the points of the standing frames, and the limits of the tables by name.
        Returns outputs by name, over time, over time and side, or a single number of the recording.
    joints
        Paired landmarks that it needs; the hips are among them.
    doubts
        Explains what is missing in the outputs; None if there is nothing to explain.
    """

    compute: Callable[[Points, Points, Mapping[str, float]], Mapping[str, Array]]
    joints: tuple[str, ...]
    doubts: Doubts | None = None

    def of_array(
        self, limits: Mapping[str, float]
    ) -> Callable[[Array, Array], Mapping[str, Array]]:
        """Convert it to a function of two arrays (time, joint, side, space): all, and standing."""

        def computed(points: Array, standing: Array) -> Mapping[str, Array]:
            outputs = self.compute(self._named(points), self._named(standing), limits)
            for name, output in outputs.items():
                if np.shape(output) not in ((), (len(points),), (len(points), len(SIDES))):
                    raise BadInputError(
                        f"kernel {self.compute.__name__}: {name}: must have the dimensions (time) "
                        f"or (time, side), or be a single number; its shape is {np.shape(output)}"
                    )
            return outputs

        return computed

    @property
    def is_shared(self) -> bool:
        """Whether the function belongs to this package, so that its errors were measured."""
        return self.compute.__module__.startswith("mobility.assessment.")

    def _named(self, points: Array) -> Points:
        view = points.view()
        view.flags.writeable = False
        return dict(zip(self.joints, np.moveaxis(view, 1, 0), strict=True))


Compute = Callable[[Points, Points, Mapping[str, float]], Mapping[str, Array]]


def of_points(*joints: str, doubts: Doubts | None = None) -> Callable[[Compute], PointKernel]:
    """Turn a function into a measure function of these paired joints.

    The hips must be among them.
    """
    paired = [name.removeprefix("left_") for name in KEYPOINTS if name.startswith("left_")]
    for joint in joints:
        if joint not in paired:
            raise BadInputError(f"of_points: {joint!r}: unknown{likely(joint, paired)}")
    if "hip" not in joints:
        raise BadInputError(
            "of_points: 'hip' must be among the joints, because the hips define the axes"
        )
    return lambda compute: PointKernel(_takes(compute, 3), joints, doubts)


class Values(NamedTuple):
    """One output of a measure function of the recording.

    ``value`` is over time, over repetitions, or a single number, with or without ``side``; ``sd``
    is the standard deviation of its error. ``note`` explains why the value is missing.
    ``if_missing`` explains why a number that is computed from it has no value at all. ``attrs`` are
    further attributes.
    """

    value: xr.DataArray
    sd: xr.DataArray | None = None
    note: str = ""
    if_missing: str = ""
    attrs: Mapping[str, Any] = {}


@dataclass(frozen=True)
class MeasuredTrial:
    """Inputs of a measure function of the recording.

    Attributes
    ----------
    exercise
        The exercise that is measured.
    pose, angles, repetitions
        Datasets of the same frames; in `angles`, the side that is hidden by the near side is NaN.
    hidden_side
        The hidden side; empty if there is none.
    sex, age
        Sex and age of the participant; None if unknown.
    limits
        Limits of the tables by name, for all exercises and for this one.
    """

    exercise: Exercise
    pose: xr.Dataset
    angles: xr.Dataset
    repetitions: xr.Dataset
    hidden_side: str
    sex: str | None
    age: float | None
    limits: Mapping[str, float]

    @property
    def fitted(self) -> bool:
        """Whether a body was fitted."""
        return "position_draws" in self.pose


@dataclass(frozen=True)
class TrialKernel:
    """A measure function of the recording; it is not called with posterior samples."""

    compute: Callable[[MeasuredTrial], Mapping[str, Values]]


def of_trial(compute: Callable[[MeasuredTrial], Mapping[str, Values]]) -> TrialKernel:
    """Turn a function into a measure function of the recording."""
    return TrialKernel(_takes(compute, 1))


def _takes(compute: Callable[..., Any], count: int) -> Any:
    """Reject a measure function whose parameters differ from those of its calls."""
    try:
        signature(compute).bind(*range(count))
    except TypeError:
        what = "(trial)" if count == 1 else "(points, standing, limits)"
        raise BadInputError(f"kernel {compute.__name__}: must take {what}") from None
    return compute


def read_only(dataset: xr.Dataset) -> xr.Dataset:
    """Copy a Dataset, so that no function changes the data of another function."""
    copied = dataset.copy(deep=True)
    for variable in copied.variables.values():
        if isinstance(variable.values, np.ndarray):
            variable.values.flags.writeable = False
    return copied


_RESERVED = ("units", "group", "reference", "quantity", "kind", "long_name", "statistic")
"""Attributes that the declaration sets, not the measure function."""


def checked_values(values: Any, trial: MeasuredTrial, *, what: str) -> Values:
    """Check the output of a function, and return it with an error of the same shape."""
    if not isinstance(values, Values) or not isinstance(values.value, xr.DataArray):
        raise BadInputError(
            f"{what}: must return Values of a DataArray (got {type(values).__name__})"
        )
    value, sd = values.value, values.sd
    lengths = {"time": trial.pose.sizes["time"], "rep": trial.repetitions.sizes["rep"]}
    lengths |= {"side": len(SIDES), "phase": value.sizes.get("phase", 0)}
    for dim, length in value.sizes.items():
        if lengths.get(str(dim)) != length or (
            dim in ("side", "phase") and dim not in value.coords
        ):
            raise BadInputError(
                f"{what}: must have only the dimensions time, rep, side or phase of the "
                f"recording; {dim} has {length}"
            )
    if "rep" in value.dims:
        value = value.assign_coords(rep=trial.repetitions["rep"].to_numpy())
    if reserved := sorted({*values.attrs} & {*_RESERVED}):
        raise BadInputError(
            f"{what}: the attribute {reserved[0]!r} is set by the declaration. Leave it out"
        )
    if sd is not None:
        sd = xr.DataArray(sd)
        if "rep" in sd.dims:
            sd = sd.assign_coords(rep=trial.repetitions["rep"].to_numpy())
        sd = sd.broadcast_like(value).transpose(*value.dims)
        if bool((sd < 0).any()):
            raise BadInputError(f"{what}: sd: must not be negative")
    if bool(np.isinf(value.astype(float)).any()):
        raise BadInputError(f"{what}: must be finite, or NaN if there is no value")
    return values._replace(value=value, sd=sd)


def output_of(name: str, entry: Mapping[str, Any], outputs: Collection[str]) -> str:
    """Return the output of a measure function that a measure needs.

    Raise an error if it is unknown.
    """
    kernel, _, output = str(entry["from"]).partition(".")
    if output not in outputs:
        hint = likely(output, outputs) or f"; it gives {', '.join(outputs)}"
        raise BadInputError(
            f"measures.yaml: {name}: from: the kernel {kernel} has no output {output!r}{hint}"
        )
    return output


def limits_of(exercise: Exercise) -> dict[str, float]:
    """Return the limits of the tables of measures by name, for all exercises and for this one."""
    entries = {
        **tables.load("measures")["limits"],
        **exercise.own_table("measures").get("limits", {}),
    }
    plain = {name: e["value"] if isinstance(e, Mapping) else e for name, e in entries.items()}
    return {name: value for name, value in plain.items() if name != "source"}


def _doubts(
    pose: xr.Dataset, repetitions: xr.Dataset, outputs: Mapping[str, Array]
) -> tuple[dict[str, str], list[Any]]:
    """Explain that the view hides the frontal plane, or that the ankles are never apart."""
    if hidden_from := hides_frontal_plane(pose):
        reason = tables.sentence(f"reasons.{hidden_from.replace('-', '_')}_view")
        return {}, [tables.warning("warnings.frontal_plane_not_visible", reason=reason)]
    unknown, warnings = never_standing_there(repetitions), []
    if (
        np.isnan(outputs["standing_ankle_width"])
        and np.isfinite(outputs["knee_ankle_separation_ratio"]).any()
    ):
        unknown = unknown or tables.sentence("reasons.never_apart")
        warnings = [tables.warning("warnings.standing_ankle_width_unknown", reason=unknown)]
    return ({"knee_deviation": unknown} if unknown else {}), warnings


@of_points("hip", "knee", "ankle", "foot_index", doubts=_doubts)
def knee(points: Points, standing: Points, limits: Mapping[str, float]) -> dict[str, Array]:
    r"""Compute the knee-ankle separation ratio and the knee deviation at every frame.

    eZ is the horizontal direction from the left to the right hip, and eX the direction to the
    front. K, A and T are knee, ankle and toe. W is the median distance of the ankles along eZ over
    the standing frames (after a step, over the standing frames of the new stance). s is +1 on the
    right and -1 on the left:

    - ``knee_ankle_separation_ratio`` = \|(K_R - K_L)·eZ\| / \|(A_R - A_L)·eZ\|;
    - ``knee_deviation`` = s (z - K·eZ) / W, where z is the position along eZ of the line from ankle
      to toe, at the knee's position along eX, minus its median over the standing frames. It is
      positive if the knee is farther medial of that line than in standing;
    - ``frontal_plane_projection_angle``, see :func:`frontal_plane_projection_angle`;
    - ``standing_ankle_width`` = W.

    Values are NaN if landmarks are missing, the hip line is steep, the ankles touch, or the foot
    points sideways. The angle is also NaN if the thigh points at the viewer.

    References
    ----------
    Ortiz et al. (2016), Open Access J Sports Med 7:65.
    Bell, Padua, Clark (2008), Arch Phys Med Rehabil 89:1323.
    """
    width = standing_ankle_width(by_body_axes(standing)[1]["ankle"], limits)
    x, z = by_body_axes(points)
    ratio = abs(z["knee"][:, 1] - z["knee"][:, 0]) / _apart(ankle_distance(z["ankle"]), limits)
    offset = medial_of_foot(points, limits) - median_of(medial_of_foot(standing, limits))
    leg = (
        np.stack([x[joint], points[joint][..., 1], OUTWARD * z[joint]], axis=-1)
        for joint in ("hip", "knee", "ankle")
    )
    valgus = frontal_plane_projection_angle(*leg, smallest_share=limits["smallest_projected_thigh"])
    return {
        "knee_ankle_separation_ratio": ratio,
        "knee_deviation": offset / width,
        "frontal_plane_projection_angle": valgus,
        "standing_ankle_width": width,
    }


def frontal_plane_projection_angle(
    hip: Array, knee: Array, ankle: Array, *, smallest_share: float = 0.0
) -> Array:
    """Compute the angle of the knee in the frontal plane (2-D knee valgus), degrees.

    Parameters
    ----------
    hip, knee, ankle
        Joints of one leg (..., 3) in metres: forward, up, and outward from the middle of the body.
    smallest_share
        Shortest projection of the thigh, as a share of its length, at which there is an angle. Deep
        in a squat, the thigh points at the viewer, and the angle then only shows where the foot
        points. If the knees are over turned-out toes, it falls from -29 to -137 degrees.

    Returns
    -------
    Array
        180 degrees minus the angle between thigh and shank in the plane of the last two axes. A
        straight leg has 0; the angle is positive if the knee is medial of the line from hip to
        ankle (valgus).

    References
    ----------
    Willson, Ireland, Davis (2006), Med Sci Sports Exerc 38:945.
    """
    thigh, shank = knee - hip, ankle - knee
    up, out = thigh[..., 1], thigh[..., 2]
    cross = out * shank[..., 1] - up * shank[..., 2]
    angle = np.degrees(np.arctan2(cross, up * shank[..., 1] + out * shank[..., 2]))
    share = np.hypot(up, out) / np.linalg.norm(thigh, axis=-1)
    return np.where(share >= smallest_share, angle, np.nan)


def ankle_distance(ankle_z: Array) -> Array:
    """Return the distance between the ankles, from their coordinates (..., side) along eZ."""
    return abs(ankle_z[..., 1] - ankle_z[..., 0])


def standing_ankle_width(ankle_z: Array, limits: Mapping[str, float]) -> Array:
    """Return the median ankle distance over the standing frames; NaN if they nearly touch."""
    return _apart(median_of(ankle_distance(ankle_z)), limits)


def _apart(distance: Array, limits: Mapping[str, float]) -> Array:
    return np.where(distance >= limits["smallest_ankle_width_m"], distance, np.nan)


def medial_of_foot(points: Points, limits: Mapping[str, float]) -> Array:
    """Return how far the knees (time, side) are medial of the line from ankle to toe, metres."""
    x, z = by_body_axes(points)
    forward, outward = (v["foot_index"] - v["ankle"] for v in (x, z))
    least = np.hypot(forward, outward) * np.cos(np.radians(limits["largest_toe_out_deg"]))
    reach = (x["knee"] - x["ankle"]) / np.where(forward > least, forward, np.nan)
    medial: Array = OUTWARD * (z["ankle"] + reach * outward - z["knee"])
    return medial
