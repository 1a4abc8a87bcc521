"""Plots for notebooks: what is on the Axes, read from the Axes."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import mobility as mb
from mobility.errors import BadInputError
from mobility.kinematics.angles import joint_angles
from mobility.kinematics.repetitions import find_repetitions, normalise_repetitions
from mobility.plotting.axes import COLOURS

mpl.use("agg")


@pytest.fixture(scope="module")
def trial(squat_pose: Any) -> tuple[xr.Dataset, xr.Dataset, xr.Dataset]:
    """Pose, angles and repetitions of three squats, the second of them rejected."""
    pose = squat_pose(tibia=(30.0, 20.0), thigh=(0.0, 20.0)).pose
    repetitions = find_repetitions(pose)
    repetitions["accepted"] = ("rep", np.array([True, False, True]))
    return pose, joint_angles(pose), repetitions


@pytest.fixture(autouse=True)
def closed() -> Any:
    yield
    from matplotlib import pyplot

    pyplot.close("all")


def drawn(axis: Any, side: str) -> list[np.ndarray]:
    """Curves of a side, the thinnest first."""
    lines = [line for line in axis.lines if line.get_color() == COLOURS[side]]
    return [line.get_ydata() for line in sorted(lines, key=lambda line: line.get_linewidth())]


def test_a_curve_is_the_angle_with_its_band_on_the_axes_given(trial: Any) -> None:
    from matplotlib import pyplot

    _, angles, repetitions = trial
    _, ax = pyplot.subplots()
    assert mb.plot.curves(angles, "hip_flexion", repetitions=repetitions, ax=ax) is ax
    (left,) = drawn(ax, "left")
    np.testing.assert_array_equal(left, angles["hip_flexion"].sel(side="left"))
    low, high = np.percentile(ax.collections[0].get_paths()[0].vertices[:, 1], [0, 100])
    sd = angles["hip_flexion_sd"].sel(side="left").values
    assert high == pytest.approx(np.nanmax(left + 1.96 * sd))
    assert low == pytest.approx(np.nanmin(left - 1.96 * sd))
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["Left", "Right"]
    assert ax.get_title(loc="left").startswith("Hip flexion")
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Time (s)", "Degrees")
    # Of what was refused altogether it is said why.
    refused = (angles["hip_flexion"] * np.nan).assign_attrs(refused="it is too uncertain")
    none = mb.plot.curves(angles.assign(hip_flexion=refused), "hip_flexion")
    assert [text.get_text() for text in none.texts] == ["it is too uncertain"]
    assert not ax.texts


def test_the_mean_of_the_repetitions_leaves_the_rejected_one_out(trial: Any) -> None:
    _, angles, repetitions = trial
    ax = mb.plot.repetitions(angles, repetitions, "knee_flexion")
    each = normalise_repetitions(angles[["knee_flexion"]], repetitions)["knee_flexion"]
    *single, mean = drawn(ax, "right")
    assert len(single) == 2
    np.testing.assert_allclose(mean, each.sel(side="right").mean("rep"), rtol=1e-12)
    # A band of the spread needs three.
    for accepted, bands in ((True, 2), (False, 0)):
        given = repetitions.assign(accepted=("rep", np.full(3, accepted)))
        shown = mb.plot.repetitions(angles, given, "knee_flexion")
        assert len(shown.collections) == bands
    assert len(ax.collections) == 0
    assert [text.get_text() for text in shown.texts] == ["no accepted repetition"]


def test_the_body_is_lowest_where_no_time_is_given_and_mirrored_between_views(trial: Any) -> None:
    pose, _, repetitions = trial

    def hips(ax: Any) -> float:
        return max(float(np.nanmax(line.get_ydata())) for line in ax.lines)

    lowest, standing = mb.plot.body(pose), mb.plot.body(pose, 0.0)
    assert hips(lowest) < hips(standing)
    shown = float(lowest.get_title(loc="left").partition(" s")[0])
    assert np.abs(repetitions["bottom"] - shown).min() <= 0.25  # its pause
    assert standing.get_aspect() == 1.0
    left, right = (  # the mean of all drawn points: where the trunk leans to
        np.mean([np.nanmean(line.get_xdata()) for line in mb.plot.body(pose, view=view).lines[1:]])
        for view in ("left", "right")
    )
    assert left == pytest.approx(-right, abs=0.02)


def test_two_trials_are_told_apart_and_one_side_can_be_chosen(trial: Any) -> None:
    _, angles, repetitions = trial
    shifted = angles.assign(knee_flexion=angles["knee_flexion"] + 10)
    ax = mb.plot.compare(angles, shifted, side="left", labels=("before", "after"))
    assert ax.get_legend_handles_labels()[1] == ["before, left", "after, left"]
    first, second = (line.get_ydata() for line in ax.lines)
    np.testing.assert_allclose(second - first, 10, rtol=0, atol=1e-9)
    means = mb.plot.compare(angles, shifted, side="left", repetitions=(repetitions, repetitions))
    np.testing.assert_allclose(means.lines[1].get_ydata() - means.lines[0].get_ydata(), 10)
    assert means.get_xlabel() == "Repetition (%)"


def test_bland_altman_shows_bias_and_limits_of_the_agreement(trial: Any) -> None:
    _, angles, repetitions = trial
    lab = angles[["knee_flexion"]] - 4.0
    compared = mb.agreement(angles[["knee_flexion"]], lab, repetitions)
    ax = mb.plot.bland_altman(compared, side="left")
    (marks,) = (line for line in ax.lines if line.get_marker() == "o")
    np.testing.assert_allclose(marks.get_ydata(), [4.0] * compared.sizes["rep"])
    assert "+4.0" in {text.get_text() for text in ax.texts}


def squats_of(people: int, *, deeper: float = 0.0) -> list[xr.Dataset]:
    """A recording of each, as of normalise, with an error of 4 degrees; the right is 10 less."""
    percent = np.linspace(0, 100, 101)
    shape = (100 + deeper) * np.sin(np.pi * percent / 100)
    rng = np.random.default_rng(1)
    both = [shape[:, None] + rng.normal(0, 3) - [0, 10] for _ in range(people)]
    over = ("rep", "percent", "side")
    return [
        xr.Dataset(
            {
                "knee_flexion": (over, each[None], {"units": "degree"}),
                "knee_flexion_sd": (over, each[None] * 0 + 4),
            },
            {"rep": [1], "percent": percent, "side": ["left", "right"]},
        )
        for each in both
    ]


def values_of(people: int, visits: int) -> pd.DataFrame:
    """Long table: the left of each person rises by 2 degrees from visit to visit."""
    rng = np.random.default_rng(2)
    base = dict(zip(range(people), rng.normal(100, 8, people), strict=True))
    rows = [
        {
            "participant": f"p{i}",
            "visit": v,
            "side": side,
            "value": base[i] + 2 * v * (side == "left"),
        }
        for i in base
        for v in range(visits)
        for side in ("left", "right")
    ]
    return pd.DataFrame(rows).assign(metric="knee_flexion", units="degree")


def changes_of(people: int, visits: int) -> pd.DataFrame:
    """The same as a table of changes, of which 5 degrees can be detected."""
    rows = values_of(people, visits).rename(columns={"participant": "user_id"})
    first = rows.groupby(["user_id", "side"])["value"].transform("first")
    rows = rows.assign(sd=3.0, mdc95=5.0, change=rows["value"] - first)
    rows["date"] = pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(7 * rows["visit"], "D")
    rows["verdict"] = np.where(rows["change"].abs() > 5, "larger", "within error")
    return rows


def labels(axis: Any) -> list[str]:
    return [text.get_text() for text in axis.get_legend().get_texts()]


def test_a_group_has_its_mean_with_the_band_and_the_number_of_people() -> None:
    curves = mb.mean_curves(squats_of(6), participants=list("abcdef"))
    (ax,) = mb.plot.group_curves(curves)
    assert labels(ax) == ["Left, n = 6", "Right, n = 6", "95 % band, whole curve"]
    one = curves.sel(group="all", side="left")
    np.testing.assert_allclose(drawn(ax, "left")[0], one["mean"])
    band = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert band.max() == pytest.approx(one["upper_whole"].max().item())
    # The model's error is beside the band, which does not hold it.
    (bar,) = (line.get_ydata() for line in ax.lines if len(line.get_ydata()) == 2)
    assert np.ptp(bar) == pytest.approx(2 * 1.96 * 4)
    (few,) = mb.plot.group_curves(mb.mean_curves(squats_of(3), participants=list("abc")))
    assert "95 % interval, each point" in labels(few)
    (two,) = mb.plot.group_curves(mb.mean_curves(squats_of(2), participants=list("ab")))
    assert labels(two) == ["Left, n = 2", "Right, n = 2"]
    (spread,) = mb.plot.group_curves(curves, side="right", band="sd")
    assert labels(spread) == ["Right, n = 6", "± 1 SD between people"]
    assert spread.get_title(loc="left") == "Knee_flexion, right"


def test_groups_have_a_panel_for_each_side_with_what_differs_below() -> None:
    trials = squats_of(6) + squats_of(6, deeper=30)
    who = [f"p{i}" for i in range(12)]
    curves = mb.mean_curves(trials, groups=["a"] * 6 + ["b"] * 6, participants=who)
    test = mb.compare_curves(curves, "a", "b", paired=False)
    left, right = mb.plot.group_curves(curves, test=test)
    for ax, side in ((left, "left"), (right, "right")):
        assert ax.get_title(loc="left").endswith(side)
        assert labels(ax)[:2] == ["a, n = 6", "b, n = 6"]
        (marked,) = (line.get_xdata() for line in ax.lines if line.get_linewidth() == 4)
        of_side = test["cluster_side"].values == side
        np.testing.assert_array_equal(
            marked, [test["cluster_start"][of_side].item(), test["cluster_end"][of_side].item()]
        )
        assert test["cluster_p"][of_side].item() < 0.001
        assert "p < 0.001" in {text.get_text() for text in ax.texts}
    assert left.get_ylim() == right.get_ylim()
    views = np.array(["front"] * 6 + ["left"] * 6, dtype=object)
    filmed = mb.compare_curves(curves.assign(trial_view=("trial", views)), "a", "b", paired=False)
    (warned,) = mb.plot.group_curves(curves, test=filmed, side="left")
    assert any("filmed from different views" in text.get_text() for text in warned.texts)
    assert not any("filmed from different views" in text.get_text() for text in left.texts)
    same = mb.plot.group_curves(curves, test=test.isel(cluster=[]), side="left")[0]
    assert "no difference found" in {text.get_text() for text in same.texts}
    none = curves.sel(group=["a"]).assign(
        n_at=curves["n_at"] * 0, reason=curves["reason"] + "too dark"
    )
    assert "too dark" in {text.get_text() for text in mb.plot.group_curves(none)[0].texts}


def test_changes_are_filled_beyond_what_can_be_detected() -> None:
    changes = changes_of(4, 4)
    ax = mb.plot.change(changes)
    filled = [
        value
        for line in ax.lines
        if line.get_marker() == "o" and line.get_markerfacecolor() == COLOURS["left"]
        for value in line.get_ydata()
    ]
    assert filled == pytest.approx([6.0] * 4)
    assert max(ax.patches[0].get_corners()[:, 1]) == 5
    assert [t.get_text() for t in ax.get_xticklabels()] == [f"{v}\nn = 4" for v in range(1, 5)]
    (left,) = (line for line in ax.lines if line.get_linewidth() == 2.4 and line.get_ls() == "-")
    np.testing.assert_allclose(left.get_ydata(), [0, 2, 4, 6])
    person = mb.plot.change(changes, participant="p2", side="right")
    of_person = changes[changes["user_id"].eq("p2") & changes["side"].eq("right")]
    np.testing.assert_allclose(person.lines[2].get_ydata(), of_person["value"])
    middle = np.mean([edge.get_ydata()[0] for edge in person.lines[:2]])
    assert middle == pytest.approx(of_person["value"].iloc[0])
    assert person.get_xlabel() == "Days since the first session"


def test_reliability_shows_differences_of_visits_and_everybody() -> None:
    table = values_of(8, 2)
    table.loc[3, "value"] = np.nan  # the right of the first person, second visit
    noise = np.random.default_rng(3).normal(0, 1, len(table))
    table["value"] += noise
    again = pd.concat([table, table.iloc[:1].assign(value=table["value"].iloc[0] + 2)])
    differences, lines = mb.plot.reliability(again)
    assert differences.get_title(loc="left") == "Knee flexion: 8 people, 15 pairs, 1 incomplete"
    (left,) = (line for line in differences.lines if line.get_marker() == "o")
    wide = table[table["side"].eq("left")].pivot(
        index="participant", columns="visit", values="value"
    )
    expected = (wide[1] - wide[0]).to_numpy(copy=True)
    expected[0] -= 1  # two values of one visit are averaged
    np.testing.assert_allclose(left.get_ydata(), expected)
    assert [t.get_text() for t in lines.get_xticklabels()] == ["0\nn = 8", "1\nn = 8"]
    assert len([line for line in lines.lines if line.get_linewidth() == 0.8]) == 16
    # A person without any value is counted; operators may take the place of visits.
    none = table.assign(value=table["value"].where(table["participant"].ne("p7")))
    by = none.drop(columns=["side", "units", "metric"])[none["side"].eq("left")]
    differences, lines = mb.plot.reliability(
        by.rename(columns={"visit": "operator"}), over="operator"
    )
    assert differences.get_title(loc="left") == "Value: 7 people, 7 pairs, 1 incomplete"
    assert (differences.get_ylabel(), lines.get_xlabel()) == (
        "Later minus first operator",
        "Operator",
    )


def test_bad_input_is_one_line(trial: Any) -> None:
    pose, angles, reps = trial
    plot, agreement = mb.plot, mb.agreement(angles, angles, reps)
    group, table = mb.mean_curves(squats_of(2), participants=["a", "b"]), values_of(3, 2)
    for draw, says in (
        (lambda: plot.curves(angles, "knee_flexon"), "knee_flexion"),
        (lambda: plot.repetitions(angles, reps, "knees"), "no angle 'knees'"),
        (lambda: plot.compare(angles, angles, "hip"), "no angle 'hip'"),
        (lambda: plot.body(pose, view="back"), "'left', 'right' or 'front'"),
        (lambda: plot.body(angles), "body: pose: not a pose Dataset"),
        (lambda: plot.body(pose * np.nan), "not seen in any frame"),
        (lambda: plot.bland_altman(agreement, metric="peek"), "peak"),
        (lambda: plot.group_curves(angles), "Dataset from mobility.mean_curves"),
        (lambda: plot.group_curves(group, test=angles), "Dataset from mobility.compare_curves"),
        (lambda: plot.change(table), "DataFrame from cohort.changes; it has no user_id"),
        (lambda: plot.change(changes_of(2, 2), participant="p9"), "'p9' does not have two"),
        (lambda: plot.change(3), "must be a DataFrame"),
        (lambda: plot.change(changes_of(2, 2).astype({"date": str})), "'date' must be dates"),
        (lambda: plot.reliability(table.astype({"value": str})), "'value' must be numbers"),
        (lambda: plot.change(changes_of(2, 2)[:0]), "the table is empty"),
        (lambda: plot.reliability(table, "hip_flexion"), "no metric 'hip_flexion'"),
        (lambda: plot.reliability(table[table["visit"].eq(0)]), "only one visit"),
        (lambda: plot.reliability(table, over="operator"), "no column 'operator'"),
        (lambda: plot.reliability(table, axes=plot), "two Axes"),
    ):
        with pytest.raises(BadInputError, match=says) as error:
            draw()
        assert "\n" not in str(error.value)
