"""Pure functions that turn Datasets and the session record into JSON documents.

Numbers are rounded, and NaN becomes null, only in this module; see
:mod:`mobility.documents.contract`.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mobility import tables
from mobility.assessment.comments import comments, parts_left_out
from mobility.assessment.findings import Finding, all_rules, find, label, row_name
from mobility.assessment.number import number_of
from mobility.assessment.verdict import Verdict, judge
from mobility.base.formatting import dated
from mobility.catalogue.joints import ANGLE_OF_JOINT
from mobility.documents.contract import (
    Check,
    CreatedAt,
    ExportDocument,
    KneeMovementPhases,
    ReportComments,
    ReportDocument,
    ReportGroup,
    SessionDocument,
    SummaryDocument,
    UserInfo,
)
from mobility.sessions.record import Participant, SessionRecord, Side

if TYPE_CHECKING:
    import xarray as xr

ACTIVITY = "Mobility Assessment"

DOCUMENT_NAME: Mapping[str, str] = {
    "hip_flexion": "hip_flexion",
    "hip_abduction": "hip_abduction",
    "knee_flexion": "knee_flexion",
    "ankle_dorsiflexion": "ankle_flexion",
}
"""Groups with one angle per side, and the angle's name in their metric keys."""

GRAPH_NAME: Mapping[str, str] = {
    "hip_flexion": "hip_flexion",
    "hip_abduction": "hip_abduction",
    "knee_flexion": "kne_flexion",
    "ankle_dorsiflexion": "ank_flexion",
}
"""The same groups, and the angle's name in their graph keys, after the letter of the side."""

SUMMARY_GROUP: Mapping[str, str] = {"hip_abduction": "hip_adduction"}
"""Groups with a different spelling in the summary document."""

LANDMARK_NAME: Mapping[str, str] = {
    **{name: name[:3] for name in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle", "heel")},
    **{"foot_index": "toe", "ear": "ear", "eye": "eye", "eye_inner": "ein", "eye_outer": "eou"},
    **{name: name[:3] for name in ("pinky", "index", "thumb", "mouth")},
}
"""Three letters of each sided landmark in the export document."""

SIDES: tuple[Side, Side] = ("left", "right")


def rounded(value: Any, digits: int) -> float | None:
    """Round one number for a document; None for NaN and infinity."""
    number = round(float(value), digits)
    # Adding zero turns -0.0 into 0.0.
    return number + 0.0 if np.isfinite(number) else None


def series(values: npt.ArrayLike, digits: int) -> list[float | None]:
    """Round a series for a document; None for NaN and infinity."""
    return [rounded(value, digits) for value in np.asarray(values, dtype=float).ravel()]


def milliseconds(time: xr.DataArray) -> list[float]:
    """Convert seconds to milliseconds, rounded to 0.001."""
    return [round(1000.0 * float(second), 3) for second in time.values]


def day(moment: datetime.datetime) -> str:
    """Return the date as DD/MM/YYYY, in the time zone of `moment`."""
    return f"{moment:%d/%m/%Y}"


def created_at(moment: datetime.datetime) -> CreatedAt:
    """Return the date (DD/MM/YYYY) and time (HH:MM AM/PM), in the time zone of `moment`."""
    # Not %p: it is empty or translated in some locales.
    hour = moment.hour % 12 or 12
    half = "AM" if moment.hour < 12 else "PM"
    return CreatedAt(date=day(moment), time=f"{hour:02d}:{moment.minute:02d} {half}")


def user_name(record: SessionRecord, participant: Participant | None) -> str:
    """Return the display name of the participant, or else the user ID."""
    return (participant.display_name if participant else None) or record.user_id


def title(record: SessionRecord, participant: Participant | None) -> str:
    """Return the session name, or else the exercise, participant and date."""
    if record.session_name:
        return record.session_name
    return f"{record.exercise}, {user_name(record, participant)}, {dated(record.created_at)}"


def user_info(record: SessionRecord, participant: Participant | None) -> UserInfo:
    """Return the stored fields of the participant: height_m in metres, weight in kilograms.

    If a phone added the session, the e-mail address is left out, because the phone may read the
    report.
    """
    info: UserInfo = {"user_id": record.user_id}
    if participant:
        hidden = set() if record.phone_key is None else {"email"}
        stored = participant.model_dump(exclude_none=True, exclude=hidden)
        info.update({"weight" if key == "weight_kg" else key: stored[key] for key in stored})
    return info


def camera_side(pose: xr.Dataset) -> Side:
    """Return the side whose landmarks have the higher mean visibility; "left" if they are equal."""
    mean_visibility = {}
    for side in SIDES:
        names = [str(name) for name in pose.keypoint.values if str(name).startswith(f"{side}_")]
        visibility = pose["confidence"].sel(keypoint=names).values
        mean_visibility[side] = (
            float(np.nanmean(visibility)) if np.isfinite(visibility).any() else 0.0
        )
    return "right" if mean_visibility["right"] > mean_visibility["left"] else "left"


def angle_series(
    angles: xr.Dataset, *, joints: Iterable[str], side: Side | Mapping[str, Side]
) -> dict[str, list[float | None]]:
    """Return the angle series of the selected joints, in degrees rounded to 0.01.

    ``<joint>_angle`` belongs to `side`, which is one side for all joints, or a side for each joint.
    """
    curves = {}
    for joint in joints:
        angle = angles[ANGLE_OF_JOINT[joint]]
        of_joint = side if isinstance(side, str) else side[joint]
        for key, which in (
            (f"left_{joint}", "left"),
            (f"right_{joint}", "right"),
            (joint, of_joint),
        ):
            curves[f"{key}_angle"] = series(angle.sel(side=which).values, 2)
    return curves


def landmark_names() -> dict[str, str]:
    """Return the landmark of each name in the export document: ``lkne`` is "left_knee"."""
    names = {"head": "nose"}
    for side in SIDES:
        for landmark, letters in LANDMARK_NAME.items():
            keypoint = f"mouth_{side}" if landmark == "mouth" else f"{side}_{landmark}"
            names[side[0] + letters] = keypoint
    return names


def keypoint_series(pose: xr.Dataset) -> dict[str, list[float | None]]:
    """Return landmarks in the picture: x, y and depth in pixels (0.01), and visibility (0.001).

    Depth is None if the keypoint model has no depth.
    """
    person = pose.isel(individual=0)
    curves = {}
    for name, keypoint in landmark_names().items():
        point = person.sel(keypoint=keypoint)
        curves[f"{name}x"] = series(point["image_position"].sel(pixel="u").values, 2)
        curves[f"{name}y"] = series(point["image_position"].sel(pixel="v").values, 2)
        depth = point.get("image_depth", np.nan * point["confidence"])
        curves[f"{name}z"] = series(depth.values, 2)
        curves[f"{name}v"] = series(point["confidence"].values, 3)
    return curves


def whose_keypoints(record: SessionRecord) -> dict[str, Any]:
    """Name the source and the model of a session's keypoints; empty before the analysis."""
    return {} if record.provenance is None else record.origin._asdict()


def session_document(
    record: SessionRecord,
    participant: Participant | None,
    *,
    video_url: str,
    analyzed_video_url: str | None = None,
    angles: xr.Dataset | None = None,
    repetitions: xr.Dataset | None = None,
    side: Side | Mapping[str, Side] = "left",
    checks: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Make the session document; before the analysis it has no angles, timestamps or checks."""
    document = SessionDocument(
        segments=0 if repetitions is None else int(repetitions["accepted"].sum()),
        video_url=video_url,
        activity=ACTIVITY,
        title=title(record, participant),
        user_name=user_name(record, participant),
        created_at=created_at(record.created_at),
        exercise=record.exercise,
        angles={} if angles is None else angle_series(angles, joints=record.joints, side=side),
        all_timestamps=[] if angles is None else milliseconds(angles["time"]),
        **({} if angles is None else whose_keypoints(record)),
    )
    if analyzed_video_url is not None:
        document.analyzed_video_url = analyzed_video_url
    if checks:
        document.checks = [Check(**row) for row in checks]
    return document.json_values()


def repetition_rows(repetitions: xr.Dataset) -> list[dict[str, Any]]:
    """List the repetitions, with times in seconds (0.001) and the depth in percent (0.1).

    Joint movements have ``joints``, the joints that move, instead of a depth.
    """
    return [
        {
            "rep": int(rep["rep"]),
            "start": rounded(rep["start"], 3),
            "bottom": rounded(rep["bottom"], 3),
            "end": rounded(rep["end"], 3),
            "depth": rounded(rep["depth"], 1),
            "accepted": bool(rep["accepted"]),
            "complete": bool(rep["complete"]),
            "reason": str(rep["reason"].item()),
        }
        | ({"joints": str(rep["joints"].item())} if "joints" in rep else {})
        for rep in (repetitions.isel(rep=number) for number in range(repetitions.sizes["rep"]))
    ]


def export_document(
    record: SessionRecord, *, pose: xr.Dataset, angles: xr.Dataset, side: Side | Mapping[str, Side]
) -> dict[str, Any]:
    """Make the export document: detected landmarks and angles over the same timestamps."""
    return ExportDocument(
        activity=ACTIVITY,
        angles=angle_series(angles, joints=record.joints, side=side),
        all_timestamps=milliseconds(angles["time"]),
        keypoints=keypoint_series(pose),
        **whose_keypoints(record),
    ).json_values()


def group_metrics(metrics: xr.Dataset) -> dict[str, dict[str, float | None]]:
    """Return the metrics of each group: medians of accepted repetitions, and absolute asymmetries.

    An asymmetry is null if its 95 % interval is wider than a relevant difference, and so are
    metrics that the exercise does not measure. Angles are in degrees (0.01); separation ratio and
    knee deviations have no unit (0.001).
    """

    def of_side(name: str, side: str, digits: int) -> float | None:
        return rounded(metrics[name].sel(side=side), digits) if name in metrics else None

    largest = tables.load("findings")["documents"]["largest_half_width"]

    def asymmetry(name: str, digits: int) -> float | None:
        difference = f"{name}_asymmetry"
        most = largest["1" if name == "knee_deviation" else "degree"]
        number = number_of(metrics, difference)
        return None if number.half_width > most else rounded(abs(number.value), digits)

    groups: dict[str, dict[str, float | None]] = {}
    for group, name in DOCUMENT_NAME.items():
        groups[group] = {f"{side}_{name}": of_side(group, side, 2) for side in SIDES}
        groups[group][f"{name}_asymmetry"] = asymmetry(group, 2)
    ratio = "knee_ankle_separation_ratio"
    groups["knee_movement"] = {
        "knee_ankle_separation_ratio": rounded(metrics.get(ratio, np.nan), 3),
        **{f"{side}_knee_deviation": of_side("knee_deviation", side, 3) for side in SIDES},
        "knee_deviation_asymmetry": asymmetry("knee_deviation", 3),
    }
    order = ("hip_flexion", "hip_abduction", "knee_flexion", "knee_movement", "ankle_dorsiflexion")
    return {group: groups[group] for group in order}


def group_graphs(
    angles: xr.Dataset, movement: xr.Dataset
) -> dict[str, dict[str, list[float | None]]]:
    """Return the curves of each group over the timestamps of `angles`."""

    def curves(values: xr.DataArray, name: str, digits: int) -> dict[str, list[float | None]]:
        return {side[0] + name: series(values.sel(side=side).values, digits) for side in SIDES}

    graphs = {group: curves(angles[group], name, 2) for group, name in GRAPH_NAME.items()}
    graphs["knee_movement"] = curves(movement["knee_deviation"], "kne_deviation", 3)
    return graphs


def output_quality(metrics: xr.Dataset, verdict: Verdict) -> dict[str, float | None] | None:
    """Return the mobility index and the quality index, 0 to 100 (0.1); null if not reported.

    An absent index is left out. The result is None if the verdict on the recording rules both out.

    Each index also has ``<index>_coverage`` (share of its parts with a result, 0.001). For each
    missing part, ``<index>_<part>`` is null.
    """
    if "indices" in verdict.rules_out:
        return None
    values: dict[str, float | None] = {}
    for name in ("mobility_index", "quality_index"):
        if name not in metrics:
            continue
        coverage, absent = parts_left_out(metrics, name)
        values[name] = rounded(metrics[name], 1)
        values[f"{name}_coverage"] = rounded(coverage, 3)
        values |= {f"{name}_{part.replace(' ', '_')}": None for part in absent}
    return values or None


def _shared_fields(
    record: SessionRecord,
    participant: Participant | None,
    metrics: xr.Dataset,
    images: Mapping[str, str | None],
    quality: Mapping[str, Any] | None,
) -> tuple[dict[str, Any], ReportComments, Verdict]:
    """Return fields that report and summary share, comments for the participant, and verdict."""
    verdict = judge(record.warnings, quality, metrics, exercise=record.kind)
    shared: dict[str, Any] = {
        "knee_movement_phases": KneeMovementPhases(**images),
        "user_info": user_info(record, participant),
        "exercise": record.exercise,
        "date": day(record.created_at),
        **whose_keypoints(record),
    }
    if indices := output_quality(metrics, verdict):
        shared["output_quality"] = indices
    name = participant.display_name if participant else None
    return shared, ReportComments(**comments(metrics, name=name, verdict=verdict)), verdict


def report_document(
    record: SessionRecord,
    participant: Participant | None,
    *,
    angles: xr.Dataset,
    metrics: xr.Dataset,
    movement: xr.Dataset,
    images: Mapping[str, str | None],
    quality: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Make the report document of an exercise with repetitions, with comments for the participant.

    `movement` is ``knee_movement(pose, repetitions)`` at the times of `angles`, and `images` are
    the addresses of the pictures of each view. Without `quality`, only the warnings decide on the
    verdict.
    """
    shared, texts, verdict = _shared_fields(record, participant, metrics, images, quality)
    graphs = group_graphs(angles, movement)
    return ReportDocument(
        grouped_data={
            group: ReportGroup(metrics=values, graph_data=graphs[group])
            for group, values in group_metrics(metrics).items()
        },
        graph_timestamps=milliseconds(angles["time"]),
        report_comments=texts,
        checks=[Check(**row) for row in check_rows(find(metrics), verdict)],
        **shared,
    ).json_values()


def summary_document(
    record: SessionRecord,
    participant: Participant | None,
    *,
    metrics: xr.Dataset,
    images: Mapping[str, str | None],
    quality: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Make the summary document of an exercise with repetitions: the report without curves."""
    shared, texts, _ = _shared_fields(record, participant, metrics, images, quality)
    return SummaryDocument(
        grouped_data={
            SUMMARY_GROUP.get(group, group): values
            for group, values in group_metrics(metrics).items()
        },
        summary=texts,
        **shared,
    ).json_values()


def joint_angles_shown(joints: Iterable[str], shown_angles: Iterable[str]) -> list[str]:
    """Return the keys of the angles to show, in order; by default `<joint>_angle` of all joints."""
    return list(shown_angles) or [f"{joint}_angle" for joint in joints]


def _four_digits(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def check_rows(findings: Sequence[Finding], verdict: Verdict) -> list[dict[str, Any]]:
    """Return check results as rows.

    Checks that the verdict rules out have the verdict's reason instead of a result.
    """
    rules = all_rules()
    rows = []
    for each in verdict.checks(findings):
        rule = rules[each.rule]
        interval = None if each.interval is None else [_four_digits(end) for end in each.interval]
        row = {
            "rule": each.rule,
            "name": row_name(each.rule),
            "label": label(each),
            "side": each.side or None,
            "result": each.result,
            "value": _four_digits(each.value),
            "interval": interval,
            "units": each.units,
            "direction": rule["direction"],
            "limit": _four_digits(each.threshold),
            "margin": rule.get("margin", {}).get("value"),
            "probability": _four_digits(each.probability),
            "beyond_margin": _four_digits(each.beyond),
            "reason": each.reason,
            "source": each.source,
            "gross": each.gross,
        }
        rows.append(row)
    return rows
