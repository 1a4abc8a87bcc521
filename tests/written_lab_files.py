"""What the tests of lab files share: the lab's folder and small files written by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

BODY = {  # metres, y up, facing x; a person who stands
    "L.ASIS": (0.10, 1.00, -0.12),
    "r.ASIS": (0.10, 1.00, 0.12),
    "L.PSIS": (-0.06, 1.02, -0.05),
    "r.PSIS": (-0.06, 1.02, 0.05),
    "L_Shoulder": (0.0, 1.45, -0.18),
    "R_Shoulder": (0.0, 1.45, 0.18),
    "L_knee": (0.02, 0.50, -0.15),
    "r_knee": (0.02, 0.50, 0.15),
    "L_ankle": (0.0, 0.08, -0.14),
    "r_ankle": (0.0, 0.08, 0.14),
    "L_calc": (-0.06, 0.04, -0.10),
    "r_calc": (-0.06, 0.04, 0.10),
    "L_toe": (0.14, 0.06, -0.12),
    "r_toe": (0.14, 0.06, 0.12),
}


@pytest.fixture(scope="session")
def lab(shared_data: Path) -> Path:
    """Folder of the lab files."""
    return shared_data / "lab"


@pytest.fixture(scope="session")
def body() -> dict[str, tuple[float, float, float]]:
    """Markers of a person who stands, by OpenCap's names."""
    return BODY


@pytest.fixture
def trc(tmp_path: Path) -> Callable[..., Path]:
    """Write a TRC file by hand: ``trc(frames=5, rate=100, units="m", ...)``."""

    def write(
        *,
        name: str = "trial.trc",
        markers: dict[str, tuple[float, float, float]] = BODY,
        frames: int = 5,
        rate: float = 100.0,
        stated_rate: float | None = None,
        units: str = "m",
        factor: float = 1.0,
        start: float = 0.0,
        blank: tuple[tuple[int, str], ...] = (),
    ) -> Path:
        stated = f"{rate if stated_rate is None else stated_rate:g}"
        names = "DataRate CameraRate NumFrames NumMarkers Units OrigDataRate OrigDataStartFrame"
        lines = [
            f"PathFileType\t4\t(X/Y/Z)\t{name}",
            "\t".join([*names.split(), "OrigNumFrames"]),
            f"{stated}\t{stated}\t{frames}\t{len(markers)}\t{units}\t{stated}\t1\t{frames}",
            "Frame#\tTime\t" + "\t\t\t".join(markers) + "\t\t",
            "\t\t" + "\t".join(f"{a}{i + 1}" for i in range(len(markers)) for a in "XYZ"),
            "",
        ]
        for i in range(frames):
            cells = [f"{i + 1}", f"{start + i / rate:.6f}"]
            for marker, place in markers.items():
                seen = (i, marker) not in blank
                cells += [f"{factor * (x + 0.001 * i):.6f}" if seen else "" for x in place]
            lines.append("\t".join(cells))
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n")
        return path

    return write


@pytest.fixture
def mot(tmp_path: Path) -> Callable[..., Path]:
    """Write a MOT file by hand: ``mot({"knee_angle_r": values}, in_degrees="yes")``."""

    def write(
        columns: dict[str, np.ndarray], *, name: str = "trial.mot", in_degrees: str | None = "yes"
    ) -> Path:
        table = np.stack(list(columns.values()), axis=-1)
        lines = [
            *("Coordinates", "version=1", f"nRows={len(table)}", f"nColumns={len(columns) + 1}"),
            *([f"inDegrees={in_degrees}"] if in_degrees else []),
            *("", "endheader", "\t".join(["time", *columns])),
            *("\t".join(f"{v:.8f}" for v in (i / 100, *row)) for i, row in enumerate(table)),
        ]
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n")
        return path

    return write
