"""Errors of the numbers that a squat's report gives, and the four stated errors of each.

usage: python benchmarks/reported.py --rendered CACHE [--again CACHE [--render-again]]
           [--data FOLDER] [--poses FOLDER] [--write]
       python benchmarks/reported.py --stances CACHE

CACHE has the cases of people2.yaml as `mobility virtual-lab sweep` leaves them; `--render-again`
films the same people once more into the other CACHE, the camera put up again by eye. The clips of
real people are those of real.py that have the truth at the bottom of a squat. Each number is
compared with what the same formulas give of the true angles in the same frames; one that is refused
for its error asks nothing of a factor.

A factor is chosen as those of real.py are: the smallest with which 95 % of the numbers lie within
1.96 standard deviations, people on film and rendered ones weighing the same, and of no person on
film less than 88 %. It is tried on the person, or rendered person, whom it was not taken from.

`--stances`, of a sweep of stances.yaml, says how each stance is reported, and whether it is inside.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import xarray as xr
import yaml
from real import (
    ANGLES,
    RENDERED,
    ROOT,
    Clip,
    Needed,
    at_frames,
    body_of,
    clips,
    factor,
    markdown,
    needed,
    rendered,
    stated,
    together,
)
from scipy import stats

import mobility as mb
from mobility.assessment.trial_errors import trial_errors
from mobility.errors import BadInputError
from mobility.kinematics.angle_errors import largest_sd
from mobility.kinematics.angles import joint_angles
from mobility.kinematics.expected_error import MDC95, TRIAL, Z95, trial_factors, trial_kind_of
from mobility.kinematics.fit.entry import METHOD
from mobility.sessions.files import read_dataset
from mobility.view import trial_view
from mobility.virtual_lab.case import Case, case_from
from mobility.virtual_lab.grid import Grid, grid_cases, read_grid
from mobility.virtual_lab.sweep import case_folder, sweep

TABLE = ROOT / "mobility" / "tables" / f"{TRIAL}.yaml"
PEOPLE = ROOT / "benchmarks" / "people2.yaml"
AGAIN = ROOT / "benchmarks" / "movements_twice.yaml"
"""By how much a second recording differs: its `again`."""

NUMBERS = {"absolute": "", "from_standing": "_from_standing", "sides": "_asymmetry"}
"""Numbers of a trial, and what follows the angle in the name of the metric."""

SHOWN = ("knee_flexion", "hip_flexion", "ankle_dorsiflexion", "trunk_lean")
KINDS = {
    "one_camera": "straight",
    "from_the_side": "straight",
    "from_behind": "straight",
    "not_standing": "free",
}
"""Kinds of fits whose numbers are measured, and what is said of standing."""

_PAIRS = 8
"""Pairs of recordings, at least, of which a retest error is given."""

HEAD = """\
# How far the numbers of a squat may be off: written by benchmarks/reported.py --write.
#
# trial: factors on the spread of the draws of a number, by angle: of the mean of the bottom
# (`absolute`), of bottom minus standing (`from_standing`), of right minus left at the bottom
# (`sides`). `one_camera` sees people from the front, straight or obliquely. Of two cameras, and of
# feet that move, where none was measured, the larger of that of one camera and of that of a frame
# (expected_error.yaml) counts.
# retest: standard errors of measurement of metrics between two recordings of the same person with
# the camera put up again where it stood, in units of the metric, by the same kinds. Of a metric
# that is not listed it is not known.
"""


def measures(body: xr.Dataset, angles: xr.Dataset, *, every: bool = False) -> xr.Dataset:
    """Metrics of a squat from these angles in the frames of a body; `every`: also refused."""
    limits = {"side_effect": lambda *_, **__: np.inf} if every else {"wraps": largest_sd}
    with patch("mobility.assessment.measures.largest_sd", **limits):
        return mb.overhead_squat(body, angles, mb.find_repetitions(body))


def true_angles(clip: Clip, body: xr.Dataset) -> Iterator[xr.Dataset]:
    """Angles of each reference of a clip at the frames of a body; NaN where it has none."""
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


def errors_of(clip: Clip, standing: str) -> list[dict[str, Any]]:
    """Error of each number that is given of a clip, and the sd of its bias without a factor."""
    body = body_of(clip.pose, standing=standing)
    kind = trial_kind_of(body)
    if KINDS.get(kind) != standing:
        return []
    about = {"person": person_of(clip), "rendered": clip.person == RENDERED}
    about |= {"clip": clip.name, "view": trial_view(body), "kind": kind}
    repetitions = mb.find_repetitions(body)
    accepted = repetitions["accepted"].to_numpy().astype(bool)
    if not accepted.any():
        return []
    found = measures(body, joint_angles(body), every=True)
    biases = trial_errors(body, repetitions).isel(rep=np.flatnonzero(accepted)).median("rep")
    rows = []
    for truth in true_angles(clip, body):
        true = measures(body, truth, every=True)
        for number, ending in NUMBERS.items():
            factors = trial_factors(body, number)
            for angle in (name for name in ANGLES if f"{name}{ending}" in found):
                name = f"{angle}{ending}"
                bias = biases[f"{angle}_{number}"] / factors[angle]
                off, each_sd = found[name] - true[name], found[f"{name}_sd"]
                noise = np.sqrt(np.maximum(each_sd**2 - (factors[angle] * bias) ** 2, 0.0))
                values = [np.atleast_1d(each.to_numpy()) for each in (off, bias, noise)]
                rows += [
                    {**about, "number": number, "angle": angle}
                    | {"error": error, "bias": spread, "noise": rest}
                    for error, spread, rest in zip(*values, strict=True)
                    if np.isfinite(error) and np.isfinite(spread)
                ]
    return rows


def person_of(clip: Clip) -> str:
    """Name whom a clip shows; every rendered clip shows another."""
    return clip.name if clip.person == RENDERED else clip.person


def asked(own: pd.DataFrame) -> tuple[list[Needed], Needed | None]:
    """Say what the errors of each person on film, and of all rendered ones, ask of the factor."""

    def of(part: pd.DataFrame) -> Needed:
        off, bias, noise = (part[name].to_numpy() for name in ("error", "bias", "noise"))
        return needed(off, bias, largest_sd(str(own["angle"].iloc[0]), method=METHOD), noise)

    film, drawn = own[~own["rendered"]], own[own["rendered"]]
    people = [of(part) for _, part in film.groupby("person")]
    return people, together([of(drawn)]) if len(drawn) else None


def left_out(errors: pd.DataFrame) -> pd.DataFrame:
    """Half-width of the interval of each number by the factor of all others."""
    parts = []
    for _, own in errors.groupby(["kind", "number", "angle"]):
        people = own["person"].unique()
        for person in people if len(people) > 1 else ():
            here = own["person"] == person
            bias = factor(*asked(own[~here])) * own.loc[here, "bias"]
            half = Z95 * np.hypot(bias, own.loc[here, "noise"])
            given = half <= Z95 * largest_sd(str(own["angle"].iloc[0]), method=METHOD)
            holds = own.loc[here, "error"].abs() <= half
            parts.append(own[here].assign(half=half, holds=holds)[given])
    return pd.concat(parts, ignore_index=True)


def again_cases(grid: Grid | None = None, *, seed: int | None = None) -> list[tuple[Case, Case]]:
    """Cases of a grid (default: people2.yaml), and the same people filmed again."""
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
    """Give the standard error of measurement of each kind and metric, of pairs of recordings."""
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
                kinds.add(trial_kind_of(body))
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
    """Give the SEM by kind and metric: the upper end of its one-sided 95 % interval.

    With it 95 % of the changes of other people are within 1.96 √2 SEM in 95 of 100 such studies (a
    tolerance interval). What 95 % of the same people do not exceed was too small for others:
    twice.md had 13 % beyond.
    """
    squares = changes.assign(square=changes["change"] ** 2 / 2).groupby(["kind", "metric"])
    pairs = squares["pair"].nunique()
    largest = np.sqrt(squares["square"].mean() * pairs / stats.chi2.ppf(0.05, pairs))
    return pd.DataFrame({"sem": largest, "pairs": pairs})[pairs >= _PAIRS]


def stances(cache: Path) -> pd.DataFrame:
    """Say how the knees of rendered people who stand are reported, means of what is given."""
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
                **{"given": float(knee.notnull().mean()), "kind": trial_kind_of(body)},
                "inside": float((abs(off) <= half).where(knee.notnull()).mean()),
            }
        )
    return pd.DataFrame(rows).sort_values(["view", "stance"], ignore_index=True)


def factors_of(errors: pd.DataFrame) -> dict[str, Any]:
    """Factors by kind, number and angle, each kind with its source."""
    trial: dict[str, Any] = {}
    for kind in KINDS:
        here = errors[errors["kind"] == kind]
        people = here.loc[~here["rendered"], ["person", "angle"]].drop_duplicates()
        counted = people["angle"].value_counts()
        clips_count = here.loc[here["rendered"], "person"].nunique()
        of_people = ", ".join(f"{name} {count}" for name, count in counted.items())
        trial[kind] = {
            "source": (
                "The smallest with which 95 % of the numbers lie within 1.96 standard deviations, "
                f"of people on film ({of_people or 'none'}) and of {clips_count} rendered ones, "
                "both weighing the same, and of no person on film less than 88 %."
            )
        }
        for number in NUMBERS:
            own = here[here["number"] == number]
            # Who assumes nothing of standing knows no more.
            least = trial["one_camera"].get(number, {}) if kind == "not_standing" else {}
            trial[kind][number] = {
                name: max(factor(*asked(part)), least.get(name, 1.0))
                for name, part in own.groupby("angle", sort=False)
            }
    return trial


def retest_errors(again: pd.DataFrame) -> dict[str, Any]:
    """Retest errors by kind and metric, with their source."""
    return {
        "source": (
            f"Differences of up to {int(again['pairs'].max())} rendered people who squat alike "
            "before a camera that is put up again by eye (4 degrees, 10 cm), in another light and "
            "at another pace: upper end of the one-sided 95 % interval, so that it holds for other "
            "people too. One man by two phones 35 degrees apart: 0.7 (knee), 0.4 (hip), "
            "0.5 (ankle), 1.1 (trunk)."
        ),
        "sem": {
            kind: {name: float(f"{sem:.2g}") for name, sem in own["sem"].droplevel(0).items()}
            for kind, own in again.groupby(level=0)
        },
    }


def summary(errors: pd.DataFrame, trial: Mapping[str, Any]) -> pd.DataFrame:
    """Coverage and width by number and angle: people, renderings, and the bias at its sign."""
    tried = left_out(errors)
    rows = []
    tried["error"] *= np.where(
        (tried["number"] == "sides") & tried["view"].str.contains("right"), -1, 1
    )
    for (kind, number, angle), own in tried.groupby(["kind", "number", "angle"], sort=False):
        row: dict[str, Any] = {"kind": kind, "number": number, "angle": angle}
        for name, part in (("people", own[~own["rendered"]]), ("rendered", own[own["rendered"]])):
            each = part.groupby("person")[["error", "half", "holds"]].mean()
            row[name] = len(each)
            row[f"{name}: bias"] = each["error"].mean()
            row[f"{name}: holds"] = each["holds"].mean()
            row[f"{name}: half"] = part["half"].median()
        row["factor"] = trial[str(kind)][str(number)][str(angle)]
        rows.append(row)
    return pd.DataFrame(rows)


def document(table: pd.DataFrame, again: pd.DataFrame, stood: pd.DataFrame) -> str:
    """Text of reported.md."""
    shown = table[table["angle"].isin(SHOWN)].round(2).fillna("")
    changes = again.assign(mdc95=MDC95 * again["sem"]).round(3).reset_index()
    parts = [
        "# Errors of reported numbers",
        "Made by `python benchmarks/reported.py --rendered CACHE --again CACHE --stances CACHE"
        " --write`. Degrees; half: median of 1.96 sd; bias, and share that holds, of what is given:"
        " means over people, each with the factor of all others. A bias is reported minus true (of"
        " the sides, where the camera stands obliquely, of far minus near), and is in the sd; none"
        " is taken off. Hip, ankle and trunk at the bottom are known of one person on film.",
        markdown(shown),
        "## Measured again",
        "Rendered people who squat alike before a camera that is put up again: standard error of"
        " measurement (SEM, the upper end of its one-sided 95 % interval) and smallest detectable"
        " change (MDC95 = 1.96 √2 SEM), in units of the metric. How people vary from day to day"
        " comes on top.",
        markdown(changes),
        "## Knees of who stands",
        "Rendered people of stances.yaml: the true and the reported knee flexion of their standing"
        " frames, half of its 95 % interval, and the share of the frames that are inside.",
        markdown(stood.round(2)),
    ]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--poses", type=Path, default=ROOT / "build" / "accuracy" / "poses")
    parser.add_argument("--rendered", type=Path, metavar="CACHE")
    parser.add_argument("--stances", type=Path, metavar="CACHE")
    parser.add_argument("--again", type=Path, metavar="CACHE")
    parser.add_argument("--render-again", action="store_true", help="film the people once more")
    parser.add_argument("--write", action="store_true", help=f"{TABLE.name} and reported.md")
    given = parser.parse_args()
    stood = stances(given.stances) if given.stances else pd.DataFrame()
    print(stood.round(2).to_string(index=False))
    if not given.rendered:
        return
    if given.render_again:
        sweep([again for _, again in again_cases()], given.again, resume=True)
    real = [c for c in clips(given.data, given.poses) if {"markers", "picture"} & set(c.references)]
    squats = [clip for clip in real if clip.kind in ("squats", "standing")]
    rows = [
        row
        for clip in [*squats, *rendered([given.rendered])]
        for standing in dict.fromkeys(KINDS.values())
        for row in errors_of(clip, standing)
    ]
    errors = pd.DataFrame(rows)
    again = retest(given.rendered, given.again) if given.again else None
    trial = factors_of(errors)
    table = summary(errors, trial)
    print(table.round(2).to_string(index=False))
    if again is None:
        return
    print("\n" + again.round(3).to_string())
    if given.write:
        contents = {"trial": trial, "retest": retest_errors(again)}
        text = yaml.safe_dump(contents, sort_keys=False, width=120)
        TABLE.write_text(HEAD + text, encoding="utf-8")
        Path(__file__).with_suffix(".md").write_text(
            document(table, again, stood), encoding="utf-8"
        )


if __name__ == "__main__":
    main()
