"""Progress bars: on a terminal and in a notebook, nowhere else."""

from __future__ import annotations

import sys
from typing import Any


def watched() -> bool:
    """Whether somebody sees the progress: standard error is a terminal, or this is a notebook."""
    return _in_notebook() or (sys.stderr is not None and sys.stderr.isatty())


def progress_bar(description: str, *, total: float | None = None, unit: str = "frame") -> Any:
    """Return a tqdm bar that shows itself only where somebody is watching.

    Parameters
    ----------
    description
        What is being done, for people.
    total
        Number of units, where it is known.
    unit
        Name of one unit.
    """
    if _in_notebook():
        from tqdm.auto import tqdm
    else:
        from tqdm import tqdm
    return tqdm(total=total, desc=description, unit=unit, disable=not watched(), leave=False)


def _in_notebook() -> bool:
    if "ipykernel" not in sys.modules:
        return False
    from IPython.core.getipython import get_ipython

    return getattr(get_ipython(), "kernel", None) is not None
