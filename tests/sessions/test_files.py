"""Temporary folders do not outlive their process."""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
import signal
import sys
import tempfile

import numpy as np
import pytest
import xarray as xr
from other_processes import ended, in_child

from mobility.base.writing import LogFile, unlinked_until_complete
from mobility.errors import BadInputError, NotFoundError, StorageError
from mobility.sessions import files
from mobility.sessions.files import scratch, scratch_folder, sweep_scratch
from mobility.sessions.folder import delete_document
from mobility.store import Store

# These processes have no threads that a copy could miss.
pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")


def dataset(reps: int) -> xr.Dataset:
    return xr.Dataset(
        {
            "start": ("rep", np.arange(reps) + 0.5, {"units": "second"}),
            "accepted": ("rep", np.arange(reps) % 2 == 0),
            "reason": ("rep", np.array(["", "too short", "é"][:reps], dtype=str)),
            "standing": ("time", np.array([True, False])),
            "count": ((), reps),
            "phase_value": (("time", "side"), [[1.0, np.nan], [-0.0, 3.0]], {"zero": ""}),
        },
        coords={
            "rep": np.arange(1, reps + 1),
            # Without care these seconds would be read back as time differences.
            "time": ("time", [0.0, 0.1], {"units": "seconds"}),
            "side": ["left", "right"],
        },
        # Longer than the 64 kB that HDF5 holds in an attribute's header.
        attrs={"history": "x" * 100_000, "fps": 30.0, "image_width": 640},
    )


@pytest.mark.parametrize("reps", [0, 1, 3])
def test_a_dataset_comes_back_identical_and_is_a_file_that_xarray_reads_too(tmp_path, reps):
    written = dataset(reps).assign(whole=("rep", np.arange(reps) > 0))
    files.write_dataset(tmp_path / "a.nc", written)
    # HDF5 takes 10 seconds to read the metrics of a session without a repetition.
    assert (tmp_path / "a.nc").read_bytes()[:3] == b"CDF"
    read = files.read_dataset(tmp_path / "a.nc")
    xr.testing.assert_identical(read, written)
    for name, variable in written.variables.items():
        assert read[name].dtype.kind == variable.dtype.kind, name
    with xr.open_dataset(tmp_path / "a.nc", decode_times=False, decode_timedelta=False) as file:
        xr.testing.assert_identical(file.load(), written)
    # Equal datasets give equal bytes.
    files.write_dataset(tmp_path / "b.nc", read[[*read.coords, *read.data_vars]])
    assert (tmp_path / "a.nc").read_bytes() == (tmp_path / "b.nc").read_bytes()
    # The file is closed: it can go, and what was read stays.
    (tmp_path / "a.nc").unlink()
    assert float(read["phase_value"][0, 0]) == 1.0


@pytest.mark.parametrize("length", [2, 2**31])
@pytest.mark.parametrize("kind", ["f4", "f8", "i1", "i4"])
def test_storing_changes_no_bit_of_a_number(tmp_path, kind, length):
    """So the code that stores is in no key of a result: `provenance._BEYOND`."""
    values = np.frombuffer(np.random.default_rng(5).bytes(1024), dtype=kind)  # any bits, NaN too
    written = xr.Dataset(
        {"angle": ("time", values, {"units": "degree", "limit": 0.1})}, attrs={"length": length}
    )
    files.write_dataset(tmp_path / "a.nc", written)  # as NetCDF-3 and NetCDF-4
    is_netcdf3 = (tmp_path / "a.nc").read_bytes()[:3] == b"CDF"
    assert is_netcdf3 == (length == 2)
    read = files.read_dataset(tmp_path / "a.nc")
    assert read["angle"].dtype == kind
    assert read["angle"].values.tobytes() == values.tobytes()
    assert read.attrs == written.attrs
    assert read["angle"].attrs == written["angle"].attrs


@pytest.mark.slow
@pytest.mark.parametrize("reps", [0, 3])
def test_netcdf_c_reads_the_files(tmp_path, reps):
    """The library of MATLAB and R: it refuses a file without a record as scipy writes it."""
    ncdump = shutil.which("ncdump")
    assert ncdump, "needs Debian's netcdf-bin, which `make test-all` installs"
    files.write_dataset(tmp_path / "a.nc", dataset(reps))
    done = ended([ncdump, tmp_path / "a.nc"])
    assert (done.returncode, done.stderr) == (0, "")
    assert 'start:units = "second"' in done.stdout
    assert f"count = {reps}" in done.stdout


def test_what_netcdf_3_does_not_know_is_kept_too(tmp_path):
    for empty in ("side", "time"):  # an empty dimension that is not first
        written = dataset(0).isel({empty: slice(0)})
        files.write_dataset(tmp_path / "a.nc", written)
        assert (tmp_path / "a.nc").read_bytes()[:3] == b"\x89HD"
        xr.testing.assert_identical(files.read_dataset(tmp_path / "a.nc"), written)
    large = dataset(2).assign(large=("rep", np.array([2**40, 1])))
    large = large.assign(text=("none", np.array([], dtype=object)))
    large.attrs["names"] = ["left", "right"]
    files.write_dataset(tmp_path / "a.nc", large)
    read = files.read_dataset(tmp_path / "a.nc")
    assert read["large"].values.tolist() == [2**40, 1]
    assert read["text"].dtype.kind == "U"
    assert list(read.attrs["names"]) == ["left", "right"]


def test_what_is_no_dataset_is_said_to_be_none(tmp_path):
    with pytest.raises(NotFoundError, match=r"a\.nc: no such file"):
        files.read_dataset(tmp_path / "a.nc")
    for content in (b"\x89HDF\r\n\x1a\n and then nothing", b"CDF\x02 and then nothing", b"text"):
        (tmp_path / "a.nc").write_bytes(content)
        with pytest.raises(BadInputError, match=r"a\.nc: cannot be read as NetCDF"):
            files.read_dataset(tmp_path / "a.nc")


def test_json_is_utf8_and_never_nan(tmp_path):
    files.write_json(tmp_path / "new.json", {"name": "Zoë"})
    assert "Zoë" in (tmp_path / "new.json").read_text(encoding="utf-8")
    assert files.read_json(tmp_path / "new.json") == {"name": "Zoë"}
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "a.json", {"x": float("nan")})
    assert not (tmp_path / "a.json").exists()
    # Also what Python alone would take.
    for text, reason in (
        ("{", ""),
        ("[" * 100_000, ""),
        ('{"a": 1, "b": 2, "a": 3}', "'a' is given twice"),
        ("[NaN]", "NaN is not valid JSON"),
    ):
        (tmp_path / "b.json").write_text(text)
        with pytest.raises(BadInputError, match=rf"b\.json: is not a JSON document .*{reason}"):
            files.read_json(tmp_path / "b.json")
    with pytest.raises(BadInputError, match="cannot be read"):
        files.read_json(tmp_path)


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    files.write_json(tmp_path / "a.json", 1)

    def fail() -> None:
        with files.atomic(tmp_path / "a.json") as hidden:
            hidden.write_text("half")
            raise RuntimeError("half-way")

    with pytest.raises(RuntimeError, match="half-way"):
        fail()
    assert files.read_json(tmp_path / "a.json") == 1
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]


def test_refusals_of_the_system_name_the_place_and_what_to_do(tmp_path, monkeypatch):
    # Root may write anywhere but in /proc; and a folder that was removed does not come back.
    for place in ("/proc/store", str(tmp_path / "gone")):
        with pytest.raises(StorageError, match=rf"cannot write {place}/a\.json"):
            files.write_json(f"{place}/a.json", 1)
    assert not (tmp_path / "gone").exists()
    for number, advice in (
        (errno.ENOSPC, "free some space"),
        (errno.EROFS, "read-only; choose another one"),
        (errno.EACCES, "not permitted; choose another place"),
    ):

        def refuse(source: object, target: object, number: int = number) -> None:
            raise OSError(number, os.strerror(number), str(target))

        monkeypatch.setattr(os, "replace", refuse)
        with pytest.raises(StorageError, match=advice) as caught:
            files.write_json(tmp_path / "a.json", 1)
        assert str(tmp_path / "a.json") in str(caught.value)
        assert "\n" not in str(caught.value)
        assert list(tmp_path.iterdir()) == []


def test_a_dead_process_leaves_what_sweep_removes(tmp_path):
    files.write_json(tmp_path / "a.json", "old")

    def act() -> None:
        with files.atomic(tmp_path / "a.json") as hidden:
            hidden.write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)

    assert in_child(act) == -signal.SIGKILL
    assert files.read_json(tmp_path / "a.json") == "old"
    assert len(list(tmp_path.iterdir())) == 2
    files.sweep(tmp_path, "b.json")
    assert len(list(tmp_path.iterdir())) == 2
    files.sweep(tmp_path, "a.json")
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]
    (tmp_path / "a.json").unlink()


def test_a_lock_excludes_other_processes_and_dies_with_its_holder(tmp_path):
    ready, ready_end = os.pipe()
    child = os.fork()
    if child == 0:
        with files.lock(tmp_path / "x.lock", what="the thing"):
            os.write(ready_end, b"1")
            signal.pause()
    os.read(ready, 1)
    with (
        pytest.raises(StorageError, match="the thing is in use by another process"),
        files.lock(tmp_path / "x.lock", what="the thing"),
    ):
        pass
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with files.lock(tmp_path / "x.lock", what="the thing"):
        pass
    os.close(ready)
    os.close(ready_end)


@pytest.mark.parametrize(
    "value", ["", ".", "..", "a/b", "../a", "a..b", "/etc", "a\n", "-a", ".a", "a" * 65, "é", None]
)
def test_ids_that_could_leave_the_store_are_refused(value):
    with pytest.raises(BadInputError, match="session_id"):
        files.check_id(value, what="session_id")


def test_names_can_be_shown_and_lead_nowhere():
    name = "Ann's squat, 2. try, 11/03/2026 \\o/"
    joined = "\u0646\u200c\u0645"  # Persian is written with such joiners
    for shown in (name, joined):
        assert files.check_name(f"  {shown} ", what="name") == shown
    for value in ("a/b.mp4", "..\\b.mp4", "/"):
        with pytest.raises(BadInputError, match="path separator"):
            files.check_file_name(value, what="video")
    for value, reason in (
        ("", "non-empty"),
        (" \t", "non-empty"),
        ("a\x00b", r"control character U\+0000"),
        ("a\nb", r"control character U\+000A"),
        ("gpj\u202e.4pm", r"control character U\+202E"),
        ("a\u2066b", r"control character U\+2066"),
        ("a\u200bb", r"control character U\+200B"),
        ("a" * 201, "at most 200"),
    ):
        with pytest.raises(BadInputError, match=reason):
            files.check_name(value, what="session_name")


def test_a_document_is_never_read_half_written(tmp_path):
    path = tmp_path / "a.json"
    files.write_json(path, [0] * 2000)
    child = os.fork()
    if child == 0:
        for number in range(10_000):
            files.write_json(path, [number] * 2000)
        os._exit(0)
    try:
        for _ in range(200):
            assert len(set(json.loads(path.read_text()))) == 1
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_what_is_written_is_for_the_owner_only(tmp_path):
    before = os.umask(0)
    try:
        inside = tmp_path / "new" / "folder"
        files.make_folder(inside)
        files.write_json(inside / "a.json", {})
        files.write_dataset(inside / "a.nc", dataset(1))
        with files.atomic(inside / "b.txt") as hidden:
            hidden.unlink()  # an encoder writes a file of its own
            hidden.write_text("b")
        with unlinked_until_complete(inside / "a.zip") as whole:
            whole.write(b"a")
        with files.lock(inside / "locks" / "a.lock", what="a"):
            pass
        with files.replace_folder(inside / "report", what="it") as unfinished:
            (unfinished / "images").mkdir()
            (unfinished / "images" / "a.png").write_bytes(b"a")
        log = LogFile(inside / "a.log", tell=print)
        log.emit(logging.makeLogRecord({"msg": "said"}))
        log.close()
    finally:
        os.umask(before)
    places = [tmp_path / "new", *(tmp_path / "new").rglob("*")]
    assert len(places) > 10
    assert [str(place) for place in places if place.stat().st_mode & 0o077] == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes with names")
def test_a_pipe_in_place_of_a_file_is_not_waited_for(tmp_path, demo):
    os.mkfifo(tmp_path / "a.json")
    with pytest.raises(BadInputError, match=r"a\.json: cannot be read .*neither a file"):
        files.read_json(tmp_path / "a.json")
    store = Store(tmp_path / "store")
    (store.path / "one").mkdir(parents=True)
    shutil.copy(demo / "video.mp4", store.path / "one")
    os.mkfifo(store.path / "one" / "session.json")
    sessions, damaged = store.sessions_and_damaged()
    assert (sessions, list(damaged)) == ([], ["one"])


def test_links_to_themselves_and_files_beyond_measure_hide_nothing(tmp_path):
    store = Store(tmp_path / "store")
    store.path.mkdir()
    (store.path / "loop").symlink_to(store.path / "loop")
    assert store.sessions_and_damaged() == ([], {})
    (store.path / "participants").symlink_to(store.path / "participants")
    with pytest.raises(StorageError, match="is a link out of the store"):
        delete_document(store.path, "participants/anna.json")
    with (tmp_path / "huge.json").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(BadInputError, match=r"huge\.json: cannot be read .*larger than 256 MB"):
        files.read_json(tmp_path / "huge.json")


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_folder_is_gone_at_the_end(place):
    with scratch("kernel") as folder:
        (folder / "a").write_text("a")
        assert folder.parent == place
        assert folder.stat().st_mode & 0o077 == 0
    assert list(place.iterdir()) == []


def test_the_folder_of_a_process_that_was_killed_is_removed_by_the_next(place):
    kinds = ["kernel", "batch", "store", "upload"]
    code = (
        "import os, signal; from mobility.sessions.files import scratch_folder\n"
        f"[scratch_folder(kind) for kind in {kinds}]; os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = ended([sys.executable, "-c", code], env={**os.environ, "TMPDIR": str(place)})
    assert done.returncode == -signal.SIGKILL
    left = list(place.iterdir())
    assert len(left) == 4
    (place / "mobility-notes").mkdir()  # of others
    living, remove = scratch_folder("kernel")
    assert not any(folder.exists() for folder in left)
    sweep_scratch()
    assert living.is_dir()
    assert (place / "mobility-notes").is_dir()
    remove()
