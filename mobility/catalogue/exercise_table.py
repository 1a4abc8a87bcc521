"""Fields of an exercise's tables: ``exercise.yaml``, findings, advice and measures."""

from __future__ import annotations

import string
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from mobility import tables
from mobility.base.options import Strict, likely, quoted, validate
from mobility.base.uncertain import sd_name, sem_name
from mobility.errors import BadInputError

ONE_FOR_ALL = {"findings": ("rules",), "advice": ("exercises",), "measures": ("measures",)}
"""Tables of exercises, with the parts in which a name may have only one meaning."""

USUAL_PAGE = (
    *("first", "trial", "measures", "findings", "exercises", "repetitions"),
    *("recording", "method", "sources"),
)
"""Sections of the report of an exercise with repetitions if its table lists none."""

_OF_SIDES = ("asymmetry", "asymmetry_index", "limb_symmetry_index", "symmetry_angle")
"""Kinds of numbers that compare the medians of the two sides."""

_WITH_MEAN = {"median", "bottom", "bottom_asymmetry", "asymmetry", "variability"}
"""Kinds of numbers whose error can be the error of the mean over frames."""

_JUDGED = (
    "median",
    *_OF_SIDES,
    *("variability", "curve_variability", "from_standing", "at_bottom", "standing"),
    *("count", "time"),
)
"""Kinds of numbers that a rule can judge: one number, or one for each side."""

_NAMED_ALIKE = ("median", "repetition", "count", "time")
"""Kinds whose variable has the same name as the measure."""

_NAMED = ("median", "descent", "ascent", "standing")
"""Kinds whose variable can be named by the declaration."""

_FILLED = ("measured", "threshold", "limit", "norm", "sign", "reason", "question", "label")
"""Placeholders that a finding's sentence may contain, in addition to ``probability``."""


def _printable(text: str) -> str:
    if not (text.strip() and text.isprintable()):
        raise ValueError("must be one line of letters, digits and punctuation")
    return text


def _named(name: str) -> str:
    if not (
        _printable(name)[0].isalnum() and name[-1] != " "
    ):  # cannot be mistaken for a formula by a spreadsheet
        raise ValueError("must begin with a letter or a digit, and not end with a space")
    return name


Text = Annotated[str, Field(max_length=1000), AfterValidator(_printable)]
Name = Annotated[str, Field(min_length=1, max_length=60), AfterValidator(_named)]
Key = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]
Slug = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=60)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Count = Annotated[int, Field(strict=True, ge=1, le=1000)]
Flag = Annotated[bool, Field(strict=True)]


class _Film(Strict):
    lines: Annotated[list[Text], Field(min_length=1)]
    source: Text


class _Durations(Strict):
    head: Text
    names: list[str]


class ReportTable(Strict):
    """A table of numbers in a report."""

    caption: Text
    names: list[str]


class _Report(Strict):
    gauges: Annotated[Text, Field(description="caption of the gauges of the first page")]
    opening: (
        Annotated[Key, Field(description="section that is shown first on the first page")] | None
    ) = None
    trial: Annotated[
        list[str], Field(min_length=1, description="angles drawn over the whole recording")
    ]
    tables: list[ReportTable]
    ranges: Annotated[list[str], Field(description="angles with published ranges")]
    curves: Annotated[list[str], Field(description="angles drawn over the repetitions")]
    durations: _Durations | None = None


class _Moment(Strict):
    """A phase of a repetition, defined by exactly one of the first four fields."""

    before: Annotated[Key, Field(description="event; frames of standing before it")] | None = None
    middle_of: Annotated[tuple[Key, Key], Field(description="events")] | None = None
    from_: Annotated[Key | None, Field(alias="from")] = None
    to: Key | None = None
    around: (
        Annotated[Key, Field(description="event; its frame and the neighbouring frames")] | None
    ) = None
    word: Annotated[Text, Field(description="word for the phase")] | None = None
    at: (
        Annotated[
            Text, Field(description='words for "at the phase"; default: "at the" and its word')
        ]
        | None
    ) = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        definitions = [self.before, self.middle_of, self.from_, self.around]
        if sum(each is not None for each in definitions) != 1 or (self.from_ is None) != (
            self.to is None
        ):
            raise ValueError("needs exactly one of before, middle_of, around, or from and to")
        return self


class _Lab(Strict):
    angles: Annotated[
        list[str] | None,
        Field(description="angles that are compared; default: the measured angles"),
    ] = None
    values: Annotated[
        list[str],
        Field(
            default_factory=lambda: ["bottom", "peak", "range"],
            description="phases of a repetition, from lab_contents.yaml",
        ),
    ]


class _Readers(Strict):
    participant: Text
    professional: Text


class ExerciseTable(Strict):
    """Description of an exercise; docs/own-exercise.md explains each field."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    slug: Slug
    order: Annotated[
        float,
        Field(
            allow_inf_nan=False, description="position in lists; the first exercise is the default"
        ),
    ]
    noun: Literal["repetition", "movement"]
    joints: Annotated[Literal["all", "named"], Field(description="joints that can be selected")]
    documents: Annotated[
        list[str], Field(description="documents of the interface that its sessions have")
    ]
    notebook: Annotated[Key, Field(description="file name of its report, without ending")]
    not_this_exercise: Annotated[Text, Field(description="words for the verdict")]
    page: Annotated[
        tuple[Key, ...], Field(description="sections of its report, if it has repetitions")
    ] = USUAL_PAGE
    parts: Annotated[
        list[str], Field(description="parts of the results that a verdict can rule out")
    ]
    cohort: Annotated[list[str], Field(description="metrics that are compared by default")]
    film: _Film | None = None
    measures: Annotated[
        list[str], Field(default_factory=list, description="names from measures.yaml")
    ]
    turn: Annotated[
        Text | None,
        Field(
            description=(
                "word for the turning point between the way there and the way back; default: "
                "bottom, or turn for a movement"
            )
        ),
    ] = None
    ways: (
        Annotated[tuple[Text, Text], Field(description="words for the ways there and back")] | None
    ) = None
    moving: (
        Annotated[Text, Field(description="words for the time during which the knees are watched")]
        | None
    ) = None
    moments: Annotated[dict[Key, _Moment], Field(min_length=1)] | None = None
    span: Annotated[
        tuple[Key, Key],
        Field(description="first and last event of the measured part of a repetition"),
    ] = ("start", "end")
    retest_known: Annotated[
        Flag, Field(description="whether the between-recording errors of squats apply to it")
    ] = True
    groups: Annotated[dict[str, _Readers], Field(default_factory=dict)]
    rules: Annotated[list[str], Field(default_factory=list)]
    advice_on: Annotated[
        dict[str, Text], Field(default_factory=dict, description="warning: what to do")
    ]
    report: _Report | None = None
    lab: Annotated[_Lab, Field(default_factory=_Lab, description="what is compared with lab data")]

    @model_validator(mode="after")
    def _complete(self) -> Self:
        """Reject an exercise with repetitions if its table lacks fields that its pages show."""
        if self.moments and not any(m.from_ or m.around for m in self.moments.values()):
            raise ValueError(
                "moments: the moment at which it measures needs from and to, or around"
            )
        if self.noun == "repetition":
            needed = {"report": self.report, "measures": self.measures}
            if missing := [name for name, value in needed.items() if not value]:
                raise ValueError(f"an exercise with repetitions needs {', '.join(missing)}")
        if ("report" in self.documents) != (self.noun == "repetition"):
            raise ValueError(
                "documents: an exercise with repetitions has the document report, and no others"
            )
        return self


class _Norm(Strict):
    norm: Text


class _Signs(Strict):
    positive: Text
    negative: Text


class _Shown(Strict):
    scale: Number = 1
    digits: Annotated[int, Field(strict=True, ge=0, le=6)] = 0
    suffix: Annotated[str, Field(max_length=60)] = ""


class _Size(Strict):
    value: Annotated[Number, Field(gt=0)]
    source: Text


class _Checkpoint(Strict):
    name: Text
    may: Text | None = None
    source: Text


class _Statements(Strict):
    found: Text
    not_found: Text


class _ClientOneSide(Strict):
    met: Text
    outside: Text


class _ClientWords(_ClientOneSide):
    one_side: _ClientOneSide | None = None


class _Gross(Strict):
    label: Text
    participant: Text
    professional: Text
    source: Text


class _Rule(Strict):
    """Entry of ``findings.yaml``."""

    metric: Key
    group: str
    direction: Literal["below", "above", "outside"]
    threshold: Number | _Norm
    unit: Text
    signs: _Signs | None = None
    shown: _Shown | None = None
    spread: Flag = False
    margin: _Size | None = None
    met: _Size | None = None
    large: _Size | None = None
    row: Text
    plus: Text | None = None
    checkpoint: _Checkpoint | None = None
    place: Number | None = None
    label: Text
    gross: _Gross | None = None
    question: Text
    source: Text
    client: _ClientWords | None = None
    participant: _Statements
    professional: _Statements


class _Quantity(Strict):
    value: Number
    units: Literal["m", "kg"]


class _Work(Strict):
    """Entry of ``advice.yaml``."""

    name: Text
    kind: Literal["mobility", "strength", "control"]
    sets: Count
    repetitions: Count | None = None
    seconds: Count | None = None
    per_week: Annotated[int, Field(strict=True, ge=1, le=7)]
    each_side: Flag
    how: Text
    purpose: Text
    quantities: dict[Key, _Quantity] = Field(default_factory=dict)
    rules: Annotated[list[str], Field(alias="for", min_length=1)]
    source: Text

    @model_validator(mode="after")
    def _dosed(self) -> Self:
        if (self.repetitions is None) == (self.seconds is None):
            raise ValueError("must have either repetitions or seconds")
        return self


class _Limit(Strict):
    value: Number
    source: Text


class _LeastVisibility(_Limit):
    of: Key


class _Error(Strict):
    of: Literal["mean"]
    factor: Annotated[Number, Field(gt=0)] = 1.0
    source: Text = ""


class _NotOf(Strict):
    value: list[str]
    source: Text


class Measure(Strict):
    """Declaration of a measure; the head of ``tables/measures.yaml`` explains each field."""

    computed_by: Annotated[
        str, Field(alias="from", pattern=r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$", max_length=120)
    ]
    kinds: Annotated[list[Key] | dict[Key, Key] | None, Field(min_length=1)] = None
    sign: Literal[1, -1] = 1
    peak: Literal["maximum", "minimum", "magnitude"] | None = None
    extreme: Literal["maximum", "minimum"] | None = None
    over: tuple[Key, Key] | None = None
    at: dict[Key, Number] | None = None
    not_there: Text | None = None
    statistic: Text | None = None
    against: Literal["standing"] | None = None
    frontal: Flag = False
    least_visibility: _LeastVisibility | None = None
    seldom: Text | None = None
    error: _Error | None = None
    fit_error_share: _Limit | None = None
    fit_error_sd: _Limit | None = None
    not_of: _NotOf | None = None
    largest_interval: _Limit | None = None
    long_name: Text
    units: Text = "degree"
    group: str
    sided: Flag = False
    signed: Flag = False
    percent: Flag = False
    of: Annotated[str, Field(max_length=60)] = ""
    plus: Text | None = None
    reference: Text
    source: Text

    @model_validator(mode="after")
    def _complete(self) -> Self:
        """Reject a measure that cannot be computed."""
        if self.at is not None and not (
            "within_deg" in self.at and len(self.at) == 2 and self.not_there
        ):
            raise ValueError("at: needs an angle, within_deg, and a sentence as not_there")
        if self.over is not None and self.peak is None:
            raise ValueError("over: needs peak, the extreme that counts")
        ways = {name for name in ("extreme", "over", "at") if getattr(self, name) is not None}
        if len(ways) > 1:
            raise ValueError(f"has {' and '.join(sorted(ways))}; use only one of them")
        kinds = set(self.kinds or ())
        if ways and (not kinds or kinds & {"bottom", "bottom_asymmetry"}):
            raise ValueError(f"{ways.pop()}: needs kinds, without the kinds of the moment (bottom)")
        if self.computed_by.startswith("angles."):
            self._of_angle()
        elif self.error and not self.largest_interval:
            raise ValueError("error: needs largest_interval, above which the value is not reported")
        if self.error and (ways & {"extreme", "over"} or not kinds or kinds - _WITH_MEAN):
            raise ValueError(
                f"error: applies only to {', '.join(sorted(_WITH_MEAN))}; list them under kinds"
            )
        if self.units != "degree" and kinds & {*_OF_SIDES[1:]}:
            raise ValueError("kinds: ratios of the sides exist only for angles in degrees")
        if (self.fit_error_sd or self.not_of) and not self.computed_by.startswith("smoothness."):
            raise ValueError(
                "fit_error_sd and not_of apply only to measures of the kernel smoothness"
            )
        return self

    def _of_angle(self) -> None:
        """Reject fields that apply only to kernels; the limit of an angle is in ``angles.yaml``."""
        for name in ("error", "largest_interval", "least_visibility", "seldom", "fit_error_share"):
            if getattr(self, name) is not None:
                raise ValueError(
                    f"{name}: cannot be set for angles, whose limits are in angles.yaml"
                )
        if self.units != "degree":
            raise ValueError("units: must be degree for an angle")


def checked_table(table: Any, *, what: str) -> dict[str, Any]:
    """Check an ``exercise.yaml``, and return it without the fields that are not set."""
    return validate(ExerciseTable, table, what=what).model_dump(exclude_none=True, by_alias=True)


def check_own_tables(
    own_table: Callable[[str], Any],
    *,
    other_tables: Sequence[Callable[[str], Any]],
    package: str,
) -> None:
    """Reject findings, advice and measures of a folder if they contain something invalid.

    Parameters
    ----------
    own_table, other_tables
        Functions that return a table by its name: for this folder, and for the folders of all other
        exercises.
    package
        Named in error messages.
    """
    for table, parts in ONE_FOR_ALL.items():
        what = f"{table}.yaml of {package}"
        entries = dict(_entries(own_table(table), table, what))
        shared = [tables.load(table), *(each(table) for each in other_tables)]
        if twice := sorted(
            entries.keys() & {n for t in shared for p in parts for n in t.get(p, {})}
        ):
            raise BadInputError(f"{what}: {twice[0]} is already the name of another entry")
        for name, entry in entries.items():
            check_entry(table, entry, f"{what}: {name}")


def _entries(content: Any, table: str, what: str) -> Iterator[tuple[str, Any]]:
    """Return the entries of a folder's table with their names."""
    parts = ONE_FOR_ALL[table]
    if not isinstance(content, Mapping):
        raise BadInputError(f"{what}: must consist of named parts ({', '.join(parts)})")
    if table != "measures":  # this part also has limits
        check_among(content, parts, what)
    for part, entries in content.items() if table == "measures" else ():
        if part not in parts and _declares(entries):
            raise BadInputError(
                f"{what}: {part}: declarations belong in `measures`, each with from"
            )
    for part in parts:
        entries = content.get(part, {})
        if not isinstance(entries, Mapping):
            raise BadInputError(f"{what}: {part}: must have named entries")
        for name, entry in entries.items():
            validate(_OneName, {"name": name}, what=f"{what}: {part}")
            yield name, entry


def _declares(entries: Any) -> bool:
    """Whether a part of a table declares measures."""
    each = entries.values() if isinstance(entries, Mapping) else ()
    return any(isinstance(entry, Mapping) and "long_name" in entry for entry in each)


def check_entry(table: str, entry: Any, what: str) -> None:
    """Reject an entry of findings, advice or measures that is not valid."""
    if table == "measures":
        check_measure(entry, what)
    elif table == "advice":
        work = validate(_Work, entry, what=what)
        _check_braces(work.how, work.quantities, f"{what}: how")
        _check_braces(work.purpose, work.quantities, f"{what}: purpose")
    else:
        _check_rule(validate(_Rule, entry, what=what), what)


def check_measure(entry: Any, what: str) -> None:
    """Reject a measure with fields that are never read, or without fields that it needs."""
    measure = validate(Measure, entry, what=what)
    table, angles = tables.load("measures")["kinds"], tables.load("angles")
    kernel, _, output = measure.computed_by.partition(".")
    if kernel == "angles":
        check_among([output], angles, f"{what}: from")
    check_among(measure.at or (), ["within_deg", *angles], f"{what}: at")
    kinds = list(measure.kinds or table["usual"]["angles" if kernel == "angles" else "points"])
    check_among(kinds, table["words"], f"{what}: kinds")
    if isinstance(measure.kinds, dict):
        hint = f"; only {', '.join(_NAMED)} can be given a name"
        check_among(kinds, _NAMED, f"{what}: kinds", hint)
    _check_braces(measure.long_name, ("turn", "descent", "ascent"), f"{what}: long_name")
    if "peak" in kinds and measure.peak is None:
        raise BadInputError(f"{what}: needs peak, the extreme of a repetition that counts")
    of_sides = [n for n, kind in enumerate(kinds) if kind in _OF_SIDES]
    if of_sides and "median" not in kinds[: of_sides[0]]:
        raise BadInputError(f"{what}: kinds: list median before kinds that compare the sides")


class _OneName(Strict):
    name: Key


def _check_rule(rule: _Rule, what: str) -> None:
    _check_braces(rule.label, ("threshold",), f"{what}: label")
    for reader in ("participant", "professional"):
        statements = getattr(rule, reader)
        for status in ("found", "not_found"):
            place = f"{what}: {reader}: {status}"
            _check_braces(getattr(statements, status), (*_FILLED, "probability"), place)
    findings = tables.load("findings")
    check_among(
        [rule.group], [name for name in findings["groups"] if name != "source"], f"{what}: group"
    )
    if rule.large is None and rule.unit not in findings["order"]["large"]:
        raise BadInputError(
            f"{what}: with the unit {quoted(rule.unit)}, needs large, with value and source"
        )
    if rule.spread and not isinstance(rule.threshold, float | int):
        raise BadInputError(f"{what}: spread: the threshold must be a number")


def _check_braces(text: str, allowed: Iterable[str], what: str) -> None:
    """Reject placeholders in a sentence that are never filled."""
    try:
        fields = list(string.Formatter().parse(text))
    except ValueError as error:
        raise BadInputError(f"{what}: {error}") from None
    for _, name, style, conversion in fields:
        if name is not None:
            hint = likely(name, allowed) or f"; available: {', '.join(allowed) or 'none'}"
            check_among([name], allowed, what, hint)
            if style or conversion:
                raise BadInputError(f"{what}: {{{name}}}: must be a name alone, without a format")


_DOCUMENTS = ("report", "summary", "threads", "joint-mobility", "display settings")


def check_among(names: Iterable[Any], allowed: Iterable[str], where: str, hint: str = "") -> None:
    """Reject names that are not allowed; the message ends with the `hint`, or the closest name."""
    allowed = list(allowed)
    for name in names:
        if name not in allowed:
            choice = hint or likely(str(name), allowed) or "; it is not in any table"
            raise BadInputError(f"{where}: {quoted(name)}: unknown{choice}")


def check_names(
    table: Mapping[str, Any],
    own_table: Callable[[str], Any],
    *,
    other_tables: Sequence[Callable[[str], Any]],
    kernels: Collection[str],
    moment: str,
    what: str,
    package: str,
) -> None:
    """Reject names in an exercise's tables that no table defines, or that are not measured.

    Parameters
    ----------
    table
        The result of :func:`checked_table`.
    own_table, other_tables
        Functions that return a table by its name: for this folder, and for the folders of all other
        exercises.
    kernels
        Names of the kernels of its folder and of the classes that it inherits from.
    moment
        The moment at which the exercise measures.
    what, package
        The table and the package, named in error messages.
    """
    measures, findings = tables.load("measures"), tables.load("findings")
    rules = dict(findings["rules"])
    own_measures = own_table("measures")
    for each in (*other_tables, own_table):
        rules |= each("findings").get("rules", {})

    described = {**measures["measures"], **own_measures.get("measures", {})}
    check_among(table["measures"], described, f"{what}: measures")
    described = {name: described[name] for name in table["measures"]}
    for name, entry in described.items():
        where = f"measures.yaml of {package}: {name}: from"
        kernel = entry["from"].partition(".")[0]
        decorated = "; a kernel in kernels.py has @of_points(...) or @of_trial above it"
        check_among([kernel], ["angles", *kernels], where, likely(kernel, kernels) or decorated)
    knees = {"knee_ankle_separation_ratio", "knee_deviation"}  # tables show both together
    if len(knees & described.keys()) == 1:
        raise BadInputError(
            f"{what}: measures: list both {' and '.join(sorted(knees))}, or neither"
        )
    check_unique(described, moment, what)
    check_among(table["rules"], rules, f"{what}: rules")
    check_among(table["documents"], _DOCUMENTS, f"{what}: documents")
    check_among(table["parts"], tables.load("verdict")["parts"], f"{what}: parts")
    check_among(table["groups"], findings["groups"], f"{what}: groups")
    warnings = [*tables.load("sentences_warnings"), *tables.load("verdict")["warnings"]]
    check_among(table["advice_on"], warnings, f"{what}: advice_on")
    report = table.get("report", {})
    for values in report.get("tables", ()):
        check_among(values["names"], described, f"{what}: report: tables")
    angles = [name for name, entry in described.items() if entry["from"] == f"angles.{name}"]
    for part in ("trial", "ranges", "curves"):
        check_among(report.get(part, ()), angles, f"{what}: report: {part}")
    lab = table["lab"]
    check_among(lab.get("angles", ()), tables.load("angles"), f"{what}: lab: angles")
    compared = tables.load("lab_contents")["compared"]
    check_among(lab["values"], compared, f"{what}: lab: values")
    durations = report.get("durations", {}).get("names", ())
    check_among(durations, described, f"{what}: report: durations")
    if report:  # a metric is named after its measure and its kind
        numbers = [
            number
            for name, entry in described.items()
            for _, number in names_of_numbers(name, entry, moment)
        ]
        check_among(table["cohort"], [*numbers, *tables.load("indices")], f"{what}: cohort")
    metrics = _judged(described, moment)
    for rule in table["rules"]:
        metric, unit = rules[rule]["metric"], rules[rule]["unit"]
        where = f"findings.yaml: {rule}"
        check_among([metric], metrics, f"{where}: metric")
        if metrics[metric] != unit:
            raise BadInputError(
                f"{where}: unit: is {quoted(unit)}, but {metric} is in {quoted(metrics[metric])}"
            )
    for name, work in own_table("advice").get("exercises", {}).items():
        check_among(work["for"], rules, f"advice.yaml of {package}: {name}: for")


def names_of_numbers(name: str, entry: Mapping[str, Any], moment: str) -> Iterator[tuple[str, str]]:
    """Return the kinds of numbers computed from a measure, and their variable names."""
    usual = tables.load("measures")["kinds"]["usual"]
    origin = "angles" if entry["from"].startswith("angles.") else "points"
    kinds = entry.get("kinds") or usual[origin]
    ends = {
        **dict.fromkeys(_NAMED_ALIKE, ""),
        "bottom": f"_{moment}",
        "bottom_asymmetry": f"_{moment}_asymmetry",
        "at_bottom": f"_at_{moment}",
    }
    for kind in kinds:
        if kind in _OF_SIDES and not entry.get("sided"):
            continue
        variable = kinds[kind] if isinstance(kinds, Mapping) else ""
        yield kind, variable or f"{name}{ends.get(kind, f'_{kind}')}"


def check_unique(described: Mapping[str, Any], moment: str, what: str) -> None:
    """Reject measures if two of their numbers have the same name."""
    owner: dict[str, str] = {}
    for name, entry in described.items():
        for _, number in names_of_numbers(name, entry, moment):
            for variable in (number, sd_name(number), sem_name(number)):
                if variable in owner:
                    raise BadInputError(
                        f"{what}: measures: {name} and {owner[variable]} both have a number "
                        f"called {variable}; rename the measure or the moment"
                    )
                owner[variable] = name


def _judged(described: Mapping[str, Any], moment: str) -> dict[str, str]:
    """Return the metrics that a rule can judge, and their units."""
    ratios = tables.load("measures")["symmetry"]
    return {
        number: "percent" if kind in ratios else entry.get("units", "degree")
        for name, entry in described.items()
        for kind, number in names_of_numbers(name, entry, moment)
        if kind in _JUDGED
    }
