"""Settings of a lab, in the configuration of its Jupyter Server: ``c.MobilityServer...``."""

from __future__ import annotations

import os
from pathlib import Path

from traitlets import Enum, Float, Int, Unicode
from traitlets.config import Configurable

from mobility.base.options import require_path
from mobility.server.api_keys import PHONE, ROLES


class MobilityServer(Configurable):  # type: ignore[misc]
    """The HTTP interface of mobility."""

    store = Unicode(help="Folder of the sessions; default: MOBILITY_STORE, else data/sessions.")
    reports = Unicode(help="Folder of the reports; default: MOBILITY_REPORTS, else reports.")
    jupyter_role = Enum(
        ("", *(role for role in ROLES if role != PHONE)),
        "administrator",
        help="Role of those who log in to Jupyter or have its token; '': they need a key.",
    )
    queue_length = Int(1000, min=1, help="Sessions that may wait for their analysis.")
    analyses_at_once = Int(1, min=1, help="Analyses that run at the same time.")
    pose_workers = Int(0, min=0, help="Pose processes of an analysis; 0: all processors.")
    most_bytes = Int(2 * 10**9, min=1, help="Largest size of a video.")
    most_pixels = Int(
        36_000_000,
        min=0,
        help="Most pixels in a picture of a video (8K has 33 million); 0: no limit.",
    )
    most_seconds = Float(600.0, min=0, help="Length of the longest video; 0: no limit.")
    sessions_per_user = Int(0, min=0, help="Sessions of one user; 0: no limit.")
    queue_per_user = Int(
        50,
        min=0,
        help="Sessions of one user that may wait; administrators may fill the queue. 0: no limit.",
    )
    uploads_at_once = Int(256, min=1, help="Uploads that may run at the same time.")
    uploads_per_key = Int(
        8,
        min=0,
        help="Uploads that one key may run at the same time, unless it is an administrator's; 0: "
        "no limit.",
    )
    upload_stall_seconds = Float(
        30.0,
        min=0.1,
        help="An upload is ended when less than upload_least_bytes arrives in this time.",
    )
    upload_least_bytes = Int(1 << 20, min=1, help="See upload_stall_seconds.")
    memory_bytes = Int(
        12 * 10**9, min=0, help="Address space of each process of an analysis; 0: no limit."
    )
    analysis_seconds = Float(3600.0, min=1, help="Time that an analysis may take.")
    intake_seconds = Float(60.0, min=1, help="Time in which a video must be opened and stored.")
    report_seconds = Float(300.0, min=1, help="Time that a report may take.")
    requests_per_minute = Int(12_000, min=0, help="Requests of one key or login; 0: no limit.")
    requests_at_once = Int(
        8,
        min=1,
        help="Requests that one key may have running, besides uploads, unless it is an "
        "administrator's.",
    )
    idle_seconds = Float(
        30.0,
        min=0.1,
        help="A connection is ended when no complete request header arrives in this time.",
    )
    refused_per_minute = Int(
        120, min=0, help="Requests without a valid key, from one address; 0: no limit."
    )
    media_seconds = Int(
        3600, min=0, help="How long the address of a video in a document works without a key."
    )

    def store_place(self) -> str:
        """Folder of the sessions."""
        place = self.store or os.environ.get("MOBILITY_STORE") or "data/sessions"
        require_path(place, what="store")
        return str(Path(place).absolute())

    def reports_path(self) -> Path:
        """Folder of the reports."""
        place = self.reports or os.environ.get("MOBILITY_REPORTS") or "reports"
        require_path(place, what="reports")
        return Path(place).absolute()


for _trait in MobilityServer.class_own_traits().values():
    _trait.tag(config=True)
