"""The command line of the comparison with lab data."""

from __future__ import annotations

import json
import math
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from lab_trials import add_demo_session, write_motion, write_truth
from other_processes import command, refused

from mobility import tables
from mobility.store import Store


@pytest.fixture(scope="module")
def lab(demo, tmp_path_factory):
    return write_truth(demo, tmp_path_factory.mktemp("lab") / "truth.trc", lag=0.25)


@pytest.fixture
def validate(store):
    return partial(command, "validate", store=store.path)


@pytest.mark.slow
def test_a_session_and_its_report(store: Store, demo, lab, validate) -> None:
    add_demo_session(store, demo, "s1")
    done = validate("s1", lab, "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["lag_s"] == pytest.approx(0.233, abs=0.02)
    assert document["lag_sd_s"] > 0
    # About what is expected of a knee from the front (docs/accuracy.md: 11 degrees from standing).
    assert document["angles"]["knee_flexion"]["left"]["rmse"] < 10
    page = Path(document["report"]["html"].removeprefix("file://"))
    assert page == store.reports / "s1.validation" / "truth" / "lab-validation.html"
    listed = json.loads(validate("s1", "--json").stdout)
    assert [(row["validation"], row["stale"]) for row in listed] == [("truth", False)]
    # The report can be moved with its store: nothing in it names this machine.
    assert str(store.path) not in page.read_text()


def test_a_study_must_tell_people_apart(store: Store, demo, lab, tmp_path, validate) -> None:
    for name, user in (("a1", "ann"), ("n1", "anonymous"), ("n2", "anonymous")):
        add_demo_session(store, demo, name, user_id=user)
    study = tmp_path / "squats.csv"
    for head, rows, words in (
        ("participant", f"a1,{lab},\nn1,{lab},\n", "fill in the column participant"),
        ("participant", f"a1,{lab},\na1,{lab},\n", "listed twice"),
        ("participant", f"a1,{lab},\na1,other.trc,bob\n", "belongs to ann in another row"),
        ("session", f"a1,{lab},a1\n", "twice"),
    ):
        study.write_text(f"session,lab_file,{head}\n{rows}")
        refused(validate("--study", study), words)


def test_a_study_of_several_models_says_so(tmp_path, monkeypatch, validate) -> None:
    pooled = tables.warning("warnings.several_models", models="HRNet and MediaPipe")
    document = {"trials": [{}, {}], "failed": [], "warnings": [pooled]}
    result = SimpleNamespace(document=document, agreement=None)
    monkeypatch.setattr("mobility.lab.lab_comparison.run_study", lambda *_, **__: result)
    study = tmp_path / "study.csv"
    study.write_text("session,lab_file\n")
    done = validate("--study", study, "--out", tmp_path / "out", "--no-report")
    assert done.returncode == 0, done.stderr
    assert "keypoints from different models (HRNet and MediaPipe)" in done.stderr


def test_the_size_of_a_sample(validate) -> None:
    rows = json.loads(validate("--sample-size", "4", "--json").stdout)["sizes"]
    sizes = {row["participants"]: row["limit_half_interval"] for row in rows}
    # About 1.96 s sqrt(3 / n): Bland & Altman 1986.
    assert sizes[100] == pytest.approx(1.96 * 4 * (3 / 100) ** 0.5, rel=0.1)
    assert sizes[200] < sizes[100] < sizes[10]
    refused(validate("--sample-size", "4", "s1"), "cannot be combined with a session")
    refused(validate("--sample-size", "1e308", "--json"), "less than or equal to 1000000000000 ")


def test_where_a_model_is_the_reference_the_terminal_says_how_it_differs(
    store: Store, demo, tmp_path, validate
) -> None:
    add_demo_session(store, demo, "s1")
    said = validate("s1", write_motion(demo, tmp_path / "model.mot"), "--no-report").stdout
    (line,) = [each for each in said.splitlines() if "defines" in each]
    table = tables.load("lab_mappings")["opensim"]["angles"]
    texts = [" ".join(entry["difference"].split()) for entry in table.values()]
    assert "knee flexion, hip flexion and ankle dorsiflexion differently" in line
    assert sum(text in line for text in texts) == 1
    markers = validate("s1", write_truth(demo, tmp_path / "markers.trc"), "--no-report").stdout
    assert "differently" not in markers


def test_bad_input(store: Store, demo, lab, tmp_path, validate) -> None:
    add_demo_session(store, demo, "s1")
    cut = tmp_path / "cut.trc"
    cut.write_text("\n".join(lab.read_text().splitlines()[:4]))
    for words, *typed in (
        ("lab file", "--demo"),
        ("none.trc", "s1", tmp_path / "none.trc"),
        ("is empty; name a file or a folder", "s1", ""),
        ("mapping", "s1", lab, "--mapping", "nothing"),
        ("--study", "s1", lab, "--out", tmp_path),
        ("--study", "s1", "--study", tmp_path / "none.csv"),
        ("cut.trc", "s1", cut),
    ):
        refused(validate(*typed), words)
    assert validate("s1").stderr.startswith("session s1 has not been compared")


def test_a_match_that_is_refused_names_the_flags(store: Store, demo, tmp_path, validate) -> None:
    add_demo_session(store, demo, "s1")
    other = tmp_path / "other.csv"
    rows = [(t / 50, 40 - 40 * math.cos((t / 50) ** 1.5)) for t in range(700)]
    text = "".join(f"{time:.2f},{knee:.3f},{knee:.3f}\n" for time, knee in rows)
    other.write_text(f"time,knee_angle_l,knee_angle_r\n{text}")
    done = validate("s1", other)
    refused(done, "--lag-s: video and lab file do not show the same movement")
    assert "; --max-lag-s: or set the largest possible lag" in done.stderr
