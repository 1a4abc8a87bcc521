"""The single-leg squat.

Each leg is measured separately, in the frames in which it is the standing leg.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from mobility import tables
from mobility.assessment.exercise_stages import Trial
from mobility.assessment.kinds import owners
from mobility.assessment.measures import measure
from mobility.assessment.metric import add, merged_history
from mobility.assessment.number import ABSENT_SIDE, HIDDEN_SIDE
from mobility.assessment.phases import phase_frames
from mobility.assessment.summaries import independent, right_minus_left
from mobility.base.provenance import AnalysisWarning, history, with_history
from mobility.base.uncertain import sd_name
from mobility.catalogue.exercise import Exercise
from mobility.exercises.repeated.exercise import Repeated
from mobility.exercises.single_leg_squat.kernels import (
    Mask,
    alone_on,
    feet_down,
    height_above_other_foot,
    landmarks_of_leg,
    on_one_foot,
    stances,
)
from mobility.keypoints.view import TWO_CAMERAS, hides_frontal_plane, trial_view, view_kind
from mobility.kinematics.repetitions import find_repetitions, repetition_warnings, set_repetitions
from mobility.kinematics.skeleton import SIDES, other_side


class SingleLegSquat(Repeated):
    """Squats on one leg, each measured while it is the standing leg."""

    def fit_options(self, cleaned: xr.Dataset) -> dict[str, Any]:
        """Pass the times when each foot stands to the fit, unless neither foot is ever lifted."""
        if feet_down(cleaned, self).all():
            return {}
        return {"feet_planted": stances(cleaned, self)}

    def repetitions(self, trial: Trial) -> xr.Dataset:
        """Find when a standing leg lowers its hip, or use times that were set by hand.

        ``leg`` is the standing leg: "left" or "right", or "" if both feet are on the floor.
        """
        pose, exercise_table = trial.fitted, self.own_table
        least_depth = exercise_table("measures")["limits"]["least_depth"]
        down = feet_down(pose, self)
        lift = height_above_other_foot(pose)
        time = pose["time"].to_numpy()
        lower_foot_side = np.nan_to_num(lift).argmin(axis=1)
        alone = alone_on(down, time, self)
        both_legs = []
        for side, leg in enumerate(SIDES):
            leg_pose = landmarks_of_leg(pose, leg, alone if alone[:, side].any() else down)
            if trial.intervals is not None:
                intervals = [
                    interval
                    for interval in trial.intervals
                    if lower_foot_side[_frame_at(time, interval["bottom"])] == side
                ]
                leg_repetitions = set_repetitions(leg_pose, intervals)
                legs = [leg] * len(intervals)
            else:
                leg_repetitions = find_repetitions(leg_pose, min_depth=least_depth)
                bottoms = [
                    _frame_at(time, bottom) for bottom in leg_repetitions["bottom"].to_numpy()
                ]
                legs = [leg if alone[frame, side] else "" for frame in bottoms]
                # A squat on both feet is detected for each leg, so keep it only once.
                keep_two_footed = [side == 0 and bool(down[frame].all()) for frame in bottoms]
                is_kept = [
                    bool(name) or keep for name, keep in zip(legs, keep_two_footed, strict=True)
                ]
                leg_repetitions = leg_repetitions.isel(rep=np.flatnonzero(is_kept))
                legs = [name for name, keep in zip(legs, is_kept, strict=True) if keep]
            both_legs.append(leg_repetitions.assign(leg=("rep", np.array(legs, object))))
        return _ordered_by_start(trial, both_legs, down, unseen=bool(np.isnan(lift).all()))

    def metrics(self, trial: Trial) -> xr.Dataset:
        """Measure each leg separately, and compare the legs if both were shown."""
        pose, all_repetitions = trial.fitted, trial.repetitions
        down = feet_down(pose, self)
        legs_shown = [leg for leg in SIDES if (all_repetitions["leg"] == leg).any()]
        metrics_of: dict[str, xr.Dataset] = {}
        warnings: list[dict[str, Any]] = []
        for leg in legs_shown or SIDES[:1]:
            leg_repetitions = _repetitions_of_leg(all_repetitions, leg, down)
            of_leg = measure(
                on_one_foot(pose, leg),
                trial.angles,
                leg_repetitions,
                exercise=self,
                operation="measure",
                other_exercise=lambda *_: [],
            )
            leg_warnings = history(of_leg)[-1]["warnings"]
            warnings += [warning for warning in leg_warnings if warning not in warnings]
            factors = self.own_table("measures")["factors"]
            wider = {sd_name(name): factor["value"] for name, factor in factors.items()}
            of_leg = of_leg.assign(
                {
                    sd: of_leg[sd].copy(data=factor * of_leg[sd].to_numpy())
                    for sd, factor in wider.items()
                }
            )
            metrics_of[leg] = _without_hidden_plane(of_leg, pose, leg, self)
        # With both feet on the floor, as in a sit-to-stand repetition, no leg is measured.
        warnings += self.other_exercise(
            pose, phase_frames(all_repetitions), all_repetitions["accepted"].to_numpy()
        )
        joined = _joined_legs(metrics_of, all_repetitions, trial)
        if len(legs_shown) == 1:
            joined.attrs[ABSENT_SIDE] = other_side(legs_shown[0])
        joined.attrs["history"] = merged_history(trial.angles, all_repetitions)
        joined = with_history(
            joined,
            "single_leg_squat",
            {},
            accepted_repetitions=int(all_repetitions["accepted"].sum()),
            warnings=warnings,
        )
        return self.warned(joined, trial)

    def warnings_kept(
        self,
        joints: Sequence[str],
        quality: Mapping[str, Any],
        metrics: xr.Dataset,
        warnings: Sequence[AnalysisWarning],
    ) -> list[AnalysisWarning]:
        """Drop the warning that counts withheld angles: it also counts those of the free leg."""
        warnings_left = super().warnings_kept(joints, quality, metrics, warnings)
        return [warning for warning in warnings_left if warning.code != "angle_refused"]

    def compared(
        self, angles: xr.Dataset, repetitions: xr.Dataset, metrics: xr.Dataset
    ) -> tuple[xr.Dataset, xr.Dataset]:
        """Compare the standing leg."""
        angles, repetitions = super().compared(angles, repetitions, metrics)
        stands = repetitions["leg"].to_numpy()[:, None] == np.array(SIDES)
        by_leg = xr.DataArray(stands, dims=("rep", "side"), coords={"side": list(SIDES)})
        return angles, repetitions.assign(compared=by_leg)


def _frame_at(time: Any, moment: float) -> int:
    return int(np.abs(time - moment).argmin())


def _ordered_by_start(
    trial: Trial, both_legs: list[xr.Dataset], down: Mask, *, unseen: bool
) -> xr.Dataset:
    """Sort the repetitions of both legs by time."""
    words = trial.exercise.own_table("sentences")
    left, right = both_legs
    ordered = xr.concat([leg.drop_vars(["hip_height", "standing"]) for leg in both_legs], dim="rep")
    ordered = ordered.isel(rep=np.argsort(ordered["start"].to_numpy(), kind="stable"))
    ordered = ordered.assign_coords(rep=np.arange(1, ordered.sizes["rep"] + 1))
    two_footed = ordered["leg"] == ""
    ordered["accepted"] = ordered["accepted"] & ~two_footed
    ordered["reason"] = ordered["reason"].where(
        ~two_footed, words["unseen" if unseen else "both_feet"]
    )
    # If a repetition is cut off within the recording, the free foot came close to the floor.
    time = ordered["time"].to_numpy()
    cut = ~ordered["start_seen"] & (ordered["start"] > time[0] + 0.1)
    cut |= ~ordered["end_seen"] & (ordered["end"] < time[-1] - 0.1)
    keep_reason = two_footed | ordered["accepted"] | ~cut
    ordered["reason"] = ordered["reason"].where(keep_reason, words["foot_low"])
    ordered["leg"].attrs["long_name"] = "leg that stands"
    ordered["hip_height"] = left["hip_height"].fillna(right["hip_height"])
    ordered["standing"] = left["standing"] | right["standing"]
    for name in ("hip_height", "standing"):
        ordered[name].attrs = left[name].attrs
    ordered.attrs = {**trial.fitted.attrs, "ds_type": "repetitions"}
    rows = (
        [
            {name: repetition[name].item() for name in ("accepted", "reason", "complete")}
            for _, repetition in ordered.groupby("rep")
        ]
        if ordered.sizes["rep"]
        else []
    )
    by_hand = trial.intervals is not None
    why_none = "by_hand" if by_hand else "not_lowered"
    no_repetition_reason = tables.sentence(f"reasons.trial.{why_none}")
    if not by_hand and down.all():
        no_repetition_reason = words["unseen" if unseen else "never_lifted"]
    return with_history(
        ordered,
        "set_repetitions" if by_hand else "find_repetitions",
        {"intervals": list(trial.intervals)} if trial.intervals is not None else {},
        found=len(rows),
        accepted=sum(row["accepted"] for row in rows),
        **repetition_warnings(rows, no_repetition_reason),
    )


def _without_hidden_plane(
    of_leg: xr.Dataset, pose: xr.Dataset, leg: str, exercise: Exercise
) -> xr.Dataset:
    """Withhold frontal-plane measures of a leg if the free leg hides it."""
    view = trial_view(pose)
    plane_visible = view_kind(view) in ("front", "back", TWO_CAMERAS) or leg in view
    if plane_visible or hides_frontal_plane(pose):  # this withholds it for both legs
        return of_leg
    own_measures = exercise.own_table("measures")["measures"]
    note = exercise.own_table("sentences")["far_leg"]
    refused = {
        name: (variable * np.nan).assign_attrs(variable.attrs | {"note": note})
        for name, variable in of_leg.data_vars.items()
        if own_measures.get(variable.attrs["quantity"], {}).get("frontal")
    }
    return of_leg.assign(refused)


def _repetitions_of_leg(all_repetitions: xr.Dataset, leg: str, down: Mask) -> xr.Dataset:
    """Return one leg's repetitions; `standing` is true only while this leg is on the floor."""
    on_floor = down[:, SIDES.index(leg)]
    stands = all_repetitions["standing"].to_numpy().astype(bool) & on_floor
    standing = all_repetitions["standing"].copy(data=stands)
    rows = np.flatnonzero(all_repetitions["leg"] == leg)
    return all_repetitions.isel(rep=rows).assign(standing=standing)


def _joined_legs(
    metrics_of: Mapping[str, xr.Dataset], all_repetitions: xr.Dataset, trial: Trial
) -> xr.Dataset:
    """Join both legs in one Dataset: `side` is the standing leg; NaN for a leg not shown."""
    first = next(iter(metrics_of.values()))
    metric_of_each_error = owners(first.variables)
    joined: dict[str, xr.DataArray] = {}
    for name in map(str, first.data_vars):
        kind = str(first[metric_of_each_error.get(name, name)].attrs["kind"])
        if "symmetry" in kind:  # compares both sides in one repetition
            continue
        if name == "accepted_repetitions":
            joined[name] = first[name].copy(data=int(all_repetitions["accepted"].sum()))
            continue
        values = {leg: leg_metrics[name] for leg, leg_metrics in metrics_of.items()}
        attrs = first[name].attrs
        notes = [value.attrs["note"] for value in values.values() if "note" in value.attrs]
        if "side" in first[name].dims or "rep" not in first[name].dims:
            of_standing_leg = [
                (value.sel(side=leg, drop=True) if "side" in value.dims else value).expand_dims(
                    side=[leg]
                )
                for leg, value in values.items()
            ]
            both = xr.concat(of_standing_leg, dim="side", join="outer").reindex(side=list(SIDES))
        else:
            both = xr.concat(list(values.values()), dim="rep")
        if "rep" in both.dims:
            both = both.reindex(rep=all_repetitions["rep"].to_numpy())
        order = [dim for dim in ("rep", "phase", "side") if dim in both.dims]
        joined[name] = both.transpose(*order).assign_attrs(attrs)
        joined[name].attrs.pop("note", None)
        if notes:
            joined[name].attrs["note"] = notes[0]
    _add_asymmetries(joined, all_repetitions, trial)
    result = xr.Dataset(joined, coords={"rep": all_repetitions["rep"].to_numpy()})
    result.attrs = first.attrs | {"exercise": trial.exercise.name}
    hidden = {leg_metrics.attrs.get(HIDDEN_SIDE) for leg_metrics in metrics_of.values()} - {None}
    return result.assign_attrs({HIDDEN_SIDE: hidden.pop()} if hidden else {})


def _add_asymmetries(
    joined: dict[str, xr.DataArray], all_repetitions: xr.Dataset, trial: Trial
) -> None:
    """Add right minus left of the medians; NaN unless both legs have enough repetitions."""
    least = trial.exercise.own_table("measures")["limits"]["repetitions_to_compare"]
    accepted = all_repetitions["accepted"]
    counts = [int((accepted & (all_repetitions["leg"] == leg)).sum()) for leg in SIDES]
    words = trial.exercise.own_table("sentences")
    for name, value in list(joined.items()):
        if value.attrs["kind"] != "median" or value.dims != ("side",):
            continue
        difference, sd = right_minus_left(value), independent(joined[sd_name(name)])
        if few := min(counts) < least:
            difference, sd = difference.where(False), sd.where(False)
        statistic = f"right minus left: {value.attrs['statistic']}"
        difference.attrs = {}
        asymmetry_name = f"{name}_asymmetry"
        add(
            joined,
            str(value.attrs["quantity"]),
            "asymmetry",
            difference,
            sd.where(difference.notnull()),
            statistic,
            name=asymmetry_name,
            suffix=", asymmetry",
        )
        note = words["one_leg" if 0 in counts else "few_to_compare"].format(least=least)
        if few or "note" in value.attrs:
            joined[asymmetry_name].attrs["note"] = note if few else value.attrs["note"]
