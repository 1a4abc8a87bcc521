"""The page of ``mobility open``: its widgets, and the codes for phones."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from typing import Any

import traitlets

from mobility import Store
from mobility.serve import local
from mobility.widgets.front import Front
from mobility.widgets.widget import Act, Widget, module


class PhoneCodes(Widget):
    """Codes with which phones in the same network can add videos.

    Parameters
    ----------
    store
        Store for the videos from phones.
    network
        Address for phones ("http://192.168.1.5:8891").
    """

    _esm = module("phone_codes")
    fields_of_page = frozenset({"user_id"})

    hours = traitlets.Int(local.HOURS).tag(sync=True)

    def __init__(self, store: Store, network: str) -> None:
        self._store = store
        self._network = network
        super().__init__()

    def acts(self) -> dict[str, Act]:
        """Return the actions that the page may request, by name."""
        return {"code": lambda content, _: self._send_code(content)}

    def _send_code(self, content: Mapping[str, Any]) -> None:
        user_id = str(content.get("user_id") or "") or None
        url = local.new_code(self._store, self._network, user_id=user_id)
        self.send({"kind": "code", "address": url, "picture": local.picture(url)})


@functools.cache
def show() -> Front:
    """Create the widgets of the page, once for each kernel.

    A reloaded page shows the same widgets.
    """
    store = Store(os.environ["MOBILITY_STORE"], reports=os.environ["MOBILITY_REPORTS"])
    network = os.environ.get(local.PHONES_VARIABLE)
    return Front(store, PhoneCodes(store, network) if network else None)
