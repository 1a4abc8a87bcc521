"""What is public answers a bad argument with one line, or with a valid result.

The names are those of ``dir(mobility)`` and ``mobility.plot``: a new one is tested by being there.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from analytic import squat_pose
from demo_sessions import copy_of

import mobility as mb
from mobility.cohorts.cohort import to_dataframe
from mobility.errors import MobilityError
from mobility.validation.synchronise import Synchronisation

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
    """A good argument for each parameter, by its name or by those of function and parameter."""
    pose = squat_pose(fps=20, reps=1, descent=0.6, hold=0.2, ascent=0.6, rest=0.4).pose
    angles, repetitions = mb.joint_angles(pose), mb.find_repetitions(pose)
    assert int(repetitions["accepted"].sum()) == 1
    agreement = mb.agreement(angles, angles + 0 * angles + 1, repetitions)
    trials = [mb.normalise(angles + i, repetitions) for i in (0, 1, 3, 0, 1, 2, 8, 9)]
    groups = {"groups": list("aaaabbbb"), "participants": list("abcdefgh")}
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


@pytest.fixture(scope="module")
def bad(good: dict[str, Any]) -> dict[str, Any]:
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
    "Store": ["session", "has", "delete", "participant", "demo", "reference", "delete_reference"],
    "Session": [
        *("result_file", "export_lab", "threads", "thread", "create_threads", "set_camera_side"),
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
    of_session = {"session_id": "one", "side": "left", "stage": "angles", "system": "metric"}
    of_session |= {f"Session.{each}.kind": "summary" for each in ("threads", "create_threads")}
    faults = faults_of(method, f"{kind}.{name}", {**of_session, **good}, plain)
    assert not faults, f"{len(faults)} of {kind}.{name}:\n" + "\n".join(faults)


@pytest.mark.parametrize("given", [None, 3, "ours", [], np.zeros(3), {"kind": "norms"}])
def test_what_is_no_reference_is_not_saved(given, tmp_path):
    with pytest.raises(MobilityError, match="must be of mobility"):
        mb.Store(tmp_path).save_reference(given)


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
