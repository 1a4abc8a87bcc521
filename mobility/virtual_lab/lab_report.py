"""The report of a sweep: a self-contained page, its figures, and the numbers as NetCDF."""

from __future__ import annotations

import base64
import io
import json
import os
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from mobility import tables
from mobility.errors import StorageError
from mobility.validation.limits import Z95
from mobility.view import VIEWS
from mobility.virtual_lab.agreement import BENT
from mobility.virtual_lab.case import write_dataset
from mobility.virtual_lab.sweep import Done

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAMES = {
    "landmarks": "landmarks in space",
    "image_plane": "lines in the picture",
    "fitted": "fitted body",
}
"""What estimators are called for people."""

COLOURS = {"landmarks": "#b0722a", "image_plane": "#6b7f94", "fitted": "#1d5fa8"}

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
td small { color: #5b6876; display: block; line-height: 1.2; }
.bad { background: #fbe6dd; }
.fair { background: #fdf5dc; }
figure { margin: 1.2rem 0; }
figure img { max-width: 100%; height: auto; }
figcaption { color: #4b5866; font-size: .9rem; max-width: 46rem; }
.warning { border-left: 4px solid #c2571a; padding: .1rem 1rem; background: #fdf3ec; }
"""


def write_report(
    result: xr.Dataset,
    done: Sequence[Done],
    out: str | os.PathLike[str],
    *,
    grid: str,
) -> Path:
    """Write `virtual-lab.html`, `virtual-lab.nc` and `images/`.

    Parameters
    ----------
    result
        As from :func:`mobility.virtual_lab.agreement.agreement`.
    done
        What became of the cases, also of those that failed.
    out
        Folder, made if absent.
    grid
        What the cases are called together.

    Raises
    ------
    StorageError
        The folder cannot be written.
    """
    folder = Path(out)
    pictures = {name: _png(make()) for name, make in _figures(result).items()}
    page = _page(result, done, pictures, grid=grid)
    try:
        (folder / "images").mkdir(parents=True, exist_ok=True)
        for name, picture in pictures.items():
            _replace(folder / "images" / f"{name}.png", picture)
        _replace(folder / "virtual-lab.html", page.encode())
    except OSError as error:
        raise StorageError(f"{folder}: cannot be written ({error.strerror})") from None
    write_dataset(result, folder / "virtual-lab.nc")
    return folder / "virtual-lab.html"


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(6)}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _page(
    result: xr.Dataset, done: Sequence[Done], pictures: Mapping[str, bytes], *, grid: str
) -> str:
    failed = [case for case in done if case.error is not None]
    versions = json.loads(result.attrs["versions"])
    bent = int(result["case_bent"].sum())
    count = result.sizes["case"]

    def figure(name: str, alt: str, caption: str) -> str:
        if name not in pictures:
            return ""
        data = base64.b64encode(pictures[name]).decode()
        return (
            f"<figure><img src='data:image/png;base64,{data}' alt='{escape(alt, quote=True)}'>"
            f"<figcaption>{escape(caption)}</figcaption></figure>"
        )

    parts = [
        "<h1>Virtual lab: how right the angles are</h1>",
        _paragraph(
            f"{count} rendered squats of the grid “{grid}”, of people whose joint centres are "
            f"known. Each clip was analysed like any other; its angles are compared with the true "
            f"ones, frame by frame, in degrees. In {bent} of the clips an elbow is bent by more "
            f"than {BENT:.0f}°."
        ),
        _failures(failed),
        "<h2>The fitted body, all views</h2>",
        _overall(result),
        _paragraph(
            "Limits: where 95 % of the errors of single values are expected, for people and views "
            "like these (Bland and Altman, for repeated measurements: the frames of a clip err "
            "together). Coverage: how many errors the fit's own 95 % interval held. Given: share "
            "of the values that the analysis gives; the others it refuses or does not see. Deep: "
            "while the true knees are beyond nine tenths of their largest flexion."
        ),
        figure(
            "coverage",
            "Share of errors within the 95 % interval for each angle",
            "Coverage of the fit's own 95 % interval; the line is at 95 %.",
        ),
        "<h2>Three ways to get the angles</h2>",
        _side_by_side(result),
        _paragraph(
            "Mean absolute error. The landmarks in space and the lines in the picture are taken "
            "from the cleaned pose, also where the analysis would refuse them. Lines in the "
            "picture are angles only where the movement is in the plane of the picture."
        ),
        figure(
            "estimators",
            "Mean absolute error of each angle by three ways to get it",
            "Mean absolute error while deep, all views.",
        ),
        "<h2>By view</h2>",
        _by_view(result),
        figure(
            "views",
            "Bias and limits of agreement of each angle for each view",
            "Fitted body: mean error (dot) and 95 % limits of agreement (line) by view; all "
            "frames. The number of clips is below each view.",
        ),
        figure(
            "azimuth",
            "Mean error of each clip against the direction of the camera",
            "Fitted body: mean error of each clip while deep against the azimuth of the camera "
            "(0: from the front, 90: from the subject's left). Blue: left side; orange: right "
            "side; grey: angles without side. Open: an elbow is bent.",
        ),
        "<h2>Straight and bent elbows</h2>",
        _by_elbows(result),
        "<h2>Every clip</h2>",
        _every_case(result),
        "<h2>Where the numbers come from</h2>",
        _table(
            ["", ""],
            [
                ["Grid", escape(grid)],
                ["Clips", str(count)],
                ["Fit", escape(str(result.attrs["fit_method"]))],
                ["Pose model, SHA-256", f"<code>{escape(result.attrs['model_sha256'])}</code>"],
                *[[escape(name), escape(version)] for name, version in versions.items()],
            ],
            caption="What was measured, and with what.",
        ),
        _paragraph(
            "The people, their clothes and their light are simulated. Real recordings differ in "
            "ways that are not simulated, so that their errors are larger rather than smaller."
        ),
    ]
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>Virtual lab: {escape(grid)}</title><style>{STYLE}</style></head><body><main>"
        + "\n".join(part for part in parts if part)
        + "</main></body></html>\n"
    )


def _paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def _failures(failed: Sequence[Done]) -> str:
    if not failed:
        return ""
    lines = "".join(
        f"<li>{escape(case.case.name)}: {escape(str(case.error))}</li>" for case in failed
    )
    return f"<div class='warning'><p>{len(failed)} cases failed:</p><ul>{lines}</ul></div>"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], *, caption: str) -> str:
    columns = "".join(f"<th scope='col'>{cell}</th>" for cell in head)
    body = "".join(
        f"<tr><th scope='row'>{row[0]}</th>"
        + "".join(cell if cell.startswith("<td") else f"<td>{cell}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    header = f"<thead><tr>{columns}</tr></thead>" if any(head) else ""
    return (
        f"<div class='table'><table><caption>{escape(caption)}</caption>"
        f"{header}<tbody>{body}</tbody></table></div>"
    )


def _label(angle: str) -> str:
    text = str(tables.load("angles")[angle]["long_name"]).partition(" (")[0]
    return text[:1].upper() + text[1:]


def _degrees(value: float, *, signed: bool = False) -> str:
    if not np.isfinite(value):
        return "–"
    return f"{round(value, 1) or 0.0:{'+' if signed else ''}.1f}".replace("-", "−")


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %" if np.isfinite(value) else "–"


def _covered(value: float) -> str:
    kind = " class='bad'" if value < 0.80 else " class='fair'" if value < 0.90 else ""
    return f"<td{kind}>{_percent(value)}</td>"


def _overall(result: xr.Dataset) -> str:
    rows = []
    chosen = result.sel(estimator="fitted", view="all", clips="all")
    for angle in _angles(result):
        row = [escape(_label(angle))]
        for part in ("all", "deep"):
            one = chosen.sel(angle=angle, part=part)
            row += [
                _degrees(float(one["bias"]), signed=True),
                _degrees(float(one["mae"])),
                f"{_degrees(float(one['low']), signed=True)} to "
                f"{_degrees(float(one['high']), signed=True)}",
                _covered(float(one["coverage"])),
            ]
        rows.append([*row, _percent(float(chosen["given"].sel(angle=angle, part="all")))])
    each = ["bias", "mean abs.", "95 % limits", "coverage"]
    head = ["Angle", *each, *(f"{name}<br>deep" for name in each), "given"]
    return _table(head, rows, caption="Errors of the fitted body in degrees, all frames and deep.")


def _side_by_side(result: xr.Dataset) -> str:
    estimators = [str(name) for name in result["estimator"].values]
    chosen = result.sel(view="all", clips="all")
    rows = [
        [
            escape(_label(angle)),
            *(
                _degrees(float(chosen["mae"].sel(angle=angle, part=part, estimator=estimator)))
                for part in ("all", "deep")
                for estimator in estimators
            ),
        ]
        for angle in _angles(result)
    ]
    names = [escape(NAMES.get(name, name)) for name in estimators]
    head = ["Angle", *names, *(f"{name}<br>deep" for name in names)]
    return _table(head, rows, caption="Mean absolute error in degrees, all views.")


def _by_view(result: xr.Dataset) -> str:
    chosen = result.sel(estimator="fitted", clips="all", part="all")
    views = [view for view in VIEWS if int(chosen["clips_used"].sel(view=view).max())]
    rows = []
    for angle in _angles(result):
        row = [escape(_label(angle))]
        for view in views:
            one = chosen.sel(angle=angle, view=view)
            coverage = float(one["coverage"])
            kind = " class='bad'" if coverage < 0.80 else " class='fair'" if coverage < 0.90 else ""
            row.append(
                f"<td{kind}>{_degrees(float(one['bias']), signed=True)} ± "
                f"{_degrees(Z95 * float(one['sd']))}<small>MAE {_degrees(float(one['mae']))}, "
                f"holds {_percent(coverage)}</small></td>"
            )
        rows.append(row)
    counts = [int((result["case_view"] == view).sum()) for view in views]
    head = [
        "Angle",
        *(f"{escape(view)}<br>{n} clips" for view, n in zip(views, counts, strict=True)),
    ]
    caption = (
        "Fitted body, all frames, degrees: bias ± half of the 95 % limits of agreement; mean "
        "absolute error; how many errors the fit's 95 % interval holds (coloured below 90 % and "
        "below 80 %). Left and right views are taken together."
    )
    return _table(head, rows, caption=caption)


def _by_elbows(result: xr.Dataset) -> str:
    chosen = result.sel(estimator="fitted", view="all", part="all")
    groups = [
        name for name in ("straight", "bent") if int(chosen["clips_used"].sel(clips=name).max())
    ]
    rows = []
    for angle in _angles(result):
        row = [escape(_label(angle))]
        for group in groups:
            one = chosen.sel(angle=angle, clips=group)
            row += [
                _degrees(float(one["bias"]), signed=True),
                _degrees(float(one["mae"])),
                _degrees(float(one["rmse"])),
                _covered(float(one["coverage"])),
                _percent(float(one["given"])),
            ]
        rows.append(row)
    each = ("bias", "mean abs.", "RMS", "coverage", "given")
    head = ["Angle", *(f"{group}<br>{name}" for group in groups for name in each)]
    return _table(
        head, rows, caption="Fitted body, all frames, clips with straight and bent elbows."
    )


def _every_case(result: xr.Dataset) -> str:
    shown = (
        *("knee_flexion", "hip_flexion", "ankle_dorsiflexion", "hip_abduction"),
        *("shoulder_flexion", "elbow_flexion", "trunk_lean"),
    )
    chosen = result.sel(estimator="fitted", part="all")
    rows = []
    for case in result["case"].values:
        one = chosen.sel(case=case)
        rows.append(
            [
                escape(str(case)),
                _degrees(float(one["azimuth"]), signed=True),
                f"{float(one['depth']):.0f} %",
                "bent" if bool(one["case_bent"]) else "",
                *(
                    _degrees(float(one["case_mae"].sel(angle=angle).mean("side")))
                    for angle in shown
                ),
            ]
        )
    head = ["Clip", "azimuth", "depth", "elbow", *(escape(_label(angle)) for angle in shown)]
    return _table(
        head, rows, caption="Fitted body: mean absolute error of each clip in degrees, all frames."
    )


def _angles(result: xr.Dataset) -> list[str]:
    return [str(angle) for angle in result["angle"].values]


def _figures(result: xr.Dataset) -> dict[str, Callable[[], Figure]]:
    return {
        "estimators": lambda: _estimator_figure(result),
        "coverage": lambda: _coverage_figure(result),
        "views": lambda: _view_figure(result),
        "azimuth": lambda: _azimuth_figure(result),
    }


def _new_figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=110, layout="constrained")


def _png(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()


def _estimator_figure(result: xr.Dataset) -> Figure:
    figure = _new_figure(9.5, 4.2)
    axes = figure.subplots()
    angles = _angles(result)
    estimators = [str(name) for name in result["estimator"].values]
    width = 0.8 / len(estimators)
    for e, estimator in enumerate(estimators):
        values = result["mae"].sel(estimator=estimator, view="all", clips="all", part="deep")
        axes.bar(
            np.arange(len(angles)) + (e - (len(estimators) - 1) / 2) * width,
            np.nan_to_num(values.to_numpy()),
            width,
            label=NAMES.get(estimator, estimator),
            color=COLOURS.get(estimator),
        )
    axes.set_xticks(range(len(angles)), [_label(a) for a in angles], rotation=35, ha="right")
    axes.set_ylabel("mean absolute error, °")
    _plain(axes)
    axes.legend(frameon=False)
    return figure


def _coverage_figure(result: xr.Dataset) -> Figure:
    figure = _new_figure(9.5, 3.6)
    axes = figure.subplots()
    angles = _angles(result)
    for p, (part, colour) in enumerate((("all", "#8fb4dc"), ("deep", "#1d5fa8"))):
        values = result["coverage"].sel(estimator="fitted", view="all", clips="all", part=part)
        place = np.arange(len(angles)) + (p - 0.5) * 0.38
        said = {"all": "all frames", "deep": "deep"}[part]
        axes.bar(place, 100 * np.nan_to_num(values.to_numpy()), 0.38, color=colour, label=said)
    axes.axhline(95, color="#222", linewidth=1)
    axes.set_ylim(0, 100)
    axes.set_xticks(range(len(angles)), [_label(a) for a in angles], rotation=35, ha="right")
    axes.set_ylabel("errors within 1.96 sd, %")
    _plain(axes)
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    return figure


def _view_figure(result: xr.Dataset) -> Figure:
    chosen = result.sel(estimator="fitted", clips="all", part="all")
    angles = _angles(result)
    figure = _new_figure(9.5, 7.0)
    grid = figure.subplots(3, 4, squeeze=False).ravel()
    views = list(VIEWS)
    counts = [int((result["case_view"] == view).sum()) for view in views]
    for axes, angle in zip(grid, angles, strict=False):
        one = chosen.sel(angle=angle, view=views)
        bias, sd = one["bias"].to_numpy(), one["sd"].to_numpy()
        axes.axhline(0, color="#999", linewidth=0.8)
        axes.errorbar(
            range(len(views)), bias, Z95 * np.nan_to_num(sd), fmt="o", color=COLOURS["fitted"],
            capsize=3, markersize=5,
        )  # fmt: skip
        axes.set_title(_label(angle), fontsize=10)
        _plain(axes)
    for a, axes in enumerate(grid[: len(angles)]):
        lowest = a >= 8
        labels = [f"{view} ({n})" for view, n in zip(views, counts, strict=True)]
        axes.set_xticks(range(len(views)), labels if lowest else [""] * len(views))
        axes.tick_params(axis="x", labelsize=8, labelrotation=60)
        axes.tick_params(axis="y", labelsize=8)
    for axes in grid[len(angles) :]:
        axes.set_axis_off()
    figure.supylabel("error, °", fontsize=10)
    return figure


def _azimuth_figure(result: xr.Dataset) -> Figure:
    chosen = result["case_bias"].sel(estimator="fitted", part="deep")
    angles = _angles(result)
    azimuth = (result["azimuth"].to_numpy() + 180.0) % 360.0 - 180.0
    bent = result["case_bent"].to_numpy()
    colours = {"left": "#1d5fa8", "right": "#d07a1f", "middle": "#555555"}
    figure = _new_figure(9.5, 7.0)
    grid = figure.subplots(3, 4, squeeze=False).ravel()
    for axes, angle in zip(grid, angles, strict=False):
        axes.axhline(0, color="#999", linewidth=0.8)
        for side, colour in colours.items():
            values = chosen.sel(angle=angle, side=side).to_numpy()
            for mask, face in ((~bent, colour), (bent, "none")):
                axes.scatter(
                    azimuth[mask], values[mask], s=16, facecolors=face, edgecolors=colour,
                    linewidths=1.0,
                )  # fmt: skip
        axes.set_title(_label(angle), fontsize=10)
        axes.set_xticks([-180, -90, 0, 90, 180])
        axes.tick_params(labelsize=8)
        _plain(axes)
    for axes in grid[len(angles) :]:
        axes.set_axis_off()
    figure.supxlabel("azimuth of the camera, °", fontsize=10)
    figure.supylabel("mean error, °", fontsize=10)
    return figure


def _plain(axes: Any) -> None:
    axes.spines[["top", "right"]].set_visible(False)
