"""Numbers and dates: one way to show each."""

from __future__ import annotations

import datetime
import math

import pytest

from mobility.base.formatting import (
    MISSING,
    between,
    dated,
    in_system,
    percent,
    plus_minus,
    probability,
    quantity,
    rounded,
    stature,
    timed,
)


@pytest.mark.parametrize(
    ("value", "digits", "signed", "text"),
    [
        (1.25, 1, False, "1.2"),
        (-3.4, 0, False, "−3"),
        (2, 1, True, "+2.0"),
        (-0.04, 1, False, "0.0"),
        (-0.04, 1, True, "0.0"),
        (0.0, 0, True, "0"),
        (100.0, 0, True, "+100"),
        (math.nan, 1, True, MISSING),
        (math.inf, 1, False, MISSING),
    ],
)
def test_zero_has_no_sign_and_what_is_missing_is_a_dash(value, digits, signed, text) -> None:
    assert rounded(value, digits, signed=signed) == text


@pytest.mark.parametrize(
    ("value", "units", "given", "text"),
    [
        (98.4, "degree", {"half": 3.6}, "98° ± 4°"),
        (-5.2, "degree", {"half": 1.0, "signed": True}, "−5° ± 1°"),
        (12.3, "percent", {}, "12 %"),
        (1.26, "s", {"half": math.nan}, "1.3 s"),
        (0.918, "1", {"half": 0.196}, "0.92 ± 0.20"),
        (-0.2, "degree", {"signed": True}, "0°"),
        (0.012, "s", {"half": 0.003, "digits": 3, "signed": True}, "+0.012 s ± 0.003 s"),
        (0.957, "1", {}, "0.96"),
        (3.0, "count", {"half": 0.5}, "3"),
        (math.nan, "degree", {"half": 3.0}, MISSING),
        (0.05, "foot length", {}, "0.05 foot lengths"),
        (1.27, "foot length", {"half": 0.87}, "1.27 ± 0.87 foot lengths"),
        (7.26, "a unit of one's own", {}, "7.3"),
    ],
)
def test_a_unit_gives_the_digits_and_the_interval_has_the_same(value, units, given, text) -> None:
    assert quantity(value, units, **given) == text


def test_intervals_and_shares() -> None:
    assert plus_minus(3.6, "degree") == "± 4°"
    assert plus_minus(0.1234, digits=3) == "± 0.123"
    assert between(88.2, 107.9, "degree") == "88 to 108°"
    assert between(-1.25, 0.5, digits=1, signed=True) == "−1.2 to +0.5"
    assert percent(0.453) == "45 %"


@pytest.mark.parametrize(
    ("p", "digits", "text"),
    [
        (0.0, 2, "< 0.01"),
        (0.67, 2, "0.67"),
        (1.0, 2, "> 0.99"),
        (0.0004, 3, "< 0.001"),
        (0.0496, 3, "0.050"),
        (math.nan, 2, MISSING),
    ],
)
def test_no_probability_is_shown_as_a_certainty(p, digits, text) -> None:
    assert probability(p, digits) == text


@pytest.mark.parametrize(
    ("p", "text"),
    [
        *((0.899, "< 0.90"), (0.9, "0.90"), (0.9004, "> 0.90"), (0.894, "0.89")),
        *((0.204, "> 0.20"), (0.1 + 0.1, "0.20"), (0.196, "< 0.20"), (0.55, "0.55")),
        *((0.001, "< 0.01"), (math.nan, MISSING)),
    ],
)
def test_no_probability_is_rounded_onto_a_limit(p, text) -> None:
    assert probability(p, limits=(0.9, 0.2)) == text


@pytest.mark.parametrize(
    ("value", "units", "system", "text"),
    # One inch is 2.54 cm and one pound 0.45359237 kg, exactly.
    [
        (0.025, "m", "metric", "2.5 cm"),
        (0.0254, "m", "imperial", "1 in"),
        (0.3, "m", "imperial", "12 in"),
        (5, "kg", "metric", "5 kg"),
        (5, "kg", "imperial", "11 lb"),
    ],
)
def test_lengths_and_masses(value, units, system, text):
    assert in_system(value, units, system=system) == text


@pytest.mark.parametrize(
    ("height", "system", "text"),
    # 1.752 m are 68.98 inches; 1.829 m are 72.0: six feet, not five and twelve inches.
    [
        (1.752, "imperial", "5 ft 9 in"),
        (1.829, "imperial", "6 ft 0 in"),
        (1.752, "metric", "175 cm"),
    ],
)
def test_the_height_of_a_person(height, system, text):
    assert stature(height, system=system) == text


def test_dates_are_those_of_no_locale() -> None:
    moment = datetime.datetime(2026, 3, 8, 9, 5, tzinfo=datetime.UTC)
    assert (dated(moment), timed(moment)) == ("8 Mar 2026", "8 Mar 2026, 09:05")
