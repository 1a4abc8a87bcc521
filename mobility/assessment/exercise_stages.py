"""The stages of an analysis that an exercise can define in its module ``analysis``."""

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
    """Data of a recording for the stages of an analysis; Datasets are read when they are needed.

    Attributes
    ----------
    exercise
        The exercise that was filmed.
    joints
        Joints that were chosen.
    fit
        Whether a body was fitted.
    movement
        Movement that the user requested; None if it has to be recognised.
    sex, age
        Sex and age of the participant; None if unknown.
    intervals
        Repetitions that were set by hand; None if they have to be found.
    dataset
        Returns the Dataset of a stage by the stage's name.
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
    """By stage, the stages, options and corrections that its result depends on, if they differ from
    :data:`mobility.pipeline.analysis.STEPS`."""

    def subject(self, joints: Sequence[str], movement: str | None) -> Literal["moving"] | None:
        """Choose from several people the person who moves a joint; None chooses the largest."""

    def fit_options(self, cleaned: xr.Dataset) -> dict[str, Any]:
        """Return the options of :func:`mobility.fit_body` that the exercise determines."""

    def joint_angles(self, trial: Trial) -> xr.Dataset:
        """Compute the angles of the fitted pose."""

    def repetitions(self, trial: Trial) -> xr.Dataset:
        """Find the repetitions, or take those that were set by hand."""

    def checked_repetitions(
        self, intervals: Sequence[Mapping[str, Any]], joints: tuple[str, ...]
    ) -> list[dict[str, Any]]:
        """Check repetitions that were set by hand."""

    def metrics(self, trial: Trial) -> xr.Dataset:
        """Compute the metrics."""

    def other_exercise(
        self, pose: xr.Dataset, frames: xr.DataArray, accepted: NDArray[np.bool_]
    ) -> list[dict[str, Any]]:
        """Warn if another exercise is shown; see ``assessment.measures.measure``."""

    def recognised_in(self, pose: xr.Dataset) -> list[dict[str, Any]]:
        """Warn that the fitted pose of another exercise shows this exercise; empty if unclear."""

    def verdict(
        self,
        exercise: Exercise,
        quality: Mapping[str, Any] | None,
        metrics: xr.Dataset | None,
        fitted: Callable[[], xr.Dataset],
        warnings: Sequence[AnalysisWarning],
    ) -> Verdict:
        """Decide what the recording can be used for."""

    def verdict_from_counts(
        self,
        exercise: Exercise,
        quality: Mapping[str, Any],
        accepted: float | None,
        dataset: Callable[[str], xr.Dataset],
        warnings: Sequence[AnalysisWarning],
    ) -> Verdict | None:
        """Return the verdict for a cohort from the number of accepted repetitions; None if unknown.

        If the number is not enough, `dataset` reads the result of a stage by its name.
        """

    def reported(self, metrics: xr.Dataset) -> xr.Dataset:
        """Leave out metrics that the report does not show."""

    def warnings_kept(
        self,
        exercise: Exercise,
        joints: Sequence[str],
        quality: Mapping[str, Any],
        metrics: xr.Dataset,
        warnings: Sequence[AnalysisWarning],
    ) -> list[AnalysisWarning]:
        """Leave out warnings that do not concern the reported results."""

    def angles_in_video(
        self, angles: xr.Dataset, metrics: xr.Dataset, joints: Sequence[str]
    ) -> tuple[xr.Dataset, tuple[str, ...] | None]:
        """Return the angles for the annotated video, and their names; None means the usual ones."""

    def compared(
        self,
        exercise: Exercise,
        angles: xr.Dataset,
        repetitions: xr.Dataset,
        metrics: xr.Dataset,
    ) -> tuple[xr.Dataset, xr.Dataset]:
        """Return angles and repetitions for a comparison with lab data.

        If repetitions do not show everything, ``compared(rep, [angle], side)`` marks what each one
        shows. The median of a value is taken from ``<value>_start`` to ``<value>_end``.
        """


def stages_of(exercise: Exercise) -> ExerciseStages:
    """Return the stages of an exercise, and the verdict on its recording."""
    return cast("ExerciseStages", exercise.part("analysis"))
