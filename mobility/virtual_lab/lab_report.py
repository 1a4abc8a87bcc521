"""Report of a sweep: a self-contained page, its figures, and the numbers as NetCDF."""

from __future__ import annotations

import base64
import io
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import htpy as h
import numpy as np
import xarray as xr

from mobility.base.formatting import between, capital, percent, quantity, rounded
from mobility.base.writing import atomic, writing
from mobility.keypoints.view import VIEWS
from mobility.kinematics.expected_error import half_width
from mobility.kinematics.skeleton import called
from mobility.virtual_lab.agreement_with_truth import BENT
from mobility.virtual_lab.case import write_dataset
from mobility.virtual_lab.sweep import Done

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAMES = {
    "landmarks": "landmarks in space",
    "image_plane": "lines in the picture",
    "fitted": "fitted body",
}
"""Names of the estimators in the report."""

STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1c2530; background: #fff;
  max-width: 66rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.8rem; line-height: 1.2; margin: 0 0 .5rem; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .5rem; border-top: 1px solid #d6dce3;
  padding-top: 1.2rem; }
p { max-width: 46rem; }
.table { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: #4b5866; padding-bottom: .4rem; max-width: 46rem; }
th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid #e5e9ee;
  white-space: nowrap; }
th[scope=row], thead th:first-child { text-align: left; }
thead th { border-bottom: 2px solid #aab4c0; vertical-align: bottom; white-space: normal;
  max-width: 7rem; }
.bad { background: #fbe6dd; }
.fair { background: #fdf5dc; }
figure { margin: 1.2rem 0; }
figure img { max-width: 100%; height: auto; }
figcaption { color: #4b5866; font-size: .9rem; max-width: 46rem; }
.warning { border-left: 4px solid #c2571a; padding: .1rem 1rem; background: #fdf3ec; }
"""


def write_report(
    result: xr.Dataset, done: Sequence[Done], out: str | os.PathLike[str], *, grid: str
) -> Path:
    """Write `virtual-lab.html`, `virtual-lab.nc` and `images/` into a folder; make it if necessary.

    `result` comes from :func:`mobility.virtual_lab.agreement_with_truth.agreement`. `done` lists
    all cases, including failed ones. `grid` is their common name.
    """
    folder = Path(out)
    pictures = {"views": _png(_view_figure(result)), "azimuth": _png(_azimuth_figure(result))}
    page = _page(result, done, pictures, grid=grid)
    with writing(folder):
        (folder / "images").mkdir(parents=True, exist_ok=True)
    for name, picture in pictures.items():
        with atomic(folder / "images" / f"{name}.png") as hidden:
            hidden.write_bytes(picture)
    with atomic(folder / "virtual-lab.html") as hidden:
        hidden.write_text(page, encoding="utf-8")
    write_dataset(result, folder / "virtual-lab.nc")
    return folder / "virtual-lab.html"


def _page(
    result: xr.Dataset, done: Sequence[Done], pictures: Mapping[str, bytes], *, grid: str
) -> str:
    failed = [case for case in done if case.error is not None]
    versions = json.loads(result.attrs["versions"])
    bent = int(result["case_bent"].sum())
    count = result.sizes["case"]

    def figure(name: str, alt: str, caption: str) -> h.Node:
        encoded = base64.b64encode(pictures[name]).decode()
        picture = h.img(src=f"data:image/png;base64,{encoded}", alt=alt)
        return h.figure[picture, h.figcaption[caption]]

    parts = [
        h.h1["Virtual lab: accuracy of the angles"],
        h.p[
            f"{count} rendered videos of the grid “{grid}”, with people whose joint centres are "
            f"known. Each video was analysed like any other; its angles are compared with the true "
            f"ones, frame by frame, in degrees. In {bent} of the videos, an elbow is bent by more "
            f"than {quantity(BENT, 'degree')}."
        ],
        _failures(failed),
        h.h2["The fitted body, all views"],
        _overall(result),
        h.p[
            "Limits: where 95 % of the errors of single values are expected, for people and views "
            "like these (Bland and Altman, for repeated measurements, because the errors in the "
            "frames of a video are correlated). Coverage: the share of errors within the fit's own "
            "95 % interval. Given: the share of values that the analysis reports. Deep: while the "
            "true knee flexion is above nine tenths of its largest value."
        ],
        h.h2["Three ways to get the angles"],
        _side_by_side(result),
        h.p[
            "Mean absolute error. The landmarks in space and the lines in the picture are taken "
            "from the cleaned pose, even if the analysis would not report them. Lines in the "
            "picture only show the angle if the movement is in the image plane."
        ],
        h.h2["By view"],
        _by_view(result),
        figure(
            "views",
            "Bias and limits of agreement of each angle for each view",
            "Fitted body: mean error (dot) and 95 % limits of agreement (line) by view; all "
            "frames. The number of videos is below each view.",
        ),
        figure(
            "azimuth",
            "Mean error of each video against the direction of the camera",
            "Fitted body: mean error of each video while deep against the azimuth of the camera "
            "(0: from the front, 90: from the subject's left). Blue: left side; orange: right "
            "side; grey: angles without a side. Open circles: an elbow is bent.",
        ),
        h.h2["Straight and bent elbows"],
        _by_elbows(result),
        h.h2["Every clip"],
        _every_case(result),
        h.h2["Where the numbers come from"],
        _table(
            ["", ""],
            [
                ["Grid", grid],
                ["Clips", str(count)],
                ["Fit", str(result.attrs["fit_method"])],
                ["Pose model, SHA-256", h.td[h.code[result.attrs["model_sha256"]]]],
                *([name, version] for name, version in versions.items()),
            ],
            caption="What was measured, and with which software.",
        ),
        h.p[
            "The people, their clothes and their light are simulated. Real recordings differ in "
            "ways that are not simulated, so their errors are probably larger."
        ],
    ]
    page = h.html(lang="en")[
        h.head[
            h.meta(charset="utf-8"),
            h.meta(name="viewport", content="width=device-width, initial-scale=1"),
            h.title[f"Virtual lab: {grid}"],
            h.style[STYLE],
        ],
        h.body[h.main[parts]],
    ]
    return f"{page}\n"


def _failures(failed: Sequence[Done]) -> h.Node:
    if not failed:
        return None
    lines = (h.li[f"{case.case.name}: {case.error}"] for case in failed)
    return h.div(".warning")[h.p[f"{len(failed)} cases failed:"], h.ul[lines]]


def _table(head: Sequence[h.Node], rows: Iterable[Sequence[h.Node]], *, caption: str) -> h.Node:
    """Make a table whose first column names the row; elements among the cells become ``td``."""
    body = (
        h.tr[
            h.th(scope="row")[row[0]],
            (cell if isinstance(cell, h.Element) else h.td[cell] for cell in row[1:]),
        ]
        for row in rows
    )
    header = h.thead[h.tr[(h.th(scope="col")[cell] for cell in head)]] if any(head) else None
    return h.div(".table")[h.table[h.caption[caption], header, h.tbody[body]]]


def _lines(text: str) -> h.Node:
    first, *further_lines = text.strip("\n").split("\n")
    return first, *((h.br, line) for line in further_lines)


def _label(angle: str) -> str:
    return capital(called(angle))


def _covered(value: float) -> h.Element:
    kind = "bad" if value < 0.80 else "fair" if value < 0.90 else None
    return h.td(class_=kind)[percent(value)]


_CELLS: Mapping[str, Callable[[xr.Dataset], h.Node]] = {
    "bias": lambda errors: rounded(float(errors["bias"]), 1, signed=True),
    "mean abs.": lambda errors: rounded(float(errors["mae"]), 1),
    "RMS": lambda errors: rounded(float(errors["rmse"]), 1),
    "95 % limits": lambda errors: between(
        float(errors["low"]), float(errors["high"]), digits=1, signed=True
    ),
    "coverage": lambda errors: _covered(float(errors["coverage"])),
    "given": lambda errors: percent(float(errors["given"])),
}
"""Cells of a table by the name of their column."""


def _by_angle(
    groups: Mapping[str, xr.Dataset], names: Sequence[str], *, caption: str, single: bool = False
) -> h.Node:
    """Make a table with a row for each angle and, for each group, the columns `names`.

    With a `single` column for each group, the head only has the name of the group.
    """
    rows = [
        [
            _label(angle),
            *(
                _CELLS[name](errors.sel(angle=angle))
                for errors in groups.values()
                for name in names
            ),
        ]
        for angle in _angles(next(iter(groups.values())))
    ]
    head = [_lines(group if single else f"{name}\n{group}") for group in groups for name in names]
    return _table(["Angle", *head], rows, caption=caption)


def _overall(result: xr.Dataset) -> h.Node:
    fitted_result = result.sel(estimator="fitted", view="all", clips="all")
    groups = {"": fitted_result.sel(part="all"), "deep": fitted_result.sel(part="deep")}
    names = ["bias", "mean abs.", "95 % limits", "coverage", "given"]
    caption = "Errors of the fitted body in degrees, all frames and deep."
    return _by_angle(groups, names, caption=caption)


def _side_by_side(result: xr.Dataset) -> h.Node:
    all_clips = result.sel(view="all", clips="all")
    groups = {
        NAMES.get(name, name) + after: all_clips.sel(part=part, estimator=name)
        for part, after in (("all", ""), ("deep", "\ndeep"))
        for name in map(str, result["estimator"].values)
    }
    caption = "Mean absolute error in degrees, all views."
    return _by_angle(groups, ["mean abs."], caption=caption, single=True)


def _by_view(result: xr.Dataset) -> h.Node:
    fitted_result = result.sel(estimator="fitted", clips="all", part="all")
    groups = {
        f"{view}, {int((result['case_view'] == view).sum())} videos": fitted_result.sel(view=view)
        for view in VIEWS
        if int(fitted_result["clips_used"].sel(view=view).max())
    }
    caption = (
        "Fitted body, all frames, degrees (coverage coloured below 90 % and below 80 %). Left and "
        "right views are combined."
    )
    return _by_angle(groups, ["bias", "mean abs.", "95 % limits", "coverage"], caption=caption)


def _by_elbows(result: xr.Dataset) -> h.Node:
    fitted_result = result.sel(estimator="fitted", view="all", part="all")
    groups = {
        name: fitted_result.sel(clips=name)
        for name in ("straight", "bent")
        if int(fitted_result["clips_used"].sel(clips=name).max())
    }
    names = ["bias", "mean abs.", "RMS", "coverage", "given"]
    caption = "Fitted body, all frames, videos with straight and bent elbows."
    return _by_angle(groups, names, caption=caption)


def _every_case(result: xr.Dataset) -> h.Node:
    angles = (
        *("knee_flexion", "hip_flexion", "ankle_dorsiflexion", "hip_abduction"),
        *("shoulder_flexion", "elbow_flexion", "trunk_lean"),
    )
    fitted_result = result.sel(estimator="fitted", part="all")
    rows = []
    for case in result["case"].values:
        clip = fitted_result.sel(case=case)
        rows.append(
            [
                str(case),
                rounded(float(clip["azimuth"]), 1, signed=True),
                quantity(float(clip["depth"]), "percent") if np.isfinite(clip["depth"]) else "",
                "bent" if bool(clip["case_bent"]) else "",
                *(
                    rounded(float(clip["case_mae"].sel(angle=angle).mean("side")), 1)
                    for angle in angles
                ),
            ]
        )
    head = ["Clip", "azimuth", "depth", "elbow", *map(_label, angles)]
    return _table(
        head, rows, caption="Fitted body: mean absolute error of each video in degrees, all frames."
    )


def _angles(result: xr.Dataset) -> list[str]:
    return [str(angle) for angle in result["angle"].values]


def _png(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()


def _panels(result: xr.Dataset) -> tuple[Figure, dict[str, Any]]:
    """Make a figure with labelled axes for each angle, and a line at zero."""
    from matplotlib.figure import Figure

    figure, angles = Figure(figsize=(9.5, 7.0), dpi=110, layout="constrained"), _angles(result)
    grid = figure.subplots(-(-len(angles) // 4), 4, squeeze=False).ravel()
    for axes, angle in zip(grid, angles, strict=False):
        axes.axhline(0, color="#999", linewidth=0.8)
        axes.set_title(_label(angle), fontsize=10)
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in grid[len(angles) :]:
        axes.set_axis_off()
    figure.supylabel("error, °", fontsize=10)
    return figure, dict(zip(angles, grid, strict=False))


def _view_figure(result: xr.Dataset) -> Figure:
    fitted_result = result.sel(estimator="fitted", clips="all", part="all", view=list(VIEWS))
    labels = [f"{view} ({int((result['case_view'] == view).sum())})" for view in VIEWS]
    figure, panels = _panels(result)
    for i, (angle, axes) in enumerate(panels.items()):
        errors = fitted_result.sel(angle=angle)
        half = half_width(np.nan_to_num(errors["sd"].to_numpy()))
        axes.errorbar(
            range(len(labels)), errors["bias"].to_numpy(), half, fmt="o", color="#1d5fa8",
            capsize=3, markersize=5,
        )  # fmt: skip
        axes.set_xticks(range(len(labels)), labels if i >= 8 else [""] * len(labels))
        axes.tick_params(axis="x", labelrotation=60)
    return figure


def _azimuth_figure(result: xr.Dataset) -> Figure:
    deep_bias = result["case_bias"].sel(estimator="fitted", part="deep")
    azimuth = (result["azimuth"].to_numpy() + 180.0) % 360.0 - 180.0
    bent = result["case_bent"].to_numpy()
    colours = {"left": "#1d5fa8", "right": "#d07a1f", "middle": "#555555"}
    figure, panels = _panels(result)
    for angle, axes in panels.items():
        for side, colour in colours.items():
            values = deep_bias.sel(angle=angle, side=side).to_numpy()
            for mask, face in ((~bent, colour), (bent, "none")):
                axes.scatter(
                    azimuth[mask], values[mask], s=16, facecolors=face, edgecolors=colour,
                    linewidths=1.0,
                )  # fmt: skip
        axes.set_xticks([-180, -90, 0, 90, 180])
    figure.supxlabel("azimuth of the camera, °", fontsize=10)
    figure.supylabel("mean error, °", fontsize=10)
    return figure
