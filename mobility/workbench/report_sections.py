"""The parts of a report as HTML: tables and lines of text, no science of their own.

Every function takes plain values or Datasets and returns a string of HTML, so
that a notebook shows it with ``HTML(...)`` and a test reads it. Whatever came
from a person (names, file names, reasons) is escaped.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from mobility.provenance import history, warnings_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Z95 = 1.96
"""Half-width of a 95 % interval in standard deviations, errors being normal."""

GROUPS = {
    "hip_flexion": "Hip flexion",
    "hip_abduction": "Hip abduction",
    "knee_flexion": "Knee flexion",
    "knee_movement": "Knee movement",
    "ankle_dorsiflexion": "Ankle dorsiflexion",
}
"""The groups of the report in their order, with their headings."""

PHASES = {
    "standing": "standing",
    "mid_descent": "middle of the descent",
    "bottom": "bottom",
    "mid_ascent": "middle of the ascent",
}

_DIGITS = {"degree": 0, "percent": 0, "%": 0, "s": 1, "second": 1, "1": 2}
_SUFFIX = {"degree": "°", "percent": " %", "%": " %", "s": " s", "second": " s"}


def quantity(value: float, units: str, *, sd: float = math.nan, signed: bool = False) -> str:
    """Write a value with the digits that its unit deserves, and its 95 % interval.

    Degrees and percent are whole, seconds have one decimal, ratios two. An
    interval is rounded up, so that it never looks narrower than it is.

    Parameters
    ----------
    value
        The value; NaN gives an en dash.
    units
        Its unit, as in the attribute ``units`` of a Dataset variable.
    sd
        Standard deviation of its error, in the same unit; NaN where unknown.
    signed
        Whether a positive value carries a plus sign.
    """
    if not math.isfinite(value):
        return "–"
    digits = _DIGITS.get(units, 1)
    text = f"{round(value, digits) + 0.0:{'+' if signed else ''}.{digits}f}".replace("-", "−")
    if signed and float(text.replace("−", "-")) == 0:
        text = text.lstrip("+")
    suffix = _SUFFIX.get(units, "")
    if math.isfinite(sd):
        step = 10.0**-digits
        half = math.ceil(Z95 * sd / step - 1e-9) * step
        return f"{text}{suffix} <span class='interval'>± {half:.{digits}f}{suffix}</span>"
    return f"{text}{suffix}"


def table(
    head: Sequence[str], rows: Iterable[Sequence[str]], *, caption: str, numeric: bool = False
) -> str:
    """Make an accessible table whose first column names the row.

    Parameters
    ----------
    head
        Headings of the columns, as HTML.
    rows
        Cells of each row, as HTML.
    caption
        What the table shows, as text.
    numeric
        Whether all columns after the first are numbers, set to the right.
    """
    columns = "".join(f"<th scope='col'>{cell}</th>" for cell in head)
    body = "".join(
        f"<tr><th scope='row'>{row[0]}</th>"
        + "".join(f"<td>{cell}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    kind = " class='numeric'" if numeric else ""
    return (
        f"<div class='table'><table{kind}><caption>{escape(caption)}</caption>"
        f"<thead><tr>{columns}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def facts(entries: Mapping[str, str | None]) -> str:
    """List named facts (text, which is escaped); those that are None are left out."""
    rows = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>"
        for name, value in entries.items()
        if value is not None
    )
    return f"<dl class='facts'>{rows}</dl>"


def paragraphs(*texts: str) -> str:
    """Set plain texts as paragraphs."""
    return "".join(f"<p>{escape(text)}</p>" for text in texts)


def person(participant: Mapping[str, Any], *, year: int) -> str:
    """Say who was filmed: name, sex, age, height and mass, as far as they are known.

    Parameters
    ----------
    participant
        Fields as in the participant document: ``display_name``, ``sex``,
        ``birth_year`` or ``age``, ``height_m``, ``weight_kg``.
    year
        Year of the recording, from which an age follows where a birth year is known.
    """
    age = participant.get("age")
    if age is None and participant.get("birth_year") is not None:
        age = year - int(participant["birth_year"])
        age = f"{age - 1}–{age}"
    parts = [
        participant.get("display_name") or participant.get("user_id") or "not named",
        participant.get("sex"),
        None if age is None else f"{age} years",
        None if participant.get("height_m") is None else f"{participant['height_m']:.2f} m",
        None if participant.get("weight_kg") is None else f"{participant['weight_kg']:.0f} kg",
    ]
    return ", ".join(str(part) for part in parts if part)


def count_repetitions(repetitions: xr.Dataset) -> str:
    """Say how many repetitions were found, and why some were left out."""
    accepted = np.asarray(repetitions["accepted"].values, bool)
    if accepted.size == 0:
        return "none found"
    text = f"{accepted.sum()} accepted of {accepted.size} found"
    rejected = [
        f"no. {int(number)}: {reason}"
        for number, ok, reason in zip(
            repetitions["rep"].values, accepted, repetitions["reason"].values, strict=True
        )
        if not ok
    ]
    return f"{text} (left out: {'; '.join(rejected)})" if rejected else text


def distrust(warnings: Sequence[Mapping[str, str]], *datasets: xr.Dataset) -> str:
    """List what limits the trust in this report: warnings of the session and its Datasets.

    Parameters
    ----------
    warnings
        Warnings of the session, each with ``code`` and ``message``.
    *datasets
        Datasets whose history may hold more; each warning is shown once.
    """
    messages: list[str] = []
    for warning in [*warnings, *warnings_of(*datasets)]:
        if warning["message"] not in messages:
            messages.append(warning["message"])
    standing = (
        "All angles come from one camera. Depth is inferred by a neural network, not measured: "
        "single values can be wrong by ten degrees or more, and movement out of the image plane "
        "is the least certain."
    )
    items = "".join(f"<li>{escape(message)}</li>" for message in messages)
    found = f"<ul>{items}</ul>" if items else "<p>The analysis recorded no further warnings.</p>"
    return f"<aside class='distrust' aria-label='What to distrust'><p>{standing}</p>{found}</aside>"


def reason_missing(
    metrics: xr.Dataset, name: str, repetitions: xr.Dataset, side: str | None = None
) -> str:
    """Say why a metric has no value: its own stated reason, else what the data show.

    Parameters
    ----------
    metrics
        The metrics; a variable may state its reason in the attribute ``reason``.
    name
        Variable of `metrics`.
    repetitions
        The repetitions, which say whether there was anything to measure.
    side
        ``"left"`` or ``"right"`` for a sided variable.
    """
    attrs = metrics[name].attrs if name in metrics else {}
    stated = (attrs.get(f"reason_{side}") if side else None) or attrs.get("reason")
    if stated:
        return str(stated)
    if name not in metrics:
        return "not part of this analysis"
    if repetitions.sizes.get("rep", 0) == 0:
        return "no repetition was found"
    if not bool(repetitions["accepted"].any()):
        return "no repetition was accepted"
    if name.endswith("_asymmetry"):
        return "needs both sides"
    return "landmarks not seen well enough in the accepted repetitions"


def cell(
    metrics: xr.Dataset,
    name: str,
    repetitions: xr.Dataset,
    *,
    side: str | None = None,
    signed: bool = False,
) -> str:
    """Write one metric with its 95 % interval, or why it could not be measured."""
    value, sd = _value(metrics, name, side), _value(metrics, f"{name}_sd", side)
    if not math.isfinite(value):
        why = escape(reason_missing(metrics, name, repetitions, side))
        return f"<span class='missing'>not measurable ({why})</span>"
    return quantity(value, _units(metrics, name), sd=sd, signed=signed)


def verdict(metrics: xr.Dataset, name: str) -> str:
    """Say whether a signed asymmetry (right minus left) exceeds its own 95 % interval.

    Returns
    -------
    str
        Text: ``"within error"``, ``"right larger"``, ``"left larger"``, or empty
        where there is no value; ``"error unknown"`` where the error is not known.
    """
    value, sd = _value(metrics, name), _value(metrics, f"{name}_sd")
    if not math.isfinite(value):
        return ""
    if not math.isfinite(sd):
        return "error unknown"
    if abs(value) <= Z95 * sd:
        return "within error"
    return "right larger" if value > 0 else "left larger"


def at_a_glance(metrics: xr.Dataset, repetitions: xr.Dataset) -> str:
    """Make the table of the five groups: left, right and their difference with 95 % intervals."""
    rows = []
    for group, heading in GROUPS.items():
        name = "knee_deviation" if group == "knee_movement" else group
        if group == "knee_movement":
            ratio = cell(metrics, "knee_ankle_separation_ratio", repetitions)
            rows.append(
                [
                    "Knee movement: knee–ankle separation ratio",
                    f"<span class='both'>{ratio}</span>",
                    "both knees",
                    "–",
                    "",
                ]
            )
            heading = "Knee movement: knee deviation"
        difference = f"{name}_asymmetry"
        rows.append(
            [
                escape(heading),
                cell(metrics, name, repetitions, side="left"),
                cell(metrics, name, repetitions, side="right"),
                cell(metrics, difference, repetitions, signed=True),
                escape(verdict(metrics, difference)),
            ]
        )
    return table(
        ["Measure", "Left", "Right", "Right − left", "Difference is"],
        rows,
        caption="Median over the accepted repetitions, ± half of the 95 % interval",
        numeric=True,
    )


def group_summary(metrics: xr.Dataset, repetitions: xr.Dataset, group: str) -> str:
    """Say in plain sentences what was measured for one group, and how sure it is."""
    name = "knee_deviation" if group == "knee_movement" else group
    sentences = []
    if group == "knee_movement":
        ratio = _value(metrics, "knee_ankle_separation_ratio")
        if math.isfinite(ratio):
            shown = cell(metrics, "knee_ankle_separation_ratio", repetitions)
            sentences.append(
                f"Smallest knee–ankle separation ratio: {shown} (1 means knees over ankles, "
                "less than 1 means knees nearer to each other than the ankles)."
            )
        else:
            why = escape(reason_missing(metrics, "knee_ankle_separation_ratio", repetitions))
            sentences.append(f"The knee–ankle separation ratio is not measurable: {why}.")
    where = "Largest deviation" if group == "knee_movement" else "At the bottom"
    sides = [
        f"{side} {cell(metrics, name, repetitions, side=side)}" for side in ("left", "right")
    ]
    spread = [
        quantity(_value(metrics, f"{name}_variability", side), _units(metrics, name))
        for side in ("left", "right")
    ]
    sentences.append(f"{where}: {sides[0]}, {sides[1]}.")
    if any(text != "–" for text in spread):
        sentences.append(f"Spread (SD) between repetitions: left {spread[0]}, right {spread[1]}.")
    difference = f"{name}_asymmetry"
    shown = cell(metrics, difference, repetitions, signed=True)
    meaning = {
        "within error": "smaller than its 95 % interval, so it is within error and does not "
        "show that the sides differ",
        "right larger": "larger than its 95 % interval: the right value is the larger one",
        "left larger": "larger than its 95 % interval: the left value is the larger one",
        "error unknown": "its error is not known, so it must not be interpreted",
        "": "",
    }[verdict(metrics, difference)]
    sentences.append(f"Right − left: {shown}{', ' + meaning if meaning else ''}.")
    return "<p>" + " ".join(sentences) + "</p>"


def phase_table(metrics: xr.Dataset) -> str:
    """Make the table of knee movement by phase, as medians over the accepted repetitions."""
    ratio, deviation = "knee_ankle_separation_ratio_phase", "knee_deviation_phase"
    if ratio not in metrics or metrics.sizes.get("rep", 0) == 0:
        return "<p class='missing'>No repetition from which phases could be taken.</p>"
    rows = []
    for phase in metrics["phase"].values:
        here = metrics.sel(phase=phase)
        rows.append(
            [
                escape(PHASES.get(str(phase), str(phase)).capitalize()),
                quantity(_median(here[ratio]), _units(metrics, ratio)),
                *(
                    quantity(_median(here[deviation].sel(side=side)), _units(metrics, deviation))
                    for side in ("left", "right")
                ),
            ]
        )
    return table(
        ["Phase", "Separation ratio", "Left deviation", "Right deviation"],
        rows,
        caption="Knee movement by phase, median over repetitions (positive deviation is inwards)",
        numeric=True,
    )


def repetition_table(metrics: xr.Dataset, repetitions: xr.Dataset) -> str:
    """Make the table of repetitions: when, how deep, how long, and the angles at the bottom."""
    if repetitions.sizes.get("rep", 0) == 0:
        return "<p class='missing'>No repetition was found in this video.</p>"
    angles = ["hip_flexion", "hip_abduction", "knee_flexion", "ankle_dorsiflexion"]
    short = {"hip_flexion": "Hip", "hip_abduction": "Abduction", "knee_flexion": "Knee"}
    durations = ["descent_duration", "bottom_duration", "ascent_duration"]
    rows = []
    for number in repetitions["rep"].values:
        here = repetitions.sel(rep=number)
        row = [
            f"{int(number)}",
            f"{float(here['start']):.1f}–{float(here['end']):.1f}",
            quantity(float(here["depth"]), "percent").removesuffix(" %"),
            " / ".join(
                quantity(_value(metrics, name, rep=number), "s").removesuffix(" s")
                for name in durations
            ),
        ]
        for name in angles:
            row.append(
                " / ".join(
                    quantity(
                        _value(metrics, f"{name}_bottom", side, rep=number), "degree"
                    ).removesuffix("°")
                    for side in ("left", "right")
                )
            )
        row.append("accepted" if bool(here["accepted"]) else escape(str(here["reason"].item())))
        rows.append(row)
    return table(
        [
            "No.",
            "Start–end, s",
            "Depth, %",
            "Down / bottom / up, s",
            *(f"{short.get(name, 'Ankle')} L / R, °" for name in angles),
            "Use",
        ],
        rows,
        caption="Every repetition found; angles at the bottom, left / right",
        numeric=True,
    )


def definition_table(angles: xr.Dataset, names: Sequence[str] | None = None) -> str:
    """Make the table of angle definitions from the attributes of the angles themselves."""
    chosen = names or [str(name) for name in angles if not str(name).endswith("_sd")]
    rows = [
        [
            escape(str(angles[name].attrs.get("long_name", name))),
            *(
                escape(_as_text(angles[name].attrs.get(key)))
                for key in ("segments", "plane", "zero", "positive", "reference")
            ),
        ]
        for name in chosen
        if name in angles
    ]
    return table(
        ["Angle", "Segments", "Plane", "Zero", "Positive", "Reference"],
        rows,
        caption="Definition of each angle",
    )


def step_table(dataset: xr.Dataset) -> str:
    """Make the table of the steps that led to `dataset`, with the options of each."""
    rows = []
    for entry in history(dataset):
        options = ", ".join(f"{key} = {_short(value)}" for key, value in entry["arguments"].items())
        rows.append([f"<code>{escape(str(entry['operation']))}</code>", escape(options or "none")])
    return table(["Step", "Options"], rows, caption="What was done, in order")


def versions(*datasets: xr.Dataset) -> str:
    """Name the software versions that made the Datasets, each once."""
    found: dict[str, list[str]] = {}
    for dataset in datasets:
        for entry in history(dataset):
            for name, version in entry.get("versions", {}).items():
                if version not in found.setdefault(name, []):
                    found[name].append(version)
    return ", ".join(f"{name} {' and '.join(seen)}" for name, seen in found.items())


def show(figure: Figure, *, alt: str, caption: str = "", width: int = 860) -> None:
    """Display a figure in a notebook with a description for those who cannot see it.

    Parameters
    ----------
    figure
        A matplotlib figure.
    alt
        What the figure shows, as text.
    caption
        Text below it.
    width
        Width on the page in pixels; twice as many are drawn, for print.
    """
    from IPython.display import display

    png = figure_png(figure, dots=2 * width)
    height = round(width * figure.get_figheight() / figure.get_figwidth())
    display(
        {"image/png": png, "text/plain": f"{alt}\n{caption}".strip()},
        raw=True,
        metadata={
            "image/png": {"width": width, "height": height, "alt": alt, "caption": caption}
        },
    )


def figure_png(figure: Figure, *, dots: int = 1720) -> bytes:
    """Draw a figure as PNG, `dots` wide, the same bytes each time."""
    from io import BytesIO

    buffer = BytesIO()
    # No software version or date inside: the same figure is the same file.
    figure.savefig(
        buffer, format="png", dpi=dots / figure.get_figwidth(), metadata={"Software": None}
    )
    return buffer.getvalue()


def _value(
    metrics: xr.Dataset, name: str, side: str | None = None, rep: int | None = None
) -> float:
    if name not in metrics:
        return math.nan
    array = metrics[name]
    if side is not None and "side" in array.dims:
        array = array.sel(side=side)
    if rep is not None and "rep" in array.dims:
        if rep not in array["rep"].values:
            return math.nan
        array = array.sel(rep=rep)
    return float(array) if array.ndim == 0 else math.nan


def _median(array: xr.DataArray) -> float:
    values = np.asarray(array.values, float)
    values = values[np.isfinite(values)]
    return float(np.median(values)) if values.size else math.nan


def _units(metrics: xr.Dataset, name: str) -> str:
    return str(metrics[name].attrs.get("units", "1")) if name in metrics else "1"


def _as_text(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, str):
        return value
    return ", ".join(str(part) for part in np.atleast_1d(value))


def _short(value: Any) -> str:
    text = "default" if value is None else str(value)
    return text if len(text) <= 60 else text[:57] + "…"
