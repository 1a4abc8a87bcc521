"""What an exercise does at each stage of an analysis: what its module ``analysis`` may have."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

from mobility.catalogue.exercise import Exercise

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr
    from numpy.typing import NDArray

    from mobility.assessment.verdict import Verdict
    from mobility.base.provenance import AnalysisWarning


@dataclass(frozen=True)
class Trial:
    """What a stage of an analysis has at hand; the Datasets are read when they are asked for.

    Attributes
    ----------
    exercise
        Whose trial it is.
    joints
        Joints that were chosen.
    fit
        Whether a body was fitted.
    movement
        Movement that was asked for; None where it is to be recognised.
    sex, age
        The participant's; None where unknown.
    intervals
        Repetitions that were set by hand; None where they are to be found.
    dataset
        Gives the Dataset of a stage by the stage's name.
    """

    exercise: Exercise
    joints: tuple[str, ...]
    fit: bool
    movement: str | None
    sex: str | None
    age: float | None
    intervals: Sequence[Mapping[str, Any]] | None
    dataset: Callable[[str], xr.Dataset]

    @property
    def fitted(self) -> xr.Dataset:
        """The fitted pose."""
        return self.dataset("fitted")

    @property
    def angles(self) -> xr.Dataset:
        """Its angles."""
        return self.dataset("angles")

    @property
    def repetitions(self) -> xr.Dataset:
        """Its repetitions."""
        return self.dataset("repetitions")


class ExerciseStages(Protocol):
    """Module ``analysis``: the stages, and the verdict."""

    DEPENDS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]]
    """By stage, the stages, options and corrections that its result depends on, where they differ
    from those of :data:`mobility.pipeline.analysis.STEPS`."""

    def subject(self, joints: Sequence[str], movement: str | None) -> Literal["moving"] | None:
        """Say who is measured among several people: who moves a joint; None: the largest."""

    def fit_options(self, cleaned: xr.Dataset) -> dict[str, Any]:
        """Give options of :func:`mobility.fit_body` that the exercise decides."""

    def joint_angles(self, trial: Trial) -> xr.Dataset:
        """Compute the angles of the fitted pose."""

    def repetitions(self, trial: Trial) -> xr.Dataset:
        """Find the repetitions, or take those that were set by hand."""

    def checked_repetitions(
        self, intervals: Sequence[Mapping[str, Any]], joints: tuple[str, ...]
    ) -> list[dict[str, Any]]:
        """Check repetitions that were set by hand."""

    def metrics(self, trial: Trial) -> xr.Dataset:
        """Measure."""

    def other_exercise(
        self, pose: xr.Dataset, frames: xr.DataArray, accepted: NDArray[np.bool_]
    ) -> list[dict[str, Any]]:
        """Warn where another exercise is shown; as for ``assessment.measures.measure``."""

    def recognised_in(self, pose: xr.Dataset) -> list[dict[str, Any]]:
        """Warn that the fitted pose of another exercise shows this one; empty where unclear."""

    def verdict(
        self,
        exercise: Exercise,
        quality: Mapping[str, Any] | None,
        metrics: xr.Dataset | None,
        fitted: Callable[[], xr.Dataset],
        warnings: Sequence[AnalysisWarning],
    ) -> Verdict:
        """Say what the recording is good for."""

    def verdict_from_counts(
        self,
        exercise: Exercise,
        quality: Mapping[str, Any],
        accepted: float | None,
        dataset: Callable[[str], xr.Dataset],
        warnings: Sequence[AnalysisWarning],
    ) -> Verdict | None:
        """Say the same for a cohort, from the number of accepted repetitions; None: not known.

        `dataset` reads the result of a stage by the stage's name, where the number is not enough.
        """

    def reported(self, metrics: xr.Dataset) -> xr.Dataset:
        """Leave out what the report withholds."""

    def warnings_kept(
        self,
        exercise: Exercise,
        joints: Sequence[str],
        quality: Mapping[str, Any],
        metrics: xr.Dataset,
        warnings: Sequence[AnalysisWarning],
    ) -> list[AnalysisWarning]:
        """Leave out the warnings that say nothing about what is reported."""

    def angles_in_video(
        self, angles: xr.Dataset, metrics: xr.Dataset, joints: Sequence[str]
    ) -> tuple[xr.Dataset, tuple[str, ...] | None]:
        """Give the angles as the annotated video shows them, and which; None: the usual ones."""

    def compared(
        self,
        exercise: Exercise,
        angles: xr.Dataset,
        repetitions: xr.Dataset,
        metrics: xr.Dataset,
    ) -> tuple[xr.Dataset, xr.Dataset]:
        """Give angles and repetitions as they are compared with a lab's.

        ``compared(rep, [angle], side)`` of the repetitions says what each of them shows, where
        that is not all; the median of a value is taken from ``<value>_start`` to ``<value>_end``.
        """


def stages_of(exercise: Exercise) -> ExerciseStages:
    """Give the stages of an exercise, and the verdict on its recording."""
    return cast("ExerciseStages", exercise.part("analysis"))
