"""A pose worker has no network."""

from __future__ import annotations

import subprocess
import sys

import pytest

CUT_OFF = "from mobility.capture import offline; offline.cut_off(); "


def said(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", CUT_OFF + code], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has this filter")
@pytest.mark.parametrize("family", ["AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK"])
def test_the_kernel_refuses_every_socket(family: str) -> None:
    code = (
        "import socket, threading\n"
        "def ask():\n"
        f"    try: socket.socket(socket.{family}, socket.SOCK_RAW if '{family}' == 'AF_NETLINK'"
        " else socket.SOCK_STREAM); print('open')\n"
        "    except PermissionError: print('refused')\n"
        "ask(); thread = threading.Thread(target=ask); thread.start(); thread.join()"
    )
    assert said(code).split() == ["refused", "refused"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has this filter")
def test_what_it_starts_has_no_network_either() -> None:
    code = (
        "import subprocess, sys; print(subprocess.run([sys.executable, '-c',"
        " 'import socket; socket.socket()'], capture_output=True, text=True).stderr)"
    )
    assert said(code).endswith("PermissionError: [Errno 13] Permission denied")


def test_whoever_asks_for_a_proxy_is_sent_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    code = (
        "import urllib.request as r; print(r.getproxies()['https'], r.proxy_bypass('play.example'))"
    )
    assert said(code) == "http://127.0.0.1:9 False"


def test_a_pose_worker_is_cut_off_before_it_reads_its_job() -> None:
    code = (
        "import io, socket, sys\n"
        "from mobility.capture import pose_worker\n"
        "class Job(io.StringIO):\n"
        "    def read(self, *size):\n"
        "        try: socket.socket()\n"
        "        except PermissionError: sys.exit(7)\n"
        "sys.stdin = Job()\n"
        "pose_worker.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == (7 if sys.platform == "linux" else 1)
