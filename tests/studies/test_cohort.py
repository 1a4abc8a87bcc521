"""The table of many sessions: nothing lost, changes within error said so, small groups shown."""

from __future__ import annotations

import json
import math
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from cohort_cases import add_failed, add_session
from other_processes import ended

from mobility import tables
from mobility.assessment.verdict import judge
from mobility.base.provenance import sha256
from mobility.documents.lab_references import Norms, RetestErrors
from mobility.errors import BadInputError, StorageError
from mobility.pipeline.metrics_table import write_metrics_table
from mobility.sessions.files import read_dataset, read_json, write_json
from mobility.store import Store
from mobility.studies import cohort, cohort_sections
from mobility.studies import cohort_sections as cohort_figures

KNEES = {"left": (100.0, 113.5, 130.0), "right": (104.0, 106.0, 101.0)}
SD = 5.0
DICTIONARY = "cohort.datapackage.json"
MDC = 1.96 * math.sqrt(2) * SD  # 13.86


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, demo: Path) -> Path:
    """Ann three times, Bob once, Cid failed, and two of nobody knows whom."""
    made = Store(tmp_path_factory.mktemp("cohort"))
    for i, day in enumerate(("2026-03-01", "2026-04-01", "2026-05-01")):
        values = {"knee_flexion": [KNEES["left"][i], KNEES["right"][i]]}
        add_session(made, demo, f"a{i}", user_id="ann", date=day, values=values, sd=SD)
    add_session(made, demo, "b0", user_id="bob", date="2026-03-02")
    add_failed(made, demo, "c0", user_id="cid", date="2026-03-03")
    for i in range(2):
        add_session(made, demo, f"x{i}", user_id="anonymous", date=f"2026-02-0{i + 1}")
    made.set_participant("ann", sex="female", birth_year=1990, height_m=1.7, email="a@b.org")
    made.set_participant("bob", sex="male", age=50)
    return made.path


@pytest.fixture
def store(template: Path, tmp_path: Path) -> Store:
    shutil.copytree(template, tmp_path / "sessions")
    return Store(tmp_path / "sessions", reports=tmp_path / "reports")


@pytest.fixture(scope="module")
def the_frame(template: Path) -> pd.DataFrame:
    return cohort.to_dataframe(Store(template).sessions())


@pytest.fixture
def frame(the_frame: pd.DataFrame) -> pd.DataFrame:
    return the_frame.copy()


def made_up(values: dict[str, list[float]], **columns: object) -> pd.DataFrame:
    """A table of one metric: for each person the values of their sessions, a day apart."""
    rows = [
        {
            "session_id": f"{who}{i}",
            "user_id": who,
            "date": pd.Timestamp("2026-01-01", tz="UTC") + pd.Timedelta(days=i),
            "metric": "m",
            "side": "",
            "level": "session",
            "item": "",
            "value": value,
            "sd": 0.0,
            "sem": 1.0,
            "units": "degree",
            "azimuth": 40.0,
            **{name: each(who, i) if callable(each) else each for name, each in columns.items()},
        }
        for who, series in values.items()
        for i, value in enumerate(series)
    ]
    return pd.DataFrame(rows).reindex(columns=list(cohort.COLUMNS))


def test_the_error_of_a_study_of_the_lab_goes_before_that_of_the_package() -> None:
    conditions = {
        **{"exercise": "Overhead Squat", "view": "side left", "method": "fitted_body"},
        **{"cameras": 1, "software": "0.1.0"},
    }
    error = {"metric": "m", "side": "", "sem": 2.0, "low": None, "high": None}
    error |= {"participants": 12, "units": "degree", "conditions": conditions}
    made = {"made": "2026-01-01T00:00:00Z"}
    newer = RetestErrors.model_validate({"name": "newer", "errors": [error], **made})
    older = RetestErrors.model_validate({"name": "older", "errors": [error | {"sem": 9}], **made})
    frame = made_up({"ann": [10.0, 14.0]}, version="", **conditions)
    norms = Norms.model_validate({"name": "norms", "norms": [], **made})
    one = cohort.changes(frame, "m", studies=[norms, newer, older])
    assert one["error_of"].tolist() == ["newer", "newer"]
    assert one["error_people"].tolist() == [12, 12]
    assert one["mdc95"].tolist() == pytest.approx([1.96 * math.sqrt(2) * 2.0] * 2)
    other = frame.assign(view=["side left", "front"])
    assert set(cohort.changes(other, "m", studies=[newer])["error_of"]) == {"package"}
    moved = frame.assign(azimuth=[-90.0, -75.0])
    assert set(cohort.changes(moved, "m", studies=[newer])["error_of"]) == {"package"}
    assert set(cohort.changes(frame, "m", sem=1.0, studies=[newer])["error_of"]) == {"given"}


def test_every_value_of_the_datasets_is_in_the_table(store, frame) -> None:
    assert list(frame.columns) == list(cohort.COLUMNS)
    metrics = store.session("a1").metrics()
    own = frame[frame["session_id"].eq("a1")]
    beside = ("_sd", "_sem", "_interval")
    names = [str(n) for n in metrics.data_vars if not str(n).endswith(beside)]
    assert set(own["metric"]) == set(names)
    assert len(own) == sum(metrics[n].size for n in names)
    row = own[own["metric"].eq("knee_flexion_phase") & own["rep"].eq(2) & own["side"].eq("right")]
    for phase, value, sd in zip(row["phase"], row["value"], row["sd"], strict=True):
        at = {"rep": 2, "phase": phase, "side": "right"}
        assert value == float(metrics["knee_flexion_phase"].sel(at))
        assert sd == float(metrics["knee_flexion_phase_sd"].sel(at))
    assert set(own["level"]) == {"session", "repetition", "phase"}
    knee = cohort.of_metric(frame, "knee_flexion").set_index(["session_id", "side"])
    assert knee.loc[("a1", "left"), "upper"] == pytest.approx(113.5 + 1.96 * SD)


def test_who_and_how_stand_in_each_row_but_no_name(frame) -> None:
    ann = frame[frame["user_id"].eq("ann")].iloc[0]
    assert (ann["sex"], ann["age"], ann["height_m"]) == ("female", 36, 1.7)
    assert ann["date"] == pd.Timestamp("2026-03-01T08:00", tz="UTC")
    assert (ann["view"], ann["recording"]) == ("front-oblique left", "good")
    assert (ann["method"], ann["cameras"]) == ("fitted_body", 1)
    assert not frame.astype(str).apply(lambda c: c.str.contains("a@b.org")).any(axis=None)


def test_failed_and_damaged_sessions_stop_no_cohort_and_say_their_reason(store) -> None:
    (store.path / "b0" / "metrics.parquet").write_bytes(b"broken")
    (store.path / "a1" / "edits.json").write_text("{")
    (store.path / "participants" / "bob.json").write_text("{")
    store.write_document("participants/ann.json", {"user_id": "ann", "birth_year": 2091})
    frame = cohort.to_dataframe([store.session(name) for name in ("a0", "a1", "b0", "c0", "x0")])
    table = cohort.overview(frame).set_index("session_id")
    assert len(table) == 5
    assert table.loc["c0", "reason"] == "the analysis failed: nobody was found in it"
    assert "damaged" in table.loc["b0", "reason"]
    assert table.loc["a0", "reason"] == ""
    assert table.loc["a0", "repetitions"] == 3
    assert pd.isna(table.loc["c0", "repetitions"])
    assert cohort.by_group(frame, "knee_flexion", "sex")["user_id"].nunique() == 2
    assert "corrections by hand are damaged" in table.loc["a1", "reason"]
    assert "edits.json" in table.loc["a1", "reason"]
    # Of a record of a person that is damaged or cannot be right nothing is taken.
    assert set(frame.loc[frame["user_id"].eq("bob"), "sex"]) == {""}
    assert frame["age"].isna().all()
    assert frame.loc[frame["session_id"].eq("x0"), "software"].str.endswith("outdated").all()


def test_results_that_lack_what_is_read_are_left_out_and_outdated_ones_are_said_to_be_compared(
    store: Store,
) -> None:
    file = store.path / "b0" / "metrics.parquet"
    pd.read_parquet(file).drop(columns="quantity").to_parquet(file)
    record = read_json(file.with_name("session.json"))
    record["stages"]["table"]["sha256"] = sha256(file)
    write_json(file.with_name("session.json"), record)
    sessions = [store.session(name) for name in ("a0", "b0")]
    frame = cohort.to_dataframe(sessions)
    table = cohort.overview(frame).set_index("session_id")
    why = "session b0: its results come from a different version, without the data needed here"
    assert table.loc["b0", "reason"].startswith(why)
    assert table.loc["a0", "reason"] == ""
    answers = cohort.checks(frame, sessions)
    assert answers.loc[answers["session_id"].eq("b0"), "reason"].str.startswith(why).all()
    flow = cohort_sections.participants(cohort.overview(frame), "here")
    assert (
        "1 of the 1 compared sessions were analysed with a different "
        "version or with different data about the participant"
    ) in flow


def test_sessions_with_another_verdict_are_compared_only_when_asked_for(store, demo) -> None:
    for name, warning in (("n0", "no_squat"), ("h0", "hands_not_overhead")):
        add_session(store, demo, name, user_id="ann", date="2026-06-01", warnings=[warning])
    sessions = [store.session(name) for name in ("a0", "c0", "n0", "h0")]
    frame = cohort.to_dataframe(sessions)
    assert cohort.left_out(cohort.overview(frame)) == {
        "verdict on its recording: no overhead squat found": 2,
        "the analysis failed": 1,
    }
    assert "n0" not in set(cohort.changes(frame, "accepted_repetitions")["session_id"])
    more = cohort.to_dataframe(sessions, recordings=["good", "not-this-exercise"])
    assert "n0" in set(cohort.changes(more, "accepted_repetitions")["session_id"])
    with pytest.raises(BadInputError, match=r"recordings: .*'goood'; did you mean 'good'"):
        cohort.to_dataframe([], recordings="goood")


def test_what_is_asked_for_is_there(store, demo) -> None:
    values = {"hip_flexion": [np.nan, 90.0]}
    add_session(store, demo, "r0", user_id="ann", date="2026-06-01", values=values)
    session = store.session("r0")
    frame = cohort.to_dataframe([session])
    pd.testing.assert_frame_equal(session.to_dataframe(), frame)
    # A refused value keeps its reason.
    hips = cohort.of_metric(frame, "hip_flexion").set_index("side")
    assert hips.loc["left", "reason"]
    assert hips.loc["right", "reason"] == ""
    assert math.isnan(hips.loc["left", "value"])
    cohort.check_metrics([session], ["knee_flexion"])
    with pytest.raises(
        BadInputError, match=r"metrics: .* 'kne_flexion'; did you mean 'knee_flexion'\?"
    ):
        cohort.check_metrics([session], ["knee_flexion", "kne_flexion"])
    cohort.check_metrics([], [])
    with pytest.raises(BadInputError, match="no session has metrics yet"):
        cohort.check_metrics([], ["knee_flexion"])
    of_ann = cohort.choose_sessions(store, participants=["ann"])
    assert [each.id for each in of_ann] == ["a0", "a1", "a2", "r0"]
    assert cohort.choose_sessions(store, exercise="Joint Angle Mobility") == []
    for given, words in (
        ({"participants": ["anne"]}, r"'anne'.*ann"),
        ({"exercise": "overhead squt"}, r"no 'overhead squt'; did you mean 'Overhead"),
        ({"exercise": "foo"}, r"no 'foo'; choose one of 'Overhead Squat' "),
    ):
        with pytest.raises(BadInputError, match=words):
            cohort.choose_sessions(store, **given)


def test_the_demo_is_in_no_list_of_people_and_no_cohort_unless_it_is_named(
    tmp_path: Path, demo: Path
) -> None:
    store = Store(tmp_path / "sessions")
    store.path.mkdir()
    add_session(store, demo, "a", user_id="ann", date="2026-03-01")
    add_session(store, demo, "b", user_id="demo", date="2026-03-02")
    store.set_participant("demo", sex="female")
    assert store.participants() == ["ann"]
    assert [each.id for each in cohort.choose_sessions(store)] == ["a"]
    assert [each.id for each in cohort.choose_sessions(store, participants=["demo"])] == ["b"]


@pytest.mark.parametrize(
    ("warning", "level", "gone", "kept"),
    [
        (
            *("moving_camera", "limited"),
            "mobility_index mobility_index_part quality_index fms_probability",
            "knee_flexion arm_fall compensation_probability accepted_repetitions",
        ),
        (
            *("hands_not_overhead", "not_this_exercise"),
            "quality_index fms_probability arm_fall arm_fall_peak dowel_offset",
            "knee_flexion trunk_tibia_difference accepted_repetitions",
        ),
        (
            *("no_squat", "not_this_exercise"),
            "quality_index arm_fall knee_flexion knee_flexion_phase heel_rise",
            "accepted_repetitions",
        ),
    ],
)
def test_what_the_verdict_rules_out_has_no_value(
    demo, tmp_path, warning, level, gone, kept
) -> None:
    gone, kept = set(gone.split()), set(kept.split())
    store = Store(tmp_path / "sessions")
    add_session(store, demo, "s0", user_id="ann", date="2026-03-01")
    add_session(store, demo, "s1", user_id="ann", date="2026-04-01", warnings=[warning])
    whole = cohort.to_dataframe([store.session("s0")])
    frame = cohort.to_dataframe([store.session("s1")], recordings=["all"])
    session = store.session("s1")
    verdict = judge(session.record.warnings, session.capture_quality(), session.metrics())
    assert set(frame["recording"]) == {level} == {verdict.level}
    out = frame[frame["metric"].isin(gone)]
    assert set(out["metric"]) == gone
    assert out[["value", "sd", "lower", "upper"]].isna().all(axis=None)
    because = [each.why for each in verdict.reasons if each.rules_out]
    assert set(out["reason"]) <= set(because)
    same = frame["metric"].isin(kept) & ~frame["item"].eq("arms_fall")
    assert set(frame.loc[same, "metric"]) == kept
    assert frame.loc[same, "value"].equals(whole.loc[same, "value"])
    assert frame.loc[frame["metric"].eq("accepted_repetitions"), "value"].notna().all()
    assert cohort.by_group(frame, "quality_index", "sex").empty
    # The arms as a compensation go with the arms; those of the demo are too uncertain anyway.
    fall, alone = (
        each[each["metric"].eq("compensation_probability") & each["item"].eq("arms_fall")]
        for each in (frame, whole)
    )
    assert len(fall) == 1
    without = "arms" in verdict.rules_out or alone["value"].isna().all()
    assert fall["value"].isna().all() == without


def test_the_verdict_on_single_joints_is_that_of_their_page(project, tmp_path, monkeypatch) -> None:
    demo = project / "data" / "demo" / "joint-angle-mobility"
    store = Store(tmp_path / "sessions")
    shutil.copytree(demo, store.path / "j0")
    dark = store.session("j0").capture_quality() | {"light": {"verdict": "unusable"}}
    monkeypatch.setattr(type(store.session("j0")), "capture_quality", lambda _: dark)
    frame = cohort.to_dataframe([store.session("j0")], recordings=["all"])
    assert set(frame["recording"]) == {"unusable"}
    ends = frame[frame["metric"].eq("end_of_range")]
    assert ends["value"].isna().all()
    assert set(ends["reason"]) == {"the light is poor"}


def test_no_session_gives_an_empty_table_with_all_columns(tmp_path) -> None:
    frame = cohort.to_dataframe(Store(tmp_path / "none").sessions())
    assert frame.empty
    assert cohort.metrics_of(frame) == []
    assert cohort.overview(frame).empty
    assert cohort.changes(frame, "knee_flexion").empty
    assert cohort.by_group(frame, "knee_flexion", "sex").empty
    for group_by in ("age_band", "age", "height_m"):
        assert cohort.by_group(frame, "knee_flexion", group_by).empty


def test_written_tables_hold_the_same_values(frame, tmp_path, monkeypatch) -> None:
    for suffix, read_back in (("csv", pd.read_csv), ("parquet", pd.read_parquet)):
        path = cohort.write_table(frame, tmp_path / suffix / f"cohort.{suffix}")
        assert {file.name for file in path.parent.iterdir()} == {path.name, DICTIONARY}
        assert cohort.is_table(path)
        read = read_back(path)
        assert list(read.columns) == list(cohort.COLUMNS)
        np.testing.assert_array_equal(read["value"], frame["value"])
    pd.testing.assert_frame_equal(read, frame)
    with pytest.raises(BadInputError, match=r"csv or \.parquet"):
        cohort.write_table(frame, tmp_path / "cohort.xlsx")
    # Writing that fails leaves the earlier table.
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(StorageError, match=r"cohort\.parquet"):
        cohort.write_table(frame.head(3), path)
    assert path.read_bytes() == before
    assert {file.name for file in path.parent.iterdir()} == {path.name, DICTIONARY}


def dictionary_beside(table: Path) -> dict[str, Any]:
    return json.loads(cohort.dictionary_of(table).read_text())


def test_the_data_dictionary_says_what_columns_and_metrics_are(frame, tmp_path) -> None:
    written = cohort.write_table(frame, tmp_path / "study.csv")
    cohort.write_table(frame, tmp_path / "study.parquet")
    package = dictionary_beside(written)
    table, other, measures = package["resources"]
    assert (table["path"], other["path"]) == ("study.csv", "study.parquet")
    assert package["licenses"] == [{"name": "notspecified", "title": "not stated"}]
    assert package["description"].endswith("For research and training, not for diagnosis.")
    fields = {field["name"]: field for field in table["schema"]["fields"]}
    assert list(fields) == list(cohort.COLUMNS) == written.read_text().split("\n")[0].split(",")
    assert all(field["description"] for field in fields.values())
    kinds = {"float64": "number", "Int64": "integer", "category": "string"}
    for name, kind in frame.dtypes.astype(str).items():
        assert fields[name]["type"] == kinds.get(kind, "datetime"), name
        if values := fields[name].get("constraints", {}).get("enum"):
            assert set(frame[name]) <= {"", *values}, name
    assert not frame.duplicated(table["schema"]["primaryKey"]).any()
    described = {(row["exercise"], row["metric"]): row for row in measures["data"]}
    named = frame[frame["metric"].ne("")]
    assert set(described) == set(zip(named["exercise"], named["metric"], strict=True))
    knee = described["Overhead Squat", "knee_flexion"]
    entry = tables.load("measures")["measures"]["knee_flexion"]
    assert (knee["reference"], knee["source"]) == (entry["reference"], entry["source"])
    assert knee["which"] == "median of the accepted repetitions"
    # Columns of a user stand in it too.
    own = frame.assign(shoes="bare").drop(columns=["long_name", "rep"])
    schema = dictionary_beside(cohort.write_table(own, tmp_path / "own.csv"))["resources"][0][
        "schema"
    ]
    assert schema["fields"][-1] == {"name": "shoes", "type": "any"}
    assert "rep" not in schema["primaryKey"]
    # Of no session there are no metrics.
    empty = dictionary_beside(cohort.write_table(frame.head(0), tmp_path / "none.csv"))
    assert [each["name"] for each in empty["resources"]] == ["table-csv"]


def test_the_answers_of_the_rules_are_a_resource_beside_the_metrics(store, tmp_path) -> None:
    sessions = store.sessions()
    frame = cohort.to_dataframe(sessions)
    answers = cohort.checks(frame, sessions)
    written = cohort.write_table(frame, tmp_path / "study.csv", checks=answers)
    cohort.write_table(frame, tmp_path / "study.parquet", checks=answers)
    resources = {each["name"]: each for each in dictionary_beside(written)["resources"]}
    of_checks = resources["checks-csv"]
    assert of_checks["path"] == cohort.checks_of(written).name == "study.checks.csv"
    assert resources["checks-parquet"]["path"] == "study.checks.parquet"
    fields = {field["name"]: field for field in of_checks["schema"]["fields"]}
    assert list(fields) == list(answers) == list(cohort.COLUMNS_OF_CHECKS)
    assert all(field["description"] for field in fields.values())
    assert not answers.duplicated(of_checks["schema"]["primaryKey"]).any()
    assert set(answers["result"]) <= {"", *fields["result"]["constraints"]["enum"]}
    assert cohort.is_table(cohort.checks_of(written))
    # Whoever is not compared has a row that says why, of an exercise without rules there is none.
    out = frame[frame["metric"].eq("")].set_index("session_id")["reason"].astype(str)
    without = answers[answers["rule"].eq("")].set_index("session_id")["reason"]
    assert without.to_dict() == out.to_dict() != {}
    joints = set(frame.loc[frame["exercise"].eq("Joint Angle Mobility"), "session_id"]) - set(
        out.index
    )
    assert not joints & set(answers["session_id"])
    with_rules = set(frame["session_id"]) - set(out.index) - joints
    assert with_rules == set(answers.loc[answers["rule"].ne(""), "session_id"])


def test_frictionless_finds_a_written_table_as_its_dictionary_says(
    other_readers, store, frame, tmp_path
) -> None:
    answers = cohort.checks(frame, store.sessions())
    written = cohort.write_table(frame, tmp_path / "study.csv", checks=answers)
    cohort.write_table(frame, tmp_path / "study.parquet", checks=answers)
    run = "import json, sys, frictionless; "
    run += "print(json.dumps(frictionless.validate(sys.argv[1]).to_dict()))"

    def report() -> dict[str, Any]:
        done = ended([sys.executable, "-W", "ignore", "-c", run, cohort.dictionary_of(written)])
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    assert report()["valid"], report()
    written.write_text(written.read_text().replace(",session,", ",sessions,", 1))
    assert not report()["valid"]


def test_the_four_errors_stand_beside_a_value(store, frame) -> None:
    metrics = store.session("a1").metrics()
    own = frame[frame["session_id"].eq("a1")]
    row = own[own["metric"].eq("knee_flexion") & own["side"].eq("left")].iloc[0]
    assert row["sd"] == float(metrics["knee_flexion_sd"].sel(side="left"))
    assert row["sem"] == float(metrics["knee_flexion_sem"].sel(side="left"))
    from_standing = metrics["knee_flexion_from_standing_sd"].sel(side="left")
    assert row["sd_from_standing"] == float(from_standing)
    assert row["sd_of_sides"] == float(metrics["knee_flexion_asymmetry_sd"])
    # Only of values over the repetitions: not of a phase, nor of the errors' own metrics.
    having = own[own["sd_from_standing"].notna() | own["sd_of_sides"].notna()]
    assert set(having["kind"]) <= {"median", "at_bottom"}
    assert set(having["level"]) == {"session"}
    trunk = having[having["metric"].eq("trunk_lean")]
    assert trunk["sd_from_standing"].notna().all()
    assert trunk["sd_of_sides"].isna().all()


def test_visits_are_days_and_trials_their_sessions(store, demo) -> None:
    for name, time in (("a4", "09:00:00"), ("a5", "23:30:00")):
        add_session(store, demo, name, user_id="ann", date="2026-04-01", time=time)
    frame = cohort.to_dataframe(store.sessions()).drop_duplicates("session_id")
    numbers = frame.set_index("session_id")[["visit", "trial"]]
    ann = {"a0": (1, 1), "a4": (2, 1), "a1": (2, 2), "a5": (2, 3), "a2": (3, 1)}
    for session_id, visit_and_trial in {**ann, "b0": (1, 1), "c0": (1, 1)}.items():
        assert tuple(numbers.loc[session_id]) == visit_and_trial
    assert numbers.loc[["x0", "x1"]].isna().all(axis=None), "nobody knows whose they are"


def test_a_csv_table_has_no_formula_and_its_numbers_are_read_again(tmp_path) -> None:
    table = made_up({"=1+1": [-1.5], "@b": [2.0]}, text="-1.5", reason="=cmd|' /C calc'!A0")
    for name in ("text", "reason"):
        table[name] = table[name].astype("category")
    read = pd.read_csv(cohort.write_table(table, tmp_path / "a.csv"))
    assert read["user_id"].to_list() == ["'=1+1", "'@b"]
    assert read["value"].to_list() == [-1.5, 2.0]
    assert read["text"].to_list() == [-1.5, -1.5]
    assert set(read["reason"]) == {"'=cmd|' /C calc'!A0"}
    whole = pd.read_parquet(cohort.write_table(table, tmp_path / "a.parquet"))
    assert whole["user_id"].to_list() == ["=1+1", "@b"]


def test_a_change_counts_from_the_smallest_detectable_change_on(frame) -> None:
    table = cohort.changes(frame, "knee_flexion").set_index(["side", "session_id"])
    assert set(table["user_id"]) == {"ann"}, "one session, or nobody knows whose, is no course"
    # Of measuring again, and less than the errors of the values themselves, from one view.
    sem = np.sqrt((table["sem"] ** 2).groupby("side").transform("mean"))
    assert table["mdc95"].to_numpy() == pytest.approx((1.96 * math.sqrt(2) * sem).to_numpy())
    assert (table["mdc95"] < MDC).all()
    assert table.loc["left", "verdict"].tolist() == ["first", "larger", "larger"]
    assert table.loc["left", "change"].tolist() == [0, 13.5, 30]
    assert table.loc["right", "verdict"].tolist() == ["first", "within error", "within error"]


def test_the_smallest_detectable_change() -> None:
    """Konor et al. (2012): SEM 1.3 to 1.4 degrees and MDC 3.7 to 3.8 of the lunge."""
    frame = made_up({"a": [40.0, 43.5, 44.5]})
    for sem, mdc in ((1.3, 3.6), (1.4, 3.9)):
        table = cohort.changes(frame, "m", sem=sem)
        assert table["mdc95"].iloc[0] == pytest.approx(mdc, abs=0.05)
        assert table["verdict"].tolist() == ["first", "within error", "larger"]
    falling = cohort.changes(made_up({"a": [40.0, 30.0]}), "m", sem=1.0)
    assert falling["verdict"].tolist() == ["first", "smaller"]
    # Unequal errors: 1.96 times the root of 3² + 4² = 5, the error of this very difference.
    unequal = made_up({"a": [0.0, 9.0]}, sem=lambda _, i: (3.0, 4.0)[i])
    assert cohort.changes(unequal, "m")["mdc95"].iloc[0] == pytest.approx(9.8)
    # If the camera stood elsewhere, the errors of the values count in addition.
    elsewhere = 1.96 * 5.0 * math.sqrt(17)
    for view, mdc in (("front", 1.96 * 5.0), (lambda _, i: ("front", "side")[i], elsewhere)):
        again = made_up(
            {"a": [0.0, 9.9]},
            view=view,
            sem=lambda _, i: (3.0, 4.0)[i],
            sd=lambda _, i: (12.0, 16.0)[i],
        )
        table = cohort.changes(again, "m")
        assert table["mdc95"].iloc[0] == pytest.approx(mdc)
        assert table["sem"].tolist() == [3.0, 4.0]
    for unseen in ("", "unknown"):  # may be any view
        found = cohort.changes(again.assign(view=unseen), "m")["mdc95"].iloc[0]
        assert found == pytest.approx(elsewhere)
    # As in reports, the camera must stand within 10 degrees, and the analysis assume the same.
    again["view"] = "back"
    for azimuth, standing, mdc in (
        ((174.0, -177.0), "straight", 9.8),
        ((174.0, -175.0), "straight", elsewhere),
        ((174.0, math.nan), "straight", elsewhere),
        ((None, None), "straight", elsewhere),
        ((174.0, 174.0), ("straight", "unknown"), elsewhere),
    ):
        table = cohort.changes(again.assign(azimuth=azimuth, standing=standing), "m")
        assert table["mdc95"].iloc[0] == pytest.approx(mdc)
    again = again.assign(azimuth=0.0, standing="straight")
    for software, mdc in (
        ("", 9.8),
        (("MediaPipe", ""), 9.8),
        (("MediaPipe", "RTMPose"), elsewhere),
    ):
        table = cohort.changes(again.assign(source_software=software), "m")
        assert table["mdc95"].iloc[0] == pytest.approx(mdc)
    # One session has none: no change is claimed.
    mixed = made_up({"a": [0.0, 99.0]}, view="side", sem=lambda _, i: (3.0, math.nan)[i], sd=4.0)
    assert cohort.changes(mixed, "m")["verdict"].tolist() == ["first", "error unknown"]
    unknown = made_up({"a": [1.0, 90.0]}, sd=math.nan)
    assert cohort.changes(unknown, "m")["verdict"].tolist() == ["first", "error unknown"]
    for sem in (0.0, -1.0, math.nan):
        with pytest.raises(BadInputError, match="positive"):
            cohort.changes(frame, "m", sem=sem)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_table_from_a_file_says_the_same(frame, tmp_path, ending) -> None:
    file = cohort.write_table(frame, tmp_path / f"table.{ending}")
    table = pd.read_csv(file) if ending == "csv" else pd.read_parquet(file)
    for of in (cohort.changes, lambda rows, name: cohort.by_group(rows, name, "sex")):
        was, again = (of(rows, "knee_flexion") for rows in (frame, table))
        assert len(was)
        pd.testing.assert_frame_equal(again, was, check_dtype=False, rtol=1e-5)


def test_movements_of_single_joints_are_compared_each_with_itself() -> None:
    flexion, extension = (
        made_up({"ann": values}, metric="end_of_range", item=item, sd=0.5)
        for item, values in (("elbow_flexion", [140, 120]), ("elbow_extension", [5, 5]))
    )
    frame = pd.concat([flexion, extension], ignore_index=True).assign(long_name="end of range")
    measures = ["end_of_range[elbow_flexion]", "end_of_range[elbow_extension]"]
    assert cohort.metrics_of(frame) == measures
    assert cohort_sections.chosen_metrics(frame, "end_of_range, knee_flexion") == (
        measures,
        ["knee_flexion"],
    )
    verdicts = [cohort.changes(frame, each)["verdict"].tolist() for each in measures]
    assert verdicts == [["first", "smaller"], ["first", "within error"]]
    assert cohort_sections.title_of(frame, measures[0]) == "End of range (elbow flexion)"
    assert cohort.of_metric(frame, "end_of_range").empty


def test_a_person_counts_once_in_a_group(frame) -> None:
    values = cohort.by_group(frame, "knee_flexion", "sex")
    left = values[values["side"].eq("left")].set_index("group")
    assert list(values["group"].cat.categories) == ["female", "male", "not known"]
    assert left.loc["female", "value"] == 113.5
    assert left.loc["female", "sessions"] == 3
    assert len(left.loc[["not known"]]) == 2, "nobody knows whether these are one person"


def test_numbers_are_cut_into_bands_and_unknown_fields_refused() -> None:
    ages = [8, 9, 19, 20, 44.9, 45, 69, 70, math.nan]
    bands = ["under 9", "9–19", "9–19", "20–44", "20–44", "45–69", "45–69", "70 and over"]
    people = {f"p{i}": [float(i)] for i in range(9)}
    frame = made_up(
        people,
        height_m=lambda who, _: 1.5 + int(who[1:]) / 20,
        age=lambda who, _: ages[int(who[1:])],
    )
    groups = cohort.by_group(frame, "m", "age_band").set_index("user_id")["group"]
    assert groups[sorted(people)].tolist() == [*bands, "not known"]
    values = cohort.by_group(frame, "m", "height_m")
    assert values.groupby("group", observed=True).size().tolist() == [3, 3, 3]
    assert list(values["group"].cat.categories) == ["1.5–1.6", "1.65–1.75", "1.8–1.9"]
    with pytest.raises(BadInputError, match=r"'sx'.*sex"):
        cohort.by_group(frame, "m", "sx")


def test_quartiles_stand_only_where_there_are_four() -> None:
    frame = made_up({f"p{i}": [float(i)] for i in range(7)}, sex=lambda who, _: "fm"[who > "p3"])
    table = cohort.describe_groups(cohort.by_group(frame, "m", "sex")).set_index("group")
    assert table["people"].to_dict() == {"f": 4, "m": 3}
    middle = table.loc["f", ["median", "lower quartile", "upper quartile"]].tolist()
    assert middle == [1.5, 0.75, 2.25]
    assert math.isnan(table.loc["m", "lower quartile"])


@pytest.mark.parametrize(("people", "medians", "boxes"), [(3, 0, 0), (5, 1, 0), (10, 1, 1)])
def test_small_groups_are_points(people, medians, boxes) -> None:
    from matplotlib.collections import LineCollection

    values = cohort.by_group(made_up({f"p{i}": [float(i)] for i in range(people)}), "m", "user_id")
    values["group"] = pd.Categorical(["all"] * people, ordered=True)
    figure = cohort_figures.group_distribution(values, title="M", group_title="Everybody")
    (axis,) = figure.axes
    shown = np.concatenate([line.get_ydata() for line in axis.lines])
    assert sorted(shown) == list(range(people)), "every person is a point"
    lines = [each for each in axis.get_children() if isinstance(each, LineCollection)]
    assert (len(lines), len(axis.patches)) == (medians, boxes)


def test_the_sections_say_what_is_there_and_escape_ids(frame) -> None:
    frame["user_id"] = frame["user_id"].cat.rename_categories({"cid": "<cid>"})
    page = cohort_sections.session_table(cohort.overview(frame))
    assert "&lt;cid&gt;" in page
    failed, measured = page.index("the analysis failed: nobody was found in it"), page.index("a1")
    assert page.index("<details>") < failed < measured, "failures come first"
    flow = cohort_sections.participants(cohort.overview(frame), "here")
    for words, count in (
        ("Sessions listed", 7),
        ("Left out: the analysis failed", 1),
        ("Sessions compared", 6),
        ("Participants with a compared session", 2),
        ("Sessions without a participant id", 2),
    ):
        assert f'<th scope="row">{words}</th><td data-head="Number">{count}</td>' in flow
    assert cohort_sections.chosen_metrics(frame, "knee_flexion, kne") == (["knee_flexion"], ["kne"])
    changed = {"knee_flexion": cohort.changes(frame, "knee_flexion")}
    listing = cohort_sections.changes_table(frame, changed)
    assert listing.count("within error") == 2
    assert listing.count("larger, beyond error") == 2
    grouped = {"knee_flexion": cohort.by_group(frame, "knee_flexion", "age_band")}
    groups = cohort_sections.groups_table(frame, grouped, "age_band")
    assert "Knee flexion, 20–44" in groups


def test_what_was_found_comes_first_who_changed_and_the_groups() -> None:
    people = {"ann": [10.0, 30.0], "bob": [10.0, 11.0], "cid": [10.0, 0.0], "dan": [1.0]}
    frame = made_up(
        people,
        long_name="knee flexion",
        side=lambda who, _: "left" if who == "ann" else "right",
        sex=lambda who, _: "female" if who in ("ann", "dan") else "male",
    )
    changed = {"m": cohort.changes(frame, "m")}
    words = cohort_sections.changes_in_short(frame, changed)
    assert "Participants measured at least twice: 3." in words
    assert "2 of 3 changes exceed" in words
    assert "By error alone, about 0.2 would" in words  # 5 of 100
    assert (
        "2 of 3 people changed by more than the error: ann (left +20°), cid (right −10°)" in words
    )
    same = made_up({"ann": [10.0, 10.5]}, long_name="knee flexion")
    words = cohort_sections.changes_in_short(same, {"m": cohort.changes(same, "m")})
    assert "Knee flexion: none of 1 people changed by more than the error" in words
    assert "from this program&#39;s stated errors" in words
    once = made_up({"ann": [10.0]})
    words = cohort_sections.changes_in_short(once, {"m": cohort.changes(once, "m")})
    assert "Nobody was measured twice" in words
    groups = cohort_sections.groups_in_short(
        frame, {"m": cohort.by_group(frame, "m", "sex")}, "sex"
    )
    assert "Knee flexion: female 10° (2), male 8° (2)" in groups


def test_a_person_is_the_mean_of_both_sides_and_nobody_is_one_person() -> None:
    both = [
        made_up({who: [value]}, side=side, sex="female")
        for who, value, side in (("ann", 10.0, "left"), ("ann", 20.0, "right"))
    ]
    nameless = made_up({"x": [30.0, 40.0]}, side="left", sex="female").assign(user_id="anonymous")
    frame = pd.concat([both[0], both[1], nameless], ignore_index=True)
    words = cohort_sections.groups_in_short(frame, {"m": cohort.by_group(frame, "m", "sex")}, "sex")
    assert "female 30° (3)" in words  # of 15, 30 and 40


def test_changes_say_whose_error_they_are_held_against() -> None:
    frame = made_up({"ann": [10.0, 14.0]}).assign(long_name="knee flexion")
    compared = cohort.changes(frame, "m").assign(error_of="ours", error_people=24)
    words = cohort_sections.changes_table(frame, {"m": compared})
    assert words.count("from this lab&#39;s study ours with 24 people") == 2


def test_of_many_people_those_who_changed_most_are_drawn() -> None:
    frame = made_up({f"p{i:02}": [0.0, float(i)] for i in range(30)})
    figure = cohort_figures.over_time(cohort.changes(frame, "m"), title="M")
    titles = {axis.get_title(loc="left") for axis in figure.axes}
    assert titles == {f"p{i:02}" for i in range(6, 30)}


def test_a_folder_with_something_else_is_not_replaced(store, tmp_path) -> None:
    from mobility.studies.study_reports import render_cohort

    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.docx").write_text("years")
    with pytest.raises(BadInputError, match="contains other files"):
        render_cohort(store, tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.docx").read_text() == "years"


def test_the_table_of_a_session_is_kept_and_read_instead_of_its_metrics(tmp_path, project):
    """The same rows as from the metrics, of which the Dataset is not touched."""
    store = Store(tmp_path / "sessions")
    demo = project / "data" / "demo" / "overhead-squat"
    add_session(store, demo, "one", user_id="ann", date="2026-01-01")
    from_metrics = cohort.to_dataframe(store.sessions())
    folder = store.path / "one"
    write_metrics_table(folder / "metrics.parquet", read_dataset(folder / "metrics.nc"))
    record = read_json(folder / "session.json")
    kept = {"file": "metrics.parquet", "sha256": sha256(folder / "metrics.parquet")}
    record["stages"]["table"] = record["stages"]["metrics"] | kept
    write_json(folder / "session.json", record)
    (folder / "metrics.nc").unlink()
    pd.testing.assert_frame_equal(cohort.to_dataframe(store.sessions()), from_metrics)
    with (folder / "metrics.parquet").open("ab") as file:
        file.write(b"!")
    (row,) = cohort.to_dataframe(store.sessions())["reason"]
    assert "metrics.parquet is missing or damaged" in row
