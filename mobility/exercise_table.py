"""What ``exercise.yaml`` of an exercise may say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from mobility import tables
from mobility.errors import BadInputError
from mobility.options import Strict, likely, validate


class _Film(Strict):
    lines: list[str]
    source: str


class _Expected(Strict):
    source: str
    parts: dict[str, str]


class _Durations(Strict):
    head: str
    names: list[str]


class _Values(Strict):
    caption: str
    names: list[str]


class _Report(Strict):
    gauges: Annotated[str, Field(description="caption of the gauges of the first page")]
    trial: Annotated[list[str], Field(description="angles drawn over the whole recording")]
    tables: list[_Values]
    ranges: Annotated[list[str], Field(description="angles with published ranges")]
    curves: Annotated[list[str], Field(description="angles drawn over the repetitions")]
    moment: Annotated[str, Field(description="at which angles are measured")] = "at the bottom"
    moving: Annotated[str, Field(description="while the knees are watched")] = "while squatting"
    phases: Annotated[dict[str, str] | None, Field(description="of the knee movement")] = None
    durations: _Durations | None = None


class _Lab(Strict):
    angles: Annotated[
        list[str] | None, Field(description="angles that are compared; else those of measures")
    ] = None
    values: Annotated[
        list[str],
        Field(
            default_factory=lambda: ["bottom", "peak", "range"],
            description="of a repetition, of lab_contents.yaml",
        ),
    ]


class ExerciseTable(Strict):
    """What an exercise is; see the page on exercises of one's own."""

    model_config = ConfigDict(extra="forbid")

    name: str
    slug: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
    order: Annotated[float, Field(description="place in lists; the first is the usual exercise")]
    like: Annotated[
        Literal["repeated"] | None, Field(description="folder whose functions it has, too")
    ] = None
    noun: Literal["repetition", "movement"]
    joints: Annotated[Literal["all", "named"], Field(description="that may be chosen")]
    documents: Annotated[list[str], Field(description="of the interface, that its sessions have")]
    notebook: Annotated[str, Field(description="of its report, without ending")]
    not_this_exercise: Annotated[str, Field(description="words of the verdict")]
    parts: Annotated[list[str], Field(description="that a verdict can rule out")]
    cohort: Annotated[list[str], Field(description="metrics that are compared by default")]
    ds_type: Annotated[str | None, Field(description="kind of its metrics in older sessions")] = (
        None
    )
    film: _Film | None = None
    measures: Annotated[
        dict[str, list[str]], Field(default_factory=dict, description="by part of measures.yaml")
    ]
    moving_phases: list[str] | None = None
    groups: Annotated[dict[str, dict[str, str]], Field(default_factory=dict)]
    rules: Annotated[list[str], Field(default_factory=list)]
    expected: _Expected | None = None
    gauges: Annotated[
        dict[str, str], Field(default_factory=dict, description="rule: name on the first page")
    ]
    advice_on: Annotated[
        dict[str, str], Field(default_factory=dict, description="warning: what to do")
    ]
    report: _Report | None = None
    lab: Annotated[_Lab, Field(default_factory=_Lab, description="what is compared with lab data")]


def checked_table(table: Any, *, what: str) -> dict[str, Any]:
    """Check an ``exercise.yaml``, and return it without fields that are left out."""
    return validate(ExerciseTable, table, what=what).model_dump(exclude_none=True)


_DOCUMENTS = ("report", "summary", "threads", "joint-mobility", "display settings")


def check_names(
    table: dict[str, Any],
    own_tables: Sequence[Callable[[str], Any]],
    *,
    functions: Iterable[str],
    what: str,
) -> None:
    """Refuse names in an ``exercise.yaml`` that are in no table.

    Parameters
    ----------
    table
        What :func:`checked_table` gave.
    own_tables
        Functions that give tables of a folder by name, for this exercise and for the others.
    functions
        Public functions of its modules that an exercise cannot have, but that look like one.
    what
        For the message.
    """
    measures = tables.load("measures")
    rules = dict(tables.load("findings")["rules"])
    own_measures: dict[str, dict[str, Any]] = {}
    for own_table in own_tables:
        rules |= own_table("findings").get("rules", {})
        for part, entries in own_table("measures").items():
            own_measures[part] = own_measures.get(part, {}) | entries
    parts = tables.load("verdict")["parts"]

    def check(names: Iterable[str], allowed: Iterable[str], where: str) -> None:
        allowed = list(allowed)
        for name in names:
            if name not in allowed:
                choice = likely(name, allowed) or "; it is in no table"
                raise BadInputError(f"{what}: {where} {name!r}: unknown{choice}")

    kinds = ("angles", "posture", "stance", "knee_movement", "frontal_plane", "tempo", "smoothness")
    check(table.get("measures", {}), kinds, "measures:")
    picked: list[str] = []
    for part, names in table.get("measures", {}).items():
        check(names, [*measures[part], *own_measures.get(part, {})], f"measures: {part}:")
        picked += names
    described = [*picked, *(name for part in kinds for name in own_measures.get(part, {}))]
    check(table.get("rules", ()), rules, "rules:")
    check(table.get("gauges", {}), table.get("rules", ()), "gauges:")
    check(table.get("expected", {}).get("parts", {}), table.get("rules", ()), "expected:")
    check(table["documents"], _DOCUMENTS, "documents:")
    check(table["parts"], parts, "parts:")
    report = table.get("report", {})
    for values in report.get("tables", ()):
        check(values["names"], described, "report: tables:")
    for part in ("trial", "ranges", "curves"):
        check(report.get(part, ()), measures["angles"], f"report: {part}:")
    check(table["lab"].get("angles", ()), tables.load("angles"), "lab: angles:")
    check(table["lab"]["values"], tables.load("lab_contents")["compared"], "lab: values:")
    for rule in table.get("rules", ()):
        metric = rules[rule]["metric"]
        if not any(metric.startswith(name) for name in (*described, "smoothness_sparc")):
            check([metric], described, f"findings.yaml: {rule}: metric")
    check(functions, (), "function")
