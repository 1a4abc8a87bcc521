"""Preloaded into the workers of a batch under test: stand-ins for what takes long, and a fault.

``FAULT`` is ``stage:action:times``. The fault happens when a worker comes to the stage, as many
times as it says in all workers together; files below ``FAULT_FOLDER`` count them. With
``FAULT_VIDEO`` it happens in the pose of that video only. dask copies this file, so ``STAND_INS``
says where the stand-ins are.
"""

from __future__ import annotations

import errno
import functools
import importlib.util
import os
import signal
import sys
import time
from pathlib import Path


def _act(action: str) -> None:
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action == "full":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    elif action == "wait":
        time.sleep(600)
    elif action == "slow":
        time.sleep(1)
    elif action.startswith("touch="):
        Path(action.removeprefix("touch=")).touch()
    elif action.startswith("change="):
        path = Path(action.removeprefix("change="))
        path.write_bytes(path.read_bytes() + b"\0")


def _install() -> None:
    spec = importlib.util.spec_from_file_location("workbench_stand_ins", os.environ["STAND_INS"])
    assert spec is not None
    assert spec.loader is not None
    stand_ins = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(stand_ins)
    modules = stand_ins.modules()
    # The videos are real ones.
    del modules["mobility.capture.video"]
    stage, action, times = os.environ.get("FAULT", "none:none:0").rsplit(":", 2)
    stage, _, rest = stage.partition(":")
    action = f"{rest}:{action}" if rest else action
    places = {
        "pose": ("mobility.capture.pose", "estimate_pose"),
        "fitted": ("mobility.kinematics.fit.entry", "fit_body"),
        "angles": ("mobility.kinematics.angles", "joint_angles"),
        "repetitions": ("mobility.kinematics.repetitions", "find_repetitions"),
        "metrics": (stand_ins.SQUAT, "metrics"),
        "table": ("mobility.pipeline.metrics_table", "write_metrics_table"),
        "capture_quality": ("mobility.capture.quality", "capture_quality"),
        "annotated": ("mobility.pipeline.overlay", "annotate_video"),
        "loads": (stand_ins.LOADS, "loads"),
        "report": ("mobility.reports.render", "render_report"),
    }
    if stage in places:
        module, name = places[stage]
        real = getattr(modules[module], name)

        @functools.wraps(real)
        def faulty(*args: object, **kwargs: object) -> object:
            only = os.environ.get("FAULT_VIDEO")
            if only and Path(str(args[0])).read_bytes() != Path(only).read_bytes():
                return real(*args, **kwargs)
            for number in range(int(times)):
                mark = Path(os.environ["FAULT_FOLDER"]) / f"fault-{number}"
                try:
                    mark.touch(exist_ok=False)
                except FileExistsError:
                    continue
                _act(action)
                break
            return real(*args, **kwargs)

        setattr(modules[module], name, faulty)
    sys.modules.update(modules)


def _fail_to_start() -> None:
    """Fail once to come back after the first fault, where ``START_FAULT`` is set."""
    folder = Path(os.environ["FAULT_FOLDER"])
    if "START_FAULT" in os.environ and (folder / "fault-0").exists():
        mark = folder / "start-fault"
        if not mark.exists():
            mark.touch()
            raise RuntimeError("this worker does not start")


_fail_to_start()
_install()
