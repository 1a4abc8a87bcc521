"""A person on two force plates, and the files of the plates, written by hand."""

from __future__ import annotations

from pathlib import Path

import ezc3d
import numpy as np
import xarray as xr
from ezc3d import ezc3d as raw

from mobility.kinematics.skeleton import INDEX, KEYPOINTS

GRAVITY = 9.81
MASS = 60.0
ON_RIGHT = 0.6
FEET = {"left": 0.2, "right": -0.2}  # x of each foot: the person faces z
PLACES = {"hip": 0.9, "shoulder": 1.4, "ankle": 0.08, "heel": 0.03, "foot_index": 0.03}
AHEAD = {"heel": -0.05, "foot_index": 0.15}

CHANNELS = ("Fx", "Fy", "Fz", "Mx", "My", "Mz")

Plates = dict[str, tuple[np.ndarray, np.ndarray]]
"""Force (time, 3) and centre of pressure (time, 3) of each plate by name, y up."""


def times(rate: float = 100.0, lasts: float = 10.0) -> np.ndarray:
    return np.arange(int(rate * lasts)) / rate


def height(time: np.ndarray) -> np.ndarray:
    """How far the trunk sinks: squats of 2.5 s, then one of 1.5 s, then standing."""
    slow = 0.2 * (1 - np.cos(2 * np.pi * time / 2.5)) * (time < 5)
    fast = 0.15 * (1 - np.cos(2 * np.pi * (time - 6) / 1.5)) * ((time >= 6) & (time < 7.5))
    return slow + fast


def person(time: np.ndarray) -> xr.Dataset:
    """The pose of a person whose trunk moves up and down, on both feet."""
    position = np.full((time.size, 3, len(KEYPOINTS), 1), np.nan)
    for side, across in FEET.items():
        for point, up in PLACES.items():
            at = position[:, :, INDEX[f"{side}_{point}"], 0]
            sinks = height(time) if point in ("hip", "shoulder") else 0.0
            at[:, 0], at[:, 1], at[:, 2] = across, up - sinks, AHEAD.get(point, 0.0)
    return xr.Dataset(
        {"position": (("time", "space", "keypoint", "individual"), position, {"units": "m"})},
        coords={
            "time": time,
            "space": ["x", "y", "z"],
            "keypoint": list(KEYPOINTS),
            "individual": ["subject"],
        },
        attrs={"ds_type": "poses"},
    )


def plates(
    time: np.ndarray, *, left: str = "L_ground_force", right: str = "R_ground_force"
) -> Plates:
    """The force under each foot: mass times gravity and acceleration, 0.6 of it on the right."""
    step = 1e-4
    sinks = height(time + step) - 2 * height(time) + height(time - step)
    total = MASS * (GRAVITY - sinks / step**2)
    made = {}
    for name, side, share in ((left, "left", 1 - ON_RIGHT), (right, "right", ON_RIGHT)):
        inward = 0.06 * share * total * (1 if side == "right" else -1)
        force = np.stack([inward, share * total, 0.01 * total], axis=-1)
        centre = np.stack([np.full(time.size, FEET[side]), 0 * time, 0.02 + 0 * time], axis=-1)
        made[name] = (force, centre)
    return made


def grf(path: Path, time: np.ndarray, by_plate: Plates, *, parts: str = "vp") -> Path:
    """Write plates as an OpenSim motion."""
    columns = {"time": time}
    for name, (force, centre) in by_plate.items():
        for kind, values in (("v", force), ("p", centre)):
            if kind in parts:
                columns |= {f"{name}_{kind}{a}": values[:, i] for i, a in enumerate("xyz")}
    table = np.stack(list(columns.values()), axis=-1)
    head = [f"nRows={len(table)}", f"nColumns={len(columns)}", "endheader", "\t".join(columns)]
    rows = ["\t".join(f"{v:.9f}" for v in row) for row in table]
    path.write_text("\n".join([*head, *rows]) + "\n")
    return path


def plates_c3d(
    path: Path,
    time: np.ndarray,
    by_plate: Plates,
    *,
    ratio: int = 10,
    on_plate: bool = False,
    force_unit: str = "N",
    moment_unit: str = "",
    described: bool = True,
) -> Path:
    """Write plates as analog channels of a C3D, z up, in mm: plates of type 2, 400 mm by 600 mm.

    `time` has the analog rate; the markers have a `ratio` of it. `on_plate` stores the force on the
    plate instead of the force on the person. Without
    `described`, the channels are not described as force plates.
    """
    frames = time.size // ratio
    rate = 1 / (ratio * (time[1] - time[0]))
    file = ezc3d.c3d()
    point = file["parameters"]["POINT"]
    point["RATE"]["value"], point["UNITS"]["value"] = [rate], ["mm"]
    point["LABELS"]["value"] = ["LASI"]
    count = 6 * len(by_plate)
    analog = file["parameters"]["ANALOG"]
    analog["RATE"]["value"] = [ratio * rate]
    analog["LABELS"]["value"] = [f"{c}{p}" for p in by_plate for c in CHANNELS]
    analog["UNITS"]["value"] = [
        *[force_unit] * 3,
        *[moment_unit or f"{force_unit}mm"] * 3,
    ] * len(by_plate)
    analog["SCALE"]["value"], analog["OFFSET"]["value"] = [1.0] * count, [0] * count
    analog["GEN_SCALE"]["value"] = [1.0]
    channels, corners = [], np.zeros((3, 4, len(by_plate)))
    for p, (force, centre) in enumerate(by_plate.values()):
        # The axes of the file: x of ours, y is minus our z, z is up. Ours y up to z up.
        fx, fy, fz = force[:, 0], -force[:, 2], force[:, 1]
        x, y = 1000 * centre[:, 0], -1000 * centre[:, 2]
        middle = np.array([1000 * np.median(centre[:, 0]), 0.0])
        across, along = np.array([200, -200, -200, 200]), np.array([300, 300, -300, -300])
        corners[:, :, p] = [middle[0] + across, middle[1] + along, 0 * across]
        sign = -1.0 if on_plate else 1.0
        moments = (y - middle[1]) * fz, -(x - middle[0]) * fz
        free = (x - middle[0]) * fy - (y - middle[1]) * fx
        channels += [sign * channel for channel in (fx, fy, fz, *moments, free)]
    file["data"]["points"] = np.ones((4, 1, frames))
    file["data"]["analogs"] = np.array(channels)[None, :, : frames * ratio]
    if not described:
        file.write(str(path))
        return path
    for name, value in (
        ("USED", [len(by_plate)]),
        ("TYPE", [2] * len(by_plate)),
        ("ZERO", [1, 0]),
        ("CHANNEL", np.arange(1, count + 1).reshape(-1, 6).T),
    ):
        file.add_parameter("FORCE_PLATFORM", name, np.array(value, dtype=float))
        file["parameters"]["FORCE_PLATFORM"][name] |= {"type": raw.INT, "value": np.array(value)}
    file.add_parameter("FORCE_PLATFORM", "CORNERS", corners)
    file.add_parameter("FORCE_PLATFORM", "ORIGIN", np.zeros((3, len(by_plate))))
    file.write(str(path))
    return path
