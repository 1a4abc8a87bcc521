"""Comparisons with lab data in a store: kept whole, replaced whole, old when they are old."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lab_trials import add_demo_session, true_angles, truth_of, write_motion, write_truth

from mobility.errors import BadInputError, NotFoundError, NotPermittedError
from mobility.exercises.sit_to_stand.chair_rises import find_chair_rises
from mobility.keypoints.sources import Origin
from mobility.lab import lab_comparison as validation
from mobility.lab.lab_comparison import is_stale, open_comparison, read_study, run_study, validate
from mobility.sessions.record import SessionRecord
from mobility.store import Session, Store


@pytest.fixture(scope="module")
def lab(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The truth of the demo as a TRC, its clock 0.25 s late, with a millimetre of noise."""
    folder = tmp_path_factory.mktemp("lab")
    return write_truth(demo, folder / "trial 1.trc", noise_m=0.001)


@pytest.fixture
def session(demo: Path, store: Store) -> Session:
    return add_demo_session(store, demo, "s1")


@pytest.fixture(scope="module")
def compared(demo: Path, lab: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A session that was compared, for tests that change nothing."""
    folder = tmp_path_factory.mktemp("compared")
    store = Store(folder / "store", reports=folder / "reports")
    session = add_demo_session(store, demo, "s1")
    return session, session.validate(lab)


def test_what_is_stored(compared: Any) -> None:
    session, made = compared
    assert made.folder == (session.folder / "validation" / "trial-1").absolute()
    assert sorted(file.name for file in made.folder.iterdir()) == [
        *("agreement.nc", "curves.nc", "validation.json")
    ]
    kept = session.validations()
    assert [one.name for one in kept] == ["trial-1"]
    assert kept[0].document == made.document
    assert not is_stale(session, kept[0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(validation, "code_digest", lambda code: "of other code")
        assert is_stale(session, kept[0])


def test_the_document(compared: Any) -> None:
    _, made = compared
    document = made.document
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert document["lag_s"] == pytest.approx(0.233, abs=0.02)
    assert 0 < document["lag_sd_s"] < 0.02
    knee = document["angles"]["knee_flexion"]["left"]
    agreement = made.agreement().sel(
        comparison="fitted_lab_formulas", angle="knee_flexion", side="left"
    )
    for name in ("rmse", "bias", "cmc", "coverage"):
        assert knee[name] == pytest.approx(float(agreement[name]), abs=1e-6)
    # Too few repetitions for an interval: nothing instead of a number, and why.
    assert knee["bias_low"] is None
    assert "intervals" in knee["waveform_reason"]
    for entries in document["angles"].values():
        for entry in entries.values():
            assert (entry["rmse"] is None) == (entry["repetitions_compared"] == 0)


def test_opening_a_comparison(compared: Any, tmp_path: Path) -> None:
    session, made = compared
    store = str(session.store.path)
    for given in ({}, {"comparison": "trial-1"}):
        assert open_comparison(store, session_id="s1", **given).document == made.document
    with pytest.raises(NotFoundError, match="did you mean 'trial-1'"):
        open_comparison(store, session_id="s1", comparison="trial-2")
    with pytest.raises(NotFoundError, match="contains no study"):
        open_comparison(store, study=str(tmp_path))


@pytest.mark.slow
def test_it_is_replaced_whole_and_old_when_the_session_was_changed(
    session: Session, lab: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = session.validate(lab)
    named = session.validate(lab, name="other")
    assert [one.name for one in session.validations()] == ["other", "trial-1"]
    assert named.document["validation"] == "other"
    second = session.validate(lab, lag_s=0.25, margin_deg=2.0)
    assert second.folder == first.folder
    assert second.document["synchronisation"]["given"]
    assert second.document["lag_sd_s"] is None

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(validation, "write_dataset", full)
    with pytest.raises(OSError, match="space"):
        session.validate(lab, margin_deg=3.0)
    # What fails leaves the earlier one.
    assert session.validations()[1].document["margin_deg"] == 2.0
    assert not [f for f in (session.folder / "validation").iterdir() if f.suffix == ".unfinished"]
    session.set_repetitions([{"start": 1.3, "bottom": 3.0, "end": 4.5}], by="ann")
    assert is_stale(session, second)
    place = str(session.store.path)
    opened = open_comparison(place, session_id="s1", comparison="trial-1")
    assert opened.document["warnings"][0]["code"] == "stale"
    with pytest.raises(NotFoundError, match="corrected by hand"):
        session.validate(lab)


def test_deleting_deletes_it_with_its_report(compared: Any, session: Session) -> None:
    kept = session.folder / "validation" / "trial-1"
    shutil.copytree(compared[1].folder, kept)
    assert [one.name for one in session.validations()] == ["trial-1"]
    report = session.store.reports / "s1.validation" / "trial-1"
    report.mkdir(parents=True)
    (report / "lab-validation.html").write_text("curves of Ann")
    session.delete()
    assert not (session.store.reports / "s1.validation").exists()
    assert not session.folder.exists()


def test_what_cannot_be_compared(session: Session, lab: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.trc"
    text.write_text("this is not a TRC")
    with pytest.raises(NotFoundError, match=r"nothing\.trc"):
        session.validate(tmp_path / "nothing.trc")
    for file, given, words in (
        (text, {}, r"text\.trc"),
        (lab, {"margin_deg": 0}, "margin_deg"),
        (lab, {"max_lag": 1}, "did you mean 'max_lag_s'"),
        (lab, {"name": "../s2"}, "name of the comparison"),
        (lab, {"max_lag_s": 0.1}, "limit of the allowed range"),
    ):
        with pytest.raises(BadInputError, match=words):
            session.validate(file, **given)
    assert session.validations() == []
    demo = session.store.demo("Overhead Squat")
    with pytest.raises(NotPermittedError, match="demo"):
        validate(demo, lab)
    demo_of_joints = session.store.demo("Joint Angle Mobility")
    with pytest.raises(BadInputError, match="moves in both recordings"):
        validate(demo_of_joints, lab, folder=tmp_path / "kept")
    # The demo is compared elsewhere.
    made = validate(demo, lab, folder=tmp_path / "kept")
    assert made.folder == tmp_path / "kept" / "trial-1"
    assert not (demo.folder / "validation").exists()
    opened = open_comparison(str(session.store.path), folder=str(tmp_path / "kept"))
    assert opened.document == made.document


LEGS = {"knee_flexion", "hip_flexion", "ankle_dorsiflexion", "hip_abduction"}
TRUNK = {"trunk_lean", "trunk_lateral_lean"}
BONES = {"tibia_inclination", "thigh_elevation", "pelvis_obliquity"}


@pytest.mark.parametrize(
    ("slug", "angles", "values"),
    [
        ("squat", LEGS | TRUNK | BONES, ["bottom", "peak", "range"]),
        ("sit-to-stand", LEGS | TRUNK | {"thigh_elevation"}, ["seat_off", "peak", "range"]),
        ("single-leg-squat", LEGS | TRUNK | BONES, ["bottom", "peak", "range"]),
        (
            "joint-angle-mobility",
            {"shoulder_flexion", "elbow_flexion"},
            ["largest", "smallest", "range"],
        ),
    ],
)
def test_every_exercise_is_compared_in_what_it_picks(
    project: Path, store: Store, tmp_path: Path, slug: str, angles: set[str], values: list[str]
) -> None:
    demo = project / "data" / "demo" / slug
    session = add_demo_session(store, demo, "s1")
    made = session.validate(write_truth(demo, tmp_path / "lab.trc"), max_lag_s=1.0)
    document = made.document
    assert document["lag_s"] == pytest.approx(0.25, abs=0.03)
    assert document["lag_sd_s"] > 0
    assert set(document["angles"]) == angles
    assert list(document["values"]) == values
    for name, sides in document["angles"].items():
        for side, entry in sides.items():
            value = entry[values[0]]
            assert value["pairs"] >= 2, (name, side)
            assert abs(value["mean_difference"]) < 20, (name, side)
    assert bool(document["times"]) == (slug == "sit-to-stand")
    assert made.agreement()["metric"].values.tolist() == values


def test_of_one_leg_that_stands_is_compared(project: Path, store: Store, tmp_path: Path) -> None:
    demo = project / "data" / "demo" / "single-leg-squat"
    session = add_demo_session(store, demo, "s1")
    document = session.validate(write_truth(demo, tmp_path / "lab.trc")).document
    repetitions = session.repetitions()
    counts = repetitions["leg"].where(repetitions["accepted"], "")
    knee = document["angles"]["knee_flexion"]
    for side in ("left", "right"):
        on_leg = int((counts == side).sum())
        assert on_leg
        assert knee[side]["bottom"]["pairs"] == knee[side]["repetitions_compared"] == on_leg
    # The trunk is over both.
    assert document["angles"]["trunk_lean"]["middle"]["bottom"]["pairs"] == int(
        (counts != "").sum()
    )


def test_both_ends_of_the_range_of_a_joint_are_compared(
    project: Path, store: Store, tmp_path: Path
) -> None:
    demo = project / "data" / "demo" / "joint-angle-mobility"
    session = add_demo_session(store, demo, "s1")
    made = session.validate(write_truth(demo, tmp_path / "lab.trc"), max_lag_s=1.0)
    metrics = session.metrics().sel(joint="shoulder", side="left")
    # The right arm and the legs rest.
    assert set(made.document["angles"]["shoulder_flexion"]) == {"left"}
    here = made.agreement().sel(
        comparison="fitted_lab_formulas", angle="shoulder_flexion", side="left"
    )
    for value, commanded in (("largest", "maximum"), ("smallest", "minimum")):
        of_video = here["video_values"].sel(metric=value)
        assert float(of_video.median()) == pytest.approx(float(metrics[commanded]), abs=3)
        assert int(here["pairs"].sel(metric=value)) == int(metrics["movements"]) == 3
    highest = float(true_angles(demo)["shoulder_flexion"].sel(side="left").max())
    assert float(here["lab_values"].sel(metric="largest").max()) == pytest.approx(highest, abs=0.5)


def test_times_of_chair_rises_are_compared_with_those_in_the_lab_file(
    project: Path, store: Store, tmp_path: Path
) -> None:
    demo = project / "data" / "demo" / "sit-to-stand"
    session = add_demo_session(store, demo, "s1")
    of_markers = session.validate(write_truth(demo, tmp_path / "lab.trc")).document
    of_angles = session.validate(write_motion(demo, tmp_path / "lab.mot")).document
    rises = find_chair_rises(truth_of(demo))
    metrics = session.metrics()
    times = of_markers["times"]
    assert times["seat_off"]["pairs"] == 5
    late = session.repetitions()["seat_off"].to_numpy() - rises["seat_off"].to_numpy()
    assert times["seat_off"]["mean_difference"] == pytest.approx(late.mean(), abs=0.02)
    assert times["five_times"]["video"] == pytest.approx(float(metrics["five_times"]), abs=1e-5)
    true_five = float(rises["end"][4] - rises["start"][0])
    assert times["five_times"]["lab"] == pytest.approx(true_five, abs=0.05)
    assert times["rise_duration"]["value_coverage"] == 1
    # Angles alone show the same rises.
    assert set(of_angles["times"]) == set(times)
    for name, entry in of_angles["times"].items():
        assert entry["lab"] == pytest.approx(times[name]["lab"], abs=0.05), name


def test_what_the_lab_file_lacks_is_one_line(project: Path, store: Store, tmp_path: Path) -> None:
    demo = project / "data" / "demo" / "sit-to-stand"
    session = add_demo_session(store, demo, "s1")
    knees = write_motion(demo, tmp_path / "lab.mot", names=["knee_flexion"])
    document = session.validate(knees, max_lag_s=1.0).document
    lines = {warning["code"]: warning["message"] for warning in document["warnings"]}
    assert "hip flexion, ankle dorsiflexion" in lines["lab_lacks"]
    assert "knee" not in lines["lab_lacks"]
    assert "knee, ankle and hip angles" in lines["lab_lacks_times"]
    assert document["times"] == {}
    assert document["angles"]["knee_flexion"]["left"]["seat_off"]["pairs"] == 5


def test_a_study_is_of_one_exercise(
    demo: Path, project: Path, lab: Path, store: Store, tmp_path: Path
) -> None:
    add_demo_session(store, demo, "a1")
    add_demo_session(store, project / "data" / "demo" / "squat", "a2")
    file = listed(tmp_path, f"a1,{lab},p1", f"a2,{lab},p1", head="session,lab_file,participant")
    with pytest.raises(BadInputError, match="row 2: session a2 shows Squat"):
        run_study(store, file)


def test_a_study_is_of_one_kind_of_lab_file(
    demo: Path, lab: Path, store: Store, tmp_path: Path
) -> None:
    for name, user in (("a1", "ann"), ("b1", "bob")):
        add_demo_session(store, demo, name, user_id=user)
    angles = write_motion(demo, tmp_path / "truth.mot")
    with pytest.raises(BadInputError, match=r"some lab files have markers.*\(a1; b1\)"):
        run_study(store, listed(tmp_path, f"a1,{angles}", f"b1,{lab}"))


def listed(folder: Path, *rows: str, head: str = "session,lab_file") -> Path:
    file = folder / "study.csv"
    file.write_text("\n".join([head, *rows]) + "\n")
    return file


def test_a_study_pools_its_participants_and_is_written(compared: Any, tmp_path: Path) -> None:
    session, made = compared
    (curves,) = made.curves().values()
    pooled = validation._pooled([curves] * 3, ["ann", "bob", "cat"], 5.0)
    assert pooled.attrs["participants"] == 3
    assert pooled["tost_p"].attrs["margin_deg"] == 5
    document = {"trials": []}
    validation.StudyResult(document, pooled, {"shod": pooled}, {"s1": curves}).write(tmp_path)
    again = open_comparison(str(session.store.path), study=str(tmp_path))
    assert again.document == document
    np.testing.assert_allclose(again.agreement()["bias"], pooled["bias"])


@pytest.mark.slow
def test_a_study(demo: Path, lab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Origin("other", "RTMPose")
    whose = property(lambda record: other if record.user_id == "cat" else Origin())
    monkeypatch.setattr(SessionRecord, "origin", whose)
    store = Store(tmp_path / "store", reports=tmp_path / "reports")
    for name, user in (("a1", "ann"), ("a2", "ann"), ("b1", "bob"), ("c1", "cat")):
        add_demo_session(store, demo, name, user_id=user)
    file = listed(
        tmp_path,
        f"a1,{lab},,shod",
        f"a2,{lab},,bare",
        f"b1,{lab},robert,shod",
        f"c1,{lab},,bare",
        f"nobody,{lab},,shod",
        "c1,gone.trc,,bare",
        head="session,lab_file,participant,condition",
    )
    result = run_study(store, file)
    document = result.document
    assert [trial["participant"] for trial in document["trials"]] == ["ann", "ann", "robert", "cat"]
    models = [trial["source_software"] for trial in document["trials"]]
    assert models == ["MediaPipe"] * 3 + ["RTMPose"]
    (pooled,) = [each for each in document["warnings"] if each["code"] == "several_models"]
    assert "(MediaPipe and RTMPose)" in pooled["message"]
    assert [one["row"] for one in document["failed"]] == [5, 6]
    assert "gone.trc" in document["failed"][1]["error"]
    agreement = result.agreement
    assert agreement is not None
    assert agreement.attrs["participants"] == 3
    assert agreement.sizes["rep"] == 12
    knee = agreement.sel(comparison="fitted_lab_formulas", angle="knee_flexion", side="left")
    assert float(knee["bias_sd"]) == pytest.approx(0, abs=1e-9)
    assert set(result.conditions) == {"shod", "bare"}
    folder = tmp_path / "out"
    folder.mkdir()
    result.write(folder)
    again = open_comparison(str(store.path), study=str(folder))
    assert again.document == document
    assert len(again.curves()) == 4
    np.testing.assert_allclose(again.agreement()["bias"], agreement["bias"])


def test_lists_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"none\.csv"):
        read_study(tmp_path / "none.csv")
    for rows, head, words in (
        ((), "session,lab_file", "has no rows below its header"),
        (("a,b",), "session,lab_fil", "did you mean 'lab_file'"),
        (("a,",), "session,lab_file", "line 2"),
        (("a,b", "c"), "session,lab_file", "line 3"),
        (("a" * 140_000 + ",b",), "session,lab_file", "field larger than"),
    ):
        with pytest.raises(BadInputError, match=words):
            read_study(listed(tmp_path, *rows, head=head))
    (tmp_path / "bytes.csv").write_bytes(b"session,lab_file\n\xff\xfe,x\n")
    with pytest.raises(BadInputError, match="UTF-8"):
        read_study(tmp_path / "bytes.csv")
    good = listed(tmp_path, "a, b.trc ", "", "c,d.trc")
    assert [(row.session, row.lab_file) for row in read_study(good)] == [
        ("a", "b.trc"),
        ("c", "d.trc"),
    ]
    # Of which all fail.
    result = run_study(Store(tmp_path / "store"), good)
    assert result.agreement is None
    assert len(result.document["failed"]) == 2
