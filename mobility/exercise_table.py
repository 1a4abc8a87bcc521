"""What ``exercise.yaml`` of an exercise may say."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from mobility.options import Strict, validate


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


class ExerciseTable(Strict):
    """What an exercise is; see the page on exercises of one's own."""

    model_config = ConfigDict(extra="forbid")

    name: str
    slug: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
    order: Annotated[float, Field(description="place in lists; the first is the usual exercise")]
    like: Annotated[str | None, Field(description="folder whose functions it has, too")] = None
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


def checked_table(table: Any, *, what: str) -> dict[str, Any]:
    """Check what an ``exercise.yaml`` says, and give it without what is left out."""
    return validate(ExerciseTable, table, what=what).model_dump(exclude_none=True)
