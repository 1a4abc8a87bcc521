"""Bodies of requests: files are written to the disk as they arrive; everything else is small."""

from __future__ import annotations

import codecs
import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from secrets import token_hex
from typing import Any, BinaryIO
from urllib.parse import parse_qsl

from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from mobility.base.options import likely
from mobility.base.parsing import parse_json
from mobility.capture.models import require_model
from mobility.catalogue import registry
from mobility.errors import BadInputError, TooLargeError
from mobility.sessions.analysis_options import given_options, options_at
from mobility.sessions.creation import check_creation
from mobility.sessions.files import check_file_name, make_folder, open_private, writing

SMALL_BYTES = 1 << 20
"""Largest size of a body without a video."""
OVERHEAD_BYTES = 1 << 20
"""Largest size of a multipart body, without its video."""

FIELDS = frozenset(
    {
        *("user_id", "video", "session_name", "exercise_name", "exercise", "body_joint_angles"),
        *("movement", "keypoints", "keypoints_model", *options_at("http").model_fields),
    }
)
FILES = ("video", "keypoints")
"""Fields that are files."""
KEYPOINT_SUFFIXES = frozenset({".json", ".csv", ".nc", ".h5"})
"""Endings that the name of a keypoint file may have."""
SUFFIXES = frozenset(
    {
        *("", ".mp4", ".m4v", ".mov", ".qt", ".avi", ".mkv", ".webm", ".3gp", ".3g2", ".mpg"),
        *(".mpeg", ".ts", ".mts", ".m2ts", ".wmv", ".flv", ".ogv", ".hevc"),
    }
)
"""Endings that a video's name may have. The name is kept, and must not look like the name of a
page.
"""

_FIELD_BYTES = 1 << 16
_NAME_BYTES = 240
"""Longest name of a video; file systems take 255."""
_HEADER_LENGTH = 1000
"""Longest Content-Type."""
_MOST_PARTS = 32
"""Largest number of parts of a form, items of a JSON list or object, and listed names."""
_ANY_EXERCISE = {"exercise_name": registry.USUAL}
"""Replaces a missing exercise, so that the other fields are also checked."""
_QUOTED = 100
"""Number of characters of a rejected name that are quoted."""


class Upload:
    """The body of a creation, parsed as it arrives; its files go into a new folder in `folder`.

    `before_file` is called before anything is written, and may raise.
    """

    def __init__(
        self, content_type: str, *, folder: Path, most_bytes: int, before_file: Callable[[], None]
    ) -> None:
        kind, options = parse_content_type(content_type)
        self._kind = kind
        self._folder = folder / token_hex(16)
        self._most = most_bytes
        self._before_file = before_file
        self._small = bytearray()
        self._values: dict[str, list[str]] = {}
        # A chunk may end within a character.
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._segment: MultipartSegment | None = None
        self._file: BinaryIO | None = None
        self.files: dict[str, Path] = {}
        self._parser: PushMultipartParser | None = None
        if kind == "multipart/form-data":
            try:
                self._parser = PushMultipartParser(
                    options.get("boundary", ""), max_segment_count=_MOST_PARTS
                )
            except MultipartError as error:
                raise BadInputError(f"multipart body: {error}") from None
        elif kind not in ("", "application/x-www-form-urlencoded", "application/json"):
            raise BadInputError(
                f"the content type {kind} is not accepted; send multipart/form-data"
            )

    @property
    def video(self) -> Path | None:
        """The video, after it has started to arrive."""
        return self.files.get("video")

    def take(self, data: bytes) -> None:
        """Process the next bytes of the body."""
        if self._parser is None:
            self._small += data
            if len(self._small) > SMALL_BYTES:
                raise TooLargeError(f"the body is larger than {SMALL_BYTES} bytes")
            return
        try:
            for event in self._parser.parse(data):
                if isinstance(event, MultipartSegment):
                    self._begin(event)
                elif event is None:
                    self._end()
                else:
                    self._part(bytes(event))
        except MultipartError as error:
            raise BadInputError(f"multipart body: {error}") from None

    def finish(self, *, default_id: str | None, for_others: bool) -> dict[str, Any]:
        """Check the whole body, and return the fields of the session and its ``options``.

        `default_id` is the participant if the body names none. If `default_id` is None, or with
        `for_others`, the body must name a participant.
        """
        if self._parser is not None:
            try:
                self._parser.close()
            except MultipartError as error:
                raise BadInputError(f"multipart body: {error}") from None
        else:
            self._values = read_form(self._kind, bytes(self._small))
            refuse_unknown(self._values, FIELDS, "the session")
        return self._checked(None if for_others else default_id)

    def close(self) -> None:
        """Delete the written files."""
        if self._file is not None:
            self._file.close()
            self._file = None
        if self.files:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _begin(self, segment: MultipartSegment) -> None:
        self._segment = segment
        refuse_unknown([segment.name], FIELDS, "the session")
        if segment.name not in FILES or segment.filename is None:
            self._values.setdefault(segment.name, []).append("")
            self._decoder.reset()
            return
        field = segment.name
        if field in self.files:
            raise BadInputError.of({field: "is given twice; send one"}, what="the upload")
        name = _file_name(segment.filename, field)
        self._before_file()
        # No video has a name that begins with a dot.
        folder = self._folder if field == "video" else self._folder / f".{field}"
        self.files[field] = folder / name
        with writing(self.files[field]):
            make_folder(self.files[field].parent)
            self._file = open_private(self.files[field], "xb")

    def _part(self, chunk: bytes) -> None:
        assert self._segment is not None
        if self._file is not None:
            if self._file.tell() + len(chunk) > self._most:
                raise too_large(self._most)
            with writing(self._folder):
                self._file.write(chunk)
            return
        self._add_text(self._segment.name, chunk)
        if len(self._values[self._segment.name][-1]) > _FIELD_BYTES:
            raise TooLargeError(f"field {self._segment.name}: is larger than {_FIELD_BYTES} bytes")

    def _end(self) -> None:
        if self._file is not None:
            with writing(self._folder):
                self._file.close()
            self._file = None
        elif self._segment is not None:
            self._add_text(self._segment.name, b"", final=True)
        self._segment = None

    def _add_text(self, name: str, chunk: bytes, *, final: bool = False) -> None:
        try:
            self._values[name][-1] += self._decoder.decode(chunk, final)
        except UnicodeDecodeError:
            raise BadInputError.of({name: "is not UTF-8 text"}, what="the upload") from None

    def _checked(self, default_id: str | None) -> dict[str, Any]:
        faults: dict[str, list[str]] = {}
        texts: dict[str, str | None] = {}
        for name in (
            *("user_id", "session_name", "exercise_name", "exercise", "movement"),
            *("keypoints_model", *options_at("http").model_fields),
        ):
            values = self._values.get(name, [])
            texts[name] = values[0] if values else None
            if len(values) > 1:
                faults[name] = ["is given more than once; send one"]
        if texts["exercise_name"] is None:
            texts["exercise_name"] = texts["exercise"]
        elif texts["exercise"] not in (None, texts["exercise_name"]):
            faults["exercise"] = ["differs from exercise_name; send one of them"]
        if _is_document(texts["session_name"] or ""):
            faults["session_name"] = ["is a JSON object or list; send a text"]
        if self.video is None:
            problem = "text" if "video" in self._values else "missing"
            faults["video"] = [f"is {problem}; send it as a file of multipart/form-data"]
        elif self.video.stat().st_size == 0:
            faults["video"] = [f"{self.video.name}: is empty"]
        if "keypoints" in self._values:
            faults["keypoints"] = ["is text; send it as a file of multipart/form-data"]
        keypoints = self.files.get("keypoints")
        if keypoints is not None and keypoints.stat().st_size == 0:
            faults["keypoints"] = [f"{keypoints.name}: is empty"]
        model = (texts["keypoints_model"] or "").strip() or None
        if model is not None and keypoints is None:
            faults["keypoints_model"] = ["names the model of keypoints; send the keypoints, too"]
        movement = (texts["movement"] or "").strip() or None
        if texts["exercise_name"] is None and movement is None:
            faults.setdefault("exercise_name", ["is missing"])
        user_id = texts["user_id"] if texts["user_id"] is not None else default_id
        if user_id is None:
            faults.setdefault("user_id", ["is missing"])
        fields: dict[str, Any] = {
            "user_id": user_id,
            "exercise_name": texts["exercise_name"],
            "session_name": (texts["session_name"] or "").strip() or None,
            "movement": movement,
        }
        try:
            fields["body_joint_angles"] = _joints(self._values.get("body_joint_angles", []))
            check_creation(
                **(
                    fields
                    | {"user_id": user_id if user_id is not None else "unknown"}
                    | ({} if fields["exercise_name"] or movement else _ANY_EXERCISE)
                )
            )
        except BadInputError as error:
            faults = error.fields | faults
        try:
            # An empty field of a form is not an option.
            option_texts = {name: texts[name] or None for name in options_at("http").model_fields}
            options = given_options(option_texts, options_at("http"))
            require_model(options.get("model"))
        except BadInputError as error:
            faults = error.fields | faults
        if faults:
            raise BadInputError.of(faults, what="the session")
        if keypoints is not None:
            fields |= {"keypoints": str(keypoints), "keypoints_model": model}
        return {**fields, "options": options}


def too_large(most_bytes: int) -> TooLargeError:
    """Return the error for a video that is larger than allowed."""
    return TooLargeError(f"the video is larger than the allowed {most_bytes / 1e6:g} MB; cut it")


def parse_content_type(header: str) -> tuple[str, dict[str, str]]:
    """Return the kind and the options of a Content-Type header."""
    if len(header) > _HEADER_LENGTH:
        raise BadInputError(f"the content type is longer than {_HEADER_LENGTH} characters")
    kind, options = parse_options_header(header)
    return kind, options


def read_json_body(body: bytes) -> Any:
    """Read a JSON body like :func:`parse_json`; too long lists and objects raise an error."""
    try:
        value = parse_json(body)
        _check_lengths(value)
    except ValueError as error:
        raise BadInputError(f"the body is not valid JSON ({error})") from None
    return value


def _check_lengths(value: Any) -> None:
    if not isinstance(value, dict | list):
        return
    if len(value) > _MOST_PARTS:
        raise ValueError(f"there are more than {_MOST_PARTS} items in one object or list")
    for inner in value.values() if isinstance(value, dict) else value:
        _check_lengths(inner)


def read_form(kind: str, body: bytes) -> dict[str, list[str]]:
    """Read a small body of named texts, as a form or as JSON."""
    values: dict[str, list[str]] = {}
    if not body.strip():
        return values
    if kind == "application/json":
        document = read_json_body(body)
        if not isinstance(document, dict):
            raise BadInputError("the body is not a JSON object")
        for name, value in document.items():
            items = value if isinstance(value, list) else [value]
            if not all(isinstance(item, str) for item in items):
                raise BadInputError.of({name: "must be text, or a list of texts"}, what="the body")
            values[name] = items
    else:
        try:
            pairs = parse_qsl(
                body.decode("utf-8"), keep_blank_values=True, max_num_fields=_MOST_PARTS
            )
        except ValueError as error:
            raise BadInputError(f"the body is not a form ({error})") from None
        for name, text in pairs:
            values.setdefault(name, []).append(text)
    return values


def _is_document(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict | list)
    except (ValueError, RecursionError):
        return False


def _joints(values: list[str]) -> list[str]:
    """Return names of joints from a list with commas, several fields, or a JSON list."""
    names: list[str] = []
    for value in values:
        text = value.strip()
        if text.startswith("["):
            items = read_json_body(text.encode())
            if not (isinstance(items, list) and all(isinstance(item, str) for item in items)):
                raise BadInputError.of({"body_joint_angles": "must be a list of names"})
            names += items
        elif text:
            names.append(text)
    return names or ["all"]


def _file_name(filename: str, field: str) -> str:
    name = check_file_name(filename, what=field)
    endings = SUFFIXES if field == "video" else KEYPOINT_SUFFIXES
    usual = "a video; use one such as squat.mp4" if field == "video" else "keypoints; use squat.csv"
    if len(name.encode()) > _NAME_BYTES:
        fault = f"its name has more than {_NAME_BYTES} bytes; shorten it"
    elif name.startswith(".") or Path(name).suffix.lower() not in endings:
        fault = f"{name}: is not a file name of {usual}"
    else:
        return name
    raise BadInputError.of({field: fault}, what="the upload")


def refuse_unknown(
    names: Iterable[str], allowed: frozenset[str], what: str, *, kind: str = "field"
) -> None:
    """Raise an error for unknown names; suggest the likely spelling, or list the allowed names."""
    unknown = [name for name in names if name not in allowed]
    if len(unknown) > _MOST_PARTS:
        raise BadInputError(f"{what}: has {len(unknown)} unknown {kind}s")
    choice = f"; choose from {', '.join(sorted(allowed))}" if allowed else ""
    faults = {
        name[:_QUOTED]: [f"is not a {kind}{likely(name, allowed) or choice}"] for name in unknown
    }
    if faults:
        raise BadInputError.of(faults, what=what)
