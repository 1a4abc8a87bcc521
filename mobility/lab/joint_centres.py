"""Joint centres from the markers of a lab, as a pose from which our formulas compute angles.

The angles of the lab are computed with the same formulas as the angles of the video, so that the
comparison is fair. A centre that the markers cannot determine is NaN, with the reason.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility import tables
from mobility.base.formatting import shortened
from mobility.base.options import checked
from mobility.base.provenance import with_history
from mobility.errors import BadInputError
from mobility.kinematics.datasets import Markers
from mobility.kinematics.skeleton import INDEX, KEYPOINTS, SIDES, Array, direction
from mobility.lab.lab_files import MappingLike
from mobility.lab.lab_mappings import (
    FileNames,
    LabMapping,
    Pelvis,
    best_mapping,
    from_dict,
    given_mapping,
)

METHOD = "markers"
"""Value of the attribute ``method`` of such a pose."""

_LEAST_MARKERS = 3
"""Least number of markers, not in one line, that locate a rigid segment."""

_LEAST_WIDTH = 0.01
"""Metres; markers lie in one line if their second-largest extent is smaller than this."""

_MOST_RESIDUAL = 0.03
"""Largest movement of soft tissue in metres (Leardini et al. 2005, Gait Posture 21:212: up to 0.03
m on the thigh). If markers have a larger residual, they are not the markers of the static trial."""

_STILL = 0.02
"""Largest standard deviation of a marker over a static trial, metres."""

_STANDING = 0.97
"""Share of the greatest height of the hips above the ankles above which a person counts as
standing.
"""

_LEVEL_FRAMES = 5
"""Least number of standing frames for levelling the feet."""

_PITCH = 35.0
"""Largest pitch, in degrees, of the line between the heel and toe markers of a flat foot."""

_LENGTHS: Mapping[tuple[str, str], tuple[float, float]] = {
    # Metres, from a small child to a very tall adult.
    ("hip", "knee"): (0.15, 0.70),
    ("knee", "ankle"): (0.15, 0.70),
    ("shoulder", "elbow"): (0.10, 0.55),
    ("elbow", "wrist"): (0.08, 0.50),
}

# Harrington et al. 2007 (J Biomech 40:595): hip centre from the midpoint of the anterior spines,
# in metres, as slope and constant of pelvic depth and pelvic width.
_BACK, _DOWN, _OUT = (0.24, 0.0099), (0.30, 0.0109), (0.33, 0.0073)

_ACROMION = 0.12
"""Depth of the shoulder joint below the acromion, as a share of the distance between both acromia.

Rab, Petuskey & Bagley 2002 (Gait Posture 15:113) use 0.17. With this value, the arms of one woman
who squats are within 1 degree of the arms of a model that is driven by her markers. With 0, raised
arms are 7 degrees too low; with 0.17, they are two to three degrees too high."""


@checked
def lab_pose(
    markers: Markers,
    *,
    mapping: MappingLike | None = None,
    static: Markers | None = None,
    level_feet: bool | None = None,
) -> xr.Dataset:
    """Compute joint centres from a marker trial, as a pose Dataset.

    A centre is the mean of the markers in the mapping (medial and lateral). Some markers are only
    worn in the static trial. In each frame of the movement, they are reconstructed from the other
    markers of their segment, by the rotation and translation that fit these best by least squares
    (Soderkvist & Wedin 1993, J Biomech 26:1473).

    The hips are the markers or functional centres in the mapping; without these, they are computed
    from the iliac spines by :func:`harrington_hips`. If the mapping marks the shoulders as acromion
    markers, the joint is assumed 0.12 of the distance between both acromia below them (after Rab et
    al. 2002, Gait Posture 15:113). Otherwise arms held forward would be 7 to 10 degrees too low.

    Heel and toe markers on shoes differ in height. The toe is therefore moved up or down until the
    line from heel to toe is level in standing. Standing means the static trial if there is one,
    otherwise the frames in which the hips are highest. An ankle dorsiflexion of zero then means
    that the shank is perpendicular to the sole.

    The whole trial is turned once about the vertical so that the person faces z, as if filmed from
    the front. Angles do not depend on this rotation. A lab measures from all sides, so no angle is
    left out because of the view.

    Parameters
    ----------
    markers
        Markers from :func:`~mobility.lab.lab_files.read_lab`.
    mapping
        Meaning of the markers, as in ``read_lab``; by default the mapping with which the file was
        read.
    static
        Markers of a trial in which the person stands still, from ``read_lab``.
    level_feet
        Whether to level the feet; by default as in the mapping.

    Returns
    -------
    xarray.Dataset
        ``position`` (time, space, keypoint, individual) in metres, y up, with all 33 landmarks, NaN
        for those that the markers cannot determine. The attributes ``joint_centres`` and
        ``not_available`` are JSON objects: the origin of each landmark, and the reason why a
        landmark is missing. ``turned_deg`` is the rotation about the vertical, in degrees.

    Raises
    ------
    BadInputError
        There are no markers, no mapping fits, or a marker in the mapping is not in the file. The
        person moves in the static trial, or it has other markers. A segment has an impossible
        length, or left and right are exchanged.

    Examples
    --------
    >>> trial = read_lab("squat.c3d")  # doctest: +SKIP
    >>> pose = lab_pose(trial, static=read_lab("standing.c3d"))  # doctest: +SKIP
    >>> angles = joint_angles(pose)  # doctest: +SKIP
    """
    lab_mapping = _chosen_mapping(markers, mapping)
    builder = _LandmarkBuilder(markers, static, lab_mapping)
    builder.joint_centres()
    builder.hip_centres()
    builder.shoulder_centres()
    pitch = builder.level(lab_mapping.level_feet if level_feet is None else level_feet)
    builder.check()
    turned = builder.face_z()
    position = np.full((markers.sizes["time"], 3, len(KEYPOINTS), 1), np.nan)
    for name, values in builder.centres.items():
        position[:, :, INDEX[name], 0] = values
    for name in KEYPOINTS:
        if name not in builder.centres:
            builder.reasons.setdefault(name, "no marker of the mapping has a similar name")
    copied = ("source_file", "source_sha256", "source_format", "rate_hz")
    attrs: dict[str, Any] = {name: markers.attrs[name] for name in copied if name in markers.attrs}
    pose = xr.Dataset(
        {
            "position": (
                ("time", "space", "keypoint", "individual"),
                position,
                {"units": "m", "long_name": "joint centres from markers"},
            )
        },
        coords={
            "time": markers["time"].variable,
            "space": ["x", "y", "z"],
            "keypoint": list(KEYPOINTS),
            "individual": ["subject"],
        },
        attrs={
            **attrs,
            "ds_type": "poses",
            "source_software": "mobility",
            "time_unit": "seconds",
            "method": METHOD,
            "joint_centres": json.dumps(builder.origins, sort_keys=True),
            "not_available": json.dumps(builder.reasons, sort_keys=True),
        },
    )
    if "rate_hz" in attrs:
        pose.attrs["fps"] = attrs["rate_hz"]
    if turned is not None:
        pose.attrs["turned_deg"] = turned
    return with_history(
        pose,
        "lab_pose",
        {
            "mapping": lab_mapping.name,
            "static": static.attrs.get("source_file", "given") if static is not None else None,
            "level_feet": level_feet,
        },
        source=markers,
        joint_centres=builder.origins,
        not_available=builder.reasons,
        sole_pitch_deg=pitch,
        turned_deg=turned,
        **builder.results,
        warnings=builder.warnings,
    )


def harrington_hips(
    left_asis: Array,
    right_asis: Array,
    psis: Array,
    *,
    width: float | None = None,
    depth: float | None = None,
) -> tuple[Array, Array]:
    r"""Compute hip joint centres from the iliac spines, left and right (..., 3), metres.

    In the frame of the pelvis (z from the left to the right anterior spine, x forward in the plane
    of the spines, y up), relative to the midpoint of the anterior spines:

    .. math::

        x = -0.24\,d - 9.9, \quad y = -0.30\,w - 10.9, \quad z = \pm(0.33\,w + 7.3) \quad (mm)

    The pelvic width :math:`w` is the distance between the anterior spines; the pelvic depth
    :math:`d` is the distance from their midpoint to that of the posterior spines (Harrington,
    Zavatsky, Lawson, Yuan & Theologis 2007, J Biomech 40:595-602, the equations with one predictor
    each).

    `psis` is the midpoint of the posterior spines, or the sacrum. By default, `width` and `depth`
    are medians over the frames, so that skin that moves over a tilted pelvis does not move the
    hips.
    """
    front = (left_asis + right_asis) / 2
    across, ahead = right_asis - left_asis, front - psis
    if width is None or depth is None:
        widths, depths = np.linalg.norm(across, axis=-1), np.linalg.norm(ahead, axis=-1)
        has_spines = ~np.isnan(widths + depths)
        if not has_spines.any():
            raise BadInputError("the iliac spines are never visible together")
        width = float(np.median(widths[has_spines])) if width is None else width
        depth = float(np.median(depths[has_spines])) if depth is None else depth
    z = direction(across)
    x = direction(ahead - (ahead * z).sum(axis=-1, keepdims=True) * z)
    y = np.cross(z, x)
    middle = front - (_BACK[0] * depth + _BACK[1]) * x - (_DOWN[0] * width + _DOWN[1]) * y
    out = (_OUT[0] * width + _OUT[1]) * z
    return middle - out, middle + out


def carry_point(static: Array, moving: Array, point: Array) -> tuple[Array, Array]:
    """Return the position of a point of a rigid segment in each frame, from its markers, metres.

    `point` (3,) is moved by the rotation and translation that fit the markers' `static` positions
    (marker, 3) to their `moving` ones (time, marker, 3) by least squares (Soderkvist & Wedin 1993,
    J Biomech 26:1473). The result is the positions of the point (time, 3) and the root mean square
    residual of the markers (time,). Both are NaN if fewer than three markers are visible or the
    markers are in one line.
    """
    is_visible = ~np.isnan(moving).any(axis=-1)
    places = np.full((len(moving), 3), np.nan)
    residual = np.full(len(moving), np.nan)
    for visible in np.unique(is_visible, axis=0):
        if visible.sum() < _LEAST_MARKERS:
            continue
        visible_static = static[visible]
        centre = visible_static.mean(axis=0)
        if np.linalg.svd(visible_static - centre, compute_uv=False)[1] < _LEAST_WIDTH:
            continue
        frames = np.flatnonzero((is_visible == visible).all(axis=1))
        visible_moving = moving[frames][:, visible]
        middle = visible_moving.mean(axis=1)
        spread = np.einsum("tmi,mj->tij", visible_moving - middle[:, None], visible_static - centre)
        u, _, v = np.linalg.svd(spread)
        mirror = np.ones((len(frames), 3))
        mirror[:, 2] = np.sign(np.linalg.det(u @ v))
        rotation = (u * mirror[:, None, :]) @ v
        places[frames] = middle + np.einsum("tij,j->ti", rotation, point - centre)
        fitted = middle[:, None] + np.einsum("tij,mj->tmi", rotation, visible_static - centre)
        residual[frames] = np.sqrt(((visible_moving - fitted) ** 2).sum(axis=-1).mean(axis=-1))
    return places, residual


def _chosen_mapping(markers: xr.Dataset, mapping: MappingLike | None) -> LabMapping:
    if mapping is not None:
        return given_mapping(mapping)
    if "mapping_content" in markers.attrs:
        content = json.loads(markers.attrs["mapping_content"])
        name, is_built_in = content.pop("name"), bool(content.pop("built_in", False))
        if content.get("joint_centres") or content.get("pelvis"):
            return from_dict(content, name=name, what=f"mapping {name}", is_built_in=is_built_in)
    names = [str(name) for name in markers["marker"].to_numpy()]
    best = best_mapping(names, [])
    if best is None:
        raise BadInputError(
            f"no built-in mapping has these markers ({shortened(names)}); pass a "
            "mapping with the joint_centres"
        )
    return best


class _LandmarkBuilder:
    """Landmarks of one trial as they are built: positions, origins, reasons for missing ones."""

    def __init__(self, markers: xr.Dataset, static: xr.Dataset | None, mapping: LabMapping) -> None:
        self.mapping = mapping
        self.centres: dict[str, Array] = {}
        self.origins: dict[str, str] = {}
        self.reasons: dict[str, str] = {}
        self.warnings: list[dict[str, str]] = []
        self.results: dict[str, Any] = {}
        self._names, self._values = _names_and_positions(markers)
        self._static = None if static is None else self._static_positions(static)
        # Markers only in the static trial: positions and origin, or why they are missing.
        self._reconstructed: dict[str, tuple[Array, str] | str] = {}

    def _static_positions(self, static: xr.Dataset) -> tuple[FileNames, dict[str, Array]]:
        names, values = _names_and_positions(static)
        mapped = {names.find(name) for name in self.mapping.markers()} - {None}
        if not mapped:
            raise BadInputError(
                f"the static trial has none of the markers of mapping {self.mapping.name}"
            )
        for name in mapped:
            positions = values[str(name)]
            positions = positions[~np.isnan(positions).any(axis=-1)]
            if len(positions) and float(positions.std(axis=0).max()) > _STILL:
                raise BadInputError(
                    f"the person moves in the static trial ({name} by "
                    f"{positions.std(axis=0).max():.3f} m, standard deviation); use a trial in "
                    "which the person stands still"
                )
        return names, {
            name: np.median(positions, axis=0) if len(positions) else np.full(3, np.nan)
            for name, v in values.items()
            for positions in [v[~np.isnan(v).any(axis=-1)]]
        }

    def joint_centres(self) -> None:
        """Compute every landmark for which the mapping has markers."""
        for landmark, names in self.mapping.joint_centres.items():
            if self._mean(landmark, names):
                continue
            reason = self.reasons[landmark]
            substitutes = self.mapping.instead.get(landmark)
            if substitutes is not None and self._mean(landmark, substitutes):
                del self.reasons[landmark]
                values = {
                    "landmark": landmark.replace("_", " "),
                    "other": " and ".join(substitutes),
                }
                self.warnings.append(
                    tables.warning("warnings.joint_centre_instead", **values, reason=reason)
                )
                continue
            absent = [name for name in names if self._names.find(name) is None]
            if absent and not self.mapping.built_in:
                raise BadInputError(
                    f"mapping {self.mapping.name}: {landmark}: {reason}; "
                    f"{self._names.nearest(absent[0])}"
                )

    def _mean(self, landmark: str, names: tuple[str, ...]) -> bool:
        """Set `landmark` to the mean of markers, if all are available."""
        positions: list[Array] = []
        origins: list[str] = []
        for name in names:
            at = self._names.find(name)
            if at is not None:
                positions.append(self._values[at])
                origins.append(at)
                continue
            if name not in self._reconstructed:
                self._reconstructed[name] = self._from_static(name)
            marker = self._reconstructed[name]
            if isinstance(marker, str):
                self.reasons[landmark] = marker
                return False
            positions.append(marker[0])
            origins.append(marker[1])
        mean = np.mean(positions, axis=0)
        if np.isnan(mean).all():
            self.reasons[landmark] = f"{' and '.join(origins)} are never visible together"
            return False
        self.centres[landmark] = mean
        self.origins[landmark] = f"mean of {', '.join(origins)}" if origins[1:] else origins[0]
        return True

    def _from_static(self, name: str) -> tuple[Array, str] | str:
        """Reconstruct a marker of the static trial: positions and origin, or why it is missing."""
        if self._static is None:
            return f"marker {name} is not in the file, and there is no static trial"
        names, places = self._static
        at = names.find(name)
        if at is None or np.isnan(places[at]).any():
            return f"marker {name} is neither in the file nor in the static trial"
        segment, members = next(
            ((s, m) for s, m in self.mapping.segments.items() if name in m), ("", ())
        )
        if not segment:
            return (
                f"marker {name} is in the static trial only, and mapping {self.mapping.name} does "
                "not list it under segments with markers that move with it"
            )
        both = [
            (now, then)
            for other in members
            if other != name
            and (now := self._names.find(other)) is not None
            and (then := names.find(other)) is not None
            and not np.isnan(places[then]).any()
        ]
        if len(both) < _LEAST_MARKERS:
            return (
                f"marker {name} is in the static trial only, and both trials share only "
                f"{len(both)} other markers of {segment.replace('_', ' ')}; 3 are needed"
            )
        moving = np.stack([self._values[now] for now, _ in both], axis=1)
        standing = np.stack([places[then] for _, then in both])
        values, residual = carry_point(standing, moving, places[at])
        if np.isnan(values).all():
            return (
                f"marker {name}: the markers of {segment} are never visible together, or in a line"
            )
        typical = float(np.nanmedian(residual))
        if typical > _MOST_RESIDUAL:
            raise BadInputError(
                f"the markers of {segment.replace('_', ' ')} are {1000 * typical:.0f} mm away "
                "from their places in the static trial; check that person and markers are the same"
            )
        residuals = self.results.setdefault("static_residual_mm", {})
        residuals[at] = round(1000 * typical, 2)
        return values, f"{at} (static trial, carried by {len(both)} markers)"

    def hip_centres(self) -> None:
        """Compute the hips from the iliac spines, unless they have markers."""
        names = [f"{side}_hip" for side in SIDES]
        if all(name in self.centres for name in names):
            return
        hips = self._harrington(self.mapping.pelvis)
        if isinstance(hips, str):
            for name in names:
                if name not in self.centres:
                    self.reasons[name] = hips
            return
        for name, values in zip(names, hips, strict=True):
            self.centres[name] = values
            self.reasons.pop(name, None)
            self.origins[name] = "iliac spines, Harrington et al. 2007"

    def shoulder_centres(self) -> None:
        """Compute the shoulders from the acromia, if the markers are there."""
        names = [f"{side}_{point}" for point in ("shoulder", "hip") for side in SIDES]
        if not (self.mapping.acromion and all(name in self.centres for name in names)):
            return
        left, right, *hips = (self.centres[name] for name in names)
        apart = np.linalg.norm(right - left, axis=-1)
        if np.isnan(apart).all():
            return
        trunk = direction((left + right) / 2 - (hips[0] + hips[1]) / 2)
        below = _ACROMION * float(np.nanmedian(apart))
        for name in names[:2]:
            self.centres[name] = self.centres[name] - below * trunk
            self.origins[name] += f", {below:.3f} m below it"

    def _harrington(self, pelvis: Pelvis | None) -> tuple[Array, Array] | str:
        if pelvis is None:
            return f"mapping {self.mapping.name} has neither hip markers nor iliac spines"
        fronts = (pelvis.left_asis, pelvis.right_asis)
        backs = (pelvis.left_psis, pelvis.right_psis)
        spines = self._spines(self._names, self._values, fronts, backs, pelvis.sacrum)
        if isinstance(spines, str):
            return spines
        left, right, back = spines
        if np.isnan(left + right + back).all():
            return "the iliac spines are never visible together"
        size: dict[str, float] = {}
        if self._static is not None:
            standing = self._spines(*self._static, fronts, backs, pelvis.sacrum)
            if not isinstance(standing, str) and not np.isnan(np.sum(standing)):
                a, b, c = standing
                size = {
                    "width": float(np.linalg.norm(b - a)),
                    "depth": float(np.linalg.norm((a + b) / 2 - c)),
                }
        self.results["pelvis_from"] = "static trial" if size else "median over the trial"
        return harrington_hips(left, right, back, **size)

    @staticmethod
    def _spines(
        names: FileNames,
        values: Mapping[str, Array],
        fronts: tuple[str, str],
        backs: tuple[str | None, str | None],
        sacrum: str | None,
    ) -> tuple[Array, Array, Array] | str:
        """Return left and right anterior spine, and the midpoint of the posterior ones."""
        front = [names.find(name) for name in fronts]
        if None in front:
            return f"marker {fronts[front.index(None)]} is not in the file"
        back = [names.find(name) for name in backs if name is not None]
        if len(back) == 2 and None not in back:
            middle = (values[str(back[0])] + values[str(back[1])]) / 2
        elif sacrum is not None and (at := names.find(sacrum)) is not None:
            middle = values[at]
        else:
            return f"markers {shortened([n for n in (*backs, sacrum) if n])} are not in the file"
        return values[str(front[0])], values[str(front[1])], middle

    def level(self, wanted: bool) -> dict[str, float]:
        """Level the feet as in standing, and return the removed pitch (degrees)."""
        pitches: dict[str, float] = {}
        if not wanted:
            return pitches
        for side in SIDES:
            heel, toe = f"{side}_heel", f"{side}_foot_index"
            if heel not in self.centres or toe not in self.centres:
                continue
            standing = self._standing_foot(heel, toe)
            if standing is None:
                self.warnings.append(tables.warning("warnings.feet_not_levelled", side=side))
                continue
            rise, length = standing
            pitch = float(np.degrees(np.arctan2(rise, length)))
            if abs(pitch) > _PITCH:
                raise BadInputError(
                    f"the {side} foot points {abs(pitch):.0f} degrees "
                    f"{'up' if pitch > 0 else 'down'} while standing; check which markers are "
                    "heel and toe, or use level_feet=False"
                )
            self.centres[toe] = self.centres[toe] - np.array([0.0, rise, 0.0])
            self.origins[toe] += f", {'lowered' if rise > 0 else 'raised'} {abs(rise):.3f} m"
            pitches[side] = round(pitch, 2)
        return pitches

    def _standing_foot(self, heel: str, toe: str) -> tuple[float, float] | None:
        """Return the height of the toe above the heel, and their distance, in standing."""
        if self._static is not None:
            names, places = self._static
            markers = [
                [names.find(name) for name in self.mapping.joint_centres[landmark]]
                for landmark in (heel, toe)
            ]
            if all(name is not None for place in markers for name in place):
                ends = [np.mean([places[str(n)] for n in place], axis=0) for place in markers]
                foot = ends[1] - ends[0]
                if not np.isnan(foot).any():
                    return float(foot[1]), float(np.hypot(foot[0], foot[2]))
        standing = self._standing_frames()
        foot = self.centres[toe][standing] - self.centres[heel][standing]
        foot = foot[~np.isnan(foot).any(axis=-1)]
        if len(foot) < _LEVEL_FRAMES:
            return None
        rise = float(np.median(foot[:, 1]))
        return rise, float(np.median(np.hypot(foot[:, 0], foot[:, 2])))

    def _standing_frames(self) -> NDArray[np.bool_]:
        """Return the frames in which the hips are nearly as high above the ankles as ever."""
        length = len(next(iter(self._values.values())))
        landmarks = [f"{side}_{point}" for point in ("hip", "ankle") for side in SIDES]
        if not all(name in self.centres for name in landmarks):
            return np.zeros(length, dtype=bool)
        left, right, *ankles = (self.centres[name][:, 1] for name in landmarks)
        height = (left + right) / 2 - (ankles[0] + ankles[1]) / 2
        if np.isnan(height).all():
            return np.zeros(length, dtype=bool)
        standing: NDArray[np.bool_] = height > _STANDING * np.nanpercentile(height, 95)
        return standing

    def check(self) -> None:
        """Raise an error if the landmarks cannot belong to a person."""
        if not self.centres:
            reason = next(iter(self.reasons.values()), "none is named")
            raise BadInputError(f"no joint centre can be computed: {reason}")
        for (a, b), (least, most) in _LENGTHS.items():
            for side in SIDES:
                ends = (f"{side}_{a}", f"{side}_{b}")
                if not all(name in self.centres for name in ends):
                    continue
                apart = np.linalg.norm(self.centres[ends[0]] - self.centres[ends[1]], axis=-1)
                if np.isnan(apart).all():
                    continue
                length = float(np.nanmedian(apart))
                if not least <= length <= most:
                    raise BadInputError(
                        f"{side} {a} and {b} are {length:.2f} m apart ({self.origins[ends[0]]}, "
                        f"{self.origins[ends[1]]}); check the mapping"
                    )
        self._check_sides()

    def _check_sides(self) -> None:
        """Raise if the toes point backwards: sides are exchanged, or the axes left-handed."""
        landmarks = [f"{side}_{point}" for side in SIDES for point in ("hip", "heel", "foot_index")]
        if not all(name in self.centres for name in landmarks):
            return
        lh, lheel, ltoe, rh, rheel, rtoe = (self.centres[name] for name in landmarks)
        forward = np.cross(np.array([0.0, 1.0, 0.0]), rh - lh)
        ahead = (forward * (ltoe - lheel + rtoe - rheel)).sum(axis=-1)
        if not np.isnan(ahead).all() and float(np.nanmedian(np.sign(ahead))) < 0:
            raise BadInputError(
                "the toes point backwards; exchange left and right in the names, or "
                "make the axes of the file right-handed"
            )

    def face_z(self) -> float | None:
        """Turn the landmarks so that the person faces z; return the angle (degrees) if possible."""
        for point in ("hip", "shoulder"):
            ends = [f"{side}_{point}" for side in SIDES]
            if not all(name in self.centres for name in ends):
                continue
            right = self.centres[ends[1]] - self.centres[ends[0]]
            right = right[~np.isnan(right).any(axis=-1)][:, [0, 2]]
            if not len(right):
                continue
            x, z = np.median(right, axis=0)
            if np.hypot(x, z) < _LEAST_WIDTH:
                continue
            c, s = -np.array([x, z]) / np.hypot(x, z)
            turn = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
            self.centres = {name: values @ turn.T for name, values in self.centres.items()}
            return round(float(np.degrees(np.arctan2(s, c))), 2)
        return None


def _names_and_positions(markers: xr.Dataset) -> tuple[FileNames, dict[str, Array]]:
    """Return names and positions (time, 3) of the markers."""
    position = markers["marker_position"].sel(space=["x", "y", "z"])
    values = position.transpose("marker", "time", "space").to_numpy().astype(np.float64)
    names = [str(name) for name in markers["marker"].to_numpy()]
    return FileNames(names), dict(zip(names, values, strict=True))
