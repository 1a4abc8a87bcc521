"""Draw the exercises that are advised, one picture for each entry of the tables ``advice``.

``python scripts/drill_drawings.py``. Side views face right. Each figure is a chain of segments of
fixed lengths, so all people have the same proportions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from mobility.assessment.comments import all_work, drawing_of

Point = tuple[float, float]

WIDTH, HEIGHT, FLOOR = 220.0, 170.0, 158.0
TRUNK, HEAD, THIGH, SHANK, FOOT, ARM, FOREARM = 48.0, 15.0, 40.0, 40.0, 15.0, 27.0, 25.0
INK, FAR, MOVED, THING = "#444444", "#B0B0B0", "#0072B2", "#D9D1C2"


def ahead(start: Point, *segments: tuple[float, float]) -> list[Point]:
    """Go from a point along (direction, length); 0 degrees is up, 90 to the right."""
    points = [start]
    for direction, length in segments:
        x, y = points[-1]
        angle = math.radians(direction)
        points.append((x + length * math.sin(angle), y - length * math.cos(angle)))
    return points


def line(points: list[Point], colour: str = INK, width: float = 6.0) -> str:
    """Draw a line through points."""
    places = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return (
        f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="{width:g}" '
        'stroke-linecap="round" stroke-linejoin="round"/>'
    )


def disc(centre: Point, radius: float, colour: str = INK) -> str:
    """Draw a disc."""
    return f'<circle cx="{centre[0]:.1f}" cy="{centre[1]:.1f}" r="{radius:g}" fill="{colour}"/>'


def box(x: float, y: float, width: float, height: float, colour: str = THING) -> str:
    """Draw a rectangle."""
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="2" '
        f'fill="{colour}"/>'
    )


def arrow(start: Point, end: Point) -> str:
    """Draw an arrow that shows where something moves."""
    (x0, y0), (x1, y1) = start, end
    angle = math.degrees(math.atan2(x1 - x0, y0 - y1))
    wings = [ahead(end, (angle + turn, 9.0))[1] for turn in (150.0, -150.0)]
    return line([start, end], MOVED, 3.0) + line([wings[0], end, wings[1]], MOVED, 3.0)


def mirror() -> str:
    """Draw a mirror behind somebody who is seen from the front."""
    return (
        f'<rect x="62" y="8" width="96" height="{FLOOR - 8:g}" rx="3" fill="#EAF3F9" '
        'stroke="#7FB8D8" stroke-width="2"/>'
    )


def wall(x: float) -> str:
    """Draw a wall on the right."""
    return box(x, 12.0, 10.0, FLOOR - 12.0)


def side_view(
    hip: Point,
    trunk: float,
    near: tuple[float, float],
    far: tuple[float, float] | None = None,
    *,
    arms: tuple[float, float] = (175.0, 170.0),
    feet: tuple[float, float] = (90.0, 90.0),
    head: float | None = None,
) -> str:
    """Draw somebody from the side: directions of trunk, thighs and shanks, arms, feet and head."""
    neck = ahead(hip, (trunk, TRUNK))[1]
    legs = [(near, INK, feet[0])] if far is None else [(far, FAR, feet[1]), (near, INK, feet[0])]
    drawn = [
        line(ahead(hip, (thigh, THIGH), (shank, SHANK), (foot, FOOT)), colour)
        for (thigh, shank), colour, foot in legs
    ]
    drawn.append(line([hip, neck]))
    drawn.append(line(ahead(neck, (arms[0], ARM), (arms[1], FOREARM)), MOVED, 5.0))
    drawn.append(disc(ahead(neck, (trunk if head is None else head, HEAD))[1], 9.0))
    return "".join(drawn)


def on_floor(
    trunk: float, near: tuple[float, float], *, x: float = 100.0, lift: float = 0.0
) -> Point:
    """Find the hip from which the near foot stands on the floor at about `x`."""
    foot = ahead((0.0, 0.0), (near[0], THIGH), (near[1], SHANK))[-1]
    return (x - foot[0], FLOOR - 3.0 - lift - foot[1])


def squat(
    trunk: float = 32.0,
    legs: tuple[float, float] = (98.0, 212.0),
    *,
    arms: tuple[float, float] = (92.0, 92.0),
    x: float = 95.0,
    lift: float = 0.0,
    feet: tuple[float, float] = (90.0, 90.0),
) -> tuple[Point, str]:
    """Draw a squat from the side; also return the hip."""
    hip = on_floor(trunk, legs, x=x, lift=lift)
    return hip, side_view(hip, trunk, legs, arms=arms, feet=feet)


def front_view(
    hips: Point,
    legs: list[list[tuple[float, float]]],
    *,
    arms: list[list[tuple[float, float]]],
    lean: float = 0.0,
) -> str:
    """Draw somebody from the front; legs and arms as chains of (direction, length)."""
    x, y = hips
    neck = ahead(hips, (lean, TRUNK))[1]
    drawn = [line([(x - 9, y), (x + 9, y)])]
    drawn += [line(ahead((x + off, y), *leg)) for off, leg in zip((-9, 9), legs, strict=True)]
    drawn.append(line([hips, neck]))
    drawn.append(line([(neck[0] - 15, neck[1] + 3), (neck[0] + 15, neck[1] + 3)]))
    for off, arm in zip((-15, 15), arms, strict=True):
        drawn.append(line(ahead((neck[0] + off, neck[1] + 3), *arm), MOVED, 5.0))
    drawn.append(disc((neck[0], neck[1] - HEAD), 9.0))
    return "".join(drawn)


CROSSED = [[(150.0, 22.0), (70.0, 22.0)], [(210.0, 22.0), (290.0, 22.0)]]
SQUAT_LEGS = [
    [(232.0, 34.0), (172.0, 38.0), (250.0, 9.0)],
    [(128.0, 34.0), (188.0, 38.0), (110.0, 9.0)],
]


def _calf_stretch() -> str:
    near = (203.0, 203.0)
    hip = on_floor(18.0, near, x=62.0)
    return wall(143) + side_view(hip, 18.0, near, (146.0, 184.0), arms=(88.0, 72.0))


def _knee_to_wall() -> str:
    near = (128.0, 214.0)
    hip = on_floor(6.0, near, x=112.0)
    figure = side_view(hip, 6.0, near, (205.0, 231.0), arms=(110.0, 60.0), feet=(90.0, 92.0))
    return wall(144) + figure + arrow((hip[0] + 4, hip[1] + 30), (136.0, hip[1] + 28))


def _heel_raised_squat() -> str:
    _, figure = squat(24.0, (96.0, 214.0), x=92.0, lift=8.0, feet=(118.0, 118.0))
    return box(82, FLOOR - 9, 14, 9) + figure


def _squat_hold() -> str:
    _, figure = squat(20.0, (84.0, 214.0), arms=(84.0, 84.0), x=92.0)
    return box(140, 20, 8, FLOOR - 20) + figure


def _hip_rock_back() -> str:
    hip = (72.0, FLOOR - 28.0)
    leg = line(ahead(hip, (128.0, THIGH), (270.0, SHANK)))
    neck = ahead(hip, (92.0, TRUNK + 10))[1]
    arms = line([neck, (neck[0] + 26, FLOOR - 4), (neck[0] + 44, FLOOR - 4)], MOVED, 5.0)
    figure = line([hip, neck]) + disc((neck[0] + 15, neck[1] + 2), 9.0)
    return leg + arms + figure + arrow((hip[0] + 10, hip[1] - 20), (hip[0] - 26, hip[1] - 20))


def _quadriceps_stretch() -> str:
    hip = (104.0, FLOOR - 4.0 - THIGH)
    front = line(ahead(hip, (92.0, THIGH), (180.0, SHANK), (90.0, FOOT)), FAR)
    rear = ahead(hip, (186.0, THIGH), (308.0, SHANK))
    neck = ahead(hip, (0.0, TRUNK))[1]
    arm = line([neck, (neck[0] - 20, neck[1] + 30), rear[-1]], MOVED, 5.0)
    body = line(rear) + line([hip, neck]) + disc((neck[0], neck[1] - HEAD), 9.0)
    return box(82, FLOOR - 3, 34, 5) + front + body + arm


def _counterweight_squat() -> str:
    hip, figure = squat(24.0, (96.0, 212.0), arms=(150.0, 60.0), x=92.0)
    hand = ahead(hip, (24.0, TRUNK), (150.0, ARM), (60.0, FOREARM))[-1]
    return figure + disc((hand[0] + 7, hand[1]), 10.0, "#8A7F6C")


def _band_squat() -> str:
    figure = front_view((110.0, 98.0), SQUAT_LEGS, arms=CROSSED)
    band = line([(80.0, 114.0), (140.0, 114.0)], "#D55E00", 4.0)
    return figure + band + arrow((66, 118), (46, 118)) + arrow((154, 118), (174, 118))


def _side_steps() -> str:
    legs = [
        [(205.0, 38.0), (188.0, 38.0), (260.0, 9.0)],
        [(145.0, 38.0), (160.0, 38.0), (100.0, 9.0)],
    ]
    figure = front_view((104.0, 84.0), legs, arms=CROSSED)
    band = line([(76.0, 148.0), (136.0, 148.0)], "#D55E00", 4.0)
    return figure + band + arrow((156, 140), (192, 140))


def _split_squat() -> str:
    near = (92.0, 180.0)
    hip = on_floor(0.0, near, x=128.0)
    figure = side_view(hip, 0.0, near, (188.0, 272.0), feet=(90.0, 268.0), arms=(160.0, 60.0))
    return figure + arrow((hip[0] - 30, hip[1] - 34), (hip[0] - 30, hip[1] + 2))


def _feet_forward_squat() -> str:
    parts = []
    for x, turn in ((76.0, -14.0), (144.0, 14.0)):
        parts.append(line(ahead((x, 146.0), (turn, 124.0)), "#D55E00", 3.0))
        parts.append(
            f'<g transform="translate({x + turn * 0.9:g} 96) rotate({turn:g})">'
            f'<ellipse cx="0" cy="-16" rx="17" ry="26" fill="{INK}"/>'
            f'<ellipse cx="0" cy="26" rx="12" ry="18" fill="{INK}"/>'
            f'<rect x="-11" y="-6" width="22" height="32" fill="{INK}"/></g>'
        )
    return "".join(parts)


def _thoracic_extension() -> str:
    hip = (122.0, FLOOR - 12.0)
    leg = line(ahead(hip, (52.0, THIGH), (160.0, SHANK), (90.0, FOOT)))
    neck = ahead(hip, (292.0, 30.0), (262.0, 24.0))
    head = (neck[-1][0] - 16, neck[-1][1] + 7)
    arm = line([neck[-1], (head[0] - 6, head[1] - 26), (head[0] - 12, head[1] - 2)], MOVED, 5.0)
    roller = disc((neck[1][0] - 2, FLOOR - 11), 11.0, "#D55E00")
    return roller + leg + line(neck) + disc(head, 9.0) + arm


def _lat_stretch() -> str:
    hip = (66.0, FLOOR - 4 - THIGH)
    leg = line(ahead(hip, (174.0, THIGH), (270.0, SHANK)))
    neck = ahead(hip, (104.0, TRUNK + 6))[1]
    elbow = (neck[0] + 26, neck[1] - 10)
    arm = line([neck, elbow, (elbow[0] - 2, elbow[1] - 24)], MOVED, 5.0)
    bench = box(elbow[0] - 8, elbow[1] + 4, 60, 8) + box(
        elbow[0] + 36, elbow[1] + 8, 6, FLOOR - elbow[1] - 8
    )
    bench += box(elbow[0] - 2, elbow[1] + 8, 6, FLOOR - elbow[1] - 8)
    figure = leg + line([hip, neck]) + disc((neck[0] + 14, neck[1] + 10), 9.0) + arm
    return bench + figure + arrow((neck[0] - 14, neck[1] - 26), (neck[0] - 14, neck[1] - 8))


def _wall_squat_overhead() -> str:
    _, figure = squat(18.0, (94.0, 208.0), arms=(10.0, 10.0), x=104.0)
    return wall(142) + figure


def _slow_squat() -> str:
    hip, figure = squat(30.0, (98.0, 212.0), x=95.0)
    steps = "".join(
        f'<text x="{x}" y="34" font-family="sans-serif" font-size="20" fill="{MOVED}" '
        f'text-anchor="middle">{count}</text>'
        for x, count in ((158, 4), (178, 2), (198, 2))
    )
    return (
        box(hip[0] - 22, hip[1] + 10, 34, FLOOR - hip[1] - 10)
        + figure
        + arrow((158, 42), (158, 84))
        + line([(172, 84), (184, 84)], MOVED, 3.0)
        + arrow((198, 84), (198, 42))
        + steps
    )


def _single_leg_squat_mirror() -> str:
    legs = [
        [(188.0, 28.0), (168.0, 22.0), (200.0, 8.0)],
        [(176.0, 34.0), (184.0, 38.0), (110.0, 9.0)],
    ]
    return mirror() + front_view((102.0, 82.0), legs, arms=CROSSED)


def _lying_leg_raise() -> str:
    hip = (112.0, FLOOR - 12.0)
    neck = ahead(hip, (280.0, TRUNK))[1]
    lower = line(ahead(hip, (92.0, THIGH), (92.0, SHANK), (60.0, 10.0)), FAR)
    upper = line(ahead(hip, (62.0, THIGH), (62.0, SHANK), (40.0, 10.0)))
    arm = line([neck, (neck[0] - 22, FLOOR - 4), (neck[0] - 14, neck[1] - 12)], MOVED, 5.0)
    body = line([hip, neck]) + disc((neck[0] - 13, neck[1] - 6), 9.0)
    return lower + upper + body + arm + arrow((190, 136), (176, 106))


def _side_plank() -> str:
    shoulder = (64.0, FLOOR - 52.0)
    feet = (196.0, FLOOR - 6.0)
    arm = line([shoulder, (shoulder[0], FLOOR - 4), (shoulder[0] + 24, FLOOR - 4)], MOVED, 5.0)
    top = line([shoulder, (shoulder[0] + 16, shoulder[1] - 42)], FAR, 5.0)
    return top + line([shoulder, feet]) + disc((shoulder[0] - 14, shoulder[1] - 6), 9.0) + arm


def _sit_to_box_on_one_leg() -> str:
    near = (96.0, 204.0)
    hip = on_floor(34.0, near, x=104.0)
    figure = side_view(hip, 34.0, near, (84.0, 118.0), feet=(90.0, 30.0), arms=(92.0, 92.0))
    return box(hip[0] - 34, hip[1] + 12, 40, FLOOR - hip[1] - 12) + figure


def _seat(hip: Point, back: bool = True) -> str:
    seat = box(hip[0] - 30, hip[1] + 5, 44, 7)
    legs = box(hip[0] - 28, hip[1] + 10, 5, FLOOR - hip[1] - 10)
    legs += box(hip[0] + 7, hip[1] + 10, 5, FLOOR - hip[1] - 10)
    return seat + legs + (box(hip[0] - 30, hip[1] - 42, 6, 50) if back else "")


def _chair_rises() -> str:
    near = (92.0, 190.0)
    hip = on_floor(8.0, near, x=104.0)
    figure = side_view(hip, 8.0, near, arms=(150.0, 40.0))
    return _seat(hip) + figure + arrow((hip[0] + 66, hip[1] + 6), (hip[0] + 66, hip[1] - 50))


def _leg_strength() -> str:
    hip, figure = squat(30.0, (104.0, 206.0), arms=(165.0, 30.0), x=95.0)
    neck = ahead(hip, (30.0, TRUNK))[1]
    plate = disc((neck[0] - 6, neck[1] + 2), 17.0, "#8A7F6C") + disc((neck[0] - 6, neck[1] + 2), 4)
    return figure + plate


def _high_seat() -> str:
    near = (120.0, 196.0)
    hip = on_floor(22.0, near, x=104.0)
    figure = side_view(hip, 22.0, near, arms=(150.0, 40.0))
    return _seat(hip, back=False) + figure + arrow((168, hip[1] + 10), (168, hip[1] - 46))


def _sitting_in_front() -> str:
    legs = [
        [(206.0, 26.0), (178.0, 40.0), (230.0, 9.0)],
        [(154.0, 26.0), (182.0, 40.0), (130.0, 9.0)],
    ]
    seat = box(80, 94, 60, 8) + box(82, 100, 5, FLOOR - 100) + box(133, 100, 5, FLOOR - 100)
    return mirror() + seat + front_view((110.0, 90.0), legs, arms=CROSSED)


def _weaker_leg_back() -> str:
    near = (96.0, 214.0)
    hip = on_floor(24.0, near, x=88.0)
    figure = side_view(hip, 24.0, near, (88.0, 176.0), arms=(150.0, 40.0))
    return _seat(hip) + figure + arrow((176, hip[1] + 6), (176, hip[1] - 46))


def _box_squat_mirror() -> str:
    strip = line([(110.0, 10.0), (110.0, FLOOR)], "#D55E00", 3.0)
    seat = box(82, 108, 56, FLOOR - 108)
    return mirror() + strip + seat + front_view((110.0, 98.0), SQUAT_LEGS, arms=CROSSED)


def _two_scales() -> str:
    seat = box(82, 108, 56, FLOOR - 108)
    scales = "".join(box(110.0 + side * 30 - 17, FLOOR - 5, 34, 5, MOVED) for side in (-1, 1))
    return seat + front_view((110.0, 93.0), SQUAT_LEGS, arms=CROSSED) + scales


DRAWN: dict[str, Callable[[], str]] = {
    "calf_stretch": _calf_stretch,
    "calf_stretch_for_the_knee": _calf_stretch,
    "knee_to_wall": _knee_to_wall,
    "heel_raised_squat": _heel_raised_squat,
    "squat_hold": _squat_hold,
    "hip_rock_back": _hip_rock_back,
    "quadriceps_stretch": _quadriceps_stretch,
    "counterweight_squat": _counterweight_squat,
    "band_squat": _band_squat,
    "hip_abductor_strength": _side_steps,
    "split_squat": _split_squat,
    "feet_forward_squat": _feet_forward_squat,
    "thoracic_extension": _thoracic_extension,
    "lat_stretch": _lat_stretch,
    "wall_squat_overhead": _wall_squat_overhead,
    "slow_squat": _slow_squat,
    "single_leg_squat_mirror": _single_leg_squat_mirror,
    "hip_abductor_strength_one_leg": _lying_leg_raise,
    "side_plank": _side_plank,
    "single_leg_sit_to_box": _sit_to_box_on_one_leg,
    "chair_rises": _chair_rises,
    "leg_strength": _leg_strength,
    "high_seat_upright": _high_seat,
    "rises_in_front_of_a_mirror": _sitting_in_front,
    "weaker_leg_back": _weaker_leg_back,
    "box_squat_mirror": _box_squat_mirror,
    "two_scales": _two_scales,
}


def draw(name: str) -> str:
    """Return the drawing of an exercise as SVG."""
    title = all_work()[name]["name"]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:g} {HEIGHT:g}" role="img">\n'
        f"<title>{title[0].upper()}{title[1:]}</title>\n"
        f'<rect width="{WIDTH:g}" height="{HEIGHT:g}" rx="6" fill="#F4F6F8"/>\n'
        f"{line([(8.0, FLOOR), (WIDTH - 8, FLOOR)], '#C8CDD2', 3.0)}\n"
        f"{DRAWN[name]()}\n</svg>\n"
    )


def main() -> None:
    """Write the drawings beside the tables that advise the exercises."""
    for name in DRAWN:
        Path(drawing_of(name)).write_text(draw(name), encoding="utf-8")


if __name__ == "__main__":
    main()
