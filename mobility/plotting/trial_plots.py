"""Plots of one recording or two: curves, repetitions, the body, and agreement with a lab."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from pydantic import Field, PlainValidator

from mobility import tables
from mobility.assessment.body_axes import body_axes
from mobility.base.formatting import capital, quantity
from mobility.base.options import checked, likely, quoted
from mobility.base.uncertain import sd_beside
from mobility.documents.normalised import normalise
from mobility.errors import BadInputError
from mobility.keypoints.view import camera_view
from mobility.kinematics.datasets import (
    Angles,
    Pose,
    Repetitions,
    kind_made_by,
    require_positions,
)
from mobility.kinematics.expected_error import half_width
from mobility.kinematics.skeleton import BONES, SIDES, landmarks
from mobility.plotting.axes import (
    COLOURS,
    GREY,
    LIMITS,
    MARKERS,
    NORMAL,
    SECOND,
    UNKNOWN_TILT,
    Where,
    axes_or_new,
    labelled,
    line_with_interval,
    panel_title,
    say_empty,
    side_style,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]
View = Literal["left", "right", "front"]
VIEWS: tuple[View, ...] = ("left", "right", "front")


_check_agreement = kind_made_by(
    "mobility.agreement",
    {
        **dict.fromkeys(("video_values", "lab_values"), "rep metric angle side"),
        **{f"{line}{end}": "metric angle side" for line in LIMITS for end in ("", "_low", "_high")},
    },
    texts={"metric": "metric", "angle": "angle", "side": "side"},
    beside=("comparison",),
)


@checked
def curves(
    angles: Angles,
    name: str = "knee_flexion",
    *,
    repetitions: Repetitions | None = None,
    ax: Where = None,
    legend: bool = True,
) -> Axes:
    """Draw an angle over time with the 95 % band of its error.

    Parameters
    ----------
    angles
        Angles Dataset, degrees, over ``(time, side)`` or ``(time,)``. Angles of a session
        (:meth:`mobility.store.Session.angles`) are NaN if its report does not show them.
    name
        Variable of `angles`. NaN values are gaps; if all are NaN, the plot shows the reason.
    repetitions
        Repetitions Dataset. Accepted repetitions are shaded, rejected ones hatched, and bottoms
        dotted.
    ax
        Axes to draw on; None makes a new figure.
    legend
        Whether to name the sides.

    Returns
    -------
    matplotlib.axes.Axes
        The Axes drawn on.

    Raises
    ------
    BadInputError
        If `name` is not in `angles`.
    """
    require_angles(angles, [name])
    ax = axes_or_new(ax)
    time = angles["time"].values
    sides = _sides_of(angles, name)
    for side, value, sd in sides:
        band: dict[str, Any] = {"color": COLOURS[side], "alpha": 0.13, "linewidth": 0, "zorder": 2}
        half = half_width(sd)
        ax.fill_between(time, value - half, value + half, **band)
        ax.plot(time, value, label=capital(side), linewidth=1.5, zorder=3, **side_style(side))
    if not angles[name].notnull().any():
        say_empty(ax, angles[name].attrs.get("refused", tables.sentence("reasons.not_seen")))
    _keep_curves_readable(ax, sides)
    if repetitions is not None:
        show_repetitions(ax, repetitions)
    if time.size > 1:
        ax.set_xlim(time[0], time[-1])
    ax.set_xlabel("Time (s)", fontsize=NORMAL)
    return labelled(ax, angles[name], legend=legend)


@checked
def repetitions(
    angles: Angles,
    repetitions: Repetitions,
    name: str = "knee_flexion",
    *,
    ax: Where = None,
    legend: bool = True,
) -> Axes:
    """Draw the accepted, complete repetitions of an angle on one scale, 0 to 100 %.

    Parameters
    ----------
    angles, repetitions
        Angles in degrees, and the repetitions of the same frames.
    name
        Variable of `angles`. Repetitions have thin lines, and their mean a thick line, with a band
        of one standard deviation if there are at least three repetitions.
    ax
        Axes to draw on; None makes a new figure.
    legend
        Whether to name the sides.

    Returns
    -------
    matplotlib.axes.Axes
        The Axes drawn on.

    Raises
    ------
    BadInputError
        If `name` is not in `angles`.
    """
    require_angles(angles, [name])
    ax = axes_or_new(ax)
    normalised = normalise(angles[[name]], repetitions)[name]
    if not (repetitions["accepted"] & repetitions.get("complete", True)).any():
        say_empty(ax, "no accepted repetition")
    elif not normalised.notnull().any():
        say_empty(ax, angles[name].attrs.get("refused", tables.sentence("reasons.not_seen")))
    for side, values in _by_side(normalised):
        style = side_style(side)
        for curve in values:
            ax.plot(normalised["percent"], curve, linewidth=0.6, alpha=0.45, **style)
        _mean_and_spread(ax, normalised["percent"].values, values, capital(side), style)
    ax.set_xlim(0, 100)
    ax.set_xlabel("Repetition (%)", fontsize=NORMAL)
    return labelled(ax, angles[name], legend=legend)


@checked
def body(
    pose: Pose,
    time: Annotated[float, Field(allow_inf_nan=False)] | None = None,
    *,
    view: View | None = None,
    ax: Where = None,
) -> Axes:
    """Draw the body at one time, in metres above the floor.

    Parameters
    ----------
    pose
        Pose Dataset of a cleaned or fitted body, metres, y up.
    time
        Seconds; the nearest frame is drawn. None takes the frame in which the hips are lowest above
        the feet: the bottom of a squat.
    view
        Position of the viewer, from the subject: ``"left"``, ``"right"`` or ``"front"``. None takes
        the view that is nearest to the camera's view.
    ax
        Axes to draw on; None makes a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The Axes drawn on, with the same scale in both directions.

    Raises
    ------
    BadInputError
        `pose` is not a pose, `view` is unknown, or nobody is seen at that time.
    """
    require_positions(pose, what="plot.body")
    view = view or _nearest_view(pose)
    horizontal, up = projected(pose, view)
    hips = np.stack([up["left_hip"], up["right_hip"]]).mean(axis=0)
    times = pose["time"].values
    if not np.isfinite(hips).any():
        raise BadInputError("plot.body: the hips are not seen in any frame")
    frame = int(np.nanargmin(hips) if time is None else np.abs(times - time).argmin())
    if not np.isfinite(hips[frame]):
        raise BadInputError(f"plot.body: nobody is seen at {times[frame]:.2f} s")
    ax = axes_or_new(ax)
    ax.axhline(0, color=GREY, linewidth=1.0, zorder=0)
    draw_body(ax, {n: (float(horizontal[n][frame]), float(up[n][frame])) for n in up}, view)
    ax.set_aspect("equal")
    ax.set_ylabel("Height (m)", fontsize=NORMAL)
    viewpoint = "the front" if view == "front" else f"the subject's {view}"
    panel_title(ax, f"{quantity(times[frame], 's', digits=2)}, from {viewpoint}")
    return ax


@checked
def compare(
    first: Angles,
    second: Angles,
    name: str = "knee_flexion",
    *,
    side: Literal["left", "right"] | None = None,
    repetitions: tuple[Repetitions, Repetitions] | None = None,
    labels: tuple[str, str] = ("first", "second"),
    ax: Where = None,
) -> Axes:
    """Draw one angle from two recordings, or from video and lab, on one Axes.

    Parameters
    ----------
    first, second
        Angles Datasets. If angles over time are drawn, they should have the same clock
        (:func:`mobility.align`).
    name
        Variable of both Datasets.
    side
        Side to draw; None draws both.
    repetitions
        Repetitions of the first and the second recording. If they are passed, the mean and standard
        deviation over 0 to 100 % of the repetition are drawn, which does not require a common
        clock. Without them, the angle is drawn over time.
    labels
        Names of the two recordings.
    ax
        Axes to draw on; None makes a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The Axes drawn on: the first in the colours of the sides, the second in green.

    Raises
    ------
    BadInputError
        If `name` is not in both Datasets.
    """
    ax = axes_or_new(ax)
    for which, (angles, label) in enumerate(zip((first, second), labels, strict=True)):
        require_angles(angles, [name])
        angle = angles[name]
        if repetitions:
            angle = normalise(angles[[name]], repetitions[which])[name]
        for drawn_side, values in _by_side(angle):
            if side and drawn_side not in (side, ""):
                continue
            style = side_style(drawn_side)
            if which:
                style["color"] = SECOND
            text = f"{label}, {drawn_side}" if drawn_side else label
            if repetitions:
                _mean_and_spread(ax, angle["percent"].values, values, text, style)
            else:
                ax.plot(angle["time"], values, label=text, linewidth=1.5, **style)
    ax.set_xlabel("Repetition (%)" if repetitions else "Time (s)", fontsize=NORMAL)
    return labelled(ax, first[name], legend=True)


@checked
def bland_altman(
    agreement: Annotated[xr.Dataset, PlainValidator(_check_agreement)],
    name: str = "knee_flexion",
    *,
    side: str | None = None,
    metric: str = "peak",
    comparison: str | None = None,
    ax: Where = None,
    colours: Sequence[str] | None = None,
) -> Axes:
    """Draw differences between video and lab over their means, with bias and limits of agreement.

    Parameters
    ----------
    agreement
        Result of :func:`mobility.agreement`, or the agreement from a comparison with a lab.
    name, side
        Angle and side; None for the side takes the first side that was compared.
    metric
        ``"peak"``, ``"bottom"`` or ``"range"`` of the repetitions; ``"value"`` of metrics.
    comparison
        Comparison to draw; None takes the first.
    ax
        Axes to draw on; None makes a new figure.
    colours
        Colour of the mark of each repetition; None takes the colour of the side.

    Returns
    -------
    matplotlib.axes.Axes
        The Axes, with a mark for each repetition, the mean difference, the 95 % limits (Bland and
        Altman 1999, Stat Methods Med Res 8:135) and, as bars on the right, their confidence
        intervals.

    Raises
    ------
    BadInputError
        The angle, side, metric or comparison was not compared.
    """
    selected = agreement
    if comparison is not None and "comparison" not in selected.dims:
        raise BadInputError(
            "plot.bland_altman: there is only one comparison; leave out 'comparison'"
        )
    if "comparison" in selected.dims:
        which = comparison or str(selected["comparison"].values[0])
        selected = _select(selected, "comparison", which)
    selected = _select(_select(selected, "angle", name), "metric", metric)
    paired = selected["video_values"].notnull() & selected["lab_values"].notnull()
    compared = [s for s in selected["side"].values.tolist() if bool(paired.sel(side=s).any())]
    which_side = side or next(iter(compared), "left")
    selected = _select(selected, "side", which_side)
    video, lab = selected["video_values"].to_numpy(), selected["lab_values"].to_numpy()
    means, differences = (video + lab) / 2, video - lab
    ax = axes_or_new(ax)
    ax.axhline(0, color=GREY, lw=0.7)
    for line in LIMITS:
        line_with_interval(
            ax, line, *(float(selected[f"{line}{end}"]) for end in ("", "_low", "_high"))
        )
    key = "" if which_side == "middle" else which_side
    marks = list(colours or [COLOURS[key]] * means.size)
    _check_colours(marks, means.size)
    style: dict[str, Any] = {"ls": "", "marker": MARKERS.get(key, "D"), "mfc": "white", "ms": 5.5}
    for colour in dict.fromkeys(marks):
        has_colour = np.array([mark == colour for mark in marks])
        ax.plot(means[has_colour], differences[has_colour], mec=colour, **style)
    ax.margins(x=0.12, y=0.15)
    panel_title(ax, capital(name.replace("_", " ")) + (f", {key}" if key else ""))
    ax.set_xlabel("Mean of both (°)", fontsize=NORMAL)
    ax.set_ylabel("Difference (°)", fontsize=NORMAL)
    return ax


def _check_colours(colours: Sequence[str], count: int) -> None:
    from matplotlib.colors import is_color_like

    if len(colours) != count or not all(is_color_like(colour) for colour in colours):
        raise BadInputError(
            f"plot.bland_altman: colours must be colours of matplotlib, one for each of {count} "
            "repetitions"
        )


def require_angles(angles: xr.Dataset, names: Sequence[str]) -> None:
    """Raise an error for names not in `angles` (with the likely spelling) or not over time."""
    if not names:
        raise BadInputError("figure: no angle is named; pass at least one in 'names'")
    for name in names:
        if name not in angles:
            raise BadInputError(
                f"figure: no angle {quoted(name)}{likely(name, [str(v) for v in angles.data_vars])}"
            )
        values = angles[name]
        if set(values.dims) - {"side"} != {"time"} or values.dtype.kind not in "fiu":
            raise BadInputError(
                f"figure: '{name}' must be numbers with the dimensions (time) or (time, side)"
            )


def show_repetitions(axis: Axes, repetitions: xr.Dataset) -> None:
    """Shade accepted repetitions, hatch rejected ones, mark bottoms."""
    for rep in range(repetitions.sizes["rep"]):
        start, end = (float(repetitions[n][rep]) for n in ("start", "end"))
        if "accepted" not in repetitions or bool(repetitions["accepted"][rep]):
            axis.axvspan(start, end, facecolor="#F2F2F2", edgecolor="none", zorder=0)
        else:
            axis.axvspan(
                start, end, facecolor="none", edgecolor="#D9D9D9", hatch="///", lw=0, zorder=0
            )
        if "bottom" in repetitions:
            bottom = float(repetitions["bottom"][rep])
            axis.axvline(bottom, color=GREY, linewidth=0.8, linestyle=":", zorder=1)


def projected(pose: xr.Dataset, view: View) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return horizontal and vertical coordinates of each landmark, as the viewer sees them.

    The floor is at the lower of the heels and toes, and the middle is between the ankles.
    """
    names = [str(name) for name in pose["keypoint"].values]
    body = np.einsum("tks,tas->tka", landmarks(pose, keypoints=names), body_axes(pose).values)
    index = {name: i for i, name in enumerate(names)}
    middle = body[:, [index["left_ankle"], index["right_ankle"]]].mean(axis=1, keepdims=True)
    soles = [index[f"{side}_{part}"] for side in SIDES for part in ("heel", "foot_index")]
    floor = body[:, soles, 1].min(axis=1)
    # A viewer at the left looks along +Z, so forward (+X) is on the viewer's left.
    along, sign = {"left": (0, -1.0), "right": (0, 1.0), "front": (2, -1.0)}[view]
    return (
        {name: sign * (body[:, i, along] - middle[:, 0, along]) for name, i in index.items()},
        {name: body[:, i, 1] - floor for name, i in index.items()},
    )


def draw_body(
    axis: Axes, body: dict[str, tuple[float, float]], view: View, *, level_known: bool = True
) -> None:
    """Draw the skeleton, with the side nearer to the viewer on top."""
    near = "right" if view == "right" else "left"
    segments: dict[str, list[tuple[str, str]]] = {"": [], "left": [], "right": []}
    for bone in BONES:
        sides = {name.split("_")[0] for name in bone}
        segments[sides.pop() if len(sides) == 1 else ""].append(bone)
    if not level_known:
        hips = next(bone for bone in BONES if set(bone) == {"left_hip", "right_hip"})
        segments[""].remove(hips)
        style = _bone_style("", near, view) | {"linestyle": UNKNOWN_TILT}
        _draw_lines(axis, body, [hips], solid_capstyle="round", **style)
    for side, bones in segments.items():
        _draw_lines(axis, body, bones, solid_capstyle="round", **_bone_style(side, near, view))
    for side in SIDES:
        style = _bone_style(side, near, view)
        joints = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
        axis.plot(
            *zip(*(body[f"{side}_{joint}"] for joint in joints), strict=True),
            linestyle="",
            marker=MARKERS[side],
            markersize=4.5,
            markerfacecolor="white",
            markeredgecolor=style["color"],
            markeredgewidth=1.2,
            alpha=style["alpha"],
            zorder=style["zorder"] + 0.5,
        )
    ears = np.array([body["left_ear"], body["right_ear"]])
    shoulders = np.array([body["left_shoulder"], body["right_shoulder"]])
    if np.isfinite(ears).all() and np.isfinite(shoulders).all():
        from matplotlib.patches import Circle

        head, neck = ears.mean(axis=0), shoulders.mean(axis=0)
        axis.plot(*zip(head, neck, strict=True), color=GREY, lw=1.5, zorder=2)
        axis.add_patch(
            Circle(tuple(head), 0.1, facecolor="white", edgecolor=GREY, linewidth=1.5, zorder=4)
        )
    if view == "front":
        across = [("left_knee", "right_knee"), ("left_ankle", "right_ankle")]
        _draw_lines(axis, body, across, color=GREY, lw=1.0, ls=":", zorder=1)


def _draw_lines(
    axis: Axes, body: dict[str, tuple[float, float]], pairs: list[tuple[str, str]], **style: Any
) -> None:
    """Draw lines of one style as a single line, because drawing a line takes a millisecond."""
    gap = (np.nan, np.nan)
    points = [point for a, b in pairs for point in (body[a], body[b], gap)]
    axis.plot(*zip(*points, strict=True), **style)


def _bone_style(side: str, near: str, view: View) -> dict[str, Any]:
    if not side:
        return {"color": GREY, "lw": 1.5, "alpha": 1.0, "zorder": 3}
    far = view != "front" and side != near
    return {
        "color": COLOURS[side],
        "lw": 1.6 if far else 2.6,
        "alpha": 0.55 if far else 1.0,
        "zorder": 2 if far else 5,
    }


def _by_side(values: xr.DataArray) -> list[tuple[str, Array]]:
    """Return the curves of each side: over time, or of the repetitions that have any value."""
    over = [dim for dim in ("rep", "percent", "time") if dim in values.dims]
    if "side" not in values.dims:
        curves = [("", values.transpose(*over).values)]
    else:
        sides = [side for side in SIDES if side in values["side"].values]
        if not sides:
            fault = "has neither the side 'left' nor the side 'right'; pass angles with a side"
            raise BadInputError(f"{values.name}: {fault}")
        curves = [(side, values.sel(side=side).transpose(*over).values) for side in sides]
    if "rep" not in over:
        return curves
    return [(side, curve[np.isfinite(curve).any(axis=1)]) for side, curve in curves]


def _mean_and_spread(
    ax: Axes, percent: Array, values: Array, label: str, style: dict[str, Any]
) -> None:
    if not len(values):
        return
    mean = values.mean(axis=0)
    ax.plot(percent, mean, linewidth=2.0, label=label, **style)
    if len(values) > 2:
        spread = values.std(axis=0, ddof=1)
        ax.fill_between(
            percent, mean - spread, mean + spread, color=style["color"], alpha=0.15, lw=0
        )


def _sides_of(angles: xr.Dataset, name: str) -> list[tuple[str, Array, Array]]:
    sd = sd_beside(angles, name)
    pairs = zip(_by_side(angles[name]), _by_side(sd), strict=True)
    return [(side, value, error) for (side, value), (_, error) in pairs]


def _keep_curves_readable(axis: Axes, sides: Sequence[tuple[str, Array, Array]]) -> None:
    """Clip an error band that is much wider than the curves, because it would flatten them."""
    values = np.concatenate([value[np.isfinite(value)] for _, value, _ in sides])
    errors = np.concatenate([sd[np.isfinite(sd)] for _, _, sd in sides])
    if not values.size or not errors.size:
        return
    span = max(float(np.ptp(values)), half_width(float(np.median(errors))))
    if span > 0:
        low, high = axis.get_ylim()
        axis.set_ylim(max(low, values.min() - span), min(high, values.max() + span))


def _nearest_view(pose: xr.Dataset) -> View:
    azimuth = camera_view(pose).azimuth_deg
    if not 45 < abs(azimuth) < 135:
        return "front"
    return "right" if azimuth > 0 else "left"


def _select(agreement: xr.Dataset, dim: str, value: str) -> xr.Dataset:
    compared = [str(label) for label in agreement[dim].values]
    if value not in compared:
        raise BadInputError(f"plot.bland_altman: no {dim} {quoted(value)}{likely(value, compared)}")
    return agreement.sel({dim: value})
