"""What the tests of batches share: workers with faults, and the content of results."""

from __future__ import annotations

import csv
import datetime
import json
import os
import subprocess
import sys
from pathlib import Path

from mobility.serve.batch.run import JOURNAL
from mobility.serve.batch.summary import BatchRow, BatchSummary, write_summary
from mobility.sessions.files import read_dataset
from mobility.store import Store

FOLDER = "data/sessions"
"""The store of a batch that is told of none, in the folder where it runs."""
FAULTY = Path(__file__).with_name("faulty_worker.py")
RESULTS = (
    *("pose.nc", "fitted.nc", "angles.nc", "repetitions.nc", "metrics.nc"),
    *("metrics.parquet", "capture_quality.json", "analyzed.mp4", "loads.nc", "video.mp4"),
)


def done_rows(*of):
    """Rows that are done, of videos and participants; their sessions are s1, s2, ..."""
    return [
        BatchRow(
            row=number,
            video=video,
            participant=user_id,
            exercise="Overhead Squat",
            session_id=f"s{number}",
            state="done",
        )
        for number, (video, user_id) in enumerate(of, start=1)
    ]


def write_ended(folder, rows):
    """Write what a batch that has ended leaves of its rows."""
    day = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)
    document = BatchSummary(manifest="m.csv", started=day, ended=day, versions={}, rows=rows)
    write_summary(folder, document)


def write_begun(folder, rows):
    """Write what one that has not ended leaves of them."""
    lines = ['{"rows": "0"}', *(row.model_dump_json() for row in rows), ""]
    (folder / JOURNAL).write_text("\n".join(lines))


def surroundings(place, fault):
    """Environment in which workers have stand-ins, and the fault."""
    return {
        **os.environ,
        "DASK_DISTRIBUTED__WORKER__PRELOAD": str(FAULTY),
        "STAND_INS": str(FAULTY.with_name("small_results.py")),
        "FAULT": fault,
        "FAULT_FOLDER": str(place),
    }


def start(place, *arguments, fault="none:none:0"):
    """Start a command in `place`, with stand-ins in it and in its workers."""
    code = (
        "import runpy, sys\n"
        f"runpy.run_path({str(FAULTY)!r})\n"
        "sys.argv[0] = 'mobility'\n"
        "from mobility.cli.main import main\nmain()"
    )
    (place / "tmp").mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=place,
        env={**surroundings(place, fault), "TMPDIR": str(place / "tmp")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def run(place, *arguments, **more):
    """Status, standard output and standard error."""
    process = start(place, *arguments, **more)
    out, err = process.communicate(timeout=300)
    assert "Traceback" not in err, err
    return process.returncode, out, err


def batch(place, *options, manifest="m.csv", store=FOLDER, **more):
    """Status, what `mobility batch` answers, and what it said."""
    command = ("batch", manifest, "--json", "--store", store, *options)
    status, out, err = run(place, *command, **more)
    return status, json.loads(out) if out else {}, err


def counts(summary):
    return {state: summary[state] for state in ("done", "skipped", "failed")}


def rows_of(summary):
    with Path(summary["summary"]["csv"]).open(newline="") as file:
        return list(csv.DictReader(file))


def results(store):
    """Content of all results in a store, by video and file; there is nothing else but records."""
    stored = {}
    for session in Store(store).sessions():
        assert session.record.state == "analyzed"
        names = {file.name for file in session.folder.iterdir()}
        assert names - {"session.json"} == set(RESULTS)
        stored |= contents(session)
    return stored


def in_the_end(place, undisturbed):
    """After one more run all is there, with the bytes of a run without a fault."""
    status, summary, err = batch(place, "--workers", 1)
    assert (status, summary["failed"]) == (0, 0), err
    assert results(place / FOLDER) == undisturbed
    nothing_is_left(place)


def nothing_is_left(place):
    hidden = [file.name for file in (place / "reports").rglob(".*")]
    assert not [name for name in hidden if "unfinished" in name or ".tmp" in name]


def contents(session):
    """Content of all results of a session, by the name of its video and the file.

    Bytes, but of NetCDF all that it says: HDF5 may lay out the same content in another order.
    """
    video = session.record.video.original_name
    paths = {name: session.folder / name for name in RESULTS}
    return {
        (video, name): in_netcdf(path) if path.suffix == ".nc" else path.read_bytes()
        for name, path in paths.items()
    }


def in_netcdf(path):
    dataset = read_dataset(path)
    variables = [
        (name, v.dims, str(v.dtype), v.values.tobytes(), str(v.attrs))
        for name, v in dataset.variables.items()
    ]
    return variables, str(dataset.attrs), dict(dataset.sizes)
