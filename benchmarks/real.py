"""Errors of the angles of real people with every method, and the factors of the stated errors.

usage: python benchmarks/real.py [--data FOLDER] [--poses FOLDER] [--only CLIP ...] [--compact]
           [--json] [--write] [--without TERM ... | --ablations]
           [--factors [--rendered CACHE ...] [--write-table]]

The videos and what is known about them are in real.yaml (../shared/data beside the checkout). The
references are markers, OpenCap from two phones, four calibrated views, the knowledge that somebody
stands straight, and the angle in the picture from the side. The same formulas are applied to the
reference and to every method. Errors include all frames, even if the analysis does not report the
value. Shares within 1.96 sd only include the reported values.

--compact fits each video once and prints one line for it, to judge a change of the fit in a minute.

Nothing is chosen here except the factors, for angles and for metrics that come from positions.
There are factors for a single camera, for a fit that does not assume straight standing, for feet
that move, and for pairs of the views. Each factor is tested on people from whom it was not
computed.
"""

from __future__ import annotations

import argparse
import functools
import gzip
import itertools
import json
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
import yaml
from balance import pairs, poses_of, triangulated
from scipy import stats

import mobility as mb
from mobility import tables
from mobility.assessment.body_axes import points_of
from mobility.assessment.kernels import knee
from mobility.assessment.phases import within_repetitions
from mobility.assessment.posture import posture as of_body
from mobility.assessment.propagation import values_and_sd
from mobility.capture.sampling import choose_frames
from mobility.capture.video import write_video
from mobility.errors import BadInputError
from mobility.keypoints.view import TWO_CAMERAS, camera_view, hides_frontal_plane, trial_view
from mobility.kinematics.angle_errors import largest_sd, legs_unseen
from mobility.kinematics.angles import image_plane_angles
from mobility.kinematics.expected_error import TABLE as ERRORS
from mobility.kinematics.expected_error import Z95, alike_kinds, kind_of, metric_sd, spread_factors
from mobility.kinematics.fit.entry import VISIBILITY_THRESHOLD
from mobility.kinematics.skeleton import KEYPOINTS, SIDES, angles_from_points, landmarks
from mobility.lab.lab_files import read_lab
from mobility.sessions.files import read_dataset

ROOT = Path(__file__).resolve().parents[1]
ANGLES = tuple(tables.load("angles"))
MAIN = (
    *("knee_flexion", "hip_flexion", "ankle_dorsiflexion", "shoulder_flexion", "elbow_flexion"),
    "trunk_lean",
)
FIT, FREE, LANDMARKS, PICTURE, MONOCULAR = (
    *("fit", "fit, standing free", "landmarks", "picture", "OpenCap Monocular"),
)
METHODS = (LANDMARKS, PICTURE, FIT, FREE, MONOCULAR)
OPENCAP = "opencap"
"""Reference without markers, which itself has errors of 4 to 6 degrees: it determines no factor."""
REFERENCES = ("markers", OPENCAP, "standing", "views", "picture")
POSTURES = ("standing", "half-way", "bottom", "all")
LAGS_S = {"markers": 0.2, OPENCAP: 0.2, "rendered": 0.0}
"""References with a clock of their own, and how far that clock may be off."""

STANDING_DEG, BOTTOM = 15.0, 0.9
_SEGMENT = {  # of OpenCap's model: the body whose origin is the joint centre
    **{"shoulder": "humerus", "elbow": "ulna", "wrist": "hand", "hip": "femur", "knee": "tibia"},
    **{"ankle": "talus", "heel": "calcn", "foot_index": "toes"},
}
_MARKERS = {  # of the TRC: heel and toe
    "left_heel": "L_calc",
    "left_foot_index": "L_toe",
    "right_heel": "r_calc",
    "right_foot_index": "r_toe",
}
STRAIGHT = ("front", "oblique", "from_the_side")
"""Kinds with one camera that are fitted again without the assumption of straight standing."""
ONE_CAMERA = (*STRAIGHT, "from_behind", "not_standing", "not_standing_front")
METRICS = "metrics"
LIKE = {kind: entry.get("like") for kind, entry in tables.load(ERRORS)["kinds"]["of"].items()}
LIKE[METRICS] = None
"""Kinds of factors in their order, and the similar kind for each."""
_STEP, _LEAST_FACTOR = 0.02, 0.3
ENOUGH = 8
"""Number of rendered people from which a factor may be below the similar kind's, or below 1."""
_PRIOR = 1.0
"""Weight, in people, of the prior that a factor equals the factor of the similar kind."""
_SURE = 0.9
"""Share of samples of people that do not contradict the stated errors, if these are right."""
RENDERED = "rendered"
_METRICS = tuple(tables.load(ERRORS)["metrics"]["factors"])
TABLE = ROOT / "mobility" / "tables" / "expected_error.yaml"
NEEDED = ("picture", "feet")
"""Terms without which the fit is not determined."""

COLUMNS = (  # of the ablations: kind of clip, reference, angles
    ("standing", "standing", ("knee_flexion", "hip_flexion")),
    ("standing", "picture", ("knee_flexion",)),
    ("squats", "markers", MAIN),
    ("phones", OPENCAP, ("knee_flexion", "hip_flexion", "trunk_lean")),
    ("walk", "markers", ("knee_flexion", "hip_flexion", "trunk_lean")),
    ("balance", "views", ("knee_flexion", "hip_flexion", "trunk_lean")),
)


class Clip(NamedTuple):
    """A recording, and what is known about it."""

    name: str
    kind: str
    person: str
    pose: xr.Dataset | tuple[xr.Dataset, ...]  # of several cameras: one of each
    references: Mapping[str, xr.Dataset]  # angles by what tells them
    monocular: xr.Dataset | None = None
    how: Mapping[str, Any] = {}  # options of fit_body that the exercise has


@functools.cache
def known() -> dict[str, Any]:
    """Return the contents of real.yaml."""
    text = Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(text))


def clips(
    data: Path,
    poses: Path,
    only: Sequence[str] = (),
    rate: float | Literal["usual", "all"] = "usual",
    model: str | None = None,
) -> Iterator[Clip]:
    """Read the recordings; missing poses are estimated with a model at a rate, and stored.

    If only landmarks of all frames exist, the landmarks of frames that the rate skips are left out.
    """
    if not data.is_dir():
        raise SystemExit(f"{data}: no such folder; the clips are not part of the project: --data")
    views: dict[tuple[str, str], xr.Dataset] = {}
    entries = known()["clips"]
    for name, entry in entries.items():
        if only and name not in only:
            continue
        several = isinstance(entry["pose"], list)
        paths = [data / each for each in (entry["pose"] if several else [entry["pose"]])]
        found = tuple(_pose_of(path, poses, rate, model, entry.get("hold_s")) for path in paths)
        path, pose = paths[0], found[0]
        references, monocular = {}, None
        if "markers" in entry:
            feet = data / entry["feet"] if "feet" in entry else None
            references["markers"] = of_model(data / entry["markers"], feet)
        if OPENCAP in entry:
            references[OPENCAP] = of_opencap(data / entry[OPENCAP])
        if "views" in entry:
            if (trial := _trial(entry)) not in views:
                same = [e for e in entries.values() if _trial(e) == trial]
                films = [(data / e["pose"], poses, rate, model, e.get("hold_s")) for e in same]
                views[trial] = of_views([_pose_of(*f) for f in films], data / entry["views"])
            references["views"] = views[trial]
        if "standing" in entry:
            seconds = entry["standing"]
            if isinstance(seconds, str):
                rows = pd.read_csv(data / seconds, sep="\t")
                seconds = rows.loc[rows["file"] == path.name, ["start_s", "end_s"]].to_numpy()
            references["standing"] = straight(pose["time"].to_numpy(), seconds)
        if "picture" in entry:
            flat = image_plane_angles(mb.clean_pose(pose))
            references["picture"] = xr.Dataset(
                {
                    angle: flat[angle].where(flat["side"].isin(sides))
                    for angle, sides in entry["picture"].items()
                }
            )
        if "monocular" in entry:
            monocular = of_model(data / entry["monocular"])
        yield Clip(
            *(name, entry["kind"], entry["person"], found if several else pose, references),
            *(monocular, entry.get("how", {})),
        )


def _trial(entry: Mapping[str, Any]) -> tuple[str, str]:
    """Return calibration and kind, which the views of one recording share."""
    return entry.get("views", ""), entry["kind"]


def _pose_of(
    path: Path,
    poses: Path,
    rate: float | Literal["usual", "all"],
    model: str | None,
    hold_s: float | None,
) -> xr.Dataset:
    """Read or estimate the pose of a file; for a short video, hold its first frame."""
    if path.suffix == ".nc":
        return thinned(read_dataset(path), rate)
    if hold_s is not None:
        path = _held(path, poses, hold_s)
    return poses_of([path], poses, rate, model)[0]


def _held(video: Path, folder: Path, seconds: float) -> Path:
    """Make a video from the first frame of another, long enough to show that somebody stands."""
    import av

    target = folder / f"{video.stem}_held.mp4"
    if not target.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with av.open(str(video)) as film:
            image = next(film.decode(video=0)).to_ndarray(format="rgb24")
        write_video(target, ((at / 30, image) for at in range(round(30 * seconds) + 1)), crf=8)
    return target


def rendered(caches: Iterable[Path]) -> Iterator[Clip]:
    """Read rendered cases from the caches of `mobility virtual-lab sweep`."""
    from mobility.virtual_lab.case import read_case, read_truth, truth_pose

    for truth in sorted(path for cache in caches for path in cache.glob("*/truth.nc")):
        if (pose := truth.with_name("pose.nc")).is_file():
            true = truth_pose(read_truth(truth))
            angles = angles_at(landmarks(true), true["time"].to_numpy())
            case = read_case(truth.with_name("case.yaml"))
            how: dict[str, Any] = {}
            if getattr(case.motion, "kind", "") == "sit-to-stand":
                if int(case.name.partition("-")[0]) % 2 == 0:
                    continue  # for reporting (rises.yaml)
                front = abs(case.camera.azimuth) <= 20.0
                how = {"unbalanced": True, "standing": "straight" if front else "free"}
            yield Clip(
                *(truth.parent.name, RENDERED, RENDERED, read_dataset(pose)),
                **{"references": {"rendered": angles}, "how": how},
            )


def of_model(path: Path, feet: Path | None = None) -> xr.Dataset:
    """Return angles from the joint centres of a marker-driven model, or of a model from a video.

    Parameters
    ----------
    path
        The bodies of OpenCap's model as JSON, or a table of joint centres.
    feet
        File with markers of heel and toe on somebody who stands still in the first second.
    """
    place = {}
    if path.suffix == ".csv":
        table = pd.read_csv(path)
        time = table["time"].to_numpy()
        for name in KEYPOINTS:
            side, _, point = name.partition("_")
            if f"{point}_{side[0]}_x_m" in table:
                place[name] = table[[f"{point}_{side[0]}_{axis}_m" for axis in "xyz"]].to_numpy()
    else:
        with gzip.open(path) as file:
            found = json.load(file)
        time = np.array(found["time"], dtype=float)
        for side in SIDES:
            for point, body in _SEGMENT.items():
                at = found["bodies"][f"{body}_{side[0]}"]["translation"]
                place[f"{side}_{point}"] = np.array(at)
    if feet is not None:
        markers = read_lab(feet)["marker_position"]
        for name, marker in _MARKERS.items():
            here = markers.sel(marker=marker).interp(time=time)
            place[name] = here.transpose("time", "space").to_numpy()
        for side in SIDES:
            # Heel and toe are markers on a shoe at different heights; a flat foot has a level sole.
            heel, toe = place[f"{side}_heel"], place[f"{side}_foot_index"]
            place[f"{side}_foot_index"] = toe - [0.0, float((toe - heel)[:100, 1].mean()), 0.0]
    points = np.full((time.size, len(KEYPOINTS), 3), np.nan)
    for name, values in place.items():
        points[:, KEYPOINTS.index(name)] = values
    return angles_at(points, time)


def of_opencap(path: Path) -> xr.Dataset:
    """Return OpenCap's angles from two phones: from its joint centres, or from a table."""
    if path.suffix == ".csv":
        table = pd.read_csv(path)
        both = {
            angle: table[[f"{angle}_{side}" for side in SIDES]].to_numpy()
            for angle in ANGLES
            if f"{angle}_{SIDES[0]}" in table
        }
        alone = {angle: table[angle].to_numpy() for angle in ANGLES if angle in table}
        return xr.Dataset(
            {name: (("time", "side")[: v.ndim], v) for name, v in (both | alone).items()},
            coords={"time": table["time_s"].to_numpy(), "side": list(SIDES)},
        )
    centres = mb.lab_pose(read_lab(path))
    return angles_at(landmarks(centres), centres["time"].to_numpy())


def thinned(pose: xr.Dataset, rate: float | Literal["usual", "all"]) -> xr.Dataset:
    """Leave out the frames that are not estimated at a rate."""
    return pose.sel(time=choose_frames(pose["time"].to_numpy(), rate))


def of_views(poses: Sequence[xr.Dataset], calibration: Path) -> xr.Dataset:
    """Return the angles of landmarks triangulated from calibrated views with one clock."""
    cleaned = [mb.clean_pose(pose, visibility_threshold=VISIBILITY_THRESHOLD) for pose in poses]
    points, _ = triangulated(cleaned, calibration)
    return angles_at(points, cleaned[0]["time"].to_numpy())


def straight(time: np.ndarray, seconds: Iterable[Sequence[float]]) -> xr.Dataset:
    """Return angles with knees and hips at 0 in these seconds, and unknown values elsewhere."""
    stands = np.any([(time >= start) & (time <= end) for start, end in seconds], axis=0)
    zero = np.where(stands, 0.0, np.nan)[:, None] + np.zeros(2)
    return xr.Dataset(
        dict.fromkeys(("knee_flexion", "hip_flexion"), (("time", "side"), zero)),
        coords={"time": time, "side": list(SIDES)},
    )


def angles_at(points: np.ndarray, time: np.ndarray) -> xr.Dataset:
    """Return all angles of points (time, 33, 3), including those that would not be reported."""
    return xr.Dataset(
        {"points": (("time", "keypoint", "space"), points)}
        | {
            name: (("time", "side")[: value.ndim], value)
            for name, value in angles_from_points(points).items()
        },
        coords={
            **{"time": time, "side": list(SIDES)},
            **{"keypoint": list(KEYPOINTS), "space": ["x", "y", "z"]},
        },
    )


def stated(pose: xr.Dataset) -> xr.Dataset:
    """Return all angles of a pose with their stated sd, including those that are not reported."""
    found = angles_at(landmarks(pose), pose["time"].to_numpy())
    told = mb.joint_angles(pose, limits=dict.fromkeys(ANGLES, np.inf))
    method = told.attrs.get("method", "mediapipe_world")
    return found.assign({f"{name}_sd": told[f"{name}_sd"] for name in ANGLES}).assign_attrs(
        largest={name: largest_sd(name, method=method) for name in ANGLES}
    )


def body_of(pose: xr.Dataset | tuple[xr.Dataset, ...], **how: Any) -> xr.Dataset:
    """Fit the body to a pose, or to the poses from several cameras."""
    poses = pose if isinstance(pose, tuple) else (pose,)
    cleaned = [mb.clean_pose(each, visibility_threshold=VISIBILITY_THRESHOLD) for each in poses]
    return mb.fit_body(cleaned if len(cleaned) > 1 else cleaned[0], **how)


def fitted(pose: xr.Dataset | tuple[xr.Dataset, ...], **how: Any) -> xr.Dataset:
    """Return the angles of the fitted body, with its view as an attribute."""
    body = body_of(pose, **how)
    return stated(body).assign_attrs(view=camera_view(body).kind)


def at_frames(truth: xr.Dataset, found: xr.Dataset, reference: str) -> xr.Dataset:
    """Interpolate a reference at the frames of the result, at the lag that fits the knees best."""
    time = found["time"].to_numpy()
    if reference not in LAGS_S:
        return truth.reindex(time=time, method="nearest", tolerance=0.02)
    most = LAGS_S[reference]
    lags = np.linspace(-most, most, round(most / 0.01) * 2 + 1)
    off = [
        float(
            abs(
                found["knee_flexion"] - _shifted(truth[["knee_flexion"]], time, lag)["knee_flexion"]
            ).mean()
        )
        for lag in lags
    ]
    return _shifted(truth, time, lags[int(np.argmin(off))])


def _shifted(truth: xr.Dataset, time: np.ndarray, lag: float) -> xr.Dataset:
    return truth.interp(time=time + lag).assign_coords(time=time)


def postures(truth: xr.Dataset, angle: str) -> dict[str, xr.DataArray]:
    """Return the frames of the reference in standing, at the bottom, in between, and in all.

    Angles with sides use the knee of their side; other angles use the mean of both knees.
    """
    every = truth[angle].notnull()
    if "knee_flexion" not in truth:
        return {"all": every}
    knee = truth["knee_flexion"]
    if "side" not in truth[angle].dims:
        knee = knee.mean("side")
    stands, low = knee < STANDING_DEG, (knee >= STANDING_DEG) & (knee > BOTTOM * knee.max())
    between = knee.notnull() & ~stands & ~low
    return dict(zip(POSTURES, (stands, between, low, every), strict=True))


def compared(found: xr.Dataset, truth: xr.Dataset) -> list[dict[str, Any]]:
    """Return errors (degrees) by angle and posture, shares reported and within 1.96 sd, margins."""
    rows = []
    for name in (name for name in ANGLES if name in found and name in truth):
        error = found[name] - truth[name]
        for posture, here in postures(truth, name).items():
            off = error.where(here).to_numpy()
            counts = np.isfinite(off)
            every = posture != "all" and counts.sum() == np.isfinite(error).sum()
            if every or not counts.any():
                continue
            off = off[counts]
            row = {
                **{"angle": name, "posture": posture, "values": off.size},
                **{"mae": np.abs(off).mean(), "bias": off.mean(), "median": np.median(off)},
                **{"given": np.nan, "within": np.nan, "half": np.nan},
            }
            if f"{name}_sd" in found:
                sd = found[f"{name}_sd"].to_numpy()[counts]
                given = sd <= found.attrs["largest"][name]
                row["given"], row["half"] = given.mean(), Z95 * pd.Series(sd).median()
                if given.any():
                    row["within"] = (np.abs(off[given]) <= Z95 * sd[given]).mean()
            rows.append(row)
    return rows


def measured(
    clip: Clip, fits: Mapping[str, Mapping[str, Any]], *, others: bool = True
) -> pd.DataFrame:
    """Return the errors of a recording with every method and these fits (options of fit_body)."""
    methods = {}
    if others and isinstance(clip.pose, xr.Dataset):
        landmarks = mb.clean_pose(clip.pose)
        methods = {LANDMARKS: stated(landmarks), PICTURE: image_plane_angles(landmarks)}
        if clip.monocular is not None:
            methods[MONOCULAR] = clip.monocular
    methods |= {name: fitted(clip.pose, **{**clip.how, **how}) for name, how in fits.items()}
    known = tables.load("angles")
    rows = []
    for method, found in methods.items():
        for reference, truth in clip.references.items():
            if method == reference:
                continue
            for row in compared(found, at_frames(truth, found, reference)):
                seen = found.attrs.get("view") in known[row["angle"]]["seen"]["from"]
                about = {"clip": clip.name, "kind": clip.kind, "person": clip.person}
                rows.append(
                    {**about, "reference": reference, "method": method, **row, "seen": seen}
                )
    return pd.DataFrame(rows)


def headlines(errors: pd.DataFrame) -> list[tuple[str, str, str, bool]]:
    """Yield each target: its description, the value, the target, and whether it is met."""
    aims = known()["aims"]
    ours = errors[errors["method"] == FIT]
    every = ours[ours["posture"] == "all"]
    lines = []

    def one(kind: str, reference: str, angle: str) -> pd.DataFrame:
        here = (every["kind"] == kind) & (every["reference"] == reference)
        return every[here & (every["angle"] == angle)].set_index("clip")

    for angle, aim in aims["standing"].items():
        means = one("standing", "standing", angle)["bias"]
        if means.size:
            good, worst = int((means.abs() <= aim).sum()), means.abs().idxmax()
            lines.append(
                (
                    f"standing straight, {_plain(angle)}",
                    f"{good} of {means.size} clips; worst {means[worst]:+.1f} ({worst})",
                    f"all within {aim:g} of 0",
                    good == means.size,
                )
            )
    for angle, aim in aims["squats"].items():
        lines += [
            (f"filmed squats, {_plain(angle)}", f"{value:.1f}", f"{aim:g}", value <= aim)
            for value in one("squats", "markers", angle)["mae"]
        ]
    for angle, aim in aims["phones"].items():
        lines += [
            (f"{clip}, {_plain(angle)}", f"{value:.1f}", f"{aim:g}", value <= aim)
            for clip, value in one("phones", OPENCAP, angle)["mae"].items()
        ]
    theirs = errors[(errors["method"] == LANDMARKS) & (errors["posture"] == "all")]
    for angle, aim in aims["walk"].items():
        for clip, value in one("walk", "markers", angle)["mae"].items():
            bar = theirs[(theirs["clip"] == clip) & (theirs["angle"] == angle)]["mae"].item()
            said = f"below {aim:g} and the landmarks' {bar:.1f}"
            lines.append((f"{clip}, {_plain(angle)}", f"{value:.1f}", said, value < min(aim, bar)))
    for angle in MAIN:
        here = one("balance", "views", angle)
        if len(here):
            told = here[here["given"] > 0]
            right = float(np.average(told["within"], weights=told["given"])) if len(told) else 1.0
            value = f"{here['mae'].mean():.1f}; {here['given'].mean():.0%} given"
            value += f", {right:.0%} of these within" if len(told) else ""
            aim = f"{aims['within']:.0%} within, or refused"
            lines.append(
                (f"man who balances, {_plain(angle)}", value, aim, right >= aims["within"])
            )
    for angle in MAIN:
        rows = every[every["angle"] == angle]
        for what, aim, own in (
            ("within 1.96 sd", aims["within"], within_by_person(rows)),
            ("given in views that support it", aims["given"], given_by_person(rows)),
        ):
            if own.size:
                lowest = f"lowest {own.min():.0%} ({own.idxmin()})"
                value = f"{own.mean():.0%} of {own.size} people; {lowest}"
                lines.append((f"{_plain(angle)}, {what}", value, f"{aim:.0%}", own.mean() >= aim))
    return lines


def within_by_person(rows: pd.DataFrame) -> pd.Series:
    """Return the share of reported values within 1.96 sd, by person."""
    told = rows[rows["given"] > 0]
    values = told["given"] * told["values"]
    inside = (told["within"] * values).groupby(told["person"]).sum()
    return inside / values.groupby(told["person"]).sum()


def given_by_person(rows: pd.DataFrame) -> pd.Series:
    """Return the share of reported values in views that support the angle, by person."""
    seen = rows[rows["seen"]]
    given = (seen["given"] * seen["values"]).groupby(seen["person"]).sum()
    return given / seen["values"].groupby(seen["person"]).sum()


def ablated(errors: pd.DataFrame) -> pd.DataFrame:
    """Return a row per fit: mean absolute errors over recordings; if people stand, of the mean."""
    every = errors[errors["posture"] == "all"]
    rows: dict[str, dict[str, float]] = {}
    for method, own in every.groupby("method", sort=False):
        for kind, reference, angles in COLUMNS:
            here = own[(own["kind"] == kind) & (own["reference"] == reference)]
            for angle in (angle for angle in angles if angle in set(here["angle"])):
                value = here[here["angle"] == angle]["bias" if reference == "standing" else "mae"]
                name = "side" if reference == "picture" else kind
                short = angle.partition("_")[0]
                rows.setdefault(str(method), {})[f"{name}: {short}"] = value.abs().mean()
    return pd.DataFrame(rows).T


class Errors(NamedTuple):
    """Errors of all values of one person, including unreported ones, and their stated errors.

    Attributes
    ----------
    off, sd
        Errors, and their standard deviations without a factor.
    beside
        Standard deviation that is added in quadrature and has no factor.
    largest
        Standard deviation up to which a value is reported.
    """

    off: np.ndarray
    sd: np.ndarray
    beside: np.ndarray
    largest: np.ndarray

    def given(self, factor: float) -> tuple[np.ndarray, np.ndarray]:
        """Return errors and variances of the values that are reported with a factor."""
        variance = (factor * self.sd) ** 2 + self.beside**2
        there = variance <= self.largest**2
        return self.off[there], variance[there]


def together(parts: Iterable[Errors]) -> Errors:
    """Join the values of several people."""
    return Errors(*(np.concatenate(each) for each in zip(*parts, strict=True)))


def errors_as_stated(
    off: np.ndarray,
    sd: np.ndarray,
    largest: float | np.ndarray,
    beside: np.ndarray | float = 0.0,
) -> Errors:
    """Keep the errors and stated errors of values that have both."""
    each = [np.ravel(one) for one in np.broadcast_arrays(off, sd, beside, largest)]
    there = np.isfinite(each[:3]).all(axis=0) & (np.hypot(each[1], each[2]) > 0)
    return Errors(*(one[there] for one in each))


def of_angles(clip: Clip, body: xr.Dataset) -> dict[tuple[str, str], Errors]:
    """Return a fitted body's errors by kind of factor and angle, if its legs are visible."""
    if legs_unseen(body):
        return {}
    kind, factors, found = kind_of(body), spread_factors(body), stated(body)
    parts: dict[tuple[str, str], list[Errors]] = {}
    for reference, truth in clip.references.items():
        if reference == OPENCAP:
            continue
        there = at_frames(truth, found, reference)
        for name in (name for name in ANGLES if name in there):
            off, sd = (found[name] - there[name]).to_numpy(), found[f"{name}_sd"].to_numpy()
            one = errors_as_stated(off, sd / factors[name], found.attrs["largest"][name])
            parts.setdefault((kind, name), []).append(one)
    return {key: together(values) for key, values in parts.items()}


def of_metrics(clip: Clip, body: xr.Dataset) -> dict[tuple[str, str], Errors]:
    """Return the errors of metrics that come from positions, within the repetitions."""
    if kind_of(body) not in ONE_CAMERA:
        return {}
    repetitions = mb.find_repetitions(body)
    inside, stands = (
        within_repetitions(repetitions),
        repetitions["standing"].to_numpy().astype(bool),
    )
    if not inside.any() or not stands.any():
        return {}
    found, table = stated(body), tables.load("measures")
    limits = {name: entry["value"] for name, entry in table["limits"].items()}
    edge_on = bool(hides_frontal_plane(body))
    parts: dict[tuple[str, str], list[Errors]] = {}
    for reference in (name for name in ("markers", "rendered") if name in clip.references):
        true = at_frames(clip.references[reference], found, reference)["points"].rename("position")
        for kernel in (of_body, knee):
            computed = kernel.of_array(limits)
            values, sds = values_and_sd(body, kernel.joints, stands, computed)
            points = points_of(true.to_dataset(), kernel.joints)
            truth = computed(points, points[stands])
            for name in _METRICS:
                entry = table["measures"][name]
                if name not in truth or (edge_on and entry.get("frontal")):
                    continue
                share = entry.get("fit_error_share", {}).get("value", 0.0)
                each = np.broadcast_arrays(
                    values[name] - truth[name],
                    sds[name] / metric_sd(name, np.ones(())),
                    share * values[name],
                )
                off, sd, beside = (np.atleast_1d(v[inside] if v.ndim else v) for v in each)
                one = errors_as_stated(off, sd, entry["largest_interval"]["value"] / Z95, beside)
                parts.setdefault((METRICS, name), []).append(one)
    return {key: together(values) for key, values in parts.items()}


def of_pairs(
    people: Sequence[Clip], data: Path
) -> Iterator[tuple[str, dict[tuple[str, str], Errors]]]:
    """Return, by person, the errors of pairs of calibrated views that are far enough apart."""
    seen = [clip for clip in people if "views" in clip.references]
    for kind in dict.fromkeys(clip.kind for clip in seen):
        views = [clip for clip in seen if clip.kind == kind]
        cleaned = [mb.clean_pose(c.pose, visibility_threshold=VISIBILITY_THRESHOLD) for c in views]
        for _, fit in pairs(cleaned, data / known()["clips"][views[0].name]["views"]):
            try:
                body = fit()
            except BadInputError:
                continue
            if trial_view(body) == TWO_CAMERAS:
                yield views[0].person, of_angles(views[0], body)


def within(own: Errors, value: float) -> float:
    """Return the share of reported values within 1.96 sd; NaN if none is reported."""
    off, variance = own.given(value)
    return float((off**2 <= Z95**2 * variance).mean()) if off.size else float("nan")


def square(own: Errors, value: float) -> float:
    """Return mean square error over mean square sd of the reported values; NaN without any."""
    off, variance = own.given(value)
    return float((off**2).mean() / variance.mean()) if off.size else float("nan")


def _squares(people: Iterable[Errors], value: float) -> np.ndarray:
    each = np.array([square(own, value) for own in people])
    return each[np.isfinite(each)]


def holds(
    value: float,
    people: Sequence[Errors],
    rendered: Sequence[Errors] = (),
    *,
    like: float = 1.0,
    differing: Sequence[Errors] | None = None,
    enough: int = ENOUGH,
) -> bool:
    """Return whether a factor is large enough; see :func:`factor`."""
    real, drawn = _squares(people, value), _squares(rendered, value)
    every = np.concatenate([real, drawn])
    if not every.size:
        return value >= like  # all refused
    mean = max(each.mean() for each in (every, real, drawn) if each is every or each.size >= enough)
    shrunk = (value / like) ** (2 * _PRIOR / every.size)
    if mean * (1 + 1 / every.size) > shrunk:
        return False
    if value < like:
        if drawn.size < enough:
            return False
        if differing is not None:
            apart = _squares(differing, value)
            if not apart.size or _contradicts(apart):
                return False
    return not _contradicts(real)


def _contradicts(squares: np.ndarray) -> bool:
    return bool(squares.size and squares.sum() > stats.chi2.ppf(_SURE, squares.size))


def factor(
    people: Sequence[Errors],
    rendered: Sequence[Errors] = (),
    *,
    like: float = 1.0,
    differing: Sequence[Errors] | None = None,
    enough: int = ENOUGH,
) -> float:
    """Return the factor by which a stated sd must grow, or may shrink: the smallest that holds.

    It is the root mean square over people of error / sd, for the values that are still reported
    with it. Each person, real or rendered, has the same weight. But 8 or more people of one sort do
    not make it smaller than the people of the other sort alone require, because the real people
    were chosen for standing straight, and the rendered people are not real. Because the n people
    are few, it is multiplied by √(1 + 1/n), so that the errors of the next person are within 1.96
    sd. Its logarithm is then drawn towards that of the similar kind, with the weight of one person.
    (With normal errors of 8 to 40 people, 0.5 to 1.5 times the sd, 91 to 95 % of the errors of
    other people are within 1.96 sd. The smallest factor with which 95 % of so few people are within
    is the factor of the worst person.)

    It is at least as large as the errors of real people alone require: their sum of squares is at
    most the 90th percentile of the sum for errors as stated. It is below `like` only if 8 or more
    rendered people count, and the people in `differing` do not contradict it in the same way.

    Parameters
    ----------
    people, rendered
        Errors of each person.
    like
        Factor of the similar kind; 1 is the factor of the draws themselves.
    differing
        For a difference, people with a large true difference. Without them, the factor is not below
        `like`.
    enough
        Replaces 8 if one person is left out.
    """
    rule: dict[str, Any] = {"like": like, "differing": differing, "enough": enough}
    steps = round(_LEAST_FACTOR / _STEP)
    while not holds(round(steps * _STEP, 2), people, rendered, **rule):
        steps += 1
    return round(steps * _STEP, 2)


def asked_by(
    people: Iterable[Clip], virtual: Iterable[Clip], data: Path
) -> dict[tuple[str, str], dict[str, list[Errors]]]:
    """Collect the errors of each recording, by kind of factor, by angle or metric, and by person.

    Single frames that are held do not count: those of the man in T-pose come from cameras that are
    turned by up to 19 degrees, unlike any phone on a stand.
    """
    parts: dict[tuple[str, str], dict[str, list[Errors]]] = {}

    def add(person: str, asked: Mapping[tuple[str, str], Errors]) -> None:
        for key, one in asked.items():
            if one.off.size:
                parts.setdefault(key, {}).setdefault(person, []).append(one)

    people = [clip for clip in people if not known()["clips"].get(clip.name, {}).get("hold_s")]
    for clip in itertools.chain(people, virtual):
        body = body_of(clip.pose, **clip.how)
        add(clip.person, of_angles(clip, body) | of_metrics(clip, body))
        if kind_of(body) in STRAIGHT:
            free = body_of(clip.pose, **{**clip.how, "standing": "free"})
            add(clip.person, of_angles(clip, free))
    for person, asked in of_pairs(people, data):
        add(person, asked)
    return parts


def factors(asked: Mapping[tuple[str, str], Mapping[str, Sequence[Errors]]]) -> pd.DataFrame:
    """Return the factor of each angle and metric, and the share within 1.96 sd for other people."""
    rows: list[dict[str, Any]] = []
    names = [*ANGLES, *_METRICS]
    order = sorted(asked, key=lambda key: (list(LIKE).index(key[0]), names.index(key[1])))
    found: dict[tuple[str | None, str], float] = {}
    for kind, name in order:
        own = asked[kind, name]
        people = {p: together(parts) for p, parts in own.items() if p != RENDERED}
        drawn, every = own.get(RENDERED, ()), list(people.values())
        like = next((found[k, name] for k in alike(kind)[1:] if (k, name) in found), 1.0)
        found[kind, name] = value = least_of(kind, factor(every, drawn, like=like))
        row = {"kind": kind, "name": name, "people": len(people), "rendered clips": len(drawn)}
        row |= {"factor": value, "like": like}
        for column, group in (("people", every), ("rendered", drawn)):
            squares = _squares(group, 1.0)
            row[f"{column}: ratio at 1"] = np.sqrt(squares.mean()) if squares.size else np.nan
            shares = np.array([within(each, value) for each in group])
            shares = shares[np.isfinite(shares)]
            row[f"{column}: within"] = shares.mean() if shares.size else np.nan
        left_out = {}
        for person, each in people.items():
            others = [e for p, e in people.items() if p != person]
            if others or drawn:
                without = least_of(kind, factor(others, drawn, like=like))
                left_out[person] = within(each, without)
        left_out = {person: share for person, share in left_out.items() if np.isfinite(share)}
        if left_out:
            row["left out, mean"] = np.mean(list(left_out.values()))
            row["lowest"] = min(left_out.values())
            row["of"] = min(left_out, key=lambda person: left_out[person])
        rows.append(row)
    return pd.DataFrame(rows)


def least_of(kind: str, value: float) -> float:
    """Return the factor of a kind; for frames, at least 1.

    All rendered people, and nearly all filmed people, stand about as straight as the fit assumes.
    They therefore do not show that the draws overstate the errors for people who stand differently.
    """
    return value if kind == METRICS else max(value, 1.0)


def alike(kind: str) -> list[str]:
    """Return the kinds whose factors apply to a kind, or to metrics, which have no similar kind."""
    return [kind] if kind == METRICS else alike_kinds(kind)


def _source(kind: str, own: pd.DataFrame) -> str:
    """Return the text for the table that states where the factors of a kind come from."""
    count, drawn = own["people"].max(), own["rendered clips"].max()
    who = [f"{count} real {'person' if count == 1 else 'people'}"] if count else []
    who += [f"{drawn} rendered clips"] if drawn else []
    said = [f"Measured on {' and '.join(who)}."]
    for number, people in ((1, "one real person"), (0, "no real person")):
        if few := [name for name in own.index if own["people"][name] == number != count]:
            said.append(f"Measured on {people}: {', '.join(few)}.")
    if few := [name for name in own.index if own["rendered clips"][name] < ENOUGH]:
        least = "the factors of the similar kind" if LIKE[kind] else "1"
        which = "All factors" if len(few) == len(own) else f"The factors of {', '.join(few)}"
        said.append(
            f"{which} come from fewer than {ENOUGH} rendered clips, so they are at least {least}."
        )
    if kind == "not_standing":
        said.append("These people stand straight, but the fit did not assume it (standing free).")
    if kind.startswith("two"):
        said.append("The cameras are pairs of his four views. No other pairs were measured.")
    return " ".join(said)


def with_factors(text: str, table: pd.DataFrame) -> str:
    """Write the factors into the text of the table of expected errors."""
    blocks = {}
    for kind in LIKE:
        own = table[table["kind"] == kind].set_index("name")
        if not len(own) and kind != METRICS:
            continue
        edge = "" if kind == METRICS else "  "
        names = _METRICS if kind == METRICS else own.index
        space = f"{edge}    "
        source = textwrap.wrap(
            _source(kind, own), 100, initial_indent=space, subsequent_indent=space
        )
        blocks[kind] = "\n".join(
            [
                *(f"{edge}{kind}:", f"{edge}  source: >-", *source),
                f"{edge}  {'factors' if kind == METRICS else 'angles'}:",
                *(f"{space}{name}: {float(own['factor'].get(name, 1.0)):g}" for name in names),
            ]
        )
    metrics = blocks.pop(METRICS)
    text = re.sub(
        r"(?<=^fitted:\n)(?:  .*\n)+", "\n".join(blocks.values()) + "\n", text, flags=re.M
    )
    return re.sub(r"^metrics:\n(?:  .*\n)+?(?=  with_value:)", metrics + "\n", text, flags=re.M)


def _plain(angle: str) -> str:
    return angle.replace("_", " ")


def cells(errors: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each recording, angle and posture, with a column for each method."""
    shown = errors[(errors["posture"] == "all") | errors["angle"].isin(MAIN)]

    def cell(row: pd.Series) -> str:
        told = f"{row['mae']:.1f}, {row['bias']:+.1f}"
        if np.isfinite(row["given"]):
            told += f"; {100 * row['given']:.0f}"
            told += f" / {100 * row['within']:.0f}" if np.isfinite(row["within"]) else " / -"
        return told

    places = {
        name: i
        for order in (known()["clips"], REFERENCES, ANGLES, POSTURES)
        for i, name in enumerate(order)
    }
    where = ["clip", "reference", "angle", "posture"]
    wide = shown.assign(cell=shown.apply(cell, axis=1)).pivot(
        index=where, columns="method", values="cell"
    )
    wide = wide.sort_index(key=lambda level: level.map(places)).fillna("").reset_index()
    wide["angle"] = wide["angle"].map(_plain)
    return wide[[*where, *(method for method in METHODS if method in wide)]]


def standing_table(errors: pd.DataFrame) -> pd.DataFrame:
    """Return mean and median of knees and hips while people stand straight."""
    rows = errors[(errors["reference"] == "standing") & (errors["posture"] == "all")]
    rows = rows.assign(
        angle=rows["angle"].map(_plain),
        told=[f"{b:+.1f}, {m:+.1f}" for b, m in zip(rows["bias"], rows["median"], strict=True)],
    )
    wide = rows.pivot(index=["angle", "clip"], columns="method", values="told")
    return wide[[m for m in METHODS if m in wide]].reset_index()


def compact_table(errors: pd.DataFrame) -> pd.DataFrame:
    """Return a line per recording and reference, with the fitted angles that describe squats.

    It contains the mean absolute error, the bias, the bias in standing and at the bottom, the
    percentage of reported values within 1.96 sd, and the median margin of error.
    """
    lines: dict[tuple[str, str], dict[str, str]] = {}
    for row in errors[errors["angle"].isin(MAIN) & (errors["posture"] == "all")].itertuples():
        same = errors[
            (errors["clip"] == row.clip)
            & (errors["reference"] == row.reference)
            & (errors["angle"] == row.angle)
        ].set_index("posture")["bias"]
        parts = [f"{same[p]:+.0f}" if p in same else "" for p in ("standing", "bottom")]
        within = f"{100 * row.within:.0f}" if np.isfinite(row.within) else "-"
        told = f"{row.mae:.1f} {row.bias:+.1f}"
        told += f" ({'/'.join(parts)})" if any(parts) else ""
        lines.setdefault((row.clip, row.reference), {})[_plain(row.angle)] = (
            f"{told} {within}% ±{row.half:.0f}"
        )
    table = pd.DataFrame.from_dict(lines, orient="index").fillna("")
    table.index = pd.MultiIndex.from_tuples(table.index, names=["clip", "reference"])
    return table[[_plain(a) for a in MAIN if _plain(a) in table]].reset_index()


def markdown(table: pd.DataFrame) -> str:
    """Return a table of text as Markdown."""
    lines = [[str(column) for column in table.columns], ["---"] * table.shape[1]]
    lines += [[str(value) for value in row] for row in table.to_numpy()]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def head(lines: Sequence[tuple[str, str, str, bool]]) -> pd.DataFrame:
    """Return the targets as a table."""
    rows = [(what, value, aim, "met" if met else "missed") for what, value, aim, met in lines]
    return pd.DataFrame(rows, columns=["", "value", "aim", "so it is"])


def document(errors: pd.DataFrame, ablations: pd.DataFrame | None) -> str:
    """Return the text of real.md."""
    command = "python benchmarks/real.py --write" + (
        " --ablations" if ablations is not None else ""
    )
    parts = [
        "# Errors on real people",
        f"Made by `{command}`; the clips and what is known of"
        " them: [`real.yaml`](real.yaml). All in degrees.",
        markdown(head(headlines(errors))),
        "## Standing straight",
        "Mean and median over the seconds in which knees and hips are straight.",
        markdown(standing_table(errors)),
        "## All clips",
        "Mean absolute error and bias of all frames; % of the values that are given / % of these"
        " within 1.96 sd. Standing: reference knee below 15 degrees; bottom: above 0.9 of its"
        " largest; half-way: between. The reference of the views is MediaPipe's own landmarks,"
        " triangulated: it tells errors of depth. OpenCap is without markers, from two phones, with"
        " errors of 4 to 6 degrees of its own; where he sits, its trunk is doubtful.",
        markdown(cells(errors)),
    ]
    if ablations is not None:
        parts += [
            "## The fit without each of its terms",
            "Mean absolute error of all frames, mean over the clips; where people stand straight,"
            " of the mean over the known seconds.",
            markdown(_without(ablations)),
        ]
    return "\n\n".join(parts) + "\n"


def _without(ablations: pd.DataFrame) -> pd.DataFrame:
    return ablations.map(lambda value: f"{value:.1f}").rename_axis("fit").reset_index()


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--poses", type=Path, default=ROOT / "build" / "accuracy" / "poses")
    parser.add_argument("--only", nargs="+", default=[], metavar="CLIP")
    parser.add_argument(
        "--compact", action="store_true", help="the fit alone, a line for each clip"
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--write", action="store_true", help="benchmarks/real.md")
    parser.add_argument("--without", nargs="+", default=[], metavar="TERM")
    parser.add_argument("--ablations", action="store_true", help="without each term in turn")
    parser.add_argument("--factors", action="store_true")
    parser.add_argument("--rendered", type=Path, nargs="+", default=[], metavar="CACHE")
    parser.add_argument("--write-table", action="store_true", help=str(TABLE.relative_to(ROOT)))
    given = parser.parse_args()
    if given.factors:
        people = list(clips(given.data, given.poses, given.only))
        table = factors(asked_by(people, rendered(given.rendered), given.data))
        print(
            table.to_json(orient="records") if given.json else table.round(2).to_string(index=False)
        )
        if given.write_table:
            TABLE.write_text(
                with_factors(TABLE.read_text(encoding="utf-8"), table), encoding="utf-8"
            )
        return
    if given.compact:
        people = clips(given.data, given.poses, given.only)
        less = {"without": given.without} if given.without else {}
        print(
            markdown(
                compact_table(pd.concat([measured(c, {FIT: less}, others=False) for c in people]))
            )
        )
        return
    without = given.without
    if given.ablations:
        without = [term for term in tables.load("fit")["terms"] if term not in NEEDED]
    people = list(clips(given.data, given.poses, given.only))
    errors = pd.concat([measured(clip, {FIT: {}, FREE: {"standing": "free"}}) for clip in people])
    ablations = None
    if without:
        fits = {f"without {term}": {"without": [term], "draws": 8} for term in without}
        less = pd.concat([measured(clip, fits, others=False) for clip in people])
        ours = errors[errors["method"].isin([FIT, FREE])]
        ablations = ablated(pd.concat([ours, less]))
    if given.write:
        Path(__file__).with_suffix(".md").write_text(document(errors, ablations), encoding="utf-8")
    if given.json:
        found = {"headlines": head(headlines(errors)), "errors": errors, "ablations": ablations}
        told = {
            k: None
            if v is None
            else json.loads(v.to_json(orient="table", index=v is ablations))["data"]
            for k, v in found.items()
        }
        print(json.dumps(told))
        return
    print(head(headlines(errors)).to_string(index=False))
    for table in (standing_table(errors), cells(errors)):
        print("\n" + table.to_string(index=False))
    if ablations is not None:
        print("\n" + _without(ablations).to_string(index=False))


if __name__ == "__main__":
    main()
