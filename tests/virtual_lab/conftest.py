"""Bodies of the virtual lab, where its extra is installed."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from extras import require

from mobility.virtual_lab import case
from mobility.virtual_lab.parametric_body import Body, parametric_body

BUILT: dict[tuple[Any, ...], Body] = {}


def _built(**who: Any) -> Body:
    key = tuple(sorted(who.items()))
    if key not in BUILT:
        BUILT[key] = parametric_body(**who)
    return BUILT[key]


@pytest.fixture(scope="module", autouse=True)
def one_body_each() -> Iterator[None]:
    """Let cases that show the same person build the body once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(case, "parametric_body", _built)
        yield


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
        return _built(sex="male", age=28, height_m=1.78, weight_kg=76)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put all that needs the extra into the slow tier, before which it is installed."""
    for item in items:
        if {"extra", "body"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)
