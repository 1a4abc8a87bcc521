"""Keypoints of other models: the same from each format, and bad files in one line."""

from __future__ import annotations

import json
import pickle
import re
from pathlib import Path

import h5py
import numpy as np
import pytest
import written_keypoints as files
import xarray as xr
from clips import make_clip
from other_processes import peak_memory

import mobility as mb
from mobility.base.provenance import history, last_of, warnings_of
from mobility.capture.models import model_sha256
from mobility.errors import BadInputError, NotFoundError
from mobility.exchange import formats, identities
from mobility.exchange.formats import digest
from mobility.exchange.identities import Detection, followed
from mobility.exchange.keypoint_files import keypoints_of_video
from mobility.keypoints.sources import LANDMARKS, landmark_of, points_of
from tests.limbs import limb_pose

SIZE = (160, 120)
HALPE = points_of("halpe_26")


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return make_clip(tmp_path_factory.mktemp("film") / "walk.mp4", 30, size=SIZE)


def in_halpe(frames: np.ndarray) -> np.ndarray:
    """The same points in the order of HALPE_26; the head is where the nose is."""
    of_landmark = {landmark_of(name): place for place, name in enumerate(files.BODY_25)}
    of_landmark |= {name: files.BODY_25.index(name) for name in files.BODY_25}
    alike = {"Head": "nose", "Hip": "MidHip", "left_small_toe": "LSmallToe"}
    alike |= {"right_small_toe": "RSmallToe", "Neck": "Neck"}
    places = [of_landmark[alike.get(name, landmark_of(name))] for name in HALPE]
    return frames[:, places]


def points(pose) -> np.ndarray:
    return pose["image_position"].isel(individual=0).transpose("time", "keypoint", "pixel").values


def check_walker(pose, frames: np.ndarray) -> None:
    """Each landmark is where its keypoint was, and nothing else is there."""
    expected = np.full((len(frames), len(LANDMARKS), 3), np.nan)
    for place, name in enumerate(files.BODY_25):
        if landmark_of(name) is not None:
            expected[:, LANDMARKS.index(landmark_of(name))] = frames[:, place]
    np.testing.assert_allclose(points(pose), expected[..., :2])
    np.testing.assert_allclose(pose["confidence"].isel(individual=0), expected[..., 2])
    assert "position" not in pose
    assert pose.attrs["pose_source"] == "other"


def written(folder, name: str, frames: np.ndarray):
    if name == "openpose":
        return files.openpose(folder / "json", frames)
    if name == "old openpose":
        return files.openpose(folder / "json", frames, key="pose_keypoints")
    if name == "halpe":
        return files.openpose(folder / "json", in_halpe(frames))
    if name == "alphapose":
        return files.alphapose(folder / "results.txt", in_halpe(frames))
    if name == "csv":
        return files.long_csv(folder / "points.dat", frames)
    if name == "timed csv":
        head = "time,keypoint,x,y,score"
        return files.long_csv(folder / "p.csv", frames, head=head, clock=lambda n: n / files.RATE)
    if name == "deeplabcut":
        return files.deeplabcut(folder / "net.csv", {"a": frames})
    if name in ("deeplabcut table", "deeplabcut fixed"):
        return files.deeplabcut_hdf5(folder / "net.h5", {"a": frames}, fixed="fixed" in name)
    if name == "sleap":
        return files.sleap(folder / "walk.analysis", frames)
    return files.movement(folder / "walk.nc", {"a": frames})


SOFTWARE = {
    "openpose": "OpenPose",
    "old openpose": "OpenPose",
    "halpe": "HALPE_26",
    "alphapose": "AlphaPose",
    "csv": "CSV",
    "timed csv": "CSV",
    "deeplabcut": "DeepLabCut",
    "deeplabcut table": "DeepLabCut",
    "deeplabcut fixed": "DeepLabCut",
    "sleap": "SLEAP",
    "movement": "LightningPose",
}


@pytest.mark.parametrize("name", SOFTWARE)
def test_every_format_gives_the_same_pose(name, tmp_path, video):
    frames = files.walker()
    path = written(tmp_path, name, frames)
    pose = mb.read_keypoints(path, rate=files.RATE, size=SIZE)
    check_walker(pose, frames)
    np.testing.assert_allclose(pose["time"], np.arange(30) / files.RATE)
    assert pose.attrs["source_software"] == SOFTWARE[name]
    assert (pose.attrs["image_width"], pose.attrs["image_height"]) == SIZE
    entry = last_of(history(pose), "read_keypoints")
    assert entry["file_sha256"] == digest(path)
    assert {"Neck", "Head"} & set(entry["points_left_out"])
    # A pose that was stored is read again as it is, and so with its video.
    pose.to_netcdf(tmp_path / "pose.bin", engine="h5netcdf")
    again = mb.read_keypoints(tmp_path / "pose.bin", model="Mine")
    check_walker(again, frames)
    assert again.attrs["source_software"] == "Mine"
    for each in (path, tmp_path / "pose.bin"):
        check_walker(keypoints_of_video(each, video), frames)


@pytest.mark.parametrize("number", [17, 18, 133, 136])
def test_other_numbers_of_keypoints(number, tmp_path):
    frames = files.walker(names=[str(n) for n in range(number)])
    pose = mb.read_keypoints(files.openpose(tmp_path / "json", frames), rate=30)
    left = points(pose)[:, LANDMARKS.index("left_knee")]
    place = {17: 13, 18: 12, 133: 13, 136: 13}[number]
    np.testing.assert_allclose(left, frames[:, place, :2])
    heel = points(pose)[:, LANDMARKS.index("left_heel")]
    assert np.isnan(heel).all() == (number in (17, 18))


def test_what_a_model_does_not_find_is_missing(tmp_path):
    frames = files.walker()
    frames[3, 9] = 0
    frames[5] = np.nan
    pose = mb.read_keypoints(files.openpose(tmp_path / "json", frames), rate=30)
    seen = np.isfinite(points(pose)).all(axis=-1)
    assert not seen[3, LANDMARKS.index("right_hip")]
    assert not seen[5].any()
    assert seen[4, LANDMARKS.index("right_hip")]
    assert pose.sizes["time"] == 30


def test_frames_without_anybody_are_not_in_alphaposes_results(tmp_path, video):
    frames = in_halpe(files.walker())
    frames[:2] = frames[27:] = np.nan
    pose = keypoints_of_video(files.alphapose(tmp_path / "a.json", frames), video)
    someone = np.isfinite(points(pose)).any(axis=(1, 2))
    np.testing.assert_array_equal(np.flatnonzero(someone), np.arange(2, 27))
    assert pose.sizes["time"] == 30


def test_the_person_who_is_meant(tmp_path):
    """Two who cross in the list of people stay who they are."""
    frames, other = files.walker(), files.walker(u=110.0)

    def swapping(number: int) -> list[np.ndarray]:
        return [other[number]]

    folder = files.openpose(tmp_path / "json", frames, others=swapping)
    for number in (10, 11, 12):
        file = folder / f"walk_{number:012d}_keypoints.json"
        document = json.loads(file.read_text())
        file.write_text(json.dumps(document | {"people": document["people"][::-1]}))
    with pytest.raises(
        BadInputError, match=r"has 2 people; choose one with subject, .*65,60 and 115,60"
    ):
        mb.read_keypoints(folder, rate=30)
    check_walker(mb.read_keypoints(folder, rate=30, subject=(65, 60)), frames)
    check_walker(mb.read_keypoints(folder, rate=30, subject=(115, 60)), other)
    with pytest.raises(BadInputError, match=r"nobody first appears at 5,5"):
        mb.read_keypoints(folder, rate=30, subject=(5, 5))


def test_people_with_names(tmp_path):
    both = {"first": files.walker(), "second": files.walker(u=110.0)}
    for path in (
        files.movement(tmp_path / "m.nc", both),
        files.deeplabcut(tmp_path / "d.csv", both),
        files.deeplabcut_hdf5(tmp_path / "d.h5", both),
        files.deeplabcut_hdf5(tmp_path / "f.h5", both, fixed=True),
    ):
        with pytest.raises(BadInputError, match="has 2 people"):
            mb.read_keypoints(path, rate=30)
        check_walker(mb.read_keypoints(path, rate=30, subject="second"), both["second"])
        with pytest.raises(BadInputError, match="no person 'third'; it has first and second"):
            mb.read_keypoints(path, rate=30, subject="third")


def test_somebody_who_passes_by_is_not_asked_about(tmp_path):
    frames = files.walker()
    passing = files.walker(u=120.0)
    folder = files.openpose(
        tmp_path / "json", frames, others=lambda n: [passing[n]] if n in (4, 5) else []
    )
    pose = mb.read_keypoints(folder, rate=30)
    check_walker(pose, frames)
    assert last_of(history(pose), "read_keypoints")["passers_by"] == 1


def test_confidence_a_little_above_one_counts_as_one_and_is_told(tmp_path):
    frames = files.walker()
    frames[0, 1:3, 2] = 1.2
    pose = mb.read_keypoints(files.long_csv(tmp_path / "p.csv", frames), rate=30)
    assert float(pose["confidence"].max()) == 1
    codes = [each["code"] for each in warnings_of(pose)]
    assert codes == ["errors_of_another_model", "confidence_above_one"]


def test_points_of_ones_own_get_their_landmarks(tmp_path):
    frames = files.walker()[:, [9, 10, 11]]
    file = files.long_csv(tmp_path / "p.csv", frames, ["pelvis r", "knee r", "belly"])
    with pytest.raises(BadInputError, match="no landmark is known for pelvis r, knee r"):
        mb.read_keypoints(file, rate=30)
    meaning = {"pelvis r": "right_hip", "knee r": "right_knee", "belly": None}
    pose = mb.read_keypoints(file, rate=30, keypoints=meaning)
    seen = np.isfinite(points(pose)).all(axis=(0, 2))
    assert {LANDMARKS[place] for place in np.flatnonzero(seen)} == {"right_hip", "right_knee"}


def test_one_frame_more_or_less_than_the_video(tmp_path, video):
    for number in (29, 31):
        frames = files.walker(number)
        pose = keypoints_of_video(files.openpose(tmp_path / f"{number}", frames), video)
        assert pose.sizes["time"] == min(number, 30)
        check_walker(pose, frames[:30])


def test_a_pose_with_fewer_frames_is_matched_by_its_times(tmp_path, video):
    frames = files.walker()
    pose = mb.read_keypoints(files.openpose(tmp_path / "json", frames), rate=30, size=SIZE)
    pose.isel(time=slice(None, None, 2)).to_netcdf(tmp_path / "half.nc", engine="h5netcdf")
    half = keypoints_of_video(tmp_path / "half.nc", video)
    check_walker(half, frames[::2])
    late = pose.assign_coords(time=pose["time"] + 0.5)
    late.to_netcdf(tmp_path / "late.nc", engine="h5netcdf")
    with pytest.raises(BadInputError, match=r"times are not times of frames in the video walk.mp4"):
        keypoints_of_video(tmp_path / "late.nc", video)


def half_of_the_frames(folder):
    return files.openpose(folder / "p", files.walker(15))


def twice_the_size(folder):
    return files.openpose(folder / "p", files.walker() * [3, 3, 1])


def shares(folder):
    return files.openpose(folder / "p", files.walker() / [160, 120, 1])


def another_rate(folder):
    return files.movement(folder / "p.nc", {"a": files.walker()}, rate=60)


def unknown_set(folder):
    return files.openpose(folder / "p", files.walker()[:, :9])


def two_sets(folder):
    frames = files.walker()
    return files.openpose(folder / "p", [*frames[:10], *in_halpe(frames)[10:]])


def unknown_names(folder):
    return files.long_csv(folder / "p.csv", files.walker(), [f"p{n}" for n in range(25)])


def empty(folder):
    (folder / "p.csv").write_bytes(b"\xef\xbb\xbf \n")
    return folder / "p.csv"


def empty_frame(folder):
    path = files.openpose(folder / "p", files.walker())
    (path / "walk_000000000004_keypoints.json").write_bytes(b"")
    return path


def broken_json(folder):
    path = files.openpose(folder / "p", files.walker())
    (path / "walk_000000000004_keypoints.json").write_text('{"people": [{"pose')
    return path


def words_for_numbers(folder):
    path = files.openpose(folder / "p", files.walker())
    text = '{"people": [{"pose_keypoints_2d": ["a", 1, 2]}]}'
    (path / "walk_000000000004_keypoints.json").write_text(text)
    return path


def broken_csv(folder):
    path = files.long_csv(folder / "p.csv", files.walker())
    lines = path.read_text().splitlines()
    lines[7] = lines[7].replace(lines[7].split(",")[3], "12o")
    path.write_text("\n".join(lines))
    return path


def misspelt_csv(folder):
    return files.long_csv(folder / "p.csv", files.walker(), head="frame,point,x,y,confidance")


def wide_csv(folder):
    (folder / "p.csv").write_text("frame,nose_x,nose_y\n0,1,2\n")
    return folder / "p.csv"


def point_twice(folder):
    return files.long_csv(folder / "p.csv", files.walker(), ["Nose", *files.BODY_25[:-1]])


def missing_frames(folder):
    path = files.openpose(folder / "p", files.walker())
    for number in (8, 9):
        (path / f"walk_{number:012d}_keypoints.json").unlink()
    return path


def missing_frames_of_csv(folder):
    frames = files.walker()
    path = folder / "p.csv"
    return files.long_csv(path, frames, clock=lambda n: n if n < 20 else n + 5)


def two_films(folder):
    path = files.openpose(folder / "p", files.walker())
    (path / "run_000000000000_keypoints.json").write_text('{"people": []}')
    return path


def without_json(folder):
    (folder / "p").mkdir()
    (folder / "p" / "read.me").write_text("x")
    return folder / "p"


def one_frame(folder):
    return next(iter(files.openpose(folder / "p", files.walker()).glob("*.json")))


def other_json(folder):
    (folder / "p.json").write_text('{"annotations": []}')
    return folder / "p.json"


def nowhere(folder):
    return files.long_csv(folder / "p.csv", files.walker() * [np.nan, np.nan, 1])


def nobody(folder):
    return files.openpose(folder / "p", files.walker() * np.nan)


def percent(folder):
    return files.long_csv(folder / "p.csv", files.walker() * [1, 1, 100])


def negative(folder):
    return files.long_csv(folder / "p.csv", files.walker() * [1, 1, -1])


def a_picture(folder):
    (folder / "p.csv").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
    return folder / "p.csv"


def cut_off_hdf5(folder):
    path = files.movement(folder / "p.nc", {"a": files.walker()})
    path.write_bytes(path.read_bytes()[:2000])
    return path


def code_for_labels(folder):
    code = b"cbuiltins\nprint\n(Vran\ntR."
    return files.deeplabcut_hdf5(folder / "p.h5", {"a": files.walker()}, labels=code)


def other_hdf5(folder):
    with h5py.File(folder / "p.h5", "w") as out:
        out["points"] = np.zeros(3)
    return folder / "p.h5"


def in_space(folder):
    path = files.movement(folder / "p.nc", {"a": files.walker()})
    data = xr.load_dataset(path)
    data = data.reindex(space=["x", "y", "z"], fill_value=1.0)
    data.to_netcdf(folder / "space.nc", engine="h5netcdf")
    return folder / "space.nc"


def headers_alone(folder):
    (folder / "p.csv").write_text("scorer,n,n\nbodyparts,nose,nose\ncoords,x,y\n")
    return folder / "p.csv"


def link_to_another_file(folder):
    with h5py.File(folder / "p.h5", "w") as out:
        out["tracks"] = h5py.ExternalLink(str(folder / "secret.h5"), "x")
        out["node_names"] = np.array(["Nose"], dtype="S")
    return folder / "p.h5"


def soft_link(folder):
    path = files.sleap(folder / "p.h5", files.walker())
    with h5py.File(path, "a") as out:
        out.create_group("more")["names"] = h5py.SoftLink("/node_names")
    return path


def values_in_another_file(folder):
    (folder / "secret").write_bytes(bytes(2 * 17 * 30))
    with h5py.File(folder / "p.h5", "w") as out:
        place = [(str(folder / "secret"), 0, 2 * 17 * 30)]
        out.create_dataset("tracks", (1, 2, 17, 30), "u1", external=place)
        out["node_names"] = np.array(points_of("coco_17"), dtype="S")
    return folder / "p.h5"


def virtual_dataset(folder):
    source = files.sleap(folder / "secret.h5", files.walker())
    layout = h5py.VirtualLayout((1, 2, 25, 30), "f8")
    layout[:] = h5py.VirtualSource(str(source), "tracks", (1, 2, 25, 30))
    with h5py.File(folder / "p.h5", "w") as out:
        out.create_virtual_dataset("tracks", layout)
        out["node_names"] = np.array(files.BODY_25, dtype="S")
    return folder / "p.h5"


def netcdf_of_another_file(folder):
    path = files.movement(folder / "p.nc", {"a": files.walker()})
    (folder / "secret").write_bytes(bytes(64))
    with h5py.File(path, "a") as out:
        del out["confidence"]
        out.create_dataset("confidence", (8,), "f8", external=[(str(folder / "secret"), 0, 64)])
    return path


def deeplabcut_of_another_file(folder):
    path = files.deeplabcut_hdf5(folder / "p.h5", {"a": files.walker()}, fixed=True)
    with h5py.File(path, "a") as out:
        del out["df_with_missing/block0_values"]
        out["df_with_missing/block0_values"] = h5py.ExternalLink("secret.h5", "x")
    return path


def link_of_a_netcdf(folder):
    path = files.movement(folder / "p.nc", {"a": files.walker()})
    with h5py.File(path, "a") as out:
        out["other"] = h5py.ExternalLink("secret.h5", "x")
    return path


def endless_sleap(folder):
    with h5py.File(folder / "p.h5", "w") as out:
        out.create_dataset("tracks", (1, 2, 17, 200_000_000), "f8", chunks=(1, 2, 17, 1000))
        out["node_names"] = np.array(points_of("coco_17"), dtype="S")
    return folder / "p.h5"


def long_sleap(folder):
    """Fewer bytes than a file may have, and more frames than the video."""
    with h5py.File(folder / "p.h5", "w") as out:
        out.create_dataset("tracks", (1, 2, 17, 2_000_000), "f8", chunks=(1, 2, 17, 1000))
        out["node_names"] = np.array(points_of("coco_17"), dtype="S")
    return folder / "p.h5"


def one_text_many_times(folder):
    path = files.sleap(folder / "p.h5", files.walker())
    with h5py.File(path, "a") as out:
        long = out.create_dataset("texts", (1500,), h5py.string_dtype())
        long[:] = "x" * 100_000
    return path


def late_picture(folder):
    path = files.alphapose(folder / "p.json", in_halpe(files.walker()))
    path.write_text(path.read_text().replace('"29.jpg"', '"9999999.jpg"'))
    return path


def number_without_end(folder):
    path = files.alphapose(folder / "p.json", in_halpe(files.walker()))
    path.write_text(path.read_text().replace('"29.jpg"', f'"{"9" * 5000}.jpg"'))
    return path


def each_row_its_own(folder):
    lines = [f"{n / 100},p{n % 900},{n},{n},0.5,{n % 900}" for n in range(3000)]
    (folder / "p.csv").write_text("\n".join(["time,point,x,y,confidence,person", *lines]))
    return folder / "p.csv"


def nested_labels(folder):
    """A pickle of few bytes whose text would be endless."""
    label = ["x"]
    for _ in range(60):
        label = [label, label]
    code = pickle.dumps([("net", label, "x")], protocol=0)
    return files.deeplabcut_hdf5(folder / "p.h5", {"a": files.walker()}, labels=code)


def decimal_commas(folder):
    path = files.long_csv(folder / "p.csv", files.walker())
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], *(line.replace(".", ",") for line in lines[1:])]))
    return path


def semicolons_below(folder):
    path = files.long_csv(folder / "p.csv", files.walker())
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], *(line.replace(",", ";") for line in lines[1:])]))
    return path


def commas_in_deeplabcut(folder):
    path = files.deeplabcut(folder / "p.csv", {"a": files.walker()})
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:3], *(line.replace(".", ",") for line in lines[3:])]))
    return path


def frame_of_deeplabcut_twice(folder):
    path = files.deeplabcut(folder / "p.csv", {"a": files.walker()})
    path.write_text(path.read_text().replace("\n12,", "\n3,"))
    return path


def name_twice(folder):
    path = files.alphapose(folder / "p.json", in_halpe(files.walker()), idx=7)
    results = json.loads(path.read_text())
    path.write_text(json.dumps([*results, results[4]]))
    return path


def two_in_turn(folder):
    """One track of AlphaPose after the other, elsewhere in the picture."""
    frames = in_halpe(files.walker())
    frames[15:, :, 0] += 50
    path = files.alphapose(folder / "p.json", frames, idx=1)
    results = json.loads(path.read_text())
    for each in results[15:]:
        each["idx"] = 2
    path.write_text(json.dumps(results))
    return path


def two_without_names_in_turn(folder):
    frames = files.walker()
    frames[15:, :, 0] += 70
    return files.openpose(folder / "p", frames)


def crowd(folder):
    return files.openpose(folder / "p", files.walker(), others=lambda n: [files.walker()[n]] * 100)


FAULTS = {
    link_to_another_file: r"p.h5: /tracks is a link, which could lead to any file on this machine",
    soft_link: r"p.h5: /more/names is a link",
    values_in_another_file: r"p.h5: /tracks has its values in another file",
    virtual_dataset: r"p.h5: /tracks is a virtual dataset",
    netcdf_of_another_file: r"p.nc: /confidence has its values in another file",
    deeplabcut_of_another_file: r"p.h5: /df_with_missing/block0_values is a link",
    link_of_a_netcdf: r"p.nc: /other is a link",
    endless_sleap: r"p.h5: its values take more than 2048 MB of memory; keep only the keypoints",
    long_sleap: r"p.h5: has 2000000 frames, but the video has 30; use keypoints for each",
    one_text_many_times: r"p.h5: its values take more than 64 MB of memory",
    late_picture: r"p.json: has 10000000 frames, but the video has 30",
    number_without_end: r"p.json: image_id .* has no frame number",
    each_row_its_own: r"p.csv: has 3000 frames, but the video has 30",
    nested_labels: r"p.h5: its table df_with_missing differs .*\(its labels are not texts\)",
    decimal_commas: r"p.csv: line 2 has 8 values, but the header has 5; use .* semicolons",
    semicolons_below: r"p.csv: line 2 has 1 values, but the header has 5; use the same separator",
    commas_in_deeplabcut: r"p.csv: line 4 has \d+ values, but the header has 76; use",
    frame_of_deeplabcut_twice: r"p.csv: line 16: frame 3 comes after frame 11; write",
    name_twice: r"p.json: frame 4 has person '7' twice; give each person a separate name \(idx\)",
    two_in_turn: r"p.json: has 2 people; choose one with subject",
    two_without_names_in_turn: r"p: has 2 people; choose one with subject",
    crowd: r"p: has 101 people in one frame, but at most 100 can be followed",
    half_of_the_frames: r"p: has 15 frames, but the video walk.mp4 has 30; use keypoints for",
    twice_the_size: r"its points lie outside the picture of 160 x 120 pixels in \d+% of the frames",
    shares: r"its coordinates are fractions of the picture \(up to 0.8",
    another_rate: r"p.nc: has 60 frames per second, but the video walk.mp4 30; use keypoints",
    unknown_set: r"p.walk_0{12}_keypoints.json: has 9 keypoints, and no known set has this",
    two_sets: r"p: has frames with 25 and with 26 keypoints; use files from one model",
    unknown_names: r"p.csv: no landmark is known for p0, .* and 20 more; rename them",
    empty: r"p.csv: is empty; use a file with keypoints",
    empty_frame: r"0004_keypoints.json: is empty; copy it again",
    broken_json: r"0004_keypoints.json: is not valid JSON \(.*line 1 column 14.*\); copy it again",
    words_for_numbers: r"0004_keypoints.json: keypoints must be numbers: x, y and confidence of",
    broken_csv: r"p.csv: line 8, column y: must be a number \(got '12o'\)",
    misspelt_csv: r"column 'confidance' is unknown; did you mean 'confidence'\?",
    wide_csv: r"p.csv: needs the columns frame or time, point, x, y and confidence, with a row for",
    point_twice: r"p.csv: line 3: this point of this frame is already in line 2",
    missing_frames: r"p: 2 frames are missing between 0 and 29, the first of them 8; write a file",
    missing_frames_of_csv: r"p.csv: 5 frames are missing between 0 and 34, the first of them 20",
    two_films: r"p: has files of several videos \(run_, walk_\); put each video into",
    without_json: r"p: has no JSON files; name the folder that has a file",
    one_frame: r"keypoints.json: is a single frame from OpenPose; name its folder",
    other_json: r"p.json: is not a known JSON format of keypoints; use AlphaPose's list",
    nowhere: r"p.csv: contains no point in any frame",
    nobody: r"p: none of its 30 frames contains a person",
    percent: r"p.csv: confidence must be from 0 to 1 \(got 90\); divide it",
    negative: r"p.csv: confidence must be from 0 to 1 \(got -0.9\)",
    a_picture: r"p.csv: is not a keypoint file of a known format; use OpenPose's folder",
    cut_off_hdf5: r"p.nc: is damaged HDF5 \(.*\); copy it again",
    code_for_labels: r"p.h5: its table .*\(its labels are not texts, but GLOBAL",
    other_hdf5: r"p.h5: is an HDF5 file of unknown format; load it with movement",
    in_space: r"space.nc: its positions must be x and y in the picture",
    headers_alone: r"p.csv: has no frame below its headers",
}


@pytest.mark.parametrize("bad", FAULTS, ids=lambda each: each.__name__)
def test_bad_files_are_refused_in_one_line(bad, tmp_path, video):
    with pytest.raises(BadInputError) as error:
        keypoints_of_video(bad(tmp_path), video)
    text = str(error.value)
    assert re.search(FAULTS[bad], text), text
    assert "\n" not in text
    assert str(tmp_path) in text


def test_what_the_arguments_do_not_say(tmp_path):
    folder = files.openpose(tmp_path / "json", files.walker())
    with pytest.raises(BadInputError, match="has frame numbers but no times; pass rate"):
        mb.read_keypoints(folder)
    file = files.movement(tmp_path / "m.nc", {"a": files.walker()})
    with pytest.raises(BadInputError, match="has 30 frames per second, but rate 60"):
        mb.read_keypoints(file, rate=60)
    mb.read_keypoints(
        files.movement(tmp_path / "f.nc", {"a": files.walker()}, unit="frames"), rate=9
    )
    with pytest.raises(NotFoundError, match="no such file or folder"):
        mb.read_keypoints(tmp_path / "absent", rate=30)
    with pytest.raises(BadInputError, match="rate"):
        mb.read_keypoints(folder, rate=0)
    with pytest.raises(BadInputError, match="outside the picture of 50 x 40"):
        mb.read_keypoints(folder, rate=30, size=(50, 40))


def test_an_own_pose_of_another_size(tmp_path, video):
    pose = mb.read_keypoints(files.openpose(tmp_path / "json", files.walker()), rate=30)
    pose.assign_attrs(image_width=320, image_height=240).to_netcdf(
        tmp_path / "pose.nc", engine="h5netcdf"
    )
    with pytest.raises(BadInputError, match="to pictures of 320 x 240 pixels, but the video has"):
        keypoints_of_video(tmp_path / "pose.nc", video)


def test_no_more_points_than_memory_has_room_for(tmp_path):
    """Also without a video, whose number of frames would say it."""
    for bad in (long_sleap, late_picture, each_row_its_own):
        with pytest.raises(BadInputError, match=r"more than 20000000; keep the keypoints of one"):
            mb.read_keypoints(bad(tmp_path), rate=None if bad is each_row_its_own else 30)
    data = xr.Dataset({"position": (("time", "space", "keypoint"), np.zeros((9, 2, 1)))})
    data = data.assign_coords(space=["x", "y"], keypoint=["nose"])
    data = data.isel(time=[0] * 1_000_000, keypoint=[0] * 30)
    coded = {"position": {"zlib": True, "chunksizes": (1000, 2, 30)}}
    data.to_netcdf(tmp_path / "m.nc", engine="h5netcdf", encoding=coded)
    with pytest.raises(BadInputError, match=r"has 1000000 frames x 1 people x 30 points"):
        mb.read_keypoints(tmp_path / "m.nc", rate=30)


def test_the_labels_of_a_table_take_no_more_memory_than_their_bytes(tmp_path):
    """A pickle of few bytes makes room for as many objects as it likes, before it has any."""
    for place in (2**24, 2**20):
        memo = b"(lr" + place.to_bytes(4, "little") + b"."
        path = files.deeplabcut_hdf5(tmp_path / f"{place}.h5", {"a": files.walker()}, labels=memo)
        fault = "its labels are not numbered one after the other"
        with peak_memory() as peak, pytest.raises(BadInputError, match=fault):
            mb.read_keypoints(path, rate=30)
        assert peak() < 10e6


def test_one_long_label_of_many_columns_is_one_text(tmp_path):
    path = files.deeplabcut_hdf5(tmp_path / "p.h5", {"a": files.walker()}, fixed=True)
    check_walker(mb.read_keypoints(path, rate=30), files.walker())  # what is imported late
    with h5py.File(path, "a") as out:
        del out["df_with_missing/block0_items_level0"]
        out["df_with_missing/block0_items_level0"] = np.array(["n" * 200_000], "S")
    with peak_memory() as peak:
        check_walker(mb.read_keypoints(path, rate=30), files.walker())
    assert peak() < 20e6  # 75 columns of it would be 60 MB


@pytest.mark.parametrize("name", ["alphapose", "csv", "deeplabcut", "fixed", "movement"])
def test_more_names_than_there_can_be_are_refused_by_every_reader(name, tmp_path):
    """As those of SLEAP: else the time of readers is that of all pairs of them."""
    people = {f"person {n}": files.walker(1, ["nose"]) for n in range(1001)}
    if name == "alphapose":
        frames = np.repeat(in_halpe(files.walker(1)), 1001, axis=0)
        path = files.alphapose(tmp_path / "p.json", frames)
        results = [each | {"idx": n} for n, each in enumerate(json.loads(path.read_text()))]
        path.write_text(json.dumps(results))
    elif name == "csv":
        rows = "".join(f"0,nose,1,2,{n}\n" for n in range(1001))
        path = tmp_path / "p.csv"
        path.write_text(f"frame,point,x,y,person\n{rows}")
    elif name == "deeplabcut":
        path = files.deeplabcut(tmp_path / "p.csv", people, ["nose"])
    elif name == "movement":
        path = files.movement(tmp_path / "p.nc", people, ["nose"])
    else:
        people = {f"{n}": each for n, each in enumerate(people.values())}
        path = files.deeplabcut_hdf5(tmp_path / "p.h5", people, ["nose"], fixed=True)
    with pytest.raises(BadInputError, match=r"has 1001 people with \d+ points, but at most 1000"):
        mb.read_keypoints(path, rate=30)


def test_a_table_of_more_columns_than_there_can_be_is_not_taken_apart(tmp_path, monkeypatch):
    path = tmp_path / "p.csv"
    path.write_text(f"scorer{',net' * 100_000}\nbodyparts{',nose' * 100_000}\n")
    monkeypatch.setattr("csv.reader", None)
    with pytest.raises(BadInputError, match="has more than 100000 columns"):
        mb.read_keypoints(path, rate=30)


def test_a_column_of_deeplabcut_twice(tmp_path):
    path = files.deeplabcut(tmp_path / "p.csv", {"a": files.walker()}, ["Nose", *["Neck"] * 24])
    with pytest.raises(BadInputError, match="has a column twice"):
        mb.read_keypoints(path, rate=30)


def test_a_number_that_comes_many_times_is_parsed_once(tmp_path, monkeypatch):
    path = tmp_path / "p.csv"
    rows = "".join(f"{n // 2},{('nose', 'Neck')[n % 2]},50,{n % 7}\n" for n in range(2000))
    path.write_text(f"frame,point,x,y\n{rows}")
    texts, parse = [], formats.parse_number
    monkeypatch.setattr(formats, "parse_number", lambda text: texts.append(text) or parse(text))
    mb.read_keypoints(path, rate=30)
    assert len(texts) == 1000 + 1 + 7


def test_people_without_names_cost_time_by_their_number(monkeypatch):
    """Boxes of those who may go on are made once in a frame, and not for each who is in it."""
    made, boxes = [], identities._boxes
    monkeypatch.setattr(identities, "_boxes", lambda each: made.append(len(each)) or boxes(each))
    one = files.walker(1)[0]

    def strangers(number: int, frames: int) -> list[list[Detection]]:
        at = [
            [1000.0 * (row * number + n + 1), 0, 0] for row in range(frames) for n in range(number)
        ]
        people = [Detection((one + each)[:, :2], one[:, 2], None) for each in at]
        return [people[row * number : (row + 1) * number] for row in range(frames)]

    followed(strangers(20, 20), 25, rate=30, what=Path("p"))
    assert sum(made) <= 20 * 20 * 20  # those of 20 frames in each of 20, and each who is in one
    with pytest.raises(BadInputError, match=r"has 600 people within a second before frame 6, but"):
        followed(strangers(100, 20), 25, rate=30, what=Path("p"))


def test_frames_beyond_any_number_are_refused(tmp_path):
    (tmp_path / "p.csv").write_text("frame,point,x,y\n1e999,nose,1,2\n0,nose,1,2\n")
    with pytest.raises(BadInputError, match="column frame must hold whole numbers"):
        mb.read_keypoints(tmp_path / "p.csv", rate=30)


def test_no_reader_raises_anything_else(tmp_path, monkeypatch):
    """What a library raises at a damaged file is one line, whatever it is."""
    path = files.long_csv(tmp_path / "p.csv", files.walker())
    for error in (ZeroDivisionError("two\nlines"), MemoryError()):
        monkeypatch.setattr(formats, "_csv", lambda *_, error=error: (_ for _ in ()).throw(error))
        with pytest.raises(
            BadInputError, match=r"p.csv: cannot be read as keypoints \(\w+"
        ) as fault:
            mb.read_keypoints(path, rate=30)
        assert "\n" not in str(fault.value)


def test_zeros_are_no_point_in_the_corner(tmp_path):
    frames = files.walker()
    place, landmark = files.BODY_25.index("RHip"), LANDMARKS.index("right_hip")
    frames[3, place] = 0
    for path in (
        files.openpose(tmp_path / "json", frames),
        files.long_csv(tmp_path / "p.csv", frames),
        files.deeplabcut(tmp_path / "d.csv", {"a": frames}),
        files.sleap(tmp_path / "p.h5", frames),
        files.movement(tmp_path / "m.nc", {"a": frames}),
    ):
        pose = mb.read_keypoints(path, rate=30)
        assert np.isnan(points(pose)[3, landmark]).all()
        assert not float(pose["confidence"][3, landmark, 0]) > 0
        assert np.isfinite(points(pose)[4, landmark]).all()


def test_semicolons_and_decimal_commas_are_read(tmp_path):
    frames = files.walker()
    path = files.long_csv(tmp_path / "p.csv", frames)
    path.write_text(path.read_text().replace(",", ";").replace(".", ","))
    check_walker(mb.read_keypoints(path, rate=30), frames)


def as_people(frames: np.ndarray, others=lambda _: []) -> list[list[Detection]]:
    return [
        [Detection(each[:, :2], each[:, 2], None) for each in (frame, *others(row))]
        for row, frame in enumerate(frames)
    ]


def test_stray_detections_are_dropped_while_somebody_is_followed():
    """A detection somewhere else in each frame: arrays are of who stays only."""
    frames = files.walker(3000)

    def stray(row):
        return [files.walker(1)[0] + [1000.0 + 900 * (row % 40), 700.0 * (row % 7), 0]]

    result = followed(as_people(frames, stray), 25, rate=30, what=Path("p"))
    assert result.points.shape == (3000, 1, 25, 2)
    np.testing.assert_allclose(result.points[:, 0], frames[..., :2])
    assert result.left_out == 3000


def test_a_stranger_does_not_go_on_as_somebody_who_left():
    """At the same place: a second later among others, or minutes later in an empty picture."""
    there, other = files.walker(2000)[:1].repeat(2000, axis=0), files.walker(2000, u=400.0)
    for gap, somebody, people in ((20, True, 2), (40, True, 3), (40, False, 1), (1500, False, 2)):
        frames = as_people(there, lambda row: [other[row]] if somebody else [])  # noqa: B023
        for row in range(100, 100 + gap):
            del frames[row][0]
        result = followed(frames, 25, rate=30, what=Path("p"))
        assert len(result.names) == people, (gap, somebody)


def test_one_false_detection_does_not_end_a_track():
    frames = files.walker(100)
    frames[50, :, 0] += 1000
    result = followed(as_people(frames), 25, rate=30, what=Path("p"))
    assert result.names == ("1",)
    assert result.left_out == 1
    assert np.isnan(result.points[50]).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.isel(space=[0, 0, 1]), "its coordinate 'space' contains a name twice"),
        (
            lambda d: d.isel(keypoint=[0, *range(25)]),
            "its coordinate 'keypoint' contains a name twice",
        ),
        (
            lambda d: d.assign(position=d["position"].expand_dims(pixel=2)),
            "'position' must have the dimension",
        ),
        (
            lambda d: d.assign(confidence=d["position"]),
            "'confidence' must have the dimensions (time, keypoint",
        ),
        (
            lambda d: d.assign(position=d["position"].expand_dims(bout=2)),
            "its values are over bout",
        ),
        (lambda d: d.assign_coords(keypoints=("keypoints", ["a"])), None),
    ],
)
def test_other_datasets_are_refused_in_one_line(change, message, tmp_path):
    data = xr.load_dataset(files.movement(tmp_path / "m.nc", {"a": files.walker()}))
    change(data).to_netcdf(tmp_path / "p.nc", engine="h5netcdf")
    if message is None:  # another variable, which is not read
        check_walker(mb.read_keypoints(tmp_path / "p.nc"), files.walker())
        return
    with pytest.raises(BadInputError, match=re.escape(message)) as error:
        mb.read_keypoints(tmp_path / "p.nc")
    assert "\n" not in str(error.value)


def test_a_pose_without_times(tmp_path):
    pose = own().drop_vars("time")
    with pytest.raises(BadInputError, match="has no times; use a pose with its times in seconds"):
        mb.read_keypoints(stored(pose, tmp_path))


def own(**attrs) -> xr.Dataset:
    """A pose as estimate_pose makes it, of somebody who stands still."""
    return limb_pose(np.arange(30) / 30).assign_attrs(
        source_software="MediaPipe", pose_source="mediapipe", **attrs
    )


def stored(pose: xr.Dataset, folder: Path) -> Path:
    path = folder / "pose.nc"
    pose.to_netcdf(path, engine="h5netcdf")
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pose_source": "mediapip"}, "its attribute pose_source: no source of keypoints"),
        ({"pose_source": 3}, "its attribute pose_source must be a key of the table"),
        ({"focal_length_35mm": "x"}, r"focal_length_35mm must be a number above 0, .*got 'x'"),
        ({"focal_length_35mm": -28.0}, "focal_length_35mm must be a number above 0"),
        ({"fps": np.nan}, "its attribute fps must be a number above 0"),
        ({"image_width": 640.5}, "its attribute image_width must be a number of pixels"),
        ({"video_sha256": "no"}, "its attribute video_sha256 must be a SHA-256"),
        ({"history": "not json"}, r"its attribute history must be the JSON .*got 'not json'"),
        ({"history": '[{"warnings": []}]'}, "its attribute history must be the JSON"),
        ({"history": '[{"operation": "a", "warnings": [3]}]'}, "its attribute history must be"),
        ({"survey": '{"other_heads": [["a"]]}'}, "its attribute survey must be the JSON"),
        ({"source_software": "two\nlines"}, "its attribute source_software must be a name"),
    ],
)
def test_what_a_pose_says_of_itself_must_be_possible(change, message, tmp_path):
    with pytest.raises(BadInputError, match=message) as error:
        mb.read_keypoints(stored(own().assign_attrs(change), tmp_path))
    assert "\n" not in str(error.value)


def test_confidence_of_an_own_pose_is_from_0_to_1(tmp_path):
    pose = own()
    with pytest.raises(BadInputError, match=r"confidence must be from 0 to 1 \(got 95\)"):
        mb.read_keypoints(stored(pose.assign(confidence=0 * pose["confidence"] + 95), tmp_path))
    above = mb.read_keypoints(
        stored(pose.assign(confidence=0 * pose["confidence"] + 1.2), tmp_path)
    )
    assert float(above["confidence"].max()) == 1
    assert [each["code"] for each in warnings_of(above)] == ["confidence_above_one"]


def test_only_a_pose_of_the_packages_model_counts_as_measured(tmp_path):
    pinned = model_sha256("full")
    for pose, model, source in (
        (own(), None, "mediapipe"),
        (own(model_sha256=pinned), None, "mediapipe"),
        (own(model_sha256=pinned).assign_attrs(source_software="Renamed"), None, "mediapipe"),
        (own().assign_attrs(source_software="RTMPose"), None, "other"),
        (own(model_sha256="0" * 64).assign_attrs(source_software="RTMPose"), None, "other"),
        (own(model_sha256=pinned), "RTMPose", "other"),
        (own(model_sha256=pinned).drop_vars("position"), None, "other"),
        (own().assign_attrs(pose_source="other"), None, "other"),
    ):
        read = mb.read_keypoints(stored(pose, tmp_path), model=model)
        assert read.attrs["pose_source"] == source
        assert ("position" in read) == (source == "mediapipe")
        codes = [each["code"] for each in warnings_of(read)]
        assert codes == (["errors_of_another_model"] if source == "other" else [])


def test_of_an_own_pose_the_keypoints_are_kept_alone(tmp_path):
    pose = own(focal_length_35mm=28.0, legs_exchanged=9, method="body_model").assign(
        knee_flexion=("time", np.zeros(30))
    )
    read = mb.read_keypoints(stored(pose.assign_coords(note="x"), tmp_path))
    assert set(read.variables) <= {
        *("image_position", "confidence", "position", "image_depth", "presence"),
        *("time", "pixel", "space", "keypoint", "individual"),
    }
    assert read.attrs["focal_length_35mm"] == 28
    assert "legs_exchanged" not in read.attrs
    assert read.attrs["method"] == "mediapipe_world"
    np.testing.assert_array_equal(read["position"], pose["position"])
    turned = pose.assign(presence=("time", np.ones(30)))
    with pytest.raises(
        BadInputError, match=r"'presence' must have the dimensions \(time, keypoint, individual"
    ):
        mb.read_keypoints(stored(turned, tmp_path))
