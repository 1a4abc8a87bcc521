"""The overhead squat, and what only this exercise measures: arms overhead, scores."""

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
        """Measure the squats of a recording."""
        measured: xr.Dataset = overhead_squat(trial.fitted, trial.angles, trial.repetitions)
        return self.warned(measured, trial)

    def other_exercise(
        self, pose: xr.Dataset, frames: xr.DataArray, accepted: NDArray[np.bool_]
    ) -> list[dict[str, Any]]:
        """Warn if the person stands up from a chair, or if the hands are not overhead."""
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
        The metrics, NaN if a value cannot be supported. The attributes of each are ``units``,
        ``long_name``, ``group``, ``statistic`` and ``reference``. ``quantity`` names what is
        measured, and ``kind`` which number it is (explained in ``tables/measures.yaml``).
        ``ancillary_variables`` names its errors: ``<metric>_sd`` and, if it was measured,
        ``<metric>_sem``.

        Angles in each repetition: ``<angle>_bottom`` is the median of the frames within the bottom,
        and ``<angle>_phase`` the median within each phase. ``<angle>_peak`` is the extreme within
        the repetition: the maximum in general, the minimum for ``thigh_elevation`` and
        ``shoulder_flexion``, and the signed value farthest from zero for ``hip_abduction`` and
        ``pelvis_obliquity``. ``<angle>_bottom_asymmetry`` is right minus left.

        Other values of each repetition: ``knee_ankle_separation_ratio_phase(rep, phase)``,
        ``knee_deviation_phase(rep, phase, side)``, ``frontal_plane_projection_angle_phase(rep,
        phase, side)`` (NaN when the thigh points at the camera, as at the bottom),
        ``<posture>_bottom`` for the quantities of :func:`~mobility.assessment.posture.posture`,
        ``depth``, ``descent_duration``, ``bottom_duration``, ``ascent_duration`` and
        ``tempo_ratio`` (descent over ascent). ``descent_sparc``, ``ascent_sparc``, ``descent_ldlj``
        and ``ascent_ldlj`` are the smoothness of the hip speed (see
        :mod:`mobility.assessment.kernels`).

        Start and end of a repetition are the turning points. The bottom includes the ends of
        descent and ascent while the hips are within 3 % of the depth from their lowest position. So
        it lasts longer than the turning points suggest, and descent and ascent are shorter.

        Angles over the accepted repetitions: ``<angle>`` is the median of the bottom values, and
        ``<angle>_asymmetry`` the difference of these medians, right minus left.
        ``<angle>_variability`` is the SD (at least five repetitions), and
        ``<angle>_curve_variability`` the mean SD at 101 points of the repetitions.
        ``<angle>_from_standing`` is bottom minus standing (NaN if the person is not seen standing).
        ``<angle>_asymmetry_index``, ``<angle>_limb_symmetry_index`` and ``<angle>_symmetry_angle``
        are in percent; they need a mean of both sides of at least 20 degrees (see
        :mod:`mobility.assessment.summaries`).

        Other values over the accepted repetitions: ``knee_ankle_separation_ratio`` (median of the
        smallest value in mid-descent, bottom and mid-ascent),
        ``knee_ankle_separation_ratio_standing``, ``knee_deviation`` (median of the largest value in
        the same phases), ``knee_deviation_asymmetry``, ``knee_deviation_at_bottom``, ``heel_rise``,
        ``trunk_tibia_difference``, ``dowel_offset``, ``lateral_shift``, ``toe_out`` (medians of the
        bottom values), ``stance_width`` and ``stance_width_m`` (in standing), ``smoothness_sparc``
        and ``accepted_repetitions``. The attribute ``phase`` of an extreme names the phase in which
        it occurs.

        Derived from all of these: ``mobility_index...``, ``quality_index...`` (see
        :mod:`mobility.assessment.indices`), ``fms_probability``, ``fms_joint_probability`` and
        ``compensation_probability`` (see :mod:`mobility.assessment.criteria`).

    Raises
    ------
    BadInputError
        An angle or a variable is missing, or the frames of the inputs differ.

    Notes
    -----
    A value is NaN if more than half of its frames are NaN. Rejected repetitions have values, but do
    not count in values over repetitions. If the recording cuts off a repetition, the phases at that
    end are NaN.

    If the camera does not see the frontal plane
    (:func:`mobility.keypoints.view.hides_frontal_plane`), values in that plane are NaN, with the
    attribute ``note`` and a warning. They are hip abduction, pelvic obliquity, lateral shift,
    toe-out, stance width, all side differences and the knee movement. From the side
    (:func:`mobility.keypoints.view.near_side`), all values of the far side are NaN, and the
    attribute ``hidden_side`` of the Dataset names it. Values in the sagittal plane are withheld
    only if their error is too large.

    If the trunk leans by more than 45 degrees at rest, the movement is not a squat from standing.
    Everything but durations is then NaN, with a note and a warning.

    Errors are mostly a bias of the recording, which does not average out over frames or
    repetitions. So the error over n repetitions is sqrt(m² + s²/n), with m the bias and s the SD of
    the repetitions. A single repetition gives no s. There are four kinds of error:

    - for an **absolute** value, ``<angle>_sd`` and ``<angle>_bottom_sd``: used for criteria,
      indices, findings, and changes between recordings from different views;
    - for a **change from standing**, ``<angle>_from_standing_sd``: errors common to standing and
      bottom cancel, but how straight the person stands is assumed;
    - for **right minus left** in one recording, ``<angle>_asymmetry_sd`` and
      ``<angle>_bottom_asymmetry_sd``: a difference counts if value ± 1.96 times this error excludes
      0;
    - for a **change between visits**, ``<metric>_sem``: the standard error of measurement between
      recordings on different days (:func:`~mobility.assessment.trial_errors.visit_sem`). A change
      counts if it exceeds 1.96 sqrt(2) times this error (cohort, visits). Without this error, no
      change is reported.

    A value is NaN if its error exceeds the limit of its angle (``tables/angles.yaml``). The same
    applies to its change from standing and to the difference between its sides, each with its own
    error. For a fitted body, the errors of the body are used, whatever ``_sd`` the angles have.

    For a fitted body, the first three errors are computed from the draws of the fit. The number is
    computed for each draw, and its spread is multiplied by a calibration factor
    (:func:`~mobility.assessment.trial_errors.trial_errors`). The fourth comes from
    ``tables/trial_errors.yaml`` (camera; m if it was not measured) and
    ``tables/between_visits.yaml``. The error of the heel rise grows with its value (``with_value``
    in ``tables/expected_error.yaml``).

    Without a fit, m is the median error of the frames at the bottom. The sides count as
    independent, and so do standing and bottom. For quantities computed from positions, the sides
    also count as independent, and m is the median ``_sd`` of the frames. ``<angle>_phase_sd`` and
    ``<angle>_peak_sd`` are errors of single frames.

    The draws of a fit vary more from knot to knot than its errors do, so they do not show how
    uncertain a speed is. In ``smoothness_sparc_sd``, m is therefore the error of fits of rendered
    squats, which move smoothly. A fitted body cannot move faster than half the rate of its knots,
    so jerkier movement is smoothed away. Smoothness is not reported for landmarks without a fit.

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
    """Warn if the hands are not raised in any phase, because this is then not an overhead squat.

    If the arms begin overhead and fall, however far, it is still an overhead squat with a finding.
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
