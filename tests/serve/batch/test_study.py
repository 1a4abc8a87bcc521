"""Videos of a study are analysed once, and then found by what they are."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from cohort_cases import add_session

from mobility.errors import BadInputError
from mobility.serve.batch import study
from mobility.serve.batch.study import read_study
from mobility.store import Store


def test_videos_are_analysed_first_and_only_once(
    tmp_path: Path, clips: ModuleType, demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "sessions")
    batches: list[list[str]] = []

    def analysed(rows: Any, store: Store, **_: Any) -> None:
        batches.append([row.video.name for row in rows])
        for row in rows:
            add_session(store, demo, row.session_id, user_id=row.participant, date="2026-03-01")

    monkeypatch.setattr(study, "run_batch", analysed)
    for number, name in enumerate(("a.mp4", "b.mp4")):
        clips.make_clip(tmp_path / name, 3 + number)
    listed = tmp_path / "study.csv"
    listed.write_text("video,participant,visit\na.mp4,ann,1\n")
    read_study(listed, store=store)
    listed.write_text("video,participant,visit\nb.mp4,ann,2\na.mp4,ann,1\n")
    table = read_study(listed, store=store).table
    assert batches == [["a.mp4"], ["b.mp4"]]
    ids = table.groupby("visit")["session_id"].unique()
    assert store.session(ids[1][0]).record.user_id == "ann"
    assert len(ids[1]) == len(ids[2]) == 1
    assert ids[1][0] != ids[2][0]


def test_rows_that_cannot_be_analysed_are_named(tmp_path: Path, clips: ModuleType) -> None:
    clips.make_clip(tmp_path / "a.mp4", 3)
    (tmp_path / "study.csv").write_text("video,participant,exercise\na.mp4,ann,Overhead Squad\n")
    with pytest.raises(BadInputError, match=r"row 2, column exercise: .*Nothing was run") as caught:
        read_study(tmp_path / "study.csv", store=Store(tmp_path / "sessions"))
    assert list(caught.value.fields) == ["row 2, column exercise"]
