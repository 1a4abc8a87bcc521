"""Pictures of a posed body in a room."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mobility.base.options import Strict
from mobility.base.progress import progress_bar
from mobility.errors import BadInputError
from mobility.kinematics.skeleton import Array
from mobility.virtual_lab.parametric_body import Body, skinned
from mobility.virtual_lab.standing_body import Trial

Colour = tuple[
    Annotated[int, Field(ge=0, le=255)],
    Annotated[int, Field(ge=0, le=255)],
    Annotated[int, Field(ge=0, le=255)],
]

_FURNITURE = "#6b7480"


class Camera(Strict):
    """Position and direction of the camera.

    Attributes
    ----------
    azimuth
        Degrees around the subject: 0 in front, 90 on the subject's left, -90 on the right, 180
        behind.
    height_m
        Height above the floor, which a level camera shows in the middle of the picture.
    distance_m
        Horizontal distance from the middle of the feet (from the hips of a subject who sits or
        lies).
    across_m
        Shift of the camera to its right, metres.
    field_of_view
        Vertical field of view, degrees.
    tilt
        Degrees above level; a camera with a negative tilt looks down.
    roll
        Degrees by which the camera is turned clockwise about its axis.
    """

    azimuth: Annotated[float, Field(ge=-180, le=360)] = 40.0
    height_m: Annotated[float, Field(ge=0.1, le=3)] = 1.08
    distance_m: Annotated[float, Field(ge=1, le=8)] = 3.3
    across_m: Annotated[float, Field(ge=-2, le=2)] = 0.0
    field_of_view: Annotated[float, Field(ge=15, le=100)] = 44.0
    tilt: Annotated[float, Field(ge=-40, le=40)] = 0.0
    roll: Annotated[float, Field(ge=-20, le=20)] = 0.0


class Look(Strict):
    """Appearance: colours (red, green and blue from 0 to 255), clothes, room, light, sensor.

    Attributes
    ----------
    skin, hair, shirt, shorts, shoes, wall, floor
        Colours.
    loose_m
        Additional distance of shirt and shorts from the body, compared with tight clothes, in
        metres.
    sleeves, legs
        Length of sleeves and trousers.
    pattern
        Pattern of the wall; its second colour is a darker shade.
    clutter
        Number of coloured boxes behind the subject.
    clutter_seed
        Seed for the positions and colours of the boxes.
    light
        Brightness of the lamps; 1 is a well-lit room.
    lamp
        Direction of the main lamp: degrees around the subject from the camera, positive to the
        camera's right, 180 behind the subject. None means in front, as in a well-lit room.
    fill
        Brightness of the other lamps, as a share of the usual brightness; 0 produces hard shadows.
    exposure
        Exposure of the picture, in stops; values that are too bright are clipped.
    blur
        Blur due to the lens and compression: standard deviation in pixels.
    noise
        Noise of the sensor: standard deviation in grey levels, different in each frame.
    """

    skin: Colour = (214, 165, 136)
    hair: Colour = (58, 40, 30)
    shirt: Colour = (38, 84, 140)
    shorts: Colour = (44, 46, 54)
    shoes: Colour = (226, 228, 232)
    wall: Colour = (206, 203, 194)
    floor: Colour = (150, 118, 88)
    loose_m: Annotated[float, Field(ge=0, le=0.04)] = 0.0
    sleeves: Literal["short", "long"] = "short"
    legs: Literal["short", "long"] = "short"
    pattern: Literal["plain", "stripes", "checks"] = "plain"
    clutter: Annotated[int, Field(ge=0, le=40)] = 0
    clutter_seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    light: Annotated[float, Field(ge=0.2, le=2)] = 1.0
    lamp: Annotated[float, Field(ge=-180, le=180)] | None = None
    fill: Annotated[float, Field(ge=0, le=1)] = 1.0
    exposure: Annotated[float, Field(ge=-3, le=3)] = 0.0
    blur: Annotated[float, Field(ge=0, le=5)] = 0.0
    noise: Annotated[float, Field(ge=0, le=60)] = 0.0


def frames(
    body: Body,
    trial: Trial,
    *,
    camera: Camera,
    look: Look,
    width: int,
    height: int,
    samples: int = 4,
) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """Render every instant of a trial.

    Yield the time in seconds and an RGB image (height, width, 3). `samples` are taken of each
    pixel, to avoid jagged edges; 1 takes half the time of 4.
    """
    dressed, colours = _dressed(body, look)
    sensor = Sensor(look, width, height)
    plotter = _room(camera, look, width, height, samples)
    try:
        import pyvista

        for lower, upper in trial.furniture:
            block = pyvista.Box(np.stack([lower, upper]).T.ravel())
            plotter.add_mesh(block, color=_FURNITURE, ambient=0.45, diffuse=0.6)
        mesh = pyvista.PolyData.from_regular_faces(dressed, body.faces)
        mesh.cell_data["colour"] = colours
        actor = plotter.add_mesh(
            mesh,
            scalars="colour",
            rgb=True,
            smooth_shading=False,
            ambient=0.28,
            diffuse=0.72,
            specular=0.04,
            show_scalar_bar=False,
        )
        actor.prop.interpolation = "Phong"
        drawn: tuple[Array, Array] = (np.empty(0), np.empty(0))
        with progress_bar("rendering the video", total=len(trial.time)) as bar:
            for i, time in enumerate(trial.time):
                bones = trial.orientation[i], trial.position[i]
                # A subject who keeps still is drawn once; the noise of the sensor still changes.
                if not all(np.array_equal(*pair) for pair in zip(bones, drawn, strict=True)):
                    mesh.points = skinned(body, *bones, dressed)
                    mesh.point_data["Normals"] = _normals(np.asarray(mesh.points), body.faces)
                    mesh.point_data.active_normals_name = "Normals"
                    plotter.render()
                    image = plotter.screenshot(return_img=True)
                    drawn = bones
                yield float(time), sensor.take(image[..., :3])
                bar.update()
    finally:
        plotter.close()


class Sensor:
    """The effect of the lens and sensor on pictures.

    The noise of a given frame is always the same.
    """

    def __init__(self, look: Look, width: int, height: int) -> None:
        self._look = look
        self._rng = np.random.default_rng(0)
        # One noise field behind a window that jumps: as good as new noise, and much faster.
        size = (height + 64, width + 64, 3)
        field = look.noise * self._rng.standard_normal(size, dtype=np.float32)
        self._field = np.rint(field).astype(np.int16)

    def take(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return a picture as the sensor records it, as the next frame of a video."""
        import cv2

        look, picture = self._look, np.ascontiguousarray(image, dtype=np.uint8)
        if look.exposure != 0:
            picture = cv2.convertScaleAbs(picture, alpha=2.0**look.exposure)
        if look.blur > 0:
            picture = cv2.GaussianBlur(picture, (0, 0), look.blur)
        if look.noise > 0:
            down, aside = self._rng.integers(0, 64, 2)
            window = self._field[down : down + len(picture), aside : aside + picture.shape[1]]
            picture = cv2.add(picture, np.ascontiguousarray(window), dtype=cv2.CV_8U)
        return picture


def _normals(points: Array, faces: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return vertex normals, the area-weighted mean of the faces around each vertex."""
    a, b, c = (points[faces[:, k]] for k in range(3))
    normal = np.cross(b - a, c - a)
    total = np.stack(
        [
            sum(np.bincount(faces[:, k], normal[:, j], minlength=len(points)) for k in range(3))
            for j in range(3)
        ],
        axis=1,
    )
    length = np.linalg.norm(total, axis=1, keepdims=True)
    return (total / np.where(length > 0, length, 1.0)).astype(np.float32)


def _starts(bone: NDArray[np.str_], *prefixes: str) -> NDArray[np.bool_]:
    result: NDArray[np.bool_] = np.any([np.char.startswith(bone, p) for p in prefixes], axis=0)
    return result


def _garments(
    body: Body, bone: NDArray[np.str_], look: Look
) -> dict[str, Callable[[Array], Array]]:
    """Return for each garment a function of points: metres inside its edge, NaN on other parts."""
    arm = _starts(bone, "upperarm", "lowerarm", "wrist", "finger", "metacarpal")
    leg = _starts(bone, "upperleg", "lowerleg", "foot", "toe")
    head = bone == "head"
    trunk = ~arm & ~leg & ~head & (bone != "eye")
    hip, knee, ankle = (body.joint(name, "left")[1] for name in ("hip", "knee", "ankle"))
    waist = hip + 0.07
    neck = body.heads[body.bone("neck01")]
    at_rest = body.vertices
    eye = at_rest[bone == "eye"][:, 1].mean()
    crown = at_rest[:, 1].max()
    sleeve_end = {"short": 0.5, "long": 1.85}[look.sleeves]
    hem = {"short": knee + 0.09, "long": ankle + 0.05}[look.legs]
    face, nape = at_rest[head][:, 2].max(), at_rest[head][:, 2].min()

    def sleeve(points: Array) -> Array:
        sides = []
        for side in ("left", "right"):
            shoulder, elbow = body.joint("shoulder", side), body.joint("elbow", side)
            length = float(np.linalg.norm(elbow - shoulder))
            along = (points - shoulder) @ ((elbow - shoulder) / length)
            mine = arm & (np.sign(at_rest[:, 0]) == np.sign(shoulder[0]))
            sides.append(np.where(mine, sleeve_end * length - along, -np.inf))
        return np.where(arm, np.maximum(*sides), np.nan)

    def shirt(points: Array) -> Array:
        collar = neck[1] + 0.012 - points[:, 1] - 0.45 * (points[:, 2] - neck[2])
        return np.where(trunk, np.minimum(collar, points[:, 1] - waist), np.nan)

    def shorts(points: Array) -> Array:
        inside = np.minimum(points[:, 1] - hem, waist - points[:, 1])
        return np.where(leg | trunk, inside, np.nan)

    def shoes(points: Array) -> Array:
        return np.where(leg, ankle + 0.005 - points[:, 1], np.nan)

    def hair(points: Array) -> Array:
        behind = face - 0.45 * (face - nape) - points[:, 2]
        top = points[:, 1] - (eye + 0.40 * (crown - eye) - 0.5 * behind)
        back = np.minimum(behind - 0.045, points[:, 1] - (eye - 0.05))
        crown_part = np.minimum(top, points[:, 1] - eye - 0.02)
        return np.where(head, np.maximum(crown_part, back), np.nan)

    return {"shirt": shirt, "sleeve": sleeve, "shorts": shorts, "shoes": shoes, "hair": hair}


def _snapped(points: Array, edges: NDArray[np.int64], inside: Callable[[Array], Array]) -> Array:
    """Move the nearer end of each edge that a seam crosses onto the seam, to straighten it."""
    value = inside(points)
    a, b = edges[:, 0], edges[:, 1]
    cut = value[a] * value[b] < 0  # false for NaN
    a, b = a[cut], b[cut]
    near = np.abs(value[a]) < np.abs(value[b])
    a, b = np.where(near, a, b), np.where(near, b, a)
    share = value[a] / (value[a] - value[b])
    moved = points.copy()
    moved[a] = points[a] + share[:, None] * (points[b] - points[a])
    return moved


def _dressed(body: Body, look: Look) -> tuple[Array, NDArray[np.uint8]]:
    """Return the mesh at rest with thick clothes and hair, and a colour for each face."""
    # The name, without side, of the bone that moves each vertex most.
    bone = np.array([name.rsplit(".", 1)[0] for name in body.bones])[body.main_bones]
    garments = _garments(body, bone, look)
    edges = np.concatenate([body.faces[:, [0, 1]], body.faces[:, [1, 2]], body.faces[:, [2, 0]]])
    edges = np.unique(np.sort(edges, axis=1), axis=0)
    points = body.vertices
    for inside in garments.values():
        points = _snapped(points, edges, inside)
    worn = {name: inside(points) for name, inside in garments.items()}

    shoes = worn["shoes"] > 0
    points = np.where(shoes[:, None], _relaxed(points, edges, shoes), points)
    normals = _normals(points, body.faces).astype(np.float64)
    cloth = dict.fromkeys(("shirt", "sleeve", "shorts"), look.loose_m)
    metres = {"shirt": 0.008, "sleeve": 0.008, "shorts": 0.012, "shoes": 0.011, "hair": 0.010}
    metres = {name: metre + cloth.get(name, 0.0) for name, metre in metres.items()}
    thickness = np.zeros(len(points))
    for name, value in worn.items():
        thickness = np.maximum(thickness, np.where(value >= -1e-9, metres[name], 0.0))
    points = points + thickness[:, None] * normals
    points[:, 1] = np.maximum(points[:, 1], 0.0)

    paint = np.tile(np.array(look.skin, dtype=np.float64), (len(points), 1))
    paint[bone == "eye"] = (240, 238, 234)
    for sign in (1.0, -1.0):
        ball = (bone == "eye") & (sign * points[:, 0] > 0)
        front = points[ball][points[ball][:, 2].argmax()]
        iris = ball & (np.linalg.norm(points - front, axis=1) < 0.006)
        paint[iris] = (52, 36, 28)
        brow = (bone == "head") & (np.abs(points[:, 1] - front[1] - 0.024) < 0.005)
        brow &= (np.abs(points[:, 0] - front[0]) < 0.022) & (points[:, 2] > front[2] - 0.02)
        paint[brow] = look.hair
    corner = paint[body.faces]
    # The colour that two of the three corners share, so that edges stay sharp.
    same = (corner[:, 1] == corner[:, 2]).all(axis=1)
    colours = np.where(same[:, None], corner[:, 1], corner[:, 0])
    colour_of = {
        **{name: getattr(look, name) for name in worn if name != "sleeve"},
        "sleeve": look.shirt,
    }
    for name, value in worn.items():
        at = value[body.faces]
        covered = ~np.isnan(at).all(axis=1) & (np.nanmean(np.nan_to_num(at), axis=1) > 0)
        colours[covered] = colour_of[name]
    return points, colours.astype(np.uint8)


def _relaxed(points: Array, edges: NDArray[np.int64], is_relaxed: NDArray[np.bool_]) -> Array:
    """Average over the neighbours, many times, so that toes become the front of a shoe."""
    both = is_relaxed[edges].all(axis=1)
    a, b = edges[both].T
    count = np.bincount(a, minlength=len(points)) + np.bincount(b, minlength=len(points))
    fixed = ~is_relaxed | (count == 0)
    seam = np.zeros(len(points), dtype=bool)
    seam[edges[~both].ravel()] = True
    fixed |= seam
    smooth = points
    for _ in range(40):
        total = np.stack(
            [
                np.bincount(a, smooth[b, j], minlength=len(points))
                + np.bincount(b, smooth[a, j], minlength=len(points))
                for j in range(3)
            ],
            axis=1,
        )
        mean = total / np.maximum(count, 1)[:, None]
        smooth = np.where(fixed[:, None], points, mean)
    return smooth


def _room(camera: Camera, look: Look, width: int, height: int, samples: int) -> Any:
    # VTK tries an X server first and complains if there is none.
    os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
    try:
        import pyvista
    except ImportError:
        raise BadInputError(
            "the virtual lab needs its extra; install it with: pip install "
            "'mobility-workbench[virtual-lab]'"
        ) from None

    plotter = pyvista.Plotter(off_screen=True, window_size=(width, height), lighting="none")
    if samples > 1:
        plotter.enable_anti_aliasing("msaa", multi_samples=samples)
    plotter.set_background([c / 255 for c in look.wall])
    turn = np.radians(camera.azimuth)
    towards = np.array([np.sin(turn), 0.0, np.cos(turn)])
    aside = np.array([np.cos(turn), 0.0, -np.sin(turn)])
    up = np.array([0.0, 1.0, 0.0])
    towards_subject = -towards

    def place(along: float, across: float, y: float) -> Array:
        return -along * towards + across * aside + y * up

    def box(lower: tuple[float, float, float], upper: tuple[float, float, float]) -> Any:
        block = pyvista.Box((lower[1], upper[1], lower[2], upper[2], -upper[0], -lower[0]))
        matrix = np.eye(4)
        matrix[:3, :3] = np.stack([aside, up, towards], axis=1)
        return block.transform(matrix, inplace=False)

    def add(mesh: Any, colour: tuple[int, ...], ambient: float = 0.45) -> None:
        plotter.add_mesh(mesh, color=[c / 255 for c in colour], ambient=ambient, diffuse=0.6)

    def darker(colour: tuple[int, ...], by: float) -> tuple[int, ...]:
        return tuple(int(c * by) for c in colour)

    wall = 1.6
    add(box((wall, -6, 0), (wall + 0.1, 6, 3.2)), look.wall)
    add(box((wall - 0.02, -6, 0), (wall, 6, 0.10)), (236, 234, 228))
    add(box((-6, -6, -0.05), (wall, 6, -0.002)), look.floor)
    for i in range(-30, 31):
        x = 0.19 * i
        add(box((-6, x - 0.003, -0.002), (wall, x + 0.003, -0.001)), darker(look.floor, 0.8))
    for lower, upper in _pattern(look):
        add(box((wall - 0.01, *lower), (wall - 0.001, *upper)), darker(look.wall, 0.72))
    rng = np.random.default_rng(look.clutter_seed)
    for _ in range(look.clutter):
        size = rng.uniform((0.1, 0.15, 0.2), (0.4, 0.9, 1.6))
        corner = rng.uniform((0.75, -2.6, 0.0), (1.15, 2.2, 0.0))
        stands = rng.random() < 0.6  # the others hang on the wall
        if not stands:
            corner, size = np.array([wall - 0.05, corner[1], rng.uniform(0.9, 2.0)]), size * 0.5
            size[0] = 0.03
        colour = tuple(int(c) for c in rng.integers(30, 235, 3))
        add(box(tuple(corner), tuple(corner + size)), colour)
    # Furniture that shows the height of the camera, away from the person.
    add(box((wall - 0.04, 0.75, 0.0), (wall, 1.6, 2.05)), (170, 142, 112))
    add(box((wall - 0.03, -1.5, 1.25), (wall, -0.75, 1.85)), (92, 116, 124))
    for radius, shade in ((0.46, 0.93), (0.38, 0.87), (0.30, 0.80)):
        disc = pyvista.Disc(
            center=(0, 0.0006 + 0.0004 * (0.5 - radius), 0.04), inner=0, outer=radius,
            normal=(0, 1, 0), c_res=48,
        )  # fmt: skip
        add(disc, darker(look.floor, shade))

    def light(position: Array, brightness: float) -> None:
        plotter.add_light(
            pyvista.Light(
                position=position,
                focal_point=(0, 1, 0),
                color="white",
                light_type="scene light",
                intensity=brightness * look.light,
            )
        )

    if look.lamp is None:
        light(place(-2.5, -2.2, 3.2), 0.75)
    else:
        around = np.radians(look.lamp)
        light(place(-3.3 * np.cos(around), 3.3 * np.sin(around), 3.2), 0.75)
    light(place(-2.5, 2.5, 2.4), 0.4 * look.fill)
    light(place(1.0, 0.5, 3.5), 0.25 * look.fill)
    eye = place(-camera.distance_m, camera.across_m, camera.height_m)
    plotter.camera.position = eye
    tilt, roll = np.radians(camera.tilt), np.radians(camera.roll)
    plotter.camera.focal_point = eye + camera.distance_m * (
        np.cos(tilt) * towards_subject + np.sin(tilt) * up
    )
    upright = np.cos(tilt) * up - np.sin(tilt) * towards_subject
    plotter.camera.up = np.cos(roll) * upright + np.sin(roll) * aside
    plotter.camera.view_angle = camera.field_of_view
    plotter.camera.clipping_range = (0.2, 30.0)
    return plotter


def _pattern(look: Look) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """Return the corners (across, up) of the darker fields of the wall, in metres."""
    wide, top = 0.25, 3.2
    stripes = [-6 + 2 * wide * i for i in range(24)]
    if look.pattern == "stripes":
        return [((x, 0.1), (x + wide, top)) for x in stripes]
    if look.pattern == "checks":
        rows = [0.1 + wide * j for j in range(12)]
        return [
            ((x + wide * (j % 2), y), (x + wide * (j % 2) + wide, y + wide))
            for x in stripes[6:18]
            for j, y in enumerate(rows)
        ]
    return []
