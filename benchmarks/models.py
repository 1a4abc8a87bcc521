"""Errors of the angles with the pose models full, heavy and both, and the cost of each.

usage: python benchmarks/models.py [--data FOLDER] [--poses FOLDER] [--json] [--write]

The videos are those of real.py for which the video file exists, and the rendered videos of the
demo. The fit, its corrections and its errors were made for the full model. The heavy model is
fetched once with 'mobility models --model heavy'. Poses are stored in folders named after the
models.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from balance import poses_of
from real import (
    FIT,
    MAIN,
    RENDERED,
    ROOT,
    Clip,
    _plain,
    angles_at,
    clips,
    known,
    markdown,
    measured,
)

import mobility as mb
from mobility.capture.models import NAMES
from mobility.kinematics.skeleton import landmarks
from mobility.virtual_lab.case import read_truth, truth_pose

DEMO = ROOT / "data" / "demo"
EXERCISES: Mapping[str, Mapping[str, Any]] = {
    "overhead-squat": {},
    "squat": {},
    "sit-to-stand": {"unbalanced": True},
    "joint-angle-mobility": {},
}
"""Rendered sessions of the demo, and the options of the fit that their exercises have."""
TIMED = "overhead-squat"


def folder_of(poses: Path, model: str) -> Path:
    """Return the folder with the poses of a model; real.py shares the folder of the full model."""
    return poses if model == NAMES[0] else poses / model


def filmed(data: Path, poses: Path, model: str) -> Iterator[Clip]:
    """Read the recordings that have a video file."""
    films = [
        name for name, entry in known()["clips"].items() if not str(entry["pose"]).endswith(".nc")
    ]
    yield from clips(data, folder_of(poses, model), films, model=model)


def demo(poses: Path, model: str) -> Iterator[Clip]:
    """Read the rendered people of the demo."""
    for name, how in EXERCISES.items():
        folder = folder_of(poses, model) / name
        (pose,) = poses_of([DEMO / name / "video.mp4"], folder, model=model)
        true = truth_pose(read_truth(DEMO / name / "truth.nc"))
        angles = angles_at(landmarks(true), true["time"].to_numpy())
        yield Clip(f"{name}, rendered", RENDERED, name, pose, {RENDERED: angles}, None, how)


def errors(data: Path, poses: Path) -> pd.DataFrame:
    """Return the errors of all frames by video, reference, angle and model."""
    rows = []
    for model in NAMES:
        for clip in (*filmed(data, poses, model), *demo(poses, model)):
            found = measured(clip, {FIT: {}}, others=False)
            rows.append(found[found["posture"] == "all"].assign(model=model))
    every = pd.concat(rows)
    return every[every["angle"].isin(MAIN)]


def seconds(video: Path, model: str) -> float:
    """Return the processor time per frame, in seconds, with one worker."""
    before = os.times()
    pose = mb.estimate_pose(video, workers=1, model=model, rate="all")
    after = os.times()
    spent = after.children_user + after.children_system - before.children_user
    return (spent - before.children_system) / pose.sizes["time"]


def summary(errors: pd.DataFrame, cost: dict[str, float]) -> pd.DataFrame:
    """Return a row per model: mean absolute errors, with equal weights for people, and the cost."""
    rendered = errors["kind"] == RENDERED
    real = errors[~rendered & (errors["reference"] != "views")]
    rows = []
    for who, own in (("people on film", real), ("rendered people", errors[rendered])):
        for model in NAMES:
            here = own[own["model"] == model]
            by_person = here.groupby(["angle", "person"])["mae"].mean().groupby("angle").mean()
            given = here[here["given"] > 0]
            inside = (given["within"] * given["given"]).groupby(given["person"]).sum()
            inside = inside / given["given"].groupby(given["person"]).sum()
            rows.append(
                {
                    **{"": f"{who}: {model}"},
                    **{_plain(angle): f"{by_person[angle]:.1f}" for angle in MAIN},
                    "within 1.96 sd": f"{inside.mean():.0%}",
                    "time": f"{cost[model] / cost[NAMES[0]]:.1f}",
                }
            )
    return pd.DataFrame(rows)


def by_clip(errors: pd.DataFrame) -> pd.DataFrame:
    """Return a row per video and reference: mean absolute errors with full / heavy / both."""
    cells = errors.pivot_table(
        index=["clip", "reference"], columns=["angle", "model"], values="mae", sort=False
    )
    told = {
        _plain(angle): [
            " / ".join(f"{value:.1f}" for value in row) if row.notna().all() else ""
            for _, row in cells[angle][list(NAMES)].iterrows()
        ]
        for angle in MAIN
    }
    return pd.DataFrame(told, index=cells.index).reset_index()


def document(errors: pd.DataFrame, cost: dict[str, float]) -> str:
    """Return the text of models.md."""
    parts = [
        "# Errors by pose model",
        "Made by `python benchmarks/models.py --write`: mean absolute error of all frames, degrees,"
        " with the same fit, whose corrections and errors are of the full model. People weigh the"
        " same, however many films there are of them; of values that are given the share within"
        " 1.96 sd; processor time of a frame, as a multiple of full's.",
        markdown(summary(errors, cost)),
        "## Each film",
        "Full / heavy / both. The reference of the views is made of the model's own landmarks, and"
        " is not in the means above.",
        markdown(by_clip(errors)),
    ]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--poses", type=Path, default=ROOT / "build" / "accuracy" / "poses")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--write", action="store_true", help="benchmarks/models.md")
    given = parser.parse_args()
    found = errors(given.data, given.poses)
    cost = {model: seconds(DEMO / TIMED / "video.mp4", model) for model in NAMES}
    text = document(found, cost)
    if given.write:
        Path(__file__).with_suffix(".md").write_text(text, encoding="utf-8")
    with_cost = found.assign(seconds=found["model"].map(cost))
    print(with_cost.to_json(orient="records") if given.json else text)


if __name__ == "__main__":
    main()
