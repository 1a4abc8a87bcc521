"""Tests whether groups differ or people change: differences with intervals, from mixed models."""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mobility import tables
from mobility.base.formatting import (
    MISSING,
    difference_in_words,
    digits_and_suffix,
    level_in_words,
    listed,
    rounded,
    shortened,
)
from mobility.base.options import Names, Table, checked, likely, quoted
from mobility.errors import BadInputError
from mobility.keypoints.view import UNKNOWN
from mobility.studies.cohort import with_origin
from mobility.studies.statistics.limits_of_agreement import too_few
from mobility.studies.statistics.mixed_model import MixedModel, fit_mixed_model
from mobility.studies.study_table import (
    FACTORS,
    OF_VALUE,
    checked_values,
    choose_metrics,
    unit_of,
)

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
LEAST = 3
"""Least number of participants in a group."""

POWER = 0.8


@dataclass(frozen=True)
class Groups:
    """The result of :func:`groups`.

    Parameters
    ----------
    differences
        A row for each measure, side and comparison. :func:`groups` lists its columns.
    description
        A row for each measure, side and cell of the design, from participants' means:
        ``participants``, ``values``, ``refused``, ``mean``, ``sd``, ``median``, ``lower_quartile``,
        ``upper_quartile`` and ``units``.
    without_value
        Number of missing ``values``, by ``metric``, ``side``, the group and ``reason``.
    adjust
        Covariates for which the differences (but not the description) are adjusted.
    warnings
        Warnings that apply to all differences, such as groups that were filmed from different
        views.
    """

    differences: pd.DataFrame
    description: pd.DataFrame
    without_value: pd.DataFrame
    adjust: tuple[str, ...] = ()
    warnings: tuple[dict[str, Any], ...] = ()

    def paper_table(self) -> pd.DataFrame:
        """Format the description as papers print it, with a column for each group: n: mean (SD).

        Use ``.to_latex()`` or ``.to_csv()`` of pandas to write it.
        """
        rows = self.description
        texts = [
            _mean_and_sd(*row)
            for row in zip(*(rows[c] for c in ("participants", "mean", "sd", "units")), strict=True)
        ]
        cells = [c for c in rows.columns if c not in {*_DESCRIBED, "metric", "side", "units"}]
        levels = rows[cells].apply(lambda of: [level_in_words(str(of.name), level) for level in of])
        named = rows.assign(cell=levels.agg(", ".join, axis=1), text=texts)
        names = {"metric": "Measure", "side": "Side", "units": "Unit"}
        named = named.rename(columns=names)
        table = named.pivot_table(
            index=list(names.values()), columns="cell", values="text", aggfunc="first", sort=False
        )
        table.columns.name = None
        return table.fillna("0: –").reset_index()


def _mean_and_sd(n: int, mean: float, sd: float, units: str) -> str:
    """Format a cell of a paper's table, with one more decimal than a value has."""
    digits = digits_and_suffix(units)[0] + 1
    return f"{n}: {rounded(mean, digits)} ({rounded(sd, digits)})" if n > 1 else f"{n}: {MISSING}"


@checked
def groups(
    table: Table,
    *,
    by: str,
    within: Names = (),
    adjust: Names = (),
    metrics: Names | None = None,
) -> Groups:
    r"""Compare groups of people, and conditions within people, by linear mixed models.

    Each measure has a model with fixed effects for `by`, each of `within`, their interactions, and
    `adjust`. Participants are random effects, and so are their differences in each factor of
    `within`, because values of one person are similar. Each group of people has its own variances,
    because patients vary more than controls. With one value per person, this is Welch's t test.

    Differences are between means that are averaged over the other factors. Their tests and
    intervals use Kenward and Roger's standard errors, which are larger if values are missing, and
    Satterthwaite's degrees of freedom (``benchmarks/groups.md``). The p values of an effect are
    adjusted by Holm's method over its comparisons, the measures and the sides. With three or more
    visits, two visits are compared by a model of only these two, because some changes vary more
    than others.

    Parameters
    ----------
    table
        From :func:`mobility.read_study`, or a DataFrame with its columns ``participant`` and
        ``value``, and optionally ``metric``, ``side``, ``units``, ``sd``, ``sem``, ``reason``. A
        row is a session or a repetition.
    by
        Column with the groups. Each participant is in one group. If the column differs within
        participants, as ``visit`` does, the levels are compared within participants.
    within
        Columns that differ within participants, such as ``visit`` or ``side``. Without ``side``,
        each side has its own model.
    adjust
        Columns, with numbers or words, for which the difference is adjusted, such as ``age`` or
        ``sex``.
    metrics
        Measures to compare; by default all that have values.

    Returns
    -------
    Groups
        The differences have the columns ``metric``, ``side``, ``effect`` ("group", "visit", "group
        × visit") and ``comparison`` ("patients − controls", "visit 2 − visit 1", "change from visit
        1 to visit 2, patients − controls"). The result is in ``difference``, ``low``, ``high`` (95
        %), ``units``, ``freedom``, ``p``, ``p_holm`` and ``effect_size``, with ``effect_size_low``
        and ``effect_size_high``. Further columns are ``participants``, ``values``, ``missing``,
        ``error_share``, ``detectable``, ``detectable_without_error``, ``method`` in words, and
        ``reason`` if there is no result.

        ``effect_size`` is Hedges' g: the difference divided by the SD of single values within
        groups (the root of the groups' mean variance). ``error_share`` is the largest share of
        test-retest error in the variance of the difference. ``detectable`` is the difference that a
        study like this finds with a power of 80 %.

    Raises
    ------
    BadInputError
        The table lacks a column, or `by` has only one group or more than 8.

    References
    ----------
    Welch 1938, Biometrika 29:350. Satterthwaite 1946, Biometrics Bull 2:110. Kenward & Roger 1997,
    Biometrics 53:983. Holm 1979, Scand J Stat 6:65. Hedges 1981, J Educ Stat 6:107. Error in the
    outcome and power: Fleiss 1986, The Design and Analysis of Clinical Experiments, chapter 1.
    """
    import pandas as pd

    measured_rows = check_groups(table, by=by, within=within, adjust=adjust, metrics=metrics)
    if "side" not in (by, *within):
        sides = measured_rows["side"].astype(str)
    else:
        sides = pd.Series("both", index=measured_rows.index)
    levels = {name: _levels(measured_rows, name) for name in (by, *within)}
    rows: list[dict[str, Any]] = []
    described: list[dict[str, Any]] = []
    without_value: list[dict[str, Any]] = []
    for (metric, side), values in measured_rows.groupby(["metric", sides], sort=False):
        about = {"metric": metric, "side": side, "units": unit_of(values)}
        described += _description(values, about, levels)
        without_value += _missing_reasons(values, about, by, (*within, *adjust))
        rows += [{**about, **row} for row in _differences(values, by, within, adjust, levels)]
    differences = pd.DataFrame(rows, columns=["metric", "side", *_COLUMNS])
    differences["p_holm"] = differences.groupby("effect")["p"].transform(holm)
    return Groups(
        differences,
        pd.DataFrame(described),
        pd.DataFrame(without_value, columns=["metric", "side", by, "reason", "values"]),
        tuple(adjust),
        (*_confounded_views(measured_rows, levels), *_confounded_models(measured_rows, levels)),
    )


_COLUMNS = (
    *("effect", "comparison", "difference", "low", "high", "units", "freedom", "p", "p_holm"),
    *("effect_size", "effect_size_low", "effect_size_high", "participants", "values", "missing"),
    *("error_share", "detectable", "detectable_without_error", "method", "reason"),
)
_DESCRIBED = (
    *("participants", "values", "refused", "mean", "sd", "median"),
    *("lower_quartile", "upper_quartile"),
)
_MOST_GROUPS = 8


def holm(p: pd.Series) -> pd.Series:
    """Adjust the p values of several tests by Holm's method.

    NaN values are kept and do not count.
    """
    present = p.dropna().sort_values()
    factors = np.arange(len(present), 0, -1)
    adjusted = np.minimum(np.maximum.accumulate(present.to_numpy() * factors), 1.0)
    return p * np.nan if present.empty else present.mask(present.notna(), adjusted).reindex(p.index)


def check_groups(
    table: Table,
    *,
    by: str,
    within: Sequence[str] = (),
    adjust: Sequence[str] = (),
    metrics: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Return the rows that :func:`groups` compares; raise its errors."""
    columns = [str(name) for name in getattr(table, "columns", [])]
    for name in ("participant", "value"):
        if name not in columns:
            fault = f"has no column '{name}'; add it, or pass mobility.read_study(...).table"
            raise BadInputError.of({"table": fault})
    plain = {"metric": "value", "side": ""}
    table = table.assign(**{name: plain[name] for name in plain.keys() - set(columns)})
    for option, names in (("by", [by]), ("within", within), ("adjust", adjust)):
        for name in names:
            if name not in columns:
                choices = [column for column in columns if column not in ("participant", *OF_VALUE)]
                close = likely(name.lower(), choices) or f"; it has {shortened(choices)}"
                raise BadInputError.of({option: f"the study has no column {quoted(name)}{close}"})
    if twice := [name for name in (*within, *adjust) if [by, *within, *adjust].count(name) > 1]:
        option = "within" if twice[0] in within else "adjust"
        raise BadInputError.of({option: f"{twice[0]!r} is given twice; give it once"})
    _check_cells(table)
    rows = checked_values(table, named=("participant", "metric"), covariates=adjust)
    measured_rows: pd.DataFrame = rows[rows["metric"].isin(choose_metrics(rows, metrics))]
    of_row = [name for name in ("session_id", "metric", "side", "rep") if name in columns]
    if len(of_row) == 4 and (again := measured_rows.duplicated(of_row)).any():
        row = measured_rows.loc[again.idxmax()]
        where = f"{row['metric']} {row['side']}".strip()
        raise BadInputError.of({"table": f"{where} of session {row['session_id']} occurs twice"})
    for option, names in (("by", [by]), ("within", within)):
        for name in names:
            values = _levels(measured_rows, name)
            if not 2 <= (count := len(values)) <= _MOST_GROUPS:
                key = {0: "no_value", 1: "one_value"}.get(count, "many_values")
                about = {"name": name, "value": ", ".join(map(str, values[:1])), "count": count}
                fault = tables.sentence(f"studies.groups.levels.{key}", most=_MOST_GROUPS, **about)
                raise BadInputError.of({option: fault})
    _check_one_group(measured_rows, by)
    return measured_rows


def _check_cells(table: pd.DataFrame) -> None:
    """Reject a table with a list or another collection in a cell."""
    for position, name in enumerate(table.columns):
        column = table.iloc[:, position]
        single = column.map(lambda cell: isinstance(cell, Hashable))
        if column.dtype == object and not single.all():
            row = int(single.to_numpy().argmin()) + 1
            raise BadInputError.of(
                {"table": f"row {row}: {name} is a collection. Write one number or one text"}
            )


def _check_one_group(rows: pd.DataFrame, by: str) -> None:
    """Raise if a few participants are in two groups, unless `by` varies within participants."""
    if by in (*FACTORS, "side"):
        return
    with_group = rows[~_is_missing(rows[by])]
    levels = with_group.groupby("participant", observed=True)[by].unique()
    several = levels[levels.map(len).gt(1)]
    if 0 < 2 * len(several) < len(levels):
        first, names = several.index[0], listed([str(level) for level in several.iloc[0]])
        why = tables.sentence("studies.in_two_groups", participant=first, groups=names)
        raise BadInputError.of({"by": why})


def _confounded_views(
    rows: pd.DataFrame, levels: Mapping[str, Sequence[Any]]
) -> Iterator[dict[str, Any]]:
    """Warn of each factor with two levels that share no view."""
    if "view" not in rows:
        return
    rows_with_view = rows[~_is_missing(rows["view"]) & rows["view"].ne(UNKNOWN)]
    for name, words in _levels_apart(rows_with_view, "view", levels):
        yield tables.warning("studies.confounded_views", name=name, views=words)


def _confounded_models(
    rows: pd.DataFrame, levels: Mapping[str, Sequence[Any]]
) -> Iterator[dict[str, Any]]:
    """Warn of each factor with two levels that share no keypoint model."""
    for name, words in _levels_apart(with_origin(rows), "source_software", levels):
        if name != "source_software":
            yield tables.warning("studies.confounded_models", name=name, models=words)


def _levels_apart(
    rows: pd.DataFrame, column: str, levels: Mapping[str, Sequence[Any]]
) -> Iterator[tuple[str, str]]:
    """Name each factor with two levels that share no value of a column, and list the values."""
    used = rows[rows["value"].notna()]
    for name, names in levels.items():
        values = {level: sorted(set(used.loc[used[name].eq(level), column])) for level in names}
        sets = [set(level_values) for level_values in values.values() if level_values]
        if any(one.isdisjoint(other) for one, other in itertools.combinations(sets, 2)):
            texts = [f"{level_in_words(name, n)}: {listed(v)}" for n, v in values.items() if v]
            yield name, "; ".join(texts)


def values_by_group(table: pd.DataFrame, metric: str, by: str) -> pd.DataFrame:
    """Return one value for each participant, group and side, for a plot: the mean.

    The columns are those of :func:`mobility.studies.cohort.by_group`: ``group`` (ordered),
    ``user_id``, ``side``, ``value``, ``units``.
    """
    import pandas as pd

    rows = table[table["metric"].eq(metric) & table["value"].notna()]
    means = rows.groupby([by, "participant", "side"], sort=True)["value"].mean().reset_index()
    named = means.rename(columns={by: "group", "participant": "user_id"})
    named["group"] = pd.Categorical(named["group"], ordered=True)
    return named.assign(units=unit_of(rows))


def _levels(rows: pd.DataFrame, name: str) -> list[Any]:
    """List the groups in the order of a categorical column, or sorted for other columns."""
    if hasattr(rows[name], "cat"):
        order = list(rows[name].cat.categories)
        levels = [level for level in order if rows[name].eq(level).any()]
    else:
        levels = sorted(set(rows[name].dropna()), key=lambda v: (isinstance(v, str), v))
    return [level for level in levels if level != ""]


def _description(
    values: pd.DataFrame, about: Mapping[str, Any], levels: Mapping[str, Sequence[Any]]
) -> list[dict[str, Any]]:
    rows = []
    for cell in itertools.product(*levels.values()):
        inside = values
        for name, level in zip(levels, cell, strict=True):
            inside = inside[inside[name].eq(level)]
        means = inside.groupby("participant")["value"].mean().dropna().to_numpy()
        n = len(means)
        quartiles = np.quantile(means, [0.25, 0.5, 0.75]) if n else np.full(3, math.nan)
        rows.append(
            {
                **about,
                **dict(zip(levels, cell, strict=True)),
                "participants": n,
                "values": int(inside["value"].notna().sum()),
                "refused": int(inside["value"].isna().sum()),
                "mean": means.mean() if n else math.nan,
                "sd": means.std(ddof=1) if n > 1 else math.nan,
                "median": quartiles[1],
                "lower_quartile": quartiles[0] if n >= 4 else math.nan,
                "upper_quartile": quartiles[2] if n >= 4 else math.nan,
            }
        )
    return rows


def _missing_reasons(
    values: pd.DataFrame, about: Mapping[str, Any], by: str, within: Sequence[str]
) -> list[dict[str, Any]]:
    """Count by group the values that no model uses: missing, or of an unknown level."""
    import pandas as pd

    why = pd.Series("", index=values.index, dtype=object)
    for name in (*reversed(within), by):
        why[_is_missing(values[name])] = tables.sentence("studies.not_given", name=name)
    none = values["value"].isna()
    reasons = values["reason"] if "reason" in values else values["value"].map(lambda _: "")
    reasons = reasons.astype(object).fillna("").replace("", tables.sentence("studies.no_reason"))
    why = why.where(~none, reasons)
    missing = why.ne("")
    keys = [values.loc[missing, by].astype(object).where(values[by].notna(), ""), why[missing]]
    counted = why[missing].groupby(keys, sort=False).size()
    return [
        {"metric": about["metric"], "side": about["side"], by: group, "reason": reason, "values": n}
        for (group, reason), n in counted.items()
    ]


def _differences(
    values: pd.DataFrame,
    by: str,
    within: Sequence[str],
    adjust: Sequence[str],
    levels: Mapping[str, Sequence[Any]],
) -> list[dict[str, Any]]:
    """Return the rows of one measure: each comparison of each effect, or why there is none.

    Changes between some visits vary more than between others. Two levels of what differs within
    people are therefore compared by a model of only these two.
    """
    several = values[values["value"].notna()].groupby("participant", observed=True)
    varying = [name for name in levels if several[name].nunique().gt(1).any()]
    fits: dict[tuple[Any, ...], _Fit] = {}
    rows = []
    for (effect, comparison), (_, pairs) in _comparisons(by, within, levels).items():
        compared = {**levels, **{name: pair for name, pair in pairs.items() if name in varying}}
        key = tuple(map(tuple, compared.values()))
        if key not in fits:
            fits[key] = _fit_of(values, adjust, compared)
        used, missing, model, strata, changing, why = fits[key]
        people = used["participant"].nunique()
        row: dict[str, Any] = {"effect": effect, "comparison": comparison, "participants": people}
        row |= {"values": len(used), "missing": missing, "reason": why}
        if model is not None:
            weights, _ = _comparisons(by, within, compared)[effect, comparison]
            in_pair = np.logical_and.reduce([used[n].isin(pair) for n, pair in pairs.items()])
            changes = {n: pair for n, pair in pairs.items() if n in changing}
            try:
                _check_people_again(used[in_pair], strata[in_pair], changes)
                row |= _contrast_row(model, weights, used, set(strata[in_pair]))
                row["method"] = _method(used, strata, adjust)
            except BadInputError as error:
                row["reason"] = str(error)
        rows.append(row)
    return rows


def _check_people_again(
    pair_rows: pd.DataFrame, strata: NDArray[np.object_], changes: Mapping[str, tuple[Any, Any]]
) -> None:
    """Raise if a group has too few people with a change to estimate how much it varies."""
    for name, (one, other) in changes.items():
        again = pair_rows.groupby([strata, "participant"], observed=True)[name].nunique().eq(2)
        for stratum, people in again.groupby(level=0).sum().items():
            if people < LEAST:
                words = [stratum, difference_in_words(name, other, one)]
                few = too_few(int(people), "both", least=LEAST)
                level = ", ".join(filter(None, words))
                raise BadInputError(tables.sentence("studies.too_few", level=level, few=few))


def _method(used: pd.DataFrame, strata: NDArray[np.object_], adjust: Sequence[str]) -> str:
    """Name the method with which a difference is tested."""
    if len(set(strata)) < 2:
        return tables.sentence("studies.groups.method.alike")
    once = not adjust and not used["participant"].duplicated().any()
    return tables.sentence(f"studies.groups.method.{'once' if once else 'by_group'}")


class _Fit(NamedTuple):
    used: pd.DataFrame
    missing: int
    model: MixedModel | None
    strata: NDArray[np.object_]
    """The group of people to which each value belongs, which has its own variances; "" without
    groups.
    """
    changing: list[str]
    """Factors that differ within people."""
    why: str


def _fit_of(
    values: pd.DataFrame, adjust: Sequence[str], levels: Mapping[str, Sequence[Any]]
) -> _Fit:
    """Fit the model to the values of these levels, or say why there is none."""
    for name, names in levels.items():
        values = values[values[name].isin(names) | _is_missing(values[name])]
    is_complete = values["value"].notna()
    for name in (*levels, *adjust):
        is_complete &= ~_is_missing(values[name])
    used = values[is_complete]
    missing = len(values) - len(used)
    of_people = used.groupby("participant", observed=True)[list(levels)].nunique()
    changing = [name for name in levels if of_people[name].gt(1).any()]
    between = [[level_in_words(n, level) for level in used[n]] for n in levels if n not in changing]
    strata = np.array([", ".join(words) for words in zip(*between, strict=True)], dtype=object)
    strata = strata if between else np.full(len(used), "", dtype=object)
    none = _Fit(used, missing, None, strata, changing, _too_few(used, levels))
    for name in adjust:
        if _is_missing(values[name]).all():
            none = none._replace(why=tables.sentence("studies.not_given", name=name))
    if none.why:
        return none
    try:
        return none._replace(model=_fit(used, adjust, levels, changing, strata))
    except BadInputError as error:
        return none._replace(why=str(error))


def _is_missing(column: pd.Series) -> pd.Series:
    absent: pd.Series = column.isna() | column.astype(object).eq("")
    return absent


def _too_few(used: pd.DataFrame, levels: Mapping[str, Sequence[Any]]) -> str:
    for name, names in levels.items():
        if name == "side" and not used[name].isin(names).any():
            return tables.sentence("studies.no_sides")
        for level in names:
            people = used.loc[used[name].eq(level), "participant"].nunique()
            if people < LEAST:
                return tables.sentence(
                    "studies.too_few",
                    level=level_in_words(name, level),
                    few=too_few(people, "value", least=LEAST),
                )
    return ""


def _cells(levels: Mapping[str, Sequence[Any]]) -> list[tuple[Any, ...]]:
    return list(itertools.product(*levels.values()))


def _codes(level: Any, names: Sequence[Any]) -> Array:
    """Return the effect coding of a level: deviations from the mean of all levels."""
    code: Array = np.eye(len(names))[:, :-1]
    code[-1] = -1.0
    row: Array = code[list(names).index(level)]
    return row


def _design_row(cell: Sequence[Any], levels: Mapping[str, Sequence[Any]]) -> Array:
    """Return the effects of a cell: mean, factors, and their interactions with the first."""
    by, *rest = (_codes(level, names) for level, names in zip(cell, levels.values(), strict=True))
    together = [np.outer(by, other).ravel() for other in rest]
    return np.concatenate([[1.0], by, *rest, *together])


def _fit(
    used: pd.DataFrame,
    adjust: Sequence[str],
    levels: Mapping[str, Sequence[Any]],
    changing: Sequence[str],
    strata: NDArray[np.object_],
) -> MixedModel:
    cells = {cell: _design_row(cell, levels) for cell in _cells(levels)}
    keys = used[list(levels)].itertuples(index=False, name=None)
    fixed = np.array([cells[key] for key in keys])
    for name in adjust:
        fixed = np.column_stack([fixed, _covariate(used[name])])
    person = used["participant"].astype(str)
    groupings = {"participant": person}
    for name in changing:
        groupings[f"participant, {name}"] = person + "\n" + used[name].astype(str)
    if len(changing) > 1:
        parts = used[list(changing)].astype(str).agg("\n".join, axis=1)
        groupings["participant, all"] = person + "\n" + parts
    if "session_id" in used:
        groupings["session"] = used["session_id"].astype(str)
    return fit_mixed_model(used["value"], fixed, groupings, strata=strata)


def _covariate(column: pd.Series) -> Array:
    """Return columns of a covariate with mean zero: a centred number, or classes."""
    import pandas as pd

    numbers = pd.api.types.is_numeric_dtype(column)
    classes = column.to_frame() if numbers else pd.get_dummies(column.astype(str), drop_first=True)
    values: Array = classes.to_numpy(float)
    return np.asarray(values - values.mean(axis=0))


def _comparisons(
    by: str, within: Sequence[str], levels: Mapping[str, Sequence[Any]]
) -> dict[tuple[str, str], tuple[Array, dict[str, tuple[Any, Any]]]]:
    """Return the weights of each comparison and its pairs of levels, by effect and name."""
    cells = _cells(levels)
    designs = np.array([_design_row(cell, levels) for cell in cells])

    def mean(**where: Any) -> Array:
        names = list(levels)
        inside = [all(cell[names.index(n)] == v for n, v in where.items()) for cell in cells]
        average: Array = designs[inside].mean(axis=0)
        return average

    contrasts = {}
    for name in (by, *within):
        for one, other in itertools.combinations(levels[name], 2):
            weights = mean(**{name: other}) - mean(**{name: one})
            words = difference_in_words(name, other, one)
            contrasts[name, words] = weights, {name: (one, other)}
    for name in within:
        for one, other in itertools.combinations(levels[by], 2):
            for first, second in itertools.combinations(levels[name], 2):
                changes = [
                    mean(**{by: group, name: second}) - mean(**{by: group, name: first})
                    for group in (one, other)
                ]
                words = tables.sentence(
                    f"studies.groups.interaction.{'sides' if name == 'side' else 'change'}",
                    first=level_in_words(name, first),
                    second=level_in_words(name, second),
                    sides=difference_in_words(name, second, first),
                    groups=difference_in_words(by, other, one),
                )
                pairs = {by: (one, other), name: (first, second)}
                contrasts[f"{by} × {name}", words] = changes[1] - changes[0], pairs
    return contrasts


def _contrast_row(
    model: MixedModel, weights: Array, used: pd.DataFrame, strata: Iterable[str]
) -> dict[str, Any]:
    from scipy import stats

    padded = np.zeros(len(model.estimate))
    padded[: len(weights)] = weights
    difference, error, freedom = model.contrast(padded)
    freedom = max(freedom, 1.0)
    half = float(stats.t.ppf(0.975, freedom)) * error
    total = max(float(np.mean([sum(model.variances[stratum].values()) for stratum in strata])), 0.0)
    size = _effect_size(difference, error, freedom, math.sqrt(total))
    needed = float(stats.t.ppf(0.975, freedom) + stats.t.ppf(POWER, freedom))
    share = _error_share(used, model.weights @ padded, error)
    return {
        "difference": difference,
        "low": difference - half,
        "high": difference + half,
        "freedom": freedom,
        "p": float(2 * stats.t.sf(abs(difference / error), freedom)),
        **dict(zip(("effect_size", "effect_size_low", "effect_size_high"), size, strict=True)),
        "error_share": share,
        "detectable": needed * error,
        "detectable_without_error": needed * error * math.sqrt(1 - share),
    }


def _effect_size(
    difference: float, error: float, freedom: float, sd: float
) -> tuple[float, float, float]:
    """Return Hedges' g with the 95 % interval of the noncentral t distribution."""
    from scipy import special

    if not sd > 0:
        return (math.nan,) * 3
    t = difference / error
    scale = (1 - 3 / (4 * freedom - 1)) * error / sd
    low, high = (float(special.nctdtrinc(freedom, p, t)) for p in (0.975, 0.025))
    return t * scale, low * scale, high * scale


def _error_share(used: pd.DataFrame, weights: Array, error: float) -> float:
    """Return the share of the variance of a difference that is test-retest error.

    The errors of sessions (`sem`) are independent; `weights` is the weight of each value in the
    difference. A bias that all recordings share cancels and is not included. The share is NaN if an
    error is unknown, or if the stated errors are larger than the whole variance.
    """
    if "sem" not in used:
        return math.nan
    share = float((weights**2 * used["sem"].to_numpy(float) ** 2).sum()) / error**2
    return share if share < 1 else math.nan
