"""Take the pictures of the widgets in docs/images: ``python scripts/widget_pictures.py``."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT / "tests"))

from jupyter_lab import jupyter_lab  # noqa: E402
from widget_page import make_page  # noqa: E402


def main() -> None:
    """Use every widget in a real JupyterLab, and store pictures of them."""
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("needs Debian's chromium: apt-get install --no-install-recommends chromium")
    images = PROJECT / "docs" / "images"
    images.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        page = make_page(PROJECT / "data" / "demo" / "overhead-squat", folder)
        with jupyter_lab(folder, ["lab", page.name]) as address:
            told = subprocess.run(  # noqa: S603
                [
                    sys.executable,
                    PROJECT / "tests" / "browser.py",
                    chromium,
                    "widgets",
                    address,
                    folder,
                ],
                cwd=PROJECT,
                check=False,
                stdout=subprocess.PIPE,
            )
        if told.returncode != 0:
            failed = PROJECT / "build" / "widgets-failed.png"
            failed.parent.mkdir(exist_ok=True)
            shutil.copy(folder / "failed.png", failed)
            sys.exit(f"the page as it was: {failed}")
        for name in ("config", "trial", "sessions", "upload"):
            # A palette makes a small file that looks the same.
            picture = Image.open(folder / f"{name}.png").convert("RGB").quantize(200)
            picture.save(images / f"{name}.png", optimize=True)
    print(told.stdout.decode())


if __name__ == "__main__":
    main()
