"""The terms of the fit, and the contribution of each to the normal equations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from mobility.kinematics.calibration import cross_matrix
from mobility.kinematics.fit.body import (
    ANKLES,
    DEPTH_ERRORS,
    DEPTHS,
    FEET,
    FIRST_DEPTH_ERROR,
    FIRST_FOOT,
    FIRST_LENGTH,
    FIRST_OFFSET,
    FLOOR,
    FOCAL_FACTOR,
    HEIGHT,
    HIPS,
    KNEE_BEND,
    KNEES,
    LC,
    LEGS,
    LIMBS,
    LT,
    N_COORDINATES,
    N_JOINTS,
    PITCH,
    RC,
    ROLL,
    RT,
    SCALE,
    SEGMENT_NAMES,
    SEGMENTS,
    SETTINGS,
    SHARE_OF_SEVERAL,
    SHOULDERS,
    TERMS,
    TRUNK_LEAN,
    USUAL_RATIO_SDS,
    USUAL_RATIOS,
    Array,
    component_slope,
    hip_line,
    in_radians,
    offset_directions,
    trunk_line,
    unit_vectors,
    up_of,
    up_slopes,
)
from mobility.kinematics.fit.observed import HELD_RAD, LEFT_OUT
from mobility.kinematics.fit.problem import (
    OFFSET_SD,
    Normal,
    Problem,
    View,
    usual_angles,
    with_gravity,
)


class Rows:
    """Residuals of all knots, row by row, and their derivatives with respect to the unknowns."""

    def __init__(self, n: int, shared: int, most: int = 120) -> None:
        self.count = 0
        self.cost = 0.0
        self.residual = np.zeros((n, most))
        self.weight = np.zeros((n, most))
        self.joints = np.zeros((n, most, N_JOINTS, 3))
        self.shared = np.zeros((n, most, shared))

    def add(
        self,
        residual: Array,
        weight: Array | float,
        joints: Sequence[tuple[int, Array]],
        shared: Sequence[tuple[int | slice, Array | float]] = (),
        *,
        cost: float | None = None,
    ) -> None:
        """Add one row; pass `cost` if it is not the weighted square."""
        i = self.count
        self.residual[:, i] = residual
        self.weight[:, i] = weight
        for j, slope in joints:
            self.joints[:, i, j] += slope
        for index, change in shared:
            self.shared[:, i, index] += change
        self.cost += float((weight * residual**2).sum()) if cost is None else cost
        self.count += 1


def _cauchy(square: Array, width: float) -> tuple[Array, Array]:
    """Return the factor on the weight, and the cost, for residuals with Cauchy tails."""
    return 1 / (1 + square / width**2), width**2 * np.log1p(square / width**2)


def normal_equations(problem: Problem, joints: Array, shared: Array) -> Normal:
    """Return the cost, the gradient and the Gauss-Newton Hessian at one point."""
    n, step = len(joints), problem.step
    share = step / SETTINGS["lasting"]["seconds"]
    rows = Rows(n, problem.n_shared, 120 * (1 + len(problem.views)))
    for name, add_rows in _KNOT_TERMS.items():
        if name in problem.terms:
            add_rows(rows, problem, joints, shared, share)
    for view in problem.views:
        _camera_rows(rows, view, joints, shared, share)

    variance = (TERMS["smooth"]["acceleration_m_s2"] * step**2) ** 2 / (30 * step)
    smooth = share / variance * ("smooth" in problem.terms)
    second = joints[2:] - 2 * joints[1:-1] + joints[:-2]
    residual, slopes = _shared_rows(problem, shared)
    cost = rows.cost + smooth * float((second**2).sum()) + float(residual @ residual)

    k = rows.count
    r, w = rows.residual[:, :k], rows.weight[:, :k]
    jx = rows.joints[:, :k].reshape(n, k, N_COORDINATES)
    jb = rows.shared[:, :k]
    weighted = (jx * w[..., None]).transpose(0, 2, 1)
    gradient = np.matmul(weighted, r[..., None])[..., 0]
    pull = second.reshape(n - 2, N_COORDINATES) * smooth
    gradient[2:] += pull
    gradient[1:-1] -= 2 * pull
    gradient[:-2] += pull
    flat = jb.reshape(n * k, -1)
    flat_weighted = flat * w.reshape(-1, 1)
    hessian = flat_weighted.T @ flat + slopes.T @ slopes
    shared_gradient = flat_weighted.T @ r.ravel() + slopes.T @ residual
    if problem.prior is not None:
        mean, precision = problem.prior
        deviation = shared - mean
        cost += float(deviation @ precision @ deviation)
        hessian = hessian + precision
        shared_gradient = shared_gradient + precision @ deviation
    return Normal(
        cost,
        np.matmul(weighted, jx),
        gradient.ravel(),
        np.matmul(weighted, jb).reshape(n * N_COORDINATES, -1),
        hessian,
        shared_gradient,
        smooth,
    )


def picture_rows(rows: Rows, problem: Problem, joints: Array, shared: Array, share: float) -> None:
    """Add the landmarks in the picture."""
    directions = offset_directions(joints, up_of(shared))
    landmark = joints + np.einsum("o,nojx->njx", shared[FIRST_OFFSET:FIRST_DEPTH_ERROR], directions)
    depth = np.maximum(-landmark[..., 2], 0.1)
    stretch = np.exp(shared[FOCAL_FACTOR])
    per_metre = problem.distance[:, None] / problem.points.sd
    projected = stretch * landmark[..., :2] / depth[..., None]
    residual = (projected - problem.image) * per_metre[..., None]
    huber = TERMS["picture"]["huber"]
    size = np.sqrt((residual**2).sum(axis=-1))
    weight = problem.weight * share
    far = size > huber
    factor = np.where(far, huber / np.maximum(size, huber), 1.0)
    loss = np.where(far, 2 * huber * size - huber**2, size**2) * weight
    for j in range(N_JOINTS):
        for a in (0, 1):
            slope = np.zeros((len(joints), 3))
            slope[:, a] = stretch / depth[:, j] * per_metre[:, j]
            slope[:, 2] = projected[:, j, a] / depth[:, j] * per_metre[:, j]
            through = (directions[:, :, j] * slope[:, None]).sum(axis=-1)
            rows.add(
                residual[:, j, a],
                weight[:, j] * factor[:, j],
                [(j, slope)],
                [
                    (FOCAL_FACTOR, projected[:, j, a] * per_metre[:, j]),
                    (slice(FIRST_OFFSET, FIRST_DEPTH_ERROR), through),
                ],
                cost=float(loss[:, j].sum()) if a == 0 else 0.0,
            )


def _length_rows(rows: Rows, problem: Problem, joints: Array, shared: Array, share: float) -> None:
    for i, segment in enumerate(SEGMENTS.values()):
        length = float(np.exp(shared[FIRST_LENGTH + i]))
        for a, b in segment.ends:
            v = joints[:, b] - joints[:, a]
            slope = unit_vectors(v) / segment.sd
            residual = (np.linalg.norm(v, axis=-1) - length) / segment.sd
            rows.add(
                residual,
                share,
                [(b, slope), (a, -slope)],
                [(FIRST_LENGTH + i, -length / segment.sd)],
            )
        if not segment.ends:
            v = trunk_line(joints)
            thigh = joints[:, KNEES].mean(axis=1) - joints[:, HIPS].mean(axis=1)
            along, across = unit_vectors(v), unit_vectors(thigh)
            shorter = TERMS["lengths"]["trunk_shorter"]
            left = 1 - shorter * (1 + (along * across).sum(axis=-1))
            by_trunk = (along + shorter * length * component_slope(v, across)) / segment.sd
            by_thigh = shorter * length * component_slope(thigh, along) / segment.sd
            slopes = _line_slopes(by_trunk, HIPS, SHOULDERS) + _line_slopes(by_thigh, HIPS, KNEES)
            residual = (np.linalg.norm(v, axis=-1) - length * left) / segment.sd
            rows.add(residual, share, slopes, [(FIRST_LENGTH + i, -length * left / segment.sd)])


def _line_slopes(slope: Array, low: Sequence[int], high: Sequence[int]) -> list[tuple[int, Array]]:
    """Convert the slope along a line between two midpoints into slopes along the four joints."""
    return [*((j, 0.5 * slope) for j in high), *((j, -0.5 * slope) for j in low)]


def depth_rows(rows: Rows, problem: Problem, joints: Array, shared: Array, share: float) -> None:
    """Add the depths between joints from the world landmarks."""
    towards = np.array([0.0, 0.0, 1.0])
    share = share * (SHARE_OF_SEVERAL if problem.views else 1.0)
    calibrated = "depth_errors" in problem.terms
    for i, (name, (a, b, _, _)) in enumerate(DEPTHS.items()):
        sd = problem.depth_sds[:, i]
        error_slopes = [
            (FIRST_DEPTH_ERROR + k, error["in"][name])
            for k, error in enumerate(DEPTH_ERRORS.values())
            if calibrated and name in error["in"]
        ]
        error = sum(sign * shared[index] for index, sign in error_slopes)
        residual = (joints[:, b, 2] - joints[:, a, 2] + error - problem.depths[:, i]) / sd
        weight = np.minimum(problem.weight[:, a], problem.weight[:, b]) * share
        factor, loss = _cauchy(residual**2, TERMS["depths"]["cauchy"])
        slope = towards / sd[:, None]
        rows.add(
            residual,
            weight * factor,
            [(b, slope), (a, -slope)],
            [(index, sign / sd) for index, sign in error_slopes],
            cost=float((loss * weight).sum()),
        )


def _toe_out_rows(rows: Rows, problem: Problem, joints: Array, shared: Array, share: float) -> None:
    up = up_of(shared)
    sd = np.radians(TERMS["toe_out"]["sd_deg"])
    mean = np.sin(np.radians(TERMS["toe_out"]["mean_deg"]))
    across = hip_line(joints)
    across = unit_vectors(across - (across @ up)[:, None] * up)
    foot = float(np.exp(shared[FIRST_LENGTH + SEGMENT_NAMES.index("foot")]))
    for heel, toe, outwards in ((LC, LT, -across), (RC, RT, across)):
        sole = joints[:, toe] - joints[:, heel]
        residual = ((sole * outwards).sum(axis=-1) / foot - mean) / sd
        slope = outwards / (foot * sd)
        rows.add(residual, share, [(toe, slope), (heel, -slope)])


def bend_rows(rows: Rows, problem: Problem, joints: Array, shared: Array, share: float) -> None:
    """Add the prior that limbs are mostly straight, and rarely bent a lot."""
    for top, middle, end, kind in LIMBS:
        width = TERMS["bends"]["width"][kind]
        upper, lower = joints[:, middle] - joints[:, top], joints[:, end] - joints[:, middle]
        before, after = unit_vectors(upper), unit_vectors(lower)
        residual = (after - before) / width
        square = (residual**2).sum(axis=-1)
        factor = 1 / (1 + square)
        for x, axis in enumerate(np.eye(3)):
            first, second = (
                (axis - along[:, x, None] * along) / (width * np.linalg.norm(v, axis=-1)[:, None])
                for along, v in ((before, upper), (after, lower))
            )
            rows.add(
                residual[:, x],
                share * factor,
                [(end, second), (middle, -second - first), (top, first)],
                cost=float(np.log1p(square).sum()) * share if x == 0 else 0.0,
            )


def _foot_rows(rows: Rows, problem: Problem, joints: Array, shared: Array, share: float) -> None:
    feet = _places(problem, shared)
    up, by_tilt = up_of(shared), up_slopes(shared)
    term = TERMS["feet"]
    fixed = term["sd_m"]
    stiff = 1 / fixed
    for i, j in enumerate(FEET):
        holds = {
            2 * k + i % 2: stance.holds(problem.knots)
            for k, stance in enumerate(problem.footholds)
            if stance.side == i // 2
        }
        held = np.sum(list(holds.values()), axis=0)
        if not holds:
            continue
        away = joints[:, j] - sum(on[:, None] * feet[place] for place, on in holds.items())
        loose = np.zeros(len(joints))
        if j in (LC, RC):
            heel_visibility = np.interp(problem.weight[:, j], term["heel_seen"], (0.0, 1.0))
            rising = np.where(away @ up > 0, heel_visibility, 0.0)  # heels rise, but do not sink
            loose = 1 / (fixed + rising * (term["heel_rise_sd_m"] - fixed)) - stiff
        whitened = stiff * np.eye(3) + loose[:, None, None] * np.outer(up, up)
        residual = np.einsum("nx,nxy->ny", away, whitened)
        tilt = (away @ by_tilt)[:, None] * up[:, None] + (away @ up)[:, None, None] * by_tilt
        tilt *= loose[:, None, None]
        factor, loss = _cauchy((residual**2).sum(axis=-1), term["cauchy"])
        for x in range(3):
            rows.add(
                residual[:, x],
                share * factor * held,
                [(j, whitened[:, x])],
                [
                    *(
                        (_place(place), -whitened[:, x] * on[:, None])
                        for place, on in holds.items()
                    ),
                    *((PITCH, tilt[:, x, 0]), (ROLL, tilt[:, x, 1])),
                ],
                cost=float((loss * held).sum()) * share if x == 0 else 0.0,
            )


def _places(problem: Problem, shared: Array) -> Array:
    """Return the places of heel and toe of each foothold in turn."""
    return shared[FIRST_FOOT:][: 6 * len(problem.footholds)].reshape(-1, 3)


def _place(i: int) -> slice:
    return slice(FIRST_FOOT + 3 * i, FIRST_FOOT + 3 * i + 3)


def _balance_rows(rows: Rows, problem: Problem, joints: Array, shared: Array, share: float) -> None:
    feet = _places(problem, shared)
    up, by_tilt = up_of(shared), up_slopes(shared)
    term = TERMS["balance"]
    sd, fraction = term["sd_m"], term["foot_fraction"]
    holds = np.stack([stance.holds(problem.knots) for stance in problem.footholds], axis=-1)
    standing = holds.sum(axis=-1)
    carried = holds / np.maximum(standing, 1)[:, None]
    part = np.kron(carried, [1 - fraction, fraction])
    held = np.minimum(standing, 1)
    masses = problem.mass_shares
    over = np.einsum("j,njx->nx", masses, joints) - np.stack([weights @ feet for weights in part])
    forward = (feet[1::2] - feet[::2]).mean(axis=0)
    forward = unit_vectors(forward - up * (forward @ up))
    axes = np.stack([forward, np.cross(forward, up)])
    residual = over @ axes.T / sd
    factor, loss = _cauchy((residual**2).sum(axis=-1), term["cauchy"])
    for x, axis in enumerate(axes):
        slope = axis / sd
        tilt = -(axis @ by_tilt) * (over @ up)[:, None] / sd
        rows.add(
            residual[:, x],
            share * factor * held,
            [
                (j, np.broadcast_to(masses[j] * slope, over.shape))
                for j in range(N_JOINTS)
                if masses[j]
            ],
            [
                (slice(FIRST_FOOT, FIRST_FOOT + 3 * len(feet)), -np.kron(part, slope)),
                (PITCH, tilt[:, 0]),
                (ROLL, tilt[:, 1]),
            ],
            cost=float((loss * held).sum()) * share if x == 0 else 0.0,
        )


def _standing_rows(
    rows: Rows, problem: Problem, joints: Array, shared: Array, share: float
) -> None:
    """Knees and trunk of somebody who stands straight."""
    term = TERMS["standing"]
    weight = np.zeros(len(joints)) if problem.standing is None else problem.standing
    across = unit_vectors(hip_line(joints))
    forward = unit_vectors(np.cross(up_of(shared), across))
    knee_sd, trunk_sd = usual_angles(problem)[1]
    for top, middle, end in LEGS:
        thigh, shank = joints[:, middle] - joints[:, top], joints[:, end] - joints[:, middle]
        bend = unit_vectors(thigh) - unit_vectors(shank)
        turned = [*with_gravity(bend, across, shared, knee_sd), (KNEE_BEND, -1 / knee_sd)]
        for axis, mean, sd, by_shared in (
            (forward, shared[KNEE_BEND], knee_sd, turned),
            (across, *in_radians(term["knee_across_deg"]), []),
        ):
            upper, lower = component_slope(thigh, axis) / sd, component_slope(shank, axis) / sd
            slopes = [(end, -lower), (middle, lower + upper), (top, -upper)]
            residual = ((bend * axis).sum(axis=-1) - mean) / sd
            _add_robust(rows, residual, weight, term["cauchy"], slopes, by_shared)
    trunk, body = (HIPS, SHOULDERS), (ANKLES, SHOULDERS)
    lean = _Lean(shared[TRUNK_LEAN], trunk_sd, TRUNK_LEAN)
    for ends, upright in ((trunk, lean), (body, _Lean(*in_radians(term["body_deg"])))):
        _lean_rows(rows, joints, shared, ends, upright, weight, term["cauchy"])
    mean, sd = in_radians(term["trunk_across_deg"])
    line = trunk_line(joints)
    residual = ((unit_vectors(line) * across).sum(axis=-1) - mean) / sd
    slopes = _line_slopes(component_slope(line, across) / sd, *trunk)
    _add_robust(rows, residual, weight, term["cauchy"], slopes, ())


class _Lean(NamedTuple):
    """Prior of the forward lean of a line, radians, and the index of its shared number."""

    mean: float
    sd: float
    number: int | None = None


def _lean_rows(
    rows: Rows,
    joints: Array,
    shared: Array,
    ends: tuple[Sequence[int], Sequence[int]],
    lean: _Lean,
    weight: Array,
    cauchy: float,
) -> None:
    """Forward lean of the line between the middles of two pairs of joints."""
    low, high = ends
    line = joints[:, high].mean(axis=1) - joints[:, low].mean(axis=1)
    across = unit_vectors(hip_line(joints))
    forward = unit_vectors(np.cross(up_of(shared), across))
    residual = ((unit_vectors(line) * forward).sum(axis=-1) - lean.mean) / lean.sd
    by_shared = with_gravity(unit_vectors(line), across, shared, lean.sd)
    if lean.number is not None:
        by_shared.append((lean.number, -1 / lean.sd))
    slopes = _line_slopes(component_slope(line, forward) / lean.sd, low, high)
    _add_robust(rows, residual, weight, cauchy, slopes, by_shared)


def _add_robust(
    rows: Rows,
    residual: Array,
    weight: Array,
    cauchy: float,
    joints: Sequence[tuple[int, Array]],
    shared: Sequence[tuple[int, Array | float]],
) -> None:
    factor, loss = _cauchy(residual**2, cauchy)
    rows.add(residual, weight * factor, joints, shared, cost=float((weight * loss).sum()))


def _upright_rows(rows: Rows, problem: Problem, joints: Array, shared: Array, share: float) -> None:
    up, by_tilt, term = up_of(shared), up_slopes(shared), TERMS["upright"]
    sd = term["sd_m"]
    part = problem.mass_shares.copy()
    part[ANKLES] -= 0.5
    over = np.einsum("j,njx->nx", part, joints)
    side = unit_vectors(np.cross(up, [0.0, 0.0, 1.0]))
    axes = np.stack([np.cross(side, up), side])
    residual = over @ axes.T / sd
    factor, loss = _cauchy((residual**2).sum(axis=-1), term["cauchy"])
    for x, axis in enumerate(axes):
        tilt = -(axis @ by_tilt) * (over @ up)[:, None] / sd
        slopes = [
            (j, np.broadcast_to(part[j] * axis / sd, over.shape))
            for j in np.flatnonzero(part).tolist()
        ]
        rows.add(
            residual[:, x],
            share * factor,
            slopes,
            [(PITCH, tilt[:, 0]), (ROLL, tilt[:, 1])],
            cost=float(loss.sum()) * share if x == 0 else 0.0,
        )
    if problem.calibrated or problem.feet_given:
        return  # several cameras see the lean; a sitting person may have stances
    weight = np.full(len(joints), term["trunk_weight"] / len(joints))
    lean = _Lean(shared[TRUNK_LEAN], usual_angles(problem)[1][1], TRUNK_LEAN)
    _lean_rows(rows, joints, shared, (HIPS, SHOULDERS), lean, weight, term["trunk_cauchy"])


_KNOT_TERMS: Mapping[str, Callable[[Rows, Problem, Array, Array, float], None]] = {
    "picture": picture_rows,
    "lengths": _length_rows,
    "depths": depth_rows,
    "toe_out": _toe_out_rows,
    "bends": bend_rows,
    "feet": _foot_rows,
    "balance": _balance_rows,
    "upright": _upright_rows,
    "standing": _standing_rows,
}
"""Terms with residuals at each knot. Of the terms that are not listed, `smooth` couples knots, and
the others use shared numbers only.
"""


def _shared_rows(problem: Problem, shared: Array) -> tuple[Array, Array]:
    """Return residuals of the shared numbers alone, and their slopes."""
    p = problem.n_shared
    residual: list[float] = []
    slopes: list[Array] = []

    def add(term: str, excess: float, sd: float, *by: tuple[int | slice, Array | float]) -> None:
        # A term that is left out stays in with a wide prior, to keep the equations solvable.
        sd = sd if term in problem.terms else LEFT_OUT * sd
        slope = np.zeros(p)
        for number, change in by:
            slope[number] += change
        residual.append(excess / sd)
        slopes.append(slope / sd)

    add("focal", shared[FOCAL_FACTOR], problem.focal_sd, (FOCAL_FACTOR, 1.0))
    for index, usual, sd in zip((PITCH, ROLL), problem.tilt, problem.tilt_sd, strict=True):
        add("tilt", shared[index] - usual, sd, (index, 1.0))
    for index, usual in zip((KNEE_BEND, TRUNK_LEAN), usual_angles(problem)[0], strict=True):
        add("places", shared[index] - usual, HELD_RAD, (index, 1.0))
    add("stature", shared[HEIGHT] - problem.stature, problem.stature_sd, (HEIGHT, 1.0))
    longer = shared[FIRST_LENGTH:FIRST_OFFSET] - shared[HEIGHT] - USUAL_RATIOS
    for i, excess in enumerate(longer):
        add("usual_lengths", excess, USUAL_RATIO_SDS[i], (FIRST_LENGTH + i, 1.0), (HEIGHT, -1.0))
    scale = [SEGMENT_NAMES.index(name) for name in SCALE]
    terms = [(FIRST_LENGTH + i, 1 / len(scale)) for i in scale]
    add("scale", float(longer[scale].mean()), TERMS["scale"]["sd"], (HEIGHT, -1.0), *terms)
    points = problem.points
    for i, (mean, sd) in enumerate(zip(points.offset_mean, points.offset_sd, strict=True)):
        add("offsets", shared[FIRST_OFFSET + i] - mean, sd, (FIRST_OFFSET + i, 1.0))
    for i, error in enumerate(DEPTH_ERRORS.values()):
        index = FIRST_DEPTH_ERROR + i
        add("depth_errors", shared[index], error["sd_m"], (index, 1.0))
    add("places", shared[FLOOR], 100.0, (FLOOR, 1.0))
    if problem.planted:
        up, by_tilt = up_of(shared), up_slopes(shared)
        for i in range(FIRST_FOOT, FIRST_FOOT + 6 * len(problem.footholds)):
            add("places", shared[i], 100.0, (i, 1.0))
        for i in range(2 * len(problem.footholds)):
            foot = _place(i)
            point = shared[foot]
            tilted = point @ by_tilt
            slope: list[tuple[int | slice, Array | float]]
            slope = [(foot, up), (FLOOR, -1.0), (PITCH, tilted[0]), (ROLL, tilted[1])]
            add("feet", float(up @ point) - shared[FLOOR], TERMS["feet"]["flat_sd_m"], *slope)
    for view in problem.views:
        for excess, sd, *slopes_of_numbers in _camera_priors(view, shared):
            add("views", excess, sd, *slopes_of_numbers)
    return np.array(residual), np.stack(slopes)


def _camera_rows(rows: Rows, view: View, joints: Array, shared: Array, share: float) -> None:
    """Add the rows of picture and depth of a further camera."""
    rotation, translation = view.axes(shared)
    joints_in_view = joints @ rotation.T + translation
    late = view.time_correction(shared)
    problem = replace(view.problem, image=view.problem.image - late * view.velocity)
    view_rows = Rows(len(joints), len(shared))
    local = view.local(shared)
    picture_rows(view_rows, problem, joints_in_view, local, share)
    pictures = view_rows.count
    if problem.has_depth:
        depth_rows(view_rows, problem, joints_in_view, local, share * SHARE_OF_SEVERAL)

    count = view_rows.count
    new = slice(rows.count, rows.count + count)
    slope = view_rows.joints[:, :count]
    through = view_rows.shared[:, :count]
    rows.residual[:, new] = view_rows.residual[:, :count]
    rows.weight[:, new] = view_rows.weight[:, :count]
    rows.joints[:, new] = slope @ rotation
    rows.shared[:, new] = through
    rows.shared[:, new, FOCAL_FACTOR] = 0.0
    rows.shared[:, new, view.offsets] = through[..., FIRST_OFFSET:FIRST_DEPTH_ERROR]
    rows.shared[:, new, FIRST_DEPTH_ERROR:FIRST_FOOT] = 0.0
    rows.shared[:, new, view.errors] = through[..., FIRST_DEPTH_ERROR:FIRST_FOOT]
    moved = np.cross((joints_in_view - translation)[:, None], slope).sum(axis=2)
    rows.shared[:, new, view.first : view.first + 3] = moved @ left_jacobian(
        shared[view.first : view.first + 3]
    )
    rows.shared[:, new, view.first + 3 : view.first + 6] = slope.sum(axis=2)
    rows.shared[:, new, view.first + 6] = through[..., FOCAL_FACTOR]
    # A landmark's slope across the line of sight, times its depth, is its scale in the picture.
    depth = np.maximum(-joints_in_view[..., 2], 0.1) / np.exp(shared[view.first + 6])
    for i in range(pictures):
        j, axis = divmod(i, 2)
        per_metre = slope[:, i, j, axis] * depth[:, j]
        rows.shared[:, rows.count + i, view.first + 7] = per_metre * view.velocity[:, j, axis]
    rows.cost += view_rows.cost
    rows.count += count


def _camera_priors(view: View, shared: Array) -> Iterator[tuple[Any, ...]]:
    """Return priors of a further camera: residual, standard deviation, slopes."""
    numbers = shared[view.numbers]
    for i in range(3):
        yield numbers[i], view.rotation_sd, (view.first + i, 1.0)
        yield numbers[3 + i], view.translation_sd, (view.first + 3 + i, 1.0)
    yield numbers[6], view.problem.focal_sd, (view.first + 6, 1.0)
    yield numbers[7], view.offset.sd, (view.first + 7, 1.0)
    for i in range(view.offsets.start, view.offsets.stop):
        yield shared[i], OFFSET_SD, (i, 1.0)
    for i, error in enumerate(DEPTH_ERRORS.values(), view.errors.start):
        yield shared[i], error["sd_m"], (i, 1.0)
    if not view.upright:
        return
    rotation, _ = view.axes(shared)
    x, y, z = up = rotation @ up_of(shared)
    (pitch, roll), (pitch_sd, roll_sd) = view.problem.tilt, view.problem.tilt_sd
    tilts = ((z / y - pitch, pitch_sd, [0, -z / y**2, 1 / y]), (x / y - roll, roll_sd, None))
    for tilt, sd, slopes in tilts:
        slope = np.array(slopes if slopes is not None else [1 / y, -x / y**2, 0])
        by_turn = np.cross(up, slope) @ left_jacobian(numbers[:3])
        by_up = slope @ rotation @ up_slopes(shared)
        yield (
            *(tilt, sd, (slice(view.first, view.first + 3), by_turn)),
            *((PITCH, by_up[0]), (ROLL, by_up[1])),
        )


def left_jacobian(vector: Array) -> Array:
    """Return the left Jacobian of a rotation vector: the rotation for a small change of it."""
    angle = float(np.linalg.norm(vector))
    cross = cross_matrix(vector)
    if angle < 1e-6:
        return np.eye(3) + 0.5 * cross
    jacobian: Array = (
        np.eye(3)
        + (1 - np.cos(angle)) / angle**2 * cross
        + (angle - np.sin(angle)) / angle**3 * cross @ cross
    )
    return jacobian
