"""Errors of single-joint movements against rendered truth.

usage: python benchmarks/joints.py [--grid GRID.yaml] [--cache FOLDER] [--cases NAME ...]
                                    [--rendered-only] [--only-render]

Needs the extra virtual-lab. Each video of movements.yaml, or of another grid, is rendered. Its pose
is estimated and stored in the cache, and it is measured like a session of Joint Angle Mobility. For
each side that moves and that the camera sees, the script prints the largest and the smallest angle,
the margin of error (95 %), the true angle, and the angle of the landmarks in the picture at the
same times. The true angle is the goniometric angle between true joint centres, at the end of range
and at rest.

The script then prints the errors by movement, framing, and degrees away from the recommended view,
and compares them with the targets. For each joint that was measured, moving or not, it prints the
root mean square error of the values.

For a grid with `takes` (movements_twice.yaml), it prints instead by how much the end of range
differs between the two takes, in truth and as measured, beside the stated smallest detectable
change.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
import yaml
from numpy.typing import NDArray

import mobility as mb
from mobility.assessment import movements as known_movements
from mobility.errors import BadInputError, VideoError
from mobility.exercises.joint_angle_mobility.courses import (
    feet_could_be_planted,
    single_joint_limits,
)
from mobility.kinematics.expected_error import Z95
from mobility.kinematics.fit.entry import VISIBILITY_THRESHOLD
from mobility.kinematics.skeleton import angle_between, direction
from mobility.studies.statistics.reliability_coefficients import mdc95
from mobility.virtual_lab.case import (
    Case,
    case_from,
    read_truth,
    render_case,
    truth_pose,
    write_dataset,
)
from mobility.virtual_lab.single_joint import JointMotion

Array = NDArray[np.float64]
Points = Callable[[str], Array]

ROOT = Path(__file__).resolve().parents[1]

ANGLE = {"ankle": "ankle_dorsiflexion"}
SIDE_SIGN = {"left": 1.0, "right": -1.0}
OTHER = {"left": "right", "right": "left"}
AIMS = {0: 5.0, 20: 10.0}
"""Largest error of either end, in degrees, by degrees away from the recommended view."""

HALF_WIDTH = 10.0
"""Margin of error (95 %), in degrees, in the recommended view."""


class Clip(NamedTuple):
    """A case, and how it is filmed: framing, degrees away from the right view, number of take."""

    case: Case
    setup: str
    crop: str
    beside: float
    take: int = 0


def clips(grid: Path) -> Iterator[Clip]:
    """Yield the cases of a grid, with its defaults, or each set-up with a random person."""
    table = yaml.safe_load(grid.read_text(encoding="utf-8"))
    if "like" in table:
        table = yaml.safe_load((grid.parent / table["like"]).read_text(encoding="utf-8")) | table
    for own in table.get("cases", ()):
        values: dict[str, Any] = {"name": own["name"], "body": own["body"]}
        for section, defaults in table["defaults"].items():
            values[section] = {**defaults, **own.get(section, {})}
        case = case_from(values, what=f"{grid.name}, {own['name']}")
        yield Clip(case, own["name"], "", 0.0)
    drawn = itertools.product(table.get("clips", ()), table.get("setups", {}))
    for number, (clip, setup) in enumerate(drawn):
        if setup not in clip.get("of", [setup]):
            continue
        rng = np.random.default_rng([table["seed"], number])
        values = _drawn(table, setup, clip, number, rng)
        for take in range(1, table["takes"] + 1) if "takes" in table else (0,):
            own = values if not take else _again(table, values, take, number)
            case = case_from(own, what=f"{grid.name}, {own['name']}")
            yield Clip(case, setup, clip["crop"], clip["beside"], take)


def _drawn(
    table: Mapping[str, Any],
    setup: str,
    clip: Mapping[str, Any],
    number: int,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Draw the values of a case for a set-up; women and men alternate."""
    ranges, how = table["ranges"], table["setups"][setup]

    def pick(stretch: list[Any]) -> Any:
        if len(stretch) == 2 and all(isinstance(end, float) for end in stretch):
            return round(float(rng.uniform(*stretch)), 3)
        return stretch[rng.integers(len(stretch))]

    person = {
        key: pick(values)
        for key, values in ranges["people"][number % len(ranges["people"])].items()
    }
    tall = person["height_m"]
    person["weight_kg"] = round(person.pop("bmi") * tall**2, 1)
    motion = {**table["defaults"]["motion"], "side": pick(ranges["sides"])}
    motion |= {key: pick(values) for key, values in ranges["motion"].items()}
    motion |= {"to": pick(how["to"])} | how["motion"]
    sign = {"left": 1, "right": -1, "both": int(rng.choice([1, -1]))}[motion["side"]]
    # Beside a view from the side the camera stands farther in front, as who films sees the face.
    beside = clip["beside"] * (-sign if how["view"] == "side" else int(rng.choice([1, -1])))
    azimuth = beside + (90 * sign if how["view"] == "side" else 0)
    frame = how[clip["crop"]]
    far, above = (pick(ranges["camera"][key]) for key in (clip["crop"], "above_m"))
    turn = np.radians(azimuth)
    outwards, ahead = sign * frame.get("outwards", 0.0), frame.get("ahead", 0.0)
    camera = {
        "azimuth": azimuth,
        "distance_m": far,
        "height_m": round(frame["aim"] * tall + above, 3),
        "tilt": round(-float(np.degrees(np.arctan2(above, far))), 2),
        "across_m": round(float(np.cos(turn) * outwards - np.sin(turn) * ahead) * tall, 3),
        "field_of_view": round(2 * float(np.degrees(np.arctan2(frame["span"] * tall / 2, far))), 2),
    }
    return {
        "name": f"{setup}-{clip['crop']}-{clip['beside']}",
        "body": person,
        "motion": motion,
        "camera": camera,
        "look": {key: pick(values) for key, values in ranges["look"].items()},
        "video": table["defaults"]["video"]
        | (table["landscape"] if frame.get("landscape") else {}),
    }


def _again(
    table: Mapping[str, Any], values: Mapping[str, Any], take: int, number: int
) -> dict[str, Any]:
    """Return the values of the same case, filmed a second time."""
    rng = np.random.default_rng([table["seed"], number, take])
    found = {**values, "name": f"{values['name']}-take{take}"}
    for section, offs in table["again"].items():
        found[section] = dict(values[section])
        for key, stretch in offs.items():
            known = found[section].get(key, 0.0)
            found[section][key] = round(known + float(rng.uniform(*stretch)), 3)
    return found


def pose_and_truth(case: Case, cache: Path) -> tuple[xr.Dataset | str, xr.Dataset]:
    """Return the pose of a case, or why there is none, and its truth; render it if not cached.

    Raises
    ------
    BadInputError
        The cache contains a different case with this name.
    """
    folder = cache / case.name
    if not (folder / "truth.nc").is_file():
        render_case(case, folder)
    truth = read_truth(folder / "truth.nc")
    if case_from(yaml.safe_load(truth.attrs["case"])) != case:
        raise BadInputError(f"{folder}: is another case of this name; give another --cache")
    if not (folder / "pose.nc").is_file():
        try:
            write_dataset(mb.estimate_pose(folder / "video.mp4"), folder / "pose.nc")
        except VideoError as error:  # nobody is found in a close-up
            return str(error), truth
    return xr.load_dataset(folder / "pose.nc"), truth


def measured(
    pose: xr.Dataset, joint: Any, *, movement: str | None = None
) -> tuple[xr.Dataset, xr.Dataset]:
    """Return the fitted body of a pose, and the measures of a joint for a requested movement."""
    cleaned = mb.clean_pose(pose, visibility_threshold=VISIBILITY_THRESHOLD)
    planted = {} if feet_could_be_planted(cleaned) else {"feet_planted": False}
    fitted = mb.fit_body(cleaned, **planted)
    angles = mb.joint_angles(fitted, limits=single_joint_limits(), in_picture=True)
    return fitted, mb.joint_mobility(fitted, angles, joints=(joint,), movement=movement)


def take(clip: Clip, cache: Path) -> list[dict[str, Any]]:
    """Measure the requested movement in one of several takes; return a row for each side."""
    pose, truth = pose_and_truth(clip.case, cache)
    motion = clip.case.motion
    assert isinstance(motion, JointMotion)
    joint = motion.movement.split("_")[0]
    found = None
    if not isinstance(pose, str):
        with contextlib.suppress(BadInputError):  # nobody is found in any frame
            found = measured(pose, joint, movement=motion.movement)[1]
    smallest = known_movements.movement(motion.movement)["end"] == "smallest"
    rows = []
    for side in _seen(clip):
        low, high = _ends(true_angle(truth, motion, side), truth)
        row = {"movement": clip.setup, "side": side, "take": clip.take}
        row |= {"true": -low if smallest else high}
        for name in ("end_of_range", "repeatability", "detectable_change"):
            row[name] = np.nan if found is None else float(found[name].sel(joint=joint, side=side))
        rows.append(row)
    return rows


def errors(clip: Clip, cache: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Measure a case; return rows for each end of each moving side, and for each visible limb."""
    pose, truth = pose_and_truth(clip.case, cache)
    motion = clip.case.motion
    assert isinstance(motion, JointMotion)
    joint = motion.movement.split("_")[0]
    fitted = found = None
    if not isinstance(pose, str):
        fitted, found = measured(pose, joint)
    rows = []
    for side in _seen(clip):
        known = _ends(true_angle(truth, motion, side), truth)
        flat = (np.nan, np.nan)
        if not isinstance(pose, str):
            flat = _ends(picture_angle(pose, clip.case, side), truth)
        for name, true, picture in zip(("smallest", "largest"), known, flat, strict=True):
            row = {"clip": clip.case.name, "side": side, "end": name, "true": true}
            row |= {"movement": clip.setup, "crop": clip.crop, "beside": clip.beside}
            row |= {"picture": picture, "ours": np.nan, "half": np.nan, "note": pose}
            if found is not None:
                one = found.sel(joint=joint, side=side)
                what = {"smallest": "minimum", "largest": "maximum"}[name]
                ours, sd = float(one[what]), float(one[f"{what}_sd"])
                row |= {"ours": ours, "half": Z95 * sd, "note": str(one["note"].item())}
            rows.append(row)
    return rows, [] if fitted is None else in_sight(clip.case.name, fitted, truth)


def _seen(clip: Clip) -> tuple[str, ...]:
    """Return the sides that move; in a side view, only the side near the camera."""
    motion, azimuth = clip.case.motion, clip.case.camera.azimuth
    assert isinstance(motion, JointMotion)
    if motion.side == "both" and np.sin(np.radians(azimuth)) ** 2 > 0.5:
        return ("left",) if np.sin(np.radians(azimuth)) > 0 else ("right",)
    return motion.sides


def _ends(curve: xr.DataArray, truth: xr.Dataset) -> tuple[float, float]:
    """Return the smallest and largest median at the ends of range and between movements."""
    time = truth["time"].values
    turn, rest = np.zeros(time.shape, dtype=bool), np.ones(time.shape, dtype=bool)
    for start, bottom, end in zip(
        *(truth[n].values for n in ("start", "bottom", "end")), strict=True
    ):
        turn |= np.abs(time - bottom) < 0.15
        rest &= (time < start) | (time > end)
    values = curve.interp(time=time).values
    medians = [
        float(np.median(part)) if (part := values[at][np.isfinite(values[at])]).size else np.nan
        for at in (turn, rest)
    ]
    return min(medians), max(medians)


def true_angle(truth: xr.Dataset, motion: JointMotion, side: str) -> xr.DataArray:
    """Return the goniometric angle between true joint centres, in the body's plane of the movement.

    Flexion, abduction and a bend to the named side are positive. For hinges (elbow, knee, ankle),
    it is the angle in space, with the sign of the angle in that plane.
    """
    position = truth["position"].astype(np.float64).transpose("time", "space", "keypoint")

    def points(name: str) -> Array:
        return _point(name, lambda one: position.sel(keypoint=one).values)

    across = points("left_hip") - points("right_hip")
    up = points("mid_shoulder") - points("mid_hip")
    forward = direction(np.cross(across, up))
    if _frontal(motion):
        first = SIDE_SIGN[side] * direction(across)
        second = direction(np.cross(forward, direction(across)))
    else:
        first = forward
        second = direction(up - (up * forward).sum(axis=1, keepdims=True) * forward)

    def flat(name: str) -> Array:
        point = points(name)
        return np.stack([(point * axis).sum(axis=1) for axis in (first, second)], axis=1)

    value = _in_plane(flat, motion, side)
    joint = motion.movement.split("_")[0]
    if joint in HINGES:
        (a, b), (c, d) = HINGES[joint]
        size = angle_between(
            points(f"{side}_{b}") - points(f"{side}_{a}"),
            points(f"{side}_{d}") - points(f"{side}_{c}"),
        )
        value = size - 90.0 if joint == "ankle" else np.copysign(size, value)
    return xr.DataArray(value, coords={"time": truth["time"].values}, dims="time")


def picture_angle(pose: xr.Dataset, case: Case, side: str) -> xr.DataArray:
    """Return the angle of the raw landmarks in the picture, with the sign of :func:`true_angle`."""
    motion = case.motion
    assert isinstance(motion, JointMotion)
    image = pose["image_position"].isel(individual=0).transpose("time", "pixel", "keypoint")
    # Whoever is seen from the left, and the right side from the front, is mirrored.
    turn = np.radians(case.camera.azimuth)
    mirrored = -SIDE_SIGN[side] * np.cos(turn) if _frontal(motion) else np.sin(turn)
    flip = np.array([-1.0 if mirrored > 0 else 1.0, -1.0])

    def points(name: str) -> Array:
        return _point(name, lambda one: image.sel(keypoint=one).values * flip)

    value = _in_plane(points, motion, side)
    return xr.DataArray(value, coords={"time": pose["time"].values}, dims="time")


HINGES = {
    "elbow": (("shoulder", "elbow"), ("elbow", "wrist")),
    "knee": (("hip", "knee"), ("knee", "ankle")),
    "ankle": (("knee", "ankle"), ("heel", "foot_index")),
}


def _frontal(motion: JointMotion) -> bool:
    aside = ("abduction", "lateral_flexion")
    return motion.movement.endswith(aside) or motion.arms == "sideways"


def _in_plane(points: Points, motion: JointMotion, side: str) -> Array:
    """Return the goniometric angle of points (time, 2), forwards or outwards and up, degrees."""

    def line(one: str, other: str) -> Array:
        return points(f"{side}_{other}") - points(f"{side}_{one}")

    def across(joint: str) -> Array:
        return points(f"{side}_{joint}") - points(f"{OTHER[side]}_{joint}")

    joint = motion.movement.split("_")[0]
    if motion.movement == "hip_abduction":
        return _turn(across("hip"), line("hip", "knee")) + 90.0
    if joint == "trunk":
        line_up = points("mid_shoulder") - points("mid_hip")
        return _turn(line_up, np.broadcast_to([0.0, 1.0], line_up.shape))  # from upright
    if joint == "neck":
        return -_turn(across("shoulder"), across("eye"))
    if joint in HINGES:
        angle = _turn(*(line(*ends) for ends in HINGES[joint]))
        return angle - 90.0 if joint == "ankle" else -angle if joint == "knee" else angle
    moving = line("hip", "knee") if joint == "hip" else line("shoulder", "elbow")
    angle = _turn(points("mid_hip") - points("mid_shoulder"), moving)
    return np.where(angle < -90.0, angle + 360.0, angle)  # overhead, or behind the head


def _turn(one: Array, other: Array) -> Array:
    """Return the signed angle from one line to the other, degrees."""
    cross = one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0]
    angle: Array = np.degrees(np.arctan2(cross, (one * other).sum(axis=1)))
    return angle


def _point(name: str, at: Points) -> Array:
    if not name.startswith("mid_"):
        return at(name)
    return (at(name.replace("mid", "left")) + at(name.replace("mid", "right"))) / 2


def in_sight(name: str, fitted: xr.Dataset, truth: xr.Dataset) -> list[dict[str, Any]]:
    """Return the errors of the values of all measured joints, even if they are not reported."""
    endless = dict.fromkeys(single_joint_limits(), 180.0)
    angles = mb.joint_angles(fitted, limits=endless, in_picture=True)
    found = mb.joint_mobility(fitted, angles)
    true_angles = mb.joint_angles(truth_pose(truth))
    rows = []
    for joint in found["joint"].values:
        for side in found["side"].values:
            angle = found["angle"].sel(joint=joint, side=side)
            curve = true_angles[ANGLE.get(joint, f"{joint}_flexion")].sel(side=side)
            off = angle.values - curve.interp(time=found["time"]).values
            if np.isfinite(off).any():
                rows.append({"clip": name, "joint": joint, "square": float(np.nanmean(off**2))})
    return rows


def pairs(table: pd.DataFrame) -> pd.DataFrame:
    """Return by how much the end of range differs between two takes, in truth and as measured."""
    rows = []
    for (movement, side), two in table.groupby(["movement", "side"], sort=False):
        if len(two) != 2:
            continue
        true, ours = two["true"].to_numpy(), two["end_of_range"].to_numpy()
        rows.append(
            {
                "movement": movement,
                "side": side,
                "true": true.mean(),
                "first": ours[0],
                "second": ours[1],
                "true change": true[1] - true[0],
                "change": ours[1] - ours[0],
                "by error": ours[1] - ours[0] - (true[1] - true[0]),
                "repeatability": two["repeatability"].mean(),
                "detectable": two["detectable_change"].mean(),
            }
        )
    return pd.DataFrame(rows)


def repeated(table: pd.DataFrame) -> pd.DataFrame:
    """Return SEM and smallest detectable change from pairs of takes, and the stated ones.

    References
    ----------
    Weir 2005, J Strength Cond Res 19:231.
    """
    rows = []
    for name in ("true change", "change", "by error"):
        change = table[name].dropna()
        stated = table["detectable"].reindex(change.index)
        sem = float(change.std(ddof=1)) / np.sqrt(2)
        rows.append(
            {
                "of": name,
                "pairs": len(change),
                "mean |change|": change.abs().mean(),
                "SEM": sem,
                "MDC95": mdc95(sem),
                "stated (rms)": np.sqrt((stated**2).mean()),
                "below stated (95 %)": _share(change.abs()[stated.notna()] < stated.dropna()),
            }
        )
    return pd.DataFrame(rows)


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Return the errors by movement, framing and degrees away from the recommended view."""
    return pd.DataFrame(
        {
            **dict(zip(("movement", "crop", "beside"), key, strict=True)),
            "largest": part.loc[part["end"] == "largest", "error"].abs().max(),
            "smallest": part.loc[part["end"] == "smallest", "error"].abs().max(),
            "picture": part["picture_error"].abs().max(),
            "half": part["half"].median(),
            "held": _share(part.dropna(subset=["error"])["held"]),
            "refused": _share(part["error"].isna()),
        }
        for key, part in table.groupby(["movement", "crop", "beside"], sort=False)
    )


def aims(table: pd.DataFrame) -> pd.DataFrame:
    """Compare the errors with the targets, by degrees away from the recommended view."""
    rows = []
    for beside, part in table.groupby("beside"):
        given = part.dropna(subset=["error"])
        aim = AIMS.get(int(beside), np.nan)
        rows.append(
            {
                "beside": beside,
                "ends": len(part),
                "aim": aim,
                "within": _share(given["error"].abs() <= aim) if aim == aim else np.nan,
                "of all": _share(part["error"].abs() <= aim) if aim == aim else np.nan,
                "mean error": given["error"].abs().mean(),
                "picture": given["picture_error"].abs().mean(),
                "held (90 %)": _share(given["held"]),
                f"half <= {HALF_WIDTH:g}": _share(given["half"] <= HALF_WIDTH),
                "refused": _share(part["error"].isna()),
            }
        )
    return pd.DataFrame(rows)


def _share(these: pd.Series) -> float:
    return float(these.astype(float).mean())


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--grid", type=Path, default=ROOT / "benchmarks" / "movements.yaml")
    parser.add_argument("--cache", type=Path, default=ROOT / "build" / "joints")
    parser.add_argument("--cases", nargs="*", help="only these")
    parser.add_argument("--rendered-only", action="store_true", help="only cached cases")
    parser.add_argument("--only-render", action="store_true", help="measure nothing")
    options = parser.parse_args()
    rows, seen, takes = [], [], []
    for clip in clips(options.grid):
        name = clip.case.name
        there = (options.cache / name / "truth.nc").is_file()
        if (options.cases and name not in options.cases) or (options.rendered_only and not there):
            continue
        if options.only_render:
            pose_and_truth(clip.case, options.cache)
            print(name, flush=True)
            continue
        if clip.take:
            takes += take(clip, options.cache)
            continue
        ends, squares = errors(clip, options.cache)
        rows += ends
        seen += squares
    if takes:
        told = pairs(pd.DataFrame(takes))
        print(told.round(1).to_string(index=False))
        print("\nThe same movement filmed twice: change of the end of the range, degrees")
        print(repeated(told).round(2).to_string(index=False))
    if not rows:
        return
    table = pd.DataFrame(rows)
    table["error"] = table["ours"] - table["true"]
    table["picture_error"] = table["picture"] - table["true"]
    table["held"] = table["error"].abs() <= table["half"]
    shown = ["clip", "side", "end", "true", "ours", "half", "picture", "error", "picture_error"]
    refused = table[table["error"].isna()].groupby(["clip", "side"], sort=False)["note"].first()
    with pd.option_context("display.width", 220, "display.max_columns", None):
        print(table[shown].round(1).to_string(index=False))
        print("\nRefused")
        for (name, side), note in refused.items():
            print(f"{name} {side}: {note}")
        print("\nLargest error of either end, degrees")
        print(summary(table).round(2).to_string(index=False))
        print("\nAims: 5 degrees in the right view, 10 at 20 degrees beside it, else refused")
        print(aims(table).round(2).to_string(index=False))
    print()
    for joint, squares in pd.DataFrame(seen, columns=["joint", "square"]).groupby("joint")[
        "square"
    ]:
        rms = float(np.sqrt(squares.mean()))
        print(f"{joint}: root mean square error of the values {rms:.1f} ({len(squares)} sides)")


if __name__ == "__main__":
    main()
