"""schemathesis: requests that the OpenAPI document allows, and many that it does not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

# A document of one exercise is refused for sessions of the other, and what is generated as a video
# is none: where ids are generated, a request that fits the document may thus be refused.
RUNS = {
    "generated ids": (["--exclude-checks", "positive_data_acceptance"], ""),
    "a squat": (
        ["--include-path-regex", "(summary|report|recommendation)/$"],
        '[parameters]\n"path.session_id" = "generated-squat"\n',
    ),
    "a joint": (
        ["--include-path-regex", "joint-mobility/$"],
        '[parameters]\n"path.session_id" = "generated-joint"\n',
    ),
}


@pytest.fixture(scope="module")
def server(serving, tmp_path_factory):
    """A server of its own: other tests leave damaged sessions, which are failures rightly."""
    with serving.serving(tmp_path_factory.mktemp("generated"), kind="quick") as running:
        yield running


@pytest.mark.parametrize("run", RUNS)
def test_no_request_finds_a_failure(server, analysed, tmp_path, run):
    admin = server.key("administrator")
    arguments, config = RUNS[run]
    for session_id, exercise in (
        ("generated-squat", "overhead-squat"),
        ("generated-joint", "joint-angle-mobility"),
    ):
        if not (server.store / session_id).is_dir():
            analysed(session_id, "p-generated", exercise=exercise)
    logged = len(server.log.read_text())
    (tmp_path / "schemathesis.toml").write_text(config)
    done = subprocess.run(
        [
            *(str(Path(sys.executable).with_name("schemathesis")), "run"),
            f"{server.url}/mobility-assessment/openapi.json",
            *("-H", f"Authorization: {admin}", "--seed", "1", "--max-examples", "8"),
            *("--continue-on-failure", "--warnings", "off", "--request-timeout", "120"),
            *arguments,
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert "No issues found" in done.stdout, done.stdout[-500:]
    assert "Traceback" not in server.log.read_text()[logged:]
