"""Metrics Datasets made by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from mobility.base import provenance

Value = float | tuple[float, float]

GOOD: Mapping[str, tuple[Value, Value]] = {
    "hip_flexion": ((124.0, 126.0), (4.0, 4.0)),
    "knee_flexion": ((126.0, 127.0), (4.0, 4.0)),
    "ankle_dorsiflexion": ((36.0, 37.0), (4.0, 4.0)),
    "shoulder_flexion": ((172.0, 175.0), (5.0, 5.0)),
    "thigh_elevation": ((-15.0, -14.0), (3.0, 3.0)),
    "knee_deviation": ((-0.05, -0.02), (0.04, 0.04)),
    "knee_deviation_at_bottom": ((-0.15, -0.12), (0.04, 0.04)),
    "heel_rise": ((0.5, 0.8), (1.0, 1.0)),
    "toe_out": ((12.0, 14.0), (4.0, 4.0)),
    "trunk_tibia_difference": (-8.0, 4.0),
    "arm_fall": (-5.0, 5.0),
    "dowel_offset": (0.05, 0.1),
    "lateral_shift": (0.01, 0.02),
    "weight_shift": (0.01, 0.02),
    "pelvis_obliquity": (0.5, 1.5),
    "knee_ankle_separation_ratio": (1.2, 0.03),
    "knee_ankle_separation_ratio_standing": (1.1, 0.03),
    "hip_flexion_asymmetry": (2.0, 3.0),
    "knee_flexion_asymmetry": (1.0, 3.0),
    "ankle_dorsiflexion_asymmetry": (1.0, 3.0),
    "knee_flexion_variability": ((1.0, 1.2), (float("nan"), float("nan"))),
    "smoothness_sparc": (-1.5, 0.05),
}
"""A squat without fault: value and sd of each metric, (left, right) where it has sides."""


def metrics_of(changed: Mapping[str, Any] | None = None, **attrs: Any) -> xr.Dataset:
    """The good squat with some metrics changed: `{name: (value, sd)}`; None leaves one out."""
    variables: dict[str, xr.DataArray] = {}
    for name, given in {**GOOD, **(changed or {})}.items():
        if given is None:
            continue
        for key, value in zip((name, f"{name}_sd"), given, strict=True):
            coords = {"side": ["left", "right"]} if isinstance(value, tuple) else None
            kind = next((kind for kind in ("asymmetry", "variability") if key.endswith(kind)), "")
            variables[key] = xr.DataArray(
                np.asarray(value, dtype=float),
                dims=list(coords or {}),
                coords=coords,
                attrs={"quantity": name.removesuffix(f"_{kind}"), "kind": kind},
            )
    variables["accepted_repetitions"] = xr.DataArray(5)
    dataset = xr.Dataset(variables, attrs={"ds_type": "metrics", **attrs})
    return provenance.with_history(dataset, "by_hand", {})
