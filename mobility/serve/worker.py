"""The process that a malicious video may crash.

Everything that opens a video, analyses it or runs a notebook for a request runs in this process,
not in the server; see :mod:`mobility.serve.worker_processes`.
"""

from __future__ import annotations

import sys
from base64 import b64encode
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from mobility import Session, Store
from mobility.base.processes import Send, serve
from mobility.base.provenance import code_digest
from mobility.errors import ConflictError, MobilityError, TooLargeError
from mobility.reports.stored_reports import current_report
from mobility.serve.worker_processes import limit


def main() -> None:
    """Entry point of the process."""
    limit(int(sys.argv[1]))
    serve(do)


def do(request: Mapping[str, Any], send: Send) -> Any:
    """Process a request for "take in", "check", "analyze", "report", "visit" or "still"."""
    if request.get("code", code_digest(None)) != code_digest(None):
        raise ConflictError("mobility was updated; ask an administrator to restart the server")
    store = Store(request["store"], reports=request["reports"])
    if request["do"] == "take in":
        return _create(store, request, send)
    if request["do"] == "visit":
        store.render_visit(request["user_id"], on=request["date"])
        return {}
    if request["do"] == "report":
        demo = request.get("demo")
        session = store.demo(demo) if demo else store.session(request["session_id"])
        current_report(session)
        return {}
    if request["do"] == "check":
        return store.session(request["session_id"]).check_recording()
    if request["do"] == "still":
        return {"jpeg": b64encode(store.session(request["session_id"]).still()).decode()}
    return analyze(store.session(request["session_id"]), request["pose_workers"])


def _create(store: Store, request: Mapping[str, Any], send: Send) -> dict[str, Any]:
    video = Path(request["video"])
    from mobility.capture.video import probe

    seconds = probe(video, most_pixels=request["most_pixels"] or None).duration_s
    most = request["most_seconds"]
    if most and seconds > most:
        raise TooLargeError(
            f"video {video.name}: lasts {seconds:.0f} s, but at most {most:g} s are allowed; cut it"
        )
    fields = request["fields"]
    send({"reads": "keypoints" if fields.get("keypoints") else "video"}, b"")
    try:
        session = store.create(video, session_id=request["session_id"], **fields)
    except MobilityError as error:
        if keypoints := fields.get("keypoints"):  # the sender knows only the name of the file
            message = str(error)
            error.args = (message.replace(keypoints, Path(keypoints).name),)
        raise
    return {"session_id": session.id, "title": session.title}


def analyze(session: Session, pose_workers: int | None) -> dict[str, Any]:
    """Analyse a session, and make its report and its still."""
    session.analyze(workers=pose_workers)
    # The results remain without a report, which is rendered again on request.
    with suppress(MobilityError):
        session.render_report()
    session.still()
    return {}


if __name__ == "__main__":
    main()
