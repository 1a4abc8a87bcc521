"""Quantities of each frame: the outputs of a measure function of points, with their errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility import tables
from mobility.assessment.body_axes import median_of
from mobility.assessment.kernels import PointKernel, output_of
from mobility.assessment.metric import CARRIED, frame_variables, merged_history
from mobility.assessment.number import HIDDEN
from mobility.assessment.phases import (
    REPETITION,
    main_stance,
    never_standing_there,
    require,
    same_frames,
    within_repetitions,
)
from mobility.assessment.propagation import values_and_sd
from mobility.base.provenance import with_history
from mobility.keypoints.view import hides_frontal_plane
from mobility.kinematics.datasets import require_pose
from mobility.kinematics.skeleton import SIDES, is_without_feet, landmarks

Array = NDArray[np.float64]


def frame_quantities(
    pose: xr.Dataset,
    repetitions: xr.Dataset,
    kernel: PointKernel,
    entries: Mapping[str, Mapping[str, Any]],
    *,
    limits: Mapping[str, float],
) -> tuple[xr.Dataset, list[dict[str, Any]]]:
    """Compute the outputs of a measure function in every frame, for all measures that need it.

    Parameters
    ----------
    pose, repetitions
        Datasets of the same frames; values are compared with the standing frames.
    kernel
        The measure function.
    entries
        Declarations in ``measures.yaml``, by name of the measure; their `from` names this function.
    limits
        Limits for the function, by name.

    Returns
    -------
    quantities, warnings
        Each measure with its ``_sd``, over time (and side, if it has sides), or as a single number.
        A value is NaN if landmarks are missing or hidden, or if it refers to standing and nobody
        stands. It is also NaN if the frontal plane is not visible, or if the interval is wider than
        the declared limit. The attribute ``note`` explains why.
    """
    standing = repetitions["standing"].values.astype(bool)
    outputs, sds = values_and_sd(
        *(pose, kernel.joints, standing, kernel.of_array(limits)),
        main=main_stance(repetitions),
        factors=kernel.is_shared,
    )
    missing, warnings = kernel.doubts(pose, repetitions, outputs) if kernel.doubts else ({}, [])
    never = (
        never_standing_there(repetitions)
        if standing.any()
        else tables.sentence("reasons.never_standing")
    )
    without_feet = is_without_feet(pose)
    watched, hiding_view = within_repetitions(repetitions), hides_frontal_plane(pose)
    quantities: dict[str, xr.DataArray] = {}
    for name, entry in entries.items():
        output = output_of(name, entry, outputs)
        value, sd = np.array(outputs[output]), sds[output]
        if "fit_error_share" in entry and "position_draws" in pose:
            sd = np.hypot(sd, entry["fit_error_share"]["value"] * value)
        hidden = _hidden_sides(pose, watched, entry) if value.ndim == 2 else []
        for side in hidden:
            value[:, SIDES.index(side)] = np.nan
        unseen = ""
        if entry.get("frontal") and hiding_view:
            unseen = tables.sentence(f"reasons.{hiding_view.replace('-', '_')}_view")
        of_mean = entry.get("error", {}).get("of") == "mean"
        limited = {**entry, "largest_interval": {"value": np.inf}} if of_mean else dict(entry)
        variables, uncertain = frame_variables(
            pose, watched, {name: value}, {name: sd}, {name: limited}, note=unseen
        )
        variable = variables[name]
        if not unseen:
            if of_mean:  # a withheld value is withheld in each repetition
                variable.attrs.pop("note", None)
            if entry.get("against") == "standing" and never and (value.ndim or np.isnan(value)):
                variable.attrs["note"] = never
            if output in missing:
                variable.attrs["note"] = missing[output]
            if hidden:
                variable.attrs[HIDDEN] = " ".join(hidden)
                variable.attrs["note"] = tables.sentence(
                    "reasons.landmark_hidden" if len(hidden) == 1 else "reasons.landmarks_hidden",
                    side=hidden[0],
                    landmark=entry["least_visibility"]["of"].replace("_", " "),
                )
        if without_feet and np.isnan(value).all():
            variable.attrs.setdefault("note", tables.sentence("reasons.no_feet"))
        if "seldom" in entry and not of_mean:
            variable.attrs.setdefault("note", entry["seldom"])
            uncertain = []
        quantities |= variables
        warnings += uncertain
    return xr.Dataset(quantities), warnings


def frames_of(kernel: PointKernel, pose: xr.Dataset, repetitions: xr.Dataset) -> xr.Dataset:
    """Compute the outputs of a measure function that all exercises can use in every frame.

    Parameters
    ----------
    kernel
        :data:`mobility.assessment.kernels.knee` or
        :data:`mobility.assessment.posture.posture`.
    pose, repetitions
        Datasets of the same frames, metres, y up.

    Raises
    ------
    BadInputError
        If a variable is missing, or if the frames of the inputs differ.
    """
    name = kernel.compute.__name__
    require_pose(pose, what=name)
    require(repetitions, "repetitions", list(REPETITION))
    same_frames(pose, repetitions, "repetitions")
    table = tables.load("measures")
    entries = {n: e for n, e in table["measures"].items() if e["from"].startswith(f"{name}.")}
    limits = {limit: entry["value"] for limit, entry in table["limits"].items()}
    quantities, warnings = frame_quantities(pose, repetitions, kernel, entries, limits=limits)
    quantities.attrs = {key: pose.attrs[key] for key in CARRIED if key in pose.attrs}
    quantities.attrs |= {"ds_type": name, "history": merged_history(pose, repetitions)}
    return with_history(quantities, name, {}, warnings=warnings)


def _hidden_sides(
    pose: xr.Dataset, watched: NDArray[np.bool_], entry: Mapping[str, Any]
) -> list[str]:
    """Return the sides whose landmark the camera hardly sees."""
    least = entry.get("least_visibility")
    if least is None or not {"position_draws", "confidence"} <= pose.data_vars.keys():
        return []
    confidence = landmarks(
        pose, "confidence", keypoints=[f"{side}_{least['of']}" for side in SIDES]
    )
    usual = zip(SIDES, median_of(confidence[watched]), strict=True)
    return [side for side, visibility in usual if visibility < least["value"]]
