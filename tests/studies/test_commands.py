"""The command `visit`: the page, its document, and one line for what is no visit.

The commands for studies: their documents and tables, and what they refuse in one line.
"""

from __future__ import annotations

import json
import math
import shutil
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import other_processes
import pytest
from cohort_cases import add_session, add_study
from demo_sessions import change_record, copy_of, taken_as_current
from other_processes import command, refused

from mobility.assessment.verdict import LEVELS
from mobility.serve.batch import study
from mobility.store import Store
from mobility.studies import cohort
from mobility.studies.references import reference, references

WHEN = "2026-05-04T09:00:00+02:00"


pytestmark = pytest.mark.usefixtures("one_server")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, demo: Path) -> Store:
    """A store in the present folder, with a session of p01 and two of nobody in particular."""
    monkeypatch.chdir(tmp_path)
    store = Store("data/sessions")
    store.path.mkdir(parents=True)
    for name, user_id in (("squat", "p01"), ("of-somebody", "anonymous")):
        taken_as_current(copy_of(demo, store, name, user_id=user_id, created_at=WHEN))
    return store


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("p02", "participant p02: not in the store"),
        ("p0l", "did you mean 'p01'"),
        ("anonymous", "may belong to different people"),
        ("p01 --on 2026-05-05", "no session on 2026-05-05; choose from 2026-05-04"),
        ("p01 --on yesterday", "--on: must be a day such as 2026-11-30"),
        ("p01 --only squad", "--only: 'squad' is not a session of p01 on 2026-05-04"),
        ("p01 --without of-somebody", "--without: 'of-somebody' is not a session of p01"),
        ("p01 --without squat", "--without: leaves no session"),
        ("p01 --only squat --without squat", "--without: cannot be combined with only"),
        ("p/1", "ID: use 1 to 64 letters"),
    ],
)
def test_what_is_no_visit_is_one_line(store, typed, words):
    done = command("visit", *typed.split())
    other_processes.refused(done, words)
    assert not Path("reports").exists()


def test_one_film_has_a_page_and_a_document(store):
    done = command("visit", "p01")
    assert done.returncode == 0, done.stderr
    page = Path(done.stdout.removeprefix("report").strip())
    assert page == Path("reports/visits/p01/2026-05-04/visit.html").resolve()
    assert "Overhead Squat" in page.read_text("utf-8")
    document = json.loads(command("visit", "p01", "--on", "2026-05-04", "--json").stdout)
    assert document["user_id"] == "p01"
    assert [film["session_id"] for film in document["films"]] == ["squat"]
    assert {check["result"] for check in document["checks"]} >= {"outside", "met"}
    client = command("visit", "p01", "--client").stdout
    assert client.strip().endswith("visit.client.html")


def test_unusable_and_unfinished_sessions_are_said_and_the_rest_is_shown(store, demo):
    for name, state in (("failed", "failed"), ("begun", "created")):
        session = copy_of(demo, store, name, user_id="p01", created_at=WHEN, state=state)
        reason = {"reason": "nobody is in the picture"} if state == "failed" else {}
        change_record(session, stages={}, **reason)
    done = command("visit", "p01")
    assert done.returncode == 0, done.stderr
    text = Path(done.stdout.removeprefix("report").strip()).read_text("utf-8")
    assert "the analysis failed: nobody is in the picture" in text
    assert "not analysed yet" in text
    assert "Knee flexion" in text
    for name in ("squat",):
        shutil.rmtree(store.path / name)
    done = command("visit", "p01")
    assert done.returncode == 0, done.stderr
    text = Path(done.stdout.removeprefix("report").strip()).read_text("utf-8")
    assert "None of the films has results yet." in text


PEOPLE = 12
HEAD = "session,participant,visit,group"


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, demo: Path) -> Store:
    """Twelve people who were filmed twice."""
    folder = tmp_path_factory.mktemp("studies")
    store = Store(folder / "sessions", reports=folder / "reports")
    add_study(store, demo, PEOPLE)
    return store


def rows(people: Any, visits: tuple[int, ...] = (1, 2)) -> list[str]:
    """Rows of the list of a study."""
    return [
        f"s{person}v{visit},p{person},{visit},{'patients' if person % 2 else 'controls'}"
        for person in people
        for visit in visits
    ]


@pytest.fixture
def listed(filled: Store, tmp_path: Path) -> Any:
    """Write the list of a study."""

    def write(*lines: str, head: str = HEAD) -> Path:
        (tmp_path / "study.csv").write_text("\n".join([head, *lines]) + "\n")
        return tmp_path / "study.csv"

    return write


@pytest.fixture
def mobility(filled: Store) -> Any:
    return partial(command, store=filled.path)


def of_json(done: Any, *, status: int = 1) -> dict[str, Any]:
    """Read what a command printed; a session of the study failed, unless the status says other."""
    assert (done.returncode, done.stderr) == (status, "")
    document: dict[str, Any] = json.loads(
        done.stdout, parse_constant=lambda text: pytest.fail(f"{text} is no JSON")
    )
    return document


def test_the_document_of_reliability(filled: Store, mobility: Any) -> None:
    file = filled.path.parent / "study.csv"
    asked = ("reliability", file, "--no-report", "--json", "--metrics", "knee_flexion,trunk_lean")
    document = of_json(mobility(*asked))
    measures = {(each["metric"], each["side"]): each for each in document["measures"]}
    assert list(measures) == [("knee_flexion", side) for side in ("left", "right")] + [
        ("trunk_lean", "")
    ]
    knee = measures["knee_flexion", "right"]
    assert list(knee["icc"]) == ["ICC(A,1)", "ICC(C,1)", "ICC(A,k)", "ICC(C,k)"]
    for one in (*knee["icc"].values(), knee["sem"], knee["mdc95"]):
        assert one["lower"] < one["value"] < one["upper"]
    # Errors of 2 degrees among people who differ by 15.
    assert 1.0 < knee["sem"]["value"] < 3.5
    assert knee["mdc95"]["value"] == pytest.approx(1.96 * math.sqrt(2) * knee["sem"]["value"], 1e-3)
    assert knee["icc"]["ICC(A,1)"]["value"] > 0.9
    assert [knee[name] for name in ("n", "values", "refused", "units")] == [11, 23, 1, "degree"]
    left = measures["knee_flexion", "left"]
    assert (left["values"], left["refused"]) == (22, 2)
    # The demo's lean is the same in everybody: there is nothing to tell people by.
    assert measures["trunk_lean", ""]["sem"]["value"] is None
    assert "the same" in measures["trunk_lean", ""]["sem"]["reason"]
    reasons = [(row["side"], row["values"]) for row in document["without_value"]]
    assert sorted(reasons)[-1] == ("right", 1)
    assert any("nobody was found" in row["reason"] for row in document["without_value"])
    assert document["flow"][0]["trials"] == 24
    assert document["report"] is document["saved"] is None


def test_the_document_of_groups(filled: Store, mobility: Any) -> None:
    file = filled.path.parent / "study.csv"
    asked = ("groups", file, "--by", "group", "--within", "visit", "--no-report", "--json")
    document = of_json(mobility(*asked, "--metrics", "knee_flexion"))
    rows = {(row["side"], row["effect"]): row for row in document["differences"]}
    assert {effect for _, effect in rows} == {"group", "visit", "group × visit"}
    between = rows["right", "group"]
    assert between["comparison"] == "patients − controls"
    assert between["low"] < -25 < between["high"] < 0
    assert between["p"] <= between["p_holm"] < 0.01
    assert (between["participants"], between["values"], between["missing"]) == (12, 23, 1)
    assert {row["metric"] for row in document["description"]} == {"knee_flexion"}
    assert any("nobody was found" in row["reason"] for row in document["without_value"])
    assert document["flow"][0]["count"] == 24
    assert document["report"] is None
    assert document["warnings"] == []


@pytest.mark.slow
def test_each_question_has_a_page_of_its_own(filled: Store, mobility: Any) -> None:
    file = filled.path.parent / "study.csv"
    asked = ("groups", file, "--metrics", "knee_flexion", "--json", "--by")
    try:
        pages = [
            of_json(mobility(*asked, *question))["report"]["html"]
            for question in (("group",), ("group", "--within", "visit"))
        ]
        assert [Path(page).parent.name for page in pages] == [
            "groups-study-by-group-metrics-knee_flexion",
            "groups-study-by-group-within-visit-metrics-knee_flexion",
        ]
        assert all(list(filled.reports.glob(f"*/{Path(page).name}")) for page in pages)
    finally:
        shutil.rmtree(filled.reports, ignore_errors=True)


def test_errors_are_kept_under_a_name(
    filled: Store, mobility: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = filled.path.parent / "study.csv"
    ask = partial(mobility, "reliability", file, "--no-report", "--metrics", "knee_flexion")
    # Of the demo, which is of the code of its day, nothing is kept.
    # What was found is said all the same.
    done = ask("--save", "ours")
    assert done.returncode == 2
    assert "23 of 24 sessions were analysed by older code" in done.stderr
    assert "Knee flexion, left: smallest detectable change" in done.stdout
    assert references(filled) == []
    monkeypatch.setattr(cohort, "is_current", lambda session: True)
    document = of_json(ask("--save", "ours", "--json"))
    assert document["saved"] == "ours"
    kept = reference(filled, "ours")
    right = next(each for each in kept.errors if each.side == "right")
    sem = next(each["sem"] for each in document["measures"] if each["side"] == "right")
    assert (right.low, right.high) == (sem["lower"], sem["upper"])
    # The upper end of the one-sided 95 % interval: 11 people came twice, chi-square is 3.940.
    assert right.sem == pytest.approx(sem["value"] * (10 / 3.940) ** 0.5, rel=1e-3)
    assert (right.metric, right.participants) == ("knee_flexion", 11)
    assert "kept as ours: errors of 2 measures" in ask("--save", "ours").stdout.splitlines()[-1]
    refused(ask("--save", "our errors"), "reference", "name")
    # A name that is taken loses no measure.
    other = mobility(
        "reliability", file, "--no-report", "--metrics", "trunk_lean", "--save", "ours"
    )
    assert other.returncode == 2


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (["reliability", "--metrics", "knee_flexon"], ["--metrics", "knee_flexion"]),
        (["groups", "--by", "group", "--metrics", "knee"], ["--metrics", "did you mean 'knee_"]),
        (["groups", "--by", "session"], ["--by", "'session'; it has visit, group, "]),
        (["groups", "--by", "groop"], ["--by", "'groop'", "did you mean 'group'"]),
        (["groups", "--by", "group", "--within", "visits"], ["--within", "did you mean 'visit'"]),
        (["groups", "--by", "group", "--within", "group"], ["--within", "twice"]),
        (["groups", "--by", "group", "--adjust", "mass"], ["--adjust", "'mass'"]),
        (["groups", "--by", "participant"], ["--by", "participant", "12"]),
        (["groups", "--by", "exercise"], ["--by", "exercise", "one value only", "Overhead Squat"]),
        (["groups"], ["--by"]),
        (["groups", "--by", ""], ["--by"]),
        (["reliability", "--recordings", "nice"], ["--recordings", "nice"]),
        (["reliability", "--metrics", ""], ["--metrics"]),
    ],
)
def test_a_wrong_option_is_one_line_with_its_flag(
    filled: Store, mobility: Any, asked: list[str], words: list[str]
) -> None:
    name, *options = asked
    refused(mobility(name, filled.path.parent / "study.csv", *options), *words)
    assert not filled.reports.exists()


@pytest.mark.parametrize(
    ("head", "lines", "words"),
    [
        (HEAD, [], ["study.csv", "row"]),
        ("", [], ["study.csv"]),
        (HEAD, rows([0], (1,)), ["measured repeatedly"]),
        (HEAD, rows([0, 1, 2], (1,)), ["measured repeatedly"]),
        (HEAD, ["s0v1,p0,1,a", "s0v1,p0,2,a"], ["lines 2, 3", "s0v1"]),
        (HEAD, ["s0v1,p1,1,a", "s0v2,p1,2,a"], ["study.csv, line 2", "p0"]),
        ("session\tparticipant\tvisit", ["s0v1\tp0\t1"], ["tabs", "commas or semicolons"]),
        (HEAD, ["s0v1,p0,1"], ["line 2", "3 values for 4 columns"]),
        (HEAD, ["none,p0,1,a"], ["line 2", "none"]),
        (HEAD, ["s0v1,p0,,a"], ["line 2", "visit"]),
        ("session,participant,visti", ["s0v1,p0,1"], ["did you mean 'visit'"]),
        ("session,participant,value", ["s0v1,p0,1"], ["'value'"]),
        ("participant,visit", ["p0,1"], ["'session'"]),
    ],
)
def test_a_wrong_list_is_one_line(
    filled: Store, mobility: Any, listed: Any, head: str, lines: list[str], words: list[str]
) -> None:
    refused(mobility("reliability", listed(*lines, head=head)), *words)
    assert not filled.reports.exists()


def test_a_folder_is_no_list_and_a_file_no_folder(
    filled: Store, mobility: Any, tmp_path: Path
) -> None:
    refused(mobility("reliability", tmp_path), f"{tmp_path}: is a folder; name a CSV file")
    file = filled.path.parent / "study.csv"
    asked = ("groups", file, "--by", "group", "--metrics", "knee_flexion", "--out", file)
    refused(mobility(*asked), "study.csv: is a file; name a new or empty folder")


def test_columns_may_be_named_in_capitals(mobility: Any, listed: Any) -> None:
    file = listed(*(f"{row},{40 + i}" for i, row in enumerate(rows(range(10)))), head=f"{HEAD},Age")
    asked = ("--no-report", "--json", "--metrics", "knee_flexion")
    options = ("--by", "Group", "--within", "Visit", "--adjust", "Age")
    document = of_json(mobility("groups", file, *options, *asked))
    assert {row["effect"] for row in document["differences"]} >= {"group", "visit"}


def test_the_help_names_verdicts_as_the_message_does(filled: Store, mobility: Any) -> None:
    refused(
        mobility("reliability", filled.path.parent / "study.csv", "--recordings", "fine"),
        f"choose from {', '.join(LEVELS)}, or all",
    )
    for name in ("reliability", "groups", "cohort"):
        text = " ".join(command(name, "--help").stdout.split())
        assert f"{', '.join(LEVELS)}; or all." in text


def test_one_participant_twice_has_reasons_instead_of_errors(mobility: Any, listed: Any) -> None:
    asked = ("--no-report", "--json", "--metrics", "knee_flexion")
    document = of_json(mobility("reliability", listed(*rows([0])), *asked), status=0)
    for each in document["measures"]:
        assert each["n"] == 1
        assert each["sem"]["value"] is None
        assert each["sem"]["reason"]


def test_groups_of_too_few_have_reasons_instead_of_differences(mobility: Any, listed: Any) -> None:
    file = listed(*rows(range(4)))
    document = of_json(mobility("groups", file, "--by", "group", "--no-report", "--json"))
    assert document["differences"]
    assert all(row["difference"] is None and row["reason"] for row in document["differences"])


def test_without_a_report_what_was_found_is_said_and_nothing_written(
    filled: Store, mobility: Any
) -> None:
    file = filled.path.parent / "study.csv"
    done = mobility("groups", file, "--by", "group", "--no-report", "--metrics", "knee_flexion")
    assert (done.returncode, done.stderr) == (1, "")
    first, *items, last = done.stdout.splitlines()
    assert first.startswith("2 of 2 comparisons show a difference (group)")
    assert {item.partition(",")[0] for item in items} == {"  Knee flexion"}
    assert "nobody was found in it" in last
    done = mobility("reliability", file, "--no-report", "--metrics", "knee_flexion")
    measures = [
        line.partition(": smallest detectable change ")
        for line in done.stdout.splitlines()
        if line.startswith("  Knee")
    ]
    assert [each[0].strip() for each in measures] == ["Knee flexion, left", "Knee flexion, right"]
    assert not filled.reports.exists()


def test_the_videos_of_a_study_are_analysed_first(
    store: Store,
    tmp_path: Path,
    clips: ModuleType,
    demo: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def analysed(batch: Any, store: Store, **_: Any) -> None:
        for number, row in enumerate(batch):
            knee = {"knee_flexion": [100.0 + number**2, 90.0 + number]}
            user = row.participant
            add_session(store, demo, row.session_id, user_id=user, date="2026-01-01", values=knee)

    monkeypatch.setattr(study, "run_batch", analysed)
    lines = ["video,participant,visit"]
    for number in range(6):
        clips.make_clip(tmp_path / f"{number}.mp4", 3 + number)
        lines.append(f"{number}.mp4,p{number // 2},{number % 2}")
    (tmp_path / "study.csv").write_text("\n".join(lines))
    asked = ("--no-report", "--json", "--metrics", "knee_flexion")
    done = command("reliability", tmp_path / "study.csv", *asked, store=store.path)
    knees = of_json(done, status=0)["measures"]
    assert [(each["n"], each["values"]) for each in knees] == [(3, 6), (3, 6)]
    assert all(each["sem"]["value"] > 0 for each in knees)
    (tmp_path / "study.csv").write_text("\n".join([*lines, "9.mp4,p9,1"]))
    refused(command("reliability", tmp_path / "study.csv", store=store.path), "9.mp4")
    (tmp_path / "study.csv").write_text("video,visit\n0.mp4,1\n")
    refused(command("reliability", tmp_path / "study.csv", store=store.path), "'participant'")
