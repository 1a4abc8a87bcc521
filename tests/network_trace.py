"""What a command and all that it starts ask of the network, as strace sees it."""

from __future__ import annotations

import ipaddress
import re
import shutil
from pathlib import Path

CALLS = "trace=socket,connect,sendto,sendmsg,sendmmsg"


def tracing(log: Path, *, detached: bool = False) -> list[str]:
    """Put before a command, it writes the network calls of it and all that it starts to `log`."""
    strace = shutil.which("strace")
    assert strace, "needs strace, which `make test-all` installs"
    return [
        strace,
        "-f",
        "--seccomp-bpf",
        *(["-D"] if detached else []),
        "-e",
        CALLS,
        "-o",
        str(log),
    ]


def addresses_outside(log: Path) -> set[str]:
    """Addresses beyond the loopback interface, and name servers, to which a call was made."""
    outside = set()
    for line in log.read_text(errors="replace").splitlines():
        if not re.search(r"sa_family=AF_INET6?\b", line):
            continue
        port = re.search(r"htons\((\d+)\)", line)
        for text in re.findall(r'inet_(?:addr|pton)\((?:AF_INET6?, )?"([^"]+)"', line):
            address = ipaddress.ip_address(text)
            mapped = getattr(address, "ipv4_mapped", None)
            if not (mapped or address).is_loopback or (port and port[1] == "53"):
                outside.add(f"{text}:{port[1] if port else '?'}")
    return outside


def refused(log: Path) -> int:
    """Sockets that the kernel refused, as it does in pose workers: the library did try to send."""
    return len(re.findall(r"socket\(.*= -1 EACCES", log.read_text(errors="replace")))
