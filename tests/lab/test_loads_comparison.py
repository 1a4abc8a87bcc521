"""Loads of a video beside force plates: the demo with plates that its true body loads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from lab_trials import add_demo_session, truth_of, write_motion, write_truth

from mobility.errors import BadInputError
from mobility.lab.agreement import agreement
from mobility.lab.lab_comparison import open_comparison
from mobility.lab.lab_writers import write_forces
from mobility.lab.validation_sections import ValidationPage, write_tables
from mobility.leg_loads.loads import ground_forces
from mobility.store import Session, Store

LAG_S = 0.25
MASS_KG = 70.0


def plates_of(demo: Path, *, late: float = LAG_S) -> xr.Dataset:
    """The forces that the true body needs, on the lab's clock."""
    pose = truth_of(demo)
    grid = np.arange(float(pose["time"][0]), float(pose["time"][-1]), 0.01)
    forces = ground_forces(pose[["position"]].interp(time=grid), weight_kg=MASS_KG)
    return forces.assign_coords(time=grid + late)


@pytest.fixture(scope="module")
def trial(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("trial")
    store = Store(folder / "store", reports=folder / "reports")
    session = add_demo_session(store, demo, "s1")
    markers = write_truth(demo, folder / "trial.trc", rate=100.0)
    plates = write_forces(plates_of(demo), folder / "grf.mot")
    made = session.validate(markers, forces=plates)
    return {"session": session, "markers": markers, "plates": plates, "made": made}


def test_plates_and_markers_are_on_the_clock_of_the_video(trial: dict[str, Any]) -> None:
    """Without a camera, the loads are those of the plates: they were made from the same body."""
    made = trial["made"]
    assert sorted(file.name for file in made.folder.iterdir()) == [
        *("agreement.nc", "curves.nc", "loads.nc", "loads_agreement.nc", "validation.json")
    ]
    curves, statistics = made.loads()
    assert curves["estimator"].values.tolist() == ["fitted", "lab_markers", "lab_plates"]
    both = statistics.sel(comparison="lab_markers_lab_plates", side=["left", "right"])
    assert (both["rmse"].sel(angle=["weight_share", "vertical_force"]).fillna(0) < 1).all()
    assert (both["rmse"].sel(angle=["knee_moment", "hip_moment"]) < 0.3).all()
    middle = statistics.sel(comparison="lab_markers_lab_plates", side="middle")
    assert float(middle["rmse"].sel(angle="vertical_force")) < 1
    assert float(middle["rmse"].sel(angle="centre_of_pressure")) < 5
    means = curves.mean("time").sel(estimator="lab_plates")
    assert float(means["weight_share"].sum("side")) == pytest.approx(100)
    assert float(means["vertical_force"]) == pytest.approx(100, abs=3)
    # The video of the same body has the errors of a camera, but not another weight.
    video = statistics.sel(comparison="fitted_lab_plates", side="middle", angle="vertical_force")
    assert 0 < float(video["rmse"]) < 3
    assert abs(float(video["bias"])) < 2
    assert made.document["loads"]["clock"].startswith("agrees")
    assert made.document["files"]["forces"]["source_file"] == "grf.mot"


def test_the_statistics_follow_from_the_curves(trial: dict[str, Any]) -> None:
    curves, _ = trial["made"].loads()
    document = trial["made"].document["loads"]
    for name, side in (("weight_share", "right"), ("knee_moment", "left")):
        video, plates = (
            curves[name].sel(estimator=which, side=side).to_numpy()
            for which in ("fitted", "lab_plates")
        )
        time, errors, peaks = curves["time"].to_numpy(), [], []
        for i in np.flatnonzero(curves["repetition_accepted"]):
            first, last = (float(curves[f"repetition_{end}"][i]) for end in ("start", "end"))
            at = np.linspace(first, last, 101)
            difference = np.interp(at, time, video) - np.interp(at, time, plates)
            errors.append(np.sqrt(np.nanmean(difference**2)))
            inside = (time >= first) & (time <= last)
            peaks.append(np.nanmax(video[inside]) - np.nanmax(plates[inside]))
        stored = document["quantities"][name][side]
        assert stored["rmse"] == pytest.approx(np.mean(errors), rel=1e-3)
        assert stored["peak"]["mean_difference"] == pytest.approx(np.mean(peaks), abs=1e-4)
    assert document["units"]["knee_moment"] == "% of weight × height"
    shares = document["quantities"]["weight_share"]
    assert shares["left"]["bias"] == pytest.approx(-shares["right"]["bias"], abs=1e-5)


def test_the_page_and_the_tables_have_the_loads(trial: dict[str, Any], tmp_path: Path) -> None:
    made = trial["made"]
    page = ValidationPage(made)
    text = str(page.loads())
    assert "Video against force plates: curves over a repetition" in text
    assert "Knee moment, left (% of weight × height)" in text
    assert text.count("<img") == 4
    assert "grf.mot (left: ground_force_l; right: ground_force_r)" in str(page.head())
    assert "inverse dynamics of the lab" in str(page.methods())
    write_tables(made.agreement(), made.document, tmp_path, loads=made.loads()[1])
    table = pd.read_csv(tmp_path / "loads-curves.csv")
    assert set(table["units"]) == {"% of the load", "% of weight", "mm", "% of weight × height"}
    row = table[table["quantity"].eq("knee_moment") & table["side"].eq("left")].iloc[0]
    stored = made.document["loads"]["quantities"]["knee_moment"]["left"]
    assert row["rmse"] == pytest.approx(stored["rmse"], abs=1e-5)


def test_without_plates_there_are_no_loads(trial: dict[str, Any]) -> None:
    session: Session = trial["session"]
    made = session.validate(trial["markers"], name="without")
    assert made.loads() is None
    assert "loads" not in made.document
    assert str(ValidationPage(made).loads()) == ""
    opened = open_comparison(str(session.store.path), session_id="s1", comparison="trial")
    assert opened.loads() is not None


def test_plates_that_cannot_be_compared(trial: dict[str, Any], demo: Path, tmp_path: Path) -> None:
    session: Session = trial["session"]
    before = [each.name for each in session.validations()]
    late = write_forces(plates_of(demo, late=LAG_S + 1.0), tmp_path / "late.mot")
    angles = write_motion(demo, tmp_path / "angles.mot")
    for markers, given, words in (
        (trial["markers"], {"forces": late}, "the clock of the plates differs .* by [+]1.0"),
        (angles, {"forces": trial["plates"]}, "has no markers, so moments cannot be computed"),
        (trial["markers"], {"plate_sides": "position"}, "pass the file as forces"),
        (trial["markers"], {"forces": trial["plates"], "force_units": "kN"}, "export newtons"),
        (trial["markers"], {"forces": trial["markers"]}, "is not a MOT or STO file"),
    ):
        with pytest.raises(BadInputError, match=words) as raised:
            session.validate(markers, name="bad", **given)
        assert "\n" not in str(raised.value)
    assert [each.name for each in session.validations()] == before


def test_exchanged_plates_are_a_warning_with_its_remedy(
    trial: dict[str, Any], demo: Path, tmp_path: Path
) -> None:
    forces = plates_of(demo)
    exchanged = forces.assign(
        {
            name: forces[name].isel(side=[1, 0]).assign_coords(side=["left", "right"])
            for name in forces
        }
    )
    file = write_forces(exchanged, tmp_path / "exchanged.mot")
    made = trial["session"].validate(trial["markers"], forces=file, name="exchanged")
    (warning,) = [w for w in made.document["warnings"] if w["code"] == "plates_exchanged"]
    assert "'ground_force_r' is under the left foot" in warning["message"]
    right = trial["session"].validate(
        trial["markers"], forces=file, plate_sides="position", name="right"
    )
    same, other = (
        each.document["loads"]["quantities"]["weight_share"]["right"]["bias"]
        for each in (trial["made"], right)
    )
    assert same == pytest.approx(other, abs=0.01)
    assert json.loads((right.folder / "validation.json").read_text())["loads"]


def test_values_that_are_not_angles_need_the_same_units() -> None:
    time = np.arange(0, 4, 0.05)

    def share(units: str | None) -> xr.Dataset:
        attrs = {} if units is None else {"units": units}
        return xr.Dataset({"share": ("time", 50 + np.sin(time), attrs)}, coords={"time": time})

    repetitions = xr.Dataset({"start": ("rep", [0.5]), "end": ("rep", [3.5])})
    result = agreement(share("%"), share("%"), repetitions, values=["peak"])
    assert result["rmse"].attrs["units"] == "%"
    assert float(result["rmse"].sel(angle="share", side="middle")) == pytest.approx(0, abs=1e-12)
    with pytest.raises(BadInputError, match=r"share is in different units \(% and 1"):
        agreement(share("%"), share("1"), repetitions, values=["peak"])
    with pytest.raises(BadInputError, match="share is not an angle and has no units"):
        agreement(share(None), share(None), repetitions, values=["peak"])
