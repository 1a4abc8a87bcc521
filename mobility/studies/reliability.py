"""Reliability of measures: from a table of measured values to the statistics for a paper."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from mobility import tables
from mobility.base.formatting import (
    MISSING,
    between,
    difference_in_words,
    digits_and_suffix,
    listed,
    rounded,
)
from mobility.base.options import Names, Table, checked, likely, likely_measure, quoted
from mobility.errors import BadInputError
from mobility.kinematics.skeleton import Array
from mobility.studies.statistics.components import (
    PARTICIPANT,
    RESIDUAL,
    Components,
    Parts,
    parts,
    variance_components,
)
from mobility.studies.statistics.limits_of_agreement import LEAST, bland_altman, too_few
from mobility.studies.statistics.reliability_coefficients import (
    Estimate,
    Form,
    Kind,
    interval,
    intraclass_correlation,
    mdc95,
    measurement_error,
    share_within,
    weighted_kappa,
)
from mobility.studies.study_table import FACTORS, checked_values, records, unit_of

TRIAL = "trial"

COLUMNS = (
    *("metric", "side", "statistic", "form", "over", "of"),
    *("value", "low", "high", "p", "within", "units"),
    *("participants", "values", "refused", "missing", "method", "reason", "note"),
)
"""Columns of the statistics, in order; :func:`reliability` describes them."""

ANOVA, REML, PAIRED = "analysis of variance", "REML", "paired differences"
FORMS: tuple[Form, ...] = ("A,1", "C,1", "A,k", "C,k")
KINDS: tuple[Kind, ...] = ("agreement", "consistency")

_KEY = ["metric", "side", "over"]
_OF_ONE_VALUE = ("ICC(A,1)", "ICC(1)", "agreement", "within", "")
"""Forms in a paper's table; "" if there is no estimate."""


class Reliability(NamedTuple):
    """Result of :func:`reliability`: statistics, missing values, and the flow of participants."""

    statistics: pd.DataFrame
    without_value: pd.DataFrame
    flow: pd.DataFrame

    def paper_table(self) -> pd.DataFrame:
        """Format the errors of one value as papers print them, with 95 % intervals.

        There is a row for each metric, side and difference between two values ("Over"). It contains
        the participants, the ICC and SEM of absolute agreement (within participants for repeated
        recordings), and the MDC95. Use ``.to_latex()`` or ``.to_csv()`` of pandas to write it.
        """
        rows = self.statistics
        shown = rows["statistic"].isin(["icc", "sem", "mdc95"]) & rows["form"].isin(_OF_ONE_VALUE)
        lines = []
        for (metric, side, over), group in rows[shown].groupby(_KEY, sort=False):
            texts = {row["statistic"]: _with_interval(row) for _, row in group.iterrows()}
            sem = group[group["statistic"].eq("sem")].iloc[0]
            errors = [texts.get(statistic, MISSING) for statistic in ("icc", "sem", "mdc95")]
            lines.append([metric, side, over, sem["units"], sem["participants"], *errors])
        head = ["Measure", "Side", "Over", "Unit", "n", "ICC", "SEM", "MDC95"]
        return pd.DataFrame(lines, columns=head)


def document(result: Reliability) -> list[dict[str, Any]]:
    """Return the statistics of each metric and side as JSON values; NaN becomes null.

    Each contains ``icc`` by its form, and ``sem`` and ``mdc95`` (agreement, over all factors that
    differ between two measurements), with ``value``, ``lower`` and ``upper``. ``mdc95`` also has
    ``within``, the share of new changes caused by error alone that are within it. Further entries
    are ``n`` (participants), ``values``, ``refused``, ``missing``, ``units``, and ``statistics``
    with all rows.
    """
    documents = []
    for (metric, side), rows in result.statistics.groupby(["metric", "side"], sort=False):
        entry: dict[str, Any] = {"metric": metric, "side": side}
        widest = max(rows["over"], key=lambda over: over.count(","))
        over = rows[rows["over"].eq(widest)]
        icc = over[over["statistic"].eq("icc") & over["form"].ne("")]
        entry["icc"] = {row["form"]: _interval_of(row) for _, row in icc.iterrows()}
        for statistic in ("sem", "mdc95"):
            estimates = over[over["statistic"].eq(statistic)].sort_values("form")  # agreement first
            entry[statistic] = _interval_of(estimates.iloc[0]) if len(estimates) else None
            if statistic == "mdc95" and len(estimates):
                within = float(estimates["within"].iloc[0])
                entry[statistic]["within"] = within if math.isfinite(within) else None
        first = rows[rows["statistic"].isin(["sem", "component", "kappa"])].iloc[0]
        entry |= {"n": int(first["participants"]), "values": int(first["values"])}
        entry |= {"refused": int(first["refused"]), "missing": int(first["missing"])}
        entry |= {"units": str(first["units"]), "over": widest}
        entry["statistics"] = records(rows.drop(columns=["metric", "side"]))
        documents.append(entry)
    return documents


def _with_interval(row: pd.Series) -> str:
    """Format value and interval of an error, with one more decimal than a value has."""
    digits = digits_and_suffix(row["units"])[0] + (row["statistic"] != "icc")
    text = rounded(row["value"], digits)
    if not np.isfinite(row["low"]):
        return text
    return f"{text} ({between(row['low'], row['high'], digits=digits)})"


def _interval_of(row: pd.Series) -> dict[str, Any]:
    value, low, high = (
        None if np.isnan(row[k]) else float(row[k]) for k in ("value", "low", "high")
    )
    return {
        "value": value,
        "lower": low,
        "upper": high,
        "form": row["form"],
        "reason": row["reason"],
    }


class _Row(NamedTuple):
    """A statistic of one metric and side."""

    statistic: str
    estimate: Estimate
    form: str = ""
    over: str = ""
    of: str = ""
    p: float = np.nan
    within: float = np.nan
    units: str | None = None
    """None if they are the participants of the values."""
    values: int | None = None
    """Number of values used; None if all were used."""
    method: str = ""
    note: str = ""


@checked
def reliability(
    table: Table,
    *,
    metrics: Names | None = None,
    ordinal: Names = (),
) -> Reliability:
    """Estimate how reliable measures are, from participants who were measured repeatedly.

    One value belongs to a recording of a participant. If the recording has repetitions, the value
    is already their median or extreme, so that repetitions do not count as measurements. The
    columns `visit`, `operator`, `device`, `camera` and `trial` describe what differs between the
    values of a participant. Together with another of these columns, `trial` is the number of a
    repeated recording within a visit (or by an operator); its order has no meaning. On its own, it
    is treated like `visit`.

    If each participant has one value at each level of one column, the statistics come from a
    two-way analysis of variance. With several columns, repeated recordings or missing values, they
    come from :func:`~mobility.studies.statistics.components.variance_components`, with all
    available values (REML).

    Parameters
    ----------
    table
        A row for each value: `participant`, `value` (NaN if not reported or missing), and one or
        more of `visit`, `operator`, `device`, `camera`, `trial`. Optional columns are `metric`,
        `side`, `units`, `sd` (the stated error) and `reason` (why there is no value).
    metrics
        Names of the metrics; by default all.
    ordinal
        Metrics whose values are ordered categories in whole numbers (scores), for which kappa is
        computed.

    Returns
    -------
    Reliability
        ``statistics``: a row for each metric, side and statistic, with the columns `COLUMNS`.

        - `icc`, intraclass correlation, with the `form` after McGraw and Wong. ICC(A,1) and
          ICC(C,1) are absolute agreement and consistency of one value, and ICC(A,k) and ICC(C,k)
          are those of the mean of one value at each level. ICC(1) and ICC(k) apply to repeated
          recordings, whose order has no effect.
        - `sem`, standard error of measurement, and `mdc95`, 1.96 √2 times it: the smallest change
          between two values that exceeds their error. Their `form` is agreement, consistency, or
          within. ``mdc95`` is an estimate, so fewer than 95 of 100 new changes that are caused by
          error alone are within it. ``within`` is their share, from t with Satterthwaite's degrees
          of freedom of the SEM (consistency: 0.924 with 12 people and two visits, 0.878 with 5;
          ``benchmarks/reliability.md``).
        - `change`, mean change from the first level to another, with the interval and `p` of the
          paired t test; `sd_change`, `limit_low` and `limit_high`, 95 % limits of agreement.
        - `component`, standard deviation of each term of the design.
        - `kappa`, linear and quadratic, for ordinal metrics.
        - `stated_sd`, root mean square of the `sd` of the values.

        ``over`` names what differs between two values ("visit", or both "visit, operator"). ``of``
        is the term of a component, or the two levels of a change. ``value``, ``low`` and ``high``
        (95 %) are NaN if there is a ``reason``.

        ``values`` is the number of values used, and ``participants`` the number of people behind
        them. For `icc`, `sem` and `mdc95`, only people with values at two levels count, because the
        others provide no information on the error. At least three are needed. ``refused`` (with a
        reason) and ``missing`` (without a reason) count the unused values. ``method`` is "analysis
        of variance", "REML" or "paired differences"; it is "" without a value. ``note`` explains
        what a reader should know about a value.

        ``without_value``: number of missing values for each metric and side, by ``reason``.

        ``flow``: number of participants and recordings in the study, without any value (by reason),
        with a value, at each level, and at every level.

    Raises
    ------
    BadInputError
        A column is missing, nothing differs within participants, a value occurs twice, or a name is
        not in the table.

    Notes
    -----
    Operators, visits and devices are treated as random samples of many, because a later measurement
    will involve others. With two levels, the intervals of agreement are therefore wide.
    ``benchmarks/reliability.md`` shows how often the intervals contain the truth, and how often the
    true SEM is below or above them. Tests are not corrected for the number of metrics.

    References
    ----------
    McGraw & Wong 1996, Psychol Methods 1:30. Weir 2005, J Strength Cond Res 19:231. Brennan 2001,
    Generalizability Theory, Springer. Bland & Altman 1999, Stat Methods Med Res 8:135.
    """
    rows = _checked(table, metrics)
    names = rows["metric"].unique().tolist()
    _check_names("ordinal", ordinal, names)
    varying = [name for name in FACTORS if name in rows and rows[name].nunique() > 1]
    if not varying or rows.groupby([PARTICIPANT, "metric", "side"], observed=True).size().max() < 2:
        raise BadInputError(
            f"reliability: no participant was measured repeatedly; add a column that names the "
            f"difference between measurements ({', '.join(FACTORS)})"
        )
    cells = [PARTICIPANT, *varying]
    _check_unique(rows, cells)
    ways = [name for name in varying if name != TRIAL] or [TRIAL]
    statistics: list[dict[str, Any]] = []
    for (metric, side), values in rows.groupby(["metric", "side"], sort=False):
        used, without = values[values["value"].notna()], values[values["value"].isna()]
        units = unit_of(values)
        if metric in ordinal:
            of_metric = _kappas(used, ways)
        else:
            of_metric = _of_values(used, ways)
            for way in ways:
                of_metric += _changes(used, way, ways)
        of_metric += _stated(used)
        for row in of_metric:
            n, value, low, high, reason, _ = row.estimate
            statistics.append(
                {
                    **row._asdict(),
                    **{"metric": metric, "side": side, "participants": n},
                    **{"value": value, "low": low, "high": high, "reason": reason},
                    "method": "" if np.isnan(value) else row.method,
                    "units": units if row.units is None else row.units,
                    "values": len(used) if row.values is None else row.values,
                    "refused": int(without["reason"].ne("").sum()),
                    "missing": int(without["reason"].eq("").sum()),
                }
            )
    return Reliability(
        pd.DataFrame(statistics, columns=list(COLUMNS)),
        _without_value(rows),
        _flow(rows, ways, cells),
    )


def _checked(table: pd.DataFrame, metrics: Sequence[str] | None) -> pd.DataFrame:
    """Return the rows of the metrics, with plain columns; levels become ordered texts."""
    for name in ("participant", "value"):
        if name not in table:
            raise BadInputError(
                f"reliability: the table has no column {name}{likely(name, map(str, table))}"
            )
    rows = table if "metric" in table else table.assign(metric="value")
    factors = [name for name in FACTORS if name in rows]
    rows = checked_values(rows, named=("participant", "metric", *factors))
    names = rows["metric"].astype(str).unique().tolist()
    if metrics is not None:
        _check_names("metrics", metrics, names)
        rows = rows[rows["metric"].astype(str).isin(list(metrics))].reset_index(drop=True)
    if not len(rows):
        raise BadInputError("reliability: the table has no rows")
    plain = rows[["value"]].copy()
    for name in ("participant", "metric", *factors):
        plain[name] = pd.Categorical(rows[name].astype(str), _levels(rows[name]), ordered=True)
    for name in ("side", "units", "reason"):
        plain[name] = rows[name].astype(object).fillna("").astype(str) if name in rows else ""
    plain["sd"] = rows.get("sd", np.nan)
    plain["metric"] = plain["metric"].astype(str)
    return plain


def _check_names(what: str, metrics: Sequence[str], names: Sequence[str]) -> None:
    for name in metrics:
        if name not in names:
            raise BadInputError(
                f"{what} {quoted(name)}: no such metric in the table{likely_measure(name, names)}"
            )


def _levels(column: pd.Series) -> list[str]:
    """Return the levels in the order of categories or numbers, or else of their appearance."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return [str(level) for level in column.cat.categories if (column == level).any()]
    present = list(dict.fromkeys(column.astype(str)))
    try:
        return sorted(present, key=float)
    except ValueError:
        return present


def _check_unique(rows: pd.DataFrame, cells: Sequence[str]) -> None:
    twice = rows.duplicated([*cells, "metric", "side"])
    if twice.any():
        row = rows.loc[twice.idxmax()]
        where = ", ".join(f"{name} {row[name]}" for name in cells)
        raise BadInputError(
            f"reliability: {row['metric']} {row['side']} of {where} occurs twice; number "
            "repeated measurements in a column 'trial'"
        )


def _of_values(used: pd.DataFrame, ways: Sequence[str]) -> list[_Row]:
    """Return correlations, errors of measurement and components."""
    components = _components(used, ways)
    rows = _correlations(used, ways, components) + _errors(used, ways, components)
    rows += [
        row._replace(
            statistic="mdc95",
            estimate=_mapped(row.estimate, mdc95),
            within=share_within(row.estimate.freedom),
        )
        for row in rows
        if row.statistic == "sem"
    ]
    zero = [term for term in components.terms if not components.sum({term: 1.0})]
    by_squares = bool(zero) and any(row.statistic == "sem" and row.method == ANOVA for row in rows)
    for term in components.terms:
        note = tables.sentence("studies.note.zero") if term in zero else ""
        if term == RESIDUAL and by_squares:
            note = tables.sentence("studies.note.rest", names=listed(zero))
        low, high = components.interval({term: 1.0})
        variance = Estimate(components.participants, components.sum({term: 1.0}), low, high, "")
        rows.append(
            _Row(
                "component",
                _mapped(variance, math.sqrt),
                of=TRIAL if term == RESIDUAL and _repeated(used, ways) else term,
                method=REML,
                note=note,
            )
        )
    if components.reason:
        rows.append(_Row("component", _without(used, components.reason)))
    return rows


def _correlations(used: pd.DataFrame, ways: Sequence[str], components: Components) -> list[_Row]:
    """Return intraclass correlations over each factor, all factors, and repeated trials."""
    table = _wide(used, ways)
    if table is not None and not np.isnan(table).any():
        return [
            _Row(
                "icc",
                intraclass_correlation(table, form=form),
                *(f"ICC({form})", ways[0]),
                units="1",
                method=ANOVA,
                note=_few_levels(used, ways) if form in ("A,1", "A,k") else "",
            )
            for form in FORMS
        ]
    if components.reason:
        none = _without(used, components.reason)._replace(n=people_again(used, ways))
        return [_Row("icc", none, units="1")]
    rows = []
    for over in _differing(used, ways):
        each_has = used.groupby(PARTICIPANT, observed=True)
        levels = {way: int(each_has[way].nunique().max()) for way in over}
        for count in ("1", "k") if over else ("1",):
            several = levels if count == "k" else dict.fromkeys(over, 1)
            term_parts = parts(components.terms, several)
            for kind, letter in _kinds(term_parts).items():
                error = term_parts.relative | (term_parts.systematic if letter == "A" else {})
                true, wrong = components.sum(term_parts.true), components.sum(error)
                share = components.draws(term_parts.relative)
                if letter == "A":
                    share = share + components.draws(term_parts.systematic)
                of_true = components.draws(term_parts.true)
                low, high = interval(of_true / (of_true + share))
                coefficient = Estimate(0, true / (true + wrong), low, high, "")
                rows.append(
                    _Row(
                        "icc",
                        _of_people_again(coefficient, used, over),
                        f"ICC({letter}{',' * bool(letter)}{count})",
                        ", ".join(over or [TRIAL]),
                        units="1",
                        method=REML,
                        note=_few_levels(used, over) if kind == "agreement" else "",
                    )
                )
    return rows


def _errors(used: pd.DataFrame, ways: Sequence[str], components: Components) -> list[_Row]:
    """Return the errors of measurement over each factor, all factors, and repeated trials."""
    table = _wide(used, ways)
    if table is not None and not np.isnan(table).any():
        return [
            _Row(
                "sem",
                measurement_error(table, kind=kind),
                *(kind, ways[0]),
                method=ANOVA,
                note=_few_levels(used, ways) if kind == "agreement" else "",
            )
            for kind in KINDS
        ]
    if components.reason:
        none = _without(used, components.reason)._replace(n=people_again(used, ways))
        return [_Row("sem", none)]
    rows = []
    for over in _differing(used, ways):
        term_parts = parts(components.terms, dict.fromkeys(over, 1))
        for kind in _kinds(term_parts):
            error = term_parts.relative | (term_parts.systematic if kind == "agreement" else {})
            low, high = components.interval(error)
            freedom = components.freedom_of(error)
            variance = Estimate(0, components.sum(error), low, high, "", freedom)
            rows.append(
                _Row(
                    "sem",
                    _of_people_again(_mapped(variance, math.sqrt), used, over),
                    *(kind, ", ".join(over or [TRIAL])),
                    method=REML,
                    note=_few_levels(used, over) if kind == "agreement" else "",
                )
            )
    return rows


def _changes(used: pd.DataFrame, way: str, ways: Sequence[str]) -> list[_Row]:
    """Return the change from the first level to each other level, in otherwise equal cells.

    Repeated trials are paired in their order.
    """
    people = used.groupby(way, observed=True)[PARTICIPANT].nunique()
    of_one = (people > 1).sum() < 2 and len(people) >= used[PARTICIPANT].nunique()
    if len(people) < 2 or of_one:
        key = "one_level" if len(people) < 2 else "of_one"
        reason = tables.sentence(f"studies.reason.{key}", way=way)
        return [_Row("change", _without(used, reason), over=way)]
    first, *later = map(str, people.index)
    ordered = used.sort_values([TRIAL], kind="stable") if TRIAL in used else used
    number = ordered.groupby([PARTICIPANT, *ways], observed=True).cumcount()
    plain = ordered.astype(dict.fromkeys([PARTICIPANT, *ways], str)).assign(number=number)
    alike = [PARTICIPANT, *(name for name in ways if name != way), "number"]
    wide = plain.pivot(index=alike, columns=way, values="value")
    participants = wide.index.get_level_values(PARTICIPANT).tolist()
    rows = []
    for level in later:
        result = bland_altman(
            wide[level].to_numpy(),
            wide[first].to_numpy(),
            participants=None if len(set(participants)) == len(participants) else participants,
        )
        n, p = result.participants, math.nan
        if not result.reason:
            half = result.bias_high - result.bias
            p = float(2 * stats.t.sf(abs(result.bias) * stats.t.ppf(0.975, n - 1) / half, n - 1))
        for statistic, value, low, high in (
            ("change", result.bias, result.bias_low, result.bias_high),
            ("sd_change", result.sd, math.nan, math.nan),
            ("limit_low", result.lower, result.lower_low, result.lower_high),
            ("limit_high", result.upper, result.upper_low, result.upper_high),
        ):
            estimate = Estimate(n, value, low, high, result.reason)
            rows.append(
                _Row(
                    statistic,
                    estimate,
                    over=way,
                    of=difference_in_words(way, level, first),
                    p=p if statistic == "change" else math.nan,
                    values=2 * result.pairs,
                    method=PAIRED,
                )
            )
    return rows


def _kappas(used: pd.DataFrame, ways: Sequence[str]) -> list[_Row]:
    table = _wide(used, ways)
    rows = []
    for weights in ("linear", "quadratic"):
        if table is None:
            result = _without(used, tables.sentence("studies.reason.kappa"))
        else:
            result = weighted_kappa(table, weights=weights)
        values = None if table is None else result.n * table.shape[1]
        rows.append(_Row("kappa", result, weights, ", ".join(ways), units="1", values=values))
    return rows


def _stated(used: pd.DataFrame) -> list[_Row]:
    """Return the root mean square of the stated standard deviations of the values."""
    stated = used["sd"].dropna()
    if not len(stated):
        return []
    people = used.loc[stated.index, PARTICIPANT].nunique()
    value = float(np.sqrt((stated**2).mean()))
    return [_Row("stated_sd", Estimate(people, value, np.nan, np.nan, ""), values=len(stated))]


def _components(used: pd.DataFrame, ways: Sequence[str]) -> Components:
    labels = {name: used[name].astype(str).tolist() for name in (PARTICIPANT, *ways)}
    result: Components = variance_components(used["value"].to_numpy(np.float64), labels)
    several = int(used.groupby(PARTICIPANT, observed=True).size().gt(1).sum())
    why = _too_few_again(several) if several else ""
    return result._replace(terms=(), reason=why) if why else result


def people_again(used: pd.DataFrame, over: Sequence[str]) -> int:
    """Count people with values at two levels of the factors, or with two values without factors."""
    factors = [name for name in FACTORS if name in used and name != TRIAL]
    names = [PARTICIPANT, *(over or factors)]
    rows = used.drop_duplicates(names) if over else used[used.duplicated(names, keep=False)]
    per_person = rows.groupby(PARTICIPANT, observed=True).size()
    return int(per_person.gt(1).sum())


def _too_few_again(people: int) -> str:
    if people >= LEAST:
        return ""
    return too_few(people, "again")


def _of_people_again(estimate: Estimate, used: pd.DataFrame, over: Sequence[str]) -> Estimate:
    """Count the people who were measured again for an error; withhold it if they are too few."""
    people = people_again(used, over)
    if why := _too_few_again(people):
        return Estimate(people, np.nan, np.nan, np.nan, why)
    return estimate._replace(n=people)


def _wide(used: pd.DataFrame, ways: Sequence[str]) -> Array | None:
    """Return values over (participant, level), NaN if missing; None if a cell has several."""
    if len(ways) > 1 or _repeated(used, ways) or used[ways[0]].nunique() < 2:
        return None
    plain = used.astype({PARTICIPANT: str, ways[0]: str})
    wide = plain.pivot(index=PARTICIPANT, columns=ways[0], values="value")
    table: Array = wide.to_numpy(np.float64)
    return table


def _repeated(used: pd.DataFrame, ways: Sequence[str]) -> bool:
    return bool(used.duplicated([PARTICIPANT, *ways]).any())


def _differing(used: pd.DataFrame, ways: Sequence[str]) -> list[list[str]]:
    """List what may differ between two values: each factor, all, none (only repeated trials)."""
    present = [way for way in ways if used[way].nunique() > 1]
    sets = [[way] for way in present]
    sets += [present] if len(present) > 1 else []
    return [*sets, []] if _repeated(used, ways) else sets


def _kinds(parts: Parts) -> dict[str, str]:
    """Return the kinds of error with their letters; only one if nothing is systematic."""
    return {"agreement": "A", "consistency": "C"} if parts.systematic else {"within": ""}


def _few_levels(used: pd.DataFrame, over: Sequence[str]) -> str:
    few = [name for name in over if used[name].nunique() == 2]
    return tables.sentence("studies.note.few", names=", ".join(few)) if few else ""


def _mapped(estimate: Estimate, function: Callable[[float], float]) -> Estimate:
    value, low, high = (function(value) for value in estimate[1:4])
    return estimate._replace(value=value, low=low, high=high)


def _without(used: pd.DataFrame, reason: str) -> Estimate:
    return Estimate(used[PARTICIPANT].nunique(), np.nan, np.nan, np.nan, reason)


def _without_value(rows: pd.DataFrame) -> pd.DataFrame:
    """Count the missing values by metric, side and reason."""
    missing = tables.sentence("studies.no_reason")
    without = rows[rows["value"].isna()].assign(
        reason=lambda frame: frame["reason"].where(frame["reason"].ne(""), missing),
        participant=lambda frame: frame[PARTICIPANT].astype(str),
    )
    return without.groupby(["metric", "side", "reason"], sort=False, as_index=False).agg(
        values=("reason", "size"), participants=(PARTICIPANT, "nunique")
    )


def _flow(rows: pd.DataFrame, ways: Sequence[str], cells: Sequence[str]) -> pd.DataFrame:
    """Count participants and trials, from the study to the measured values."""
    plain = rows.astype(dict.fromkeys(cells, str))
    trials = plain.groupby(list(cells), sort=False, as_index=False).agg(
        values=("value", "count"), reason=("reason", _commonest)
    )
    measured = trials[trials["values"] > 0]
    flow: list[tuple[str, pd.DataFrame]] = [
        (tables.sentence("studies.values.all"), trials),
        *(
            (tables.sentence("studies.values.without", reason=reason), some)
            for reason, some in trials[trials["values"] == 0].groupby("reason", sort=False)
        ),
        (tables.sentence("studies.values.measured"), measured),
    ]
    for way in ways:
        for level in rows[way].cat.categories:
            step = tables.sentence("studies.values.level", way=way, level=level)
            flow.append((step, measured[measured[way] == level]))
    counted = measured.drop_duplicates([PARTICIPANT, *ways]).groupby(PARTICIPANT).size()
    everywhere = counted.index[counted == len(measured.drop_duplicates(list(ways)))]
    complete = measured[measured[PARTICIPANT].isin(everywhere)]
    flow.append((tables.sentence("studies.values.everywhere"), complete))
    return pd.DataFrame(
        [(step, some[PARTICIPANT].nunique(), len(some)) for step, some in flow],
        columns=["step", "participants", "trials"],
    )


def _commonest(reasons: pd.Series) -> str:
    """Return the most frequent reason, or that no reason is known."""
    stated = reasons[reasons.ne("")]
    return str(stated.mode()[0]) if len(stated) else tables.sentence("studies.no_reason")
