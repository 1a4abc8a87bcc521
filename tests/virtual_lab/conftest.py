"""Bodies of the virtual lab, where its extra is installed."""

from __future__ import annotations

import warnings

import pytest
from extras import require

from mobility.virtual_lab.body import Body, parametric_body


@pytest.fixture(scope="session")
def extra() -> None:
    """Need the extra `virtual-lab`."""
    require("virtual-lab", "anny", "pyvista", "torch")


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
