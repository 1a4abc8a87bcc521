"""The still of a session: a small picture of its video, for lists."""

from __future__ import annotations

import hashlib
import logging
from contextlib import suppress

import numpy as np

from mobility.errors import MobilityError, StorageError
from mobility.sessions.files import atomic
from mobility.sessions.stored_session import STILL, StoredSession

log = logging.getLogger(__name__)

HEIGHT = 168
"""Height in pixels: twice the displayed height, for high-resolution screens."""


def still(session: StoredSession) -> bytes:
    """Return a small picture of the video (JPEG) at the first bottom, or else in the middle.

    The picture is made once, and made again if the repetitions have changed. Like the video, it
    shows the face; it is stored next to the video. It is empty if the video cannot be read.
    """
    try:
        if stored := stored_still(session):
            return stored
        picture = _picture(session)
        if picture and not session.store.read_only:
            _keep(session, picture)
    except (MobilityError, KeyError) as error:
        log.info("session %s: no still: %s", session.id, error)
        return b""
    return picture


def stored_still(session: StoredSession) -> bytes:
    """Read the still that was made for the current repetitions; empty if there is none."""
    with suppress(FileNotFoundError):
        return (session.folder / _name(session)).read_bytes()
    return b""


def _name(session: StoredSession) -> str:
    record = session.record
    stage = record.stages.get("repetitions")
    inputs = f"{record.videos[0].sha256} {stage.sha256 if stage else ''}"
    return STILL.format(hashlib.sha256(inputs.encode()).hexdigest()[:16])


def _keep(session: StoredSession, picture: bytes) -> None:
    name = _name(session)
    try:
        for old in session.folder.glob(STILL.format("*")):
            if old.name != name:
                old.unlink(missing_ok=True)
        with atomic(session.folder / name) as hidden:
            hidden.write_bytes(picture)
    except (StorageError, OSError) as error:  # deleted meanwhile, or a disk that is full
        log.info("session %s: its still is not kept: %s", session.id, error)


def _picture(session: StoredSession) -> bytes:
    import cv2

    from mobility.capture.video import probe, read_frames

    video = session.video
    moment = probe(video).duration_s / 2
    if "repetitions" in session.record.stages:
        repetitions = session.repetitions()
        bottoms = repetitions["bottom"].values[repetitions["accepted"].values.astype(bool)]
        moment = next((float(bottom) for bottom in bottoms if np.isfinite(bottom)), moment)
    frame = next(read_frames(video, start=max(0.0, moment - 0.1)), None)
    if frame is None:
        return b""
    height, width = frame.image.shape[:2]
    size = (max(1, round(width * HEIGHT / height)), HEIGHT)
    small = cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA)
    encoded, coded = cv2.imencode(".jpg", small[:, :, ::-1])
    return coded.tobytes() if encoded else b""
