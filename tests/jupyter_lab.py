"""A real JupyterLab on this machine, with settings of its own, that ends with the test."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from other_processes import end_group, free_port

PLACES = (
    "JUPYTER_CONFIG_DIR",
    "JUPYTER_DATA_DIR",
    "JUPYTER_RUNTIME_DIR",
    "JUPYTERLAB_SETTINGS_DIR",
    "JUPYTERLAB_WORKSPACES_DIR",
    "IPYTHONDIR",
)


@contextmanager
def jupyter_lab(
    folder: Path, arguments: Sequence[str], *, under: Sequence[str] = (), **environment: str
) -> Iterator[str]:
    """Run ``jupyter`` with `arguments` in `folder`; gives the address that it opens."""
    jupyter = folder / ".jupyter-of-test"
    places = {name: str(jupyter / name.lower()) for name in PLACES}
    jupyter.mkdir()
    opened = jupyter / "opened"
    browser = jupyter / "browser"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {opened}.part && mv {opened}.part {opened}\n')
    browser.chmod(0o755)
    port = free_port()
    with (jupyter / "log").open("w") as log:
        server = subprocess.Popen(
            [
                *(*under, str(Path(sys.executable).with_name("jupyter")), *arguments),
                *("--allow-root", f"--ServerApp.browser={browser} %s"),
                *("--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}"),
                "--ServerApp.port_retries=0",
                "--LabApp.extension_manager=readonly",
            ],
            cwd=folder,
            env={**os.environ, **places, **environment},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + 120
        while not opened.exists():
            assert server.poll() is None, (jupyter / "log").read_text()[-2000:]
            assert time.monotonic() < deadline, (jupyter / "log").read_text()[-2000:]
            time.sleep(0.1)
        yield opened.read_text()
    finally:
        end_group(server, signal.SIGTERM, 20)
