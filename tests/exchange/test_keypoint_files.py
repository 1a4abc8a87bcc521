"""Keypoints of other models: the same from each format, and bad files in one line."""

from __future__ import annotations

import json
import re

import h5py
import keypoint_files as files
import numpy as np
import pytest
import xarray as xr
from clips import make_clip

import mobility as mb
from mobility.errors import BadInputError, NotFoundError
from mobility.exchange.formats import digest
from mobility.exchange.keypoint_files import keypoints_of_video
from mobility.keypoints.names import LANDMARKS, landmark_of, points_of
from mobility.provenance import history, last_of, warnings_of

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
    with pytest.raises(BadInputError, match=r"has 2 people; say who is meant .*65,60 and 115,60"):
        mb.read_keypoints(folder, rate=30)
    check_walker(mb.read_keypoints(folder, rate=30, subject=(65, 60)), frames)
    check_walker(mb.read_keypoints(folder, rate=30, subject=(115, 60)), other)
    with pytest.raises(BadInputError, match=r"nobody is at 5,5 when first seen"):
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
    with pytest.raises(BadInputError, match="no landmark is known by the name of pelvis r, knee r"):
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
    with pytest.raises(BadInputError, match=r"times are not those of frames of the video walk.mp4"):
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


FAULTS = {
    half_of_the_frames: r"p: has 15 frames, and the video walk.mp4 has 30; give the keypoints of",
    twice_the_size: r"its points lie outside the picture of 160 x 120 pixels in \d+% of the frames",
    shares: r"its coordinates are shares of the picture \(up to 0.8",
    another_rate: r"p.nc: has 60 frames a second, and the video walk.mp4 30; give keypoints",
    unknown_set: r"p.walk_0{12}_keypoints.json: has 9 keypoints, of no known set; there is 17 \(",
    two_sets: r"p: has frames with 25 and with 26 keypoints; give files of one model",
    unknown_names: r"p.csv: no landmark is known by the name of p0, .* and 20 more; rename them",
    empty: r"p.csv: is empty; give a file with keypoints",
    empty_frame: r"0004_keypoints.json: is empty; copy it again",
    broken_json: r"0004_keypoints.json: is not valid JSON \(.*line 1 column 14.*\); copy it again",
    words_for_numbers: r"0004_keypoints.json: keypoints must be numbers, x, y and confidence of",
    broken_csv: r"p.csv: line 8, column y: must be a number \(got '12o'\)",
    misspelt_csv: r"column 'confidance' is unknown; did you mean 'confidence'\?",
    wide_csv: r"p.csv: needs the columns frame or time, point, x, y and confidence, with a row for",
    point_twice: r"p.csv: line 3: the point was given for this frame in line 2",
    missing_frames: r"p: 2 frames are missing between 0 and 29, the first is 8; give one for each",
    missing_frames_of_csv: r"p.csv: 5 frames are missing between 0 and 34, the first is 20",
    two_films: r"p: has files of several videos \(run_, walk_\); give each video a folder",
    without_json: r"p: has no JSON files; name OpenPose's folder itself",
    one_frame: r"keypoints.json: is one frame of OpenPose; name its folder",
    other_json: r"p.json: is no JSON of keypoints that is known; give AlphaPose's list",
    nowhere: r"p.csv: no frame has a point, all are missing",
    nobody: r"p: nobody is in any of its 30 frames",
    percent: r"p.csv: confidence must be from 0 to 1 \(got 90\); divide it",
    negative: r"p.csv: confidence must be from 0 to 1 \(got -0.9\)",
    a_picture: r"p.csv: is no file of keypoints that can be read; give OpenPose's folder",
    cut_off_hdf5: r"p.nc: is damaged HDF5 \(.*\); copy it again",
    code_for_labels: r"p.h5: its table df_with_missing is not as .*\(builtins.print is no text\)",
    other_hdf5: r"p.h5: is HDF5 of no known format; load it with movement",
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
    with pytest.raises(BadInputError, match="has frames and no times; give rate"):
        mb.read_keypoints(folder)
    file = files.movement(tmp_path / "m.nc", {"a": files.walker()})
    with pytest.raises(BadInputError, match="has 30 frames a second, and rate 60"):
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
    with pytest.raises(BadInputError, match="of pictures of 320 x 240 pixels, and the video has"):
        keypoints_of_video(tmp_path / "pose.nc", video)
