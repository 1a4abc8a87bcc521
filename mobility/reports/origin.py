"""The origin of numbers: definitions of angles, the video and the code."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import xarray as xr
from markupsafe import Markup

from mobility import tables
from mobility.base.formatting import MISSING, capital, dated, listed
from mobility.base.provenance import history
from mobility.keypoints.sources import MEDIAPIPE, Origin
from mobility.reports.html import Row, facts, table
from mobility.reports.repetition_tables import ANGLES

if TYPE_CHECKING:
    from mobility.reports.literature import References
    from mobility.sessions.record import SessionRecord


def definitions_in_short(
    angles: xr.Dataset, references: References, names: Sequence[str] = ANGLES
) -> Markup:
    """List for each angle when it is zero and when positive."""
    rows: list[Row] = []
    for name in names:
        attrs = {key: str(value) for key, value in angles[name].attrs.items()}
        head = capital(attrs.get("long_name", name))
        cited = references.cite(attrs.get("reference", ""))
        rows.append([(head, cited), attrs.get("zero", MISSING), attrs.get("positive", MISSING)])
    return table(["Angle", "Zero", "Positive"], rows, caption=tables.sentence("report.definitions"))


def landmarks(pose: xr.Dataset) -> str:
    """Name the source of the landmarks, and models whose errors were not measured."""
    whose = Origin.of(pose.attrs)
    if whose.pose_source == MEDIAPIPE:
        return tables.sentence("report.landmarks.mediapipe")
    return tables.sentence("report.landmarks.other", software=whose.source_software)


def provenance(
    record: SessionRecord, pose: xr.Dataset, metrics: xr.Dataset, *, made_on: datetime.date
) -> Markup:
    """List the video, model, software and options behind the numbers, and the date."""
    origin = record.provenance
    second, calibrated = record.second_video, record.calibration
    attrs = pose.attrs
    model = (origin and origin.model_sha256) or attrs.get("model_sha256")
    versions = dict(origin.versions) if origin else _versions(metrics)
    whose = Origin.of(attrs)
    if whose.pose_source != MEDIAPIPE:  # it is installed, and found nothing here
        versions.pop(MEDIAPIPE, None)
    options = {} if origin is None else origin.options
    return facts(
        {
            "Session": record.session_id,
            "Video": record.video.original_name,
            "SHA-256 of the video": record.video.sha256,
            "Second video": None if second is None else second.original_name,
            "SHA-256 of the second video": None if second is None else second.sha256,
            "Calibration of the cameras": calibrated.original_name if calibrated else None,
            "SHA-256 of the calibration": calibrated.sha256 if calibrated else None,
            "Keypoints from": whose.source_software,
            **_of_keypoints(record),
            "SHA-256 of the model": model,
            "Software": ", ".join(f"{name} {version}" for name, version in versions.items()),
            "Options": ", ".join(f"{name}={_shortened(value)}" for name, value in options.items())
            or None,
            "Report made on": dated(made_on),
            "Data format": tables.sentence(
                "report.layout", version=attrs.get("schema_version", record.schema_version)
            ),
        }
    )


def _of_keypoints(record: SessionRecord) -> dict[str, str | None]:
    """Name the models and files of given keypoints."""
    files = [each for each in (record.keypoints, record.second_keypoints) if each is not None]
    if not files:
        return {}
    models = dict.fromkeys(each.model for each in files)
    return {
        "Keypoints from": listed(list(models)),
        "Keypoints": listed([each.original_name for each in files]),
        "SHA-256 of the keypoints": listed([each.sha256 for each in files]),
    }


def _versions(dataset: xr.Dataset) -> dict[str, str]:
    return {name: v for entry in history(dataset) for name, v in entry["versions"].items()}


def _shortened(value: Any) -> str:
    text = tables.sentence("report.not_set") if value is None else str(value)
    return text if len(text) <= 60 else text[:57] + "…"
