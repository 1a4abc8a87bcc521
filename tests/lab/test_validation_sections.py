"""Parts of the report on agreement with a lab: tables for a paper, words, and figures."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from lab_trials import true_angles

from mobility.lab import validation_figures as figures
from mobility.lab import validation_sections as sections
from mobility.lab.lab_comparison import statistics
from mobility.lab.lab_trial import DEFINITIONS, Reference, Trial, compare
from mobility.sessions.files import read_dataset

PRIMARY = "fitted_lab_formulas"


@pytest.fixture(scope="module")
def trial(project: Path) -> Trial:
    """The demo beside its truth, and a model whose knee reads 4 degrees more."""
    demo = project / "data" / "demo" / "overhead-squat"
    formulas = true_angles(demo)
    knee = (formulas[["knee_flexion"]] + 4).assign_coords(time=formulas["time"])
    model = knee.assign(knee_flexion=knee["knee_flexion"].assign_attrs(units="degree"))
    return compare(
        read_dataset(demo / "angles.nc"),
        read_dataset(demo / "repetitions.nc"),
        Reference(formulas=formulas, model=model, pose=None),
    )


@pytest.fixture(scope="module")
def document(trial: Trial) -> dict[str, Any]:
    file = {"source_file": "a & b <i>.trc", "source_sha256": "0" * 64, "mapping": "mobility"}
    return {
        "session_id": "s1",
        "exercise": "Overhead Squat",
        "user_id": "<b>ann</b>",
        "files": {"lab": file},
        "synchronisation": trial.sync.document(),
        "margin_deg": 5.0,
        "joint_centres": {"left_knee": "mean of two", "right_knee": "mean of two"},
        "primary": PRIMARY,
        "angles": statistics(trial.agreement, PRIMARY),
        "definition_differences": {"knee_flexion": "read 4 degrees more"},
        "times": {},
        "warnings": [{"code": "x", "message": "a <script> told twice"}] * 2,
        "versions": {"mobility": "9.9", "mediapipe": "1.2.3", "scipy": "1.0"},
        "made": "2026-01-02T03:04:05+00:00",
    }


def test_the_words_have_lag_versions_and_settings_and_escape_what_came_from_a_person(
    trial: Trial, document: Any
) -> None:
    head = sections.header(document)
    page = head + sections.warning_list(document) + sections.provenance(document)
    assert "<b>" not in page
    assert "<script>" not in page
    assert "a &amp; b &lt;i&gt;.trc" in page
    assert page.count("told twice") == 1
    half = 1.96 * trial.sync.lag_sd_s
    assert f"{abs(trial.sync.lag_s):.3f} s ± {half:.3f} s" in head
    text = sections.methods_text(document, trial.agreement)
    for words in ("mobility 9.9", "MediaPipe 1.2.3", "knee flexion", "Bland and Altman"):
        assert words in text, words
    # Of one participant there is no ICC and no test, so that none is claimed.
    assert "ICC" not in text
    assert "equivalence" not in text
    by_hand = copy.deepcopy(document)
    by_hand["synchronisation"] |= {"given": True, "lag_sd_s": None}
    assert "entered by hand" in sections.header(by_hand)
    assert "was set by hand" in sections.methods_text(by_hand, trial.agreement)
    other = document | {"pose_source": "other", "source_software": "RTMPose"}
    text = sections.methods_text(other, trial.agreement)
    assert "keypoints: RTMPose;" in text
    assert "mediapipe" not in text.lower()
    assert "RTMPose" in sections.header(other)


def test_the_trials_of_a_study_stand_in_a_part_that_opens() -> None:
    trial = {
        **{"session_id": "s1", "participant": "p1", "condition": "", "lab_file": "a.c3d"},
        **{"lag_s": 0.1, "lag_sd_s": 0.01, "correlation": 0.99},
    }
    study = {
        "study": "ours",
        "exercise": "Squat",
        "trials": [trial] * 3,
        "failed": [trial],
        "margin_deg": None,
    }
    page = sections.header(study)
    assert page.index("3 of 4 compared") < page.index("<details>") < page.index("a.c3d")


def test_the_values_can_be_computed_again_from_those_of_the_repetitions_and_latex_is_whole(
    trial: Trial, document: Any, tmp_path: Path
) -> None:
    files = sections.write_tables(trial.agreement, document, tmp_path)
    assert {file.suffix for file in files} == {".csv", ".tex", ".txt"}
    assert "<code>values-peak.tex</code>" in sections.files_of(files, str(tmp_path))
    each = pd.read_csv(tmp_path / "repetitions.csv")
    key = ["comparison", "angle", "side", "metric"]
    difference = (each["measured"] - each["reference"]).groupby([each[k] for k in key])
    table = pd.read_csv(tmp_path / "values.csv").set_index(key)
    for name, values in (
        ("mean_difference", difference.mean()),
        ("upper_limit", difference.mean() + 1.96 * difference.std()),
    ):
        given = table[name].notna()  # of a single repetition there are no limits
        assert given.sum() > 40
        again = values.reindex(table.index[given])
        np.testing.assert_allclose(table.loc[given, name], again, atol=1e-9)
    for file in tmp_path.glob("*.tex"):
        text = file.read_text()
        assert text.isascii(), file
        assert len(re.findall(r"(?<!\\)\{", text)) == len(re.findall(r"(?<!\\)\}", text))
        (columns,) = re.findall(r"\\begin\{tabular\}\{(l r*|lr*)\}", text)
        body = text.split("\\midrule\n")[1].split("\\bottomrule")[0]
        for row in body.strip().splitlines():
            assert len(re.findall(r"(?<!\\)&", row)) == len(columns) - 1, row


def test_a_comparison_of_one_session_has_no_conditions(trial: Trial, document: Any) -> None:
    one = document | {"angles": {"knee_flexion": {"left": {}}}}
    assert "knee" not in sections.condition_table(trial.agreement, one).lower()


def test_tables_say_nothing_where_there_is_nothing(trial: Trial) -> None:
    given = trial.agreement["angle"] != "pelvis_obliquity"
    agreement = trial.agreement.assign(
        {name: trial.agreement[name].where(given) for name in ("rmse", "mae", "bias", "cmc")}
    )
    page = sections.waveform_table(agreement, PRIMARY)
    row = next(line for line in page.split("<tr>") if "Pelvic obliquity" in line)
    assert "nan" not in page
    assert row.count("–") >= 4
    assert "Refused" in page
    nothing = trial.agreement.assign(frames_compared=trial.agreement["frames_compared"] * 0)
    assert "No angle" in sections.waveform_table(nothing, PRIMARY)
    assert "<table" not in sections.value_table(nothing, PRIMARY, "peak")


def test_only_definitions_that_differ_stand_in_words(trial: Trial) -> None:
    measured = sections.definition_table(trial.agreement, {})
    unmeasured = trial.agreement.drop_sel(comparison=DEFINITIONS)
    words = sections.definition_table(unmeasured, {"knee_flexion": "reads 4 degrees more"})
    assert "reads 4 degrees more" in words
    assert words.count("<tr>") == 2
    assert measured.count("<tr>") >= 2


def test_figures(trial: Trial) -> None:
    names = ["knee_flexion", "hip_flexion"]
    picture = figures.overlays(trial.curves, names=names)
    assert len(picture.axes) == 4
    (lab,) = [line for line in picture.axes[0].lines if line.get_color() == "black"]
    np.testing.assert_allclose(
        lab.get_ydata(), trial.curves["knee_flexion"].sel(estimator="lab_formulas", side="left")
    )
    picture = figures.bland_altman(trial.agreement, comparison=PRIMARY, metric="peak", names=names)
    here = trial.agreement.sel(comparison=PRIMARY, metric="peak", angle="knee_flexion", side="left")
    marks = [line for line in picture.axes[0].lines if line.get_marker() == "o"]
    np.testing.assert_allclose(marks[0].get_ydata(), here["video_values"] - here["lab_values"])
    levels = [float(line.get_ydata()[0]) for line in picture.axes[0].lines]
    for name in ("mean_difference", "lower_limit", "upper_limit"):
        assert min(abs(np.array(levels) - float(here[name]))) < 1e-9, name
    picture = figures.scatter(trial.agreement, comparison=PRIMARY, metric="peak", names=names)
    assert picture.axes[0].get_xlim() == picture.axes[0].get_ylim()
    picture = figures.difference_curves(
        trial.agreement, comparison=sections.DEFINITIONS, names=["knee_flexion"], title="x"
    )
    np.testing.assert_allclose(picture.axes[0].lines[1].get_ydata(), 4.0, atol=1e-6)


def test_times_stand_in_the_page_and_among_the_tables(
    trial: Trial, document: Any, tmp_path: Path
) -> None:
    assert sections.times_part(document) == ""
    of_rises = {"long_name": "duration of the rise", "units": "s", "video": 1.2, "lab": 1.0}
    interval = {"mean_difference_low": None, "mean_difference_high": None}
    limits = dict.fromkeys(
        f"{x}_limit{end}" for x in ("lower", "upper") for end in ("", "_low", "_high")
    )
    entry = of_rises | {"pairs": 1, "mean_difference": 0.2} | interval | limits
    timed = document | {"times": {"rise_duration": entry}}
    page = sections.times_part(timed)
    for words in ("Duration of the rise, s", "1.20", "+0.20", "in the lab&#39;s file"):
        assert words in page, words
    assert "nan" not in page
    sections.write_tables(trial.agreement, timed, tmp_path)
    (row,) = pd.read_csv(tmp_path / "times.csv").to_dict("records")
    assert (row["time"], row["lab"]) == ("rise_duration", 1.0)
    assert "by the same rules" in (tmp_path / "methods.txt").read_text()
