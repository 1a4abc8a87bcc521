"""A parametric human body with known joint centres (Anny, from the MakeHuman data).

Anny provides the body at rest: mesh, bones and skinning weights. This module poses the body by the
orientations of its segments, so that the joint centres and the mesh come from the same transforms.
World frame: x to the subject's left, y up, z the direction in which the subject faces at the start,
in metres, with the floor at y = 0.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.optimize import brentq

from mobility import tables
from mobility.base.options import checked
from mobility.errors import BadInputError
from mobility.kinematics.skeleton import Array

JOINT_BONES: Mapping[str, str] = {
    "shoulder": "upperarm01",
    "elbow": "lowerarm01",
    "wrist": "wrist",
    "hip": "upperleg01",
    "knee": "lowerleg01",
    "ankle": "foot",
}
"""The bone whose head is the centre of each joint; `.L` and `.R` are the subject's sides.

The hip is moved to the position of the joint in people before the body is posed.
"""

SUFFIX: Mapping[str, str] = {"left": ".L", "right": ".R"}
"""Ending of Anny's bone names, by side."""

_TO_WORLD = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
"""Anny's person has z up and faces -y."""

HEAVIEST = 2.0
"""Largest weight on MakeHuman's scale of 0 to 1; beyond 1, its shapes are extrapolated."""

_DENSITY = 980.0  # kg/m^3

_YEARS = (0.0, 1.0, 10.0, 25.0, 90.0)
_AGE_ANCHORS = (-1 / 3, 0.0, 1 / 3, 2 / 3, 1.0)
"""MakeHuman's ages (newborn, baby, child, young, old) and Anny's parameter for each."""


@dataclass(frozen=True)
class Body:
    """A body at rest, in metres, with the mid-hip at x = z = 0 and the soles at y = 0."""

    vertices: Array  # (vertex, 3)
    faces: NDArray[np.int64]  # vertex numbers (face, 3)
    bones: tuple[str, ...]  # names, parents before children
    parents: tuple[int, ...]  # number of each bone's parent; -1 for the root
    heads: Array  # of each bone (bone, 3)
    weight_bones: NDArray[np.int64]  # skinning: bone numbers (vertex, k)
    weights: Array  # and their weights; those of a vertex sum to 1
    heel: Mapping[str, Array]  # rearmost point of the sole by side, at the height of
    toe: Mapping[str, Array]  # the tip of the second toe
    mass_kg: float  # from the volume of the mesh

    def bone(self, name: str) -> int:
        """Return the number of a bone."""
        return self.bones.index(name)

    def joint(self, joint: str, side: str) -> Array:
        """Return the centre of a joint at rest."""
        centre: Array = self.heads[self.bone(JOINT_BONES[joint] + SUFFIX[side])]
        return centre

    @functools.cached_property
    def main_bones(self) -> NDArray[np.int64]:
        """Number of the bone that moves each vertex most."""
        most: NDArray[np.int64] = self.weight_bones[
            np.arange(len(self.weights)), self.weights.argmax(axis=1)
        ]
        return most

    @property
    def mid_hip(self) -> Array:
        """The point halfway between the hip joint centres at rest."""
        centre: Array = (self.joint("hip", "left") + self.joint("hip", "right")) / 2
        return centre


Deviation = Annotated[float, Field(ge=-0.1, le=0.1)]
"""Excess length of a segment, as a share of the usual length for the sex."""

STRETCHED: Mapping[str, tuple[str, ...]] = {
    "thigh": ("upperleg01", "upperleg02"),
    "shank": ("lowerleg01", "lowerleg02"),
    "upper_arm": ("upperarm01", "upperarm02"),
    "forearm": ("lowerarm01", "lowerarm02"),
}
"""The bones that determine the length of each segment of a limb."""

_SEGMENT_ENDS: Mapping[str, tuple[str, str]] = {
    "thigh": ("hip", "knee"),
    "shank": ("knee", "ankle"),
    "upper_arm": ("shoulder", "elbow"),
    "forearm": ("elbow", "wrist"),
}

_SPINE = ("spine05", "spine04", "spine03", "spine02", "spine01")


@checked
def parametric_body(
    *,
    sex: Literal["female", "male"] = "female",
    age: Annotated[float, Field(ge=16, le=90)] = 30.0,
    height_m: Annotated[float, Field(ge=1.4, le=2.1)] = 1.70,
    weight_kg: Annotated[float, Field(ge=35, le=160)] = 65.0,
    thigh: Deviation = 0.0,
    shank: Deviation = 0.0,
    trunk: Deviation = 0.0,
    upper_arm: Deviation = 0.0,
    forearm: Deviation = 0.0,
) -> Body:
    """Build the body of a person: Anny (NAVER, Apache-2.0), on the MakeHuman targets (CC0).

    `weight_kg` is the mass of a body with the volume of the mesh and a density of 980 kg/m^3. If no
    body of this stature has that weight, an error states the possible range. The segments have the
    usual lengths for the stature and sex, from `tables/body_build.yaml`, or are longer by a share:
    `thigh`, `shank`, `trunk` (hips to shoulders), `upper_arm` and `forearm`, 0.02 for 2 %. A thigh
    that is too long or too short for the shank also raises an error.
    """
    people = tables.load("body_build")["thigh_over_shank"]
    ratio = (1.0 + thigh) / (1.0 + shank)
    if not people["least"] <= ratio <= people["most"]:
        raise BadInputError(
            f"parametric_body: thigh {thigh:g} and shank {shank:g} make the ratio of thigh to "
            f"shank {ratio:.2f} times the usual; keep it between {people['least']:g} and "
            f"{people['most']:g}"
        )
    deviations = {"thigh": thigh, "shank": shank, "trunk": trunk}
    deviations |= {"upper_arm": upper_arm, "forearm": forearm}
    return _body(sex, age, height_m, weight_kg, tuple(deviations.items()))


@functools.lru_cache(maxsize=8)
def _body(
    sex: str,
    age: float,
    height_m: float,
    weight_kg: float,
    deviations: tuple[tuple[str, float], ...],
) -> Body:
    import torch

    model = _anny()
    build = tables.load("body_build")
    lengths = {
        name: height_m * build["segments"][name][sex] * (1.0 + deviation)
        for name, deviation in deviations
    }
    shape = {
        "gender": 1.0 if sex == "female" else 0.0,
        "age": float(np.interp(age, _YEARS, _AGE_ANCHORS)),
        "muscle": 0.25,  # with the widest range of mass
        "proportions": 0.6,
    }
    parts = ("rest_vertices", "rest_bone_heads")

    def rest(height: float, weight: float) -> list[Array]:
        with torch.no_grad():
            models = [
                model(phenotype_kwargs={**shape, "height": height, "weight": within})
                for within in ((weight,) if weight <= 1 else (1.0, 0.5))
            ]
        arrays = [models[0][name] for name in parts]
        if weight > 1:  # heavier than MakeHuman's heaviest: as far again from its average
            far = 2 * (weight - 1)
            arrays = [
                full + far * (full - models[1][name])
                for full, name in zip(arrays, parts, strict=True)
            ]
        return [array[0].numpy() @ _TO_WORLD.T for array in arrays]

    def stature(height: float) -> float:
        vertices, _ = rest(height, 0.5)
        return float(np.ptp(vertices[:, 1]))

    # MakeHuman's height stretches thigh, shank and head unequally. The body of a taller or
    # shorter
    # person is therefore scaled as a whole.
    height = _solved(stature, build["stature"][sex]["mean"])
    weights = model.vertex_bone_weights.numpy().astype(np.float64)
    bones = tuple(str(name) for name in model.bone_labels)
    empty = Body(
        vertices=np.empty((0, 3)),
        faces=model.get_triangular_faces().numpy().astype(np.int64),
        bones=bones,
        parents=tuple(int(p) for p in model.bone_parents),
        heads=np.empty((0, 3)),
        weight_bones=model.vertex_bone_indices.numpy().astype(np.int64),
        weights=weights / weights.sum(axis=1, keepdims=True),
        heel={},
        toe={},
        mass_kg=0.0,
    )

    @functools.cache
    def built(weight: float) -> Body:
        vertices, heads = rest(height, weight)
        scale = height_m / np.ptp(vertices[:, 1])
        rest_m = height_m - sum(lengths[name] for name in ("thigh", "shank", "trunk"))
        for _ in range(20):  # the other parts are scaled until the stature is right
            scaled = dataclasses.replace(empty, vertices=scale * vertices, heads=scale * heads)
            body = _lengthened(_with_hip_centres(scaled, height_m), lengths)
            short = height_m - float(np.ptp(body.vertices[:, 1]))
            if abs(short) < 1e-9:
                break
            scale *= 1.0 + short / rest_m
        corners = (body.vertices[body.faces[:, k]] for k in range(3))
        return dataclasses.replace(body, mass_kg=_DENSITY * _volume(*corners))

    lightest, heaviest = built(0.0).mass_kg, built(HEAVIEST).mass_kg
    if not lightest <= weight_kg <= heaviest:
        raise BadInputError(
            f"parametric_body: weight_kg {weight_kg:g} is out of reach for a {sex} of"
            f" {height_m:g} m; use {np.ceil(lightest):.0f} to {np.floor(heaviest):.0f}"
        )
    body = built(_solved(lambda weight: built(weight).mass_kg, weight_kg, HEAVIEST))
    origin = np.array([body.mid_hip[0], body.vertices[:, 1].min(), body.mid_hip[2]])
    body = dataclasses.replace(body, vertices=body.vertices - origin, heads=body.heads - origin)
    feet = {side: _heel_and_toe(body, SUFFIX[side]) for side in SUFFIX}
    return dataclasses.replace(
        body,
        heel={side: heel for side, (heel, _) in feet.items()},
        toe={side: toe for side, (_, toe) in feet.items()},
    )


def _volume(a: Array, b: Array, c: Array) -> float:
    """Return the volume of a closed mesh with these corners of its triangles, in cubic metres."""
    return float(abs((np.cross(a, b) * c).sum()) / 6)


def _lengthened(body: Body, lengths: Mapping[str, float]) -> Body:
    """Stretch trunk and segments of the limbs along themselves to lengths, in metres.

    The mesh follows through its skinning weights, as it does when the body is posed.
    """
    stretch = {name: np.eye(3) for name in body.bones}
    for segment, (one, other) in _SEGMENT_ENDS.items():
        for side, suffix in SUFFIX.items():
            line = body.joint(other, side) - body.joint(one, side)
            length = float(np.linalg.norm(line))
            along = np.outer(line, line) / length**2
            for bone in STRETCHED[segment]:
                stretch[bone + suffix] = np.eye(3) + (lengths[segment] / length - 1.0) * along
    shoulders = (body.joint("shoulder", "left") + body.joint("shoulder", "right")) / 2
    line = shoulders - body.mid_hip
    higher = np.sqrt(lengths["trunk"] ** 2 - line[2] ** 2) - line[1]
    first, last = (body.heads[body.bone(name)][1] for name in (_SPINE[0], "clavicle.L"))
    for bone in _SPINE:  # the spine carries the shoulder girdle
        stretch[bone] = np.diag([1.0, 1.0 + higher / (last - first), 1.0])
    steps = {name: matrix[None] for name, matrix in stretch.items()}
    matrices, heads = transforms(body, steps, body.mid_hip[None])
    vertices = skinned(body, matrices[0], heads[0], body.vertices)
    return dataclasses.replace(body, vertices=vertices, heads=heads[0])


def _with_hip_centres(body: Body, height_m: float) -> Body:
    """Move the hips of the rig, the heads of MakeHuman's thigh bones, to the hip centres of people.

    The bones of the rig begin in the middle of the flesh, farther back and farther apart than the
    femoral heads. Half the distance of the centres is 0.33 of the pelvic width plus 7.3 mm
    (Harrington et al. 2007, J Biomech 40:595; width 0.141 of stature). How far in front of the
    bones the same regression puts them depends on the tilt of the pelvis, which the mesh does not
    show. With the iliac spines 12 degrees lower in front, as in ten standing people on average
    (`python benchmarks/uiprmd.py`), the distance is 0.023 of stature in slender men and 0.015 in
    slender women; with a level pelvis it is 0.032 and 0.023. This module uses 0.022 for both.
    """
    both = [body.bone(JOINT_BONES["hip"] + suffix) for suffix in SUFFIX.values()]
    middle = body.heads[both].mean(axis=0) + np.array([0.0, 0.0, 0.022 * height_m])
    half = 0.33 * 0.141 * height_m + 0.0073
    heads = body.heads.copy()
    heads[both] = middle + half * np.array([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]])
    return dataclasses.replace(body, heads=heads)


@functools.cache
def _anny() -> Any:
    try:
        import anny
    except ImportError:
        raise BadInputError(
            "the virtual lab needs its extra; install it with: pip install "
            "'mobility-workbench[virtual-lab]'"
        ) from None
    return anny.Anny()


def _solved(function: Callable[[float], float], target: float, most: float = 1.0) -> float:
    """Solve increasing function(x) = target on [0, most]; return the nearer end if none does."""
    low, high = function(0.0) - target, function(most) - target
    if low >= 0.0 or high <= 0.0:
        return 0.0 if low >= 0.0 else most
    return float(brentq(lambda x: function(x) - target, 0.0, most, xtol=1e-6))


def _heel_and_toe(body: Body, suffix: str) -> tuple[Array, Array]:
    second_toe = [
        i for i, name in enumerate(body.bones) if name.startswith("toe2") and suffix in name
    ]
    toes = body.vertices[np.isin(body.main_bones, second_toe)]
    toe = toes[toes[:, 2].argmax()]
    foot = body.vertices[body.main_bones == body.bone("foot" + suffix)]
    # The sole is at the height of the toe tip, so that the line from heel to toe of a flat foot
    # is
    # level and dorsiflexion is zero when the shank is perpendicular to the floor.
    sole = foot[np.abs(foot[:, 1] - toe[1]) < 0.012]
    heel = sole[sole[:, 2].argmin()].copy()
    heel[1] = toe[1]
    return heel, toe


def transforms(body: Body, rotations: Mapping[str, Array], mid_hip: Array) -> tuple[Array, Array]:
    """Pose the bones; return the orientation (time, bone, 3, 3) and head (time, bone, 3) of each.

    `rotations` are orientations of bones relative to rest, in the world frame, (time, 3, 3) each,
    including at least `root`; a bone that is not named turns with its parent. `mid_hip` is the
    position of the mid-hip, (time, 3), in metres.
    """
    steps = len(mid_hip)
    orientation = np.empty((steps, len(body.bones), 3, 3))
    position = np.empty((steps, len(body.bones), 3))
    for i, (name, parent) in enumerate(zip(body.bones, body.parents, strict=True)):
        orientation[:, i] = rotations[name] if name in rotations else orientation[:, parent]
        if parent < 0:
            position[:, i] = mid_hip + orientation[:, i] @ (body.heads[i] - body.mid_hip)
        else:
            offset = body.heads[i] - body.heads[parent]
            position[:, i] = position[:, parent] + orientation[:, parent] @ offset
    return orientation, position


def keypoints(body: Body, orientation: Array, position: Array) -> dict[str, Array]:
    """Return joint centres, heels, toes and eyes of a posed body, (time, 3) each, in metres.

    The names are those of MediaPipe's landmarks: `left_shoulder`, ..., `right_foot_index`.
    """

    def carried(bone: str, point: Array) -> Array:
        i = body.bone(bone)
        moved: Array = position[:, i] + orientation[:, i] @ (point - body.heads[i])
        return moved

    points = {
        f"{side}_{joint}": position[:, body.bone(bone + suffix)]
        for joint, bone in JOINT_BONES.items()
        for side, suffix in SUFFIX.items()
    }
    for side, suffix in SUFFIX.items():
        points[f"{side}_heel"] = carried("foot" + suffix, body.heel[side])
    for side, suffix in SUFFIX.items():
        points[f"{side}_foot_index"] = carried("toe2-1" + suffix, body.toe[side])
    for side, suffix in SUFFIX.items():
        points[f"{side}_eye"] = position[:, body.bone("eye" + suffix)]
    return points


def skinned(body: Body, orientation: Array, position: Array, vertices: Array) -> Array:
    """Return the mesh of one posed frame by linear blend skinning, (vertex, 3), in metres.

    `orientation` and `position` belong to the bones in this frame; `vertices` is the dressed mesh
    at rest.
    """
    shift = position - np.einsum("bij,bj->bi", orientation, body.heads)
    affine = np.concatenate([orientation, shift[:, :, None]], axis=2)
    blended = np.einsum("vk,vkij->vij", body.weights, affine[body.weight_bones])
    mesh: Array = np.einsum("vij,vj->vi", blended[:, :, :3], vertices) + blended[:, :, 3]
    return mesh
