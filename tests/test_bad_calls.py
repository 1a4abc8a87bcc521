"""What is public answers a bad argument with one line, or with a valid result.

The names are those of ``dir(mobility)`` and ``mobility.plot``: a new one is tested by being there.
Each argument of each function is tried with what nobody means; :func:`bad_calls` draws calls of
functions and methods by a seed, with Datasets and tables that somebody cut or changed. Run
``PYTHONPATH=. python tests/test_bad_calls.py 5000 1`` to count the exceptions of 5,000.
"""

from __future__ import annotations

import datetime
import importlib
import inspect
import math
import os
import pkgutil
import shutil
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, chdir, suppress
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from analytic import squat_pose
from demo_sessions import copy_of, taken_as_current
from matplotlib.axes import Axes

import mobility as mb
from mobility.base import options
from mobility.base.options import quoted
from mobility.errors import MobilityError
from mobility.lab.synchronise import Synchronisation
from mobility.sessions.analysis_options import AnalysisOptions
from mobility.sessions.record import GivenParticipant
from mobility.studies.cohort import to_dataframe
from mobility.studies.visit import Visit

LONGEST_MESSAGE = 400


def _public() -> dict[str, Callable[..., Any]]:
    """Everything public that can be called, by the name that a user types."""
    plots = {f"plot.{name}": getattr(mb.plot, name) for name in mb.plot.__all__}
    plans = {f"plan.{name}": getattr(mb.plan, name) for name in mb.plan.__all__}
    names = {name: getattr(mb, name) for name in dir(mb) if not name.startswith("_")}
    return {name: each for name, each in (names | plots | plans).items() if callable(each)}


PUBLIC = _public()


@pytest.fixture(scope="module")
def good() -> dict[str, Any]:
    return good_arguments()


@pytest.fixture(scope="module")
def bad(good: dict[str, Any]) -> dict[str, Any]:
    return bad_arguments(good)


def good_arguments() -> dict[str, Any]:
    """A good argument for each parameter, by its name or by those of function and parameter."""
    pose = squat_pose(fps=20, reps=1, descent=0.6, hold=0.2, ascent=0.6, rest=0.4).pose
    angles, repetitions = mb.joint_angles(pose), mb.find_repetitions(pose)
    assert int(repetitions["accepted"].sum()) == 1
    agreement = mb.agreement(angles, angles + 0 * angles + 1, repetitions)
    trials = [mb.normalise(angles + i, repetitions) for i in (0, 1, 3, 4, 0, 1, 2, 2, 8, 9)]
    groups = {"groups": list("aaaaabbbbb"), "participants": list("abcdefghij")}
    measured_twice = pd.DataFrame(
        [
            {
                **{"participant": f"p{person}", "visit": visit, "group": "ab"[person % 2]},
                **{"age": 20 + person, "metric": "knee_flexion", "side": "", "units": "degree"},
                "value": 100.0 + person**2 % 7 + visit * person % 3,
            }
            for person in range(8)
            for visit in (1, 2)
        ]
    )
    row = {"user_id": "p1", "side": "", "value": 1.0, "sd": 1.0, "mdc95": 1.0, "change": 0.0}
    return {
        "recording": angles,
        "trials": trials,
        **{f"mean_curves.{name}": given for name, given in groups.items()},
        "curves": mb.mean_curves(trials, **groups),
        **{"compare_curves.first": "a", "compare_curves.second": "b", "paired": False},
        "changes": pd.DataFrame(
            [row | {"date": pd.Timestamp("2026-01-01"), "verdict": "first", "units": "degree"}] * 2
        ),
        "reliability.table": pd.DataFrame(
            {
                **{"participant": list("aabb"), "visit": [1, 2, 1, 2], "metric": "knee_flexion"},
                **{"side": "", "value": [1.0, 2.0, 3.0, 5.0], "units": "degree"},
            }
        ),
        "groups.table": measured_twice,
        **{"by": "group", "within": ["visit"], "adjust": ["age"]},
        "make_norms.frame": to_dataframe([]),
        "make_norms.name": "ours",
        **{"store": mb.Store("absent"), "icc": 0.8, "width": 0.2, "precision": 0.2, "sd": 5.0},
        **{"half_width": 2.0, "difference": 5.0, "power": 0.8, "alpha": 0.05, "assurance": 0.8},
        **{f"plan.{each}.trials": 2 for each in ("icc", "sem", "groups")},
        "plan.groups.sem": 1.0,
        "pose": pose,
        # Too short to be fitted: a fit takes seconds, and what is wrong is to be refused before.
        "fit_body.pose": pose.isel(time=slice(4)),
        "points": pd.DataFrame(
            [{"kind": "point", "start": 0.5, "landmark": "nose", "u": 99.0, "v": 99.0}]
        ),
        "poses": mb.to_movement(pose, of="picture"),
        **dict.fromkeys(("angles", "dataset", "video", "lab", "first", "second"), angles),
        "repetitions": repetitions,
        "compare.repetitions": (repetitions, repetitions),
        "agreement": agreement,
        "markers": xr.Dataset(
            {"marker_position": (("time", "space", "marker"), np.ones((5, 3, 1)))},
            coords={"time": np.arange(5) / 100, "space": list("xyz"), "marker": ["LASI"]},
        ),
        "sync": Synchronisation(lag_s=0.1, correlation=1.0, overlap_s=2.0, signals=()),
        "time": angles["time"].to_numpy(),
        "body.time": 0.0,
        "angle": "knee_flexion",
        "sex": "female",
        "age": 30,
        "kind": "active",
        "path": "absent",
        "estimate_pose.video": "absent.mp4",
        "folder": Path("absent"),
        "Session.store": mb.Store("absent"),
    }


def bad_arguments(good: dict[str, Any]) -> dict[str, Any]:
    """What somebody may hand over by mistake, by what it is."""
    pose, angles, repetitions = good["pose"], good["angles"], good["repetitions"]
    timed = {"pose": pose, "angles": angles, "repetitions": repetitions}
    poses = good["poses"]
    plain = [
        *(None, 3, math.nan, math.inf, 1e300, -1.5, True, b"\xff\0", object(), xr.Dataset),
        *("nonsense", "", "\0", "a\nb", "x" * 10_000, "\udc80", {"knee_flexion": None}),
        *([], [1, 2, 3], [[1, 2], [3]], [None], np.zeros((3, 3)), np.zeros(0), np.array(1.0)),
    ]
    bad: dict[str, Any] = {
        **{repr(value)[:30]: value for value in plain},
        "a list of poses": [pose, pose.isel(time=slice(2))],
        "an array of words": np.array(["a", "b"]),
        "no data": xr.Dataset(),
        "a Dataset of another kind": xr.Dataset({"depth": ("rep", [1.0])}, {"rep": [1]}),
        "an agreement": good["agreement"],
        "markers": good["markers"],
        "a DataArray": angles["knee_flexion"],
        "a table": angles["knee_flexion"].to_series(),
        "a folder": Path(),
    }
    for name, one in timed.items():
        time = one["time"]
        values = {key: value for key, value in one.items() if value.dtype.kind == "f"}
        bad |= {
            name: one,
            f"{name} without times": one.drop_vars("time"),
            f"{name} without a frame": one.isel(time=slice(0)),
            f"{name} of one frame": one.isel(time=slice(1)),
            f"{name}, times in ms": one.assign_coords(time=time * 1000),
            f"{name}, times backwards": one.isel(time=slice(None, None, -1)),
            f"{name}, one time that is none": one.assign_coords(time=time.where(time > 0)),
            f"{name}, infinite times": one.assign_coords(time=time + np.inf),
            f"{name}, times as dates": one.assign_coords(
                time=np.datetime64("2026-01-01", "ns") + (time.to_numpy() * 1e9).astype("m8[ns]")
            ),
            f"{name}, times as words": one.assign_coords(time=time.astype(str)),
            f"{name}, twice the same frame": xr.concat(
                [one.isel(time=[0]), one], "time", data_vars="minimal"
            ),
            f"{name} times 1,000": one.assign({k: v * 1000 for k, v in values.items()}),
            f"{name}, infinite": one.assign({k: v + np.inf for k, v in values.items()}),
            f"{name}, huge": one.assign({k: v * 0 + 1e300 for k, v in values.items()}),
            f"{name}, all NaN": one.assign({k: v * np.nan for k, v in values.items()}),
            f"{name}, words": one.assign({k: v.astype(str) for k, v in values.items()}),
            f"{name} with a dimension too many": one.expand_dims(camera=2),
            f"{name} with other names": one.rename({k: f"{k}_x" for k in values}),
        }
    bad |= {
        "poses without names of x and y": poses.drop_vars("space"),
        "poses of x twice": poses.isel(space=[0, 0]),
        "poses of a landmark twice": poses.isel(keypoint=[0, 0]),
        "poses of nobody": poses.isel(individual=slice(0)),
        "poses without confidence": poses.drop_vars("confidence"),
        "poses, a word for a confidence": poses.assign(confidence=poses["confidence"].astype(str)),
        "poses, complex": poses.assign(position=poses["position"] * 1j),
        "poses at no time": poses.assign_coords(time=poses["time"] * np.nan),
        "poses without a frame": poses.isel(time=slice(0)),
        "poses, times as words": poses.assign_coords(time=poses["time"].astype(str)),
        "poses backwards": poses.isel(time=slice(None, None, -1)),
    }
    last = repetitions["end"] * 0
    bad |= {
        "pose of two people": xr.concat([pose, pose], "individual"),
        "pose of a landmark twice": pose.isel(keypoint=[*range(32), 0]),
        "pose without landmarks": pose.isel(keypoint=slice(5)),
        "pose of other landmarks": pose.assign_coords(keypoint=np.arange(33)),
        "pose without picture": pose[["position"]],
        "pose, size of its picture a word": pose.assign_attrs(image_width="wide", history="x"),
        "angles of a side only": angles.isel(side=[0]),
        "angles of a side twice": angles.isel(side=[0, 0]),
        "angles without sides": angles.isel(side=0, drop=True),
        "angles without errors": angles[[n for n in angles.data_vars if not n.endswith("_sd")]],
        "angles, radians": angles.assign(
            {k: np.radians(v).assign_attrs(units="radian") for k, v in angles.items()}
        ),
        "no repetition": repetitions.isel(rep=slice(0)),
        "repetitions without a dimension rep": repetitions.isel(rep=0),
        "repetitions that end before they begin": repetitions.assign(end=last - 1),
        "repetitions of nowhere": repetitions.assign(start=last * np.nan, end=last * np.nan),
        "repetitions outside": repetitions.assign(start=last + 900, end=last + 901),
        "repetitions that are neither accepted nor not": repetitions.assign(accepted=last * np.nan),
    }
    return bad


@pytest.mark.parametrize("name", PUBLIC)
def test_a_bad_argument_gives_one_line_or_a_valid_result(name, good, bad, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    faults = faults_of(PUBLIC[name], name.removeprefix("plot."), good, bad)
    assert not faults, f"{len(faults)} of {name}:\n" + "\n".join(faults)


METHODS = {
    "Store": [
        *("session", "has", "delete", "participant", "demo", "reference", "delete_reference"),
        "to_bids",
    ],
    "Session": [
        *("result_file", "export_lab", "threads", "thread", "create_threads", "set_camera_side"),
        "edit_points",
        *("create_summary_threads", "create_recommendation_threads", "angles", "validate"),
    ],
}


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, names in METHODS.items() for name in names]
)
def test_a_bad_argument_of_a_store_or_session_gives_one_line_or_a_valid_result(
    kind, name, good, bad, demo, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    store = mb.Store(tmp_path / "sessions")
    session = copy_of(demo, store, "one")
    plain = {what: given for what, given in bad.items() if not isinstance(given, xr.Dataset)}
    method = getattr(store if kind == "Store" else session, name)
    of_session = {
        "session_id": "one",
        "user_ids": ["demo"],
        "side": "left",
        "stage": "angles",
        "system": "metric",
    }
    of_session |= {f"Session.{each}.kind": "summary" for each in ("threads", "create_threads")}
    faults = faults_of(method, f"{kind}.{name}", {**of_session, **good}, plain)
    assert not faults, f"{len(faults)} of {kind}.{name}:\n" + "\n".join(faults)


@pytest.mark.parametrize("given", [None, 3, "ours", [], np.zeros(3), {"kind": "norms"}])
def test_what_is_no_reference_is_not_saved(given, tmp_path):
    with pytest.raises(MobilityError, match="must come from mobility"):
        mb.Store(tmp_path).save_reference(given)


VARIOUS = {
    "Session.analyze": [*AnalysisOptions.model_fields, "workers", "nonsense"],
    "Session.export_lab": ["file_format", "positions", "fill", "license", "nonsense"],
    "Session.validate": ["mapping", "units", "lag_s", "margin_deg", "name", "static", "nonsense"],
    "Session.save_config": ["shown_angle", "nonsense"],
    "Store.set_participant": [*GivenParticipant.model_fields, "nonsense"],
}
"""Names that methods take as ``**options``."""


def entrances() -> dict[str, Callable[..., Any]]:
    """Everything at the edge by its name: public, method of a public class, or checked."""
    found: dict[str, Callable[..., Any]] = {
        name: each for name, each in PUBLIC.items() if not inspect.isclass(each)
    }
    for folder in ("assessment", "exchange", "kinematics", "lab", "studies"):
        for module in pkgutil.walk_packages(
            importlib.import_module(f"mobility.{folder}").__path__, f"mobility.{folder}."
        ):
            for name, each in vars(importlib.import_module(module.name)).items():
                if is_checked(each) and each not in found.values():
                    found.setdefault(name if name not in found else f"{folder}.{name}", each)
    for kind in (mb.Store, mb.Session, Visit):
        for name, method in inspect.getmembers(kind, inspect.isfunction):
            takes_more = len(inspect.signature(method).parameters) > 1
            if takes_more and (name == "__init__" or not name.startswith("_")):
                found[f"{kind.__name__}.{name}"] = method
    return found


def is_checked(each: Any) -> bool:
    return (
        inspect.isfunction(each)
        and each.__code__.co_filename == options.__file__
        and (each.__code__.co_name == "wrapper")
    )


def good_of_methods(demo: Path) -> dict[str, Any]:
    """Good arguments beside those of :func:`good_arguments`."""
    metrics = xr.load_dataset(demo / "metrics.nc")
    good = good_arguments()
    table = pd.DataFrame(
        [
            {
                **{"participant": f"p{person}", "visit": visit, "metric": "knee_flexion"},
                **{"side": "left", "units": "degree", "long_name": "knee flexion", "reason": ""},
                **{"percent": float(percent), "value": 10 * percent + person * visit % 4},
            }
            for person in range(8)
            for visit in (1, 2)
            for percent in range(5)
        ]
    )
    return {
        "retest_curves.table": table,
        "errors": mb.retest_curves(table),
        "test": mb.compare_curves(good["curves"], "a", "b", paired=False),
        **{"session_id": "one", "side": "left", "system": "metric", "exercise": "Overhead Squat"},
        **{
            "user_ids": ["demo"],
            "user_id": "demo",
            "on": datetime.date(2026, 1, 1),
            "date": datetime.date(2026, 1, 1),
        },
        **{"exercise_name": "Overhead Squat", "session_name": "a", "joints": ["knee"]},
        **{"stage": "angles", "key": "participants/demo.json", "what": "it", "faces": None},
        **{"intervals": [{"start": 0.5, "bottom": 1.0, "end": 1.5}], "point": (3.0, 4.0)},
        **{"text": "a", "by": "me", "thread_id": "none", "lab_file": "absent.csv", "part": "pose"},
        **{"shown_angles": ["knee_angle"], "comments": {"knee_angle": "a"}, "revision": None},
        **{"Session.threads.kind": "summary", "Session.create_threads.kind": "summary"},
        **{"Session.keypoints.video": 1, "Store.create.video": demo / "video.mp4"},
        **{"Store.path_from.folder": Path(), "Store.location_of.path": Path("a")},
        **{"metrics": metrics, "comments.metrics": metrics, "earlier": ["one"], "wait_s": 0.0},
        **{"phone_key": "a", "keypoints": None, "second_video": None, "calibration": None},
        **{
            "movement": None,
            "body_joint_angles": ["all"],
            "options": {},
            "only": [],
            "without": [],
        },
        **{"name": "knee_flexion", "reference": None, "sessions": [], "document": {}},
        **{"values": np.arange(20.0).reshape(10, 2) ** 1.5 % 7, "series": np.arange(50.0)},
        **{"first": np.arange(9.0) ** 1.5 % 7, "second": np.arange(9.0) ** 1.7 % 7},
        **{"find_lag.video": None, "cutoff_hz": 6.0, "rate_hz": 30.0, "margin": 1.0},
    }


def spoiled(random: Random, given: Any, bad: dict[str, Any]) -> Any:
    """Change a good argument as somebody may by mistake; sometimes give something else."""
    if random.random() < 0.25 or given is None:
        return random.choice([*bad.values(), *OTHER_SCALARS])
    if isinstance(given, xr.Dataset):
        return spoiled_dataset(random, given)
    if isinstance(given, pd.DataFrame):
        with suppress(Exception):  # a change that pandas refuses
            given = spoiled_table(random, given)
        return given
    if isinstance(given, list | tuple) and given:
        items, place = list(given), random.randrange(len(given))
        change = random.randrange(4)
        if change == 0:
            return type(given)([*items, items[place]])
        items[place] = None if change == 1 else spoiled(random, items[place], bad)
        return type(given)(items[: random.randrange(len(items) + 1)] if change == 3 else items)
    if isinstance(given, dict) and given:
        name = random.choice(list(given))
        value = spoiled(random, given[name], bad)
        return {**given, random.choice([name, "nonsense", 3]): value}
    if isinstance(given, np.ndarray):
        cut = [given[:0], given[:1], given * np.nan, given.astype(str), given[None], given * 1j]
        return random.choice([*cut, given.astype(object), given * np.inf, given.astype(bool)])
    return random.choice([*bad.values(), *OTHER_SCALARS])


OTHER_SCALARS = [
    *(pd.NaT, pd.Timestamp("2026-01-01", tz="UTC"), pd.Timestamp("2026-01-01"), pd.NA, 10**400),
    *(np.datetime64("2026-01-01"), datetime.date(2026, 1, 1), datetime.timedelta(1), np.float32(1)),
    *(np.bool_(True), Decimal("NaN"), 1j, lambda: None, "2026-13-45", -1, 0, b"2026", Path("a")),
    *(frozenset("ab"), np.str_("left"), {"left": 1}, ("left", None), "knee_flexion", "left", "a"),
]
OTHER_ATTRIBUTES = [
    *(None, 3, math.nan, -1, "nonsense", "", [1, 2], [], {}, {"a": 1}, b"\xff", np.zeros((2, 2))),
    *(np.array(["a", "b"]), True, 1e300, "[" * 5000, '{"a": NaN}', pd.NaT, object(), ("a", 3)),
]


def spoiled_dataset(random: Random, given: xr.Dataset) -> xr.Dataset:
    for _ in range(random.choice([1, 1, 1, 2])):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with suppress(Exception):  # a change that xarray refuses
                given = changed_dataset(random, given)
    return given


def changed_dataset(random: Random, given: xr.Dataset) -> xr.Dataset:
    variables, coords, dims = list(given.data_vars), list(given.coords), list(given.dims)
    kind = random.choice(
        [
            "attrs",
            "attrs",
            "attrs",
            "values",
            "values",
            "cut",
            "cut",
            "drop",
            "drop",
            "coords",
            "coords",
            "whole",
        ]
    )
    if kind == "attrs":
        holder = random.choice([None] * len(given.variables) + [*given.variables])
        given = given.copy()
        attrs = dict(given.attrs if holder is None else given[holder].attrs)
        name = random.choice([*attrs, "units", "history", "nonsense"])
        attrs = {} if random.random() < 0.1 else {**attrs, name: random.choice(OTHER_ATTRIBUTES)}
        if random.random() < 0.1:
            attrs.pop(name, None)
        if holder is None:
            given.attrs = attrs
        else:
            given[holder].attrs = attrs
        return given
    if kind == "drop":
        return given.drop_vars(random.choice([*variables, *coords]))
    if kind == "cut" and dims:
        dim = random.choice(dims)
        n = given.sizes[dim]
        which: list[Any] = [slice(0), slice(1), [0, *range(n)], slice(None, None, -1), 0]
        return given.isel({dim: random.choice([*which, slice(n // 2), [0, 0]])})
    if kind == "coords" and coords:
        name = random.choice(coords)
        old = given[name]
        words = np.array([f"w{i}" for i in range(old.size)]).reshape(old.shape)
        new: list[Any] = [words, np.arange(old.size).reshape(old.shape), np.full(old.shape, np.nan)]
        new += [np.full(old.shape, None, object), np.zeros(old.shape, "M8[ns]"), old.astype(str)]
        new += [np.zeros(old.shape, bool), np.full(old.shape, math.inf)]
        return given.assign_coords({name: (old.dims, random.choice(new), old.attrs)})
    if kind == "values" and variables:
        name = random.choice(variables)
        old = given[name]
        new = [old.astype(str), old.astype(bool), old * 1j, old.astype(object), old.isnull()]
        new += [xr.full_like(old, np.nan, float), xr.full_like(old, np.inf, float), old.T]
        new += [xr.full_like(old, 1e300, float), old.astype("M8[ns]"), old.expand_dims(extra=2)]
        new += [xr.full_like(old, -1, int), xr.full_like(old, None, object)]
        new += [old.isel({dim: 0}, drop=True) for dim in old.dims[:2]]
        return given.assign({name: random.choice(new).assign_attrs(old.attrs)})
    whole: list[Callable[[], xr.Dataset]] = [
        lambda: given.astype(bool),
        lambda: given * np.nan,
        lambda: given[[]],
        lambda: given.drop_attrs(),
        lambda: given.drop_vars(coords),
        lambda: given.expand_dims(extra=2),
        lambda: given.astype(object),
        lambda: given.rename({name: f"{name}_x" for name in random.sample(dims, 1)}),
        lambda: given.rename({name: index for index, name in enumerate(variables)}),
    ]
    return random.choice(whole)()


def spoiled_table(random: Random, given: pd.DataFrame) -> pd.DataFrame:
    if not len(given.columns):
        return given
    name = random.choice(list(given.columns))
    values = [None, math.nan, "nonsense", math.inf, pd.NaT, 3, [], {"a": 1}, b"x", True, 10**30]
    one = given.copy().astype({name: object})
    if len(one):
        one.iat[0, list(given.columns).index(name)] = random.choice(values)
    changes: list[Callable[[], pd.DataFrame]] = [
        lambda: given.drop(columns=name),
        lambda: given.iloc[:0],
        lambda: given.iloc[:1],
        lambda: given.assign(**{str(name): [random.choice(values)] * len(given)}),
        lambda: pd.concat([given, given]),
        lambda: pd.concat([given, given[[name]]], axis=1),
        lambda: given.set_index(name),
        lambda: given.T,
        lambda: given.rename(columns={name: 3}),
        lambda: one,
    ]
    return random.choice(changes)()


def bad_calls(number: int, seed: int, demo: Path, folder: Path) -> Iterator[tuple[str, str, Any]]:
    """Draw and make bad calls; yield entrance, what was bad and the exception, or None."""
    random = Random(seed)
    good = good_arguments()
    bad = {**bad_arguments(good), "a visit": Visit("p", datetime.date(2026, 1, 1), [])}
    datasets = {
        name: xr.load_dataset(demo / f"{name}.nc")
        for name in ("pose", "fitted", "angles", "repetitions", "metrics")
    }
    good = {**good_of_methods(demo), **good}
    of_demo = {**datasets, "pose": datasets["fitted"], "recording": datasets["angles"]}
    found = entrances()
    store = mb.Store(folder / "sessions", reports=folder / "reports")
    template = taken_as_current(copy_of(demo, mb.Store(folder / "template"), "one")).folder
    of_data = {"pose", "poses", "angles", "repetitions", "metrics", "trials", "curves", "table"}
    of_data |= {"recording", "dataset", "markers", "agreement", "frame", "errors", "fitted", "lab"}
    weights = {
        name: 3 if of_data & {*inspect.signature(each).parameters} else 1
        for name, each in sorted(found.items())
    }
    for _ in range(number):
        (entrance,) = random.choices([*weights], [*weights.values()])
        function, short = found[entrance], entrance.removeprefix("plot.")
        use_demo = random.random() < 0.4 and entrance != "fit_body"
        arguments: dict[str, Any] = {}
        names = []
        for each in inspect.signature(function).parameters.values():
            if each.kind is each.VAR_POSITIONAL or each.name == "self":
                continue
            if each.kind is each.VAR_KEYWORD:
                names.append(random.choice(sorted(VARIOUS.get(entrance, ["nonsense"]))))
                continue
            keys = [key for key in (f"{short}.{each.name}", each.name) if key in good]
            names.append(each.name)
            if use_demo and each.name in of_demo and f"{short}.{each.name}" not in good:
                arguments[each.name] = of_demo[each.name]
            elif each.default is each.empty or (keys and random.random() < 0.5):
                arguments[each.name] = good[keys[0] if keys else "angles"]
        spoilt = random.sample(names, random.choice([1, 1, 1, min(2, len(names))]))
        if (data := sorted(of_data & arguments.keys())) and random.random() < 0.6:
            spoilt = [random.choice(data)]
        for name in spoilt:
            arguments[name] = spoiled(random, arguments.get(name), bad)
        if entrance.split(".")[0] in ("Store", "Session", "Visit"):
            shutil.rmtree(store.path, ignore_errors=True)
            shutil.copytree(template, store.path / "one", copy_function=os.link)
            session = store.session("one")
            if "render" in entrance and repr(arguments.get("faces")) in ("None", "True", "False"):
                arguments["faces"] = "nonsense"  # a page takes seconds
            if entrance == "Session.analyze":
                session.video.unlink()  # what it accepts would take seconds
            visit = Visit("demo", datetime.date(2026, 1, 1), [session])
            owner = {"Store": store, "Session": session, "Visit": visit}[entrance.split(".")[0]]
            function = getattr(owner, entrance.split(".")[1])
            if entrance.endswith("__init__"):
                function = type(owner)
        error = None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                positional = [
                    arguments.pop(each.name)
                    for each in inspect.signature(function).parameters.values()
                    if each.kind is each.POSITIONAL_ONLY
                ]
                result = function(*positional, **arguments)
                if isinstance(result, AbstractContextManager) and not isinstance(result, Axes):
                    with result:
                        pass
        except MobilityError as one_line:
            if not str(one_line).isprintable() or len(str(one_line)) > LONGEST_MESSAGE:
                error = one_line
        except Exception as raw:
            error = raw
        finally:
            plt.close("all")
        yield entrance, ", ".join(f"{k}={quoted(v)}" for k, v in arguments.items()), error


def faults_of(
    function: Callable[..., Any], short: str, good: dict[str, Any], bad: dict[str, Any]
) -> list[str]:
    """Call with each bad argument; name those that give neither a result nor one line."""
    arguments, well = [], {}
    for each in inspect.signature(function).parameters.values():
        if each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD):
            continue
        # Of a parameter that nobody thought of: angles, which it may refuse.
        keys = [key for key in (f"{short}.{each.name}", each.name) if key in good] or ["angles"]
        arguments.append(each.name)
        if each.default is each.empty or keys[0] != "angles":
            well[each.name] = good[keys[0]]
    faults = []
    for parameter in arguments:
        of_data = isinstance(well.get(parameter), xr.Dataset | tuple)
        for what, given in bad.items():
            # What is wrong within a Dataset concerns those parameters that take one.
            if not of_data and isinstance(given, xr.Dataset) and what not in ("pose", "no data"):
                continue
            if given is well.get(parameter):
                continue
            try:
                function(**{**well, parameter: given})
            except MobilityError as error:
                text = str(error)
                if not text.isprintable() or len(text) > LONGEST_MESSAGE:
                    faults.append(f"{parameter}={what}: {len(text)} characters: {text[:200]!r}")
            except Exception as error:
                faults.append(f"{parameter}={what}: {type(error).__name__}: {str(error)[:150]!r}")
            finally:
                plt.close("all")
    return faults


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_bad_calls_give_one_line_or_a_valid_result(demo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    raw = [
        f"{entrance}({arguments}): {type(error).__name__}: {str(error)[:150]!r}"
        for entrance, arguments, error in bad_calls(500, 54, demo, tmp_path)
        if error is not None
    ]
    assert not raw, f"{len(raw)} of 500 calls:\n" + "\n".join(raw)


def main(number: int, seed: int) -> None:
    """Count the exceptions of bad calls, by entrance and place."""
    demo = Path(__file__).resolve().parents[1] / "data" / "demo" / "overhead-squat"
    raw: Counter[tuple[str, str]] = Counter()
    places: dict[tuple[str, str], str] = {}
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        for entrance, arguments, error in bad_calls(number, seed, demo, Path(folder)):
            if error is None:
                continue
            frames = [*traceback.walk_tb(error.__traceback__)]
            own = [f for f, _ in frames if "/mobility/" in f.f_code.co_filename]
            where = own[-1].f_code if own else frames[-1][0].f_code
            place = f"{Path(where.co_filename).stem}.{where.co_name}"
            key = (entrance, f"{type(error).__name__} in {place}")
            raw[key] += 1
            places.setdefault(key, f"{arguments[:150]}: {str(error)[:120]!r}")
    for key, count in raw.most_common():
        sys.stdout.write("\t".join(map(str, (count, *key, places[key]))) + "\n")
    sys.stdout.write(f"{sum(raw.values())} raw exceptions in {number} calls, {len(raw)} distinct\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
