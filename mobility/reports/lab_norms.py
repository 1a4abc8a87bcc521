"""A lab's own norms and errors in the words and numbers of a report."""

from __future__ import annotations

from collections.abc import Iterable

from mobility import tables
from mobility.base.formatting import between
from mobility.documents.lab_references import Norm


def z_score(value: float, norm: Norm) -> float:
    """Return the distance of a value from the mean of the norm, in standard deviations."""
    return (value - norm.mean) / norm.sd


def error_of(people: int, name: str) -> str:
    """Name the people on whom an error was measured: "of this lab's 24 people, NAME"."""
    return tables.sentence("report.lab.error", people=people, name=name)


def package() -> str:
    """State that an error comes from this package."""
    return tables.sentence("report.lab.package")


def band(norm: Norm) -> tuple[float, float]:
    """Return the range of most people in a norm: between its outermost percentiles."""
    return norm.percentiles[0][1], norm.percentiles[-1][1]


def scaled(norm: Norm, factor: float) -> Norm:
    """Return a norm in units that are `factor` times smaller."""
    values = {"mean": factor * norm.mean, "sd": factor * norm.sd}
    percentiles = [(share, factor * value) for share, value in norm.percentiles]
    return norm.model_copy(update={**values, "percentiles": percentiles})


def drawn(norms: Iterable[tuple[Norm, str]]) -> list[str]:
    """Name the people behind the drawn norms, each group once, and their share in the range."""
    counts: dict[tuple[int, str, str], list[int]] = {}
    for norm, name in norms:
        share = round(norm.percentiles[-1][0] - norm.percentiles[0][0])
        counts.setdefault((share, _who(norm), name), []).append(norm.people)
    return [
        tables.sentence(
            "report.lab.drawn",
            share=share / 100,
            people=_people(min(each), max(each), who),
            name=name,
        )
        for (share, who, name), each in counts.items()
    ]


def _people(least: int, most: int, who: str) -> str:
    count = f"{least}" if least == most else between(least, most)
    return tables.sentence(f"report.lab.people.{'some' if who else 'all'}", count=count, who=who)


def _who(norm: Norm) -> str:
    """State the sex and age of the people behind a norm; empty if it applies to everybody."""
    ages = ""
    if norm.age is not None:
        youngest, oldest = norm.age
        kind = "from" if oldest is None else "between"
        ages = tables.sentence(f"report.lab.age.{kind}", youngest=youngest, oldest=oldest)
    return ", ".join(filter(None, [norm.sex, ages]))


def of_whom(norm: Norm, name: str) -> str:
    """Describe the people of a norm: "45 people, female, 20 to 44 years (NAME)"."""
    return f"{_people(norm.people, norm.people, _who(norm))} ({name})"


def percentile(value: float, norm: Norm) -> str:
    """State between which percentiles of the norm a value lies."""
    below = [share for share, limit in norm.percentiles if limit <= value]
    above = [share for share, limit in norm.percentiles if limit > value]
    if not below or not above:
        kind, share = ("below", above[0]) if above else ("above", below[-1])
        return tables.sentence(f"report.lab.beyond.{kind}", share=share)
    return tables.sentence("report.lab.percentile", low=below[-1], high=above[0])
