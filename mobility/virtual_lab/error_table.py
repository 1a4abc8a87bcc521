"""The table of errors measured in the virtual lab, which the package reads."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import yaml

from mobility.errors import BadInputError, StorageError
from mobility.kinematics.expected_error import TABLE
from mobility.virtual_lab.agreement import VIEW_CLASSES

HEADER = """\
# Errors of the angles of the fitted body on rendered squats with known truth, degrees, by view.
# Written by `mobility virtual-lab sweep benchmarks/held_out.yaml benchmarks/held_out_2.yaml
# benchmarks/errors.yaml --write-table`, which keeps the factors of `widening`; those are written by
# `python benchmarks/filmed.py --write`.
#
# sd: of one error about the bias, between and within clips (Bland & Altman 2007). coverage: share
# of the errors that the fit's own 95 % interval held. deep: while the true knees are beyond nine
# tenths of their largest flexion.
"""

NOT_WIDENED = {"factor": 1.0, "source": "Not set: intervals are as the fit gives them."}


def table_in_checkout() -> Path:
    """Path of the table that the package reads, where the package is that of a checkout.

    Raises
    ------
    BadInputError
        The package is an installed copy, whose tables are not to be changed.
    """
    path = Path(str(files("mobility.tables"))) / f"{TABLE}.yaml"
    if not (path.parents[2] / "pyproject.toml").is_file():
        raise BadInputError(
            f"{path}: is in an installed package; write the table from a checkout of mobility"
        )
    return path


def error_table(result: xr.Dataset, *, grid: str, widening: Mapping[str, Any]) -> dict[str, Any]:
    """Table of errors of the fitted body.

    Parameters
    ----------
    result
        As from :func:`mobility.virtual_lab.agreement.agreement`.
    grid
        What the cases are called together.
    widening
        Factors by angle, as in an older table; others are 1.
    """
    fitted = result.sel(estimator="fitted", clips="all")
    versions = json.loads(result.attrs["versions"])
    angles = [str(angle) for angle in result["angle"].values]
    count = result.sizes["case"]
    views: dict[str, Any] = {}
    for view in VIEW_CLASSES:
        chosen = fitted.sel(view=view)
        if not int(chosen["clips_used"].max()):
            continue
        number = count if view == "all" else int((result["case_view"] == view).sum())
        views[view] = {
            "source": f"{number} rendered clips of the grid {grid}.",
            "angles": {
                angle: {
                    **_figures(chosen.sel(angle=angle, part="all")),
                    "deep": _figures(chosen.sel(angle=angle, part="deep")),
                }
                for angle in angles
                if int(chosen["clips_used"].sel(angle=angle, part="all"))
            },
        }
    return {
        "source": (
            f"{count} rendered squats of the grid {grid}; their true angles by the same formulas "
            "from the true joint centres."
        ),
        "holds_for": {
            "source": "As recorded when the angles were measured.",
            "mobility": versions["mobility"],
            "mediapipe": versions["mediapipe"],
            "pose_model_sha256": result.attrs["model_sha256"],
            "fit_method": result.attrs["fit_method"],
        },
        "widening": {angle: dict(widening.get(angle, NOT_WIDENED)) for angle in angles},
        "views": views,
    }


def text_of(table: Mapping[str, Any]) -> str:
    """Text of a table of errors, with its head."""
    return HEADER + yaml.safe_dump(dict(table), sort_keys=False, default_flow_style=None, width=96)


def write_error_table(result: xr.Dataset, path: str | os.PathLike[str], *, grid: str) -> Path:
    """Write the table of errors; the factors of a table that is there are kept.

    Raises
    ------
    BadInputError
        What is there is no such table.
    StorageError
        It cannot be written.
    """
    target = Path(path)
    widening: Mapping[str, Any] = {}
    if target.is_file():
        try:
            widening = yaml.safe_load(target.read_text(encoding="utf-8"))["widening"]
        except (yaml.YAMLError, TypeError, KeyError, UnicodeDecodeError):
            raise BadInputError(
                f"{target}: is not a table of errors with its factors; give another path"
            ) from None
    text = text_of(error_table(result, grid=grid, widening=widening))
    temporary = target.with_name(f".{target.stem}.{secrets.token_hex(6)}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(target)
    except OSError as error:
        raise StorageError(f"{target}: cannot be written ({error.strerror})") from None
    finally:
        temporary.unlink(missing_ok=True)
    return target


def _figures(entry: xr.Dataset) -> dict[str, float | None]:
    digits = {"bias": 1, "sd": 1, "mae": 1, "coverage": 2}
    rounded = {name: _rounded(float(entry[name]), n) for name, n in digits.items()}
    return {"clips": int(entry["clips_used"]), **rounded}


def _rounded(value: float, digits: int) -> float | None:
    return round(value, digits) + 0.0 if np.isfinite(value) else None
