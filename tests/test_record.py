"""benchmarks/record.py: what is told of two records, and the record of a demo."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import xarray as xr
import yaml

import mobility as mb
from mobility.catalogue import registry

PAGE = (
    "<style>p {}</style><h1>Squat</h1><p>It is <b>deep</b>.</p>"
    "<p>Filmed 2026-11-27, added 27 Nov 2026, 09:30</p>"
)


@pytest.fixture(scope="module")
def record(program) -> ModuleType:
    return program("record")


def metrics(knee: float = 118.0) -> xr.Dataset:
    values = np.array([[knee, np.nan], [116.0, 119.0]])
    return xr.Dataset(
        {
            "knee_bottom": (("rep", "side"), values, {"units": "degree"}),
            "accepted": (("rep",), np.array([True, False])),
            "note": (("side",), np.array(["", "hidden"], dtype=object)),
        },
        coords={"rep": [1, 2], "side": ["left", "right"]},
        attrs={"history": '[{"operation": "overhead_squat", "versions": {"numpy": "2"}}]'},
    )


@pytest.fixture
def written(record: ModuleType, tmp_path: Path) -> Callable[..., Path]:
    """Write a record of two cases."""

    def write(name: str, data: xr.Dataset | xr.DataTree, page: str = PAGE, **document: Any) -> Path:
        for case in ("one", "two"):
            folder = tmp_path / name / case
            folder.mkdir(parents=True)
            record.write_dataset(folder, "metrics", data)
            record.write_document(folder, "report", document)
            (folder / "report.txt").write_text(record.sentences(page), encoding="utf-8")
        return tmp_path / name

    return write


def test_two_runs_of_the_same_are_the_same(
    record: ModuleType, written: Callable[..., Path]
) -> None:
    """Also on other days, in other folders and of other versions, and NaN is NaN."""

    def run(name: str, day: str, added: str, data: xr.Dataset) -> Path:
        page = PAGE.replace("2026-11-27", day).replace("27 Nov 2026, 09:30", added)
        place = {"image": f"file:///tmp/{name}/front.png", "video_sha256": name}
        return written(name, data, page, created_at={"date": day}, left=[1.0, None], **place)

    other = metrics(118.0 + 1e-9)
    other.attrs["history"] = other.attrs["history"].replace('"2"', '"3"')
    before = run("a", "2026-11-27", "27 Nov 2026, 09:30", metrics())
    after = run("b", "2026-12-24", "4 Dec 2026, 18:05", other)
    assert record.compare(before, after) == []


def test_a_changed_value_is_told_once_with_its_place(
    record: ModuleType,
    written: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before, after = written("before", metrics()), written("after", metrics(118.5))
    (line,) = record.compare(before, after)
    assert line.startswith("metrics:knee_bottom: in two by 0.5 at [0, 0]: 118.0, now 118.5")
    assert line.endswith("also in one")
    assert record.compare(before, after, tolerance=0.6) == []
    for value in (np.nan, np.inf):  # one that comes or goes
        gone = written(str(value), metrics(value))
        for one, other in ((before, gone), (gone, before)):
            (line,) = record.compare(one, other, tolerance=1e3)
            assert line.startswith("metrics:knee_bottom: in two differs at [0, 0]")
    for other, status, words in ((before, 0, "no difference"), (after, 1, "knee_bottom")):
        monkeypatch.setattr(sys, "argv", ["record.py", "compare", str(before), str(other)])
        with pytest.raises(SystemExit) as ended:
            record.main()
        assert ended.value.code == status
        assert words in capsys.readouterr().out


def test_each_demo_is_a_case(record: ModuleType, project: Path) -> None:
    text = Path(record.__file__).with_suffix(".yaml").read_text("utf-8")
    videos = {case.get("video") for case in yaml.safe_load(text)["cases"].values()}
    demos = [file.parent.name for file in project.glob("data/demo/*/case.yaml")]
    assert {f"data/demo/{slug}/video.mp4" for slug in demos} <= videos


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("chair-rises-oblique", "five_rises"),
        ("one-leg-squat-from-the-right", "trunk_forward_lean"),
    ],
)
def test_landmarks_are_analysed_as_their_exercise(
    record: ModuleType, shared_data: Path, tmp_path: Path, name: str, number: str
) -> None:
    record.record(tmp_path, data=shared_data, cache=tmp_path, poses=None, only=[name])
    leaves = record.leaves(tmp_path / name)
    assert np.isfinite(leaves[f"metrics:{number}"]).any()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("exercise", "number", "document", "line"),
    [
        ("Joint Angle Mobility", "maximum", "joint_mobility", "range"),
        ("Sit-to-Stand", "five_times", "summary", "five repetitions"),
    ],
)
def test_a_demo_is_recorded(
    record: ModuleType,
    project: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    exercise: str,
    number: str,
    document: str,
    line: str,
) -> None:
    slug = registry.exercise(exercise).slug
    name, pose = f"demo-{slug}", project / "data" / "demo" / slug / "pose.nc"
    (tmp_path / "poses").mkdir()
    shutil.copy(pose, tmp_path / "poses")

    def fail(*_: object, **__: object) -> None:
        pytest.fail("the pose is there and was computed")

    fail.__module__, fail.__name__ = mb.estimate_pose.__module__, mb.estimate_pose.__name__
    monkeypatch.setattr(sys.modules[mb.estimate_pose.__module__], fail.__name__, fail)
    out = tmp_path / "out"
    record.record(out, data=tmp_path, cache=tmp_path, poses=tmp_path / "poses", only=[name])
    leaves = record.leaves(out / name)
    stored = xr.load_dataset(pose)
    np.testing.assert_array_equal(leaves["pose:image_position"], stored["image_position"].values)
    assert leaves["angles.attributes:knee_flexion.attrs.units"] == "degree"
    assert np.isfinite(leaves[f"metrics:{number}"]).any()
    assert number in leaves["table:metric"]
    assert leaves[f"{document}:exercise"] == exercise
    assert any(line in text.lower() for text in leaves["report.txt"])
    assert not [key for key in leaves if "created_at" in key or "sha256" in key]
    assert record.compare(out, out) == []
