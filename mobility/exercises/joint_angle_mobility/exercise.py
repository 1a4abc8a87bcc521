"""The exercise that measures single-joint range of motion."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

from mobility.assessment.exercise_stages import ExerciseStages
from mobility.assessment.movements import movement as movement_entry
from mobility.assessment.number import without_hidden_side
from mobility.assessment.verdict import Verdict
from mobility.base.provenance import AnalysisWarning
from mobility.catalogue.joints import ANGLE_OF_JOINT, joints_that
from mobility.errors import MobilityError
from mobility.exercises.joint_angle_mobility.courses import (
    feet_could_be_planted,
    single_joint_limits,
)
from mobility.exercises.joint_angle_mobility.excursions import checked_movements
from mobility.exercises.joint_angle_mobility.joint_mobility import joint_mobility, joint_movements
from mobility.exercises.joint_angle_mobility.joint_values import (
    compared_movements,
    with_refused_joints,
    without_uncertain_ends,
)
from mobility.exercises.joint_angle_mobility.joint_verdict import (
    applicable_warnings,
    verdict_in_joints,
)
from mobility.kinematics import angles as kinematic_angles

if TYPE_CHECKING:
    import xarray as xr

    from mobility.assessment.exercise_stages import Depends, Trial


class JointAngleMobility(ExerciseStages):
    """Movements of one or several joints."""

    depends: ClassVar[Depends] = {
        "fitted": (("pose", "second_pose"), ("exercise",), ()),
        "angles": (("fitted",), ("fit",), ()),
        "repetitions": (("fitted", "angles"), ("joints",), ("repetitions",)),
        "metrics": (
            ("fitted", "angles", "repetitions"),
            ("joints", "sex", "age", "movement"),
            ("repetitions",),
        ),
        "annotated": (("pose", "angles", "repetitions", "metrics"), ("joints",), ()),
    }

    def subject(self, joints: Sequence[str], movement: str | None) -> Literal["moving"] | None:
        """Follow the person who moves the joint, if nobody was clicked on.

        This does not apply to ankle, trunk and neck, because another person's arm could decide.
        """
        asked = [movement_entry(movement)["joint"]] if movement else joints
        return None if set(joints_that("followed")).isdisjoint(asked) else "moving"

    def fit_options(self, cleaned: xr.Dataset) -> dict[str, Any]:
        """Let the feet move, unless they could have been planted."""
        return {} if feet_could_be_planted(cleaned) else {"feet_planted": False}

    def joint_angles(self, trial: Trial) -> xr.Dataset:
        """Compute the angles, including the image-plane angles."""
        limits: dict[str, Any] = {"limits": single_joint_limits()} if trial.fit else {}
        return kinematic_angles.joint_angles(trial.fitted, in_picture=True, **limits)

    def repetitions(self, trial: Trial) -> xr.Dataset:
        """Find the movements of the joints, or use movements that were set by hand."""
        movements: xr.Dataset = joint_movements(
            trial.fitted, trial.angles, joints=trial.joints, movements=trial.intervals
        )
        return movements

    def checked_repetitions(
        self, intervals: Sequence[Mapping[str, Any]], joints: tuple[str, ...]
    ) -> list[dict[str, Any]]:
        """Check movements that were set by hand."""
        return checked_movements(intervals, joints=joints)

    def metrics(self, trial: Trial) -> xr.Dataset:
        """Measure the joints of a recording."""
        measured: xr.Dataset = joint_mobility(
            trial.fitted,
            trial.angles,
            joints=trial.joints,
            sex=cast("Any", trial.sex),
            age=trial.age,
            movement=trial.movement,
            movements=trial.intervals,
        )
        return measured

    def verdict(
        self,
        quality: Mapping[str, Any],
        metrics: xr.Dataset,
        fitted: Callable[[], xr.Dataset],
        warnings: Sequence[AnalysisWarning],
    ) -> Verdict:
        """Rate what the recording can be used for, considering only the joints that it shows."""
        return verdict_in_joints(quality, metrics, fitted(), warnings)

    def warnings_kept(
        self,
        joints: Sequence[str],
        quality: Mapping[str, Any],
        metrics: xr.Dataset,
        warnings: Sequence[AnalysisWarning],
    ) -> list[AnalysisWarning]:
        """Keep the warnings that concern the joints."""
        return applicable_warnings(
            warnings, [ANGLE_OF_JOINT[joint] for joint in joints], quality, metrics
        )

    def verdict_from_counts(
        self,
        quality: Mapping[str, Any],
        accepted: float | None,
        dataset: Callable[[str], xr.Dataset],
        warnings: Sequence[AnalysisWarning],
    ) -> Verdict | None:
        """Rate what the recording can be used for; None if the metrics are absent or damaged."""
        with suppress(MobilityError):
            return self.verdict(quality, dataset("metrics"), lambda: dataset("fitted"), warnings)
        return None

    def reported(self, metrics: xr.Dataset) -> xr.Dataset:
        """Leave out ends of range that are too uncertain, and the curves, which are not metrics."""
        return without_uncertain_ends(metrics).drop_dims("time")

    def angles_in_video(
        self, angles: xr.Dataset, metrics: xr.Dataset, joints: Sequence[str]
    ) -> tuple[xr.Dataset, tuple[str, ...]]:
        """Leave out withheld values, and show the angles of the selected joints."""
        shown = with_refused_joints(without_hidden_side(angles, metrics), metrics)
        return shown, tuple(ANGLE_OF_JOINT[joint] for joint in joints)

    def compared(
        self, angles: xr.Dataset, repetitions: xr.Dataset, metrics: xr.Dataset
    ) -> tuple[xr.Dataset, xr.Dataset]:
        """Compare each movement of a selected joint, in the angle of that joint."""
        return compared_movements(angles, metrics)
