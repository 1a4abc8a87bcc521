"""Keys for phones in the same network, as codes that a phone scans."""

from __future__ import annotations

import io
import secrets
import socket
from typing import Any

from mobility.errors import BadInputError, ConflictError
from mobility.server.api_keys import PHONE, Keys
from mobility.server.pages import PAGES
from mobility.store import Store

HOURS = 12
"""How long a code is valid."""

PHONES_VARIABLE = "MOBILITY_PHONES"
"""Environment variable with the address for phones, for kernels; absent if none are let in."""


def network_address() -> str:
    """Address of this computer in its network, found without sending anything."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # An address for documentation (RFC 5737): a datagram socket connects without a packet.
            probe.connect(("192.0.2.1", 9))
            address = str(probe.getsockname()[0])
        except OSError:
            address = "127.0.0.1"
    if address.startswith("127."):
        raise ConflictError("this computer is not in a network; join one, or leave out --lan")
    return address


def new_code(store: Store, place: str, *, user_id: str | None = None) -> str:
    """Make a key for one phone, and return the address that its code holds.

    `place` is the address for phones ("http://192.168.1.5:8891"). The key may add videos of
    `user_id`, by default a new participant, and see what it added.
    """
    user = user_id or f"phone-{secrets.token_hex(4)}"
    key, stored = Keys(store).create(PHONE, user_id=user, expires_days=HOURS / 24)
    # Browsers send nothing after #, so that the key is in no request and no log.
    return f"{place}{PAGES}/phone/{stored.id}#{key}"


def picture(address: str) -> str:
    """QR code of an address as SVG."""
    out = io.BytesIO()
    _code(address).save(
        out, kind="svg", scale=5, border=4, dark="#000", light="#fff", xmldecl=False
    )
    return out.getvalue().decode()


def text(address: str) -> str:
    """QR code of an address as text for a terminal."""
    out = io.StringIO()
    _code(address).terminal(out, compact=True)
    return out.getvalue()


def _code(address: str) -> Any:
    try:
        import segno
    except ImportError:
        raise BadInputError(
            "codes for phones need the extra open: pip install 'mobility-workbench[open]'"
        ) from None
    return segno.make(address, error="m", micro=False)
