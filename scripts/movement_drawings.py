"""Draw how to film each movement, and list the movements in docs/single-joints.md.

``python scripts/movement_drawings.py``. The left part of a drawing is the picture that the camera
takes: the limb that moves, where it starts (dashed) and how it turns. The right part shows person
and camera from above.
"""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from mobility import tables
from mobility.assessment.movements import TABLE, how_to_film
from mobility.assessment.reference_ranges import reference_range
from mobility.base.formatting import capital, spoken

PROJECT = Path(__file__).resolve().parents[1]
PAGE = PROJECT / "docs" / "single-joints.md"
RULES = "For all movements:"
MARKS = "<!-- made by scripts/movement_drawings.py -->\n", "<!-- end -->\n"

Point = tuple[float, float]

INK, MOVES, STARTS, FAINT, THINGS = "#444444", "#0072B2", "#7FB8D8", "#B8B8B8", "#D9D1C2"
WIDTH, HEIGHT, FRAME, MARGIN = 360, 240, 224, 20

LENGTHS = {"trunk": 50, "upper_arm": 29, "forearm": 32, "thigh": 42, "shank": 40}
HEAD, TO_HEAD, FOOT, SHOULDER, HIP = 10, 18, 19, 17, 9

REST = {"trunk": 0, "neck": 0, "arm": 4, "elbow": 6, "hip": 0, "knee": 0, "ankle": 0}
SEATED = {**REST, "hip": 90, "knee": 90}


class Scene(NamedTuple):
    """How a movement looks: angles of the joints at start and end, in degrees.

    `chain` lists the points that move. The arrow turns about the first of them, or about `about`,
    between the directions in `arc` (0 down, 90 forwards or outwards), at the distance `radius`.
    """

    posture: str
    start: dict[str, float]
    end: dict[str, float]
    chain: tuple[str, ...]
    arc: tuple[float, float]
    radius: float
    about: str = ""


FOREARM, ARM = ("elbow", "hand"), ("shoulder", "elbow", "hand")
SOLE = ("ankle", "heel", "toe", "ankle")
SHANK, LEG = ("knee", *SOLE), ("hip", "knee", *SOLE)
SCENES = {
    "elbow_flexion": Scene(
        "sitting", {"arm": 15, "elbow": 3}, {"arm": 15, "elbow": 138}, FOREARM, (18, 153), 20
    ),
    "elbow_extension": Scene(
        "standing", {"arm": 50, "elbow": 110}, {"arm": 50, "elbow": -3}, FOREARM, (160, 47), 20
    ),
    "shoulder_flexion": Scene("sitting", {}, {"arm": 168, "elbow": 0}, ARM, (8, 168), 38),
    "shoulder_extension": Scene("standing", {}, {"arm": -52, "elbow": 0}, ARM, (4, -52), 42),
    "shoulder_abduction": Scene("sitting", {"arm": 8}, {"arm": 165}, ARM, (14, 165), 36),
    "hip_flexion": Scene("supine", {}, {"hip": 118, "knee": 125}, LEG, (0, 118), 26),
    "hip_extension": Scene("prone", {}, {"hip": -22}, LEG, (0, -22), 62),
    "hip_abduction": Scene("standing", {"leg": 0}, {"leg": 40}, LEG, (0, 40), 56),
    "knee_flexion": Scene("supine", {}, {"hip": 62, "knee": 130}, LEG, (62, -68), 20, "knee"),
    "knee_extension": Scene("sitting", {}, {"knee": -2}, SHANK, (0, 92), 30),
    "ankle_dorsiflexion": Scene("sitting", {}, {"ankle": 24}, SOLE, (80, 108), 34),
    "ankle_plantarflexion": Scene("sitting", {}, {"ankle": -45}, SOLE, (72, 30), 34),
    "ankle_dorsiflexion_weight_bearing": Scene(
        "standing",
        {"hip": 20, "knee": 20},
        {"hip": 50, "knee": 88, "ankle": 38},
        ("ankle", "knee"),
        (180, 142),
        27,
    ),
    "trunk_lateral_flexion": Scene(
        "standing", {}, {"trunk": 30}, ("hips", "shoulders", "head"), (180, 150), 44
    ),
    "neck_lateral_flexion": Scene(
        "sitting", {}, {"neck": 38}, ("shoulders", "head"), (180, 142), 36
    ),
}


def towards(origin: Point, degrees: float, length: float) -> Point:
    """Go from a point in a direction: 0 is down, 90 to the right, y upwards."""
    angle = math.radians(degrees)
    return origin[0] + length * math.sin(angle), origin[1] - length * math.cos(angle)


def limb(points: dict[str, Point], names: tuple[str, ...], steps: list[Point]) -> None:
    """Add points one after another, each a direction and a length from the one before."""
    for (before, name), (degrees, length) in zip(pairwise(names), steps, strict=True):
        points[name] = towards(points[before], degrees, length)


def from_the_side(pose: dict[str, float]) -> dict[str, Point]:
    """Return the points of a person who looks to the right."""
    points: dict[str, Point] = {"hip": (0, 0)}
    points["shoulder"] = towards((0, 0), 180 - pose["trunk"], LENGTHS["trunk"])
    points["head"] = towards(points["shoulder"], 180 - pose["trunk"] - 8, TO_HEAD)
    forearm = pose["elbow"] + pose["arm"]
    steps = [(pose["arm"], LENGTHS["upper_arm"]), (forearm, LENGTHS["forearm"])]
    limb(points, ("shoulder", "elbow", "hand"), steps)
    shank = pose["hip"] - pose["knee"]
    limb(points, ("hip", "knee", "ankle"), [(pose["hip"], 42), (shank, LENGTHS["shank"])])
    foot = shank + 90 + pose["ankle"]
    sole = towards(points["ankle"], foot - 90, 8)
    points["heel"], points["toe"] = towards(sole, foot + 180, 6), towards(sole, foot, FOOT)
    return points


def from_the_front(pose: dict[str, float], *, outwards: int) -> dict[str, Point]:
    """Return the points of a person who faces the camera; `outwards` is 1 on the right side."""
    lean = 180 - pose["trunk"]
    points: dict[str, Point] = {"hips": (0, 0), "hip": (outwards * HIP, 0)}
    points["shoulders"] = towards((0, 0), lean, LENGTHS["trunk"])
    points["shoulder"] = towards(points["shoulders"], lean - 90, outwards * SHOULDER)
    points["head"] = towards(points["shoulders"], lean - pose["neck"], TO_HEAD + 4)
    arm = outwards * pose["arm"]
    steps = [(arm, LENGTHS["upper_arm"]), (arm, LENGTHS["forearm"])]
    limb(points, ("shoulder", "elbow", "hand"), steps)
    leg = outwards * pose.get("leg", 0)
    thigh, shank = (22, LENGTHS["shank"]) if pose["hip"] else (42, LENGTHS["shank"])
    limb(points, ("hip", "knee", "ankle"), [(leg, thigh), (leg if thigh > 22 else 0, shank)])
    points["heel"] = points["ankle"]
    points["toe"] = towards(points["ankle"], leg + outwards * 35, 9)
    return points


def line(points: list[Point], colour: str, width: float = 5, extra: str = "") -> str:
    """Draw a line with round ends."""
    places = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return (
        f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="{width:g}" '
        f'stroke-linecap="round" stroke-linejoin="round"{extra}/>'
    )


def circle(place: Point, radius: float, fill: str, extra: str = "") -> str:
    """Draw a circle."""
    return (
        f'<circle cx="{place[0]:.1f}" cy="{place[1]:.1f}" r="{radius:.1f}" fill="{fill}"{extra}/>'
    )


def box(x: float, y: float, width: float, height: float, fill: str, extra: str = "") -> str:
    """Draw a rectangle with round corners."""
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="4" '
        f'fill="{fill}"{extra}/>'
    )


def draw(name: str, entry: dict[str, Any]) -> str:
    """Return the drawing of a movement as SVG."""
    scene = SCENES[name]
    front = entry["view"] == "front"
    rest = SEATED if scene.posture == "sitting" else REST
    turn = {"supine": 90, "prone": -90}.get(scene.posture, 0)

    def person(pose: dict[str, float], outwards: int = 1) -> dict[str, Point]:
        both = {**rest, **pose}
        if front:
            return from_the_front(both, outwards=outwards)
        points = from_the_side(both)
        angle = math.radians(turn)
        return {
            key: (
                x * math.cos(angle) - y * math.sin(angle),
                x * math.sin(angle) + y * math.cos(angle),
            )
            for key, (x, y) in points.items()
        }

    start, end = person(scene.start), person(scene.end)
    trunk = {key: value for key, value in scene.end.items() if key in ("trunk", "neck")}
    other = person(trunk, -1)
    if name.endswith("weight_bearing"):  # the other leg stays behind, the foot keeps its place
        other = person({"hip": -42, "knee": 5, "ankle": 40})
        shift = end["ankle"][0] - start["ankle"][0], end["ankle"][1] - start["ankle"][1]
        start = {key: (x + shift[0], y + shift[1]) for key, (x, y) in start.items()}
    places = [*start.values(), *end.values(), *other.values()]
    reach = HEAD + 3
    low = [min(p[i] for p in places) - (reach if turn or i else 8) for i in (0, 1)]
    high = [max(p[i] for p in places) + reach for i in (0, 1)]
    scale = min((FRAME - 2 * MARGIN) / max(high[i] - low[i] for i in (0, 1)), 1.7)
    middle = [(low[i] + high[i]) / 2 for i in (0, 1)]

    def at(point: Point) -> Point:
        centre = 8 + FRAME / 2
        return centre + scale * (point[0] - middle[0]), centre - scale * (point[1] - middle[1])

    def path(points: dict[str, Point], names: tuple[str, ...]) -> list[Point]:
        return [at(points[each]) for each in names]

    parts = [box(0, 0, WIDTH, HEIGHT, "#FFFFFF")]  # for pages with a dark ground
    parts.append(box(8, 8, FRAME, FRAME, "none", f' stroke="{INK}" stroke-width="2"'))
    lunge, hangs = name.endswith("bearing"), scene.chain == SOLE
    parts += things(scene.posture, end, other, at, scale, front=front, wall=lunge, hangs=hangs)
    far = [("shoulder", "elbow", "hand"), ("hip", "knee", "ankle", "heel", "toe", "ankle")]
    parts += [line(path(other, each), INK if front else FAINT) for each in far]
    if front:
        parts.append(line([at(other["shoulder"]), at(end["shoulder"])], INK))
        parts.append(line([at(other["hip"]), at(end["hip"])], INK))
        parts.append(line([at(end["hips"]), at(end["shoulders"]), at(end["head"])], INK))
    else:
        parts.append(line(path(end, ("hip", "shoulder", "head")), INK))
    parts += [line(path(end, each), INK) for each in far]
    moved_head = scene.chain[-1] == "head"
    head = circle(at(end["head"]), scale * HEAD, MOVES if moved_head else INK)
    head += "".join(face(end, at, scale, front=front, turn=turn))
    parts += [] if moved_head else [head]
    parts.append(line(path(start, scene.chain), STARTS, 4, ' stroke-dasharray="1 8"'))
    if moved_head:
        ghost = f' stroke="{STARTS}" stroke-width="3" stroke-dasharray="1 6" stroke-linecap="round"'
        parts.append(circle(at(start["head"]), scale * HEAD, "none", ghost))
    parts.append(line(path(end, scene.chain), MOVES, 6))
    parts += [head] if moved_head else []
    for side, names in ((end, entry["landmarks"]), (other, entry["other_side"])):
        for each in names:
            key = {"wrist": "hand", "foot_index": "toe"}.get(each, each)
            if key in side:
                dot = f' stroke="{INK}" stroke-width="1.5"'
                parts.append(circle(at(side[key]), 3.2, "#FFFFFF", dot))
    parts.append(arc(end[scene.about or scene.chain[0]], scene, turn, at))
    parts += from_above(scene.posture, front=front)
    title = f"{capital(spoken(name))}, filmed from the {entry['view']}"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
            f'viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
            f"<title>{title}</title>",
            '<defs><marker id="tip" viewBox="0 0 10 10" refX="6" refY="5" markerWidth="5" '
            'markerHeight="5" orient="auto">',
            f'<path d="M0 0L10 5L0 10z" fill="{MOVES}"/></marker></defs>',
            *parts,
            "</svg>\n",
        ]
    )


def face(points: dict[str, Point], at: Any, scale: float, *, front: bool, turn: int) -> list[str]:
    """Draw the eyes from the front, or the nose from the side."""
    head = points["head"]
    if front:
        up = math.degrees(
            math.atan2(head[0] - points["shoulders"][0], head[1] - points["shoulders"][1])
        )
        eyes = [towards(towards(head, 90 - up, side * 4), 180 - up, 2) for side in (-1, 1)]
        return [circle(at(eye), 0.16 * HEAD * scale, "#FFFFFF") for eye in eyes]
    nose = [
        towards(head, 90 + turn + off, HEAD + far) for off, far in ((-22, -1), (0, 5), (22, -1))
    ]
    return [line([at(each) for each in nose], INK, 2, f' style="fill:{INK}"')]


def arc(joint: Point, scene: Scene, turn: int, at: Any) -> str:
    """Draw the turn about the joint as an arrow."""
    first, last = (each + turn for each in scene.arc)
    steps = [first + (last - first) * k / 24 for k in range(25)]
    places = [at(towards(joint, each, scene.radius)) for each in steps]
    return line(places, MOVES, 2.5, ' marker-end="url(#tip)"')


def things(
    posture: str,
    end: dict[str, Point],
    other: dict[str, Point],
    at: Any,
    scale: float,
    *,
    front: bool,
    wall: bool,
    hangs: bool,
) -> list[str]:
    """Draw what the person lies, sits or stands on."""
    if posture in ("supine", "prone"):
        left, right = (f(p[0] for p in (*end.values(), *other.values())) for f in (min, max))
        x, y = at((left - HEAD, -5))
        return [box(x, y, scale * (right - left + 2 * HEAD), 9, THINGS)]
    floor = min(p[1] for p in (*end.values(), *other.values()))
    foot = at((0, floor - (14 if hangs else 2)))[1] + 3
    found = [box(14, foot, FRAME - 12, 4, THINGS)]
    if posture == "sitting" and front:
        x, y = at((-28, -4))
        found.append(box(x, y, 56 * scale, 7, THINGS))
    elif posture == "sitting":
        x, y = at((-16, -4))
        found += [box(x, y, 44 * scale, 7, THINGS), box(x, y, 7, foot - y, THINGS)]
    if wall:
        x, y = at((end["toe"][0] + 9, 70))
        found.append(box(x, y, 6, foot - y, THINGS))
    return found


def from_above(posture: str, *, front: bool) -> list[str]:
    """Draw the person and the camera from above, the camera below."""
    x, y, camera = 296, 92, 196
    cone = f"M{x} {camera - 8}L{x - 34} {y + 4}L{x + 34} {y + 4}z"
    parts = [f'<path d="{cone}" fill="#DCEBF5"/>']
    if posture in ("supine", "prone"):
        way = -1 if posture == "supine" else 1
        parts.append(box(x - 46, y - 17, 92, 34, THINGS))
        parts += [
            line([(x - way * 2, y + side), (x - way * 38, y + side)], INK) for side in (-6, 6)
        ]
        parts.append(f'<ellipse cx="{x + way * 12}" cy="{y}" rx="15" ry="13" fill="{INK}"/>')
        parts.append(circle((x + way * 33, y), 9, INK))
    else:
        rx, ry = (22, 9) if front else (9, 22)
        nose = (x, y + 15) if front else (x + 15, y)
        if posture == "sitting":
            parts.append(box(x - 17, y - 20, 38, 40, THINGS))
        parts.append(f'<ellipse cx="{x}" cy="{y}" rx="{rx}" ry="{ry}" fill="{FAINT}"/>')
        parts += [line([(x, y), nose], INK, 5), circle((x, y), 10, INK)]
    parts.append(box(x - 15, camera - 6, 30, 12, INK))
    parts.append(circle((x, camera - 6), 4.5, INK))
    style = 'font-family="sans-serif" font-size="12" text-anchor="middle"'
    parts += [
        f'<text x="{x}" y="24" fill="{INK}" {style}>from above</text>',
        f'<text x="{x}" y="{camera + 24}" fill="{INK}" {style}>camera</text>',
    ]
    return parts


ERRORS = {
    "limits": "95 % of the errors within {}° of a radiograph",
    "agreement": "95 % of the differences between two examiners within {}° of their mean",
    "mdc": "smallest detectable change {}°",
    "change": "smallest detectable change {}°",
    None: "",
}
HEAD_OF_TABLE = """
| movement | how to film, and what counts | published range, and errors of a goniometer |
|---|---|---|
"""


def published(entry: dict[str, Any]) -> tuple[str, str]:
    """Return a published range, and the people on whom it was measured."""
    kinds = (entry["range"]["kind"], "passive", "unstated")
    found = (
        reference_range(entry["range"]["angle"], sex="male", age=30, kind=kind) for kind in kinds
    )
    usual = next(each for each in found if each is not None)
    sd = "" if math.isnan(usual.sd) else f" ± {usual.sd:g}"
    whom = "" if usual.n is None else f", {usual.sample}"
    if usual.age is not None:
        whom = f", {usual.sex}s from {usual.age[0]} to {usual.age[1]} years"
    kind = usual.statistic if usual.kind == "unstated" else usual.kind.replace("_", "-")
    return f"{usual.mean:g}{sd}°", f"{kind}{whom}; {usual.source.split(',')[0]}"


def listed(name: str, entry: dict[str, Any], usual: str) -> str:
    """Return the row of a movement; `usual` is stated below the table, and not in each row."""
    title = capital(spoken(name))
    drawing = how_to_film(name).drawing.relative_to(PROJECT).as_posix()
    error = entry["goniometer_error_deg"]
    goniometer = ERRORS[error["kind"]].format(error["value"])
    value, source = published(entry)
    cells = [
        f"![{title}, filmed from the {entry['view']}](../{drawing}) **{title}** `{name}`",
        f"{entry['film']} ({capital(', '.join(entry['postures']))}.)<br>Zero: {entry['zero']}; "
        f"{entry['sign']}.",
        (value if source == usual else f"{value} ({source})")
        + (goniometer and f".<br>Goniometer: {goniometer}."),
    ]
    return f"| {' | '.join(cells)} |\n"


def page(text: str) -> str:
    """Return the page with the current rules and the current table of movements."""
    movements = tables.load(TABLE)
    sources = [published(entry)[1] for entry in movements.values()]
    usual = max(sources, key=sources.count)
    rows = "".join(listed(name, entry, usual) for name, entry in movements.items())
    rules = "".join(f"- {line}\n" for line in tables.load("filming")["rules"]["lines"])
    below = f"Published ranges: {usual}. A row names another study if its range comes from there."
    before, rest = text.split(MARKS[0])
    after = rest.split(MARKS[1])[1]
    made = f"{RULES}\n\n{rules}{HEAD_OF_TABLE}{rows}\n{below}\n\n"
    return f"{before}{MARKS[0]}\n{made}{MARKS[1]}{after}"


def main() -> None:
    """Write the drawings beside the code that serves them, and the page."""
    for name, entry in tables.load(TABLE).items():
        drawing = how_to_film(name).drawing
        drawing.parent.mkdir(exist_ok=True)
        drawing.write_text(draw(name, entry), encoding="utf-8")
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
