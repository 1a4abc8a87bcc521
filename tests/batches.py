"""What the tests of batches share: workers with faults, and the content of results."""

from __future__ import annotations

import os
from pathlib import Path

from mobility.sessions.files import read_dataset

FAULTY = Path(__file__).with_name("faulty_worker.py")
RESULTS = (
    *("pose.nc", "fitted.nc", "angles.nc", "repetitions.nc", "metrics.nc"),
    *("metrics.parquet", "capture_quality.json", "analyzed.mp4", "video.mp4"),
)


def surroundings(place, fault):
    """Environment in which workers have stand-ins, and the fault."""
    return {
        **os.environ,
        "DASK_DISTRIBUTED__WORKER__PRELOAD": str(FAULTY),
        "STAND_INS": str(FAULTY.with_name("stand_ins.py")),
        "FAULT": fault,
        "FAULT_FOLDER": str(place),
    }


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
