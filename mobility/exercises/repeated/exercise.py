"""Exercises with repetitions that lower the hips and raise them again."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility import tables
from mobility.assessment.exercise_stages import ExerciseStages, stages_of
from mobility.assessment.measures import measure
from mobility.assessment.number import without_hidden_side
from mobility.assessment.verdict import Verdict, judge
from mobility.base.formatting import capital
from mobility.base.options import check_intervals
from mobility.base.provenance import AnalysisWarning, warnings_of, with_history
from mobility.catalogue import registry
from mobility.catalogue.exercise_folders import in_short
from mobility.exercises.joint_angle_mobility.courses import single_joint_limits
from mobility.exercises.joint_angle_mobility.joint_mobility import joint_movements
from mobility.kinematics import angles as kinematic_angles
from mobility.kinematics.repetitions import find_repetitions, set_repetitions

if TYPE_CHECKING:
    from mobility.assessment.exercise_stages import Depends, Trial
    from mobility.catalogue.exercise import Exercise


_log = logging.getLogger(__name__)


def _recognised(exercise: Exercise, pose: xr.Dataset) -> list[dict[str, Any]]:
    """Return warnings that another exercise is shown; errors in other packages are logged."""
    try:
        return stages_of(exercise).recognised_in(pose)
    except Exception as error:
        if exercise.package.startswith("mobility."):
            raise
        _log.warning("%s: recognised_in: %s", exercise.package, in_short(error))
        return []


class Repeated(ExerciseStages):
    """An exercise with repetitions that lower the hips and raise them again."""

    depends: ClassVar[Depends] = {
        "metrics": (("fitted", "angles", "repetitions"), ("sex", "age"), ()),
    }

    def subject(self, joints: Sequence[str], movement: str | None) -> None:
        """Measure the largest person."""

    def joint_angles(self, trial: Trial) -> xr.Dataset:
        """Compute the angles of the fitted pose."""
        return kinematic_angles.joint_angles(trial.fitted)

    def repetitions(self, trial: Trial) -> xr.Dataset:
        """Find when the hips are lowered, or use times that were set by hand."""
        if trial.intervals is None:
            detected: xr.Dataset = find_repetitions(trial.fitted)
            return detected
        return set_repetitions(trial.fitted, trial.intervals)

    def checked_repetitions(
        self, intervals: Sequence[Mapping[str, Any]], joints: tuple[str, ...]
    ) -> list[dict[str, Any]]:
        """Check times that were set by hand."""
        return check_intervals(intervals)

    def metrics(self, trial: Trial) -> xr.Dataset:
        """Compute the measures that the exercise lists."""
        measured = measure(
            trial.fitted,
            trial.angles,
            trial.repetitions,
            exercise=self,
            operation=self.slug,
            other_exercise=self.other_exercise,
            sex=trial.sex,
            age=trial.age,
        )
        return self.warned(measured, trial)

    def other_exercise(
        self, pose: xr.Dataset, frames: xr.DataArray, accepted: NDArray[np.bool_]
    ) -> list[dict[str, Any]]:
        """Warn about the first other exercise that recognises its own movement."""
        other_exercises = (each for each in registry.exercises() if each.name != self.name)
        warnings = (_recognised(each, pose) for each in other_exercises)
        return next(filter(None, warnings), [])

    def warned(self, metrics: xr.Dataset, trial: Trial) -> xr.Dataset:
        """Warn if nobody stands before the first repetition, or if joints move one at a time."""
        return _warned_of_joints(_warned_of_standing(metrics, trial), trial)

    def verdict(
        self,
        quality: Mapping[str, Any],
        metrics: xr.Dataset,
        fitted: Callable[[], xr.Dataset],
        warnings: Sequence[AnalysisWarning],
    ) -> Verdict:
        """Rate what the recording can be used for."""
        return judge(warnings, quality, metrics, exercise=self)

    def warnings_kept(
        self,
        joints: Sequence[str],
        quality: Mapping[str, Any],
        metrics: xr.Dataset,
        warnings: Sequence[AnalysisWarning],
    ) -> list[AnalysisWarning]:
        """Drop warnings of unmeasured angles; without findings, keep only the decisive ones."""
        angles = self.angles
        warnings_left = [
            each
            for each in warnings
            if each.code != "angle_refused" or each.values.get("name") in {None, *angles}
        ]
        if "findings" not in judge(warnings_left, quality, metrics, exercise=self).rules_out:
            return warnings_left
        levels = tables.load("verdict")["warnings"]
        return [each for each in warnings_left if "level" in levels.get(each.code, {})]

    def verdict_from_counts(
        self,
        quality: Mapping[str, Any],
        accepted: float | None,
        dataset: Callable[[str], xr.Dataset],
        warnings: Sequence[AnalysisWarning],
    ) -> Verdict | None:
        """Rate the recording without its metrics, which are slow to read."""
        if accepted is None and not quality:
            return None
        metrics = None if accepted is None else xr.Dataset({"accepted_repetitions": accepted})
        return judge(warnings, quality, metrics, exercise=self)

    def compared(
        self, angles: xr.Dataset, repetitions: xr.Dataset, metrics: xr.Dataset
    ) -> tuple[xr.Dataset, xr.Dataset]:
        """Compare the angles that the table lists, or else the measured angles."""
        names = self.table["lab"].get("angles") or self.angles or tables.load("angles")
        angles_compared = [
            str(variable)
            for variable in angles.data_vars
            if re.sub(r"_(sd|raw|image)$", "", str(variable)) in names
        ]
        return angles[angles_compared], repetitions

    def angles_in_video(
        self, angles: xr.Dataset, metrics: xr.Dataset, joints: Sequence[str]
    ) -> tuple[xr.Dataset, None]:
        """Leave out the far side, if the near side hides it."""
        return without_hidden_side(angles, metrics), None


def _warned_of_standing(metrics: xr.Dataset, trial: Trial) -> xr.Dataset:
    """Warn if nobody stands still before the first repetition, unless standing is not measured."""
    repetitions = trial.repetitions
    measured = any("before" in entry for entry in trial.exercise.moments.values())
    starts = repetitions["start"].to_numpy()[repetitions["accepted"].to_numpy()]
    already_warned = "nobody_stands" in {each["code"] for each in warnings_of(trial.fitted)}
    if not measured or not starts.size or already_warned:
        return metrics
    before = repetitions["time"].to_numpy() <= starts.min()
    if repetitions["standing"].to_numpy()[before].any():
        return metrics
    warning = tables.warning("warnings.no_standing_before")
    return with_history(metrics, "no_standing_before", {}, warnings=[warning])


def _warned_of_joints(metrics: xr.Dataset, trial: Trial) -> xr.Dataset:
    """Warn if individual joints move instead of the whole body."""
    if trial.repetitions.sizes["rep"] or not (moved := _joints_that_move(trial.fitted)):
        return metrics
    warning = tables.warning(
        "warnings.no_squat",
        joints=", ".join(moved),
        nothing=capital(trial.exercise.verdict_words("not_this_exercise")),
        exercise=registry.of_single_joints().slug,
    )
    return with_history(metrics, "no_squat", {"joints": moved}, warnings=[warning])


def _joints_that_move(fitted: xr.Dataset) -> list[str]:
    """Name the joints that move alone, not both knees or hips together (squats, steps)."""
    limits = {"limits": single_joint_limits()} if "position_draws" in fitted else {}
    angles = kinematic_angles.joint_angles(fitted, in_picture=True, **limits)
    movements = joint_movements(fitted, angles)
    names = movements["joints"].to_numpy()[movements["accepted"].to_numpy()]
    moved = sorted({joint for each in names for joint in str(each).split(", ")})
    both = any({f"left {joint}", f"right {joint}"} <= set(moved) for joint in ("knee", "hip"))
    return [] if both else moved
