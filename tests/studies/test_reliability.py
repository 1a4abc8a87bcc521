"""A long table of a study gives published statistics, and loses no value silently."""

from __future__ import annotations

import numpy as np
import pandas as pd
import published
import pytest

from mobility.base.formatting import MISSING
from mobility.errors import BadInputError
from mobility.studies.reliability import COLUMNS, reliability
from mobility.studies.statistics import mixed_model
from mobility.studies.statistics.limits_of_agreement import bland_altman
from mobility.studies.statistics.reliability_coefficients import (
    intraclass_correlation,
    mdc95,
    measurement_error,
    weighted_kappa,
)


def long(table, *, way="visit", metric="knee_flexion", units="degree", **more):
    """Rows of values over (participant, level)."""
    who, level = (each.ravel() for each in np.indices(np.shape(table)))
    names = {"participant": [f"P{i + 1}" for i in who], way: level + 1}
    values = {"metric": metric, "side": "left", "value": np.ravel(table), "units": units}
    return pd.DataFrame(names | values | more)


def rows(results, statistic, **where):
    table = results.statistics[results.statistics["statistic"] == statistic]
    for name, value in where.items():
        table = table[table[name] == value]
    return table


def one(results, statistic, **where):
    chosen = rows(results, statistic, **where)
    assert len(chosen) == 1, (statistic, where, len(chosen))
    return chosen.iloc[0]


def ends(row):
    return [row["value"], row["low"], row["high"]]


def test_shrout_and_fleiss_from_a_long_table():
    table = published.SHROUT_FLEISS
    results = reliability(long(table, way="operator").sample(frac=1, random_state=1))
    assert tuple(results.statistics.columns) == COLUMNS
    for form in ("A,1", "C,1", "A,k", "C,k"):
        row = one(results, "icc", form=f"ICC({form})")
        assert ends(row) == pytest.approx(intraclass_correlation(table, form=form)[1:4])
        assert (row["participants"], row["values"], row["units"]) == (6, 24, "1")
        assert row["over"] == "operator"
        assert row["method"] == "analysis of variance"
    for kind in ("agreement", "consistency"):
        expected = measurement_error(table, kind=kind)[1:4]
        assert ends(one(results, "sem", form=kind)) == pytest.approx(expected)
        change = one(results, "mdc95", form=kind)
        assert ends(change) == pytest.approx([mdc95(x) for x in expected])
        assert change["units"] == "degree"
    parts = rows(results, "component").set_index("of")["value"]
    assert parts.round(2).to_dict() == {"participant": 1.60, "operator": 2.29, "residual": 1.01}


def test_a_residual_that_is_not_the_standard_error_of_measurement_says_why():
    """Visits that differ less than by chance count as alike, of which the residual (REML) knows."""
    rng = np.random.default_rng(3)
    values = rng.normal(100, 9, (12, 1)) + rng.normal(0, 4, (12, 2))
    apart = values - values.mean(axis=0) + values.mean()  # both visits have one mean
    results = reliability(long(apart))
    sem = one(results, "sem", form="consistency")["value"]
    assert one(results, "component", of="residual")["value"] < 0.97 * sem
    assert "visit is estimated as zero" in one(results, "component", of="residual")["note"]
    differing = reliability(long(values + np.array([0.0, 9.0])))
    residual = one(differing, "component", of="residual")
    assert residual["note"] == ""
    assert residual["value"] == pytest.approx(one(differing, "sem", form="consistency")["value"])
    change = one(differing, "mdc95", form="consistency")
    assert change["within"] == pytest.approx(0.924, abs=5e-4)  # 11 degrees of freedom


def test_peak_flow_changes_as_bland_and_altman_printed():
    wright = published.PEFR[:, :2]
    results = reliability(long(wright, units="l/min"))
    change = one(results, "change")
    expected = bland_altman(wright[:, 1], wright[:, 0])
    assert change["of"] == "visit 2 − visit 1"
    assert ends(change) == pytest.approx([expected.bias, expected.bias_low, expected.bias_high])
    limit = ends(one(results, "limit_high"))
    assert limit == pytest.approx([expected.upper, expected.upper_low, expected.upper_high])
    # "The coefficient of repeatability is 43.2 l/min", twice the root mean square difference.
    within = one(results, "sem", form="consistency")["value"]
    assert 2 * np.sqrt(2 * within**2 + 0) == pytest.approx(43.2, abs=0.5)
    from scipy import stats

    assert change["p"] == pytest.approx(stats.ttest_rel(*wright.T).pvalue)


def test_each_value_without_a_number_is_counted_with_its_reason():
    table = long(published.SHROUT_FLEISS[:, :2], sd=2.0, reason="")
    table.loc[[3, 4], "value"] = np.nan
    table.loc[3, "reason"] = "seen from the side"
    table = pd.concat([table, table.assign(metric="hip_flexion", value=np.arange(12.0) ** 2)])
    results = reliability(table)
    row = one(results, "icc", form="ICC(C,1)", metric="knee_flexion")
    assert (row["participants"], row["values"]) == (4, 10)
    assert (row["refused"], row["missing"]) == (1, 1)
    assert row["method"] == "REML"
    whole = one(results, "icc", form="ICC(C,1)", metric="hip_flexion")
    assert (whole["values"], whole["refused"], whole["missing"]) == (12, 0, 0)
    assert results.without_value.to_dict("records") == [
        {"metric": "knee_flexion", "side": "left", "reason": reason, "values": 1, "participants": 1}
        for reason in ("seen from the side", "no reason given")
    ]
    assert one(results, "stated_sd", metric="knee_flexion")["value"] == pytest.approx(2)
    assert one(results, "change", metric="knee_flexion")["participants"] == 4
    # All are measured: the other metric has a value where this one has none.
    assert results.flow["step"].tolist() == [
        *("in the study", "with a value", "visit 1", "visit 2", "measured every time")
    ]
    assert results.flow["participants"].tolist() == [6, 6, 6, 6, 6]
    alone = reliability(table, metrics=["knee_flexion"]).flow.set_index("step")
    assert alone.loc["in the study"].tolist() == [6, 12]
    assert alone.loc["without any value: seen from the side"].tolist() == [1, 1]
    assert alone.loc["without any value: no reason given"].tolist() == [1, 1]
    assert alone.loc["measured every time"].tolist() == [4, 8]


def test_a_search_without_an_end_leaves_a_sentence_in_place_of_each_error(monkeypatch):
    monkeypatch.setattr(mixed_model, "_STEPS", 1)
    results = reliability(long(published.SHROUT_FLEISS[:, :3]).drop(index=4))
    for statistic in ("icc", "sem", "mdc95", "component"):
        row = one(results, statistic)
        assert np.isnan(row["value"])
        assert "the search for the most likely variances did not converge" in row["reason"]
    assert results.paper_table()["SEM"].tolist() == [MISSING]


@pytest.mark.parametrize("again", [1, 2, 3])
def test_people_who_were_measured_once_say_nothing_of_an_error(again):
    table = long(np.random.default_rng(2).normal(50, 8, (12, 1)) + np.array([0.0, 1.0]))
    table["value"] += np.random.default_rng(3).normal(0, 2, 24)
    names = ["P1", "P2", "P3"][:again]
    table = table[table["visit"].eq(1) | table["participant"].isin(names)]
    results = reliability(table)
    has = {1: "one person has", 2: "2 people have"}.get(again)
    why = f"{has} values from two measurements; 3 are needed" if has else ""
    for statistic in ("sem", "mdc95", "icc"):
        for _, row in rows(results, statistic).iterrows():
            assert row["participants"] == again
            assert np.isnan(row["value"]) == (again < 3)
            assert row["reason"] == why
            assert row["method"] == ("REML" if again > 2 else "")
    assert results.paper_table()["n"].tolist()[0] == again
    change = one(results, "change")
    assert change["participants"] == again
    assert "alone" not in change["reason"]


def test_what_has_no_value_has_no_method():
    """One refused measure would make a paragraph on methods say that errors are of REML."""
    table = pd.concat(
        [long(published.SHROUT_FLEISS[:, :2]), long(np.full((6, 2), np.nan), metric="hip_flexion")]
    )
    found = reliability(table).statistics
    none = found["value"].isna()
    assert set(found.loc[none, "method"]) == {""}
    assert set(found.loc[~none & found["statistic"].eq("sem"), "method"]) == {
        "analysis of variance"
    }


def study(seed=0, people=12, **variances):
    """Two operators, two visits, two trials; variances of the terms, 0 if not named."""
    rng = np.random.default_rng(seed)
    shape = (people, 2, 2, 2)
    sizes = {
        "participant": (people, 1, 1, 1),
        "operator": (1, 2, 1, 1),
        "visit": (1, 1, 2, 1),
        "between_visits": (people, 1, 2, 1),
        "trial": shape,
    }
    y = sum(
        (rng.normal(0, variances.get(name, 0.0) ** 0.5, size) for name, size in sizes.items()),
        np.zeros(shape),
    )
    labels = ("participant", "operator", "visit", "trial")
    table = pd.DataFrame(dict(zip(labels, (i.ravel() for i in np.indices(shape)), strict=True)))
    return table.assign(metric="depth", value=y.ravel() + 100.0)


def test_errors_of_visits_operators_and_trials_are_told_apart():
    results = reliability(study(3, people=80, participant=64, between_visits=9, trial=4))
    sem = {(row["over"], row["form"]): row["value"] for _, row in rows(results, "sem").iterrows()}
    assert sem[("trial", "within")] == pytest.approx(2, rel=0.12)
    assert sem[("operator", "consistency")] == pytest.approx(2, rel=0.12)
    assert sem[("visit", "consistency")] == pytest.approx(13**0.5, rel=0.12)
    assert sem[("visit, operator", "consistency")] == pytest.approx(13**0.5, rel=0.12)
    icc = one(results, "icc", over="trial", form="ICC(1)")
    assert icc["value"] == pytest.approx(73 / 77, abs=0.03)
    between = one(results, "icc", over="visit", form="ICC(C,1)")
    assert between["value"] == pytest.approx(64 / 77, abs=0.05)
    mean = one(results, "icc", over="visit", form="ICC(C,k)")
    assert mean["value"] == pytest.approx(64 / (64 + 13 / 2), abs=0.05)
    zero = one(results, "component", of="operator")
    assert zero["low"] == 0
    assert (zero["note"] != "") == (zero["value"] == 0)
    assert set(rows(results, "change")["over"]) == {"visit", "operator"}
    # Trials are paired with those of the same number.
    assert (rows(results, "change")["values"] == 640).all()


def test_dates_of_visits_are_within_participants_and_trials_are_paired_in_their_order():
    table = long(published.PEFR[:, :2])
    dates = table.assign(visit=[f"2026-{1 + i // 28}-{1 + i % 28}" for i in range(len(table))])
    results = reliability(dates)
    row = one(results, "icc", form="ICC(1)")
    # One way, Shrout and Fleiss's 1,1: mean squares between and within.
    values = published.PEFR[:, :2]
    between, within = 2 * values.mean(axis=1).var(ddof=1), (np.diff(values) ** 2).mean() / 2
    assert row["value"] == pytest.approx((between - within) / (between + within), rel=1e-4)
    mean = one(results, "icc", form="ICC(k)")
    assert mean["value"] == pytest.approx((between - within) / between, rel=1e-4)
    assert one(results, "sem", form="within")["value"] == pytest.approx(within**0.5, rel=1e-4)
    assert "each visit belongs to only one participant" in one(results, "change")["reason"]
    plain = study(5, participant=4, trial=1)
    later = plain.assign(trial=plain["trial"] + 2 * plain["visit"])
    for way in ("visit", "operator"):
        expected = ends(one(reliability(plain), "change", over=way))
        assert ends(one(reliability(later), "change", over=way)) == pytest.approx(expected)


def test_trials_alone_are_what_visits_are():
    table = long(published.PEFR[:, :2], way="trial")
    by_trial, by_visit = reliability(table), reliability(table.rename(columns={"trial": "visit"}))
    values = by_trial.statistics["value"]
    assert values.tolist() == pytest.approx(by_visit.statistics["value"].tolist(), nan_ok=True)


def test_scores_have_a_kappa_in_place_of_a_correlation():
    scores = np.array([[0, 0], [1, 1], [2, 1], [3, 3], [1, 0], [2, 2], [3, 1], [2, 2]])
    results = reliability(long(scores, metric="fms", units="1"), ordinal=["fms"])
    assert set(results.statistics["statistic"]) == {"kappa"}
    as_text = reliability(long(scores, metric="fms", units="1"), metrics="fms", ordinal="fms")
    pd.testing.assert_frame_equal(as_text.statistics, results.statistics)
    for weights in ("linear", "quadratic"):
        row = one(results, "kappa", form=weights)
        assert ends(row) == pytest.approx(weighted_kappa(scores, weights=weights)[1:4])
        assert (row["participants"], row["values"]) == (8, 16)
    several = reliability(study(participant=4).assign(value=1), ordinal=["depth"]).statistics
    assert several["value"].isna().all()
    assert several["reason"].str.contains("keep one recording for each").all()


def test_levels_have_an_order_and_a_change_names_them():
    table = long(published.PEFR[:, :3])
    named = table.assign(visit=table["visit"].map({1: "before", 2: "after", 3: "later"}))
    assert rows(reliability(named), "change")["of"].tolist() == ["after − before", "later − before"]
    categories = pd.Categorical(named["visit"], ["later", "before", "after"])
    ordered = reliability(named.assign(visit=categories))
    assert rows(ordered, "change")["of"].tolist() == ["before − later", "after − later"]
    tens = table.assign(visit=table["visit"].map({1: 2, 2: 10, 3: 1}))
    assert rows(reliability(tens), "change")["of"].tolist() == [
        "visit 2 − visit 1",
        "visit 10 − visit 1",
    ]


def test_too_little_is_refused_with_its_reason():
    results = reliability(long(published.SHROUT_FLEISS[:2]))
    reasons = set(results.statistics["reason"])
    assert "SEM: 2 people have all values; 3 are needed" in reasons
    assert "limits of agreement: 2 people have both values; 3 are needed" in reasons
    assert (
        results.statistics["value"]
        .drop(results.statistics.index[results.statistics["statistic"] == "change"])
        .isna()
        .all()
    )
    assert (results.statistics["reason"] != "").all()
    nothing = long(published.SHROUT_FLEISS).assign(value=np.nan)
    both = reliability(pd.concat([nothing, long(published.SHROUT_FLEISS, metric="other")]))
    refused = both.statistics[both.statistics["metric"] == "knee_flexion"]
    assert refused["value"].isna().all()
    assert (refused["reason"] != "").all()
    assert (refused["missing"] == 24).all()


def test_the_table_of_a_paper():
    table = long(published.SHROUT_FLEISS)
    again = long(published.SHROUT_FLEISS[:2], metric="other")
    paper = reliability(pd.concat([table, again])).paper_table()
    given, refused = paper.to_numpy().tolist()
    assert given[:5] == ["knee_flexion", "left", "visit", "degree", 6]
    # Of the mean squares that Shrout and Fleiss print: √(1.02 + (32.49 - 1.02) / 6) = 2.503.
    values = [text.partition(" (")[0] for text in given[5:]]
    assert values == ["0.29", "2.5", "6.9"]
    assert refused[5:] == ["–", "–", "–"]
    trials = reliability(study(3, people=30, participant=64, trial=4)).paper_table()
    assert trials.set_index("Over").loc["trial", "SEM"].startswith("2.")
    assert not paper.duplicated(["Measure", "Side", "Over"]).any()


def test_bad_tables_say_what_to_do():
    table = long(published.SHROUT_FLEISS)
    for given, options, message in (
        (table.rename(columns={"participant": "participants"}), {}, "no column participant; did"),
        (table.drop(columns="visit"), {}, "measured repeatedly"),
        (table.assign(visit=1), {}, "measured repeatedly"),
        (table.iloc[:0], {}, "has no row"),
        (pd.concat([table, table.iloc[:1]]), {}, "of participant P1, visit 1 occurs twice"),
        (table.assign(value="many"), {}, "row 1: value must be a number"),
        (table.assign(value=np.inf), {}, "row 1: value must be a number"),
        (table.assign(participant=[""] + ["P"] * 23), {}, "row 1 has no participant"),
        (table.assign(units=["m"] + ["s"] * 23), {}, "different units"),
        (table, {"metrics": ["knee_flexio"]}, "did you mean 'knee_flexion'"),
        (table, {"ordinal": ["fms"]}, "ordinal 'fms'"),
        (published.SHROUT_FLEISS, {}, "DataFrame"),
    ):
        with pytest.raises(BadInputError, match=message):
            reliability(given, **options)
