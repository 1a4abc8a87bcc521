"""Bodies of the virtual lab, where its extra is installed."""

from __future__ import annotations

import importlib.util
import os
import warnings

import pytest

from mobility.virtual_lab.body import Body, parametric_body


@pytest.fixture(scope="session")
def extra() -> None:
    """Skip without the extra `virtual-lab`; in CI fail instead."""
    missing = [name for name in ("anny", "pyvista", "torch") if not importlib.util.find_spec(name)]
    if missing:
        reason = f"needs the extra virtual-lab ({', '.join(missing)} not installed)"
        if os.environ.get("CI"):
            pytest.fail(f"CI {reason}")
        pytest.skip(reason)


@pytest.fixture(scope="session")
def body(extra: None) -> Body:
    """Build a man of 1.78 m and 76 kg."""
    with warnings.catch_warnings():
        # What torch and warp warn of while they are imported is not ours.
        warnings.simplefilter("ignore")
        return parametric_body(sex="male", age=28, height_m=1.78, weight_kg=76)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put all that needs the extra into the slow tier, before which it is installed."""
    for item in items:
        if {"extra", "body"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)
