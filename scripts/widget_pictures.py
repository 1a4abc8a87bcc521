"""Take the pictures of the widgets in docs/images: ``python scripts/widget_pictures.py``."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT / "tests"))

from jupyter_lab import jupyter_lab  # noqa: E402
from widget_page import make_page  # noqa: E402


def main() -> None:
    """Use every widget in a real JupyterLab, and keep how it looks."""
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
            shutil.copy(folder / "failed.png", images / "failed.png")
            sys.exit(1)
        for name in ("config", "trial", "sessions", "upload"):
            picture = cv2.imread(str(folder / f"{name}.png"))
            # Few colours: a small file that looks the same.
            cv2.imwrite(str(images / f"{name}.png"), picture, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    print(told.stdout.decode())


if __name__ == "__main__":
    main()
