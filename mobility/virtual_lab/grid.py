"""Grids of cases from GRID.yaml: lists, products, and samples drawn from ranges."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field, model_validator
from scipy.special import ndtr, ndtri

from mobility.base.options import Strict, checked, likely, validate
from mobility.errors import BadInputError
from mobility.virtual_lab.case import Case, Film, case_from, read_yaml

VIEWS: Mapping[str, tuple[float, float, float]] = {
    "front": (-15.0, 15.0, 0.0),
    "front-oblique-left": (35.0, 60.0, 45.0),
    "front-oblique-right": (-60.0, -35.0, -45.0),
    "left": (65.0, 115.0, 90.0),
    "right": (-115.0, -65.0, -90.0),
    "back-oblique-left": (125.0, 150.0, 135.0),
    "back-oblique-right": (-150.0, -125.0, -135.0),
    "back": (165.0, 195.0, 180.0),
}
"""Azimuths of the views that stratify a sample: from, to, and the exact azimuth; see Camera."""

HANDS_UP = 1.28
"""Height of the raised hands as a multiple of stature."""

HALF_WIDTH = 0.45
"""Half of the widest extent across the picture (arms spread, or fallen), as a share of stature."""

MOST_SD = 2.5
"""Standard deviations at which normal distributions are cut."""

_MOST = 10_000
_FARTHEST_M = 8.0
_CAMERA = ("height_m", "field_of_view", "aim", "framing", "roll")
"""Camera properties that are drawn for a further video, in this order."""


class Range(Strict):
    """Range or set from which values are drawn.

    Attributes
    ----------
    low, high
        Interval, divided into as many parts as there are cases; each part provides one value.
    mean, sd
        A normal distribution instead of an interval, cut at 2.5 standard deviations and divided in
        the same way.
    any
        Values that are used equally often, instead of an interval.
    female, male
        A range for each sex, instead of the settings above. It must come after `body.sex`.
    share
        Share of the cases that draw from this range; the other cases draw from `otherwise`.
    otherwise
        A value, another range, or nothing (the value in the defaults).
    apart
        Share of the cases in which left and right are drawn separately, for values that can differ
        between the sides.
    """

    low: float | None = None
    high: float | None = None
    mean: float | None = None
    sd: Annotated[float, Field(gt=0)] | None = None
    any: list[Any] | None = None
    female: Range | None = None
    male: Range | None = None
    share: Annotated[float, Field(ge=0, le=1)] = 1.0
    otherwise: Range | float | str | None = None
    apart: Annotated[float, Field(ge=0, le=1)] = 0.0

    @model_validator(mode="after")
    def _one_kind(self) -> Range:
        pairs = [(self.low, self.high), (self.mean, self.sd), (self.female, self.male)]
        both_limits = [one is not None and other is not None for one, other in pairs]
        half = [(one is None) != (other is None) for one, other in pairs]
        if any(half) or sum(both_limits) + bool(self.any) != 1:
            raise ValueError(
                "set low and high, mean and sd, female and male, or any with at least one value"
            )
        if both_limits[2] and self.model_fields_set & {"share", "otherwise", "apart"}:
            raise ValueError("share, otherwise and apart belong in the range of each sex")
        within = [self.female, self.male, self.otherwise]
        if any(isinstance(part, Range) and part.female is not None for part in within):
            raise ValueError("female and male cannot be in the range of one sex")
        if both_limits[0] and not float(self.low or 0) <= float(self.high or 0):
            raise ValueError("low is larger than high; exchange them")
        return self


class Part(Strict):
    """Some of the cases in a sample, with different ranges for some values.

    Attributes
    ----------
    share
        Share of all cases; no case belongs to two parts.
    views
        Views from which they are taken; all views if none is named.
    ranges
        Ranges of these values, which replace those of the sample.
    """

    share: Annotated[float, Field(gt=0, le=1)]
    views: list[str] = Field(default_factory=list)
    ranges: dict[str, Range]


class Sample(Strict):
    """Cases drawn at random; they are always the same for a given seed.

    Attributes
    ----------
    seed
        Seed of the draws.
    n
        Number of cases; or `views`, the number for each of :data:`VIEWS`.
    exact
        Whether the first case of each view has its exact azimuth (0, 45, 90, ...).
    ranges
        Ranges of drawn values, by their place in a case (`motion.depth`). Three places do not exist
        in a case: `body.bmi` (kg/m², determines the weight), `camera.aim` (the height at the
        subject in the middle of the picture, as a share of stature; determines the tilt) and
        `camera.framing` (the distance, as a multiple of the smallest distance that shows raised
        hands and feet).
    parts
        Some of the cases, with other ranges for some values.
    others
        Further videos of the same people and movements: a name, and the views from which one is
        drawn, with a camera from the same ranges.
    """

    seed: Annotated[int, Field(ge=0)] = 0
    n: Annotated[int, Field(ge=1, le=_MOST)] | None = None
    views: dict[str, Annotated[int, Field(ge=0, le=_MOST)]] = Field(default_factory=dict)
    exact: bool = True
    ranges: dict[str, Range]
    parts: list[Part] = Field(default_factory=list)
    others: dict[str, Annotated[list[str], Field(min_length=1)]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _counted_once(self) -> Sample:
        if (self.n is None) == (not self.views):
            raise ValueError("set either n or views")
        for name in self.views:
            if name not in VIEWS:
                raise ValueError(f"views: {name!r} is unknown{likely(name, VIEWS)}")
        if self.views and "camera.azimuth" in self.ranges:
            raise ValueError("views determine the azimuth; leave camera.azimuth out of the ranges")
        if self.views and any("camera.azimuth" in part.ranges for part in self.parts):
            raise ValueError("views determine the azimuth; leave camera.azimuth out of the parts")
        if sum(part.share for part in self.parts) > 1:
            raise ValueError("the shares of the parts sum to more than 1; reduce them")
        for name in (name for part in self.parts for name in part.views):
            if name not in self.views:
                raise ValueError(
                    f"parts: view {name!r} is not among the views{likely(name, self.views)}"
                )
        for name in (name for views in self.others.values() for name in views):
            if name not in VIEWS:
                raise ValueError(f"others: {name!r} is unknown{likely(name, VIEWS)}")
        return self


class Grid(Strict):
    """The sections of a GRID.yaml.

    Attributes
    ----------
    name
        Name of the grid.
    defaults
        Values that all cases share, as in a CASE.yaml.
    cases
        Partial cases, whose values override the defaults.
    sample
        Cases drawn at random.
    axes
        Values by place (`camera.azimuth: [0, 45, 90]`): every case with every combination.
    """

    name: str = "grid"
    defaults: dict[str, Any] = Field(default_factory=dict)
    cases: list[dict[str, Any]] = Field(default_factory=list)
    sample: Sample | None = None
    axes: dict[str, Annotated[list[Any], Field(min_length=1)]] = Field(default_factory=dict)


def read_grid(path: str | os.PathLike[str]) -> Grid:
    """Read a GRID.yaml.

    `like: OTHER.yaml` in it names a grid in the same folder. The entries under `defaults` and
    `sample` then replace those of that grid; ranges are replaced one by one. A range that is null
    is not drawn.
    """
    source = Path(path)
    return validate(Grid, {"name": source.stem, **_sections(source)}, what=source.name)


def _sections(source: Path) -> dict[str, Any]:
    values = read_yaml(source, kind="grid")
    if not isinstance(values, Mapping):
        raise BadInputError(
            f"{source.name}: a grid is a mapping with {', '.join(Grid.model_fields)}"
        )
    texts = {str(key): value for key, value in values.items()}
    like = texts.pop("like", None)
    if like is None:
        return texts
    first = read_yaml(source.with_name(str(like)), kind="grid")
    if not isinstance(first, Mapping) or "like" in first:
        raise BadInputError(f"{source.name}: like: {like} must be a grid that names no other grid")
    merged = _merged(first, texts)
    ranges = [part.get("sample", {}).get("ranges", {}) for part in (first, texts)]
    if any(ranges):
        both = {**ranges[0], **ranges[1]}
        merged["sample"]["ranges"] = {key: one for key, one in both.items() if one is not None}
    return merged


def grid_cases(grid: Grid) -> list[Case]:
    """List the cases of a grid, reproducibly and with unique names."""
    starts = [dict(case) for case in grid.cases]
    if grid.sample is not None:
        starts += _drawn_cases(grid.sample, _film(grid))
    starts = starts or [{}]
    combinations = list(itertools.product(*grid.axes.values()))
    if not grid.cases and grid.sample is None and not grid.axes:
        raise BadInputError(f"{grid.name}: has no cases; add cases, axes or sample")
    if len(starts) * len(combinations) > _MOST:
        raise BadInputError(f"{grid.name}: has more than {_MOST} cases; remove some")
    width = len(str(len(starts) * len(combinations)))
    cases: list[Case] = []
    for start in starts:
        for values in combinations:
            number = f"{len(cases) + 1:0{width}d}"
            merged = _merged(grid.defaults, start)
            for place, value in zip(grid.axes, values, strict=True):
                _set_value(merged, place, value, what=grid.name)
            own_name = start.get("name")
            if own_name is None or len(combinations) > 1:
                merged["name"] = f"{number}-{own_name}" if own_name else f"case-{number}"
            case = case_from(
                _resolved(merged, _film(grid)), what=f"{grid.name}, case {merged['name']}"
            )
            cases.append(case)
    names = [case.name for case in cases]
    for name in names:
        if names.count(name) > 1:
            raise BadInputError(f"{grid.name}: two cases are called {name!r}; rename one")
    return cases


def cases_together(grids: Sequence[Grid]) -> list[Case]:
    """List the cases of grids.

    If there are several grids, names begin with the name of the grid.
    """
    names = [grid.name for grid in grids]
    for name in names:
        if names.count(name) > 1:
            raise BadInputError(
                f"two grids are called {name!r}; list each grid once, or rename one"
            )
    if len(grids) == 1:
        return grid_cases(grids[0])
    return [
        case.model_copy(update={"name": f"{grid.name} {case.name}"})
        for grid in grids
        for case in grid_cases(grid)
    ]


@checked
def cases_like(
    case: Case, *, n: Annotated[int, Field(ge=1, le=1000)], seed: Annotated[int, Field(ge=0)] = 0
) -> list[Case]:
    """Draw `n` cases similar to another case, as on a different day with a different person.

    Stature varies by 4 %, age by 8 years, and the depth by 5 percentage points. The camera varies
    by 8 degrees of azimuth, 5 % of its distance and 10 cm of its height. Sex, clothes, light, and
    the movement of knees and arms vary as they do among people.
    """
    around = {
        "body.age": (case.body.age, 8.0, 16.0, 90.0),
        "body.height_m": (case.body.height_m, 0.04 * case.body.height_m, 1.45, 2.0),
        "camera.azimuth": (case.camera.azimuth, 8.0, -180.0, 360.0),
        "camera.distance_m": (case.camera.distance_m, 0.05 * case.camera.distance_m, 1.0, 8.0),
        "camera.height_m": (case.camera.height_m, 0.10, 0.1, 3.0),
        "motion.depth": (float(np.max(case.squat.depth)), 5.0, 6.0, 75.0),
    }
    ranges: dict[str, Any] = {
        place: {"low": max(low, value - half), "high": min(high, value + half)}
        for place, (value, half, low, high) in around.items()
    }
    bmi = case.body.weight_kg / case.body.height_m**2
    ranges |= {
        "body.sex": {"any": ["female", "male"]},
        "body.bmi": {"low": 0.95 * bmi, "high": 1.05 * bmi},
        "motion.tibia_inclination": {"low": 25, "high": 40},
        "motion.knees_in": {"low": -5, "high": 12, "apart": 0.5},
        "motion.toe_out": {"low": 3, "high": 25},
        "motion.arm_fall": {"low": 0, "high": 35},
        "motion.shift_m": {"low": -0.03, "high": 0.03},
        "look.shirt": {"any": [[38, 84, 140], [210, 208, 204], [40, 40, 44], [160, 52, 48]]},
        "look.loose_m": {"low": 0.0, "high": 0.02},
        "look.clutter": {"any": [0, 4, 10]},
        "look.lamp": {"low": -120, "high": 120, "share": 0.6},
        "look.exposure": {"low": -0.5, "high": 0.2},
        "look.blur": {"low": 0.4, "high": 1.0},
        "look.noise": {"low": 0, "high": 8},
    }
    sample = validate(Sample, {"seed": seed, "n": n, "ranges": ranges}, what="cases_like")
    grid = Grid(name=case.name, defaults=case.model_dump(mode="json"), sample=sample)
    return grid_cases(grid)


def least_distance_m(
    stature: float, *, height_m: float, tilt: float, field_of_view: float, aspect: float
) -> float:
    """Return the distance at which raised hands, feet and spread arms just fit into the picture.

    `height_m`, `tilt` and `field_of_view` are as in :class:`~mobility.virtual_lab.pictures.Camera`;
    `aspect` is the width of the picture divided by its height.
    """
    half = np.radians(field_of_view) / 2
    tilted = np.radians(tilt)
    above, below = half + tilted, half - tilted
    distances = [HALF_WIDTH * stature / (np.tan(half) * aspect)]
    for part, angle in ((HANDS_UP * stature - height_m, above), (height_m, below)):
        distances.append(0.25 + part / np.tan(angle) if angle > 0.02 else np.inf)
    return float(max(distances))


def _film(grid: Grid) -> Film:
    return validate(Film, grid.defaults.get("video", {}), what=f"{grid.name}, video")


def _merged(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    merged = {
        key: dict(value) if isinstance(value, Mapping) else value for key, value in lower.items()
    }
    for key, value in upper.items():
        if isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = {**merged[key], **value}
        else:
            merged[key] = dict(value) if isinstance(value, Mapping) else value
    return merged


def _set_value(case: dict[str, Any], place: str, value: Any, *, what: str) -> None:
    section, dot, name = place.partition(".")
    if not dot or not isinstance(case.setdefault(section, {}), dict):
        raise BadInputError(f"{what}: {place!r} is not a place in a case; write section.name")
    case[section][name] = value


def _resolved(values: dict[str, Any], film: Film) -> dict[str, Any]:
    """Replace bmi, aim and framing by weight, tilt and distance."""
    body, camera = dict(values.get("body", {})), dict(values.get("camera", {}))
    stature = float(body.get("height_m", 1.70))
    if "bmi" in body:
        body["weight_kg"] = round(float(body.pop("bmi")) * stature**2, 1)
    aim, framing = camera.pop("aim", None), camera.pop("framing", None)
    if aim is not None or framing is not None:
        height = float(camera.get("height_m", 1.08))
        view = float(camera.get("field_of_view", 44.0))
        aspect = film.width / film.height
        distance, tilt = float(camera.get("distance_m", 3.3)), float(camera.get("tilt", 0.0))
        for _ in range(50):  # they depend on each other, weakly
            if aim is not None:
                tilt = float(np.degrees(np.arctan2(float(aim) * stature - height, distance)))
            if framing is not None:
                least = least_distance_m(
                    stature, height_m=height, tilt=tilt, field_of_view=view, aspect=aspect
                )
                distance = float(np.clip(float(framing) * least, 1.0, _FARTHEST_M))
        camera["distance_m"], camera["tilt"] = round(distance, 2), round(tilt, 1)
    return {**values, **({"body": body} if body else {}), **({"camera": camera} if camera else {})}


def _drawn_cases(sample: Sample, film: Film) -> list[dict[str, Any]]:
    rng = np.random.default_rng(sample.seed)
    views = [view for view, count in sample.views.items() for _ in range(count)]
    n = sample.n or len(views)
    cases: list[dict[str, Any]] = [{} for _ in range(n)]
    for view, count in sample.views.items():
        low, high, exact = VIEWS[view]
        azimuths = low + (high - low) * (rng.permutation(count) + rng.random(count)) / max(count, 1)
        if sample.exact and count:
            azimuths[0] = exact
        for i, azimuth in zip(
            [k for k, name in enumerate(views) if name == view], azimuths, strict=True
        ):
            cases[i]["camera"] = {"azimuth": round(float((azimuth + 180) % 360 - 180), 1)}
    _draw(sample.ranges, cases, rng)
    left = list(rng.permutation(n)) if sample.parts else []
    for part in sample.parts:
        those = [i for i in left if not part.views or views[i] in part.views]
        those = those[: round(part.share * n)]
        left = [i for i in left if i not in those]
        _draw(part.ranges, [cases[i] for i in those], rng)
    # Views in turn, so that the first cases of a sweep include all of them.
    order = rng.permutation(n)
    if views:
        turn = [views[:i].count(views[i]) for i in range(n)]
        order = np.array(sorted(order, key=lambda i: turn[i]))
    width = len(str(n))
    named = [
        {"name": f"{k:0{width}d}-{views[i]}" if views else f"{k:0{width}d}", **cases[i]}
        for k, i in enumerate(order, start=1)
    ]
    return [
        film
        for number, person in enumerate(named)
        for film in (person, *_other_films(person, sample, number))
    ]


def _other_films(person: Mapping[str, Any], sample: Sample, number: int) -> list[dict[str, Any]]:
    """Draw the further videos of one person: another camera, everything else the same."""
    rng = np.random.default_rng([sample.seed, number])
    films = []
    for name, views in sample.others.items():
        low, high, _ = VIEWS[str(rng.choice(views))]
        camera = {"azimuth": round(float(rng.uniform(low, high)), 1)}
        for key in _CAMERA:
            if (stretch := sample.ranges.get(f"camera.{key}")) is not None:
                value = float(rng.uniform(stretch.low or 0.0, stretch.high or 0.0))
                if rng.random() < stretch.share:
                    camera[key] = round(value, 3)
        films.append({**person, "name": f"{person['name']}-{name}", "camera": camera})
    return films


def _draw(
    ranges: Mapping[str, Range], cases: Sequence[dict[str, Any]], rng: np.random.Generator
) -> None:
    """Draw the values of ranges into cases."""
    for place, stretch in ranges.items():
        groups = [(stretch, cases)]
        if stretch.female is not None and stretch.male is not None:
            sexes = [case.get("body", {}).get("sex") for case in cases]
            if not set(sexes) <= {"female", "male"}:
                raise BadInputError(f"sample: {place} depends on sex; draw body.sex before it")
            of_sex: dict[str, list[dict[str, Any]]] = {"female": [], "male": []}
            for case, sex in zip(cases, sexes, strict=True):
                of_sex[sex].append(case)
            groups = [(stretch.female, of_sex["female"]), (stretch.male, of_sex["male"])]
        for kind, group in groups:
            for case, value in zip(group, _values(kind, len(group), rng), strict=True):
                if value is not None:
                    _set_value(case, place, value, what="sample")


def _values(stretch: Range, n: int, rng: np.random.Generator) -> list[Any]:
    """Draw one value for each of `n` cases, in the order of the views."""
    from_here = np.floor((np.arange(1, n + 1) + (u := rng.random())) * stretch.share) > np.floor(
        (np.arange(n) + u) * stretch.share
    )
    drawn = iter(_stratified(stretch, int(from_here.sum()), rng))
    if isinstance(stretch.otherwise, Range):
        other_values = iter(_values(stretch.otherwise, int((~from_here).sum()), rng))
    else:
        other_values = itertools.repeat(stretch.otherwise)
    return [next(drawn) if is_from_here else next(other_values) for is_from_here in from_here]


def _stratified(stretch: Range, n: int, rng: np.random.Generator) -> list[Any]:
    if stretch.any is not None:
        return [stretch.any[i % len(stretch.any)] for i in rng.permutation(n)]
    low, high = float(stretch.low or 0.0), float(stretch.high or 0.0)

    def draw() -> Any:
        within = (rng.permutation(n) + rng.random(n)) / max(n, 1)
        if stretch.mean is None or stretch.sd is None:
            return low + (high - low) * within
        beyond = ndtr(-MOST_SD)
        return stretch.mean + stretch.sd * ndtri(beyond + (1 - 2 * beyond) * within)

    left, right = draw(), draw()
    apart = rng.permutation(n) < round(stretch.apart * n)
    return [
        {"left": round(float(x), 3), "right": round(float(y), 3)} if two else round(float(x), 3)
        for x, y, two in zip(left, right, apart, strict=True)
    ]
