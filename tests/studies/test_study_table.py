"""The list of a study, and its table: every session and every measure has its row."""

from __future__ import annotations

from pathlib import Path

import pytest
from cohort_cases import add_failed, add_session

from mobility.errors import BadInputError, NotFoundError
from mobility.serve.batch.study import read_study
from mobility.store import Store
from mobility.studies.study_table import choose_metrics, read_list, scores


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, demo: Path) -> Store:
    """Ann twice, Bob once, Cid failed, and one of nobody."""
    made = Store(tmp_path_factory.mktemp("study"))
    add_session(
        made, demo, "a1", user_id="ann", date="2026-03-01", values={"knee_flexion": [100, 104]}
    )
    add_session(
        made, demo, "a2", user_id="ann", date="2026-04-01", values={"knee_flexion": [110, 106]}
    )
    add_session(made, demo, "b1", user_id="bob", date="2026-03-02")
    add_failed(made, demo, "c1", user_id="cid", date="2026-03-03")
    add_session(made, demo, "x1", user_id="anonymous", date="2026-03-04")
    return made


def listed(folder: Path, text: str) -> Path:
    (folder / "study.csv").write_text(text)
    return folder / "study.csv"


def test_a_row_for_each_session_measure_and_side(store: Store, tmp_path: Path) -> None:
    file = listed(tmp_path, "session,visit,Group\na1,1,x\na2,2,x\nb1,1,y\nc1,1,y\n")
    study = read_study(file, store=store)
    knee = study.table[study.table["metric"] == "knee_flexion"].set_index(["session_id", "side"])
    assert knee["value"]["a1", "left"] == 100
    assert knee["value"]["a2", "right"] == 106
    assert knee["visit"]["a2", "left"] == 2
    assert knee["group"]["b1", "left"] == "y"
    assert knee["participant"]["a2", "left"] == "ann"
    assert "analysis failed" in knee["reason"]["c1", "left"]
    assert study.table.groupby("session_id").size().nunique() == 1
    assert study.columns == ("visit", "group")
    counts = dict(study.flow())
    assert counts["sessions listed"] == 4
    assert counts["sessions measured"] == 3
    assert counts["participants"] == 3
    assert counts["participants with a measured session"] == 2
    assert sum(n for words, n in counts.items() if words.startswith("left out")) == 1


@pytest.mark.parametrize("visits", [False, True])
def test_without_any_value_it_is_one_line(store: Store, tmp_path: Path, visits: bool) -> None:
    with pytest.raises(BadInputError, match=r"no session has a value .* `mobility sessions` shows"):
        read_study(listed(tmp_path, "session\nc1\n"), store=store, visits=visits)


def test_repetitions_of_a_session(store: Store, tmp_path: Path) -> None:
    study = read_study(listed(tmp_path, "session\na1\n"), store=store, level="repetition")
    knee = study.table.query("metric == 'knee_flexion_bottom' and side == 'left'")
    assert knee["rep"].tolist() == [1, 2, 3]


def test_measures_are_chosen_by_name(store: Store, tmp_path: Path) -> None:
    table = read_study(listed(tmp_path, "session\na1\n"), store=store).table
    assert choose_metrics(table, ["knee_flexion", "knee_flexion"]) == ["knee_flexion"]
    assert "fms_probability[torso]" in choose_metrics(table, None)
    assert "knee_flexion_variability" not in choose_metrics(table, None)  # it has no value
    with pytest.raises(BadInputError, match="did you mean 'knee_flexion'"):
        choose_metrics(table, ["knee_flexio"])
    with pytest.raises(
        BadInputError, match=r"did you mean 'knee_\w+' or 'knee_\w+' or 'knee_\w+'\?"
    ):
        choose_metrics(table, ["Knee"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("session,visitt\na1,1\n", "did you mean 'visit'"),
        ("session,session\na1,a1\n", "the column 'session' twice"),
        ("session,value\na1,1\n", "give it another name"),
        ("session,left_out\na1,1\n", "give it another name"),
        ("session,view\na1,left\n", "give it another name"),
        ("session,exercise\na1,Squat\n", "'exercise' is an option for the analysis of videos"),
        ("session,\na1,1\n", "a column without a name"),
        ("participant,visit\nann,1\n", "needs one of the columns"),
        ("session,visit\na1\n", "line 2: 1 values for 2 columns"),
        ("session,visit\na1,\n", "line 2: has no visit"),
        ("session,team\na1,\x1b[2J\n", r"line 2: has the control character U\+001B"),
        ("session,te\u202eam\na1,b\n", r"line 1: has the control character U\+202E"),
        (f"session,{'x' * 300}\na1,b\n", "a column has a name of over 200 characters"),
        (f"session,team\na1,{'x' * 300}\n", "line 2: team has over 200 characters"),
        ("session\na1\na1\n", "study.csv: lines 2, 3 are the same session"),
        (
            "session,participant\na1,bob\n",
            "study.csv, line 2: .* belongs to participant ann, not to bob",
        ),
        ("session\nx1\n", "study.csv, line 2: .* has no participant"),
        ("video\nv.mp4\n", "has no column 'participant'"),
        ("video,participant\nv.mp4,ann\n", "Nothing was run"),
        ("video,participant\nv.mp4,ann\nv.mp4,ann\n", "lines 2, 3 are the same session, v.mp4"),
    ],
)
def test_what_cannot_be_used(store: Store, tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(BadInputError, match=words):
        read_study(listed(tmp_path, text), store=store)


def test_a_session_that_is_listed_often_is_said_before_any_is_read(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = listed(tmp_path, "session\n" + "a1\n" * 3000)
    monkeypatch.setattr(Store, "session", lambda *_: pytest.fail("a session was read"))
    with pytest.raises(BadInputError, match="lines 2, 3, 4 and 2997 more are the same") as error:
        read_study(file, store=store)
    assert len(str(error.value)) < len(str(file)) + 100


def test_numbers_of_an_older_version_of_a_measure_are_not_used(tmp_path: Path, demo: Path) -> None:
    store = Store(tmp_path / "sessions")
    for number, version in enumerate(("2", "10", "10")):
        name, user = f"s{number}", f"p{number}"
        versions = {"knee_flexion": version}
        add_session(store, demo, name, user_id=user, date="2026-03-01", versions=versions)
    table = read_study(listed(tmp_path, "session\ns0\ns1\ns2\n"), store=store).table
    knee = table.query("metric == 'knee_flexion' and side == 'left'").set_index("session_id")
    assert knee["value"].notna().tolist() == [False, True, True]
    assert "older version" in knee["reason"]["s0"]
    assert set(knee["version"]) == {"10"}


def test_sessions_that_are_not_there(store: Store, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"line 3: .*a9"):
        read_study(listed(tmp_path, "session\na1\na9\n"), store=store)
    with pytest.raises(NotFoundError, match="no such file"):
        read_list(tmp_path / "absent.csv")


def test_the_list_names_the_participant_of_a_nameless_session(store: Store, tmp_path: Path) -> None:
    study = read_study(listed(tmp_path, "session,participant\nx1,dan\n"), store=store)
    assert set(study.table["participant"]) == {"dan"}


def test_numbers_of_the_study_are_numbers(tmp_path: Path) -> None:
    table = read_list(listed(tmp_path, "session;mass;team;shoe\na;70.5;1a;\nb;;2b;42\n"))
    assert table["shoe"][1] == 42
    table = read_list(listed(tmp_path, "session,mass,team\na,70.5,1a\nb,,2b\n"))
    assert table["mass"][0] == 70.5
    assert table["mass"].isna().tolist() == [False, True]
    assert table["team"].tolist() == ["1a", "2b"]
    assert table["line"].tolist() == [2, 3]


AGES = "session,age\na,41\nb,forty\nc,\nd,39\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (AGES, "line 3: age 'forty' is not a number; correct it, or leave it empty"),
        ("session,age\na,old\nb,young\n", "line 2: age 'old' is not a number"),
        ("session,weight_kg\na,70\nb,nan\n", "line 3: weight_kg 'nan' is not a number"),
        ("session,height_m\na,inf\n", "line 2: height_m 'inf' is not a number"),
        (
            "session,visit\na,1\nb,one\nc,2\n",
            "line 3: visit 'one' is not a number, like most of the column; correct it, or begin "
            "all its values with a letter if they are names$",
        ),
        ("session,dose\na,1\nb,NA\nc,2\n", "line 3: dose 'NA' is not .* leave it empty"),
        ("session;mass\na;70,5\nb;\n", "line 2: mass '70,5' is not .* with a point, 70.5"),
        ("session,dose\na,nan\nb,inf\nc,0x10\n", "line 2: dose 'nan' is not a number"),
        ("session,dose\na,1\nb,1_000\nc,2\n", "line 3: dose '1_000' is not a number"),
        ("session,dose\na,1\nb,٣\nc,2\n", "line 3: dose '٣' is not a number"),
        ("session,dose\na,1\nb,1e308\n", "line 3: dose '1e308' is too large or too small"),
        ("session,age\na,40\nb,-3\n", "line 3: .*age.*greater than or equal to 0"),
        ("session,height_m\na,1.7\nb,170\n", "line 3: .*height_m.*less than or equal to 2.6"),
        ("session;mass\na;70\nb;70,5\nc;tall\n", "line 3: mass '70,5' is not a number"),
    ],
)
def test_a_column_does_not_mix_numbers_and_words(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(BadInputError, match=words):
        read_list(listed(tmp_path, text))


def test_a_column_of_words_may_have_some_that_are_numbers(tmp_path: Path) -> None:
    table = read_list(listed(tmp_path, "session,team,age\na,1a,\nb,2,\n"))
    assert table["team"].tolist() == ["1a", "2"]
    assert table["age"].isna().all()


def test_criteria_are_decisions_too(store: Store, tmp_path: Path) -> None:
    table = read_study(listed(tmp_path, "session\na1\n"), store=store).table
    rows = table.set_index("metric")
    assert "fms_met[torso]" in scores(table)
    for item in ("torso", "dowel"):
        expected = float(rows.loc[f"fms_probability[{item}]", "value"] >= 0.5)
        assert rows.loc[f"fms_met[{item}]", "value"] == expected
    met = rows[rows.index.str.startswith(("fms_met[", "compensation_met["))]
    assert len(met) > 8
    assert (met["value"].notna() != met["reason"].astype(bool)).all()  # decided, or said why not
