"""A real Jupyter Server with the interface, whose workers have stand-ins for what takes long.

Run as a program it is the server, or with "worker" a worker of it. A "quick" worker takes
videos in and analyses none; an "intake" worker takes real ones in, and is at the first for ever.
Else a video is a small text:
``video 1`` is analysed at once, ``video spin`` never, ``video wait FILE`` once FILE is there,
``video eat`` needs more memory than there is, ``video crash`` kills its process, ``video
full FILE`` finds the disk full until FILE is there, ``video nobody`` shows nobody; and what does
not begin with "video" is none.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import httpx
from other_processes import free_port, wait_for

from mobility.base.writing import storage_fault

TOKEN = "token-of-the-test"
PREFIX = "/mobility-assessment"
KIND = "multipart/form-data; boundary=edge"
HEAD = (
    b'--edge\r\nContent-Disposition: form-data; name="exercise_name"\r\n\r\nOverhead Squat\r\n'
    b'--edge\r\nContent-Disposition: form-data; name="video"; filename="squat.mp4"\r\n\r\n'
)
BODY = HEAD + b"video 1\r\n--edge--\r\n"
"""Of a creation, of the KIND; HEAD is what comes before the content of the video."""
CHECK = {
    **{
        "good": False,
        "film_again": False,
        "view_hides": "",
        "verdict": "limited",
        "headline": "First look: usable with limits, because the camera moved.",
    },
    "reasons": [{"code": "moving_camera", "why": "the camera moved", "what_to_do": "Use a stand."}],
    "seen": {
        **{"exercise": None, "view": "front", "azimuth_deg": 1.0, "repetitions": 0},
        **{"duration_s": 9.0, "frame_rate": 30.0},
    },
    "first_look": "A first look.",
}
"""Of every film."""
_OTHERS = (
    *("jupyterlab", "jupyter_lsp", "jupyter_scheduler", "jupyter_server_terminals"),
    "notebook_shim",
)


@dataclass
class Server:
    """A server that runs."""

    url: str
    store: Path
    reports: Path
    log: Path
    process: subprocess.Popen[bytes]

    def ask(self, method: str, path: str, key: str | None = None, **request: Any) -> httpx.Response:
        """One request below the prefix; `key` is put into the header as it is."""
        headers = dict(request.pop("headers", {}))
        if key is not None:
            headers["Authorization"] = key
        url = path if path.startswith("http") else f"{self.url}{PREFIX}{path}"
        # Neither certificates, which take long to load, nor cookies of the request before.
        with httpx.Client(verify=False, trust_env=False, timeout=120) as client:
            return client.request(method, url, headers=headers, **request)

    def connect(self) -> socket.socket:
        """Open a connection on which nothing is said yet."""
        address = urlsplit(self.url)
        return socket.create_connection((address.hostname, address.port), timeout=120)

    def begin(
        self, key: str | None, method: str, path: str, content: bytes = b"", **headers: Any
    ) -> socket.socket:
        """Send the head of a request, and what is there of its content."""
        lines = [
            f"{method} {PREFIX}{path} HTTP/1.1",
            f"Host: {urlsplit(self.url).netloc}",
            *([f"Authorization: {key}"] if key else []),
            *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
        ]
        connection = self.connect()
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode() + content)
        return connection

    def uploads_left(self) -> list[Path]:
        """Videos that are being sent, or were left; a folder may go while its files are listed."""
        return list((self.store / ".server" / "uploads").glob("*/squat.mp4"))

    def key(self, role: str = "administrator", user_id: str | None = None, **more: Any) -> str:
        """Make a key, as the command does."""
        from mobility.serve.api_keys import Keys
        from mobility.store import Store

        return f"API-KEY {Keys(Store(self.store)).create(role, user_id=user_id, **more)[0]}"

    def upload(
        self,
        key: str,
        content: bytes = b"video 1",
        *,
        path: str = "/sessions/",
        name: str = "squat.mp4",
        **fields: Any,
    ) -> httpx.Response:
        """Send a video."""
        given = {"exercise_name": "Overhead Squat", **fields}
        data = {field: value for field, value in given.items() if value is not None}
        return self.ask("POST", path, key, data=data, files={"video": (name, content, "video/mp4")})

    def state(self, key: str, session_id: str) -> dict[str, Any]:
        """State of a session."""
        answer = self.ask("GET", f"/sessions/{session_id}/state/", key)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def until(
        self, key: str, session_id: str, *states: str, seconds: float = 300
    ) -> dict[str, Any]:
        """Wait until a session is in one of these states."""
        return wait_for(
            lambda: (session := self.state(key, session_id))["state"] in states and session,
            seconds=seconds,
        )

    def kill(self) -> None:
        """Kill the server alone, as the system would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def status_of(connection: socket.socket) -> int | None:
    """Status of an answer; None where the connection ends without one."""
    answer = b""
    while b"\r\n\r\n" not in answer:
        data = connection.recv(65536)
        if not data:
            break
        answer += data
    return int(answer.split()[1]) if answer else None


def rest_of(connection: socket.socket) -> bytes:
    """All that still comes, until the connection ends."""
    return b"".join(iter(lambda: connection.recv(65536), b""))


@contextmanager
def serving(
    folder: Path, *, kind: str = "worker", under: Sequence[str] = (), **settings: Any
) -> Iterator[Server]:
    """Run a server on a store in `folder`.

    Its workers are of a `kind`: "worker", "quick", "intake", "undrawn", or "real"; `settings` are
    those of ``MobilityServer``, and `under` is put before the command.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    store, reports, log = folder / "sessions", folder / "reports", folder / "server.log"
    extensions = {"mobility.serve": True, **dict.fromkeys(_OTHERS, False)}
    places = {
        name: str(folder / name.lower())
        for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    }
    given = {"store": store, "reports": reports, "analyses_at_once": 2, **settings}
    with log.open("ab") as out:
        process = subprocess.Popen(
            [
                *(*under, sys.executable, __file__, kind, "server", "--allow-root"),
                *("--no-browser", f"--ServerApp.port={port}", "--ServerApp.port_retries=0"),
                *("--ServerApp.ip=127.0.0.1", f"--IdentityProvider.token={TOKEN}", "--debug"),
                f"--ServerApp.jpserver_extensions={extensions}",
                *(f"--MobilityServer.{name}={value}" for name, value in given.items()),
            ],
            cwd=folder,
            env={**os.environ, **places},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )
    server = Server(f"http://127.0.0.1:{port}", store, reports, log, process)

    def answers() -> bool:
        assert process.poll() is None, log.read_text()
        try:
            return server.ask("GET", "/openapi.json").status_code == 200
        except httpx.TransportError:
            return False

    try:
        wait_for(answers)
        yield server
    finally:
        # What it has started ends by itself then.
        process.kill()
        process.wait()


def _worker() -> None:
    if sys.argv[1] != "intake":
        _stand_in()
    from mobility.serve import worker

    if sys.argv[1] == "quick":
        worker.analyze = lambda *_: {}
        worker.Store.render_visit = lambda *_, **__: {}
    if sys.argv[1] == "undrawn":
        worker.Session.render_report = lambda _: {}
    if sys.argv[1] == "intake":
        worker.analyze = lambda *_: time.sleep(86_400)
    sys.argv = sys.argv[2:]
    worker.main()


def _stand_in() -> None:
    import small_results

    sys.modules.update(small_results.modules())
    probe = sys.modules["mobility.capture.video"].probe
    estimate = sys.modules["mobility.capture.pose"].estimate_pose

    def looked_at(path: Path, *, most_pixels: int | None = None) -> Any:
        content = Path(path).read_bytes()
        _behave(content.partition(b"at intake ")[2])
        return SimpleNamespace(**vars(probe(path)), duration_s=float(b"long" in content) * 1e4)

    def estimated(path: Path, **options: Any) -> Any:
        content = Path(path).read_bytes()
        if b"at intake" not in content:
            _behave(content.partition(b"video ")[2])
        return estimate(path, **options)

    def checked(session: Any) -> dict[str, Any]:
        _behave(session.first_video.read_bytes().partition(b"at check ")[2])
        return CHECK

    from mobility.store import Session

    Session.check_recording = checked
    sys.modules["mobility.capture.video"].probe = looked_at
    sys.modules["mobility.capture.pose"].estimate_pose = estimated


def _behave(content: bytes) -> None:
    word, _, rest = content.decode(errors="replace").partition(" ")
    if word == "spin":
        while True:
            pass
    if word == "eat":
        eaten = []
        while True:
            eaten.append(bytearray(64 << 20))
    if word == "crash":
        os.kill(os.getpid(), signal.SIGKILL)
    if word == "full" and not Path(rest.strip()).exists():
        raise storage_fault(OSError(errno.ENOSPC, ""), "/home/of/somebody/metrics.nc")
    if word == "wait":
        while not Path(rest.strip()).exists():
            time.sleep(0.02)


def main() -> None:
    """Be a server, or a worker."""
    if sys.argv[2] != "server":
        _worker()
        return
    from jupyter_server import serverapp

    from mobility.serve import worker_processes

    if sys.argv[1] != "real":
        worker_processes.PROGRAM = (Path(__file__).stem, sys.argv[1], "worker")
        path = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
        os.environ["PYTHONPATH"] = os.pathsep.join(path)
    sys.argv = [sys.argv[0], *sys.argv[3:]]
    serverapp.main()


if __name__ == "__main__":
    main()
