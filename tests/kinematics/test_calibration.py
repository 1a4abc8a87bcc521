"""Cameras that are known are written as each program writes them, and read again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import xarray as xr

from mobility.errors import BadInputError, NotFoundError
from mobility.kinematics.calibration import (
    Calibration,
    Camera,
    known_cameras,
    read_calibration,
    rotation_matrix,
)

SIZE = (1920, 1080)
MATRIX = np.array([[1400.0, 0, 950.0], [0, 1410.0, 530.0], [0, 0, 1]])
BENT = np.array([-0.12, 0.05, 0.001, -0.002, 0.01])
TURN, PLACE = rotation_matrix(np.array([1.4, -0.6, 0.5])), np.array([0.3, 1.1, 3.4])
OTHER_TURN, OTHER_PLACE = rotation_matrix(np.array([1.2, 0.9, -0.8])), np.array([-0.5, 0.9, 3.0])
CAMERAS = ((TURN, PLACE), (OTHER_TURN, OTHER_PLACE))


def toml(vector: bool = True, section: str = "", tail: str = "", **change: str) -> str:
    """Two cameras as Pose2Sim writes them, or, with matrices under [cameras], Caliscope."""
    text = ""
    for number, (turn, place) in enumerate(CAMERAS, start=1):
        rotation = cv2.Rodrigues(turn)[0].ravel() if vector else turn
        entries = {
            "name": f'"cam_0{number}"',
            "size": str([float(each) for each in SIZE]),
            "matrix": str(MATRIX.tolist()),
            "distortions": str(BENT[:4].tolist()),
            "rotation": str(rotation.tolist()),
            "translation": str(place.tolist()),
            "fisheye": "false",
            **change,
        }
        text += f"[{section}cam_{number}]\n"
        text += "".join(f"{name} = {value}\n" for name, value in entries.items() if value)
    return text + f"[metadata]\nadjusted = false\n{tail}"


def qualisys(serial: str = "cam_0{}", turned: int = 0) -> str:
    """The same as Qualisys writes them: millimetres, 1/64 pixel, y up and z back in the camera."""
    text = "<?xml version='1.0'?>\n<calibration><cameras>\n"
    for number, (turn, place) in enumerate(CAMERAS, start=1):
        world = np.diag([1, -1, -1]) @ turn
        at = -1000 * turn.T @ place
        rows = " ".join(f'r{i + 1}{j + 1}="{world[i, j]!r}"' for i in range(3) for j in range(3))
        text += (
            f'<camera active="1" avg-residual="0.5" serial="{serial.format(number)}" '
            f'viewrotation="{turned}"><fov_video bottom="1079" left="0" right="1919" top="0"/>'
            f'<transform {rows} x="{at[0]}" y="{at[1]}" z="{at[2]}"/>'
            f'<intrinsic centerPointU="{950 * 64}" centerPointV="{530 * 64}" '
            f'focalLengthU="{1400 * 64}" focalLengthV="{1410 * 64}" radialDistortion1="-0.12" '
            'radialDistortion2="0.05" radialDistortion3="0" tangentalDistortion1="0.001" '
            'tangentalDistortion2="-0.002"/></camera>\n'
        )
    return text.replace("np.float64(", "").replace(")", "") + "</cameras></calibration>"


def written(tmp_path: Path, name: str, text: str) -> Path:
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    return file


def opencv(tmp_path: Path, entries: dict[str, Any], name: str = "camera.yml") -> Path:
    """As OpenCV itself writes it."""
    file = tmp_path / name
    storage = cv2.FileStorage(str(file), cv2.FILE_STORAGE_WRITE)
    for key, value in entries.items():
        storage.write(key, value)
    storage.release()
    return file


def one_camera(**change: Any) -> dict[str, Any]:
    return {
        "image_width": SIZE[0],
        "image_height": SIZE[1],
        "camera_matrix": MATRIX,
        "distortion_coefficients": BENT.reshape(5, 1),
        "avg_reprojection_error": 0.37,
        **change,
    }


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Calib.toml", toml()),
        ("camera_array.toml", toml(vector=False, section="cameras.")),
        ("Calib.qca.txt", qualisys()),
    ],
)
def test_all_of_two_cameras_is_read(tmp_path: Path, name: str, text: str) -> None:
    calibration = read_calibration(written(tmp_path, name, text))
    assert [camera.name for camera in calibration.cameras] == ["cam_01", "cam_02"]
    assert (calibration.source, len(calibration.sha256)) == (name, 64)
    for camera, (turn, place) in zip(calibration.cameras, CAMERAS, strict=True):
        assert camera.size == SIZE
        np.testing.assert_allclose(camera.matrix, MATRIX)
        np.testing.assert_allclose(camera.distortion[:4], BENT[:4])
        np.testing.assert_allclose(camera.rotation, turn, atol=1e-9)
        np.testing.assert_allclose(camera.translation, place, atol=1e-9)
    # Of these only Qualisys says which way is up.
    assert (calibration.up is None) is (not name.endswith(".txt"))
    if calibration.up is not None:
        np.testing.assert_array_equal(calibration.up, [0, 0, 1])
        # 0.5 mm at the distance of the origin.
        away = np.linalg.norm(PLACE)
        assert calibration.cameras[0].residual_px == pytest.approx(0.0005 / away * 1400)


def test_cameras_of_opencv(tmp_path: Path) -> None:
    (camera,) = read_calibration(opencv(tmp_path, one_camera())).cameras
    assert (camera.size, camera.residual_px, camera.rotation) == (SIZE, 0.37, None)
    np.testing.assert_array_equal(camera.matrix, MATRIX)
    np.testing.assert_array_equal(camera.distortion, BENT)
    assert camera.focal == pytest.approx(1405, abs=1)
    turn, place = OTHER_TURN @ TURN.T, np.array([[-1.2], [0.1], [0.4]])
    entries = {"M1": MATRIX, "D1": BENT, "M2": MATRIX + 0, "D2": BENT, "R": turn, "T": place}
    size = {"image_width": SIZE[0], "image_height": SIZE[1], "vertical_axis": "-y"}
    calibration = read_calibration(opencv(tmp_path, {**entries, **size}, "stereo.yaml"))
    first, second = calibration.cameras
    np.testing.assert_array_equal(first.rotation, np.eye(3))
    np.testing.assert_allclose(second.rotation, turn)
    np.testing.assert_allclose(second.translation, place.ravel())
    np.testing.assert_array_equal(calibration.up, [0, -1, 0])
    calibration = read_calibration(written(tmp_path, "c.toml", toml(tail='vertical_axis = "z"\n')))
    np.testing.assert_array_equal(calibration.up, [0, 0, 1])


BAD = {
    "toml": [
        (toml()[:-200] + "= [", "damaged TOML"),
        ("", "no camera"),
        (toml(size=""), "has no size"),
        (toml(size="[1920]"), "wrong number of values (1)"),
        (toml(size="[1920.5, 1080]"), "size of 1920.5"),
        (toml(matrix="[[1400, 0, 950], [0, nan, 530], [0, 0, 1]]"), "entries that are not numbers"),
        (toml(matrix="[[1400, 0, 950], [0, -1400, 530], [0, 0, 1]]"), "does not fit a camera"),
        (toml(matrix="[[1400, 0, 0.5], [0, 1400, 0.5], [1, 0, 0]]"), "does not fit a camera"),
        (toml(distortions="[0.1, 0.2, 0.3]"), "wrong number of values (3)"),
        (toml(vector=False, rotation="[[1,0,0],[0,1,0],[0,0,-1]]"), "not a rotation matrix"),
        (toml(name='"same"'), "two cameras with the same name"),
        (toml(fisheye="true"), "fisheye"),
        (toml(tail='vertical_axis = "up"\n'), "vertical_axis is 'up'"),
    ],
    "qca.txt": [
        (qualisys()[:-30], "damaged XML"),
        (qualisys(turned=90), "rotated view"),
        (qualisys().replace("<transform", "<transformed"), "has no <transform>"),
        (qualisys().replace('r23="', 'r23="x'), "r23 of cam_01 is not a number"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><calibration/>', "DOCTYPE"),
    ],
    "yml": [
        ("%YAML:1.0\n---\nM1: [", "damaged YAML"),
        ("%YAML:1.0\n---\nimage_width: 4\n", "has no image_height"),
        ("%YAML:1.0\n---\nimage_size: [64, 48]\n", "has no camera_matrix or cameraMatrix"),
        ("image_size: [64, 48]\ncamera_matrix: {rows: 3, data: [1, 2]}\n", "is not a matrix"),
        ("a: 1\na: 2\n", "is given twice"),
    ],
    "txt": [("cameras", "is not a calibration of OpenCV (YAML)")],
}


@pytest.mark.parametrize("ending", BAD)
def test_a_bad_file_is_one_line(tmp_path: Path, ending: str) -> None:
    for text, message in BAD[ending]:
        with pytest.raises(BadInputError) as caught:
            read_calibration(written(tmp_path, f"c.{ending}", text))
        assert message in str(caught.value)
        assert str(caught.value).startswith(f"calibration c.{ending}: ")
        assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="there is no such file"):
        read_calibration(tmp_path / "absent.toml")
    with pytest.raises(BadInputError, match="cannot be read"):
        read_calibration(tmp_path)
    (tmp_path / "c.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInputError, match="not a text file"):
        read_calibration(tmp_path / "c.toml")


def named(*names: str) -> Calibration:
    lens = (SIZE, MATRIX, BENT)
    return Calibration(tuple(Camera(name, *lens) for name in names), "c.toml", "0")


def test_whose_camera_it_is() -> None:
    for cameras, videos, expected, how in (
        (("cam1", "cam10"), ("squat_cam10.mp4", "squat_CAM1.mp4"), ["cam10", "cam1"], "by name"),
        (("int_left_img", "int_right_img"), ("right.mov",), ["int_right_img"], "by name"),
        (("2", "1"), ("trial2024 1.mp4", "trial 2.mp4"), ["1", "2"], "by name"),
        (("a", "b"), ("front.mp4", "side.mp4"), ["a", "b"], "by order"),
    ):
        matched = named(*cameras).of(videos)
        assert [camera.name for camera in matched.cameras] == expected
        assert matched.matched == how
    for cameras, videos, message in (
        (("a", "b", "c"), ("front.mp4", "side.mp4"), "3 cameras .a, b, c. for 2 videos"),
        (("a", "b"), ("x.mp4",), "2 cameras .a, b. for 1 video,"),
        (("a", "b"), ("trial_a.mp4", "side.mp4"), "the video side.mp4 names none"),
        (("a", "b"), ("trial_a.mp4", "again_a.mp4"), "again_a.mp4 names a, as another video does"),
        (("a", "b"), ("a_b.mp4", "b.mp4"), "names both"),
    ):
        with pytest.raises(BadInputError, match=message):
            named(*cameras).of(videos)


def test_pictures_of_another_size() -> None:
    camera = named("a").cameras[0]
    assert camera.for_size(SIZE) == (camera, None)
    half, note = camera.for_size((960, 540))
    assert "scaled by 0.5" in str(note)
    # The middle of a pixel of the large picture, in the small one.
    np.testing.assert_allclose(half.matrix @ [0, 0, 1], [(950 + 0.5) / 2 - 0.5, 264.75, 1])
    assert half.matrix[0, 0] == pytest.approx(700)
    cut, note = camera.for_size((1920, 1088))
    assert "assumed to be cropped" in str(note)
    np.testing.assert_array_equal(cut.matrix, MATRIX)
    with pytest.raises(BadInputError, match="turned by 90 degrees"):
        camera.for_size((1080, 1920))
    with pytest.raises(BadInputError, match="of another shape"):
        camera.for_size((1280, 960))


def pose(points: np.ndarray, **attrs: Any) -> xr.Dataset:
    return xr.Dataset(
        {"image_position": (("time", "pixel", "keypoint"), points)},
        coords={"pixel": ["u", "v"]},
        attrs={"image_width": SIZE[0], "image_height": SIZE[1], **attrs},
    )


def test_points_are_freed_from_distortion(tmp_path: Path) -> None:
    camera = read_calibration(opencv(tmp_path, one_camera())).cameras[0]
    rng = np.random.default_rng(0)
    points = rng.uniform([-1.2, -0.65, 2], [1.2, 0.65, 4], (200, 3))
    points[:, :2] *= points[:, 2:] / 2
    seen, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), MATRIX, BENT)
    straight = camera.undistorted(seen.reshape(-1, 2))
    expected = points[:, :2] / points[:, 2:] * camera.focal + [960, 540]
    np.testing.assert_allclose(straight, expected, atol=0.05)
    assert np.abs(straight - seen.reshape(-1, 2) - [10, 10]).max() > 5
    # Gaps stay, and what lies far outside is moved no more than the edge is.
    far = camera.undistorted(np.array([[np.nan, 1.0], [9000.0, 500.0]]))
    assert np.isnan(far[0]).all()
    assert abs(far[1, 0] - 9000) < 400


def test_what_a_fit_is_told(tmp_path: Path) -> None:
    calibration = written(tmp_path, "Calib.qca.txt", qualisys())
    points = np.full((3, 2, 4), 400.0)
    poses = [pose(points, source_file=f"squat_cam_0{number}.mp4") for number in (2, 1)]
    cameras = known_cameras(calibration, poses)
    assert cameras.history_entry["cameras"] == ["cam_02", "cam_01"]
    assert cameras.history_entry["matched"] == "by name"
    assert cameras.poses[0]["image_position"].dims == ("time", "pixel", "keypoint")
    # A point of the world as both see it, in axes with y up and z back.
    world = np.array([0.2, -0.1, 0.9])
    flip = np.array([1, -1, -1])
    second, first = ((turn @ world + place) * flip for turn, place in CAMERAS)
    ((turn, place),) = cameras.axes
    np.testing.assert_allclose(turn @ first + place, second, atol=1e-9)
    up = (OTHER_TURN @ [0, 0, 1]) * flip
    assert cameras.tilt == pytest.approx((up[2] / up[1], up[0] / up[1]))
    with pytest.raises(BadInputError, match="for 1 video"):
        known_cameras(calibration, [pose(points, source_file="x.mp4")])
    with pytest.raises(BadInputError, match="2 cameras were matched to 1 video"):
        known_cameras(read_calibration(calibration).of(["a", "b"]), poses[:1])


def test_two_cameras_need_their_places_in_metres(tmp_path: Path) -> None:
    poses = [pose(np.full((3, 2, 4), 400.0), source_file=f"cam_0{n}.mp4") for n in (1, 2)]
    with pytest.raises(
        BadInputError, match=r"not its position \(no rotation and translation\); two videos"
    ):
        known_cameras(written(tmp_path, "lens.toml", toml(translation="")), poses)
    text = toml().replace(str(PLACE.tolist()), str((1000 * PLACE).tolist()))
    with pytest.raises(BadInputError, match="must be in metres"):
        known_cameras(written(tmp_path, "mm.toml", text), poses)
    # The world stands on its head in the picture.
    upside = written(tmp_path, "up.toml", toml(tail='vertical_axis = "-z"\n'))
    with pytest.raises(BadInputError, match="the person is not upright"):
        known_cameras(upside, poses)
