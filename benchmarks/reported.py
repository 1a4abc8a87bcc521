"""Errors of the numbers in the report of a squat, and the four stated errors of each number.

usage: python benchmarks/reported.py --rendered CACHE ... [--again CACHE [--render-again]]
           [--data FOLDER] [--poses FOLDER] [--stances CACHE] [--write]
       python benchmarks/reported.py --report CACHE ... [--write]
       python benchmarks/reported.py --stances CACHE

CACHES contain the cases of people2.yaml, people3.yaml and people4.yaml from `mobility virtual-lab
sweep`. `--render-again` renders the people of the first cache once more into the other CACHE, with
the camera set up again by eye. The videos of real people are those of real.py with a known truth at
the bottom of a squat. Each number is compared with the result of the same formulas for the true
angles in the same frames. A number that is not reported because of its error does not affect a
factor. The factors for each kind of fit are chosen as in real.py (`factor`). Each is tested on a
real or rendered person from whom it was not computed.

`--report`, for sweeps of reporting2.yaml and reporting3.yaml, on which nothing is chosen, compares
the errors in the tables with the errors for other people, by view, beside the figures of
reported.yaml. `--stances`, for a sweep of stances.yaml, shows how each stance is reported, and
whether the truth is within the interval.
"""

from __future__ import annotations

import argparse
from collections.abc import Container, Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import xarray as xr
import yaml
from real import (
    ANGLES,
    ENOUGH,
    LIKE,
    RENDERED,
    ROOT,
    STRAIGHT,
    Clip,
    Errors,
    alike,
    at_frames,
    body_of,
    clips,
    errors_as_stated,
    factor,
    markdown,
    rendered,
    stated,
)
from scipy import stats

import mobility as mb
from mobility.assessment.trial_errors import trial_errors, trial_spreads
from mobility.errors import BadInputError
from mobility.keypoints.view import TWO_CAMERAS, UNKNOWN, trial_view, view_kind
from mobility.kinematics.angle_errors import largest_sd
from mobility.kinematics.angles import joint_angles
from mobility.kinematics.expected_error import MDC95, TRIAL, Z95, kind_of, of_fit
from mobility.kinematics.fit.entry import METHOD
from mobility.sessions.files import read_dataset
from mobility.virtual_lab.case import Case, case_from
from mobility.virtual_lab.grid import Grid, grid_cases, read_grid
from mobility.virtual_lab.sweep import case_folder, sweep

TABLE = ROOT / "mobility" / "tables" / f"{TRIAL}.yaml"
PAGE = Path(__file__).with_suffix(".md")
EARLIER = Path(__file__).with_suffix(".yaml")
PEOPLE = ROOT / "benchmarks" / "people2.yaml"
AGAIN = ROOT / "benchmarks" / "movements_twice.yaml"
"""How much a second recording differs: the entry `again` of the grid."""

NUMBERS = {"absolute": "", "from_standing": "_from_standing", "sides": "_asymmetry"}
"""Numbers of a recording, and the ending of the metric's name after the angle."""

SHOWN = ("knee_flexion", "hip_flexion", "ankle_dorsiflexion", "trunk_lean")
REPORTED = (*SHOWN[:3], "thigh_elevation", "tibia_inclination", "trunk_lean", "hip_abduction")
"""Angles whose errors are compared with those of other people."""
KINDS = dict.fromkeys((*STRAIGHT, "from_behind"), "straight") | dict.fromkeys(
    ("not_standing", "not_standing_front"), "free"
)
"""Kinds of fits whose numbers are measured, and their assumption about standing."""
VIEWS = {
    **{"front": "front", "front-oblique": "oblique", "side": "side"},
    **{"back-oblique": "behind", "back": "behind"},
}
"""Names of the views in the table."""
_STOOD_S = (0.0, 0.5, 1.0, 1.5, np.inf)
"""Durations of standing, s, for which errors are compared."""
_SPREAD_DEG = 3.0
"""Smallest standard deviation of true values for which a slope is stated."""
DIFFERING_DEG = 8.0
"""Smallest difference between the sides of people on whom finding differences was tested."""

_MANY = 15
"""Number of people from which a ratio is precise enough to count (standard deviation 0.18)."""
_PAIRS = 8
"""Smallest number of pairs of recordings for a retest error."""

HEAD = """\
# Errors of the numbers of a squat: written by benchmarks/reported.py --write.
#
# trial: factors on the standard deviation of a number over the posterior samples, by kind of fit
# (expected_error.yaml) and angle: for the mean at the bottom (`absolute`), for bottom minus
# standing (`from_standing`), and for right minus left at the bottom (`sides`). Each is the root
# mean square over people of error / sd, by the rule `factor` in benchmarks/real.py. It is below
# the factor of the kind that this kind is like (or below 1, if there is none) only if eight or more
# rendered people were measured and filmed people do not contradict it. For `sides`, people whose
# sides differ by 8 degrees or more must also be among them, and must not contradict it either.
# retest: standard errors of measurement of metrics between two recordings of the same person, with
# the camera set up again in the same place, in the unit of the metric, by the same kinds. If a
# metric or a kind is not listed, its error is not known.
"""


def measures(body: xr.Dataset, angles: xr.Dataset, *, every: bool = False) -> xr.Dataset:
    """Return a squat's metrics from angles at the frames of a body; `every`: even if unreported."""
    limits = {"side_effect": lambda *_, **__: np.inf} if every else {"wraps": largest_sd}
    with patch("mobility.assessment.measures.largest_sd", **limits):
        return mb.overhead_squat(body, angles, mb.find_repetitions(body))


def true_angles(clip: Clip, body: xr.Dataset) -> Iterator[xr.Dataset]:
    """Return the angles of a recording's references at the frames of a body; NaN if missing."""
    given = joint_angles(body, limits=dict.fromkeys(ANGLES, np.inf))
    for reference, truth in clip.references.items():
        if reference not in ("markers", "rendered", "picture"):
            continue  # nothing is known of the bottom
        there = at_frames(truth, stated(body), reference)
        yield given.assign(
            {
                name: given[name].copy(data=there[name].transpose(*given[name].dims).to_numpy())
                if name in there
                else given[name] * np.nan
                for name in ANGLES
            }
        )


def errors_of(clip: Clip, standing: str, *, kinds: Container[str]) -> list[dict[str, Any]]:
    """Return the error of each number of a recording, reported or not, and its stated error."""
    try:
        body = body_of(clip.pose, standing=standing)
        repetitions = mb.find_repetitions(body)
    except BadInputError:
        return []
    kind, accepted = kind_of(body), repetitions["accepted"].to_numpy().astype(bool)
    if kind not in kinds or not accepted.any():
        return []
    about = {"person": person_of(clip), "rendered": clip.person == RENDERED}
    about |= {"clip": clip.name, "view": trial_view(body), "kind": kind}
    about["stood"] = float(of_fit(body).get("standing_seconds", 0.0))
    found = measures(body, joint_angles(body), every=True)
    each = [one(body, repetitions) for one in (trial_spreads, trial_errors)]
    spreads, biases = (one.isel(rep=np.flatnonzero(accepted)).median("rep") for one in each)
    rows = []
    for truth in true_angles(clip, body):
        true = measures(body, truth, every=True)
        for number, ending in NUMBERS.items():
            for angle in (name for name in ANGLES if f"{name}{ending}" in found):
                name, sd = f"{angle}{ending}", found[f"{angle}{ending}_sd"]
                noise = np.sqrt(np.maximum(sd**2 - biases[f"{angle}_{number}"] ** 2, 0.0))
                columns = {
                    **{"value": found[name], "truth": true[name], "stated": sd},
                    **{"spread": spreads[f"{angle}_{number}"], "noise": noise},
                }
                values = [np.atleast_1d(one.to_numpy()) for one in columns.values()]
                rows += [
                    {**about, "number": number, "angle": angle}
                    | dict(zip(columns, one, strict=True))
                    | {"error": one[0] - one[1]}
                    for one in zip(*values, strict=True)
                    if np.isfinite(one[:4]).all()
                ]
    return rows


def _kinds(standing: str) -> list[str]:
    return [kind for kind, how in KINDS.items() if how == standing]


def person_of(clip: Clip) -> str:
    """Name the person in a recording; every rendered recording shows another person."""
    return clip.name if clip.person == RENDERED else clip.person


def factor_of(own: pd.DataFrame, like: float = 1.0, *, enough: int = ENOUGH) -> float:
    """Choose the factor of a number for a kind of fit, from its errors."""
    number, angle = str(own["number"].iloc[0]), str(own["angle"].iloc[0])
    largest = largest_sd(angle, method=METHOD)

    def people(part: pd.DataFrame) -> list[Errors]:
        return [
            errors_as_stated(each["error"], each["spread"], largest, each["noise"])
            for _, each in part.groupby("person")
        ]

    differing = None
    if number == "sides":
        differing = people(own[own["truth"].abs() >= DIFFERING_DEG])
    real, drawn = people(own[~own["rendered"]]), people(own[own["rendered"]])
    return factor(real, drawn, like=like, differing=differing, enough=enough)


def left_out(errors: pd.DataFrame, trial: Mapping[str, Any]) -> pd.DataFrame:
    """Return each number's sd from the factors of all others, and if it is reported and holds."""
    parts = []
    for (kind, number, angle), own in errors.groupby(["kind", "number", "angle"]):
        people, like = own["person"].unique(), like_of(trial, str(kind), str(number), str(angle))
        for person in people if len(people) > 1 else ():
            here = own[own["person"] == person]
            others = factor_of(own[own["person"] != person], like, enough=ENOUGH - 1)
            sd = np.hypot(others * here["spread"], here["noise"])
            given = sd <= largest_sd(str(angle), method=METHOD)
            holds = here["error"].abs() <= Z95 * sd
            parts.append(here.assign(stated=sd, holds=holds)[given])
    return pd.concat(parts, ignore_index=True)


def like_of(trial: Mapping[str, Any], kind: str, number: str, angle: str) -> float:
    """Return the factor of the similar kind; 1 if there is none."""
    measured = (trial.get(each, {}).get(number, {}) for each in alike(kind)[1:])
    return next((float(each[angle]) for each in measured if angle in each), 1.0)


def again_cases(grid: Grid | None = None, *, seed: int | None = None) -> list[tuple[Case, Case]]:
    """Return the cases of a grid (default: people2.yaml), and the same people filmed again."""
    differs = yaml.safe_load(AGAIN.read_text(encoding="utf-8"))
    pairs = []
    for number, case in enumerate(grid_cases(grid or read_grid(PEOPLE))):
        rng = np.random.default_rng([differs["seed"] if seed is None else seed, number])
        values = case.model_dump(mode="json")
        for section in ("camera", "look"):
            for key, stretch in differs["again"][section].items():
                off = float(rng.uniform(*stretch))
                values[section][key] = round(values[section].get(key, 0.0) + off, 3)
        for key in ("descent_s", "ascent_s", "bottom_s"):
            values["motion"][key] = round(values["motion"][key] * float(rng.uniform(0.9, 1.1)), 3)
        values["look"]["noise"] = max(values["look"]["noise"], 0.0)
        pairs.append((case, case_from(values | {"name": f"{case.name}-again"})))
    return pairs


def retest(rendered_in: Path, again_in: Path) -> pd.DataFrame:
    """Return the SEM of each kind and metric, from pairs of recordings."""
    rows = []
    for first, second in again_cases():
        found, kinds = [], set()
        for case, cache in ((first, rendered_in), (second, again_in)):
            pose = case_folder(cache, case) / "pose.nc"
            if not pose.is_file():
                break
            try:
                body = body_of(read_dataset(pose))
                found.append(measures(body, joint_angles(body), every=True))
                kinds.add(kind_of(body))
            except BadInputError:
                break
        if len(found) < 2 or len(kinds) > 1:
            continue
        for name, metric in found[0].data_vars.items():
            if metric.attrs.get("kind") not in ("median", "asymmetry", "from_standing"):
                continue
            rows += [
                {"kind": min(kinds), "metric": str(name), "pair": first.name, "change": float(off)}
                for off in np.atleast_1d((found[1][name] - metric).to_numpy())
                if np.isfinite(off)
            ]
    return sems_of(pd.DataFrame(rows))


def sems_of(changes: pd.DataFrame) -> pd.DataFrame:
    """Return the SEM by kind and metric: the upper end of its one-sided 95 % interval.

    With this SEM, at least 95 % of the changes of other people are within 1.96 √2 SEM in 95 of 100
    such studies (a tolerance interval). A limit that 95 % of the same people do not exceed was too
    small for other people: in twice.md, 13 % were beyond it.
    """
    squares = changes.assign(square=changes["change"] ** 2 / 2).groupby(["kind", "metric"])
    pairs = squares["pair"].nunique()
    largest = np.sqrt(squares["square"].mean() * pairs / stats.chi2.ppf(0.05, pairs))
    return pd.DataFrame({"sem": largest, "pairs": pairs})[pairs >= _PAIRS]


def stances(cache: Path) -> pd.DataFrame:
    """Return the reported knee flexion of rendered people who stand, mean of reported values."""
    rows = []
    for clip in rendered([cache]):
        body = body_of(clip.pose)
        repetitions = mb.find_repetitions(body)
        stands = repetitions["standing"].to_numpy().astype(bool)
        given, truth = (
            joint_angles(body),
            at_frames(clip.references["rendered"], stated(body), "rendered"),
        )
        knee, sd = (given[name].isel(time=stands) for name in ("knee_flexion", "knee_flexion_sd"))
        true = truth["knee_flexion"].isel(time=stands).where(knee.notnull())
        off, half = (knee - true), Z95 * sd
        rows.append(
            {
                **{"view": trial_view(body), "stance": round(float(true.mean()), 1)},
                **{
                    "reported": float(knee.mean()),
                    "half": float(half.where(knee.notnull()).mean()),
                },
                **{"given": float(knee.notnull().mean()), "kind": kind_of(body)},
                "inside": float((abs(off) <= half).where(knee.notnull()).mean()),
            }
        )
    return pd.DataFrame(rows).sort_values(["view", "stance"], ignore_index=True)


def factors_of(errors: pd.DataFrame) -> dict[str, Any]:
    """Return the factors by kind, number and angle, with a source for each kind."""
    trial: dict[str, Any] = {}
    for kind in (kind for kind in LIKE if kind in KINDS):
        here = errors[errors["kind"] == kind]
        if here.empty:
            continue
        people = here.loc[~here["rendered"], ["person", "angle"]].drop_duplicates()
        of_people = ", ".join(
            f"{name} {count}" for name, count in people["angle"].value_counts().items()
        )
        filmed = (
            f"filmed people (number by angle: {of_people})" if of_people else "no filmed people"
        )
        rendered = here.loc[here["rendered"], "person"].nunique()
        source = f"Measured on {rendered} rendered people and {filmed}."
        found: dict[str, Any] = {number: {} for number in NUMBERS}
        for (number, angle), own in here.groupby(["number", "angle"], sort=False):
            like = like_of(trial, kind, str(number), str(angle))
            found[str(number)][str(angle)] = factor_of(own, like)
        trial[kind] = {"source": source, **found}
    return trial


def retest_errors(again: pd.DataFrame) -> dict[str, Any]:
    """Return the retest errors by kind and metric, with their source."""
    return {
        "source": (
            f"Differences between two recordings of up to {int(again['pairs'].max())} rendered "
            "people, who squat in the same way in front of a camera that is set up again by eye "
            "(4 degrees, 10 cm), in different light and at a different pace. The value is the "
            "upper end of the one-sided 95 % interval, so that it is valid for other people too. "
            "For one man filmed by two phones 35 degrees apart: 0.7 (knee), 0.4 (hip), 0.5 "
            "(ankle), 1.1 (trunk)."
        ),
        "sem": {
            kind: {name: float(f"{sem:.2g}") for name, sem in own["sem"].droplevel(0).items()}
            for kind, own in again.groupby(level=0)
        },
    }


def summary(errors: pd.DataFrame, trial: Mapping[str, Any]) -> pd.DataFrame:
    """Return coverage and width by number and angle: people, renderings, and the signed bias."""
    tried = left_out(errors, trial)
    rows = []
    for (kind, number, angle), own in tried.groupby(["kind", "number", "angle"], sort=False):
        row: dict[str, Any] = {"kind": kind, "number": number, "angle": angle}
        for name, part in (("people", own[~own["rendered"]]), ("rendered", own[own["rendered"]])):
            row |= {
                name if key == "people" else f"{name}: {key}": v for key, v in said(part).items()
            }
        row["factor"] = trial[str(kind)][str(number)][str(angle)]
        rows.append(row)
    order = {kind: place for place, kind in enumerate(LIKE)}
    return pd.DataFrame(rows).sort_values("kind", key=lambda kinds: kinds.map(order), kind="stable")


def said(own: pd.DataFrame) -> dict[str, float]:
    """Return how well the stated errors hold for people, each of whom counts once.

    For differences of the sides in diagonal views, the bias is that of far minus near.
    """
    turned = (own["number"] == "sides") & own["view"].str.contains("right")
    squares = own.assign(
        bias=own["error"] * np.where(turned, -1, 1),
        **{name: own[name] ** 2 for name in ("error", "stated")},
    )
    each = squares.groupby("person")[["bias", "error", "stated", "holds"]].mean()
    return {
        "people": len(each),
        "bias": each["bias"].mean(),
        "ratio": np.sqrt(each["error"].mean() / each["stated"].mean()) if len(each) else np.nan,
        "holds": each["holds"].mean(),
        "half": Z95 * own["stated"].median(),
    }


def reported(errors: pd.DataFrame) -> pd.DataFrame:
    """Compare the stated errors with those for rendered people, by view, number and angle."""
    earlier = yaml.safe_load(EARLIER.read_text(encoding="utf-8"))["earlier"]
    kept = errors[errors["angle"].isin(REPORTED)]
    kept = kept.assign(holds=kept["error"].abs() <= Z95 * kept["stated"])
    limits = {name: largest_sd(name, method=METHOD) for name in REPORTED}
    rows = []
    for number in NUMBERS:
        for angle in REPORTED:
            for view in dict.fromkeys(VIEWS.values()):
                own = kept[(kept["number"] == number) & (kept["angle"] == angle)]
                own = own[own["view"].map(view_name) == view]
                given = own[own["stated"] <= limits[angle]]
                if given.empty:
                    continue
                before = earlier[number].get(angle, {}).get(view)
                rows.append(
                    {
                        **{"number": number, "angle": angle, "view": view},
                        **said(given),
                        "given": len(given) / len(own),
                        "slope": slope(own),
                        "earlier ratio": "" if before is None else f"{before:.2f}",
                    }
                )
    return pd.DataFrame(rows)


def by_standing(errors: pd.DataFrame) -> pd.DataFrame:
    """Return the errors at the bottom by the time for which the person is seen to stand."""
    kept = errors[(errors["number"] == "absolute") & errors["angle"].isin(REPORTED)]
    kept = kept.assign(
        holds=kept["error"].abs() <= Z95 * kept["stated"],
        stood=pd.cut(kept["stood"], _STOOD_S, right=False).astype(str),
    )
    given = kept[kept["stated"] <= kept["angle"].map(lambda a: largest_sd(a, method=METHOD))]
    grouped = given.groupby(["angle", "stood"], sort=True)
    return pd.DataFrame(
        {
            "people": grouped["person"].nunique(),
            "rms": grouped["error"].agg(lambda error: np.sqrt((error**2).mean())),
            "stated": grouped["stated"].agg(lambda sd: np.sqrt((sd**2).mean())),
            "holds": grouped["holds"].mean(),
        }
    ).reset_index()


def slope(own: pd.DataFrame) -> str:
    """Return the slope of values on the truth, each person once, and its standard error."""
    each = own.groupby("person")[["truth", "value"]].mean()
    if len(each) < 3 or each["truth"].std() < _SPREAD_DEG:
        return ""
    line = stats.linregress(each["truth"], each["value"])
    return f"{line.slope:.2f} ± {line.stderr:.2f}"


def view_name(view: str) -> str:
    """Name a view as in the table; empty if it is unknown."""
    return "" if view in (UNKNOWN, TWO_CAMERAS) else VIEWS[view_kind(view)]


def aims(table: pd.DataFrame) -> str:
    """State how many ratios and shares meet their targets."""
    many = table[table["people"] >= _MANY]
    ratios = many["ratio"]
    outside, far = (int((~ratios.between(*limits)).sum()) for limits in ((0.65, 1.35), (0.5, 1.6)))
    enough = table["holds"] >= 0.9
    views = table.groupby("view", sort=False)["holds"].mean()
    together = ", ".join(f"{view} {100 * share:.0f} %" for view, share in views.items())
    return (
        f"Of the {len(many)} ratios of {_MANY} people or more, {outside} are outside 0.65 to 1.35"
        f" and {far} outside 0.5 to 1.6. Their median half-width is {many['half'].median():.1f}"
        f" degrees. Of all {len(table)} shares, {enough.sum()} are at least 90 %. Mean of the"
        f" shares: {together}."
    )


PARTS = (
    "Held against other people, by view",
    "By how long people stand",
    "Measured again",
    "Knees of who stands",
)
"""Parts of reported.md after the first, each with its heading."""


def document(text: str, parts: Mapping[str, str]) -> str:
    """Write parts into the text of reported.md, by heading; the first part has an empty heading."""
    kept = {"": ""} | dict.fromkeys(PARTS, "")
    for part in text.split("\n## "):
        heading, _, body = part.partition("\n") if kept[""] else ("", "", part)
        kept[heading] = body.strip()
    kept |= parts
    whole = [
        f"## {heading}\n\n{body}" if heading else body for heading, body in kept.items() if body
    ]
    return "\n\n".join(whole) + "\n"


def calibrated(table: pd.DataFrame) -> str:
    """Describe how the factors hold for people from whom they were not computed."""
    shown = table[table["angle"].isin(SHOWN)].round(2).astype(object).fillna("")
    return "\n\n".join(
        [
            "# Errors of reported numbers",
            "Made by `python benchmarks/reported.py --rendered CACHE --again CACHE --stances CACHE"
            " --write`, and by `--report CACHE --write`. Degrees; half: median of 1.96 sd; ratio:"
            " root mean square error over that of the sd; bias, and share that holds, of what is"
            " given: means over people, each with the factor of all others. A bias is reported"
            " minus true (of the sides, where the camera stands obliquely, of far minus near), and"
            " is in the sd; none is taken off. Hip, ankle and trunk at the bottom are known of one"
            " person on film.",
            markdown(shown),
        ]
    )


def held(table: pd.DataFrame) -> str:
    """Describe how the stated errors hold for people on whom nothing was chosen."""
    said = (
        "Rendered people of reporting2.yaml and reporting3.yaml, on whom nothing was chosen, by"
        " what the tables state:"
        " ratio, share that holds (1 is all), half and bias as above; given: share of the values"
        " that are given; slope: of the value on the truth (1 is right; less is pulled to the"
        " middle). Of n people whose errors are as stated, the ratio comes out with a standard"
        " deviation of about 1/√(2n): 0.25 of eight. The earlier ratio is of twelve other people"
        " and earlier errors (reported.yaml)."
    )
    return "\n\n".join([said, aims(table), markdown(table.round(2))])


def standing_times(table: pd.DataFrame) -> str:
    """Describe how errors depend on how long people stand."""
    return (
        "The same people, at the bottom, by the seconds for which they are seen to stand straight"
        " (`stood`). rms: root mean square error; stated: the same of the stated sd; holds: share"
        f" of the values whose 95 % interval has the truth.\n\n{markdown(table.round(2))}"
    )


def measured_again(again: pd.DataFrame) -> str:
    """Describe the test-retest errors."""
    changes = again.assign(mdc95=MDC95 * again["sem"]).round(3).reset_index()
    return (
        "Rendered people who squat alike before a camera that is put up again: standard error of"
        " measurement (SEM, the upper end of its one-sided 95 % interval) and smallest detectable"
        " change (MDC95 = 1.96 √2 SEM), in units of the metric. How people vary from day to day"
        f" comes on top.\n\n{markdown(changes)}"
    )


def stood(table: pd.DataFrame) -> str:
    """Describe how stances are reported."""
    return (
        "Rendered people of stances.yaml: the true and the reported knee flexion of their standing"
        " frames, half of its 95 % interval, and the share of the frames that are inside.\n\n"
        f"{markdown(table.round(2))}"
    )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--poses", type=Path, default=ROOT / "build" / "accuracy" / "poses")
    parser.add_argument("--rendered", type=Path, nargs="+", default=[], metavar="CACHE")
    parser.add_argument("--report", type=Path, nargs="+", default=[], metavar="CACHE")
    parser.add_argument("--stances", type=Path, metavar="CACHE")
    parser.add_argument("--again", type=Path, metavar="CACHE")
    parser.add_argument("--render-again", action="store_true", help="film the people again")
    parser.add_argument("--write", action="store_true", help=f"{TABLE.name} and {PAGE.name}")
    given = parser.parse_args()
    if given.report and given.rendered:
        parser.error("--report goes with tables that are written: give --rendered first, alone")
    parts: dict[str, str] = {}
    heldto, waited, repeated, knees = PARTS
    if given.stances:
        table = stances(given.stances)
        print(table.round(2).to_string(index=False))
        parts[knees] = stood(table)
    if given.report:
        rows = [r for c in rendered(given.report) for r in errors_of(c, "straight", kinds=LIKE)]
        table = reported(pd.DataFrame(rows))
        times = by_standing(pd.DataFrame(rows))
        print(table.round(2).to_string(index=False), aims(table), sep="\n")
        print(times.round(2).to_string(index=False))
        parts |= {heldto: held(table), waited: standing_times(times)}
    if given.rendered:
        if given.render_again:
            sweep([again for _, again in again_cases()], given.again, resume=True)
        real = clips(given.data, given.poses)
        filmed = [clip for clip in real if {"markers", "picture"} & set(clip.references)]
        squats = [clip for clip in filmed if clip.kind in ("squats", "standing")]
        rows = [
            row
            for clip in [*squats, *rendered(given.rendered)]
            for standing in dict.fromkeys(KINDS.values())
            for row in errors_of(clip, standing, kinds=_kinds(standing))
        ]
        errors = pd.DataFrame(rows)
        trial = factors_of(errors)
        table = summary(errors, trial)
        print(table.round(2).to_string(index=False))
        parts[""] = calibrated(table)
        contents = yaml.safe_load(TABLE.read_text(encoding="utf-8")) | {"trial": trial}
        if given.again:
            again = retest(given.rendered[0], given.again)
            print("\n" + again.round(3).to_string())
            parts[repeated] = measured_again(again)
            contents["retest"] = retest_errors(again)
        if given.write:
            text = yaml.safe_dump(contents, sort_keys=False, width=120)
            TABLE.write_text(HEAD + text, encoding="utf-8")
    if given.write:
        PAGE.write_text(document(PAGE.read_text(encoding="utf-8"), parts), encoding="utf-8")


if __name__ == "__main__":
    main()
