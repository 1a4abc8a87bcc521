"""Variance components: commanded ones are found, in designs of every kind."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from mobility.errors import BadInputError
from mobility.studies.statistics import components, mixed_model
from mobility.studies.statistics.components import parts, variance_components
from mobility.studies.statistics.reliability_coefficients import mean_squares

CROSSED = {
    "participant": 9.0,
    "operator": 1.0,
    "visit": 0.5,
    "participant × operator": 2.0,
    "participant × visit": 1.0,
    "operator × visit": 0.3,
    "residual": 1.5,
}


def crossed(rng, sizes, variances=CROSSED, trials=1):
    """Values and labels of participants × operators × visits, with `trials` in each cell."""
    codes = dict(
        zip(
            ("participant", "operator", "visit", "trial"),
            (each.ravel() for each in np.indices((*sizes, trials))),
            strict=True,
        )
    )
    y = np.zeros(codes["participant"].size)
    for term, variance in variances.items():
        if term == "residual":
            y += rng.normal(0, variance**0.5, y.size)
        else:
            _, level = np.unique(
                np.stack([codes[name] for name in term.split(" × ")]), axis=1, return_inverse=True
            )
            y += rng.normal(0, variance**0.5, level.max() + 1)[level.ravel()]
    del codes["trial"]
    return y, codes


def test_commanded_variances_are_found():
    y, labels = crossed(np.random.default_rng(1), (30, 8, 8))
    estimate = variance_components(y, labels)
    assert estimate.terms == tuple(CROSSED)
    assert (estimate.participants, estimate.values) == (30, 30 * 64)
    assert estimate.freedom.tolist() == [29, 7, 7, 203, 203, 49, 1421]
    for term, commanded in CROSSED.items():
        low, high = estimate.interval({term: 1.0})
        assert low <= commanded <= high, term
        assert low < estimate.sum({term: 1.0}) < high
    within = estimate.sum({"participant × operator": 1.0, "residual": 1.0})
    assert within == pytest.approx(3.5, rel=0.1)


def test_repeated_trials_are_told_from_what_operator_and_visit_do_together():
    """Commanded: people 5, person on an operator's visit 2, trial 1, in 80 people."""
    rng = np.random.default_rng(1)
    person, operator, visit, _ = cells = np.indices((80, 2, 2, 3))
    values = (
        rng.normal(0, 5, 80)[person]
        + rng.normal(0, 2, (80, 2, 2))[person, operator, visit]
        + rng.normal(0, 1, person.shape)
    )
    names = ("participant", "operator", "visit")
    factors = {name: each.ravel().tolist() for name, each in zip(names, cells, strict=False)}
    result = variance_components(values.ravel(), factors)
    sds = dict(zip(result.terms, np.sqrt(result.variances), strict=True))
    assert sds["residual"] == pytest.approx(1, abs=0.1)
    assert sds["participant × operator × visit"] == pytest.approx(2, abs=0.25)
    assert sds["participant"] == pytest.approx(5, abs=1)


def test_a_balanced_table_gives_what_its_analysis_of_variance_gives():
    rng = np.random.default_rng(2)
    table = rng.normal(0, 3, (9, 1)) + rng.normal(0, 2, (1, 4)) + rng.normal(0, 1, (9, 4))
    who, visit = (each.ravel() for each in np.indices(table.shape))
    estimate = variance_components(table.ravel(), {"participant": who, "visit": visit})
    assert estimate.terms == ("participant", "visit", "residual")
    _, _, rows, columns, error = mean_squares(table)
    by_hand = [(rows - error) / 4, (columns - error) / 9, error]
    assert estimate.variances == pytest.approx(by_hand, rel=1e-6)
    # The residual's interval is that of chi-square with 24 degrees of freedom.
    assert estimate.interval({"residual": 1.0}) == pytest.approx(
        (24 * error / 39.364, 24 * error / 12.401), rel=1e-4
    )
    # Of a ratio it is the F interval of the consistency.
    draws = estimate.draws({"participant": 1.0}), estimate.draws({"residual": 1.0})
    low = np.quantile(draws[0] / (draws[0] + draws[1]), 0.025)
    ratio = rows / error / 2.7791  # F of 8 and 24 degrees of freedom, 97.5 %
    assert low == pytest.approx((ratio - 1) / (ratio + 3), abs=5e-3)


def deviance(y, labels, variances):
    """-2 log restricted likelihood, written down plainly."""
    covariance = variances["residual"] * np.eye(len(y))
    for term, variance in variances.items():
        if term != "residual":
            codes = np.stack([labels[name] for name in term.split(" × ")])
            same = (codes[:, :, None] == codes[:, None, :]).all(axis=0)
            covariance += variance * same
    inverse = np.linalg.inv(covariance)
    weight = inverse.sum()
    residual = y - (inverse @ y).sum() / weight
    return np.linalg.slogdet(covariance)[1] + np.log(weight) + residual @ inverse @ residual


def unbalanced(seed, lost=0.2, sizes=(12, 2, 3), **more):
    rng = np.random.default_rng(seed)
    y, labels = crossed(rng, sizes, **more)
    kept = rng.random(y.size) >= lost
    return y[kept], {name: each[kept] for name, each in labels.items()}


def test_no_other_variances_of_an_unbalanced_design_are_more_likely():
    y, labels = unbalanced(3)
    estimate = variance_components(y, labels)
    best = dict(zip(estimate.terms, estimate.variances.tolist(), strict=True))
    least = deviance(y, labels, best)
    for term in best:
        for factor, more in ((0.8, 0.0), (1.2, 0.02), (1.0, 0.1)):
            other = best | {term: best[term] * factor + more}
            assert deviance(y, labels, other) >= least - 1e-6, term
    assert min(best.values()) >= 0


def test_statsmodels_finds_the_same_in_an_unbalanced_design(cross_checks):
    import pandas as pd
    import statsmodels.formula.api as smf

    two = {name: CROSSED[name] for name in ("participant", "operator", "participant × operator")}
    y, labels = unbalanced(5, sizes=(10, 3, 1), trials=3, variances=two | {"residual": 1.5})
    del labels["visit"]
    estimate = variance_components(y, labels)
    frame = pd.DataFrame(labels).assign(y=y, all=1)
    frame["cell"] = frame["participant"] * 10 + frame["operator"]
    levels = {name: f"0 + C({name})" for name in ("participant", "operator", "cell")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own, of how it converges
        model = smf.mixedlm("y ~ 1", frame, groups="all", vc_formula=levels)
        theirs = model.fit(reml=True)
    parts_of_theirs = dict(zip(model.exog_vc.names, theirs.vcomp, strict=True))
    ours = dict(zip(estimate.terms, estimate.variances, strict=True))
    assert ours["participant"] == pytest.approx(parts_of_theirs["participant"], rel=0.01)
    assert ours["operator"] == pytest.approx(parts_of_theirs["operator"], rel=0.01, abs=0.01)
    assert ours["participant × operator"] == pytest.approx(parts_of_theirs["cell"], rel=0.01)
    assert ours["residual"] == pytest.approx(theirs.scale, rel=0.01)


def test_a_component_is_zero_and_never_negative():
    without = CROSSED | {"operator": 0.0}
    studies = [
        variance_components(*crossed(np.random.default_rng(s), (8, 2, 2), without))
        for s in range(20)
    ]
    assert all((estimate.variances >= 0).all() for estimate in studies)
    zero = [estimate for estimate in studies if estimate.sum({"operator": 1.0}) == 0]
    assert len(zero) >= 5
    for estimate in zero:
        low, high = estimate.interval({"operator": 1.0})
        assert low == 0 <= high
        assert (estimate.draws({"operator": 1.0}) >= 0).all()


@pytest.mark.parametrize("lost", [0.0, 0.15])
def test_people_who_hardly_vary_have_the_variance_of_their_means(lost):
    y, labels = unbalanced(2, lost, (10, 2, 2), variances={"participant": 1.0, "residual": 1e-9})
    of_means = np.var([y[labels["participant"] == one].mean() for one in range(10)], ddof=1)
    variances = variance_components(y, labels).variances
    assert variances == pytest.approx([of_means, *[0] * 6], abs=1e-4)


def test_repeated_trials_dates_and_one_way_designs_have_the_terms_that_can_be_told_apart():
    rng = np.random.default_rng(4)
    y, labels = crossed(rng, (10, 2, 2), trials=2)
    every = variance_components(y, labels).terms
    assert every[-2:] == ("participant × operator × visit", "residual") or every[-1] == "residual"
    assert "operator × visit" in every
    who = np.repeat(range(10), 4)
    dates = np.repeat(range(20), 2)  # two days of each participant, two trials a day
    estimate = variance_components(
        rng.normal(0, 2, 10)[who] + rng.normal(size=40), {"participant": who, "visit": dates}
    )
    assert estimate.terms == ("participant", "participant × visit", "residual")
    alone = variance_components(
        rng.normal(0, 2, 10)[who] + rng.normal(size=40), {"participant": who}
    )
    assert alone.terms == ("participant", "residual")


def test_what_cannot_be_told_apart_is_refused_with_its_reason():
    y, labels = crossed(np.random.default_rng(6), (6, 2, 1))
    labels["device"] = labels["operator"]
    del labels["visit"]
    assert "operator and device change together" in variance_components(y, labels).reason
    two = {name: each[:4] for name, each in labels.items()}
    assert (
        variance_components(y[:4], two).reason == "components: 2 people have a value; 3 are needed"
    )
    same = variance_components(np.ones(12), labels).reason
    assert same == "components: all values are the same"
    # The second operator has no second visit.
    more, partly = crossed(np.random.default_rng(7), (6, 2, 2))
    seen = [not (o and v) for o, v in zip(partly["operator"], partly["visit"], strict=True)]
    partly = {name: np.asarray(each)[seen] for name, each in partly.items()}
    assert variance_components(more[seen], partly).reason == (
        "components: the combined effect of operator and visit cannot be separated from the effect "
        "of each alone"
    )
    once = variance_components([1.0, 2.0, 3.0], {"participant": [1, 2, 3]})
    assert once.reason == "components: each participant was measured once"
    assert variance_components([np.nan] * 3, {"participant": [1, 2, 3]}).values == 0
    with pytest.raises(BadInputError, match="pass a label for each value"):
        variance_components(y, {"operator": labels["operator"]})
    with pytest.raises(BadInputError, match="1 of 12 values are infinite"):
        variance_components(np.append(y[1:], np.inf), labels)


def test_terms_are_errors_by_what_differs():
    terms = tuple(CROSSED)
    visit = parts(terms, {"visit": 1})
    assert set(visit.true) == {"participant", "participant × operator"}
    assert set(visit.relative) == {"participant × visit", "residual"}
    assert set(visit.systematic) == {"visit", "operator × visit"}
    mean = parts(terms, {"visit": 3, "operator": 2})
    assert mean.true == {"participant": 1}
    assert mean.relative == pytest.approx(
        {"participant × operator": 1 / 2, "participant × visit": 1 / 3, "residual": 1 / 6}
    )
    assert mean.systematic["operator × visit"] == pytest.approx(1 / 6)
    repeated = parts(terms, {})
    assert set(repeated.relative) == {"residual"}
    assert not repeated.systematic


def coverage(studies, lost, seed=0, sizes=(10, 2, 2)):
    """Share of intervals that hold what was commanded: of sums, and of a ratio."""
    over = parts(tuple(CROSSED), {"operator": 1, "visit": 1})
    error = over.relative | over.systematic
    truth = sum(CROSSED.values()) - CROSSED["participant"]
    hit = {"participant": 0, "error": 0, "relative": 0, "icc": 0}
    each = [
        variance_components(*unbalanced(seed + study, lost=lost, sizes=sizes))
        for study in range(studies)
    ]
    each = [
        estimate for estimate in each if not estimate.reason
    ]  # the lost values leave no residual
    assert len(each) > 0.9 * studies
    for estimate in each:
        low, high = estimate.interval({"participant": 1.0})
        hit["participant"] += low <= CROSSED["participant"] <= high
        low, high = estimate.interval(error)
        hit["error"] += low <= truth <= high
        low, high = estimate.interval(over.relative)
        hit["relative"] += low <= sum(CROSSED[term] for term in over.relative) <= high
        true, wrong = estimate.draws(over.true), estimate.draws(error)
        low, high = np.quantile(true / (true + wrong), [0.025, 0.975])
        hit["icc"] += low <= 9 / (9 + truth) <= high
    return {name: count / len(each) for name, count in hit.items()}


def test_intervals_hold_what_was_commanded():
    # Two standard errors of 150 studies are 0.036.
    assert all(0.91 <= share <= 0.99 for share in coverage(150, lost=0.0).values())


@pytest.mark.slow
def test_intervals_of_unbalanced_designs_hold_what_was_commanded():
    shares = coverage(200, lost=0.15)
    assert min(shares.values()) >= 0.91
    # The truth is hardly ever above the interval of the whole error: two visits and operators.
    del shares["error"]
    assert max(shares.values()) <= 0.99


def test_a_search_without_an_end_is_refused_with_its_reason(monkeypatch):
    monkeypatch.setattr(mixed_model, "_STEPS", 1)
    estimate = variance_components(*unbalanced(3))
    assert estimate.reason.startswith("components: the search for the most likely variances did")
    assert not estimate.terms
    # Of a balanced design with a variance at 0 the other search goes on.
    monkeypatch.undo()
    y, labels = crossed(np.random.default_rng(1), (8, 2, 2), CROSSED | {"operator": 0.0})
    of_mean_squares = variance_components(y, labels).variances
    assert of_mean_squares.min() == 0
    monkeypatch.setattr(components, "_STEPS", 1)
    assert variance_components(y, labels).variances == pytest.approx(of_mean_squares, rel=1e-3)


@pytest.mark.parametrize("share", [1e-3, 1e-5, 1e-7])
def test_hardly_any_residual_is_found(share):
    """A residual of a share of the others has the mean square of what no term explains."""
    y, labels = unbalanced(8, variances=CROSSED | {"residual": 0.0})
    y = y + np.random.default_rng(1).normal(0, (share * y.var()) ** 0.5, y.size)
    estimate = variance_components(y, labels)
    assert estimate.variances[-1] == pytest.approx(estimate.mean_squares[-1], rel=0.01)
