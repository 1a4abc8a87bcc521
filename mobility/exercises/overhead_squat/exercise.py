"""The overhead squat, and what only it measures: arms overhead, scores."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility import tables
from mobility.assessment.criteria import compensations, fms_deep_squat
from mobility.assessment.exercise_stages import Trial, stages_of
from mobility.assessment.indices import mobility_index, quality_index
from mobility.assessment.looks_like import place_of_arms
from mobility.assessment.measures import measure
from mobility.assessment.summaries import nanmedian
from mobility.base.options import checked
from mobility.catalogue import registry
from mobility.exercises.repeated.exercise import Repeated
from mobility.keypoints.view import trial_view
from mobility.kinematics.datasets import Angles, Pose, Repetitions
from mobility.kinematics.skeleton import SIDES

SLUG = "overhead-squat"


class OverheadSquat(Repeated):
    """A squat with the arms overhead."""

    def metrics(self, trial: Trial) -> xr.Dataset:
        """Measure the squats of a trial."""
        measured: xr.Dataset = overhead_squat(trial.fitted, trial.angles, trial.repetitions)
        return self.warned(measured, trial)

    def other_exercise(
        self, pose: xr.Dataset, frames: xr.DataArray, accepted: NDArray[np.bool_]
    ) -> list[dict[str, Any]]:
        """Warn of standing up from a chair, or of hands that are not overhead."""
        return super().other_exercise(pose, frames, accepted) or _hands_not_overhead(
            pose, frames, accepted
        )


@checked
def overhead_squat(pose: Pose, angles: Angles, repetitions: Repetitions) -> xr.Dataset:
    """Measure joint angles, posture, knee movement, tempo and smoothness of squats.

    Parameters
    ----------
    pose
        Pose Dataset in metres, y up: ``position(time, space, keypoint, individual)``.
    angles
        Angles Dataset of the same frames, degrees, over ``(time, side)`` or ``(time,)``,
        each with its ``<name>_sd``.
    repetitions
        Repetitions Dataset of the same frames.

    Returns
    -------
    xarray.Dataset
        The metrics, each with the attributes ``units``, ``long_name``, ``group``,
        ``statistic`` and ``reference``, of what it is measured (``quantity``), which number of it
        (``kind``, explained in ``tables/measures.yaml``), and the names of its errors
        (``ancillary_variables``: ``<metric>_sd`` and, where it was measured, ``<metric>_sem``).
        Values that cannot be supported are NaN.

        Per repetition: ``<angle>_bottom`` (median of the frames within the bottom),
        ``<angle>_peak`` (the extreme within the repetition; maximum, for
        ``thigh_elevation`` and ``shoulder_flexion`` the minimum, for ``hip_abduction`` and
        ``pelvis_obliquity`` the signed value farthest from zero), ``<angle>_phase`` (median
        within each phase), ``<angle>_bottom_asymmetry`` (right minus left),
        ``knee_ankle_separation_ratio_phase(rep, phase)``,
        ``knee_deviation_phase(rep, phase, side)``,
        ``frontal_plane_projection_angle_phase(rep, phase, side)`` (NaN where the thigh points at
        the viewer, so at the bottom), ``<posture>_bottom`` of the quantities of
        :func:`~mobility.assessment.posture.posture`, ``depth``, ``descent_duration``,
        ``bottom_duration``, ``ascent_duration``, ``tempo_ratio`` (descent over ascent),
        ``descent_sparc``, ``ascent_sparc``, ``descent_ldlj``, ``ascent_ldlj`` (smoothness of the
        speed of the hips, see :mod:`mobility.assessment.kernels`). Start and end are the
        turning points; the bottom includes the ends of descent and ascent, as far as the hips
        are within 3 % of the depth of their lowest place, so that its duration is longer, and
        those of descent and ascent are shorter, than between turning points.

        Over the accepted repetitions: ``<angle>`` (median of the bottom values),
        ``<angle>_asymmetry`` (difference of these medians, right minus left),
        ``<angle>_variability`` (SD, from five repetitions on), ``<angle>_curve_variability``
        (SD at 101 points of the repetitions, their mean), ``<angle>_from_standing`` (bottom minus
        standing, NaN where nobody is seen standing), ``<angle>_asymmetry_index``,
        ``<angle>_limb_symmetry_index`` and ``<angle>_symmetry_angle`` (percent, where the mean of
        both sides is at least 20 degrees; see :mod:`mobility.assessment.summaries`),
        ``knee_ankle_separation_ratio`` (median of the
        smallest over mid-descent, bottom and mid-ascent) and its
        ``knee_ankle_separation_ratio_standing``, ``knee_deviation`` (median of the
        largest over the same), ``knee_deviation_asymmetry``, ``knee_deviation_at_bottom``,
        ``heel_rise``, ``trunk_tibia_difference``, ``dowel_offset``, ``lateral_shift``, ``toe_out``
        (medians of their bottom values), ``stance_width``, ``stance_width_m`` (in standing),
        ``smoothness_sparc``, ``accepted_repetitions``. The attribute ``phase`` of the extremes
        names the phase in which they occur.

        From all this: ``mobility_index...``, ``quality_index...`` (see
        :mod:`mobility.assessment.indices`), ``fms_probability``, ``fms_joint_probability`` and
        ``compensation_probability`` (see :mod:`mobility.assessment.criteria`).

    Raises
    ------
    BadInputError
        When an angle or a variable is missing, or the frames of the inputs differ.

    Notes
    -----
    A value is NaN where more than half of its frames are. Rejected repetitions have values, but
    enter none of those over repetitions. Where the recording cuts a repetition off, the phases at
    that end are NaN.

    Where the camera does not see the frontal plane
    (:func:`mobility.keypoints.view.hides_frontal_plane`), hip abduction, pelvic obliquity, lateral
    shift, toe-out, stance width, all differences of the sides and the knee movement are NaN, with
    the attribute ``note`` and a warning. Where it stands at the side
    (:func:`mobility.keypoints.view.near_side`) all values of the far side are NaN, and the
    attribute ``hidden_side`` of the Dataset names it. What lies in the sagittal plane is refused by
    its error.

    Where the trunk leans by more than 45 degrees at rest, this is no squat from standing, and all
    but durations is NaN, with a note and a warning.

    Errors are mostly a bias of the trial, which more frames or repetitions do not average away.
    So over n repetitions each is sqrt(m² + s²/n), with m the bias and s the SD of the repetitions
    (from two on; one says nothing of s). There are four, each for what it is:

    - of an **absolute** value, ``<angle>_sd`` and ``<angle>_bottom_sd``: for criteria, indices,
      findings, and a change between recordings from different views;
    - of a **change from standing**, ``<angle>_from_standing_sd``: what standing and bottom have
      alike cancels in it, but how straight the subject stands is assumed;
    - of **right minus left** in one trial, ``<angle>_asymmetry_sd`` and
      ``<angle>_bottom_asymmetry_sd``: a difference counts where value ± 1.96 times it excludes 0;
    - of a **change between visits**, ``<metric>_sem``: the standard error of measurement of
      another recording on another day (:func:`~mobility.assessment.trial_errors.visit_sem`). A
      change counts beyond 1.96 sqrt(2) times it (cohort, visits). Without one none is claimed.

    A value whose error exceeds the limit of its angle (``tables/angles.yaml``) is NaN, and so is
    its change from standing or its difference of the sides where that of these does. For a fitted
    body the errors are those of the body, whatever ``_sd`` the angles bring.

    The first three are computed of a fitted body from the draws of the fit, each number from each
    draw, times the factor of that number (:func:`~mobility.assessment.trial_errors.trial_errors`);
    the last comes from ``tables/trial_errors.yaml`` (camera; m if it was not measured) and
    ``tables/between_visits.yaml``. Without a fit m is the median of the errors of the frames at the
    bottom; sides, and standing and bottom, then count as independent. So do the sides of quantities
    of positions, where m is the median ``_sd`` of the frames. The error of the heel rise of a
    fitted body grows with its value (``with_value`` in ``tables/expected_error.yaml``).
    ``<angle>_phase_sd`` and ``<angle>_peak_sd`` are errors of frames.

    The draws of a fit vary more from knot to knot than its errors do, so that they do not tell
    how uncertain a speed is: in ``smoothness_sparc_sd`` m is the error of fits of rendered squats,
    which move smoothly. A fitted body cannot move faster than half of the rate of its knots: what
    is jerky beyond that is smoothed away. Smoothness of landmarks without a fit is refused.

    References
    ----------
    Butler, Plisky, Southers, Scoma, Kiesel (2010), Sports Biomechanics 9:270.
    Bell, Padua, Clark (2008), Arch Phys Med Rehabil 89:1323.
    Ortiz et al. (2016), Open Access J Sports Med 7:65.
    """
    view, exercise = trial_view(pose), stages_of(registry.exercise(SLUG))
    return measure(
        pose,
        angles,
        repetitions,
        exercise=exercise,
        operation="overhead_squat",
        other_exercise=exercise.other_exercise,
        scores=(
            mobility_index,
            quality_index,
            functools.partial(fms_deep_squat, view=view),
            functools.partial(compensations, view=view),
        ),
    )


def _hands_not_overhead(
    pose: xr.Dataset, frames: xr.DataArray, accepted: NDArray[np.bool_]
) -> list[dict[str, Any]]:
    """Warn where the hands are raised in no phase: this was no overhead squat.

    Arms that begin overhead and fall, however far, are a fault of one.
    """
    place = pose["position"].isel(individual=0, drop=True, missing_dims="ignore")

    def of_sides(joint: str) -> xr.DataArray:
        points = place.sel(keypoint=[f"{side}_{joint}" for side in SIDES])
        return points.assign_coords(keypoint=list(SIDES))

    shoulder, elbow, wrist = map(of_sides, ("shoulder", "elbow", "wrist"))
    length = sum(
        (part**2).sum("space", skipna=False) ** 0.5 for part in (elbow - shoulder, wrist - elbow)
    )
    height = ((wrist - shoulder).sel(space="y", drop=True) / length).mean("keypoint")
    within_phase = frames.isel(rep=np.flatnonzero(accepted)).any("rep")
    highest = nanmedian(height.where(within_phase), "time").max()
    least = tables.load("measures")["limits"]["least_height_of_hands"]["value"]
    if not float(highest) < least:
        return []
    bottoms = frames.sel(phase="bottom").to_numpy()[accepted]
    return [
        tables.warning(
            "warnings.hands_not_overhead", looks=place_of_arms(pose, bottoms), exercise="squat"
        )
    ]
