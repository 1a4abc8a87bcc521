"""The origin of the numbers: definitions of angles, cited literature, the video and the code."""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import htpy as h
import xarray as xr
from markupsafe import Markup

from mobility import tables
from mobility.base.formatting import MISSING, capital, dated, listed
from mobility.base.provenance import history
from mobility.keypoints.sources import MEDIAPIPE, Origin
from mobility.reports.html import Row, facts, table
from mobility.reports.repetition_tables import ANGLES

if TYPE_CHECKING:
    from mobility.sessions.record import SessionRecord

_NAME = r"[A-Z][\w'’-]+"
_PAPER = re.compile(
    rf"({_NAME}(?:(?:, | and | & |, and ){_NAME})*(?: et al\.)?) (\d{{4}}),? ?\(?"
    r"([A-Z][A-Za-z ]+? \d+(?:\(\w+\))?:\w?\d+)"
)
_BOOK = re.compile(r"NASM Essentials of Corrective Exercise Training|\(NASM\)")
_NASM = "Clark, Lucett, Sutton, NASM Essentials of Corrective Exercise Training"


class References:
    """The sources that a report has cited so far, in the order of their numbers.

    Sections add citations while they are written, so the list contains exactly the cited papers. A
    paper that occurs in several sources has only one number. Sources other than literature are
    listed in the documentation.
    """

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._texts: list[str] = []

    def cite(self, *sources: str) -> Markup:
        """Return the numbers of each source's literature, as links; empty if there are none."""
        numbers: set[int] = set()
        for source in sources:
            text = " ".join(str(source).split())
            if text and text != MISSING:
                numbers.update(self._number(paper) for paper in papers(text))
        if not numbers:
            return Markup()
        links = [h.a(href=f"#ref-{n}")[n] for n in sorted(numbers)]
        return h.span(".cite")["[", Markup(", ").join(links), "]"].__html__()

    def _number(self, text: str) -> int:
        # Authors are spelt in several ways; journal and page identify a paper.
        key = re.sub(r"^.*? (?=\d{4}, )", "", text).casefold()
        if key not in self._numbers:
            self._texts.append(text)
            self._numbers[key] = len(self._texts)
        return self._numbers[key]

    def listed(self) -> Markup:
        """List all sources that were cited, numbered."""
        items = [h.li(id=f"ref-{n}")[text] for n, text in enumerate(self._texts, start=1)]
        cited = h.ol(".references")[items] if items else None
        return h.fragment[cited, h.p[tables.sentence("report.references")]].__html__()


def papers(source: str) -> list[str]:
    """Name the literature of a source; empty if the source is a choice of this package.

    Parameters
    ----------
    source
        Source of a table or definition: literature, and words on how it is used.
    """
    cited = [f"{who} {year}, {where}" for who, year, where in _PAPER.findall(source)]
    if _BOOK.search(source):
        cited.append(_NASM)
    if not cited and re.search(r"\b(1[89]|20)\d\d\b", source):
        cited = [source]
    return list(dict.fromkeys(cited))


def definitions_in_short(
    angles: xr.Dataset, references: References, names: Sequence[str] = ANGLES
) -> Markup:
    """List for each angle when it is zero and when it is positive."""
    rows: list[Row] = []
    for name in names:
        attrs = {key: str(value) for key, value in angles[name].attrs.items()}
        head = capital(attrs.get("long_name", name))
        cited = references.cite(attrs.get("reference", ""))
        rows.append([(head, cited), attrs.get("zero", MISSING), attrs.get("positive", MISSING)])
    return table(["Angle", "Zero", "Positive"], rows, caption=tables.sentence("report.definitions"))


def landmarks(pose: xr.Dataset) -> str:
    """Name the source of the landmarks, and any models whose errors were not measured."""
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
