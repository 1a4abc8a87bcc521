"""Progress bars: on a terminal and in a notebook, nowhere else."""

from __future__ import annotations

import sys
from typing import Any


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
    in_notebook = "ipykernel" in sys.modules and _kernel_is_running()
    if in_notebook:
        from tqdm.auto import tqdm
    else:
        from tqdm import tqdm
    # disable=None: silent where standard error is not a terminal.
    return tqdm(
        total=total,
        desc=description,
        unit=unit,
        disable=False if in_notebook else None,
        leave=False,
    )


def _kernel_is_running() -> bool:
    from IPython.core.getipython import get_ipython

    return getattr(get_ipython(), "kernel", None) is not None
