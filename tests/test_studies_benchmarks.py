"""What benchmarks of studies count is what they say, on numbers by hand and from theory."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats


def test_changes_beyond_are_counted_with_the_interval_of_the_people(program: Any) -> None:
    """One of ten people changes beyond in all of ten measures: 10 of 100, of one person."""
    rows = [
        (f"angle {m}", "left", f"P{p}", visit, 5.0 * (visit == 2 and p == 0), 1.0)
        for m in range(10)
        for p in range(10)
        for visit in (1, 2)
    ]
    table = pd.DataFrame(rows, columns=["metric", "side", "participant", "visit", "value", "sem"])
    text = program("twice").changes_beyond(table)
    assert "Of 100 changes between the two films of 10 people 10 (10.0%" in text
    low, high = map(float, re.search(r"interval ([\d.]+)% to ([\d.]+)%", text).groups())
    # The number of times that this person is drawn is binomial.
    assert (low, high) == (0.0, pytest.approx(100 * stats.binom.ppf(0.975, 10, 0.1) / 10))


def test_new_changes_are_within_an_estimated_limit_as_t_says(program: Any) -> None:
    *_, consistency = program("reliability").new_changes(300)
    shares = [float(each) for each in re.findall(r"\d\d\.\d", consistency)]
    freedom = np.array([4, 11, 19, 39, 22])
    assert shares == pytest.approx(100 * (1 - 2 * stats.t.sf(1.96, freedom)), abs=1.5)


def test_shares_are_of_the_side_on_which_the_truth_lies(program: Any) -> None:
    module = program("reliability")
    held = {("SEM", "n = 10", 0): [module.side((1, 2), truth) for truth in (0.5, 1.5, 1.7, 3)]}
    assert module.shares_on(-1, held)["SEM"]["n = 10"] == [0.25]
    *_, row = module.lines("two", held)
    assert row == "| SEM | 25.0 / 25.0 | 25.0 / 25.0 |"


def test_variances_are_those_of_lme4_or_as_likely(program: Any) -> None:
    """200 designs, the last eight with hardly any residual variance."""
    found = list(program("lme4").comparisons())
    assert len(found) == 200
    for each in found:
        # The values are those that lme4 had, and its likelihood is the one written down here.
        assert each.theirs == pytest.approx(each.stated, abs=1e-3), each.seed
        assert not each.reason, each.seed
        assert each.right, each.seed
