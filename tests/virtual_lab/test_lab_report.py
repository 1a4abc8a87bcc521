from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from lab_cases import measured

from mobility.errors import StorageError
from mobility.virtual_lab.agreement import agreement
from mobility.virtual_lab.case import case_from
from mobility.virtual_lab.lab_report import write_report
from mobility.virtual_lab.sweep import Done


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    datasets = {
        "a<b": measured(azimuth=0, error=4, sd=5),
        "b": measured(azimuth=5, error=-2, sd=5, bend=80),
        "c": measured(azimuth=90, error=12, sd=5),
    }
    done = [Done(case_from({"name": name}), folder, 1.0) for name in datasets]
    done.append(Done(case_from({"name": "d"}), folder, np.nan, "weight <is> out of reach"))
    found = agreement(datasets)
    (folder / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        write_report(found, [], folder / "file", grid="g")
    return write_report(found, done, folder / "out", grid="three & one")


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.said: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in ("meta", "br", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.said.append(data)


def test_the_page_stands_alone_and_has_the_numbers(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    reader = _Text()
    reader.feed(text)
    assert reader.open == []
    assert not re.search(r"(src|href)=['\"](?!data:)", text)
    assert "three &amp; one" in text
    assert "a&lt;b" in text
    assert "weight &lt;is&gt; out of reach" in text
    assert text.count("data:image/png;base64,") == 2
    assert all(alt for alt in re.findall(r"alt='([^']*)'", text))
    said = [part for part in reader.said if part.strip()]
    at = said.index("Knee flexion")
    # Mean of 4, -2 and 12; mean of 4, 2 and 12; two of three within 9.8 degrees.
    assert (said[at + 1], said[at + 2], said[at + 4]) == ("+4.7", "6.0", "67 %")


def test_numbers_and_pictures_lie_beside_the_page(page: Path) -> None:
    data = xr.load_dataset(page.with_suffix(".nc"), engine="h5netcdf")
    one = data.sel(view="all", clips="all", angle="knee_flexion", part="all", estimator="fitted")
    assert float(one["bias"]) == pytest.approx(14 / 3, abs=0.01)
    names = sorted(path.name for path in (page.parent / "images").iterdir())
    assert names == ["azimuth.png", "views.png"]
