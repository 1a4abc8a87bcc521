"""What reports are made from: their notebooks, and a digest of all that decides how they read."""

from __future__ import annotations

import functools
import hashlib
import sysconfig
from pathlib import Path

import mobility
from mobility.errors import NotFoundError

_READ = (".py", ".yaml", ".css", ".j2")
"""Files of the package that a report is made with."""


def find_notebook(name: str) -> Path:
    """Find a report notebook: in the checkout, else where the installation put it.

    Raises
    ------
    NotFoundError
        If it is in neither place.
    """
    checkout = Path(__file__).resolve().parents[2] / "notebooks"
    installed = Path(sysconfig.get_path("data")) / "share" / "mobility" / "notebooks"
    for place in (checkout, installed):
        if (place / f"{name}.ipynb").is_file():
            return place / f"{name}.ipynb"
    raise NotFoundError(f"there is no notebook {name}.ipynb in {checkout} or {installed}")


@functools.cache
def made_with(notebook: str) -> str:
    """Digest of all that decides how a report reads: code, tables and style, and the notebook.

    Parameters
    ----------
    notebook
        Name of the notebook without its ending.

    Returns
    -------
    str
        SHA-256; another one after an update, also of a checkout whose version stayed the same.
    """
    package = Path(mobility.__file__).parent
    read = (f for f in package.rglob("*") if f.suffix in _READ and f.is_file())
    digest = hashlib.sha256()
    for file in (*sorted(read), find_notebook(notebook)):
        name = file.relative_to(package).as_posix() if package in file.parents else file.name
        content = file.read_bytes()
        digest.update(f"{name}\n{len(content)}\n".encode() + content)
    return digest.hexdigest()
