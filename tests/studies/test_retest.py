"""Errors of curves are those of their points, and no session without a curve is lost."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from demo_sessions import put_result

import mobility as mb
from mobility.errors import BadInputError
from mobility.store import Store
from mobility.studies import study_sections as sections
from mobility.studies.retest import session_curves
from mobility.studies.statistics.reliability_coefficients import mdc95, measurement_error
from mobility.studies.study_table import Study

PERCENT = np.linspace(0, 100, 6)
SPREAD = np.array([1.0, 2.0, 4.0, 5.0, 3.0, 1.0])


def of_people(people: int, levels: dict[str, int], *, seed: int = 0, **noise: Any) -> pd.DataFrame:
    """Curves whose error at each percent is `SPREAD`, and what a level adds to everybody."""
    rng = np.random.default_rng(seed)
    rows = []
    for person in range(people):
        usual = rng.normal(0, 10, len(PERCENT))
        for at in np.ndindex(*levels.values()):
            which = dict(zip(levels, at, strict=True))
            shift = sum(noise.get(name, [0] * n)[which[name]] for name, n in levels.items())
            curve = usual + shift + rng.normal(0, SPREAD)
            made = {"participant": f"p{person}", "percent": PERCENT, "value": curve, **which}
            rows.append(pd.DataFrame(made))
    return pd.concat(rows, ignore_index=True)


def test_each_point_has_the_error_of_its_values() -> None:
    table = of_people(15, {"visit": 3}, visit=[0, 2, -1])
    found = mb.retest_curves(table.sample(frac=1, random_state=2))
    for percent in PERCENT:
        values = table[table["percent"].eq(percent)].pivot(
            index="participant", columns="visit", values="value"
        )
        one = found.sel(side="", percent=percent)
        expected = measurement_error(values.to_numpy())[1:4]
        np.testing.assert_allclose([one["sem"], one["low"], one["high"]], expected)
        assert float(one["mdc95"]) == pytest.approx(mdc95(expected[0]))
    assert (found["participants"] == 15).all()
    assert (found.attrs["over"], found.attrs["kind"]) == ("visit", "agreement")
    assert not found["reason"].item()


def test_the_error_is_that_of_which_the_curves_were_made() -> None:
    table = of_people(400, {"visit": 2}, visit=[0, 6])
    alike = mb.retest_curves(table, kind="consistency").sel(side="")
    np.testing.assert_allclose(alike["sem"], SPREAD, rtol=0.12)
    assert ((alike["low"] < SPREAD) & (alike["high"] > SPREAD)).all()
    # Two visits that are 6 apart in everybody: variance 18 more.
    both = mb.retest_curves(table).sel(side="")
    np.testing.assert_allclose(both["sem"], np.sqrt(SPREAD**2 + 18), rtol=0.12)


def test_operators_and_missing_curves_count_as_in_the_table_of_reliability() -> None:
    table = of_people(12, {"visit": 2, "operator": 2}, operator=[0, 4])
    gone = table["participant"].eq("p3") & table["visit"].eq(1)
    table.loc[gone, "value"] = np.nan
    found = mb.retest_curves(table).sel(side="", percent=40)
    of_point = table[table["percent"].eq(40)]
    rows = mb.reliability(of_point).statistics
    rows = rows[rows["statistic"].eq("sem") & rows["form"].eq("agreement")]
    expected = rows[rows["over"].eq("visit, operator")].iloc[0]
    assert found.attrs["over"] == "visit, operator"
    assert float(found["sem"]) == pytest.approx(expected["value"])
    assert float(found["high"]) == pytest.approx(expected["high"])


def test_a_side_without_pairs_has_a_reason() -> None:
    table = pd.concat([of_people(6, {"visit": 2}).assign(side=side) for side in ("left", "right")])
    table.loc[table["side"].eq("right") & table["visit"].eq(1), "value"] = np.nan
    found = mb.retest_curves(table)
    assert np.isfinite(found["sem"].sel(side="left")).all()
    assert np.isnan(found["sem"].sel(side="right")).all()
    assert found["reason"].sel(side="right").item()
    drawn = mb.plot.retest_curves(found, side="right")
    assert found["reason"].sel(side="right").item() in {text.get_text() for text in drawn.texts}


def test_the_plot_shows_errors_and_people_of_each_side() -> None:
    table = pd.concat(
        [of_people(n, {"visit": 2}).assign(side=side) for n, side in ((9, "left"), (7, "right"))]
    ).assign(long_name="knee flexion", units="degree")
    found = mb.retest_curves(table, kind="consistency")
    ax = mb.plot.retest_curves(found)
    assert ax.get_title(loc="left") == "Knee flexion, n = 9 left, n = 7 right"
    assert ax.get_ylabel() == "SEM of consistency (degrees)"
    np.testing.assert_allclose(ax.lines[1].get_ydata(), found["sem"].sel(side="right"))
    assert ax.get_ylim()[0] == 0


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, demo: Path) -> Study:
    """Five people who squat twice; one visit failed, and one has no knee."""
    store = Store(tmp_path_factory.mktemp("curves") / "sessions")
    rng = np.random.default_rng(4)
    rows = ["session,visit"]
    for person in range(5):
        usual = rng.normal(1, 0.1)
        for visit in (1, 2):
            name = f"s{person}v{visit}"
            shutil.copytree(demo, store.path / name)
            session = store.session(name)
            angles = session.measured_angles()
            angles["knee_flexion"] = angles["knee_flexion"] * usual * rng.normal(1, 0.05)
            if (person, visit) == (2, 1):
                angles["knee_flexion"] = angles["knee_flexion"] * np.nan
                angles["knee_flexion"].attrs["refused"] = "it is hidden"
            changed = {"session_id": name, "user_id": f"p{person}"}
            if (person, visit) == (1, 2):
                changed |= {"state": "failed", "reason": "nobody was found in it"}
            put_result(session, "angles", angles, **changed)
            rows.append(f"{name},{visit}")
    file = store.path.parent / "study.csv"
    file.write_text("\n".join(rows) + "\n")
    made: Study = mb.read_study(file, store=store, curves=["knee_flexion", "no_angle"])
    return made


def test_curves_of_a_study_are_those_of_its_sessions(study: Study, demo: Path) -> None:
    curves = study.curves
    assert curves is not None
    assert set(curves["metric"]) == {"knee_flexion"}
    assert curves.groupby(["session_id", "side"]).size().eq(21).all()
    assert curves["session_id"].nunique() == 10
    reasons = curves.drop_duplicates("session_id").set_index("session_id")["reason"]
    assert reasons["s2v1"] == "it is hidden"
    assert "nobody was found" in reasons["s1v2"]
    assert reasons["s0v1"] == ""
    assert curves["value"].notna().eq(curves["reason"].eq("")).all()
    # The same as the mean of the person's curves, at every fifth percent.
    first = curves[curves["session_id"].eq("s0v1") & curves["side"].eq("left")]
    second = curves[curves["session_id"].eq("s0v2") & curves["side"].eq("left")]
    ratio = second["value"].to_numpy() / first["value"].to_numpy()
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-5)
    assert first["value"].to_numpy()[10] > 5 * first["value"].to_numpy()[0]


def test_one_curve_needs_no_list(tmp_path: Path, demo: Path) -> None:
    store = Store(tmp_path / "sessions")
    shutil.copytree(demo, store.path / "one")
    session = store.session("one")
    put_result(session, "angles", session.measured_angles(), session_id="one", user_id="ann")
    file = tmp_path / "study.csv"
    file.write_text("session\none\n")
    curves = mb.read_study(file, store=store, recordings="all", curves="knee_flexion").curves
    assert curves is not None
    assert set(curves["metric"]) == {"knee_flexion"}


def test_the_page_says_where_curves_repeat_and_what_has_none(study: Study, tmp_path: Path) -> None:
    study.write(tmp_path)
    again = Study.read(tmp_path)
    pd.testing.assert_frame_equal(again.curves, study.curves, check_dtype=False)
    curves = sections.curves_of(again, ["knee_flexion"])
    errors = sections.retest_curves(curves)
    assert [each.attrs["angle"] for each in errors] == ["knee_flexion"]
    words = sections.retest_curves_in_words(curves, errors)
    text = " ".join(re.sub(r"<[^>]+>", " ", str(words)).split())
    sem = errors[0]["sem"].sel(side="left")
    worst = float(sem["percent"][int(sem.argmax("percent"))])
    assert f"° ({float(errors[0]['low'].sel(side='left').max()):.1f} to" in text
    assert f" at {worst:.0f} %" in text
    both = "Knee flexion, left and Knee flexion, right"
    assert f"No curve for {both}: it is hidden (s2v1)" in text
    assert "nobody was found in it (s1v2)" in text
    table = sections.retest_rows(errors)
    assert table["sem"].max() == pytest.approx(float(errors[0]["sem"].max()))
    assert set(table["angle"]) == {"knee_flexion"}
    without = Study(again.table, again.sessions, again.columns)
    assert sections.retest_curves(sections.curves_of(without, [])) == []
    # No curve at all: the reasons stand there.
    lost = curves.assign(value=np.nan, reason="damaged")
    assert sections.retest_curves(lost) == []
    assert "No curve for Knee flexion" in str(sections.retest_curves_in_words(lost, []))
    assert "damaged (s0v1" in str(sections.retest_curves_in_words(lost, []))


def test_points_that_differ_by_rounding_are_one_and_people_are_counted_at_each() -> None:
    table = of_people(6, {"visit": 2})
    table.loc[table["visit"].eq(1), "percent"] += 1e-9
    table.loc[table["participant"].eq("p0") & table["percent"].round().eq(40), "value"] = np.nan
    found = mb.retest_curves(table).sel(side="")
    np.testing.assert_array_equal(found["percent"], PERCENT)
    assert found["participants"].values.tolist() == [6, 6, 5, 6, 6, 6]
    ax = mb.plot.retest_curves(found.expand_dims(side=[""]))
    assert ax.get_title(loc="left") == "Value, n = 5 to 6"


def test_an_angle_of_another_name_is_the_same_angle(demo: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "sessions")
    for name in ("one", "two"):
        shutil.copytree(demo, store.path / name)
        angles = store.session(name).measured_angles()
        if name == "two":
            angles["knee_flexion"].attrs["long_name"] = "bend of the knee"
        put_result(store.session(name), "angles", angles, session_id=name)
    curves = session_curves([store.session("one"), store.session("two")], ["knee_flexion"])
    assert not curves.duplicated(["session_id", "side", "percent"]).any()
    assert len(curves) == 2 * 2 * 21


def test_bad_input_is_one_line() -> None:
    table = of_people(3, {"visit": 2})
    angles = pd.concat([table.assign(metric=name) for name in ("knee_flexion", "hip_flexion")])
    for call, says in (
        (lambda: mb.retest_curves(None, "knee_flexion"), "read it with curves=True"),
        (lambda: mb.retest_curves(table.drop(columns="percent")), "no column 'percent'"),
        (lambda: mb.retest_curves(angles), "choose one of the angles knee_flexion, hip_flexion"),
        (lambda: mb.retest_curves(angles, "knee_flexon"), "did you mean 'knee_flexion'"),
        (lambda: mb.retest_curves(table.drop(columns="visit")), "no participant was measured"),
        (lambda: mb.retest_curves(pd.concat([table, table])), "occurs twice"),
        (lambda: mb.retest_curves(table[:0]), "has no row"),
        (lambda: mb.retest_curves(table, kind="both"), "kind"),
        (lambda: mb.retest_curves(table.assign(percent="x")), "percent"),
        (lambda: mb.retest_curves(table.assign(side="L")), "'L' is not left, right or empty"),
        (lambda: mb.retest_curves(table.assign(units=["degree", "radian"] * 18)), "units"),
        (lambda: mb.plot.retest_curves(table), "Dataset from mobility.retest_curves"),
        (lambda: mb.plot.retest_curves(mb.retest_curves(table), side="left"), "no side 'left'"),
    ):
        with pytest.raises(BadInputError, match=says) as error:
            call()
        assert "\n" not in str(error.value)
