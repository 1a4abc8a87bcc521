"""The parts of the report on agreement with a lab: as HTML, and as tables for a paper.

They use agreement Datasets with the dimension `comparison`, and documents from
:mod:`mobility.lab.lab_comparison`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import htpy as h
import numpy as np
import xarray as xr
from markupsafe import Markup

from mobility import tables
from mobility.base.formatting import (
    MISSING,
    between,
    capital,
    listed,
    percent,
    plus_minus,
    probability,
    quantity,
    rounded,
    spoken,
)
from mobility.base.writing import plain_cells
from mobility.keypoints.sources import MEDIAPIPE, Origin
from mobility.kinematics.expected_error import half_width
from mobility.kinematics.skeleton import called
from mobility.lab import loads_comparison
from mobility.lab import validation_figures as figures
from mobility.lab.lab_comparison import Study, Validation, units_of, value_words
from mobility.lab.lab_trial import COMPARISONS, DEFINITIONS
from mobility.reports.html import (
    Cell,
    Row,
    bullets,
    facts,
    html,
    opening,
    paragraphs,
    sentence,
    table,
)
from mobility.reports.page import PageWithFiles, Section
from mobility.sessions.files import atomic, make_folder, writing
from mobility.studies.statistics.limits_of_agreement import (
    BOOTSTRAP_COVERAGE,
    LEAST,
    limits_interval_width,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

SIZES = (10, 20, 30, 50, 100, 200)
"""Numbers of participants for which the width of the intervals is shown."""

_TITLES = {each.name: each.title for each in (*COMPARISONS, *loads_comparison.COMPARISONS)}


def shown(agreement: xr.Dataset, comparison: str, *, sided: bool = False) -> list[str]:
    """List the compared angles that the exercise draws, or all of them if it draws none.

    `sided` selects the angles with sides.
    """
    names = agreement.attrs.get("shown", "").split()
    selected = agreement.sel(comparison=comparison)
    compared = [
        str(a)
        for a in selected["angle"].values
        if int(selected["repetitions_compared"].sel(angle=a).sum()) > 0
    ]
    names_shown = [name for name in compared if name in names] or compared
    described = {**tables.load("angles"), **tables.load("lab_contents")["loads"]}
    return [name for name in names_shown if described[name]["sided"] or not sided]


def metric_names(agreement: xr.Dataset) -> list[str]:
    """Return the values of repetitions that figures show: all except the range."""
    return [str(name) for name in agreement["metric"].values if name != "range"]


def header(document: Mapping[str, Any]) -> Markup:
    """Describe the comparison: a trial, or a study with its trials and failures."""
    if "study" not in document:
        return trial_facts(document)
    trials, failed = document["trials"], document["failed"]
    people = len({trial["participant"] for trial in trials})
    conditions = list(dict.fromkeys(t["condition"] for t in trials if t["condition"]))
    overview = facts(
        {
            "Study": document["study"],
            "Exercise": document["exercise"],
            "Trials": tables.sentence(
                "validation.compared", compared=len(trials), count=len(trials) + len(failed)
            ),
            "Participants": str(people),
            "Conditions": ", ".join(conditions) or None,
            "Keypoints": _models(trials),
            "Margin of equivalence, as given": _margin(document),
        }
    )
    rows = [
        [
            trial["session_id"],
            Cell(trial["participant"], "text"),
            Cell(trial["condition"] or MISSING, "text"),
            Cell(trial["lab_file"], "text"),
            quantity(
                trial["lag_s"],
                "",
                half=half_width(math.nan if trial["lag_sd_s"] is None else trial["lag_sd_s"]),
                digits=3,
                signed=True,
            ),
            rounded(trial["correlation"], 3),
        ]
        for trial in trials
    ]
    head = ["Session", "Participant", "Condition", "Lab file", "Lag, s", "Correlation"]
    listing = table(head, rows, caption="", numeric=True)
    return overview + opening(tables.sentence("validation.trials"), listing)


def _margin(document: Mapping[str, Any]) -> str | None:
    margin = document["margin_deg"]
    return None if margin is None else f"{margin:g}°"


def about_the_lag(document: Mapping[str, Any]) -> Markup:
    """Explain that the lag also includes the delay of the video."""
    delay = tables.load("synchronisation")["video_delay"]
    sync = document.get("synchronisation")
    by_hand = sync is not None and sync["given"]
    about = tables.sentence(
        f"validation.about_the_lag.{'given' if by_hand else 'found'}",
        late=1000 * delay["mean_s"],
        half=1000 * half_width(delay["sd_s"]),
    )
    return paragraphs(about)


def about_the_curves(curves: Mapping[str, xr.Dataset]) -> Markup:
    """Explain how to read the curves over time; empty if none are shown."""
    if not curves:
        return html()
    drawn = {str(each) for trial in curves.values() for each in trial["estimator"].values}
    sentences = [
        tables.sentence(f"validation.curves_of_{of_lab}")
        for of_lab in ("formulas", "model")
        if f"lab_{of_lab}" in drawn
    ]
    return paragraphs(" ".join([tables.sentence("validation.curves"), *sentences]))


def condition_table(agreement: xr.Dataset, document: Mapping[str, Any]) -> Markup:
    """Show the errors of the curves of a study, one column for each condition."""
    names = shown(agreement, document["primary"])
    conditions: Mapping[str, Any] = document.get("conditions", {})
    rows: list[Row] = []
    for angle, sides in document["angles"].items():
        for side in sides:
            by_condition = [by_angle.get(angle, {}).get(side) for by_angle in conditions.values()]
            if angle in names and any(each is not None for each in by_condition):
                cells = [_condition_cell(each) for each in by_condition]
                rows.append([_name_with_side(angle, side), *cells])
    return table(
        ["Angle", *conditions],
        rows,
        caption=tables.sentence("validation.conditions"),
        numeric=True,
    )


def _condition_cell(errors: Mapping[str, Any] | None) -> h.Node:
    if errors is None or errors["rmse"] is None:
        return MISSING
    row = {
        k: math.nan if errors[k] is None else errors[k] for k in ("bias", "bias_low", "bias_high")
    }
    bias = _with_interval(row, "bias", signed=True)
    return _one(errors["rmse"]), h.br, h.span(".interval")[bias]


def definition_part(agreement: xr.Dataset, document: Mapping[str, Any]) -> Markup:
    """Make the tables of the comparison with the lab's own model, if there is one."""
    models = [n for n in agreement["comparison"].values.tolist() if n.endswith("_lab_model")]
    differences = document["definition_differences"]
    tables_of_models = (
        waveform_table(agreement, name) for name in models if name != document["primary"]
    )
    parts = html(definition_table(agreement, differences), tables_of_models)
    unknown = document["primary"] in models
    return parts or paragraphs(
        tables.sentence("validation.no_definitions" if unknown else "validation.no_model")
    )


def files_of(files: Sequence[Path], folder: str) -> Markup:
    """Name the tables that were written."""
    if not files:
        return html()
    names = [h.code[file.relative_to(folder).as_posix()] for file in files]
    return paragraphs(sentence("validation.files", names=Markup(", ").join(names)))


def trial_facts(document: Mapping[str, Any]) -> Markup:
    """Describe what was compared, and how the clocks were aligned."""
    sync = document["synchronisation"]
    files = {kind: file["source_file"] for kind, file in document["files"].items()}
    return facts(
        {
            "Session": document["session_id"],
            "Exercise": document["exercise"],
            "Participant": document["user_id"],
            "Keypoints": _models([document]),
            "Lab file": _with_mapping(document["files"]["lab"]),
            "Angles of the lab's model": (
                _with_mapping(document["files"]["angles"]) if "angles" in files else None
            ),
            "Static trial": files.get("static"),
            "Force plates": _with_plates(document),
            "Lag": lag_text(sync),
            "Match": match_text(sync),
            "Margin of equivalence, as given": _margin(document),
        }
    )


def _with_plates(document: Mapping[str, Any]) -> str | None:
    if "loads" not in document:
        return None
    file = document["files"]["forces"]["source_file"]
    return tables.sentence("validation.plates", file=file, **document["loads"])


def _with_mapping(file: Mapping[str, str]) -> str:
    return tables.sentence(
        "validation.names", file=file["source_file"], mapping=file.get("mapping", "unknown")
    )


def lag_text(sync: Mapping[str, Any]) -> str:
    """Write the lag with its interval: lab time = video time + lag."""
    lag = rounded(sync["lag_s"], 3, signed=True)
    if sync["given"]:
        return tables.sentence("validation.lag.given", lag=lag)
    return tables.sentence("validation.lag.found", lag=lag, half=half_width(sync["lag_sd_s"]))


def match_text(sync: Mapping[str, Any]) -> str:
    """State how well the angles match at the lag, and at the second best lag."""
    alone = sync["second_correlation"] is None
    match = tables.sentence(
        "validation.match.alone" if alone else "validation.match.second",
        correlation=sync["correlation"],
        overlap=sync["overlap_s"],
        second=sync["second_correlation"],
        lag="" if alone else rounded(sync["second_lag_s"], 2, signed=True),
    )
    if not sync["signals"]:
        return match
    names = ", ".join(spoken(signal) for signal in sync["signals"])
    return tables.sentence(
        "validation.match.signals", match=match, count=len(sync["signals"]), names=names
    )


def warning_list(document: Mapping[str, Any]) -> Markup:
    """List the reasons to be cautious about this comparison."""
    messages = list(dict.fromkeys(w["message"] for w in document["warnings"]))
    if not messages:
        return html()
    return html(h.aside(".distrust", aria_label="How certain this is")[bullets(messages)])


def counts(agreement: xr.Dataset) -> Markup:
    """State the numbers of participants and repetitions, and the meaning of the intervals."""
    people = _people(agreement)
    about = tables.sentence(
        f"validation.counts.{'one' if people == 1 else 'several'}",
        repetitions=agreement.sizes["rep"],
        people=people,
    )
    return paragraphs(about)


def _people(agreement: xr.Dataset) -> int:
    return len(set(agreement["participant"].values.tolist()))


def waveform_frame(agreement: xr.Dataset) -> pd.DataFrame:
    """Return the statistics of the curves as a table: a row for each comparison, angle and side."""
    import pandas as pd

    rows = []
    names = ("rmse", "mae", "bias", "rmse_offset_removed", "coverage")
    for comparison, angle, side, here in _compared(agreement):
        row: dict[str, Any] = {"comparison": comparison, "angle": angle, "side": side}
        for name in names:
            row |= {key: float(here[key]) for key in (name, f"{name}_low", f"{name}_high")}
        row["cmc"] = float(here["cmc"])
        row |= {
            key: int(here[key])
            for key in (
                *("repetitions_compared", "participants_compared", "frames_compared"),
                *("frames_refused", "frames_lab_missing"),
            )
        }
        row["reason"] = str(here["waveform_reason"].item())
        rows.append(row)
    return pd.DataFrame(rows)


def value_frame(agreement: xr.Dataset) -> pd.DataFrame:
    """Return the statistics of the values of repetitions as a table, also by metric."""
    names = [
        str(name)
        for name, value in agreement.data_vars.items()
        if set(value.dims) == {"comparison", "metric", "angle", "side"}
    ]
    return _rows_of(agreement, names, ["comparison", "angle", "side", "metric"], over=["metric"])


def repetition_frame(agreement: xr.Dataset) -> pd.DataFrame:
    """Return the values of video and lab in every repetition, for recomputing the statistics."""
    names = {"video_values": "measured", "lab_values": "reference"}
    key = ["comparison", "participant", "trial", "repetition", "angle", "side", "metric"]
    return _rows_of(agreement, list(names), key, over=["metric", "rep"]).rename(columns=names)


def _rows_of(
    agreement: xr.Dataset, names: list[str], key: list[str], *, over: list[str]
) -> pd.DataFrame:
    """Return the rows of the variables `names` over the dimensions `over`, for all comparisons."""
    import pandas as pd

    parts = [
        here[names].to_dataframe(dim_order=over).reset_index() for *_, here in _compared(agreement)
    ]
    columns = [*key, *names]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def waveform_table(agreement: xr.Dataset, comparison: str) -> Markup:
    """Make the table of the errors of curves for one comparison."""
    cells = _waveform_cells(waveform_frame(agreement.sel(comparison=[comparison])))
    return _agreement_table(*cells, _of_curves(comparison), tables.sentence("validation.no_angle"))


def value_table(agreement: xr.Dataset, comparison: str, metric: str) -> Markup:
    """Make the table of the agreement of repetition values, for the angles that are shown.

    All angles are in the files of :func:`write_tables`.
    """
    frame = value_frame(agreement.sel(comparison=[comparison]))
    angles = shown(agreement, comparison)
    cells = _value_cells(frame[frame["metric"].eq(metric) & frame["angle"].isin(angles)])
    return _agreement_table(
        *cells, _of_values(agreement, comparison, metric), tables.sentence("validation.no_value")
    )


def times_part(document: Mapping[str, Any]) -> Markup:
    """Make the table of the times of repetitions and tests; empty if none were compared."""
    head = ["Time", "n", "Video", "Lab", "Mean difference", "Lower limit", "Upper limit"]
    rows = [
        [
            f"{capital(each['long_name'])}, {each['units']}",
            str(each["pairs"]),
            *(_in_hundredths(each[system]) for system in ("video", "lab")),
            *(
                _with_interval(_nan_for_none(each), name, signed=True, digits=2)
                for name in ("mean_difference", "lower_limit", "upper_limit")
            ),
        ]
        for each in document["times"].values()
    ]
    if not rows:
        return html()
    about = paragraphs(tables.sentence("validation.about_times"))
    return about + _agreement_table(head, rows, tables.sentence("validation.times"), "")


def _nan_for_none(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: math.nan if value is None else value for key, value in values.items()}


def _agreement_table(
    head: Sequence[str], rows: Sequence[Sequence[str]], caption: str, without: str
) -> Markup:
    lines = [[*map(_two_lines, row)] for row in rows]
    return table(head, lines, caption=caption, numeric=True) or paragraphs(without)


def estimator_table(agreement: xr.Dataset) -> Markup:
    """Compare the estimators from the video with the same reference."""
    ways = {
        "fitted_lab_formulas": "fitted",
        "landmarks_lab_formulas": "raw",
        "raw_lab_formulas": "raw",
        "image_lab_formulas": "image",
    }
    ways_compared = [name for name in ways if name in agreement["comparison"].values]
    if len(ways_compared) < 2:
        return html()
    rows = []
    for angle in agreement["angle"].values.tolist():
        for side in agreement["side"].values.tolist():
            here = agreement["mae"].sel(angle=angle, side=side)
            values = [float(here.sel(comparison=name)) for name in ways_compared]
            if np.isfinite(values).any():
                rows.append([_name_with_side(angle, side), *(_one(v) for v in values)])
    return table(
        ["Angle", *(tables.sentence(f"validation.ways.{ways[name]}") for name in ways_compared)],
        rows,
        caption=tables.sentence("validation.ways_compared"),
        numeric=True,
    )


def definition_table(agreement: xr.Dataset, differences: Mapping[str, str]) -> Markup:
    """List how the lab's definitions differ from ours, with the difference on one trial.

    Parameters
    ----------
    agreement
        If it contains the comparison `DEFINITIONS`, there are numbers; otherwise there are only
        words.
    differences
        Differences by angle, from the mapping of the lab's names.
    """
    measured = DEFINITIONS in agreement["comparison"].values
    rows = []
    for angle in agreement["angle"].values.tolist():
        difference = differences.get(angle)
        if difference is None and not measured:
            continue
        row: list[h.Node | Cell] = [
            capital(called(angle)),
            Cell(difference or MISSING, "words"),
        ]
        if measured:
            curve = agreement["difference_curve"].sel(comparison=DEFINITIONS, angle=angle)
            middle = curve.mean("side", skipna=True).to_numpy()
            if not np.isfinite(middle).any():
                continue
            half = len(middle) // 2
            row += [_signed(middle[0]), _signed(middle[half]), _span(middle)]
        rows.append(row)
    head = ["Angle", tables.sentence("validation.definition")]
    if measured:
        head += ["At the start", "Half-way", "Least … largest"]
    return table(
        head,
        rows,
        caption=tables.sentence(
            "validation.definitions_measured" if measured else "validation.definitions"
        ),
        numeric=True,
    )


def size_table(agreement: xr.Dataset, comparison: str) -> Markup:
    """Show how wide the confidence intervals of the limits would be with more participants.

    The standard deviation of a difference comes from this study, which needs several participants.
    """
    metric = metric_names(agreement)[0]
    selected = agreement.sel(comparison=comparison, metric=metric)
    if _people(agreement) < LEAST:
        command = html(h.code["mobility validate --sample-size SD"])
        return paragraphs(sentence("validation.few_people", least=LEAST, command=command))
    rows = []
    for angle in shown(agreement, comparison, sided=True):
        for side in selected["side"].values.tolist():
            here = selected.sel(angle=angle, side=side)
            sd = float(here["sd_difference"])
            if not math.isfinite(sd) or sd <= 0:
                continue
            widths = [limits_interval_width(n, sd=sd) for n in SIZES]
            halves = (plus_minus(width / 2, digits=1) for width in widths)
            rows.append([_name_with_side(angle, side), _one(sd), *halves])
    return table(
        ["Angle", "SD of a difference", *(f"n = {n}" for n in SIZES)],
        rows,
        caption=tables.sentence("validation.sizes", metric=value_words(agreement, metric)),
        numeric=True,
    )


def _model_and_version(origin: Origin, versions: Mapping[str, str]) -> str:
    """Name a keypoint model; if it is the package's own model, add its version."""
    version = versions.get(MEDIAPIPE, "") if origin.pose_source == MEDIAPIPE else ""
    return f"{origin.source_software} {version}".strip()


def _models(documents: Sequence[Mapping[str, Any]]) -> str:
    """Name the models of the keypoints of comparisons."""
    return listed(sorted({Origin.of(each).source_software for each in documents}))


def methods_text(document: Mapping[str, Any], agreement: xr.Dataset) -> str:
    """Write a paragraph for the methods section of a paper, with versions and settings.

    Parameters
    ----------
    document
        Document of a comparison, or of a study.
    agreement
        Its statistics.
    """
    people = _people(agreement)
    versions = document["versions"]
    origins = sorted({Origin.of(trial) for trial in document.get("trials", [document])})
    of_package = any(origin.pose_source == MEDIAPIPE for origin in origins)
    named = [
        name
        for name in ("mobility", MEDIAPIPE, "numpy", "scipy", "xarray")
        if name in versions and (name != MEDIAPIPE or of_package)
    ]
    software = ", ".join(f"{name} {versions[name]}" for name in named)
    primary = str(document["primary"])
    how = "fitted" if primary.startswith("fitted") else "landmarks"
    to = "same_formulas" if primary.endswith("lab_formulas") else "lab_model"
    number = "one" if people == 1 else "several"
    parts = [
        tables.sentence(
            f"validation.methods.measured.{how}",
            mobility=versions.get("mobility", ""),
            models=listed([_model_and_version(each, versions) for each in origins]),
        ),
        tables.sentence(f"validation.methods.reference.{to}"),
        _clocks_text(document),
        tables.sentence(
            "validation.methods.repetitions",
            values=listed(
                [value_words(agreement, str(each)) for each in agreement["metric"].values]
            ),
        ),
        *([tables.sentence("validation.methods.times")] if document["times"] else []),
        *([tables.sentence("validation.methods.loads")] if "loads" in document else []),
        tables.sentence(
            f"validation.methods.{number}.curves", people=people, coverage=BOOTSTRAP_COVERAGE
        ),
        tables.sentence(f"validation.methods.{number}.values"),
    ]
    if people > 1 and document["margin_deg"] is not None:
        margin = document["margin_deg"]
        parts.append(tables.sentence("validation.methods.several.equivalence", margin=margin))
    centres = [
        f"{spoken(landmark.removeprefix('left_'))} {how}"
        for landmark, how in document.get("joint_centres", {}).items()
        if landmark.startswith("left_") and how != landmark  # else the lab gave it
    ]
    if centres:
        parts.append(tables.sentence("validation.methods.centres", centres="; ".join(centres)))
    parts.append(tables.sentence("validation.methods.refused", software=software))
    return " ".join(parts)


def _clocks_text(document: Mapping[str, Any]) -> str:
    sync = document.get("synchronisation")
    if sync is None:
        return tables.sentence("validation.methods.clocks.study")
    lag, correlation = sync["lag_s"], sync["correlation"]
    if sync["given"]:
        return tables.sentence("validation.methods.clocks.given", lag=lag, correlation=correlation)
    return tables.sentence(
        "validation.methods.clocks.found",
        names=_signals_in_words(sync["signals"]),
        lag=lag,
        sd=sync["lag_sd_s"],
        correlation=correlation,
    )


def _signals_in_words(signals: Sequence[str]) -> str:
    names = list(dict.fromkeys(spoken(signal.split()[0]) for signal in signals))
    return listed(names)


def grras_table(agreement: xr.Dataset) -> Markup:
    """Make the list of reporting items: those in this report, and those to be added."""
    is_one_person = _people(agreement) == 1
    items = [
        {**item, "done": item["done"] and not (is_one_person and item.get("of_several", False))}
        for item in tables.load("grras")["items"]
    ]
    rows = [
        [
            str(item["number"]),
            item["part"],
            item["text"],
            "☑" if item["done"] else "☐",
            item["where"] if item["done"] else item["todo"],
        ]
        for item in items
    ]
    return table(
        ["Item", "Part", "To report", "Told", tables.sentence("validation.item_done")],
        rows,
        caption=tables.sentence("validation.items", source=tables.load("grras")["source"]),
    )


def provenance(document: Mapping[str, Any]) -> Markup:
    """List the files and software behind the numbers."""
    entries: dict[str, str | None] = {}
    for kind, file in document.get("files", {}).items():
        entries[f"SHA-256 of {file['source_file']} ({kind})"] = file["source_sha256"]
    versions = ", ".join(f"{name} {v}" for name, v in document["versions"].items())
    return facts({**entries, "Software": versions, "Made": document["made"]})


def write_tables(
    agreement: xr.Dataset,
    document: Mapping[str, Any],
    folder: Path,
    *,
    loads: xr.Dataset | None = None,
) -> list[Path]:
    """Write the tables for a paper: CSV with all digits, LaTeX as printed, and the paragraph.

    Parameters
    ----------
    agreement, document
        Agreement and document of a comparison or a study.
    loads
        Agreement of the loads, if there were force plates.
    folder
        Folder for the tables; it is made if it does not exist.
    """
    import pandas as pd

    folder = Path(folder)
    with writing(folder):
        make_folder(folder)
    curves, values = waveform_frame(agreement), value_frame(agreement)
    primary = str(document["primary"])
    count = _people(agreement)
    people = tables.sentence(
        "validation.one_participant" if count == 1 else "validation.participants", count=count
    )
    texts = {
        "curves.csv": plain_cells(curves).to_csv(index=False),
        "values.csv": plain_cells(values).to_csv(index=False),
        "repetitions.csv": plain_cells(repetition_frame(agreement)).to_csv(index=False),
        "methods.txt": methods_text(document, agreement) + "\n",
        "curves.tex": latex(
            *_waveform_cells(curves[curves["comparison"].eq(primary)]),
            caption=tables.sentence(
                "validation.of_repetitions", caption=_of_curves(primary), people=people
            ),
            label="tab:curves",
        ),
    }
    for metric in map(str, agreement["metric"].values):
        of_metric = values[values["comparison"].eq(primary) & values["metric"].eq(metric)]
        texts[f"values-{metric}.tex"] = latex(
            *_value_cells(of_metric),
            caption=tables.sentence(
                "validation.n_of_repetitions",
                caption=_of_values(agreement, primary, metric),
                people=people,
            ),
            label=f"tab:{metric}",
        )
    if loads is not None:
        for name, frame in (
            ("curves", waveform_frame(loads)),
            ("values", value_frame(loads)),
            ("repetitions", repetition_frame(loads)),
        ):
            # The units follow the name of each quantity.
            frame.insert(2, "units", [units_of(quantity) for quantity in frame["angle"]])
            texts[f"loads-{name}.csv"] = plain_cells(
                frame.rename(columns={"angle": "quantity"})
            ).to_csv(index=False)
    if times := document["times"]:
        rows = [{"time": name, **entry} for name, entry in times.items()]
        texts["times.csv"] = plain_cells(pd.DataFrame(rows)).to_csv(index=False)
    files = []
    for name, text in texts.items():
        with atomic(folder / name) as hidden:
            hidden.write_text(text, encoding="utf-8")
        files.append(folder / name)
    return files


def _of_curves(comparison: str) -> str:
    return tables.sentence("validation.of_curves", title=_TITLES[comparison], units=_in(comparison))


def _of_values(agreement: xr.Dataset, comparison: str, metric: str) -> str:
    title, words = _TITLES[comparison], value_words(agreement, metric)
    units = _in(comparison)
    return tables.sentence("validation.of_values", title=title, metric=words, units=units)


def _in(comparison: str) -> str:
    of_loads = {each.name for each in loads_comparison.COMPARISONS}
    return tables.sentence(f"validation.units.{'loads' if comparison in of_loads else 'angles'}")


def latex(head: Sequence[str], rows: Sequence[Sequence[str]], *, caption: str, label: str) -> str:
    r"""Write cells as a LaTeX table (packages booktabs and graphicx).

    Parameters
    ----------
    head, rows
        Texts of the cells; the first column is aligned left.
    caption, label
        Caption and label of the table.
    """
    body = " \\\\\n".join(" & ".join(_tex(cell) for cell in row) for row in rows)
    names = " & ".join(_tex(cell) for cell in head)
    return (
        "\\begin{table}\n\\centering\n"
        f"\\caption{{{_tex(caption)}}}\n\\label{{{label}}}\n"
        "\\resizebox{\\textwidth}{!}{%\n"
        f"\\begin{{tabular}}{{l{'r' * (len(head) - 1)}}}\n\\toprule\n{names} \\\\\n\\midrule\n"
        f"{body} \\\\\n\\bottomrule\n\\end{{tabular}}}}\n\\end{{table}}\n"
    )


_TEX = {
    "\\": r"\textbackslash{}",
    **{c: f"\\{c}" for c in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "−": "$-$",
    "±": r"$\pm$",
    "°": r"$^\circ$",
    "–": "--",
    "…": r"\ldots{}",
    "<": "$<$",
}


def _tex(text: str) -> str:
    return "".join(_TEX.get(character, character) for character in text)


def _compared(agreement: xr.Dataset) -> list[tuple[str, str, str, xr.Dataset]]:
    """Yield comparison, angle, side and statistics of everything that was compared."""
    compared = []
    for comparison in agreement["comparison"].values.tolist():
        for angle in agreement["angle"].values.tolist():
            for side in agreement["side"].values.tolist():
                here = agreement.sel(comparison=comparison, angle=angle, side=side)
                if int(here["frames_compared"]):
                    compared.append((comparison, angle, side, here))
    return compared


def _waveform_cells(frame: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    head = ["RMSE", "MAE", "Bias", "RMSE, offset removed", "CMC", "In 1.96 SD", "Refused"]
    rows = []
    for row in frame.to_dict("records"):
        frames = row["frames_compared"] + row["frames_refused"]
        rows.append(
            [
                _name_with_side(row["angle"], row["side"]),
                *(_with_interval(row, name) for name in ("rmse", "mae")),
                _with_interval(row, "bias", signed=True),
                _one(row["rmse_offset_removed"]),
                rounded(row["cmc"], 2),
                percent(row["coverage"]),
                percent(row["frames_refused"] / frames if frames else math.nan),
            ]
        )
    return [_first_column(frame), *head], rows


def _first_column(frame: pd.DataFrame) -> str:
    """Name the column of angles; loads have different units, which their names contain."""
    names = frame["angle"] if len(frame) else ()
    return "Quantity" if any(units_of(name) != "°" for name in names) else "Angle"


def _value_cells(frame: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    head = [
        *(_first_column(frame), "n", "Mean difference", "Lower limit", "Upper limit"),
        *("ICC(A,1)", "SEM, video for lab", "Error of method, 95 %", "TOST p"),
    ]
    rows = [
        [
            _name_with_side(row["angle"], row["side"]),
            str(int(row["pairs"])),
            *(
                _with_interval(row, name, signed=True)
                for name in ("mean_difference", "lower_limit", "upper_limit")
            ),
            _with_interval(row, "icc", digits=2),
            _one(row["sem_agreement"]),
            _one(row["method_error95_agreement"]),
            probability(row.get("tost_p", math.nan), 3),
        ]
        for row in frame.to_dict("records")
    ]
    return _without_empty_columns(head, rows)


def _without_empty_columns(
    head: list[str], rows: list[list[str]]
) -> tuple[list[str], list[list[str]]]:
    """Leave out empty columns, such as those that need several participants."""
    filled = [i for i in range(len(head)) if not rows or any(row[i] != MISSING for row in rows)]
    return [head[i] for i in filled], [[row[i] for i in filled] for row in rows]


def _two_lines(cell: str) -> h.Node:
    """Set an interval below its value."""
    value, begins, interval = cell.partition(" (")
    if not (begins and interval.endswith(")") and " to " in interval):
        return cell
    return value, h.br, h.span(".interval")[f"({interval}"]


def _with_interval(
    row: Mapping[str, Any], name: str, *, signed: bool = False, digits: int = 1
) -> str:
    value, low, high = (float(row[key]) for key in (name, f"{name}_low", f"{name}_high"))
    text = rounded(value, digits, signed=signed)
    if not (math.isfinite(low) and math.isfinite(high)):
        return text
    return f"{text} ({between(low, high, digits=digits, signed=signed)})"


def _in_hundredths(value: float | None) -> str:
    return MISSING if value is None else rounded(value, 2)


_one = partial(rounded, digits=1)
_signed = partial(rounded, digits=1, signed=True)


def _span(values: Any) -> str:
    return f"{_signed(float(np.nanmin(values)))} … {_signed(float(np.nanmax(values)))}"


def _name_with_side(angle: str, side: str) -> str:
    words = capital(called(angle)) + ("" if side == "middle" else f", {side}")
    units = units_of(angle)
    return words if units == "°" else f"{words} ({units})"


@dataclass(frozen=True)
class ValidationPage(PageWithFiles):
    """The data for the sections of the page: a comparison with a lab, or a study."""

    comparison: Validation | Study

    @cached_property
    def document(self) -> Mapping[str, Any]:
        """Its document."""
        return self.comparison.document

    @cached_property
    def primary(self) -> str:
        """The comparison that the page is about."""
        return str(self.document["primary"])

    @cached_property
    def agreement(self) -> xr.Dataset:
        """Its statistics."""
        return self.comparison.agreement()

    @cached_property
    def of_loads(self) -> tuple[xr.Dataset, xr.Dataset] | None:
        """Curves and statistics of the loads; None without force plates."""
        return self.comparison.loads() if isinstance(self.comparison, Validation) else None

    @cached_property
    def sided(self) -> list[str]:
        """Angles with two sides that figures show."""
        return shown(self.agreement, self.primary, sided=True)

    @cached_property
    def drawn(self) -> list[str]:
        """Angles that figures show, with or without sides."""
        return self.sided or shown(self.agreement, self.primary)

    def figure(self, drawn: Figure, name: str, *, alt: str, caption: str = "") -> Markup:
        """Show a figure, and store its picture with the others."""
        return super().figure(drawn, f"images/{name}", alt=alt, caption=caption)

    def head(self) -> Markup:
        """Describe the comparison, and how reliable it is."""
        return (
            header(self.document)
            + warning_list(self.document)
            + counts(self.agreement)
            + about_the_lag(self.document)
        )

    def curves(self) -> Markup:
        """Draw the curves over time and over a repetition, and list their errors."""
        agreement, trials = self.agreement, self.comparison.curves()
        pictures = Markup()
        for trial, curves in trials.items() if self.sided else ():
            pictures += self.figure(
                figures.overlays(curves, names=self.sided),
                f"curves-{trial}",
                alt=f"Angles of video and lab over time, {trial}",
                caption=trial if len(trials) > 1 else "",
            )
        return (
            pictures
            + about_the_curves(trials)
            + waveform_table(agreement, self.primary)
            + condition_table(agreement, self.document)
            + self._difference(
                self.primary,
                self.drawn,
                "difference",
                title="Video minus lab over a repetition",
                alt="Mean difference of video and lab over a repetition, for each angle",
            )
            + estimator_table(agreement)
        )

    def _difference(
        self,
        comparison: str,
        names: Sequence[str],
        file: str,
        *,
        title: str,
        alt: str,
        agreement: xr.Dataset | None = None,
    ) -> Markup:
        drawn = figures.difference_curves(
            self.agreement if agreement is None else agreement,
            comparison=comparison,
            names=names,
            title=title,
        )
        return self.figure(drawn, file, alt=alt)

    def values(self) -> Markup:
        """Draw and list the values of repetitions."""
        agreement, primary, pictures = self.agreement, self.primary, Markup()
        metrics = metric_names(agreement)
        which: dict[str, Any] = {"comparison": primary, "names": self.sided}
        for metric in metrics if self.sided else ():
            pictures += self.figure(
                figures.bland_altman(agreement, metric=metric, **which),
                f"bland-altman-{metric}",
                alt=f"Differences of video and lab over their means, {metric}",
            )
        pictures += self.figure(
            figures.scatter(agreement, metric=metrics[-1], **which | {"names": self.drawn}),
            f"scatter-{metrics[-1]}",
            alt="Values of the video over those of the lab, with the line of identity",
        )
        values = (value_table(agreement, primary, str(m)) for m in agreement["metric"].values)
        return pictures + html(values) + times_part(self.document)

    def loads(self) -> Markup:
        """Draw and list the loads of the legs; empty without force plates."""
        if self.of_loads is None:
            return Markup()
        curves, agreement = self.of_loads
        names = shown(agreement, loads_comparison.VIDEO)
        sided = shown(agreement, loads_comparison.VIDEO, sided=True)
        pictures = self.figure(
            figures.overlays(curves, names=names),
            "loads",
            alt="Loads of the legs from the video and from force plates, over time",
        ) + self._difference(
            loads_comparison.VIDEO,
            names,
            "loads-difference",
            title="Video less force plates over a repetition",
            alt="Mean difference of video and force plates over a repetition, for each quantity",
            agreement=agreement,
        )
        for metric in metric_names(agreement) if sided else ():
            pictures += self.figure(
                figures.bland_altman(
                    agreement, comparison=loads_comparison.VIDEO, metric=metric, names=sided
                ),
                f"loads-bland-altman-{metric}",
                alt=f"Differences of video and force plates over their means, {metric}",
            )
        curve_tables = (
            waveform_table(agreement, each.name) for each in loads_comparison.COMPARISONS
        )
        values = (
            value_table(agreement, loads_comparison.VIDEO, str(metric))
            for metric in agreement["metric"].values
        )
        return paragraphs(tables.sentence("validation.about_loads")) + html(
            pictures, curve_tables, values
        )

    def definitions(self) -> Markup:
        """Draw and describe how the definitions of the lab's model differ."""
        drawn = Markup()
        if DEFINITIONS in self.agreement["comparison"]:
            drawn = self._difference(
                DEFINITIONS,
                shown(self.agreement, DEFINITIONS),
                "definitions",
                title="The lab's model minus our formulas",
                alt="Difference of the two definitions over a repetition, for each angle",
            )
        return drawn + definition_part(self.agreement, self.document)

    def methods(self) -> Markup:
        """Write the texts for a paper, and store the tables for it."""
        folder = Path(self.out) / "tables"
        loads = None if self.of_loads is None else self.of_loads[1]
        files = write_tables(self.agreement, self.document, folder, loads=loads) if self.out else []
        return (
            html(h.blockquote[paragraphs(methods_text(self.document, self.agreement))])
            + grras_table(self.agreement)
            + files_of(files, self.out)
        )


VALIDATION: tuple[Section[ValidationPage], ...] = (
    Section("", ValidationPage.head),
    Section("Curves", ValidationPage.curves),
    Section(
        "Values of repetitions",
        ValidationPage.values,
        about=tables.sentence("validation.about.values"),
    ),
    Section("Loads of the legs", ValidationPage.loads),
    Section(
        "Definitions",
        ValidationPage.definitions,
        about=tables.sentence("validation.about.definitions"),
    ),
    Section("Planning", lambda p: size_table(p.agreement, p.primary)),
    Section("For the methods section", ValidationPage.methods),
    Section("What was used", lambda p: provenance(p.document)),
)
