"""Text that somebody gave: strict, and refused in one line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from written_keypoints import openpose, walker

from mobility.base.parsing import (
    DEEPEST,
    parse_json,
    parse_number,
    parse_toml,
    parse_yaml,
    read_csv,
    read_file,
    require_regular,
)
from mobility.capture.video import probe
from mobility.errors import BadInputError, MobilityError
from mobility.exchange.formats import digest
from mobility.exchange.keypoint_files import read_keypoints
from mobility.kinematics.calibration import read_calibration
from mobility.lab.lab_files import read_lab
from mobility.lab.lab_mappings import given_mapping
from mobility.sessions.files import read_json
from mobility.virtual_lab.case import read_case

BRACKETS = "[" * 20_000 + "]" * 20_000


def test_what_is_nested_too_deeply_is_refused():
    for parse, text in (
        (parse_json, BRACKETS),
        (parse_toml, f"a = {BRACKETS}"),
        (parse_toml, f"[{'.'.join('a' * 5000)}]"),
        (parse_yaml, "[" * 500 + "]" * 500),
        (parse_yaml, "&a [*a]"),
    ):
        with pytest.raises(ValueError, match="nested too deeply, more than 32 levels"):
            parse(text)
    text = "[" * DEEPEST + "]" * DEEPEST
    for parse in (parse_json, parse_yaml):
        assert parse(text) is not None
        with pytest.raises(ValueError, match="nested too deeply"):
            parse(f"[[{text}]]")
    assert parse_yaml("a: &x [1, 2]\nb: *x") == {"a": [1, 2], "b": [1, 2]}


def test_yaml_whose_value_does_not_fit_is_refused_in_one_line():
    for text in ("a: 2020-13-45", "a: !!int ''", "a: !!bool maybe", "!!map [a]"):
        with pytest.raises(ValueError, match=r"^[^\n]+$"):
            parse_yaml(text)


def test_a_number_is_decimal_and_in_the_digits_0_to_9():
    for text, number in ((" 1,72", 1.72), ("-.5", -0.5), ("12.", 12.0), ("1e2", 100.0)):
        assert parse_number(text) == number
    arabic, full_width = "\u0661\u0662", "\uff11\uff12"
    for text in ("1_000", "nan", "inf", "0x10", "1 0", "1,0,0", ".", "", arabic, full_width):
        with pytest.raises(ValueError, match="must be a number"):
            parse_number(text)


def test_a_deep_file_of_any_kind_is_one_line_that_names_it(tmp_path):
    for read, name, text in (
        (read_calibration, "deep.toml", f"a = {BRACKETS}"),
        (read_calibration, "deep.yml", f"%YAML:1.0\n---\na: {BRACKETS}"),
        (read_json, "deep.json", BRACKETS),
        (given_mapping, "deep.yaml", BRACKETS),
        (read_case, "deep.yaml", BRACKETS),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(BadInputError, match=rf"{name}: [^\n]+$") as raised:
            read(tmp_path / name)
        assert "\n" not in str(raised.value)


def test_only_a_file_is_read_and_not_more_than_it_may_have(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path / "pipe", Path("/dev/zero")):
        for read in (require_regular, read_file):
            with pytest.raises(OSError, match="neither a file nor a folder; save it as a file"):
                read(place)
    (tmp_path / "a").write_bytes(b"12345678")
    assert read_file(tmp_path / "a", most_bytes=8) == b"12345678"
    with pytest.raises(OSError, match="larger than 0 MB, the largest size that is read"):
        read_file(tmp_path / "a", most_bytes=7)


def test_every_reader_of_a_path_asks_whether_it_is_a_file(tmp_path):
    """A device that ends at once stands for pipes and others, which never do."""
    folder = openpose(tmp_path / "json", walker(3))
    (folder / "walk_000000000003_keypoints.json").symlink_to(os.devnull)
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "walk_0.json").symlink_to(os.devnull)
    for name in ("a.csv", "a.yaml", "a.toml", "a.trc", "a.mp4"):
        (tmp_path / name).symlink_to(os.devnull)
    for read, name in (
        (lambda path: read_keypoints(path, rate=30), "a.csv"),
        (lambda path: read_keypoints(path, rate=30), "json"),
        (lambda path: read_keypoints(path, rate=30), "one"),
        (lambda path: read_csv(path, what="table"), "a.csv"),
        (read_calibration, "a.toml"),
        (read_json, "a.csv"),
        (read_lab, "a.trc"),
        (given_mapping, "a.yaml"),
        (read_case, "a.yaml"),
        (probe, "a.mp4"),
    ):
        with pytest.raises(MobilityError, match="neither a file nor a folder"):
            read(tmp_path / name)


def test_a_hidden_pipe_beside_frames_is_not_read(tmp_path):
    folder = openpose(tmp_path / "json", walker(3))
    before = digest(folder)
    (folder / ".walk.json").symlink_to(os.devnull)
    assert digest(folder) == before
