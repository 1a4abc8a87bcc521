"""A visit of a participant: which sessions it has, what they say together, what changed."""

from __future__ import annotations

import datetime
import hashlib
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cohort_cases import add_failed, add_session
from demo_sessions import put_result, taken_as_current

import mobility as mb
from mobility.base.provenance import sha256
from mobility.documents.lab_references import Conditions, RetestError, RetestErrors
from mobility.errors import BadInputError, NotFoundError
from mobility.kinematics.expected_error import MDC95
from mobility.serve.batch.study import read_study
from mobility.sessions.files import read_dataset, read_json, write_json
from mobility.store import Store
from mobility.studies.cohort import changes, to_dataframe
from mobility.studies.references import lab_references
from mobility.studies.study_table import Study
from mobility.studies.visit import Visit, checks, visits_to_dataframe

TRUNK = "trunk_tibia_difference"


@pytest.fixture(autouse=True)
def _as_if_current(monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo is of the code of its day."""
    monkeypatch.setattr(sys.modules["mobility.studies.visit"], "is_current", lambda _: True)


def add(store: Store, demo: Path, name: str, **more: Any) -> None:
    add_session(store, demo, name, **{"user_id": "ann", "date": "2026-03-01", **more})


def seen_from(store: Store, name: str, view: str, azimuth: float) -> None:
    """Let the checks of a session say that its camera stood elsewhere."""
    folder = store.path / name
    quality = read_json(folder / "capture_quality.json")
    quality["view"] |= {"name": view, "azimuth_deg": azimuth}
    write_json(folder / "capture_quality.json", quality)
    record = read_json(folder / "session.json")
    record["stages"]["capture_quality"]["sha256"] = sha256(folder / "capture_quality.json")
    write_json(folder / "session.json", record)


def copied(store: Store, project: Path, slug: str, name: str, **changed: Any) -> None:
    shutil.copytree(project / "data" / "demo" / slug, store.path / name)
    file = store.path / name / "session.json"
    when = {"user_id": "ann", "created_at": "2026-03-01T12:00:00+02:00"}
    record = read_json(file)
    record["video"]["sha256"] = hashlib.sha256(name.encode()).hexdigest()
    write_json(file, {**record, "session_id": name, **when, **changed})


@pytest.mark.parametrize("slug", ["overhead-squat", "single-leg-squat", "sit-to-stand"])
def test_a_visit_of_one_film_says_what_the_film_says(
    slug: str, store: Store, project: Path, demo: Path
) -> None:
    copied(store, project, slug, "a")
    rows = store.visit("ann").checks()
    exercise = store.session("a").record.exercise
    assert {row.pop("exercise") for row in rows} == {exercise}
    of_films = [(row.pop("sessions"), row.pop("views")) for row in rows]
    assert rows == store.session("a").checks()
    for row, (sessions, views) in zip(rows, of_films, strict=True):
        assert len(sessions) == len(views)
        assert (sessions == ["a"]) or row["value"] is None


def test_two_films_answer_together_and_say_which_they_are(store: Store, demo: Path) -> None:
    for name, value in (("a", 2.0), ("b", 6.0)):
        add(store, demo, name, values={TRUNK: value}, sd=4.0)
    seen_from(store, "b", "front", 3.0)
    rows = {(row["rule"], row["side"]): row for row in store.visit("ann").checks()}
    trunk = rows["trunk_leans_forward", None]
    assert trunk["value"] == 4.0
    half = (trunk["interval"][1] - trunk["interval"][0]) / 2
    assert half == pytest.approx(1.96 * 4 * np.sqrt(0.75), rel=1e-3)
    assert trunk["sessions"] == ["a", "b"]
    assert trunk["views"] == ["front-oblique left", "front"]
    knees = rows["knee_flexion_asymmetry", None]
    assert knees["sessions"] == ["b"]


def test_equal_videos_count_once_and_make_no_visit_surer(store: Store, demo: Path) -> None:
    errors = []
    for name in ("a", "b", "c", "d"):
        add(store, demo, name, values={TRUNK: 2.0}, sd=4.0, video="a")
        merged = store.visit("ann").metrics("Overhead Squat")
        errors.append(float(merged[f"{TRUNK}_sd"]))
    assert errors == [4.0] * 4
    films = store.visit("ann").films()
    assert [film["reason"] for film in films] == ["", *[films[1]["reason"]] * 3]
    assert "same video as number 1" in films[1]["reason"]
    add(store, demo, "e", values={TRUNK: 2.0}, sd=4.0)
    assert store.visit("ann").metrics("Overhead Squat")[f"{TRUNK}_sd"] < 4.0


def test_a_video_of_another_exercise_counts_only_as_that(store: Store, demo: Path) -> None:
    """Somebody adds it as an overhead squat, is told that it is none, and adds it as a squat."""
    add(store, demo, "a", warnings=["no_squat"], video="a")
    add(store, demo.parent / "squat", "b", video="a")
    visit = store.visit("ann")
    assert visit.exercises == ["Squat"]
    assert "number 2" in visit.films()[0]["reason"]
    add(store, demo, "c", video="a")  # found as both: it counts as both
    assert set(store.visit("ann").exercises) == {"Overhead Squat", "Squat"}


def test_of_equal_videos_the_one_with_findings_counts(store: Store, demo: Path) -> None:
    add(store, demo, "a", warnings=["no_squat"], video="a")
    add(store, demo, "b", video="a")
    visit = store.visit("ann")
    assert [film.id for film in visit.films_of("Overhead Squat")] == ["b"]
    assert "number 2" in visit.films()[0]["reason"]


def test_indices_and_scores_are_not_merged(store: Store, demo: Path) -> None:
    for name in ("a", "b"):
        add(store, demo, name)
    merged = store.visit("ann").metrics("overhead squat")
    assert "mobility_index" not in merged
    assert "fms_probability" not in merged


def test_a_visit_is_the_day_in_the_offset_of_its_sessions(store: Store, demo: Path) -> None:
    # 01:00 at +02:00 is 23:00 of the day before in UTC.
    add(store, demo, "a", time="01:00:00")
    add(store, demo, "b", time="23:30:00")
    visit = store.visit("ann")
    assert visit.date == datetime.date(2026, 3, 1)
    assert [session.id for session in visit.sessions] == ["a", "b"]
    frame = to_dataframe(store.sessions())
    assert set(frame["visit"]) == {1}
    assert set(frame["trial"]) == {1, 2}


def test_visits_are_numbered_by_their_day_whatever_the_time_zone(store: Store, demo: Path) -> None:
    # That of 4 February ends after that of 5 February has begun.
    moments = ("2026-02-04T20:00:00+00:00", "2026-02-05T00:40:00+01:00")
    for name, moment in zip("abc", (*moments, "2026-02-04T16:00:00-08:00"), strict=True):
        add(store, demo, name)
        file = store.path / name / "session.json"
        write_json(file, {**read_json(file), "created_at": moment})
    frame = to_dataframe(store.sessions()).drop_duplicates("session_id").set_index("session_id")
    assert frame["visit"].to_dict() == {"a": 1, "b": 2, "c": 1}
    assert frame["trial"].to_dict() == {"a": 1, "b": 1, "c": 2}
    earlier = store.visit("ann", on="2026-02-05").before("Overhead Squat")
    assert earlier is not None
    assert [session.id for session in earlier.sessions] == ["a", "c"]


def test_the_last_visit_is_the_default_and_sessions_can_be_left_out(
    store: Store, demo: Path
) -> None:
    for name, date in (("a", "2026-03-01"), ("b", "2026-03-08"), ("c", "2026-03-08")):
        add(store, demo, name, date=date)
    assert [each.id for each in store.visit("ann").sessions] == ["b", "c"]
    assert [each.id for each in store.visit("ann", without="b").sessions] == ["c"]
    assert [each.id for each in store.visit("ann", only=["b"]).sessions] == ["b"]
    for day in ("2026-03-01", datetime.date(2026, 3, 1)):
        assert [each.id for each in store.visit("ann", on=day).sessions] == ["a"]


@pytest.mark.parametrize(
    ("asked", "kind", "words"),
    [
        ({"user_id": "anonymous"}, BadInputError, "may belong to different people"),
        ({"user_id": "anne"}, NotFoundError, "participant anne: not in the store .*'ann'"),
        ({"user_id": "../ann"}, BadInputError, "user_id: use 1 to 64"),
        ({"on": "2026-03-02"}, NotFoundError, "no session on 2026-03-02; choose from 2026-03-01"),
        ({"on": "yesterday"}, BadInputError, "on: must be a day such as 2026-11-30 .*'yesterday'"),
        ({"only": ["a"], "without": ["b"]}, BadInputError, "cannot be combined with only"),
        ({"only": ["d"]}, BadInputError, "only: 'd' is not a session of ann on 2026-03-01"),
        ({"without": ["a", "b"]}, BadInputError, "leaves no session of ann"),
    ],
)
def test_bad_input_is_one_line(
    asked: dict[str, Any], kind: type[Exception], words: str, store: Store, demo: Path
) -> None:
    for name in ("a", "b"):
        add(store, demo, name)
    with pytest.raises(kind, match=words) as caught:
        store.visit(**{"user_id": "ann", **asked})
    assert "\n" not in str(caught.value)


def test_sessions_without_results_are_named_and_the_others_are_merged(
    store: Store, demo: Path
) -> None:
    add(store, demo, "a")
    add_failed(store, demo, "b", user_id="ann", date="2026-03-01")
    add(store, demo, "c")
    file = store.path / "c" / "session.json"
    write_json(file, {**read_json(file), "state": "analyzing"})
    add(store, demo, "d", warnings=["no_squat"])
    visit = store.visit("ann")
    reasons = {row["session_id"]: row["reason"] for row in visit.films()}
    assert reasons["a"] == ""
    assert reasons["b"] == "the analysis failed: nobody was found in it"
    assert "interrupted" in reasons["c"]
    assert reasons["d"]
    assert {name for row in visit.checks() for name in row["sessions"]} == {"a"}
    only_bad = store.visit("ann", only=["b", "c"])
    assert only_bad.checks() == []
    with pytest.raises(NotFoundError, match="has no results of Overhead Squat"):
        only_bad.metrics("overhead-squat")
    (row,) = only_bad.table().to_dict("records")
    assert "the analysis failed" in row["reason"]


def test_a_table_has_a_row_for_each_number_with_the_films_that_it_is_from(
    store: Store, project: Path, demo: Path
) -> None:
    for name, value in (("a", 2.0), ("b", 6.0)):
        add(store, demo, name, values={TRUNK: value}, sd=4.0)
    seen_from(store, "b", "front", 3.0)
    copied(store, project, "joint-angle-mobility", "j")
    table = store.visit("ann").table()
    assert set(table["level"]) == {"visit"}
    trunk = table[table["metric"].eq(TRUNK)].iloc[0]
    assert trunk["session_id"] == "ann/2026-03-01/overhead-squat"
    assert trunk["value"] == pytest.approx(4.0)
    assert trunk["views"] == trunk["view"] == "front, front-oblique left"
    assert trunk["films"] == "a b"
    knees = table[table["metric"].eq("knee_flexion_asymmetry")].iloc[0]
    assert (knees["views"], knees["films"]) == ("front", "b")
    arm = table[table["metric"].eq("end_of_range") & table["item"].eq("shoulder_flexion")]
    assert arm.set_index("side")["value"]["left"] > 0
    keys = ["session_id", "metric", "side", "item"]
    assert not table.duplicated(keys).any()


def test_a_cohort_of_visits_has_the_visits_of_all(store: Store, demo: Path) -> None:
    add(store, demo, "a")
    add(store, demo, "b", date="2026-03-08")
    add(store, demo, "c", user_id="bob")
    add(store, demo, "x", user_id="anonymous")
    frame = visits_to_dataframe(store.sessions())
    named = frame[frame["user_id"].ne("anonymous")]
    visits = named.drop_duplicates("session_id")[["session_id", "visit"]].to_dict("records")
    assert [(row["session_id"], row["visit"]) for row in visits] == [
        ("ann/2026-03-01/overhead-squat", 1),
        ("ann/2026-03-08/overhead-squat", 2),
        ("bob/2026-03-01/overhead-squat", 1),
    ]
    unnamed = frame[frame["user_id"].eq("anonymous")]
    assert unnamed["reason"].tolist() == [
        "these sessions name no participant, so they may belong to different people"
    ]
    changed = changes(frame, "knee_flexion")
    assert set(changed["user_id"]) == {"ann"}


def test_the_answers_of_visits_are_a_table(store: Store, demo: Path) -> None:
    add(store, demo, "a")
    add(store, demo, "b", date="2026-03-08")
    add_failed(store, demo, "c", user_id="bob", date="2026-03-01")
    frame = visits_to_dataframe(store.sessions())
    answers = checks(frame, store.sessions())
    of_ann = answers[answers["session_id"].eq("ann/2026-03-08/overhead-squat")]
    rows = store.visit("ann").checks()
    assert of_ann["result"].tolist() == [row["result"] for row in rows]
    assert set(of_ann["visit"]) == {2}
    (failed,) = answers[answers["user_id"].eq("bob")].to_dict("records")
    assert failed["rule"] == ""
    assert "the analysis failed" in failed["reason"]


def test_a_further_film_is_from_where_none_was_filmed(store: Store, demo: Path) -> None:
    values = {"knee_flexion_asymmetry": np.nan, "ankle_dorsiflexion_asymmetry": np.nan}
    add(store, demo, "a", values=values)
    metrics = read_dataset(store.path / "a" / "metrics.nc")
    for name in values:
        metrics[name].attrs["hidden"] = "left right"
    put_result(store.session("a"), "metrics", metrics)
    seen_from(store, "a", "left", -90.0)
    (film, *_) = store.visit("ann").further_films()
    assert film["exercise"] == "Overhead Squat"
    assert film["view"] in ("front", "front-oblique")
    assert {"knee_flexion_asymmetry", "ankle_dorsiflexion_asymmetry"} <= set(film["checks"])
    add(store, demo, "b", values=values)
    put_result(store.session("b"), "metrics", metrics)
    seen_from(store, "b", film["view"], 3.0)
    again = [each["view"] for each in store.visit("ann").further_films()]
    assert not {"side", film["view"]} & set(again)


def test_the_visit_before_is_the_last_with_a_number(store: Store, demo: Path) -> None:
    """Not one whose verdict rules its findings out, or in which nothing was measured."""
    add(store, demo, "a", date="2026-01-01")
    add(store, demo, "b", date="2026-02-01", warnings=["no_squat"])
    add(store, demo, "c", date="2026-02-02")
    file = store.path / "c" / "metrics.nc"
    metrics = read_dataset(file)
    numbers = [name for name in metrics.data_vars if metrics[name].dtype.kind == "f"]
    put_result(
        store.session("c"), "metrics", metrics.assign({n: metrics[n] * np.nan for n in numbers})
    )
    add(store, demo, "d")
    assert "findings" in store.session("b").verdict().rules_out
    before = store.visit("ann").before("Overhead Squat")
    assert before is not None
    assert before.date == datetime.date(2026, 1, 1)
    assert {row["since"] for row in store.visit("ann").changes()} == {before.date}


def test_single_joints_of_several_films_are_merged_by_movement(store: Store, project: Path) -> None:
    for name in ("j", "k"):
        copied(store, project, "joint-angle-mobility", name)
    (one,) = (
        row
        for row in store.visit("ann", only="j").joints()
        if (row["movement"], row["metric"], row["side"])
        == ("shoulder_flexion", "end_of_range", "left")
    )
    (both,) = (
        row
        for row in store.visit("ann").joints()
        if (row["movement"], row["metric"], row["side"])
        == ("shoulder_flexion", "end_of_range", "left")
    )
    assert one["sessions"] == ["j"]
    assert both["sessions"] == ["j", "k"]
    assert both["value"] == pytest.approx(one["value"])
    assert both["sd"] == pytest.approx(one["sd"] * np.sqrt(0.95))
    assert both["reference"] is None  # boys and men up to 54 years were measured, and she is none
    metrics = store.session("j").metrics().copy()
    references = json.loads(metrics.attrs["references"])
    references["left_shoulder"]["note"] = ""
    put_result(
        store.session("j"), "metrics", metrics.assign_attrs(references=json.dumps(references))
    )
    ends = [row for row in store.visit("ann", only="j").joints() if row["metric"] == "end_of_range"]
    assert pytest.approx(166.7) in [row["reference"] for row in ends if row["side"] == "left"]


def changes_of(visit: Visit) -> dict[tuple[str, str], dict[str, Any]]:
    return {(row["metric"], row["side"]): row for row in visit.changes()}


def test_a_change_from_one_view_is_told_by_the_errors_of_measuring_again(
    store: Store, demo: Path
) -> None:
    add(store, demo, "a", values={"knee_flexion_asymmetry": 0.0})
    add(store, demo, "b", date="2026-03-08", values={"knee_flexion_asymmetry": 30.0})
    row = changes_of(store.visit("ann"))["knee_flexion_asymmetry", ""]
    sem = float(store.session("a").metrics()["knee_flexion_asymmetry_sem"])
    assert row["change"] == pytest.approx(30.0)
    assert row["least"] == pytest.approx(MDC95 * sem)
    assert (row["error"], row["since"]) == ("retest", datetime.date(2026, 3, 1))
    assert row["exceeds"]


def test_a_change_from_another_set_of_views_is_told_by_the_errors_of_both(
    store: Store, demo: Path
) -> None:
    for name, date, value in (("a", "2026-03-01", 0.0), ("b", "2026-03-08", 6.0)):
        values = {"knee_flexion_asymmetry": value}
        add(store, demo, name, date=date, values=values, sd=3.0)
    seen_from(store, "b", "front", 2.0)
    row = changes_of(store.visit("ann"))["knee_flexion_asymmetry", ""]
    assert row["error"] == "own"
    sem = float(store.session("a").metrics()["knee_flexion_asymmetry_sem"])
    assert row["least"] == pytest.approx(MDC95 * np.hypot(3, sem), rel=1e-4)
    assert not row["exceeds"]


def test_a_change_between_keypoints_of_two_models_is_told_by_the_errors_of_both(
    store: Store, demo: Path
) -> None:
    for name, date, value, model in (
        ("a", "2026-03-01", 0.0, ""),
        ("b", "2026-03-08", 6.0, "RTMPose"),
        ("c", "2026-03-15", 6.0, "OpenPose"),
        ("d", "2026-03-22", 6.0, "OpenPose"),
    ):
        values = {"knee_flexion_asymmetry": value}
        add(store, demo, name, date=date, values=values, sd=3.0, model=model)
    for day, error in (("08", "own"), ("15", "own"), ("22", "retest")):
        changed = changes_of(store.visit("ann", on=f"2026-03-{day}"))
        assert changed["knee_flexion_asymmetry", ""]["error"] == error


def test_films_say_of_which_model_they_are_and_the_table_names_all(
    store: Store, demo: Path
) -> None:
    add(store, demo, "a")
    add(store, demo, "b", time="11:00:00", model="RTMPose")
    visit = store.visit("ann")
    films = {film["session_id"]: film["source_software"] for film in visit.document()["films"]}
    assert films == {"a": "MediaPipe", "b": "RTMPose"}
    assert set(visit.table()["source_software"]) == {"MediaPipe, RTMPose"}
    assert set(visit.table()["pose_source"]) == {"mediapipe, other"}
    assert visit.metrics("Overhead Squat").attrs["pose_source"] == "other"


def error_of_lab(store: Store, name: str, **conditions: Any) -> RetestErrors:
    """Keep an error of measuring again of the knees' difference, 2 degrees."""
    session = store.session("a")
    holds = Conditions(
        exercise=session.record.exercise,
        view=session.capture_quality()["view"]["name"],
        method=session.metrics().attrs["method"],
        cameras=1,
        software=session.record.provenance.versions["mobility"],
        standing="usual",
    )
    error = RetestError(
        conditions=holds.model_copy(update=conditions),
        **{"metric": "knee_flexion_asymmetry", "side": "", "sem": 2.0, "low": 1.0, "high": 3.0},
        **{"participants": 12, "units": "degree"},
    )
    errors = RetestErrors(name=name, made=datetime.datetime.now(datetime.UTC), errors=[error])
    store.save_reference(errors)
    return errors


def test_errors_of_a_lab_for_one_film_are_not_those_of_visits(store: Store, demo: Path) -> None:
    for name, date in (("a", "2026-03-01"), ("b", "2026-03-08")):
        add(store, demo, name, date=date)
    difference = ("knee_flexion_asymmetry", "")

    def whose() -> tuple[str, Any]:
        of_session = lab_references(taken_as_current(store.session("b"))).retest_error(*difference)
        found = None if of_session is None else of_session[1]
        return changes_of(store.visit("ann"))[difference]["error_of"], found

    error_of_lab(store, "films")
    assert whose() == ("package", "films")
    error_of_lab(store, "visits", level="visit")
    assert whose() == ("visits", "films")
    store.delete_reference("films")
    assert whose() == ("visits", None)
    # Nor is it that of keypoints of another model.
    error_of_lab(store, "visits", level="visit", source_software="RTMPose", pose_source="other")
    error_of_lab(store, "films", source_software="RTMPose", pose_source="other")
    assert whose() == ("package", None)
    add(store, demo, "c", date="2026-03-09", model="RTMPose")
    of_model = lab_references(taken_as_current(store.session("c"))).retest_error(*difference)
    assert of_model is not None
    assert of_model[1] == "films"
    shutil.rmtree(store.path / "c")
    store.delete_reference("films")
    # An error of visits with another film beside holds for none without.
    store.delete_reference("visits")
    error_of_lab(store, "more", level="visit", view="front, front-oblique left")
    assert whose() == ("package", None)


def test_films_that_a_phone_added_count_in_changes(store: Store, demo: Path) -> None:
    for name, date in (("a", "2026-03-01"), ("b", "2026-03-08")):
        add(store, demo, name, date=date)
        file = store.path / name / "session.json"
        write_json(file, {**read_json(file), "phone_key": "k1"})
    assert store.visit("ann").changes()


def test_a_first_visit_has_no_change(store: Store, demo: Path) -> None:
    add(store, demo, "a")
    assert store.visit("ann").changes() == []


def test_a_study_takes_visits_and_never_both(store: Store, demo: Path, tmp_path: Path) -> None:
    rows = ["session,participant,visit,camera"]
    for number, person in enumerate(("ann", "bob", "cid"), 1):
        for visit in (1, 2):
            for camera in ("one", "two"):
                name = f"{person}{visit}{camera}"
                value = 10.0 * number + visit + (camera == "two")
                about = {"user_id": person, "date": f"2026-03-0{visit}"}
                add(store, demo, name, **about, values={"trunk_lean": value}, sd=2.0)
                rows.append(f"{name},{person},{visit},{camera}")
    listed = tmp_path / "study.csv"
    listed.write_text("\n".join(rows) + "\n")
    visits = read_study(listed, store=store, visits=True).table
    sessions = read_study(listed, store=store).table
    assert "camera" not in visits
    assert set(visits["level"]) == {"visit"}
    trunk = visits[visits["metric"].eq("trunk_lean")]
    assert trunk["value"].tolist() == pytest.approx([11.5, 12.5, 21.5, 22.5, 31.5, 32.5])
    found = mb.reliability(visits, metrics=["trunk_lean"]).statistics
    assert (found["over"] == "visit").any()
    import pandas as pd

    mixed = pd.concat([sessions, visits], ignore_index=True)
    for compare in (mb.reliability, lambda table: mb.groups(table, by="visit")):
        with pytest.raises(BadInputError, match="rows of visits and of sessions"):
            compare(mixed)
    with pytest.raises(BadInputError, match="a visit has no repetitions"):
        read_study(listed, store=store, visits=True, level="repetition")
    with pytest.raises(BadInputError, match="a visit has no curves"):
        read_study(listed, store=store, visits=True, curves=True)


def test_a_report_on_visits_goes_with_each_of_their_sessions(store: Store, demo: Path) -> None:
    people = {"a1": "ann", "a2": "ann", "b1": "bob", "c1": "cid"}
    for name, person in people.items():
        add(store, demo, name, user_id=person, date="2026-03-01")
    report = store.reports / "groups-visits"
    for gone, listed_sessions in (("a2", "a1 a2 b1"), ("c1", "a1 b1")):
        report.mkdir(parents=True)
        (report / "groups.ipynb").touch()
        listed = store.path / "study.csv"
        listed.write_text("\n".join(["session", *listed_sessions.split()]) + "\n")
        study = read_study(listed, store=store, visits=True)
        study.write(report)
        assert Study.read(report).sessions["sessions"].iloc[-1] == "b1"
        assert Study.read(report).columns == study.columns == ()
        store.delete(gone)
        assert report.exists() == (gone == "c1")


def test_a_study_keeps_visits_apart_that_its_columns_distinguish(
    store: Store, demo: Path, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        add(store, demo, name)
    listed = tmp_path / "study.csv"
    listed.write_text("session,treatment\na,before\nb,after\n")
    table = read_study(listed, store=store, visits=True).table
    assert table.groupby("session_id", sort=False)["treatment"].first().to_dict() == {
        "ann/2026-03-01/overhead-squat": "before",
        "ann/2026-03-01/overhead-squat/2": "after",
    }


def test_the_films_are_not_changed(store: Store, demo: Path) -> None:
    for name in ("a", "b"):
        add(store, demo, name)
    before = {file: file.read_bytes() for file in store.path.rglob("*") if file.is_file()}
    visit = store.visit("ann")
    visit.checks()
    visit.table()
    assert {file: file.read_bytes() for file in store.path.rglob("*") if file.is_file()} == before
    assert json.dumps(visit.checks())


def test_an_unknown_exercise_and_one_without_results_are_errors(store: Store, demo: Path) -> None:
    add(store, demo, "one")
    visit = store.visit("ann")
    assert [film.id for film in visit.films_of("overhead-squat")] == ["one"]
    assert visit.films_of("Squat") == []
    for method in (visit.films_of, visit.findings, visit.numbers, visit.of_exercise, visit.before):
        with pytest.raises(BadInputError, match="there is no 'Squaat'; did you mean 'Squat'"):
            method("Squaat")
    for method in (visit.metrics, visit.findings, visit.numbers, visit.of_exercise):
        with pytest.raises(NotFoundError, match="has no results of Squat"):
            method("squat")
