"""schemathesis: requests that the OpenAPI document allows, and many that it does not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import serving
from demo_sessions import taken_as_current
from other_processes import ended

from mobility.sessions.files import read_json, write_json
from mobility.store import Store

pytestmark = pytest.mark.slow

# What is a video for the stand-in of the decoder: else every generated one would be refused.
HOOKS = """
import schemathesis
from hypothesis import strategies as st
from schemathesis.transport.serialization import Binary

videos = st.sampled_from([b"video 1", b"video 2"]).map(Binary)
schemathesis.openapi.format("binary", videos)
"""

# That this is refused for a session of the other exercise is documented so, and no schema can
# tell which sessions are of which, which joints they have, or of which joint a movement is.
CONFIG = """
hooks = "hooks.py"

[[operations]]
include-name = "POST /mobility-assessment/sessions/{session_id}/joint-mobility/"
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "403", "404"]

[[operations]]
include-name = "POST /mobility-assessment/sessions/{session_id}/joint-mobility-config/"
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "403", "404", "409"]

"""
for path in ("sessions/", "management/sessions/"):
    CONFIG += f"""
[[operations]]
include-name = "POST /mobility-assessment/{path}"
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "403", "404", "409", "429"]
# A form holds texts only: what is made as a number arrives as one that may be an id.
checks.negative_data_rejection.expected-statuses = ["2xx", "4xx"]
"""

OF = '\n[parameters]\n"path.session_id" = "generated-{}"\n'
RUNS = {
    # Not with the erasure of a participant: their key would be gone, and all else a 401.
    "any session": ("exclude", r"participants/\{user_id\}/$", ""),
    "erasure": ("include", r"participants/\{user_id\}/$", ""),
    "a squat": ("include", "(summary|report|recommendation)/$", OF.format("squat")),
    "a joint": ("include", "joint-mobility(-config)?/$", OF.format("joint")),
}
CASES = [
    *((role, "any session") for role in ("administrator", "phone")),
    *(("participant", run) for run in RUNS if run != "any session"),
    ("administrator", "erasure"),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server of its own: other tests leave damaged sessions, which are failures rightly."""
    unlimited = {"refused_per_minute": 0, "requests_per_minute": 0}
    folder = tmp_path_factory.mktemp("generated")
    with serving.serving(folder, kind="quick", **unlimited) as running:
        yield running


@pytest.mark.parametrize(("role", "run"), CASES)
def test_no_request_finds_a_failure(server, analysed, tmp_path, role, run):
    key = server.key(role, "p-generated")
    how, paths, config = RUNS[run]
    exercises = {"generated-squat": "overhead-squat", "generated-joint": "joint-angle-mobility"}
    for session_id, exercise in exercises.items():
        if not (server.store / session_id).is_dir():
            analysed(session_id, "p-generated", exercise=exercise)
            # Which joints were selected no schema can tell either.
            file = server.store / session_id / "session.json"
            joints = ["ankle", "knee", "hip", "shoulder", "elbow"]
            write_json(file, read_json(file) | {"joints": joints})
            taken_as_current(Store(server.store).session(session_id))
    logged = len(server.log.read_text())
    (tmp_path / "hooks.py").write_text(HOOKS)
    (tmp_path / "schemathesis.toml").write_text(CONFIG + config)
    done = ended(
        [
            *(str(Path(sys.executable).with_name("schemathesis")), "run"),
            f"{server.url}/mobility-assessment/openapi.json",
            *("-H", f"Authorization: {key}", "--seed", "1", "--max-examples", "8"),
            *("--checks", "all", "--continue-on-failure", "--warnings", "off"),
            # How fast they are is not asked here.
            *("--request-timeout", "600", "--max-response-time", "600"),
            *(f"--{how}-path-regex", paths),
        ],
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert "No issues found" in done.stdout, done.stdout[-500:]
    assert "Traceback" not in server.log.read_text()[logged:]
    if run != "erasure":
        assert server.ask("GET", "/sessions/", key).status_code == 200
