"""What an exercise does, as a class: the stages of its analysis, and the verdict."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from mobility.catalogue.exercise import Exercise

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr
    from numpy.typing import NDArray

    from mobility.assessment.verdict import Verdict
    from mobility.base.provenance import AnalysisWarning


Names = tuple[str, ...]

Depends = Mapping[str, tuple[Names, Names, Names]]
"""By stage, the names of stages, options and corrections."""


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
    sex, age, weight_kg
        Sex, age and mass of the participant; None if unknown.
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
    weight_kg: float | None = None

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


class ExerciseStages(Exercise, ABC):
    """An exercise, with the stages of its analysis and the verdict.

    Its class is in ``exercise.py`` of its folder, and usually inherits from
    :class:`mobility.exercises.repeated.exercise.Repeated`.
    """

    depends: ClassVar[Depends] = {}
    """By stage, the stages, options and corrections that its result depends on, if they differ from
    :data:`mobility.pipeline.analysis.STEPS`. A class adds to what it inherits."""

    @property
    def all_depends(self) -> Depends:
        """What its results depend on: its own `depends`, and those that it inherits."""
        bases = reversed(type(self).__mro__)
        return {k: names for base in bases for k, names in vars(base).get("depends", {}).items()}

    @abstractmethod
    def subject(self, joints: Sequence[str], movement: str | None) -> Literal["moving"] | None:
        """Choose among several people the one who moves a joint; None chooses the largest."""

    def fit_options(self, cleaned: xr.Dataset) -> dict[str, Any]:
        """Return options of :func:`mobility.fit_body` that the exercise sets."""
        return {}

    @abstractmethod
    def joint_angles(self, trial: Trial) -> xr.Dataset:
        """Compute the angles of the fitted pose."""

    @abstractmethod
    def repetitions(self, trial: Trial) -> xr.Dataset:
        """Find the repetitions, or take those that were set by hand."""

    @abstractmethod
    def checked_repetitions(
        self, intervals: Sequence[Mapping[str, Any]], joints: tuple[str, ...]
    ) -> list[dict[str, Any]]:
        """Check repetitions that were set by hand."""

    @abstractmethod
    def metrics(self, trial: Trial) -> xr.Dataset:
        """Compute the metrics."""

    def other_exercise(
        self, pose: xr.Dataset, frames: xr.DataArray, accepted: NDArray[np.bool_]
    ) -> list[dict[str, Any]]:
        """Warn if another exercise is shown; as for ``assessment.measures.measure``."""
        return []

    def recognised_in(self, pose: xr.Dataset) -> list[dict[str, Any]]:
        """Warn if a fitted pose from another exercise shows this exercise; empty if unclear."""
        return []

    @abstractmethod
    def verdict(
        self,
        quality: Mapping[str, Any],
        metrics: xr.Dataset,
        fitted: Callable[[], xr.Dataset],
        warnings: Sequence[AnalysisWarning],
    ) -> Verdict:
        """Decide what the recording can be used for."""

    @abstractmethod
    def verdict_from_counts(
        self,
        quality: Mapping[str, Any],
        accepted: float | None,
        dataset: Callable[[str], xr.Dataset],
        warnings: Sequence[AnalysisWarning],
    ) -> Verdict | None:
        """Return the verdict for a cohort, from the number of repetitions; None if it is unknown.

        `dataset` reads the result of a stage by its name, if the number is not enough.
        """

    def reported(self, metrics: xr.Dataset) -> xr.Dataset:
        """Leave out metrics that the report withholds."""
        return metrics

    @abstractmethod
    def warnings_kept(
        self,
        joints: Sequence[str],
        quality: Mapping[str, Any],
        metrics: xr.Dataset,
        warnings: Sequence[AnalysisWarning],
    ) -> list[AnalysisWarning]:
        """Leave out warnings that do not concern the reported results."""

    @abstractmethod
    def angles_in_video(
        self, angles: xr.Dataset, metrics: xr.Dataset, joints: Sequence[str]
    ) -> tuple[xr.Dataset, tuple[str, ...] | None]:
        """Return the angles for the annotated video, and their names; None means the usual ones."""

    @abstractmethod
    def compared(
        self,
        angles: xr.Dataset,
        repetitions: xr.Dataset,
        metrics: xr.Dataset,
    ) -> tuple[xr.Dataset, xr.Dataset]:
        """Return angles and repetitions for a comparison with lab data.

        ``compared(rep, [angle], side)`` of the repetitions marks what each repetition shows, if
        that is not everything; the median of a value is taken from ``<value>_start`` to
        ``<value>_end``.
        """


def stages_of(exercise: Exercise) -> ExerciseStages:
    """Return an exercise with its stages: an object of the class in its folder."""
    stages: ExerciseStages = exercise.loaded()
    return stages
