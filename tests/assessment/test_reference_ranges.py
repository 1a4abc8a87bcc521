from __future__ import annotations

import math

import numpy as np
import pytest

from mobility.assessment.reference_ranges import reference_range
from mobility.errors import BadInputError

# Soucie et al. 2011: female, male in each band of ages.
SOUCIE = {
    "hip_flexion": ((140.8, 131.1), (134.9, 135.2), (133.8, 130.4), (130.8, 127.2)),
    "knee_flexion": ((152.6, 147.8), (142.3, 142.2), (141.9, 137.7), (137.8, 132.9)),
    "ankle_dorsiflexion": ((24.8, 22.8), (17.3, 16.3), (13.8, 12.7), (11.6, 11.9)),
    "shoulder_flexion": ((178.6, 177.8), (171.8, 170.9), (172.0, 168.8), (168.1, 164.0)),
    "elbow_flexion": ((152.9, 151.4), (149.7, 148.3), (150.0, 144.6), (148.3, 143.5)),
    "hip_extension": ((26.2, 28.3), (20.5, 18.2), (18.1, 17.4), (16.7, 13.5)),
    "knee_extension": ((5.4, 1.6), (2.4, 1.8), (1.6, 1.0), (1.2, 0.5)),
    "ankle_plantarflexion": ((67.1, 55.8), (57.3, 52.8), (62.1, 54.6), (56.5, 49.4)),
    "elbow_extension": ((6.8, 2.2), (6.4, 5.3), (4.7, 0.8), (3.6, -0.7)),
}
BANDS = ((2, 8), (9, 19), (20, 44), (45, 69))


@pytest.mark.parametrize("angle", SOUCIE)
def test_passive_means_by_sex_and_age(angle: str) -> None:
    for band, means in zip(BANDS, SOUCIE[angle], strict=True):
        for sex, mean in zip(("female", "male"), means, strict=True):
            for age in (band[0], band[1] + 0.99):
                norm = reference_range(angle, sex=sex, age=age, kind="passive")
                assert (norm.mean, norm.lowest, norm.highest) == (mean, mean, mean)
                assert (norm.sex, norm.age, norm.n) == (sex, band, 674)
                assert math.isnan(norm.sd)
                assert (norm.statistic, norm.units, norm.note) == ("mean", "degree", "")


OTHERS: dict[tuple[str, str | None], str] = {
    ("active", None): """hip_flexion 122.3 6.1, knee_flexion 142.5 5.4, hip_extension 9.8 6.8,
        ankle_dorsiflexion 12.6 4.4, shoulder_flexion 166.7 4.7, elbow_flexion 142.9 5.6,
        shoulder_extension 62.3 9.5, shoulder_abduction 184 7, elbow_extension 0.6 3.1,
        shoulder_external_rotation 103.7 8.5, shoulder_internal_rotation 68.8 4.6,
        hip_abduction 45.9 9.3, ankle_plantarflexion 56.2 6.1""",
    ("active", "zwerus_2019"): "elbow_flexion 146 nan",
    ("weight_bearing", None): """ankle_dorsiflexion 40.6 5.2, hip_flexion 101 nan,
        knee_flexion 149 nan""",
    ("unstated", None): """shoulder_flexion 180 nan, elbow_flexion 150 nan, hip_flexion 120 nan,
        knee_flexion 135 nan, ankle_dorsiflexion 20 nan, shoulder_extension 60 nan,
        shoulder_abduction 180 nan, shoulder_external_rotation 90 nan,
        shoulder_internal_rotation 70 nan, elbow_extension 0 nan, hip_abduction 45 nan,
        ankle_plantarflexion 50 nan, trunk_lateral_flexion 35 nan, neck_lateral_flexion 45 nan""",
    ("unstated", "ama"): "shoulder_flexion 180 nan, shoulder_extension 50 nan, "
    "elbow_flexion 140 nan",
}
"""Angle, mean and sd of men of 30, by kind and study."""


@pytest.mark.parametrize(("kind", "study"), OTHERS)
def test_other_studies(kind: str, study: str | None) -> None:
    for entry in OTHERS[kind, study].split(","):
        angle, mean, sd = entry.split()
        norm = reference_range(angle, sex="male", age=30, kind=kind, study=study)
        assert norm.mean == float(mean), angle
        assert norm.sd == pytest.approx(float(sd), nan_ok=True), angle
        assert norm.note == ""


def test_older_women_have_a_study_of_their_own() -> None:
    for angle, mean, sd in (
        *(("hip_flexion", 122.6, 10.8), ("knee_flexion", 127.6, 8.3)),
        *(("ankle_dorsiflexion", 17.7, 6.0), ("ankle_plantarflexion", 58.0, 7.9)),
    ):
        norm = reference_range(angle, sex="female", age=70, kind="unstated")
        assert (norm.mean, norm.sd, norm.n, norm.study) == (mean, sd, 95, "jung_yamasaki_2016")
        for sex, age in (("male", 70), ("female", 64), ("female", 84), (None, 70)):
            assert reference_range(angle, sex=sex, age=age, kind="unstated").study == "aaos"


def test_no_source_gives_none() -> None:
    # Nobody of that age was measured.
    assert reference_range("knee_flexion", sex="female", age=1, kind="passive") is None
    assert reference_range("knee_flexion", sex="female", age=70, kind="passive") is None
    # No source of that kind, and an angle of which there is none at all.
    assert reference_range("elbow_flexion", sex="female", age=30, kind="weight_bearing") is None
    assert reference_range("trunk_lean", sex="female", age=30, kind="passive") is None


@pytest.mark.parametrize(
    ("angle", "sex", "age", "lowest", "highest", "note"),
    [
        (
            "knee_flexion",
            None,
            30,
            137.7,
            141.9,
            "the participant's sex is not known: means of 2 groups",
        ),
        (
            "knee_flexion",
            "male",
            None,
            132.9,
            147.8,
            "the participant's age is not known: means of 4 groups",
        ),
        (
            "ankle_dorsiflexion",
            None,
            None,
            11.6,
            24.8,
            "the participant's sex and age are not known: means of 8 groups",
        ),
    ],
)
def test_without_sex_or_age_the_groups_are_given_not_a_mean(angle, sex, age, lowest, highest, note):
    norm = reference_range(angle, sex=sex, age=age, kind="passive")
    assert (norm.lowest, norm.highest, norm.note) == (lowest, highest, note)
    assert np.isnan([norm.mean, norm.sd]).all()


def test_a_study_that_measured_such_people_goes_before_one_that_did_not() -> None:
    zwerus = "zwerus_2019"
    for sex, age, study in (
        *(("male", 30, "boone_azen_1979"), ("male", 60, zwerus)),
        *(("female", 30, zwerus), (None, 30, zwerus)),
    ):
        norm = reference_range("elbow_flexion", sex=sex, age=age, kind="active")
        assert (norm.study, norm.note) == (study, "")
    child = reference_range("elbow_flexion", sex="female", age=8, kind="active", study=zwerus)
    assert child.note == "the study measured only people aged 18 or over"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"angle": "knee_flexon"}, "did you mean 'knee_flexion'"),
        ({"sex": "woman"}, "sex"),
        ({"age": -1}, "age"),
        ({"age": math.nan}, "age"),
        ({"kind": "pasive"}, "kind"),
        ({"study": "sousie_2011"}, "did you mean 'soucie_2011'"),
    ],
)
def test_bad_input(arguments: dict[str, object], message: str) -> None:
    given = {"angle": "knee_flexion", "sex": "female", "age": 30, "kind": "passive"} | arguments
    with pytest.raises(BadInputError, match=message):
        reference_range(given.pop("angle"), **given)
