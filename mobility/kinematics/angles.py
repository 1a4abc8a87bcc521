r"""Joint and segment angles of a pose.

The frame follows the recommendations of the International Society of Biomechanics, as far as
landmarks allow: :math:`e_Y` is up, :math:`e_Z` the horizontal part of the line from the left to the
right hip (the subject's right), and :math:`e_X = e_Y \times e_Z` points forward.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
import xarray as xr
from pydantic import Field

from mobility import tables
from mobility.base.formatting import capital, plus_minus
from mobility.base.options import checked, likely
from mobility.base.provenance import cameras_of, with_history
from mobility.base.uncertain import sd_name
from mobility.errors import BadInputError
from mobility.keypoints.sources import is_without_depth
from mobility.keypoints.view import camera_view
from mobility.kinematics.angle_errors import DEFAULT_METHOD, angle_sd, largest_sd, legs_unseen_sd
from mobility.kinematics.datasets import Pose, require_pose, require_positions
from mobility.kinematics.expected_error import (
    TABLE,
    another_model,
    half_width,
    landmark_error,
    spread_factors,
)
from mobility.kinematics.in_picture import measured_angles
from mobility.kinematics.skeleton import (
    FEET,
    SIDES,
    angles_from_points,
    angles_in,
    definitions,
    is_without_feet,
    landmarks,
    of_single_joints,
)
from mobility.kinematics.unseen_arms import unseen_arms

_REFUSED_SHARE = 0.05
"""Share of unreported values above which an angle gets a warning."""


@checked
def joint_angles(
    pose: Pose,
    *,
    limits: Mapping[str, Annotated[float, Field(gt=0)]] | None = None,
    in_picture: bool = False,
) -> xr.Dataset:
    r"""Compute joint and segment angles of a pose, with the expected error of each angle.

    With shoulder S, hip H, knee K, ankle A, heel, toe T, elbow E, wrist W, and a bar for the mean
    of left and right:

    - knee flexion: angle between :math:`K-H` and :math:`A-K`, negative in hyperextension;
    - hip flexion: signed sagittal angle from :math:`\bar H-\bar S` to :math:`K-H`;
    - ankle dorsiflexion: 90 degrees minus the angle between :math:`T-heel` and :math:`K-A`;
    - hip abduction: :math:`\arcsin(\pm \hat t \cdot e_Z)` with the unit vector :math:`\hat t`
      along the thigh;
    - shoulder flexion: angle between :math:`\bar H-\bar S` and :math:`E-S`;
    - elbow flexion: angle between :math:`E-S` and :math:`W-E`;
    - tibia inclination, trunk lean: :math:`\mathrm{atan2}(v \cdot e_X, v \cdot e_Y)` of
      :math:`K-A` and of :math:`\bar S-\bar H`;
    - thigh elevation: angle of :math:`H-K` above the horizontal;
    - pelvis obliquity: angle of the line from the left to the right hip above the horizontal;
    - arm fall: minus the signed sagittal angle from :math:`\bar S-\bar H` to :math:`\bar W-\bar S`.

    Signed sagittal angles are in (-90, 270]. Without abduction, knee flexion = 90 + tibia
    inclination - thigh elevation, hip flexion = 90 + trunk lean - thigh elevation, and on a flat
    foot dorsiflexion = tibia inclination.

    Parameters
    ----------
    pose
        Pose Dataset; ``position`` (time, space, keypoint, individual) in metres, y up (the camera
        is assumed to be level). The attribute ``method`` states how the positions were obtained.
        Without it, they are taken to be raw MediaPipe world landmarks.
    limits
        Largest expected error with which each angle is reported, in degrees. Other angles keep the
        limits of the table.
    in_picture
        Whether single-joint angles are also measured in the image plane, and combined with the
        angles of the body, weighted by their errors
        (:func:`~mobility.kinematics.in_picture.measured_angles`). Use this for single-joint
        movements, which are filmed in their plane, with a body that was fitted to one camera. The
        Dataset then also has trunk_lateral_flexion and neck_lateral_flexion, over (time, side).

    Returns
    -------
    xarray.Dataset
        In degrees, over (time, side): knee_flexion, hip_flexion, ankle_dorsiflexion, hip_abduction,
        shoulder_flexion, elbow_flexion, tibia_inclination, thigh_elevation; over (time,):
        trunk_lean, trunk_lateral_lean, pelvis_obliquity, arm_fall.

        Each angle has ``<name>_sd``, the expected error of one value as a standard deviation. For a
        fitted body it comes from the posterior of the fit, otherwise from
        ``tables/expected_error.yaml``. If the legs are not seen, the error in that table is added
        to the arms (in quadrature; attribute ``added_sd_deg`` of the angle). An error is also added
        to the shoulder of an arm that points along the line of sight of the only camera.

        Values with an expected error above the limit of the angle (``tables/angles.yaml``) are NaN.
        The attribute ``refused`` gives the reason, ``refused_share`` the share of such values, and
        there is a warning. Arm angles of a fitted body are also NaN if the forearm crosses the
        trunk in the picture or points along the line of sight (``tables/unseen_arms.yaml``). With
        several cameras, this must be the case in all of them. Arm angles measured in the image
        plane are kept.

        An angle is NaN if a landmark that it needs is NaN or two of them coincide. Knee and elbow
        have no sign if the other hip is missing. If the hip line is more than 60 degrees from the
        horizontal (lying on the side), only knee, hip abduction, ankle, elbow and shoulder are
        defined.

    References
    ----------
    Wu et al. 2002, J Biomech 35:543. Wu et al. 2005, J Biomech 38:981. Grood & Suntay 1983, J
    Biomech Eng 105:136.
    """
    angle_table, single = definitions(), tables.load("in_picture")["angles"]
    for name in limits or {}:
        if name not in angle_table:
            raise BadInputError.of({"limits": f"there is no {name!r}{likely(name, angle_table)}"})
    require_positions(pose, what="joint_angles")
    points = landmarks(pose)

    method = str(pose.attrs.get("method", DEFAULT_METHOD))
    table = tables.load(TABLE)
    errors = table["landmarks"].get(method)
    cameras = cameras_of(pose)
    posterior = None
    if "position_draws" in pose:
        posterior, factors = angle_sd(pose), spread_factors(pose)
    added = {} if posterior is None else legs_unseen_sd(pose)
    unseen = {} if posterior is None else unseen_arms(pose)
    pictured = xr.Dataset()
    if in_picture and posterior is not None and len(cameras) < 2 and "image_position" in pose:
        pictured = measured_angles(pose)
    warnings: list[dict[str, Any]] = []
    if errors is None and posterior is None:
        warnings.append(tables.warning("warnings.unknown_error", method=method))
    if posterior is not None and (of_another := another_model(pose)) is not None:
        warnings.append(of_another)

    without_feet = is_without_feet(pose)
    feet = {name.partition("_")[2] for name in FEET}
    measured = angles_from_points(points)
    if in_picture:
        measured |= of_single_joints(measured)
    variables: dict[str, xr.DataArray] = {}
    for name, values in measured.items():
        definition = angle_table[name]
        dims = ("time", "side") if definition["sided"] else ("time",)
        if name in pictured:
            values = pictured[name].to_numpy()
        variables[name] = xr.DataArray(values, dims=dims, attrs=_attributes(definition))
        body_angle = name if name in tables.load("angles") else single[name].get("body")
        sd, source = np.full(values.shape, np.nan), "unknown"
        if body_angle is None and name not in pictured:
            variables[name].attrs["refused"] = tables.sentence("reasons.picture_only")
        elif posterior is not None:
            source = "the angle in the picture"
            if body_angle is not None:
                sd = posterior[sd_name(body_angle)].to_numpy()
                if (
                    sd.shape != values.shape
                ):  # a lean against the vertical, which no camera knows exactly
                    level = tables.load("in_picture")["vertical"]["sd_deg"]
                    sd = np.hypot(np.stack([sd, sd], axis=-1), level)
                    if name not in pictured:
                        variables[name].attrs["added_sd_deg"] = float(level)
                source = "spread of the angle over the posterior samples of the fit"
                source += f", times {factors[body_angle]:g} (table {TABLE})"
            if name in pictured:
                sd = pictured[sd_name(name)].to_numpy()
                if body_angle is not None:
                    source += ", and the angle in the picture, each weighted by its error"
                variables[name].attrs |= pictured[name].attrs
            elif name in added:
                sd = np.hypot(sd, added[name])
                variables[name].attrs["added_sd_deg"] = added[name]
                source += f"; {added[name]:g} degrees added, because the legs are not seen"
        elif errors is not None and (error := landmark_error(method, body_angle)) is not None:
            sd = np.full(values.shape, float(error["sd"]))
            source = f"{errors['source']} {error['source']}"
        present = ~np.isnan(values)
        if (
            without_feet
            and not present.any()
            and feet.intersection(definition.get("landmarks", ()))
        ):
            variables[name].attrs["refused"] = tables.sentence("reasons.no_feet")
        limit = (limits or {}).get(name, largest_sd(name, method=method))
        # An angle that is undefined in some posterior sample has an unbounded error.
        unbounded = np.isnan(sd) if posterior is not None else np.zeros(sd.shape, dtype=bool)
        uncertain = tables.sentence("reasons.uncertain")
        reasons = {uncertain: present & ((sd > limit) | unbounded)}
        # An angle that is measured in the image plane needs no depth.
        for rule, mask in ({} if name in pictured else unseen.get(name, {})).items():
            frames = present & (mask if definition["sided"] else mask.any(axis=1))
            reasons[tables.sentence(f"reasons.unseen_arm.{rule}")] = frames
        refused = np.any(list(reasons.values()), axis=0)
        if refused.any():
            shares = {why: float(frames.sum() / present.sum()) for why, frames in reasons.items()}
            often_first = sorted((why for why in shares if shares[why]), key=lambda w: -shares[w])
            variables[name] = variables[name].where(~refused)
            variables[name].attrs.update(
                refused="; ".join(often_first),
                refused_share=float(refused.sum() / present.sum()),
            )
            for why in (why for why in often_first if shares[why] > _REFUSED_SHARE):
                words = {"name": name, "angle": capital(definition["long_name"])}
                warnings.append(
                    tables.warning(
                        "warnings.angle_refused.uncertain",
                        **words,
                        share=shares[why],
                        limit=plus_minus(half_width(limit), "degree"),
                    )
                    if why == uncertain
                    else tables.warning(
                        "warnings.angle_refused.unseen_arm", **words, share=shares[why], reason=why
                    )
                )
        variables[sd_name(name)] = xr.DataArray(
            np.where(present & ~refused, sd, np.nan),
            dims=dims,
            attrs={
                "units": "degree",
                "long_name": f"standard deviation of the error of {definition['long_name']}",
                "reference": source,
            },
        )
    return with_history(
        xr.Dataset(
            variables,
            coords={"time": pose["time"].variable, "side": list(SIDES)},
            attrs=_without(pose.attrs, "ds_type") | {"ds_type": "angles"},
        ),
        "joint_angles",
        ({} if limits is None else {"limits": dict(limits)})
        | ({"in_picture": True} if in_picture else {}),
        method=method,
        warnings=warnings,
    )


IMAGE_ANGLES = (
    *("knee_flexion", "hip_flexion", "ankle_dorsiflexion"),
    *("shoulder_flexion", "elbow_flexion", "trunk_lean"),
)
"""Angles that are also measured in the image plane."""


def image_plane_angles(pose: xr.Dataset) -> xr.Dataset:
    """Compute angles between landmarks in the picture, without depth, as 2-D programs do.

    They are computed for any view and movement and have no error.
    :func:`~mobility.kinematics.in_picture.picture_angles` instead finds the plane in which the
    joint moves, and gives an error.

    The definitions are the same as in :func:`joint_angles`, with the picture as the sagittal plane.
    From the side they agree with the angles in space, as far as the limbs move in that plane; from
    other views they are projections. Forward is to the right of the picture if the camera is on the
    subject's right, otherwise to the left. From the front or from behind, this only decides the
    sign of angles that cannot be seen.

    The `pose` has ``position`` (for the side of the camera) and ``image_position`` in square
    pixels, v downwards. Returns :data:`IMAGE_ANGLES` in degrees, over (time, side) or (time,).
    """
    require_pose(pose, what="image_plane_angles")
    if "image_position" not in pose:
        raise BadInputError("image_plane_angles: the pose has no 'image_position'")
    pixels = landmarks(pose, "image_position")
    points = np.stack([pixels[..., 0], -pixels[..., 1], np.zeros(pixels.shape[:2])], axis=-1)
    view = camera_view(pose)
    forward = np.nan if np.isnan(view.azimuth_deg) else (1.0 if view.azimuth_deg > 0 else -1.0)
    axes = np.array([[forward, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, forward]])
    frame = np.broadcast_to(axes, (len(points), 3, 3))
    values = angles_in(points, frame, frame[:, 2])
    if view.kind in ("front", "back"):
        signs = np.full((len(points), 3), np.nan)
        unsigned = angles_in(points, frame, signs)
        values |= {name: unsigned[name] for name in ("shoulder_flexion", "elbow_flexion")}
    variables = {}
    for name in IMAGE_ANGLES:
        attrs = _attributes(tables.load("angles")[name]) | {"plane": "picture"}
        attrs["long_name"] += ", in the plane of the picture"
        variables[name] = (("time", "side")[: values[name].ndim], values[name], attrs)
    result = xr.Dataset(
        variables,
        coords={"time": pose["time"].variable, "side": list(SIDES)},
        attrs=_without(pose.attrs, "ds_type", "method")
        | {"ds_type": "angles", "method": "image_plane"},
    )
    azimuth = None if np.isnan(view.azimuth_deg) else round(view.azimuth_deg, 1)
    return with_history(result, "image_plane_angles", {}, azimuth_deg=azimuth)


def _attributes(definition: Mapping[str, Any]) -> dict[str, str]:
    """Return the attributes of an angle, from its definition in the table."""
    copied = {
        name: definition[name] for name in ("long_name", "segments", "plane", "zero", "positive")
    }
    return {"units": "degree", **copied, "reference": definition["source"]}


def _without(attrs: Mapping[Any, Any], *names: str) -> dict[Any, Any]:
    return {key: value for key, value in attrs.items() if key not in names}


def with_raw_angles(angles: xr.Dataset, pose: xr.Dataset) -> xr.Dataset:
    """Add the angles before the fit, for comparison with the angles after the fit.

    `angles` come from :func:`joint_angles` of the fitted pose; `pose` has the same frames before
    the fit. ``<name>_raw`` are computed from the unfitted landmarks in space, ``<name>_image`` by
    :func:`image_plane_angles`; a pose without depth has only ``<name>_image``. They have no
    ``_sd``, their values are never left out, and no metric uses them.
    """
    image = image_plane_angles(pose)
    if not np.array_equal(angles["time"].to_numpy(), image["time"].to_numpy()):
        raise BadInputError("with_raw_angles: the angles and the pose have different frames")
    raw = {} if is_without_depth(pose) else angles_from_points(landmarks(pose))
    added = {}
    for name, values in raw.items():
        added[f"{name}_raw"] = xr.DataArray(
            values,
            dims=("time", "side")[: values.ndim],
            attrs={
                **_without(angles[name].attrs, "refused", "refused_share"),
                "long_name": f"{angles[name].attrs['long_name']}, landmarks without a fit",
            },
        )
    added |= {f"{name}_image": values for name, values in image.data_vars.items()}
    method = str(pose.attrs.get("method", DEFAULT_METHOD))
    return with_history(angles.assign(added), "with_raw_angles", {}, raw_method=method)
