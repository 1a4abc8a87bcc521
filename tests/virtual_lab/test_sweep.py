from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from network_trace import addresses_outside, refused, tracing
from other_processes import ended

from mobility.base.provenance import sha256
from mobility.virtual_lab import sweep as module
from mobility.virtual_lab.case import case_from, read_truth
from mobility.virtual_lab.sweep import (
    case_digest,
    case_folder,
    measure_case,
    measured_angles,
    read_pose,
    sweep,
)

DEMO = Path("data") / "demo" / "overhead-squat"

QUICK = {
    "motion": {
        "repetitions": 1, "depth": 35, "descent_s": 0.8, "ascent_s": 0.7, "bottom_s": 0.1,
        "lead_s": 0.3,
    },
    "video": {"width": 192, "height": 256, "frame_rate": 10, "samples": 1},
}  # fmt: skip


@pytest.fixture(scope="module")
def demo(project: Path) -> tuple[xr.Dataset, xr.Dataset]:
    """Pose and truth of the demo."""
    return read_pose(project / DEMO / "pose.nc"), read_truth(project / DEMO / "truth.nc")


@pytest.fixture(scope="module")
def measured(demo: tuple[xr.Dataset, xr.Dataset]) -> xr.Dataset:
    return measured_angles(*demo)


def test_what_is_refused_is_measured_all_the_same(measured: xr.Dataset) -> None:
    landmarks = measured.sel(estimator="landmarks")
    # The dorsiflexion of landmarks is refused by the analysis, and not missing.
    given = landmarks["ankle_dorsiflexion"].notnull()
    assert given.any()
    assert bool(landmarks["ankle_dorsiflexion_refused"].where(given, True).all())
    assert landmarks["knee_flexion_sd"].isnull().all()
    assert measured.sel(estimator="fitted")["knee_flexion_sd"].notnull().any()
    lines = measured.sel(estimator="image_plane")
    assert np.isfinite(lines["knee_flexion"]).any()
    assert lines["pelvis_obliquity"].isnull().all()
    # Seen obliquely, a bent knee looks straighter than it is.
    error = lines["knee_flexion"] - lines["knee_flexion_true"]
    assert float(error.where(lines["knee_flexion_true"].mean("side") > 90).mean()) < -5


def test_digest_is_of_what_is_shown_not_of_the_name(tmp_path: Path) -> None:
    one, same = case_from({"name": "a", **QUICK}), case_from({"name": "b", **QUICK})
    other = case_from({"name": "a", **QUICK, "camera": {"azimuth": 41}})
    assert case_digest(one) == case_digest(same) != case_digest(other)
    folder = case_folder(tmp_path, one)
    assert folder.parent == tmp_path
    folder.mkdir()
    # Renamed, it is found again.
    assert case_folder(tmp_path, same) == folder
    assert case_folder(tmp_path, other) != folder
    assert case_folder(tmp_path, case_from({"name": "../x y"})).parent == tmp_path


def test_a_case_in_the_cache_is_not_rendered_again(tmp_path, demo, measured, monkeypatch):
    import yaml

    calls: list[str] = []
    pose, truth = demo
    bundle = tmp_path / "model.task"
    bundle.write_bytes(b"model")

    def render(case: object, folder: Path) -> tuple[Path, Path]:
        calls.append("render")
        (folder / "video.mp4").write_bytes(b"video")
        module.write_dataset(truth, folder / "truth.nc")
        return folder / "video.mp4", folder / "truth.nc"

    def estimate(video: Path, *, workers: int) -> xr.Dataset:
        calls.append("pose")
        return pose.assign_attrs(model_sha256=sha256(bundle))

    def angles(pose: xr.Dataset, truth: xr.Dataset) -> xr.Dataset:
        calls.append("fit")
        return measured

    monkeypatch.setattr(module, "model_sha256", lambda: sha256(bundle))
    monkeypatch.setattr(module, "render_case", render)
    monkeypatch.setattr(module, "estimate_pose", estimate)
    monkeypatch.setattr(module, "measured_angles", angles)
    (tmp_path / "case.yaml").write_text(yaml.safe_dump(case_from(QUICK).model_dump(mode="json")))

    measure_case(tmp_path, keep_video=False, resume=True)
    assert calls == ["render", "pose", "fit"]
    assert not (tmp_path / "video.mp4").exists()
    measure_case(tmp_path, keep_video=False, resume=True)
    assert calls == ["render", "pose", "fit"]
    measure_case(tmp_path, keep_video=False, resume=False)
    assert calls == ["render", "pose", "fit", "fit"]
    # Another pose model gives other poses.
    bundle.write_bytes(b"another model")
    measure_case(tmp_path, keep_video=True, resume=True)
    assert calls[4:] == ["render", "pose", "fit"]
    assert (tmp_path / "video.mp4").exists()


def test_a_process_that_dies_is_an_error_of_its_case_only(tmp_path, monkeypatch):
    # A worker that answers the first case and dies of the second.
    worker = tmp_path / "worker.sh"
    worker.write_text(
        "#!/bin/sh\nread line || exit 0\n"
        "case $line in *second*) echo 'no display' >&2; exit 7;; esac\n"
        'echo \'{"result": 1.5}\'; exec "$0"\n'
    )
    worker.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(worker))
    cases = [
        case_from({"name": name, "camera": {"azimuth": i % 3}})
        for i, name in enumerate(("first", "second", "third", "first again"))
    ]
    done = sweep(cases, tmp_path / "cache")
    assert [d.error for d in done] == [
        None,
        "the process of this case ended with status 7: no display",
        None,
        None,
    ]
    assert done[0].folder == done[3].folder
    assert done[0].seconds == done[2].seconds == 1.5
    assert np.isnan(done[1].seconds)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_command_reports_what_it_measured_and_what_failed(extra, tmp_path, pose_model):
    import yaml

    cases = [{"name": "good"}, {"name": "bad", "body": {"height_m": 1.95, "weight_kg": 40}}]
    (tmp_path / "grid.yaml").write_text(yaml.safe_dump({"defaults": QUICK, "cases": cases}))
    command = [sys.executable, "-m", "mobility.cli", "virtual-lab", "sweep", "grid.yaml", "--json"]
    command = [*tracing(tmp_path / "trace"), *command]
    done = ended(command, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert refused(tmp_path / "trace") > 0
    assert addresses_outside(tmp_path / "trace") == set()
    summary = json.loads(done.stdout)
    assert summary["cases"] == 2
    assert list(summary["failed"]) == ["bad"]
    assert "warning: case bad: parametric_body: weight_kg 40 is out of reach" in done.stderr
    made = tmp_path / "reports" / "virtual-lab"
    assert summary["report"] == (made / "virtual-lab.html").resolve().as_uri()
    data = xr.load_dataset(made / "virtual-lab.nc", engine="h5netcdf")
    assert list(data["case"].values) == ["good"]
    knee = data["case_mae"].sel(angle="knee_flexion", estimator="fitted", part="all")
    assert float(knee.mean()) < 25
    (folder,) = (tmp_path / "build" / "virtual-lab").glob("good-*")
    assert sorted(path.name for path in folder.glob("[!.]*")) == [
        *("angles.nc", "case.yaml", "pose.nc", "truth.nc")
    ]
    assert "out of reach" in (made / "virtual-lab.html").read_text(encoding="utf-8")
