"""The parts of the report on agreement with a lab: as HTML, and as tables for a paper.

They take agreement Datasets with the dimension `comparison`, and documents of
:mod:`mobility.pipeline.lab_comparison`. What came from a person is escaped.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from mobility.wording import spoken
from mobility import tables
from mobility.validation.inference import BOOTSTRAP_COVERAGE
from mobility.validation.limits import LEAST, limits_interval_width
from mobility.validation.trial import COMPARISONS, DEFINITIONS
from mobility.sessions.files import atomic, make_folder, writing
from mobility.reports.sections import facts, paragraphs, table

if TYPE_CHECKING:
    import pandas as pd

Z95 = 1.96

SHOWN = ("knee_flexion", "hip_flexion", "ankle_dorsiflexion")
"""Angles of the figures, as far as they were compared: those of a squat."""

TABLED = (*SHOWN, "trunk_lean")
"""Angles of the tables of values, likewise."""

METRICS = {"bottom": "at the bottom", "peak": "at its peak", "range": "range of motion"}

SIZES = (10, 20, 30, 50, 100, 200)
"""Numbers of participants for which the width of the intervals is given."""

_TITLES = {comparison.name: comparison.title for comparison in COMPARISONS}


def shown(agreement: xr.Dataset, comparison: str, names: Sequence[str] = SHOWN) -> list[str]:
    """Those of `names` of which a comparison has something; else all that it has."""
    own = agreement.sel(comparison=comparison)
    there = [
        str(a)
        for a in own["angle"].values
        if int(own["repetitions_compared"].sel(angle=a).sum()) > 0
    ]
    return [name for name in names if name in there] or there


def header(document: Mapping[str, Any]) -> str:
    """Say what was compared with what: a trial, or a study with its trials and failures."""
    if "study" not in document:
        return trial_facts(document)
    trials, failed = document["trials"], document["failed"]
    people = len({trial["participant"] for trial in trials})
    conditions = list(dict.fromkeys(t["condition"] for t in trials if t["condition"]))
    told = facts(
        {
            "Study": document["study"],
            "Trials": f"{len(trials)} of {len(trials) + len(failed)} compared",
            "Participants": str(people),
            "Conditions": ", ".join(conditions) or None,
            "Margin of equivalence, as given": _margin(document),
        }
    )
    rows = [
        [
            escape(trial["session_id"]),
            f"<td class='text'>{escape(trial['participant'])}</td>",
            f"<td class='text'>{escape(trial['condition'] or '–')}</td>",
            f"<td class='text'>{escape(trial['lab_file'])}</td>",
            _number(trial["lag_s"], 3, signed=True)
            + ("" if trial["lag_sd_s"] is None else f" ± {Z95 * trial['lag_sd_s']:.3f}"),
            f"{trial['correlation']:.3f}",
        ]
        for trial in trials
    ]
    return told + table(
        ["Session", "Participant", "Condition", "Lab file", "Lag, s", "Correlation"],
        rows,
        caption="The trials, each with the lag between its clocks and its 95 % interval",
        numeric=True,
    )


def _margin(document: Mapping[str, Any]) -> str | None:
    margin = document["margin_deg"]
    return None if margin is None else f"{margin:g}°"


def about_the_lag(document: Mapping[str, Any]) -> str:
    """Say what the lag holds besides the difference of the clocks."""
    delay = tables.load("synchronisation")["video_delay"]
    sync = document.get("synchronisation")
    if sync is not None and sync["given"]:
        return paragraphs(
            "The lag was given by hand. On rendered squats, whose clocks are the same, the video's "
            f"angles came {1000 * delay['mean_s']:.0f} ± {1000 * Z95 * delay['sd_s']:.0f} ms late; "
            "with the lag of the clocks themselves that counts as a difference."
        )
    return paragraphs(
        "One lag holds for a whole trial and all joints. It is where the angles fit, and so it "
        f"contains what the video's angles come late, {1000 * delay['mean_s']:.0f} ± "
        f"{1000 * Z95 * delay['sd_s']:.0f} ms on rendered squats, whose clocks are the same."
    )


def about_the_curves(curves: Mapping[str, xr.Dataset]) -> str:
    """Say how to read the curves over time; empty where none are shown."""
    if not curves:
        return ""
    return paragraphs(
        "Every way to the same angle on the clock of the video; a repetition has a grey ground. "
        "Black is the lab by our own formulas, on its joint centres: that compares like with like. "
        "Green is the lab's own model, whose angles are defined otherwise. Markers move with the "
        "skin, by centimetres when a joint is bent far (Leardini et al. 2005, Gait Posture "
        "21:212), so that the lab has errors of its own."
    )


def condition_table(document: Mapping[str, Any]) -> str:
    """Set the errors of the curves of each condition of a study beside each other."""
    conditions: Mapping[str, Any] = document.get("conditions", {})
    if not conditions:
        return ""
    rows = []
    for angle, sides in document["angles"].items():
        for side in sides:
            found = [one.get(angle, {}).get(side) for one in conditions.values()]
            if angle in TABLED and any(each is not None for each in found):
                cells = [_of_condition(each) for each in found]
                rows.append([_called(angle, side), *cells])
    return table(
        ["Angle", *(escape(name) for name in conditions)],
        rows,
        caption="By condition: root mean square error, and bias with its 95 % interval, degrees",
        numeric=True,
    )


def _of_condition(found: Mapping[str, Any] | None) -> str:
    if found is None or found["rmse"] is None:
        return "–"
    row = {k: math.nan if found[k] is None else found[k] for k in ("bias", "bias_low", "bias_high")}
    bias = _with_interval(row, "bias", signed=True)
    return f"{_one(found['rmse'])}<br><span class='interval'>{bias}</span>"


def definition_part(agreement: xr.Dataset, document: Mapping[str, Any]) -> str:
    """Tables of the comparison with the lab's own model, where there is one."""
    models = [n for n in agreement["comparison"].values.tolist() if n.endswith("_lab_model")]
    differences = document.get("definition_differences", {})
    told = definition_table(agreement, differences)
    told += "".join(
        waveform_table(agreement, name) for name in models if name != document["primary"]
    )
    return told or paragraphs("The lab gave no angles of its own model for this comparison.")


def methods_part(document: Mapping[str, Any], agreement: xr.Dataset) -> str:
    """Set the paragraph for the methods section, apart from the rest."""
    return f"<blockquote>{paragraphs(methods_text(document, agreement))}</blockquote>"


def files_of(files: Sequence[Path], folder: str) -> str:
    """Name the tables that were written."""
    if not files:
        return ""
    names = ", ".join(
        f"<code>{escape(file.relative_to(folder).as_posix())}</code>" for file in files
    )
    return f"<p>Tables for a paper, beside this report: {names}.</p>"


def trial_facts(document: Mapping[str, Any]) -> str:
    """Say what was compared with what, and how the clocks were brought together."""
    sync = document["synchronisation"]
    files = {kind: told["source_file"] for kind, told in document["files"].items()}
    return facts(
        {
            "Session": document["session_id"],
            "Participant": document["user_id"],
            "Lab file": _with_mapping(document["files"]["lab"]),
            "Angles of the lab's model": (
                _with_mapping(document["files"]["angles"]) if "angles" in files else None
            ),
            "Static trial": files.get("static"),
            "Lag": lag_text(sync),
            "Match": match_text(sync),
            "Drift of the clocks": drift_text(sync),
            "Margin of equivalence, as given": _margin(document),
        }
    )


def _with_mapping(file: Mapping[str, str]) -> str:
    return f"{file['source_file']} (names: {file.get('mapping', 'unknown')})"


def lag_text(sync: Mapping[str, Any]) -> str:
    """Say the lag with its interval: lab time = video time + lag."""
    lag = f"{sync['lag_s']:+.3f} s".replace("-", "−")
    if sync["given"]:
        return f"lab time = video time {lag}, given by hand"
    return f"lab time = video time {lag} ± {Z95 * sync['lag_sd_s']:.3f} s"


def match_text(sync: Mapping[str, Any]) -> str:
    """Say how well the angles match at the lag, and at the second best."""
    text = f"correlation {sync['correlation']:.3f} over {sync['overlap_s']:.1f} s"
    if sync["second_correlation"] is not None:
        second = f"{sync['second_lag_s']:+.2f}".replace("-", "−")
        text += f"; second best {sync['second_correlation']:.3f} at {second} s"
    if sync["signals"]:
        text += f" ({len(sync['signals'])} angles: {', '.join(spoken(s) for s in sync['signals'])})"
    return text


def drift_text(sync: Mapping[str, Any]) -> str | None:
    """Say the drift with its interval; None where it was not asked for."""
    if sync["drift_sd"] is None:
        return None
    drift = f"{1000 * sync['drift']:+.2f}".replace("-", "−")
    return f"{drift} ± {1000 * Z95 * sync['drift_sd']:.2f} ms per second"


def warning_list(document: Mapping[str, Any]) -> str:
    """List what limits the trust in this comparison."""
    messages = list(dict.fromkeys(w["message"] for w in document["warnings"]))
    if not messages:
        return ""
    items = "".join(f"<li>{escape(message)}</li>" for message in messages)
    return f"<aside class='distrust' aria-label='How sure this is'><ul>{items}</ul></aside>"


def counts(agreement: xr.Dataset) -> str:
    """Say how many participants and repetitions were compared, and how the intervals are meant."""
    people = len(set(agreement["participant"].values.tolist()))
    repetitions = agreement.sizes["rep"]
    if people == 1:
        return paragraphs(
            f"{repetitions} repetitions of one participant. All intervals and limits describe this "
            "participant alone: another person may differ by more. Frames are never taken as "
            "independent."
        )
    return paragraphs(
        f"{repetitions} repetitions of {people} participants. Errors of curves are averaged within "
        "a participant first, and intervals are over participants; limits of agreement are those "
        "of one repetition, for repeated measurements. Frames are never taken as independent."
    )


def waveform_frame(agreement: xr.Dataset) -> pd.DataFrame:
    """Statistics of the curves as a table: a row for each comparison, angle and side."""
    import pandas as pd

    rows = []
    names = ("rmse", "mae", "bias", "rmse_offset_removed", "coverage")
    for comparison, angle, side, here in _each(agreement):
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
    """Statistics of the values of repetitions as a table: also by metric."""
    import pandas as pd

    rows = []
    names = [
        str(name)
        for name, value in agreement.data_vars.items()
        if set(value.dims) == {"comparison", "metric", "angle", "side"}
    ]
    for comparison, angle, side, here in _each(agreement):
        for metric in here["metric"].values.tolist():
            at = here.sel(metric=metric)
            row = {"comparison": comparison, "angle": angle, "side": side, "metric": metric}
            rows.append({**row, **{name: at[name].item() for name in names}})
    return pd.DataFrame(rows)


def repetition_frame(agreement: xr.Dataset) -> pd.DataFrame:
    """Values of every repetition of both, from which anyone can compute the statistics again."""
    import pandas as pd

    rows = []
    for comparison, angle, side, here in _each(agreement):
        for metric in here["metric"].values.tolist():
            for i in range(here.sizes["rep"]):
                at = here.sel(metric=metric).isel(rep=i)
                rows.append(
                    {
                        "comparison": comparison,
                        "participant": str(at["participant"].item()),
                        "trial": int(at["trial"]),
                        "repetition": int(at["repetition"]),
                        "angle": angle,
                        "side": side,
                        "metric": metric,
                        "measured": float(at["video_values"]),
                        "reference": float(at["lab_values"]),
                    }
                )
    return pd.DataFrame(rows)


def waveform_table(agreement: xr.Dataset, comparison: str) -> str:
    """Make the table of errors of the curves of one comparison."""
    head, rows = _waveform_cells(waveform_frame(agreement.sel(comparison=[comparison])))
    if not rows:
        return paragraphs("No angle was compared.")
    return table(
        head,
        [_two_lines(row) for row in rows],
        caption=f"{_TITLES[comparison]}: curves over a repetition, degrees, with 95 % intervals",
        numeric=True,
    )


def value_table(agreement: xr.Dataset, comparison: str, metric: str) -> str:
    """Make the table of agreement of values of the repetitions, of the angles of a squat.

    All angles are in the files of :func:`write_tables`.
    """
    frame = value_frame(agreement.sel(comparison=[comparison]))
    chosen = shown(agreement, comparison, TABLED)
    head, rows = _value_cells(frame[frame["metric"].eq(metric) & frame["angle"].isin(chosen)])
    if not rows:
        return paragraphs("No value was compared.")
    return table(
        head,
        [_two_lines(row) for row in rows],
        caption=f"{_TITLES[comparison]}: {METRICS[metric]}, degrees, with 95 % intervals",
        numeric=True,
    )


def estimator_table(agreement: xr.Dataset) -> str:
    """Set the ways to measure in the video beside each other, against the same formulas."""
    ways = {
        "fitted_lab_formulas": "fitted body",
        "landmarks_lab_formulas": "landmarks without a fit",
        "raw_lab_formulas": "landmarks without a fit",
        "image_lab_formulas": "lines in the picture",
    }
    there = [name for name in ways if name in agreement["comparison"].values]
    if len(there) < 2:
        return ""
    rows = []
    for angle in agreement["angle"].values.tolist():
        for side in agreement["side"].values.tolist():
            here = agreement["mae"].sel(angle=angle, side=side)
            values = [float(here.sel(comparison=name)) for name in there]
            if np.isfinite(values).any():
                rows.append([_called(angle, side), *(_one(v) for v in values)])
    return table(
        ["Angle", *(ways[name] for name in there)],
        rows,
        caption="Mean absolute difference from the lab, same formulas, degrees",
        numeric=True,
    )


def definition_table(agreement: xr.Dataset, differences: Mapping[str, str]) -> str:
    """Say how the lab's definitions differ from ours: in words, and measured on the same trial.

    Parameters
    ----------
    agreement
        With the comparison `DEFINITIONS`, else only the words are there.
    differences
        By angle, from the mapping of the lab's names.
    """
    measured = DEFINITIONS in agreement["comparison"].values
    rows = []
    for angle in agreement["angle"].values.tolist():
        said = differences.get(angle)
        if said is None and not measured:
            continue
        row = [escape(spoken(angle).capitalize()), f"<td class='words'>{escape(said or '–')}</td>"]
        if measured:
            curve = agreement["difference_curve"].sel(comparison=DEFINITIONS, angle=angle)
            middle = curve.mean("side", skipna=True).to_numpy()
            if not np.isfinite(middle).any():
                continue
            half = len(middle) // 2
            row += [_signed(middle[0]), _signed(middle[half]), _span(middle)]
        rows.append(row)
    if not rows:
        return ""
    head = ["Angle", "The lab's definition, beside ours"]
    if measured:
        head += ["At the start", "Half-way", "Least … largest"]
    return table(
        head,
        rows,
        caption="How the lab's own angles differ from ours by definition"
        + (
            "; its model less our formulas, both from the same trial, mean of the sides, degrees"
            if measured
            else ""
        ),
        numeric=True,
    )


def size_table(agreement: xr.Dataset, comparison: str, *, metric: str = "bottom") -> str:
    """Say how wide the intervals of the limits would be with more participants.

    The standard deviation of one difference is that of this study; with one participant there is
    none between people, so that nothing is said.
    """
    own = agreement.sel(comparison=comparison, metric=metric)
    if len(set(agreement["participant"].values.tolist())) < LEAST:
        return (
            f"<p>With fewer than {LEAST} participants the standard deviation between people is not "
            "known. With one that is expected, <code>mobility validate --sample-size SD</code> "
            "says how well limits of agreement would be known by number of participants.</p>"
        )
    rows = []
    for angle in shown(agreement, comparison):
        for side in own["side"].values.tolist():
            here = own.sel(angle=angle, side=side)
            sd = float(here["sd_difference"])
            if not math.isfinite(sd) or sd <= 0:
                continue
            widths = [limits_interval_width(n, sd=sd) for n in SIZES]
            rows.append([_called(angle, side), _one(sd), *(f"± {w / 2:.1f}" for w in widths)])
    if not rows:
        return ""
    return table(
        ["Angle", "SD of a difference", *(f"n = {n}" for n in SIZES)],
        rows,
        caption="How well a limit of agreement would be known (half of its 95 % interval, degrees) "
        f"with n participants of one repetition each, {METRICS[metric]}",
        numeric=True,
    )


def methods_text(document: Mapping[str, Any], agreement: xr.Dataset) -> str:
    """Write the paragraph for the methods section of a paper, with versions and settings.

    Parameters
    ----------
    document
        Of a comparison, or of a study.
    agreement
        Its statistics.
    """
    people = len(set(agreement["participant"].values.tolist()))
    versions = document["versions"]
    software = ", ".join(
        f"{name} {versions[name]}"
        for name in ("mobility", "mediapipe", "numpy", "scipy", "xarray")
        if name in versions
    )
    primary = str(document["primary"])
    same = primary.endswith("lab_formulas")
    parts = [
        "Joint angles were measured from video with mobility "
        f"{versions.get('mobility', '')} (pose: MediaPipe {versions.get('mediapipe', '')}"
        + (
            "; a body with constant segment lengths was fitted to each trial)"
            if primary.startswith("fitted")
            else "; landmarks without a fitted body)"
        )
        + " and compared with those of the lab in the same repetitions.",
        "The same formulas were applied to the joint centres of the lab and of the video"
        if same
        else "The angles of the lab's own model, whose definitions differ from those of the video, "
        "served as the reference",
        _sync_text(document),
        "Repetitions were found in the video. Of each repetition the curve (101 points) and the "
        "values at the bottom (median), at the peak and the range of motion were compared. "
        "Differences are video minus lab.",
        "Root mean square and mean absolute errors and biases of curves were computed within "
        + (
            "repetitions; intervals are over the repetitions of the one participant."
            if people == 1
            else f"repetitions and averaged within each of the {people} participants; 95 % "
            "intervals are from a bootstrap over participants. Such an interval "
            f"{BOOTSTRAP_COVERAGE}."
        ),
        "For values, 95 % limits of agreement"
        + ("" if people == 1 else " about the mean of the participants for repeated measurements")
        + " (Bland and Altman 2007) with intervals by MOVER (Zou 2013)"
        + (
            " were estimated for this participant"
            if people == 1
            else ", ICC(A,1) and ICC(C,1) with the intervals of McGraw and Wong (1996), Lin's "
            "concordance correlation and the standard error of measurement between the methods "
            "were computed"
        )
        + (
            "."
            if people == 1 or document["margin_deg"] is None
            else "; equivalence was tested by two one-sided tests within "
            f"± {document['margin_deg']:g}°, the margin given to the program (say when and why it "
            "was chosen), without correction for the number of angles."
        ),
        _centres_text(document),
        "Values that the video analysis refused, because their expected error exceeded its limit, "
        f"were not compared; their number is reported. Software: {software}.",
    ]
    parts[1] += ". "
    text = " ".join(part.strip() for part in parts)
    return " ".join(text.replace(". .", ".").split())


def _centres_text(document: Mapping[str, Any]) -> str:
    """Say of which markers the lab's joint centres were made."""
    centres: Mapping[str, Any] = document.get("joint_centres", {})
    told = [
        f"{landmark.removeprefix('left_')} {how}"
        for landmark, how in centres.items()
        if landmark.startswith("left_")
    ]
    if not told:
        return ""
    return f"Joint centres of the lab's markers (left, the right alike): {'; '.join(told)}."


def _sync_text(document: Mapping[str, Any]) -> str:
    sync = document.get("synchronisation")
    if sync is None:
        return (
            "The clocks of each trial were brought together by one lag, the maximum of the "
            "normalised cross-correlation of the joint angles together (100 Hz, parabolic "
            "interpolation)."
        )
    if sync["given"]:
        return (
            f"The lag between the clocks ({sync['lag_s']:.3f} s) was set by hand; the correlation "
            f"of the angles at it was {sync['correlation']:.3f}."
        )
    return (
        "The clocks were brought together by one lag for the trial, the maximum of the normalised "
        f"cross-correlation of {_named(sync['signals'])} together (100 Hz, parabolic "
        "interpolation): "
        f"{sync['lag_s']:.3f} s, standard deviation {sync['lag_sd_s']:.3f} s, correlation "
        f"{sync['correlation']:.3f}."
    )


def _named(signals: Sequence[str]) -> str:
    """Name angles, each once, without their sides."""
    names = list(dict.fromkeys(spoken(signal.split()[0]) for signal in signals))
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1] if names else "")))


def grras_table(agreement: xr.Dataset) -> str:
    """Make the list of reporting items, with what this report tells and what is left to write."""
    one = len(set(agreement["participant"].values.tolist())) == 1
    items = [
        {**item, "done": item["done"] and not (one and item.get("of_several", False))}
        for item in tables.load("grras")["items"]
    ]
    rows = [
        [
            str(item["number"]),
            f"<td>{escape(item['part'])}</td>",
            f"<td>{escape(item['text'])}</td>",
            f"<td>{'☑' if item['done'] else '☐'}</td>",
            f"<td>{escape(item['where'] if item['done'] else item['todo'])}</td>",
        ]
        for item in items
    ]
    return table(
        ["Item", "Part", "To report", "Told", "Where, or what to write"],
        rows,
        caption=f"Items of GRRAS ({tables.load('grras')['source']}), in our words: "
        "☑ told by this report, ☐ left to the author",
    )


def provenance(document: Mapping[str, Any]) -> str:
    """Say which files and software the numbers come from."""
    entries: dict[str, str | None] = {}
    for kind, told in document.get("files", {}).items():
        entries[f"SHA-256 of {told['source_file']} ({kind})"] = told["source_sha256"]
    versions = ", ".join(f"{name} {v}" for name, v in document["versions"].items())
    return facts({**entries, "Software": versions, "Made": document["made"]})


def write_tables(agreement: xr.Dataset, document: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write the tables for a paper: CSV with all digits, LaTeX as printed, and the paragraph.

    Parameters
    ----------
    agreement, document
        Of a comparison or a study.
    folder
        Made if absent.

    Raises
    ------
    StorageError
        The place cannot be written.
    """
    folder = Path(folder)
    with writing(folder):
        make_folder(folder)
    curves, values = waveform_frame(agreement), value_frame(agreement)
    primary = str(document["primary"])
    people = len(set(agreement["participant"].values.tolist()))
    whose = f"n: repetitions of {'one participant' if people == 1 else f'{people} participants'}."
    texts = {
        "curves.csv": curves.to_csv(index=False),
        "values.csv": values.to_csv(index=False),
        "repetitions.csv": repetition_frame(agreement).to_csv(index=False),
        "methods.txt": methods_text(document, agreement) + "\n",
        "curves.tex": latex(
            *_waveform_cells(curves[curves["comparison"].eq(primary)]),
            caption=f"{_TITLES[primary]}: curves over a repetition, degrees, with 95 % intervals. "
            + whose.replace("n: r", "R"),
            label="tab:curves",
        ),
    }
    for metric, words in METRICS.items():
        own = values[values["comparison"].eq(primary) & values["metric"].eq(metric)]
        texts[f"values-{metric}.tex"] = latex(
            *_value_cells(own),
            caption=f"{_TITLES[primary]}: {words}, degrees, with 95 % intervals. {whose}",
            label=f"tab:{metric}",
        )
    files = []
    for name, text in texts.items():
        with atomic(folder / name) as hidden:
            hidden.write_text(text, encoding="utf-8")
        files.append(folder / name)
    return files


def latex(head: Sequence[str], rows: Sequence[Sequence[str]], *, caption: str, label: str) -> str:
    r"""Set cells as a LaTeX table (packages booktabs and graphicx).

    Parameters
    ----------
    head, rows
        Texts; the first column is set to the left.
    caption, label
        Of the table.
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


def _each(agreement: xr.Dataset) -> list[tuple[str, str, str, xr.Dataset]]:
    """Comparison, angle, side and statistics of all that was compared."""
    found = []
    for comparison in agreement["comparison"].values.tolist():
        for angle in agreement["angle"].values.tolist():
            for side in agreement["side"].values.tolist():
                here = agreement.sel(comparison=comparison, angle=angle, side=side)
                if int(here["frames_compared"]):
                    found.append((comparison, angle, side, here))
    return found


def _waveform_cells(frame: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    head = ["Angle", "RMSE", "MAE", "Bias", "RMSE, offset removed", "CMC", "In 1.96 SD", "Refused"]
    rows = []
    for row in frame.to_dict("records"):
        whole = row["frames_compared"] + row["frames_refused"]
        rows.append(
            [
                _called(row["angle"], row["side"]),
                *(_with_interval(row, name) for name in ("rmse", "mae")),
                _with_interval(row, "bias", signed=True),
                _one(row["rmse_offset_removed"]),
                _two(row["cmc"]),
                _percent(row["coverage"]),
                _percent(row["frames_refused"] / whole if whole else math.nan),
            ]
        )
    return head, rows


def _value_cells(frame: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    head = [
        *("Angle", "n", "Mean difference", "Lower limit", "Upper limit"),
        *("ICC(A,1)", "SEM, video for lab", "Error of method, 95 %", "TOST p"),
    ]
    rows = [
        [
            _called(row["angle"], row["side"]),
            str(int(row["pairs"])),
            *(
                _with_interval(row, name, signed=True)
                for name in ("mean_difference", "lower_limit", "upper_limit")
            ),
            _with_interval(row, "icc", digits=2),
            _one(row["sem_agreement"]),
            _one(row["method_error95_agreement"]),
            _p(row.get("tost_p", math.nan)),
        ]
        for row in frame.to_dict("records")
    ]
    return head, rows


def _two_lines(cells: Sequence[str]) -> list[str]:
    """Cells as HTML, an interval below its value."""
    return [
        escape(cell).replace(" (", "<br><span class='interval'>(", 1) + "</span>"
        if cell.endswith(")") and " to " in cell
        else escape(cell)
        for cell in cells
    ]


def _with_interval(
    row: Mapping[str, Any], name: str, *, signed: bool = False, digits: int = 1
) -> str:
    value, low, high = (float(row[key]) for key in (name, f"{name}_low", f"{name}_high"))
    text = _number(value, digits, signed=signed)
    if not (math.isfinite(low) and math.isfinite(high)):
        return text
    return (
        f"{text} ({_number(low, digits, signed=signed)} to {_number(high, digits, signed=signed)})"
    )


def _number(value: float, digits: int, *, signed: bool = False) -> str:
    if not math.isfinite(value):
        return "–"
    return f"{round(value, digits) + 0.0:{'+' if signed else ''}.{digits}f}".replace("-", "−")


def _one(value: float) -> str:
    return _number(value, 1)


def _two(value: float) -> str:
    return _number(value, 2)


def _signed(value: float) -> str:
    return _number(value, 1, signed=True)


def _span(values: Any) -> str:
    return f"{_signed(float(np.nanmin(values)))} … {_signed(float(np.nanmax(values)))}"


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %" if math.isfinite(value) else "–"


def _p(value: float) -> str:
    if not math.isfinite(value):
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"




def _called(angle: str, side: str) -> str:
    words = spoken(angle).capitalize()
    return words if side == "middle" else f"{words}, {side}"
