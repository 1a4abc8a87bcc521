"""benchmarks/models.py on errors that are known."""

from __future__ import annotations

from types import ModuleType

import pandas as pd
import pytest

COST = {"full": 0.05, "heavy": 0.125, "both": 0.175}


@pytest.fixture(scope="module")
def models(program) -> ModuleType:
    return program("models")


def errors(models: ModuleType) -> pd.DataFrame:
    """One person on two films, another on one, and one rendered; heavy is a degree worse."""
    films = (
        ("a1", "squats", "A", 2.0),
        ("a2", "squats", "A", 4.0),
        ("b", "walk", "B", 5.0),
        ("r", models.RENDERED, "r", 1.0),
    )
    return pd.DataFrame(
        [
            {
                **{"clip": clip, "kind": kind, "person": person, "reference": "markers"},
                **{"angle": angle, "model": model, "mae": mae + (model == "heavy")},
                **{"given": 1.0, "within": 0.9},
            }
            for clip, kind, person, mae in films
            for angle in models.MAIN
            for model in models.NAMES
        ]
    )


def test_people_weigh_the_same_however_many_films_there_are(models: ModuleType) -> None:
    table = models.summary(errors(models), COST).set_index("")
    assert table.loc["people on film: full", "knee flexion"] == "4.0"
    assert table.loc["people on film: heavy", "trunk lean"] == "5.0"
    assert table.loc["rendered people: both", "elbow flexion"] == "1.0"
    assert table.loc["people on film: heavy", "time"] == "2.5"
    assert set(table["within 1.96 sd"]) == {"90%"}


def test_each_film_has_its_errors_by_model(models: ModuleType) -> None:
    table = models.by_clip(errors(models)).set_index("clip")
    assert table.loc["a2", "hip flexion"] == "4.0 / 5.0 / 4.0"
    text = models.document(errors(models), COST)
    assert "| a2 | markers | 4.0 / 5.0 / 4.0 |" in text
