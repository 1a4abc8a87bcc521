"""Norms of a lab: people counted once, enough of them, and never of other conditions."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from cohort_cases import add_session
from demo_sessions import taken_as_current

from mobility.documents.lab_references import Conditions, LabReferences, RetestError, RetestErrors
from mobility.errors import BadInputError, NotFoundError, StorageError
from mobility.reports.lab_norms import z_score
from mobility.sessions.files import read_json, write_json
from mobility.sessions.record import now
from mobility.store import Store
from mobility.studies.cohort import COLUMNS, to_dataframe
from mobility.studies.norms import make_norms
from mobility.studies.references import lab_references, reference_names

SIDE = Conditions(
    exercise="Overhead Squat", view="side left", method="fitted_body", cameras=1, software="0.1.0"
)


def cohort(people: int, *, view: str = "side left", **columns: object) -> pd.DataFrame:
    """The i-th person's knees bend by i degrees on the left, i + 0.5 on the right."""
    rows = [
        {
            **SIDE.model_dump(),
            "view": view,
            "session_id": f"s{i}",
            "user_id": f"p{i}",
            "sex": ("female", "male")[i % 2],
            "age": 15.0 + 10 * (i % 2),
            "metric": "knee_flexion",
            "kind": "median",
            "side": side,
            "level": "session",
            "item": "",
            "value": i + (0.5 if side == "right" else 0.0),
            "units": "degree",
            "version": "",
            **columns,
        }
        for i in range(people)
        for side in ("left", "right")
    ]
    return pd.DataFrame(rows).reindex(columns=list(COLUMNS))


def test_norms_of_single_joints_are_of_a_movement() -> None:
    joints = {"exercise": "Joint Angle Mobility", "metric": "end_of_range", "kind": ""}
    elbows, knees = (cohort(20, item=item, **joints) for item in ("elbow_flexion", "knee_flexion"))
    knees["value"] += 100
    norms = make_norms(pd.concat([elbows, knees]), name="ours", metrics="end_of_range").norms
    means = {each.metric: each.mean for each in norms}
    assert means == {"end_of_range[elbow_flexion]": 9.75, "end_of_range[knee_flexion]": 109.75}
    # Parts of an index are no measures.
    with pytest.raises(BadInputError):
        make_norms(cohort(20, item="depth", metric="quality_index"), name="ours")


def test_norms_are_of_keypoints_of_one_model() -> None:
    ours, theirs = cohort(20), cohort(20, pose_source="other", source_software="RTMPose")
    theirs["user_id"] += "x"
    theirs["value"] += 100
    norms = make_norms(pd.concat([ours, theirs]), name="ours").norms
    means = {each.conditions.source_software: each.mean for each in norms if each.people == 20}
    assert means == {"MediaPipe": 9.75, "RTMPose": 109.75}
    halves = pd.concat([cohort(10), theirs[theirs["user_id"].isin([f"p{i}x" for i in range(10)])]])
    with pytest.raises(BadInputError, match="20"):
        make_norms(halves, name="ours")
    # One that was kept before there were others is of MediaPipe.
    kept = {name: value for name, value in SIDE.model_dump().items() if "source" not in name}
    assert Conditions(**kept) == SIDE


def test_mean_sd_and_percentiles() -> None:
    everybody = make_norms(cohort(40), name="ours").norms[0]
    values = np.concatenate([np.arange(40.0), np.arange(40.0) + 0.5])
    assert (everybody.people, everybody.sex, everybody.age) == (40, None, None)
    assert everybody.mean == pytest.approx(values.mean())
    assert everybody.sd == pytest.approx(values.std(ddof=1))
    percentiles = dict(everybody.percentiles)
    assert percentiles[50] == pytest.approx(np.median(values))
    assert sorted(percentiles) == [5, 25, 50, 75, 95]
    assert z_score(everybody.mean + 2 * everybody.sd, everybody) == pytest.approx(2)


def test_groups_that_are_large_enough() -> None:
    made = make_norms(cohort(40), name="ours").norms
    assert {(one.sex, one.age) for one in made} == {
        *((sex, None) for sex in (None, "female", "male")),
        *((sex, (9, 19)) for sex in (None, "female")),
        *((sex, (20, 44)) for sex in (None, "male")),
    }
    of_twenty = next(one for one in made if one.sex == "female")
    assert of_twenty.people == 20
    assert [share for share, _ in of_twenty.percentiles] == [25, 50, 75]


def test_repeated_sessions_count_once() -> None:
    frame = cohort(20)
    again = frame.assign(session_id=frame["session_id"] + "b", value=frame["value"] + 2)
    made = make_norms(pd.concat([frame, again], ignore_index=True), name="ours").norms[0]
    assert made.people == 20
    assert made.mean == pytest.approx(frame["value"].mean() + 1)


def test_other_views_and_versions_stay_apart() -> None:
    frame = pd.concat(
        [cohort(20), cohort(20, view="front"), cohort(19, view="front", version="2")],
        ignore_index=True,
    )
    made = [one for one in make_norms(frame, name="ours").norms if one.sex is None and not one.age]
    of = [(one.conditions.view, one.version) for one in made]
    assert of == [("side left", ""), ("front", "")]


@pytest.mark.parametrize(
    "left_out",
    [
        {"user_id": "anonymous"},
        {"view": "unknown"},
        {"software": "0.1.0, outdated"},
        {"value": math.nan},
        {"value": 1.0},
    ],
)
def test_what_makes_no_norm(left_out: dict[str, object]) -> None:
    with pytest.raises(BadInputError, match="no measure has 20 named people"):
        make_norms(cohort(30, **left_out), name="ours")


def test_bad_names() -> None:
    with pytest.raises(BadInputError, match="name"):
        make_norms(cohort(20), name="../ours")
    with pytest.raises(BadInputError, match="did you mean 'knee_flexion'"):
        make_norms(cohort(20), name="ours", metrics=["knee_flexio"])


def test_the_norm_of_a_person_is_of_their_conditions_sex_and_age(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert LabReferences(SIDE, store.references()).norm("knee_flexion") is None
    store.save_reference(make_norms(cohort(40), name="ours"))
    of_man = {"references": store.references(), "sex": "male", "age": 30.0}
    found = LabReferences(SIDE, **of_man).norm("knee_flexion")
    assert found is not None
    assert (found[0].sex, found[0].age, found[1]) == ("male", (20, 44), "ours")
    unknown = LabReferences(SIDE, store.references()).norm("knee_flexion")
    assert unknown is not None
    assert (unknown[0].sex, unknown[0].age) == (None, None)
    for other in ({"view": "front"}, {"exercise": "Squat"}, {"software": "9"}, {"cameras": 2}):
        changed = SIDE.model_copy(update=other)
        assert LabReferences(changed, **of_man).norm("knee_flexion") is None
    assert (
        LabReferences(SIDE, versions={"knee_flexion": "2"}, **of_man).norm("knee_flexion") is None
    )
    assert LabReferences(None, **of_man).norm("knee_flexion") is None


def test_the_newest_error_of_measuring_again_counts(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for name, sem in (("old", 2.0), ("new", 3.0)):
        error = RetestError(
            **{"conditions": SIDE, "metric": "knee_flexion", "side": "left", "sem": sem},
            **{"low": None, "high": None, "participants": 12, "units": "degree"},
        )
        made = now().replace(year=2020 if name == "old" else 2021)
        store.save_reference(RetestErrors(name=name, made=made, errors=[error]))
    lab = LabReferences(SIDE, store.references())
    found = lab.retest_error("knee_flexion", "left")
    assert found is not None
    assert (found[0].sem, found[1]) == (3.0, "new")
    assert lab.retest_error("knee_flexion", "right") is None
    store.delete_reference("new")
    assert [each.name for each in store.references()] == ["old"]
    assert store.reference("old").name == "old"
    for fault in (store.reference, store.delete_reference):
        with pytest.raises(NotFoundError, match="did you mean 'old'"):
            fault("ol")
    with pytest.raises(BadInputError, match="name"):
        store.delete_reference("../participants/p01")


def test_a_damaged_reference_is_named_and_hides_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(tmp_path)
    kept = RetestErrors(name="whole", made=now(), errors=[])
    store.save_reference(kept)
    for content in ('{"kind": "norms", "name": "ours"}', "{", ""):
        (tmp_path / "references" / "ours.json").write_text(content)
        caplog.clear()
        assert [each.name for each in store.references()] == ["whole"]
        assert "references/ours.json: is damaged" in caplog.text
        assert "mobility references delete ours" in caplog.text
        for act in (
            lambda: store.reference("ours"),
            lambda: store.save_reference(kept.model_copy(update={"name": "ours"})),
        ):
            with pytest.raises(StorageError, match=r"is damaged.* delete ours"):
                act()
    assert store.reference("whole") == kept
    store.delete_reference("ours")
    caplog.clear()
    assert [each.name for each in store.references()] == ["whole"]
    assert not caplog.text


def test_what_a_killed_save_left_is_no_reference(tmp_path: Path) -> None:
    store = Store(tmp_path)
    folder = tmp_path / "references"
    folder.mkdir(parents=True)
    for name in (".n.0a1b2c.tmp.json", ".json", "with space.json", "n.json.swp"):
        (folder / name).write_text("")
    assert reference_names(store) == []
    assert store.references() == []
    store.save_reference(RetestErrors(name="n", made=now(), errors=[]))
    assert not (folder / ".n.0a1b2c.tmp.json").exists()
    assert reference_names(store) == ["n"]


def test_a_folder_of_references_that_leads_out_of_the_store_is_not_written(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    store = Store(tmp_path / "store")
    store.path.mkdir()
    (store.path / "references").symlink_to(outside, target_is_directory=True)
    kept = RetestErrors(name="n", made=now(), errors=[])
    with pytest.raises(StorageError, match="is a link out of the store"):
        store.save_reference(kept)
    (outside / "n.json").write_text("{}")
    with pytest.raises(StorageError, match="is a link out of the store"):
        store.delete_reference("n")
    assert [each.name for each in outside.iterdir()] == ["n.json"]
    # The store itself may be reached by a link.
    (tmp_path / "link").symlink_to(store.path, target_is_directory=True)
    (store.path / "references").unlink()
    Store(tmp_path / "link").save_reference(kept)
    assert store.reference("n") == kept


def test_what_holds_for_a_session(tmp_path: Path, demo: Path) -> None:
    store = Store(tmp_path / "store")
    add_session(store, demo, "one", user_id="ann", date="2026-01-01")
    session = store.session("one")
    store.set_participant("ann", sex="female", age=30)
    store.save_reference(make_norms(cohort(20), name="ours"))
    assert not session.is_current()  # nothing is compared with results of older code
    assert session.references().conditions is None
    lab = lab_references(taken_as_current(session))
    assert lab.conditions == Conditions(
        exercise="Overhead Squat",
        view=session.capture_quality()["view"]["name"],
        method=str(session.metrics().attrs["method"]),
        cameras=1,
        software=str(session.record.provenance.versions["mobility"]),
        standing="usual",
    )
    assert (lab.sex, lab.age) == ("female", pytest.approx(30, abs=1))
    # As norms and errors are made: of the table of a cohort.
    rows = to_dataframe([session], recordings=["all"]).astype({"metric": "str", "version": "str"})
    first = rows.iloc[0]
    for name in ("exercise", "view", "method", "cameras"):
        assert getattr(lab.conditions, name) == first[name]
    assert first["software"] == lab.conditions.software
    versions = dict(zip(rows["metric"], rows["version"], strict=True))
    assert {name: lab.versions.get(name, "") for name in versions} == versions
    assert lab.versions["mobility_index"]
    assert lab_references(store.demo("Overhead Squat")).conditions is None
    file = session.folder / "session.json"
    write_json(file, read_json(file) | {"phone_key": "0123456789ab"})
    assert lab_references(store.session("one")).conditions is None


def test_norms_do_not_tell_what_the_few_others_have() -> None:
    """Of 45 people 40 are women: with the norms of all and of women the five men could be found."""
    frame = cohort(45)
    frame["sex"] = ["female" if int(who[1:]) < 40 else "male" for who in frame["user_id"]]
    made = make_norms(frame.assign(age=30.0), name="ours").norms
    assert {one.sex for one in made} == {None}


def test_a_name_keeps_one_kind(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.save_reference(make_norms(cohort(20), name="ours"))
    with pytest.raises(BadInputError, match="'ours' is the name of norms"):
        store.save_reference(RetestErrors(name="ours", made=now(), errors=[]))
    assert [each.kind for each in store.references()] == ["norms"]
    store.save_reference(make_norms(cohort(21), name="ours"))  # the same kind is replaced
    assert store.references()[0].norms[0].people == 21


@pytest.mark.parametrize(
    "people",
    [
        {("female", 30): 30, ("male", 30): 30, ("", 30): 1},
        {("female", 30): 30, ("female", 50): 30, ("female", 75): 1},
        {("female", 15): 24, ("male", 15): 1, ("female", 30): 30, ("male", 30): 30},
        {("female", 30): 40, ("male", 30): 40, ("female", 50): 19, ("male", 50): 19, ("", 5): 2},
    ],
)
def test_no_sum_or_difference_of_norms_is_of_few_people(people: dict[Any, int]) -> None:
    """Tried: every combination of the kept means, each added, subtracted or left out."""
    rows = []
    for (sex, age), count in people.items():
        one = cohort(count, sex=sex, age=float(age))
        rows.append(one.assign(user_id=f"{sex}{age}" + one["user_id"]))
    kinds = list(people)
    groups = [
        np.array(
            [
                (norm.sex in (None, sex))
                and (norm.age is None or norm.age[0] <= age <= (norm.age[1] or 200))
                for sex, age in kinds
            ],
            float,
        )
        for norm in make_norms(pd.concat(rows), name="ours").norms
    ]
    counts = np.array([people[kind] for kind in kinds])
    assert len(groups) > 1
    for signs in itertools.product((-1, 0, 1), repeat=len(groups)):
        combined = sum(sign * group for sign, group in zip(signs, groups, strict=True))
        of_whom = int(counts[np.asarray(combined) != 0].sum())
        assert of_whom == 0 or of_whom >= 20, signs
