"""Reading of data sets: those of other programs, and damaged ones."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from pathlib import Path
from random import Random

import numpy as np
import pytest
from demo_sessions import copy_of

import mobility as mb
from mobility.errors import BadInputError, MobilityError

MOTION = "sub-01/ses-walk/motion/sub-01_ses-walk_task-walk_tracksys-imu"
CHANNELS = [
    "name\tcomponent\ttype\ttracked_point\tunits",
    *(f"foot_{axis}\t{axis}\tPOS\tfoot\tmm" for axis in "xyz"),
    "right_knee\tn/a\tJNTANG\tknee\trad",
    "acc\tx\tACCEL\tfoot\tm/s^2",
]


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A data set as another program writes it: millimetres, radians, no times, own events."""
    folder = tmp_path / "foreign"
    file = folder / MOTION
    file.parent.mkdir(parents=True)
    (folder / "dataset_description.json").write_text('{"Name": "a", "BIDSVersion": "1.9.0"}')
    rows = "1000\t0\t0\t1.5707963\t9.81\n2000\tn/a\t0\t0\t0\n3000\t10\t0\t0\t-1\n"
    for ending, text in {
        "motion.tsv": rows,
        "motion.json": json.dumps({"TaskName": "walk", "SamplingFrequency": 50}),
        "channels.tsv": "\n".join(CHANNELS) + "\n",
        "events.tsv": "onset\tduration\ttrial_type\n0.1\t0\theel strike\n",
    }.items():
        Path(f"{file}_{ending}").write_text(text)
    return folder


def test_a_data_set_of_another_program(foreign: Path) -> None:
    ((name, back),) = mb.read_bids(foreign).items()
    assert name == "sub-01_ses-walk_task-walk_tracksys-imu"
    np.testing.assert_allclose(back["time"], [0, 0.02, 0.04])
    foot = back["position"].sel(keypoint="foot")
    np.testing.assert_allclose(foot.sel(space="x"), [1, 2, 3])
    np.testing.assert_allclose(foot.sel(space="y"), [0, np.nan, 0.01])
    np.testing.assert_allclose(back["knee"].sel(side="right"), [90, 0, 0], atol=1e-5)
    assert back["knee"].sel(side="left").isnull().all()
    assert back["acc"].attrs["units"] == "m/s^2"
    assert (back.attrs["participant"], back.attrs["session"]) == ("01", "walk")
    assert "rep" not in back.dims


@pytest.mark.parametrize(
    ("ending", "text", "message"),
    [
        ("motion.tsv", "1\t2\t3\t4\t5\n1\t2\n1\t2\t3\t4\t5\t6\n", "cannot be read"),
        ("motion.tsv", "1\t2\t3\t4\tmuch\n", "cannot be read"),
        ("motion.tsv", "1\t2\t3\n", "has 3 columns, but its channels.tsv lists 5"),
        ("motion.tsv", "", "cannot be read"),
        ("motion.tsv", "1\t2\t3\t4\t5\n" * 3, "imu_motion.tsv: its times do not increase"),
        ("motion.json", "[]", "is not a JSON object"),
        ("motion.json", "{", "is not a JSON document"),
        ("motion.json", '{"SamplingFrequency": "fast"}', "no possible SamplingFrequency"),
        ("motion.json", '{"SamplingFrequency": 1e400}', "no possible SamplingFrequency"),
        ("motion.json", '{"SamplingFrequency": 0}', "no possible SamplingFrequency"),
        ("channels.tsv", "name\ttype\na\tPOS\n", "lacks the column component"),
        ("channels.tsv", "\n".join([CHANNELS[0], *[CHANNELS[1]] * 5]), "cannot be called 'foot_x'"),
        (
            "channels.tsv",
            "\n".join(CHANNELS).replace("mm", "furlong"),
            "Use x, y, z in m",
        ),
        ("channels.tsv", "\n".join(CHANNELS).replace("acc", "time"), "cannot be called 'time'"),
    ],
)
def test_a_damaged_file(foreign: Path, ending: str, text: str, message: str) -> None:
    Path(f"{foreign / MOTION}_{ending}").write_text(text)
    if "times" in message:
        channels = Path(f"{foreign / MOTION}_channels.tsv")
        channels.write_text("\n".join(CHANNELS).replace("x\tACCEL", "n/a\tLATENCY"))
    with pytest.raises(BadInputError, match=message) as raised:
        mb.read_bids(foreign)
    assert "\n" not in str(raised.value)


def test_a_missing_file(foreign: Path) -> None:
    Path(f"{foreign / MOTION}_channels.tsv").unlink()
    with pytest.raises(MobilityError, match="no such file"):
        mb.read_bids(foreign)


def test_events_that_somebody_added_stay_out(store, demo: Path, tmp_path: Path) -> None:
    copy_of(demo, store, "s1", user_id="ann")
    folder = store.to_bids(["ann"], tmp_path / "bids")
    (before,) = mb.read_bids(folder).values()
    (events,) = folder.rglob("*_events.tsv")
    text = events.read_text()
    width = text.splitlines()[0].count("\t") - 3
    events.write_text(text + "\t".join(["2.0", "0", "pain", "n/a", *["n/a"] * width]) + "\n")
    (after,) = mb.read_bids(folder).values()
    assert after.equals(before)
    events.write_text(text + text.splitlines()[-1] + "\n")
    with pytest.raises(BadInputError, match="lists an event of a repetition twice"):
        mb.read_bids(folder)


def test_damage_anywhere_gives_no_other_error(store, demo: Path, tmp_path: Path) -> None:
    copy_of(demo.parent / "joint-angle-mobility", store, "s1", user_id="ann")
    folder = store.to_bids(["ann"], tmp_path / "bids")
    random = Random(3)
    for number in range(60):
        copy = shutil.copytree(folder, tmp_path / f"copy-{number}")
        file = random.choice([path for path in sorted(copy.rglob("*_*")) if path.is_file()])
        content = file.read_bytes()
        at = random.randrange(len(content))
        other = random.choice([b"", b"\t", b"\n", b"\xff", b"n/a", b"x", b"-", b'"', b"\0", b"1"])
        rest = content[at + random.choice([0, 1, 9]) :] if random.random() < 0.7 else b""
        file.write_bytes(content[:at] + other + rest)
        with suppress(MobilityError):  # any other error fails the test
            mb.read_bids(copy)
        shutil.rmtree(copy)
