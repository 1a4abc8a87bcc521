"""Parts of the pages on groups and reliability: what they say, and what of them is deleted."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from cohort_cases import add_study
from read_pages import text_of

import mobility as mb
from mobility.serve.batch.study import read_study
from mobility.sessions.reports import ReportOnPeople
from mobility.store import Store
from mobility.studies import study_sections as sections
from mobility.studies.groups import Groups
from mobility.studies.reliability import Reliability
from mobility.studies.report_files import GROUPS, RELIABILITY
from mobility.studies.study_reports import render_statistics
from mobility.studies.study_table import Study

FACTORS = {"by": "group", "within": ["visit"]}
METRICS = ["knee_flexion", "trunk_lean"]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, demo: Path) -> Study:
    store = Store(tmp_path_factory.mktemp("study") / "sessions")
    return read_study(add_study(store, demo, 8), store=store)


@pytest.fixture(scope="module")
def compared(study: Study) -> Groups:
    made: Groups = mb.groups(study.table, **FACTORS, metrics=METRICS)
    return made


@pytest.fixture(scope="module")
def found(study: Study) -> Reliability:
    made: Reliability = mb.reliability(study.table, metrics=METRICS)
    return made


def test_who_was_measured(study: Study, found: Reliability) -> None:
    assert "Sessions listed 16" in text_of(sections.participants(study))
    assert re.search(
        r"Participants with a measured session 8", text_of(sections.participants(study))
    )
    assert "nobody was found" in text_of(sections.participants(study))
    assert " 8 16 " in text_of(sections.flow(study, found.flow))
    # The session that is left out comes first, with the reason.
    first = text_of(sections.sessions(study)).partition("Why it is left out")[2]
    assert first.startswith(" s3v2 p3 1 the analysis failed: nobody was found in it")


def test_the_difference_between_groups_comes_first(study: Study, compared: Groups) -> None:
    page = text_of(sections.differences_in_short(study, compared))
    assert page.startswith("Group ")
    assert "patients − controls" in page
    assert "−2" in page  # 25 degrees less
    table = text_of(sections.differences(study, compared))
    assert "Knee flexion, right" in table
    assert "8 (1)" in table
    assert "all values of a group are the same" in table
    assert "nan" not in table.lower().split()
    assert "controls, visit 1" in text_of(sections.description(study, compared))


def test_what_differences_are_adjusted_for_stands_beside_them(study: Study) -> None:
    ages = study.table["participant"].str[1:].astype(float) + 20
    table = study.table.assign(age=ages)
    adjusted = mb.groups(table, by="group", adjust=["age"], metrics=METRICS)
    assert adjusted.adjust == ("age",)
    assert "(group, adjusted for age)" in text_of(sections.differences_in_short(study, adjusted))
    assert "Differences, adjusted for age with" in text_of(sections.differences(study, adjusted))
    plain = mb.groups(table, by="group", metrics=METRICS)
    assert "adjusted for" not in text_of(sections.differences(study, plain))


def test_the_people_of_each_group_count_once(study: Study) -> None:
    numbers = study.sessions["participant"].str[1:].astype(int)
    known = numbers.ne(2)
    named = study.sessions.assign(
        age=(20.0 + numbers).where(known), sex=numbers.map(lambda n: "female" if n < 5 else "")
    )
    page = text_of(sections.people(Study(study.table, named, study.columns), "group"))
    assert "Participants 4 4 " in page
    # Controls are 0, 2, 4, 6, of whom 2 has no age and 6 no sex; patients 1, 3, 5, 7.
    assert "Sex 3 female and 1 not known 2 female and 2 not known" in page
    assert "Age (years) 23.3 (3.1), n = 3 24.0 (2.6)" in page
    assert "Body mass" not in page
    assert sections.people(study, "side") == ""
    groups = named["group"].where(numbers.ne(7), "")
    some = text_of(sections.people(Study(study.table, named.assign(group=groups), ()), "group"))
    assert "People controls patients Participants 4 3 " in some
    everybody = text_of(sections.people(Study(study.table, named, study.columns)))
    assert "Participants 8" in everybody


def test_different_views_are_warned_of(study: Study) -> None:
    assert sections.differing_in_words(study) == []
    views = ["left" if person == "p0" else "front" for person in study.sessions["participant"]]
    other = Study(study.table, study.sessions.assign(view=views), study.columns)
    assert "different views (front and left)" in text_of(sections.participants(other))


def test_keypoints_of_another_model_are_warned_of(study: Study) -> None:
    def of(*models: str) -> str:
        named = [models[person == "p0"] for person in study.sessions["participant"]]
        keys = ["mediapipe" if name == "MediaPipe" else "other" for name in named]
        sessions = study.sessions.assign(source_software=named, pose_source=keys)
        return text_of(sections.participants(Study(study.table, sessions, study.columns)))

    assert "keypoints" not in of("MediaPipe", "MediaPipe")
    assert "different models (MediaPipe and RTMPose)" in of("MediaPipe", "RTMPose")
    assert "keypoints come from RTMPose" in of("RTMPose", "RTMPose")


def test_groups_that_share_no_model_are_warned_of(study: Study) -> None:
    patient = study.table["group"].eq("patients")
    models = patient.map({True: "RTMPose", False: "MediaPipe"})
    made = mb.groups(study.table.assign(source_software=models), by="group", metrics=METRICS)
    (warning,) = made.warnings
    assert (warning["code"], warning["values"]["name"]) == ("confounded_models", "group")
    assert "controls: MediaPipe; patients: RTMPose" in warning["message"]


def test_groups_that_share_no_view_are_warned_of(study: Study) -> None:
    """One patient filmed from the front would tell the view from the group; here there is none."""
    patient = study.table["group"].eq("patients")
    table = study.table.assign(view=patient.map({True: "left-side", False: "front"}))
    made = mb.groups(table, by="group", metrics=METRICS)
    page = text_of(sections.differences_in_short(study, made))
    assert (
        "The effects of the view and of group cannot be separated "
        "(controls: front; patients: left-side)"
    ) in page
    (warning,) = made.warnings
    assert (warning["code"], warning["values"]["name"]) == ("confounded_views", "group")
    one = table["participant"].eq(table.loc[patient, "participant"].iloc[0])
    shared = mb.groups(table.assign(view=table["view"].mask(one, "front")), by="group")
    assert shared.warnings == ()
    # Of three groups two that share no view are enough.
    third = table[patient].assign(
        group="others",
        view="front",
        participant=table["participant"] + "x",
        session_id=table["session_id"] + "x",
    )
    three = pd.concat([table, third], ignore_index=True)
    assert [each["code"] for each in mb.groups(three, by="group", metrics=METRICS).warnings] == [
        "confounded_views"
    ]


def test_words_of_a_study_without_a_difference(study: Study, compared: Groups) -> None:
    none = Groups(
        compared.differences.assign(p_holm=0.6), compared.description, compared.without_value
    )
    page = text_of(sections.differences_in_short(study, none))
    # The usual measures stand there all the same, with their intervals.
    before, usual, *_ = page.split("The main measures:")
    assert "Knee flexion" not in before
    assert re.search(r"Knee flexion, right, patients − controls: −\d\d\.\d° \(", usual)
    assert "None of 2 comparisons shows a difference (group)" in page
    rows = none.differences[none.differences["reason"].eq("")]
    for p, count, words in (
        ([0.6], 1, "The only comparison shows no difference (group). This does not prove"),
        ([0.01], 1, "The only comparison shows a difference (group): Knee flexion"),
        ([0.01, 0.6], 2, "1 of 2 comparisons shows a difference (group) after"),
        ([0.01, 0.01], 2, "2 of 2 comparisons show a difference (group) after"),
    ):
        made = Groups(
            rows[:count].assign(effect="group", p_holm=p), none.description, none.without_value
        )
        assert words in text_of(sections.differences_in_short(study, made))
    refused = Groups(
        compared.differences.assign(reason="too few"), compared.description, compared.without_value
    )
    assert "compared: too few: Knee flexion" in text_of(
        sections.differences_in_short(study, refused)
    )
    assert "too few" in text_of(sections.differences(study, refused))


def test_errors_of_measurement(study: Study, found: Reliability) -> None:
    page = text_of(sections.reliability_in_short(study, found, METRICS))
    right = found.statistics.query("metric == 'knee_flexion' and side == 'right'")
    mdc = right[right["statistic"].eq("mdc95") & right["form"].eq("agreement")]["value"].iloc[0]
    assert f"{mdc:.1f}°" in page
    # Of 7 and 8 people with two visits, not 95.
    changes = found.statistics[found.statistics["statistic"].eq("mdc95")]
    shares = 100 * changes.loc[changes["form"].eq("agreement"), "within"].dropna()
    ends = " to ".join(f"{share:.0f}" for share in (shares.min(), shares.max()))
    assert shares.max() < 92
    assert f"the smallest detectable change in about {ends} of 100 cases" in page
    assert "Trunk lean" not in page
    table = text_of(sections.reliability_table(study, found))
    assert "ICC(A,1)" in table
    assert "ICC(A,k)" not in table
    assert "all values are the same: Trunk lean" in table
    assert "visit 2 − visit 1" in text_of(sections.changes_of_levels(study, found))
    assert "Participant" in text_of(sections.components(study, found))
    assert sections.drawn(found, METRICS) == [("knee_flexion", "left")]


def test_words_of_a_study_without_an_error(study: Study) -> None:
    one = mb.reliability(study.table[study.table["participant"].eq("p0")], metrics=METRICS)
    assert text_of(sections.reliability_in_short(study, one, METRICS))
    assert "one person has all values; 3 are needed: Knee flexion" in text_of(
        sections.reliability_table(study, one)
    )
    for part in (sections.changes_of_levels, sections.components, sections.reliability_methods):
        assert "nan" not in text_of(part(study, one)).lower().split()


def test_methods_and_guidelines_name_what_was_done(
    study: Study, compared: Groups, found: Reliability
) -> None:
    words = text_of(sections.methods(study, replace(compared, adjust=("age",)), "group", ["visit"]))
    for word in (
        *(
            "Overhead Squat",
            "group",
            "visit",
            "age",
            "mixed model with separate variances for each",
        ),
        "keypoints: MediaPipe",
    ):
        assert word in words
    words = text_of(sections.reliability_methods(study, found))
    assert "visit" in words
    listed = text_of(sections.guidelines(found))
    assert "GRRAS" in listed
    assert "COSMIN" in listed
    assert "☑" in listed


def test_p_values_and_names() -> None:
    assert sections.p_value(0.0004, name="p") == "p < 0.001"
    assert sections.p_value(0.0316) == "0.032"
    assert sections.p_value(float("nan")) == "–"
    rows = pd.DataFrame({"metric": ["angle[knee]"], "long_name": ["angle"]})
    assert sections.name_of(rows, "angle[knee]", "left") == "Angle (knee), left"
    assert sections.name_of(rows, "other[elbow_flexion]", "both") == "Other (elbow flexion)"


def test_names_of_people_and_groups_are_text(study: Study) -> None:
    bad = "<script>alert(1)</script>"
    table = study.table.assign(group=study.table["group"].replace("patients", bad))
    named = Study(table, study.sessions.assign(participant=bad), study.columns)
    made = mb.groups(table, by="group", metrics=METRICS)
    for part in (
        sections.differences_in_short(named, made),
        sections.differences(named, made),
        sections.description(named, made),
        sections.missing(named, made.without_value),
        sections.sessions(named),
        sections.methods(named, replace(made, adjust=(bad,)), bad, [bad]),
    ):
        assert bad not in str(part)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "parameters", "heading"),
    [
        (GROUPS, {"by": "group", "within": "visit"}, "People in each group"),
        (RELIABILITY, {}, "Over the repetition"),
    ],
)
def test_a_rendered_page_goes_whole_with_a_session(
    kind: ReportOnPeople, parameters: dict[str, str], heading: str, tmp_path: Path, demo: Path
) -> None:
    store = Store(tmp_path / "sessions", reports=tmp_path / "reports")
    study = read_study(add_study(store, demo, 6), store=store, curves=True)
    made = render_statistics(
        kind,
        study,
        store.reports / "paper",
        title="squats",
        parameters={"metrics": "knee_flexion", **parameters},
    )
    page = made["html"].read_text(encoding="utf-8")
    assert heading in page
    assert "Knee flexion" in page
    assert "Traceback" not in page
    assert str(tmp_path) not in page
    assert all(path.is_file() for path in made.values())
    assert Study.read(store.reports / "paper").flow() == study.flow()
    store.delete("s1v1")
    assert not (store.reports / "paper").exists()
