"""Load on the HTTP interface, over loopback: ``python benchmarks/server.py``.

The script prints three results as JSON: the reads per second, with the 99th percentile of their
duration, while two videos are really analysed; whether any of 200 simultaneous uploads is lost; and
the memory of the server.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil

from mobility.serve.api_keys import Keys
from mobility.store import Store

PROJECT = Path(__file__).resolve().parents[1]
VIDEO = PROJECT / "data" / "demo" / "overhead-squat" / "video.mp4"
PREFIX = "/mobility-assessment"


@dataclass
class Server:
    """A running server."""

    url: str
    key: str
    process: psutil.Process

    def memory(self) -> float:
        """Return the memory of the server alone, in MB."""
        return self.process.memory_full_info().pss / 1e6

    def client(self, connections: int) -> httpx.AsyncClient:
        """Make a client with this number of connections."""
        return httpx.AsyncClient(
            base_url=f"{self.url}{PREFIX}",
            headers={"Authorization": f"API-KEY {self.key}"},
            limits=httpx.Limits(max_connections=connections),
            timeout=600,
        )


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """Run a Jupyter Server with the interface on an empty store."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    places = {
        name: str(folder / name)
        for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")
    }
    key, _ = Keys(Store(folder / "sessions")).create("administrator", user_id="load")
    others = ("jupyterlab", "jupyter_lsp", "jupyter_scheduler", "jupyter_server_terminals")
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root"),
                *(f"--ServerApp.port={port}", "--ServerApp.ip=127.0.0.1"),
                "--ServerApp.jpserver_extensions="
                f"{ {'mobility.serve': True} | dict.fromkeys((*others, 'notebook_shim'), False) }",
                *(
                    f"--MobilityServer.store={folder / 'sessions'}",
                    "--MobilityServer.pose_workers=1",
                ),
                *(f"--MobilityServer.reports={folder / 'reports'}",),
                "--MobilityServer.analyses_at_once=2",
            ],
            cwd=folder,
            env={**os.environ, **places, "PYTHONPATH": str(PROJECT)},
            stdout=log,
            stderr=log,
        )
    server = Server(f"http://127.0.0.1:{port}", key, psutil.Process(process.pid))
    try:
        while True:
            try:
                httpx.get(f"{server.url}{PREFIX}/openapi.json").raise_for_status()
                break
            except httpx.TransportError:
                if process.poll() is not None:
                    raise RuntimeError((folder / "log").read_text()) from None
                time.sleep(0.1)
        yield server
    finally:
        process.terminate()
        process.wait()


async def upload(client: httpx.AsyncClient, number: int) -> str | None:
    """Send the demo video, made different from the others by some bytes; None if it is lost."""
    content = VIDEO.read_bytes() + b"free" + number.to_bytes(4, "big")
    try:
        answer = await client.post(
            "/sessions/",
            data={"exercise_name": "Overhead Squat"},
            files={"video": (f"{number}.mp4", content, "video/mp4")},
        )
    except httpx.TransportError:
        return None
    return answer.json()["session_id"] if answer.status_code == 200 else None


async def state(client: httpx.AsyncClient, session_id: str) -> str:
    """Return the state of a session."""
    answer = await client.get(f"/sessions/{session_id}/state/")
    return str(answer.json()["state"])


async def read(client: httpx.AsyncClient, urls: list[str], seconds: float) -> list[float]:
    """Read documents one after the other, and return the seconds that each took."""
    took = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for url in urls:
            started = time.perf_counter()
            (await client.get(url)).raise_for_status()
            took.append(time.perf_counter() - started)
    return took


@asynccontextmanager
async def two_analyses(client: httpx.AsyncClient) -> AsyncIterator[list[str]]:
    """Have two videos analysed in the meantime; both analyses are running at the beginning."""
    made = [await upload(client, number) for number in (1, 2)]
    ids = [each for each in made if each]
    while [await state(client, each) for each in ids] != ["analyzing"] * 2:
        await asyncio.sleep(0.1)
    yield ids
    while any([await state(client, each) in ("queued", "analyzing") for each in ids]):
        await asyncio.sleep(0.5)


async def reads(server: Server, *, clients: int, seconds: float) -> dict[str, Any]:
    """Measure reads while two videos are analysed."""
    async with server.client(clients + 1) as client:
        urls = ["/sessions/x/?demo=true", "/sessions/x/summary/?demo=true", "/sessions/"]
        await read(client, urls, 1.0)
        async with two_analyses(client) as ids:
            started = time.perf_counter()
            found = await asyncio.gather(*(read(client, urls, seconds) for _ in range(clients)))
            took = time.perf_counter() - started
            at_work = [await state(client, each) == "analyzing" for each in ids]
        states = [await state(client, each) for each in ids]
    times = np.concatenate([np.asarray(each) for each in found])
    return {
        "clients": clients,
        "requests": len(times),
        "requests_per_s": round(len(times) / took, 1),
        "median_ms": round(1e3 * float(np.median(times)), 1),
        "p99_ms": round(1e3 * float(np.quantile(times, 0.99)), 1),
        "slowest_ms": round(1e3 * float(times.max()), 1),
        "analyses_still_at_work": sum(at_work),
        "analyses_at_the_end": states,
    }


async def uploads(server: Server, *, count: int) -> dict[str, Any]:
    """Measure uploads that arrive all at once."""
    before = server.memory()
    most = before
    async with server.client(count) as client:
        started = time.perf_counter()
        sending = asyncio.gather(*(upload(client, 100 + number) for number in range(count)))
        while not sending.done():
            most = max(most, server.memory())
            await asyncio.sleep(0.05)
        ids = [each for each in await sending if each]
        took = time.perf_counter() - started
        known = {each["session_id"] for each in (await client.get("/sessions/")).json()}
        lost = len(set(ids) - known)
        for each in ids:
            (await client.delete(f"/sessions/{each}/")).raise_for_status()
    return {
        "uploads": count,
        "bytes_each": VIDEO.stat().st_size + 8,
        "answered_200": len(set(ids)),
        "lost": lost,
        "seconds": round(took, 1),
        "server_mb_before": round(before, 1),
        "server_mb_most": round(most, 1),
    }


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--uploads", type=int, default=200)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as server:
        figures = {
            "reads": asyncio.run(reads(server, clients=given.clients, seconds=given.seconds)),
            "uploads": asyncio.run(uploads(server, count=given.uploads)),
        }
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
