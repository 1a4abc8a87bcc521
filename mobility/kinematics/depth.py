r"""Depth along the segments as MediaPipe's world landmarks tell it, corrected for its usual errors.

MediaPipe infers depth from a single picture, and its errors have a pattern: seen from the front it
makes thighs shorter in depth, from behind it draws trunks upright, far feet come forwards. A
Gaussian process, learned from rendered squats, gives the true depth between the ends of each
segment from what the world landmarks tell, from a first fit, and from the direction in which the
subject faces. Most of what MediaPipe gets wrong, it gets wrong all through a clip: how the same
subject looks at the top, in the middle and at the bottom of the movement tells more of it than one
instant does, so that each instant is described together with these three. The table
``depth_calibration`` holds the settings and the spread of what is left; the numbers of the process
are in the file beside it.

With features :math:`x` of a limb at one instant, centres :math:`c_i` and weights :math:`w_i`, what
is added to the depth of the first fit is

.. math:: b + \sum_i w_i \left( e^{-|x - c_i|^2 / 2 \ell^2 d} + a\, x \cdot c_i / d \right)

with :math:`d` features, those of the instant and of the three places divided by the standard
deviations of the former, and the latter weighted less (projected process approximation:
Quiñonero-Candela and Rasmussen 2005, J Mach Learn Res 6:1939).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache
from importlib.resources import as_file, files
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility import tables

Array = NDArray[np.float64]

VIEWS = (-1.0, -0.7, 0.0, 0.7, 1.0)
"""Cosine between the subject's forward direction and the camera's, at which spreads are given."""

GROUPS = {
    "legs": ("trunk", "thigh", "shank"),
    "arms": ("trunk", "thigh", "shank", "upper_arm", "forearm"),
}
"""Sided segments that each process knows: that of trunk and legs must not depend on what the arms
do, for the arms were overhead in all that was learned."""

CORRECTED = {"legs": GROUPS["legs"], "arms": ("upper_arm", "forearm")}
"""Sided segments whose depth each process corrects."""

PLACES = (1.0, 0.5, 0.0)
"""Top, middle and bottom of the movement, in shares of the range of hip height."""

AROUND = 0.2
"""Shares of that range that are still of the place."""

SEGMENTS = (*CORRECTED["legs"], *CORRECTED["arms"])

PAIRS = ("hips", "shoulders", "knees", "ankles")
"""From left to right; that of the legs corrects their depth too."""

_OTHER = {"left": "right", "right": "left"}


class Process(NamedTuple):
    """A sparse Gaussian process.

    Attributes
    ----------
    mean, scale
        Of the features, (feature,).
    centres
        In scaled features, (centre, feature).
    weights, offset
        (centre, output) and (output,), metres.
    length_scale, linear
        Of the kernel.
    known
        Lower Cholesky factor of the kernel between the centres, without its linear part.
    """

    mean: Array
    scale: Array
    centres: Array
    weights: Array
    offset: Array
    length_scale: float
    linear: float
    known: Array

    def predicted(self, x: Array) -> tuple[Array, Array]:
        """Return the outputs, (n, output), and how novel each of the `x` is, 0 to 1."""
        from scipy.linalg import solve_triangular

        scaled = (x - self.mean) / self.scale
        near = likeness(scaled, self.centres, self.length_scale)
        along = scaled @ self.centres.T / scaled.shape[1]
        known = solve_triangular(self.known, near.T, lower=True, check_finite=False)
        novel = 1.0 - (known**2).sum(axis=0)
        return self.offset + (near + self.linear * along) @ self.weights, novel.clip(0.0, 1.0)


def likeness(one: Array, other: Array, length_scale: float) -> Array:
    """Squared-exponential kernel of scaled features (n, feature) and (m, feature): (n, m)."""
    square = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1) - 2 * one @ other.T
    kernel: Array = np.exp(-0.5 * np.maximum(square, 0.0) / (length_scale**2 * one.shape[1]))
    return kernel


def known_by(centres: Array, length_scale: float) -> Array:
    """Lower Cholesky factor of the kernel between centres."""
    return _known_by(centres.astype(np.float64).tobytes(), len(centres), length_scale)


@lru_cache(maxsize=8)  # processes of the same postures have the same centres
def _known_by(centres: bytes, count: int, length_scale: float) -> Array:
    places = np.frombuffer(centres).reshape(count, -1)
    kernel = likeness(places, places, length_scale)
    # Not the inverse, which takes four times as long.
    return np.asarray(np.linalg.cholesky(kernel + 1e-6 * np.eye(count)), dtype=np.float64)


def _settings() -> Mapping[str, Any]:
    settings: Mapping[str, Any] = tables.load("depth_calibration")
    return settings


@cache
def _process(group: str) -> Process:
    return read_process("depth_calibration", group)


def read_process(table: str, group: str) -> Process:
    """Read a process from the file beside a table, which has the settings of its kernel."""
    kernel = tables.load(table)["kernel"]
    with as_file(files("mobility.tables") / f"{table}.nc") as file:
        held = xr.load_dataset(file, engine="h5netcdf", group=group)
    centres = held["centre"].to_numpy().astype(np.float64)
    return Process(
        mean=held["mean"].to_numpy().astype(np.float64),
        scale=held["scale"].to_numpy().astype(np.float64),
        centres=centres,
        weights=held["weight"].to_numpy().astype(np.float64),
        offset=held["offset"].to_numpy().astype(np.float64),
        length_scale=kernel["length_scale"],
        linear=kernel["linear"],
        known=known_by(centres, kernel["length_scale"]),
    )


def facing(left_hip: Array, right_hip: Array) -> tuple[float, float]:
    """Components of the subject's forward direction to the right of the camera and towards it.

    Parameters
    ----------
    left_hip, right_hip
        (n, 3), metres, in camera axes: x right, y up, z towards the camera.

    Returns
    -------
    tuple
        Of the horizontal unit vector that is forward on the median of the trial.
    """
    across = (right_hip - left_hip) * np.array([1.0, 0.0, 1.0])
    length = np.sqrt((across**2).sum(axis=-1, keepdims=True))
    right = np.median(across / np.maximum(length, 1e-9), axis=0)
    forward = np.cross([0.0, 1.0, 0.0], right)
    forward = forward / max(float(np.sqrt((forward**2).sum())), 1e-9)
    return float(forward[0]), float(forward[2])


class Limbs(NamedTuple):
    """Segments by name and side, as in ``left_thigh``, and pairs of joints, as in ``knees``.

    Attributes
    ----------
    told
        Depth (towards the camera) of the far end of each segment less that of its near end, metres
        of a person of 1.70 m, (n,); of pairs from left to right: what the world landmarks tell.
    fitted
        The same as vectors, (n, 3), in camera axes: what a first fit gives.
    """

    told: Mapping[str, Array]
    fitted: Mapping[str, Array]


def features(
    limbs: Limbs,
    forward: tuple[float, float],
    *,
    side: str,
    group: str,
    trial: Limbs | None = None,
) -> Array:
    """Describe the limbs of one side by what their depths are learned from.

    Parameters
    ----------
    limbs
        At n instants.
    forward
        As from :func:`facing`.
    side
        ``left`` or ``right``. The mirror image of a right limb is a left one that faces the other
        way: both have the same features.
    group
        One of :data:`GROUPS`.
    trial
        Limbs all through the trial of which the instants are a part; None where they are all of it.

    Returns
    -------
    ndarray
        (n, feature): those of each instant, then their means at each of :data:`PLACES`.
    """
    each = _described(limbs, forward, side=side, group=group)
    whole = limbs if trial is None else trial
    through = each if trial is None else _described(trial, forward, side=side, group=group)
    leg = -(whole.fitted[f"{side}_thigh"][:, 1] + whole.fitted[f"{side}_shank"][:, 1])
    low, high = np.percentile(leg, [2, 98])  # a moment in a long trial is no top and no bottom
    places = []
    for place in PLACES:
        off = np.abs(leg.clip(low, high) - (low + place * (high - low)))
        near = off <= max(AROUND * (high - low), off.min())
        places.append(np.broadcast_to(through[near].mean(axis=0), each.shape))
    return np.concatenate([each, *places], axis=-1)


def _described(limbs: Limbs, forward: tuple[float, float], *, side: str, group: str) -> Array:
    """Features of each instant by itself."""
    mirror = 1.0 if side == "left" else -1.0
    told, fitted = limbs
    n = len(fitted["hips"])
    columns = [np.full(n, forward[1]), np.full(n, mirror * forward[0])]
    for whose in (side, _OTHER[side]):
        for segment in GROUPS[group]:
            x, y, z = fitted[f"{whose}_{segment}"].T
            columns += [told[f"{whose}_{segment}"], z, mirror * x, y]
    for pair in PAIRS:
        x, y, z = fitted[pair].T
        columns += [mirror * told[pair], mirror * z, x, mirror * y]
    return np.stack(columns, axis=-1)


def calibrated(
    limbs: Limbs, forward: tuple[float, float], *, trial: Limbs | None = None
) -> dict[str, tuple[Array, Array]]:
    r"""Correct depths along segments.

    Parameters
    ----------
    limbs, forward, trial
        As for :func:`features`.

    Returns
    -------
    dict
        For each segment, as in ``left_thigh``, and pair, as in ``knees``: the corrected depth, and
        its standard deviation, (n,), metres. The farther a posture from those that were learned,
        the larger the latter.
    """
    settings = _settings()
    corrected = {}

    def better(name: str, kind: str, added: Array, novel: Array) -> None:
        usual = float(np.interp(forward[1], VIEWS, settings["sd"][kind]))
        usual = max(usual, settings["least_sd_m"].get(kind, 0.0))
        sd = np.sqrt(usual**2 + settings["novel_sd_m"]["value"] ** 2 * novel)
        corrected[name] = (limbs.fitted[name][:, 2] + added, sd)

    for group, segments in CORRECTED.items():
        sides = {}
        for side in _OTHER:
            x = features(limbs, forward, side=side, group=group, trial=trial)
            sides[side] = added, novel = _process(group).predicted(x)
            for i, segment in enumerate(segments):
                better(f"{side}_{segment}", segment, added[:, i], novel)
        if group == "legs":
            (left, novel), (right, _) = sides["left"], sides["right"]
            for i, pair in enumerate(PAIRS, len(segments)):
                better(pair, pair, 0.5 * (left[:, i] - right[:, i]), novel)
    return corrected
