"""Figures of the reports: curves of angles, repetitions, and the body in the phases of a squat.

Every function returns a matplotlib Figure that does not depend on a window or global state;
:func:`png` turns it into bytes that are the same every time.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import htpy as h
import numpy as np
import xarray as xr
from markupsafe import Markup
from numpy.typing import NDArray

from mobility import tables
from mobility.assessment.phases import phase_frames
from mobility.base.formatting import capital, quantity, rounded
from mobility.base.uncertain import is_error, sd_name
from mobility.catalogue.registry import exercise_of
from mobility.errors import BadInputError
from mobility.keypoints.view import azimuths
from mobility.kinematics.datasets import require_pose
from mobility.kinematics.skeleton import SIDES
from mobility.plotting import trial_plots
from mobility.plotting.axes import (
    COLOURS,
    GREY,
    LINES,
    MARKERS,
    NORMAL,
    SMALL,
    UNKNOWN_TILT,
    bare,
    say_empty,
)
from mobility.plotting.trial_plots import VIEWS, View, draw_body, projected, require_angles
from mobility.reports.html import html

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[np.float64]


def angle_names(angles: xr.Dataset) -> list[str]:
    """Return the names of the angles over time that are reported at least in part."""
    return [
        str(name)
        for name, values in angles.data_vars.items()
        if "time" in values.dims
        and not (is_error(name) or str(name).endswith(("_raw", "_image")))
        and not ("refused" in values.attrs and values.isnull().all())
    ]


def curve_buffers(
    angles: xr.Dataset, names: Sequence[str]
) -> tuple[list[dict[str, Any]], list[bytes]]:
    """Return the curves of `names` as descriptions and buffers.

    Returns
    -------
    descriptions
        For each curve: ``name``, ``label``, ``units`` and ``side`` ("" for none).
    buffers
        For each curve, a buffer of float32: all values, then all standard deviations.
    """
    described, buffers = [], []
    for name in names:
        sides = ("left", "right") if "side" in angles[name].dims else ("",)
        for side in sides:
            value, sd = (_angle_of_side(angles, each, side) for each in (name, sd_name(name)))
            described.append(
                {"name": name, "side": side, **_name_and_units(angles[name])},
            )
            buffers.append(np.concatenate([value, sd]).astype(np.float32).tobytes())
    return described, buffers


def _angle_of_side(angles: xr.Dataset, name: str, side: str) -> Array:
    if name not in angles:
        return np.full(angles.sizes["time"], np.nan)
    values = angles[name].sel(side=side) if side else angles[name]
    return np.asarray(values.transpose("time").values, dtype=float)


def _name_and_units(values: xr.DataArray) -> dict[str, str]:
    label = str(values.attrs.get("long_name", values.name)).partition(" (")[0]
    units = str(values.attrs.get("units", ""))
    return {
        "label": label[:1].upper() + label[1:],
        "units": "°" if units == "degree" else units,
    }


_WIDTH = 9.0  # inches: 900 pixels at the resolution of a page
_SEEN_DIRECTLY_DEG = 20.0
"""Largest angle to the nearest camera for a picture without a note: "front" in views.yaml."""


def png(figure: Figure, *, dpi: int = 150) -> bytes:
    """Draw a figure as PNG; the same figure gives the same bytes.

    Parameters
    ----------
    figure
        Any figure of this module.
    dpi
        Pixels per inch; the figures are 9 inches wide.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    buffer = io.BytesIO()
    usual_dpi, figure.dpi = figure.dpi, dpi
    # Not `savefig`, which draws figures with a layout twice, and writes transparency.
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])
    picture.save(buffer, "png", compress_level=3, dpi=(dpi, dpi))
    figure.dpi = usual_dpi
    return buffer.getvalue()


def show(
    figure: Figure, *, alt: str, caption: str = "", width: int = 860, file: Path | None = None
) -> Markup:
    """Show a figure on a page, with a description.

    Parameters
    ----------
    figure
        A matplotlib figure.
    alt
        What the figure shows, as text.
    caption
        Text below it.
    width
        Width on the page in pixels; the picture has more pixels, for print.
    file
        PNG file for the picture; its folder is made if it does not exist.
    """
    picture = png(figure)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(picture)
    height = round(width * figure.get_figheight() / figure.get_figwidth())
    source = f"data:image/png;base64,{base64.b64encode(picture).decode()}"
    image = h.img(".chart", src=source, alt=alt, width=width, height=height)
    return html(h.figure[image, h.figcaption[caption] if caption else None])


def angle_curves(
    angles: xr.Dataset,
    repetitions: xr.Dataset | None,
    *,
    names: Sequence[str],
    turn: str = "bottom",
) -> Figure:
    """Draw angles over time, one panel for each, with their 95 % band and the repetitions.

    Parameters
    ----------
    angles
        Angles Dataset, degrees; or the knee movement, ratios.
    repetitions
        Repetitions Dataset. Accepted repetitions are shaded, rejected ones hatched, and bottoms
        marked. None if they are unknown.
    names
        Variables of `angles` to draw. Values that are NaN are gaps.
    turn
        Word for the end of range of a repetition.
    """
    require_angles(angles, names)
    figure, axes = panels(len(names), 1, height=0.9 + 1.9 * len(names), sharex=True)
    for axis, name in zip(axes, names, strict=True):
        trial_plots.curves(angles, name, repetitions=repetitions, ax=axis, legend=False)
        axis.set_xlabel("")
    axes[-1].set_xlabel("Time (s)", fontsize=NORMAL)
    handles: list[Any] = []
    if any("side" in angles[name].dims for name in names):
        handles += [line(capital(side), color=COLOURS[side], ls=LINES[side]) for side in SIDES]
    if any(sd_name(name) in angles for name in names):
        handles.append(patch(tables.sentence("report.figures.band"), color="#BBBBBB", alpha=0.6))
    if repetitions is not None:
        accepted = repetitions["accepted"].values.astype(bool)
        # Movements of single joints turn where a squat has its bottom.
        noun, turn = ("movement", "turn") if "joints" in repetitions else ("repetition", turn)
        if accepted.any():
            handles.append(patch(noun, fc="#F2F2F2", ec="#CCCCCC"))
        if not accepted.all():
            handles.append(patch("rejected", fc="none", ec="#D9D9D9", hatch="///"))
        if accepted.size:
            handles.append(line(turn, color=GREY, ls=":", lw=1))
    legend(figure, handles)
    return figure


def knee_pictures(
    pose: xr.Dataset, repetitions: xr.Dataset, metrics: xr.Dataset, *, folder: Path
) -> None:
    """Write :func:`knee_movement_image` of every view to a folder, as ``<view>.png``."""
    folder.mkdir(parents=True, exist_ok=True)
    for view in VIEWS:
        picture = png(knee_movement_image(pose, repetitions, metrics, view=view))
        (folder / f"{view}.png").write_bytes(picture)


def knee_movement_image(
    pose: xr.Dataset, repetitions: xr.Dataset, metrics: xr.Dataset, *, view: View
) -> Figure:
    """Draw the body in the phases of the squat, from one side or from the front.

    There is one panel for each phase. Below it are the knee-ankle separation ratio and the knee
    deviations (from the front), or the angles of that side (from the side). A note marks pictures
    that use estimated depth because the nearest camera was 20 degrees or more away from that
    direction. The hip line is dashed if its tilt is not reported.

    The positions are the medians of the frames of each phase over the accepted repetitions, in
    the axes of the body (ISB: X forward, Y up, Z to the right), with the ankles in the middle.

    Parameters
    ----------
    pose
        Pose Dataset, metres, y up.
    repetitions
        Repetitions Dataset of the same frames.
    metrics
        Metrics of :func:`mobility.overhead_squat`, whose medians over the accepted repetitions
        are the captions.
    view
        Position of the viewer from the subject: ``"left"``, ``"right"`` or ``"front"``.
    """
    require_pose(pose, what="knee_movement_image")
    if view not in VIEWS:
        raise BadInputError(f"knee_movement_image: view '{view}' is not left, right or front")
    exercise = exercise_of(metrics)
    of_phases = phase_frames(repetitions, exercise.moments)
    accepted = of_phases.isel(rep=repetitions["accepted"].values.astype(bool))
    frames = accepted.any("rep").transpose("phase", "time").to_numpy()
    horizontal, up = projected(pose, view)
    captions = _captions(metrics, repetitions, view)
    level_known = view != "front" or _has_all_values(metrics, "pelvis_obliquity")

    bodies = [
        {name: (_median(horizontal[name][rows]), _median(up[name][rows])) for name in horizontal}
        for rows in frames
    ]
    figure, axes = _panels_of(bodies)
    titles = [capital(name) for name in exercise.short_words]
    for title, axis, body, caption in zip(titles, axes, bodies, captions, strict=True):
        axis.set_title(title, fontsize=NORMAL, color="black", pad=6, y=1.0)
        axis.axhline(0, color=GREY, linewidth=1.0, zorder=0)
        if np.isfinite([xy for name in ("left_hip", "right_hip") for xy in body[name]]).all():
            draw_body(axis, body, view, level_known=level_known)
        else:
            say_empty(axis, tables.sentence("report.figures.not_seen"))
        axis.set_xlabel(caption, fontsize=SMALL, color="black", labelpad=4)
    handles = [line(capital(side), color=COLOURS[side], marker=MARKERS[side]) for side in SIDES]
    if not level_known:
        dashed = tables.sentence("report.figures.hips")
        handles.append(line(dashed, color=GREY, ls=UNKNOWN_TILT, lw=1.5))
    legend(figure, handles, title=_seen_from(pose, view), loc="upper left")
    return figure


def panels(
    rows: int,
    columns: int,
    *,
    height: float,
    sharex: bool = False,
    sharey: bool = False,
) -> tuple[Figure, list[Axes]]:
    """Make a figure with `rows` x `columns` plain panels.

    Parameters
    ----------
    rows, columns
        Numbers of rows and columns; the panels are returned row by row.
    height
        Height of the figure, inches; it is as wide as a page.
    sharex, sharey
        Whether all panels share an axis.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = list(figure.subplots(rows, columns, sharex=sharex, sharey=sharey, squeeze=False).ravel())
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.spines[["left", "bottom"]].set_color(GREY)
        axis.tick_params(labelsize=SMALL, color=GREY, labelcolor="black")
    return figure, axes


def legend(figure: Figure, handles: Sequence[Any], **options: Any) -> None:
    """Put one legend above all panels, unless there are no handles."""
    about: dict[str, Any] = {"loc": "outside upper left", "ncols": len(handles)} | options
    if handles:
        figure.legend(
            handles=handles, frameon=False, fontsize=SMALL, title_fontsize=NORMAL,
            alignment="left", borderaxespad=0.3, **about,
        )  # fmt: skip


def line(label: str, **style: Any) -> Any:
    """Make a line or mark for a legend."""
    from matplotlib.lines import Line2D

    return Line2D([], [], label=label, **({"lw": 1.8} | style))


def patch(label: str, **style: Any) -> Any:
    """Make a patch for a legend."""
    from matplotlib.patches import Patch

    return Patch(label=label, **style)


def _median(values: Array) -> float:
    finite = values[np.isfinite(values)]
    # As for the metrics, half of the frames must have a value.
    return (
        float(np.median(finite)) if finite.size and 2 * finite.size >= values.size else float("nan")
    )


def _has_all_values(metrics: xr.Dataset, name: str) -> bool:
    return name not in metrics or bool(metrics[name].notnull().all())


def _panels_of(bodies: Sequence[dict[str, tuple[float, float]]]) -> tuple[Figure, list[Axes]]:
    """Make a figure with a panel for each body, on the same scale."""
    from matplotlib.figure import Figure

    points = np.array([xy for body in bodies for xy in body.values()])
    points = points[np.isfinite(points).all(axis=1)]
    half = float(np.abs(points[:, 0]).max()) + 0.08 if points.size else 0.5
    top = float(points[:, 1].max()) + 0.12 if points.size else 1.8
    above, below, margin, tallest = 0.85, 0.55, 0.08, 3.0  # inches
    width = (_WIDTH - (len(bodies) + 1) * margin) / len(bodies)
    half = max(half, width * (top + 0.05) / (2 * tallest))
    height = width * (top + 0.05) / (2 * half)
    total = above + height + below
    figure = Figure(figsize=(_WIDTH, total), facecolor="white")
    axes = []
    for column in range(len(bodies)):
        left = margin + column * (width + margin)
        place = (left / _WIDTH, below / total, width / _WIDTH, height / total)
        axes.append(figure.add_axes(place, xlim=(-half, half), ylim=(-0.05, top)))
        bare(axes[-1])
    return figure, axes


def _captions(metrics: xr.Dataset, repetitions: xr.Dataset, view: View) -> list[str]:
    """Return the captions of the phases: medians over the accepted repetitions."""
    used = metrics.isel(rep=np.flatnonzero(repetitions["accepted"].values))
    phases = exercise_of(metrics).moments

    def by_phase(name: str, side: str | None = None) -> list[float]:
        values = used[f"{name}_phase"]
        if side is not None:
            values = values.sel(side=side)
        rows = values.reindex(phase=list(phases)).transpose("phase", "rep").values
        values_seen = [row[np.isfinite(row)] for row in rows]
        return [float(np.median(row)) if row.size else float("nan") for row in values_seen]

    if view == "front":
        ratio = by_phase("knee_ankle_separation_ratio")
        right, left = (
            [
                quantity(100 * share, "percent", signed=True)
                for share in by_phase("knee_deviation", side)
            ]
            for side in ("right", "left")
        )
        return [
            f"Knee-ankle ratio {rounded(ratio[i], 2)}\nKnee inwards R {right[i]}, L {left[i]}"
            for i in range(len(phases))
        ]
    angles = {"knee_flexion": view, "hip_flexion": view, "ankle_dorsiflexion": view}
    columns = {
        name.partition("_")[0]: by_phase(name, side)
        for name, side in (angles | {"trunk_lean": None}).items()
        if name in metrics
    }
    texts = []
    for i in range(len(phases)):
        words = [f"{name} {quantity(values[i], 'degree')}" for name, values in columns.items()]
        texts.append("\n".join(capital(", ".join(pair)) for pair in (words[:2], words[2:])))
    return texts


def _seen_from(pose: xr.Dataset, view: View) -> str:
    """Name the view of the picture, and note if the picture uses estimated depth."""
    words = tables.sentence(f"report.seen_from.{view}")
    azimuth = np.radians(azimuths(pose))
    towards = np.abs(np.cos(azimuth) if view == "front" else np.sin(azimuth))
    if not np.isfinite(towards).any():
        return tables.sentence("report.drawn.unknown", view=words)
    angle = float(np.degrees(np.arccos(np.nanmax(towards))))
    return (
        words if angle <= _SEEN_DIRECTLY_DEG else tables.sentence("report.drawn.depth", view=words)
    )
