from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from lab_cases import measured

from mobility.errors import StorageError
from mobility.virtual_lab.agreement_with_truth import agreement
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
    errors = agreement(datasets)
    (folder / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        write_report(errors, [], folder / "file", grid="g")
    return write_report(errors, done, folder / "out", grid="three & one")


def test_the_page_stands_alone_and_has_the_numbers(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"(src|href)=['\"](?!data:)", text)
    for escaped in ("three &amp; one", "a&lt;b", "weight &lt;is&gt; out of reach"):
        assert escaped in text
    assert text.count("data:image/png;base64,") == 2
    cells = [part for part in re.split(r"<[^>]*>", text) if part.strip()]
    at = cells.index("Knee flexion")
    # Mean of 4, -2 and 12; mean of 4, 2 and 12; two of three within 9.8 degrees.
    assert (cells[at + 1], cells[at + 2], cells[at + 4]) == ("+4.7", "6.0", "67 %")
