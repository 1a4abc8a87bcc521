from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from lab_cases import measured

from mobility.errors import BadInputError, StorageError
from mobility.kinematics.expected_error import TABLE
from mobility.virtual_lab.agreement import agreement
from mobility.virtual_lab.error_table import error_table, table_in_checkout, write_error_table


def result() -> object:
    return agreement(
        {
            "a": measured(azimuth=0, error=4, sd=5),
            "b": measured(azimuth=5, error=-2, sd=5),
            "c": measured(azimuth=90, error=12, sd=5),
        }
    )


def test_the_table_has_the_errors_by_view() -> None:
    table = error_table(result(), grid="three", widening={})  # type: ignore[arg-type]
    knee = table["views"]["front"]["angles"]["knee_flexion"]
    assert knee["bias"] == 1
    assert knee["mae"] == 3
    assert knee["clips"] == 2
    assert knee["coverage"] == 1
    assert table["views"]["side"]["angles"]["knee_flexion"]["sd"] is None  # of a single clip
    assert set(table["views"]) == {"front", "side", "all"}
    assert table["holds_for"]["mediapipe"] == "1.2.3"
    assert table["holds_for"]["pose_model_sha256"] == "m"
    assert "three" in table["source"]


def test_factors_set_by_hand_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "table.yaml"
    write_error_table(result(), path, grid="three")  # type: ignore[arg-type]
    first = yaml.safe_load(path.read_text())
    assert {w["factor"] for w in first["widening"].values()} == {1.0}
    first["widening"]["hip_flexion"] = {"factor": 1.4, "source": "Five filmed squats."}
    path.write_text(yaml.safe_dump(first))
    write_error_table(result(), path, grid="three")  # type: ignore[arg-type]
    again = yaml.safe_load(path.read_text())
    assert again["widening"]["hip_flexion"] == {"factor": 1.4, "source": "Five filmed squats."}
    assert again["widening"]["knee_flexion"]["factor"] == 1.0
    assert not list(tmp_path.glob(".*"))


def test_something_else_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "table.yaml"
    path.write_text("- 1\n")
    with pytest.raises(BadInputError, match="not a table of errors"):
        write_error_table(result(), path, grid="three")  # type: ignore[arg-type]
    assert path.read_text() == "- 1\n"
    with pytest.raises(StorageError, match="cannot be written"):
        write_error_table(result(), tmp_path / "absent" / "t.yaml", grid="g")  # type: ignore[arg-type]


def test_the_table_of_the_checkout_is_the_one_that_is_read(project: Path) -> None:
    assert table_in_checkout() == project / "mobility" / "tables" / f"{TABLE}.yaml"
