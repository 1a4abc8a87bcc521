"""Agreement of times of repetitions and of tests, from video and from a lab's own file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import xarray as xr

from mobility.validation.agreement import agreement


def agreement_of_times(
    trials: Sequence[xr.Dataset], participants: Sequence[str]
) -> xr.Dataset | None:
    """Compare the times of trials of the same exercise; None where nothing can be compared.

    Parameters
    ----------
    trials
        Each with ``times(system, quantity, rep)`` of the systems "video" and "lab",
        ``times_sd(quantity, rep)``, and the coordinates ``units`` and ``long_name`` of each
        quantity; one without has no times.
    participants
        Participant of each trial.

    Returns
    -------
    xarray.Dataset
        That of :func:`~mobility.validation.agreement.agreement` over ``quantity``, with
        ``video`` and ``lab``, the means of the pairs, and the same coordinates.
    """
    timed = [
        (trial, who) for trial, who in zip(trials, participants, strict=True) if "times" in trial
    ]
    paired = [trial["times"].notnull().all("system").any("rep") for trial, _ in timed]
    names = [
        name
        for name in (timed[0][0]["quantity"].values.tolist() if timed else [])
        if any(bool(each.sel(quantity=name)) for each in paired)
    ]
    if not names:
        return None
    chosen = [trial.sel(quantity=names) for trial, _ in timed]
    videos = [_by_name(each, "video").assign(_errors(each)) for each in chosen]
    labs = [_by_name(each, "lab") for each in chosen]
    compared = agreement(videos, labs, participants=[who for _, who in timed])
    compared = compared.sel(metric="value", side="middle", drop=True)
    both = (compared["video_values"] - compared["lab_values"]).notnull()
    means = {
        system: compared[f"{system}_values"].where(both).mean("rep") for system in ("video", "lab")
    }
    result = compared.assign(means).rename(angle="quantity")
    return result.assign_coords(long_name=("quantity", chosen[0]["long_name"].to_numpy()))


def _by_name(trial: xr.Dataset, system: str) -> xr.Dataset:
    """Give the times of one system as metrics of the repetitions."""
    times = trial["times"].sel(system=system)
    return _split(times, {"units": trial["units"].to_numpy().tolist()})


def _errors(trial: xr.Dataset) -> dict[str, xr.DataArray]:
    of_name = _split(trial["times_sd"], {})
    return {f"{name}_sd": values for name, values in of_name.data_vars.items()}


def _split(values: xr.DataArray, attrs: dict[str, list[Any]]) -> xr.Dataset:
    parts = {}
    for number, name in enumerate(values["quantity"].values.tolist()):
        one = {key: entries[number] for key, entries in attrs.items()}
        parts[name] = ("rep", values.isel(quantity=number).to_numpy(), one)
    return xr.Dataset(parts, coords={"rep": values["rep"].to_numpy()})
