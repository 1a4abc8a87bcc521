"""Stages of the single-leg squat: each leg is a trial of its own, in the frames it stands in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from mobility import registry, tables
from mobility.assessment.estimates import ABSENT_SIDE, HIDDEN_SIDE
from mobility.assessment.kinds import owners
from mobility.assessment.measures import measure
from mobility.assessment.metric import add, merged_history
from mobility.assessment.summaries import independent, right_minus_left
from mobility.exercises.repeated import analysis as repeated
from mobility.exercises.single_leg_squat.measures import of_one_leg
from mobility.exercises.single_leg_squat.stance import (
    Mask,
    alone_on,
    feet_down,
    lifts,
    of_leg,
    on_one_foot,
    stances,
)
from mobility.kinematics.repetitions import find_repetitions, repetition_warnings, set_repetitions
from mobility.kinematics.skeleton import SIDES, other_side
from mobility.provenance import AnalysisWarning, history, with_history
from mobility.registry import Exercise, Trial

SLUG = "single-leg-squat"


def fit_options(cleaned: xr.Dataset) -> dict[str, Any]:
    """Say when each foot stands; nothing where neither is ever lifted."""
    exercise = registry.exercise(SLUG)
    if feet_down(cleaned, exercise).all():
        return {}
    return {"feet_planted": stances(cleaned, exercise)}


def repetitions(trial: Trial) -> xr.Dataset:
    """Find where a standing leg lowers its hip, or take the times that were set by hand.

    ``leg`` names the leg that stands: "left" or "right", "" where both feet are on the floor.
    """
    pose, own = trial.fitted, trial.exercise.own_table
    down = feet_down(pose, trial.exercise)
    lift = lifts(pose)
    time, lower = pose["time"].to_numpy(), np.nan_to_num(lift).argmin(axis=1)
    alone = alone_on(down, time, trial.exercise)
    parts = []
    for side, leg in enumerate(SIDES):
        seen = of_leg(pose, leg, alone if alone[:, side].any() else down)
        if trial.intervals is not None:
            mine = [each for each in trial.intervals if lower[_at(time, each["bottom"])] == side]
            found = set_repetitions(seen, mine)
            legs = [leg] * len(mine)
        else:
            found = find_repetitions(seen, min_depth=own("measures")["limits"]["least_depth"])
            at = [_at(time, bottom) for bottom in found["bottom"].to_numpy()]
            legs = [leg if alone[i, side] else "" for i in at]
            # What is lowered on both feet both legs show: it is kept once.
            both = [side == 0 and bool(down[i].all()) for i in at]
            kept = [bool(name) or twice for name, twice in zip(legs, both, strict=True)]
            found = found.isel(rep=np.flatnonzero(kept))
            legs = [name for name, keep in zip(legs, kept, strict=True) if keep]
        parts.append(found.assign(leg=("rep", np.array(legs, object))))
    return _in_order(trial, parts, down, unseen=bool(np.isnan(lift).all()))


def _at(time: Any, moment: float) -> int:
    return int(np.abs(time - moment).argmin())


def _in_order(trial: Trial, parts: list[xr.Dataset], down: Mask, *, unseen: bool) -> xr.Dataset:
    """Put the repetitions of both legs in the order in which they were made."""
    words = trial.exercise.own_table("sentences")
    left, right = parts
    found = xr.concat([each.drop_vars(["hip_height", "standing"]) for each in parts], dim="rep")
    found = found.isel(rep=np.argsort(found["start"].to_numpy(), kind="stable"))
    found = found.assign_coords(rep=np.arange(1, found.sizes["rep"] + 1))
    both = found["leg"] == ""
    found["accepted"] = found["accepted"] & ~both
    found["reason"] = found["reason"].where(~both, words["unseen" if unseen else "both_feet"])
    # The recording goes on, but the free foot is near the floor.
    time = found["time"].to_numpy()
    cut = ~found["start_seen"] & (found["start"] > time[0] + 0.1)
    cut |= ~found["end_seen"] & (found["end"] < time[-1] - 0.1)
    found["reason"] = found["reason"].where(both | found["accepted"] | ~cut, words["foot_low"])
    found["leg"].attrs["long_name"] = "leg that stands"
    found["hip_height"] = left["hip_height"].fillna(right["hip_height"])
    found["standing"] = left["standing"] | right["standing"]
    for name in ("hip_height", "standing"):
        found[name].attrs = left[name].attrs
    found.attrs = {**trial.fitted.attrs, "ds_type": "repetitions"}
    rows = (
        [
            {name: one[name].item() for name in ("accepted", "reason", "complete")}
            for _, one in found.groupby("rep")
        ]
        if found.sizes["rep"]
        else []
    )
    by_hand = trial.intervals is not None
    nothing = tables.sentence("reasons.trial.by_hand" if by_hand else "reasons.trial.not_lowered")
    if not by_hand and down.all():
        nothing = words["unseen" if unseen else "never_lifted"]
    return with_history(
        found,
        "set_repetitions" if by_hand else "find_repetitions",
        {"intervals": list(trial.intervals)} if trial.intervals is not None else {},
        found=len(rows),
        accepted=sum(row["accepted"] for row in rows),
        **repetition_warnings(rows, nothing),
    )


def metrics(trial: Trial) -> xr.Dataset:
    """Measure each leg by itself, and compare both where both were shown."""
    pose, every = trial.fitted, trial.repetitions
    down = feet_down(pose, trial.exercise)
    shown = [leg for leg in SIDES if (every["leg"] == leg).any()]
    parts: dict[str, xr.Dataset] = {}
    warnings: list[dict[str, Any]] = []
    for leg in shown or SIDES[:1]:
        mine = _of_this_leg(every, leg, down)
        foot = on_one_foot(pose, leg)
        measured = measure(
            foot,
            trial.angles,
            mine,
            exercise=trial.exercise,
            operation="measure",
            other_exercise=repeated.other_exercise,
        )
        further = of_one_leg(measured, pose, trial.angles, mine, leg=leg, exercise=trial.exercise)
        warned = history(measured)[-1]["warnings"]
        warnings += [each for each in warned if each not in warnings]
        for name, factor in trial.exercise.own_table("measures")["factors"].items():
            sd = measured[f"{name}_sd"]
            further[f"{name}_sd"] = sd.copy(data=factor["value"] * sd.to_numpy())
        parts[leg] = measured.assign(further)
    merged = _of_both(parts, every, trial)
    if len(shown) == 1:
        merged.attrs[ABSENT_SIDE] = other_side(shown[0])
    merged.attrs["history"] = merged_history(trial.angles, every)
    merged = with_history(
        merged,
        "single_leg_squat",
        {},
        accepted_repetitions=int(every["accepted"].sum()),
        warnings=warnings,
    )
    return repeated.warned_of_joints(merged, trial)


def _of_this_leg(every: xr.Dataset, leg: str, down: Mask) -> xr.Dataset:
    """Repetitions of one leg; standing is standing on it."""
    stands = every["standing"].to_numpy().astype(bool) & down[:, SIDES.index(leg)]
    standing = every["standing"].copy(data=stands)
    return every.isel(rep=np.flatnonzero(every["leg"] == leg)).assign(standing=standing)


def _of_both(parts: dict[str, xr.Dataset], every: xr.Dataset, trial: Trial) -> xr.Dataset:
    """One Dataset of both legs: `side` is the leg that stands, NaN of one that was not shown."""
    first = next(iter(parts.values()))
    beside = owners(first.variables)
    joined: dict[str, xr.DataArray] = {}
    for name in map(str, first.data_vars):
        kind = str(first[beside.get(name, name)].attrs["kind"])
        if "symmetry" in kind:  # of both sides in one repetition
            continue
        if name == "accepted_repetitions":
            joined[name] = first[name].copy(data=int(every["accepted"].sum()))
            continue
        legs = {leg: part[name] for leg, part in parts.items()}
        attrs = first[name].attrs
        notes = [each.attrs["note"] for each in legs.values() if "note" in each.attrs]
        if "side" in first[name].dims or "rep" not in first[name].dims:
            own = [
                (each.sel(side=leg, drop=True) if "side" in each.dims else each).expand_dims(
                    side=[leg]
                )
                for leg, each in legs.items()
            ]
            value = xr.concat(own, dim="side", join="outer").reindex(side=list(SIDES))
        else:
            value = xr.concat(list(legs.values()), dim="rep")
        if "rep" in value.dims:
            value = value.reindex(rep=every["rep"].to_numpy())
        order = [dim for dim in ("rep", "phase", "side") if dim in value.dims]
        joined[name] = value.transpose(*order).assign_attrs(attrs)
        joined[name].attrs.pop("note", None)
        if notes:
            joined[name].attrs["note"] = notes[0]
    _compare(joined, every, trial)
    result = xr.Dataset(joined, coords={"rep": every["rep"].to_numpy()})
    result.attrs = first.attrs | {"exercise": trial.exercise.name}
    hidden = {part.attrs.get(HIDDEN_SIDE) for part in parts.values()} - {None}
    return result.assign_attrs({HIDDEN_SIDE: hidden.pop()} if hidden else {})


def _compare(joined: dict[str, xr.DataArray], every: xr.Dataset, trial: Trial) -> None:
    """Add right less left of the medians, where both legs have enough repetitions."""
    least = trial.exercise.own_table("measures")["limits"]["repetitions_to_compare"]
    counts = [int((every["accepted"] & (every["leg"] == leg)).sum()) for leg in SIDES]
    words = trial.exercise.own_table("sentences")
    for name, value in list(joined.items()):
        if value.attrs["kind"] != "median" or value.dims != ("side",):
            continue
        apart, sd = right_minus_left(value), independent(joined[f"{name}_sd"])
        if few := min(counts) < least:
            apart, sd = apart.where(False), sd.where(False)
        statistic = f"right minus left: {value.attrs['statistic']}"
        quantity = str(value.attrs["quantity"])
        called = f"{name}_asymmetry"
        apart.attrs = {}
        sd = sd.where(apart.notnull())
        add(joined, quantity, "asymmetry", apart, sd, statistic, name=called, suffix=", asymmetry")
        note = words["one_leg" if 0 in counts else "few_to_compare"].format(least=least)
        if few or "note" in value.attrs:
            joined[called].attrs["note"] = note if few else value.attrs["note"]


def warnings_kept(
    exercise: Exercise,
    joints: Sequence[str],
    quality: Mapping[str, Any],
    metrics: xr.Dataset,
    warnings: Sequence[AnalysisWarning],
) -> list[AnalysisWarning]:
    """Leave out how many angles are refused: those of the leg that hangs count in it."""
    kept = repeated.warnings_kept(exercise, joints, quality, metrics, warnings)
    return [each for each in kept if each.code != "angle_refused"]
