"""The answers of the rules: the same list by all ways."""

from __future__ import annotations

import re
from html import unescape

import pandas as pd
import pytest
from read_pages import rows_on, stands_on

from mobility.assessment.findings import all_rules, in_units
from mobility.documents.exercise_documents import documents_of
from mobility.reports.page import ReportPage
from mobility.reports.sections import sections_of
from mobility.serve.client import Client
from mobility.store import Store
from mobility.studies import cohort


@pytest.fixture
def session(analysed, server):
    """A session of the shared server that has results."""
    session_id = analysed("answers", "p-answers")
    return Store(server.store, reports=server.reports).session(session_id)


def test_python_documents_http_cohort_and_page_have_the_same_answers(server, session) -> None:
    checks = session.checks()
    assert {each["result"] for each in checks} >= {
        "outside",
        "met",
        "inconclusive",
        "not_reported",
    }
    assert session.details()["checks"] == checks
    assert documents_of(session.record.kind).report(session)["checks"] == checks
    key = server.key("participant", "p-answers")
    path = f"/sessions/{session.id}/"
    assert server.ask("GET", f"{path}checks/", key).json() == checks
    assert server.ask("GET", path, key).json()["checks"] == checks
    with Client(server.url, key.removeprefix("API-KEY ")) as client:
        assert [each.model_dump() for each in client.checks(session.id)] == checks

    table = cohort.checks(cohort.to_dataframe([session], recordings=["all"]), [session])
    assert table.columns.tolist() == list(cohort.COLUMNS_OF_CHECKS)
    assert set(table["session_id"]) == {session.id}
    for row, check in zip(table.to_dict("records"), checks, strict=True):
        lower, upper = check["interval"] or (None, None)
        expected = {**check, "lower": lower, "upper": upper}
        for name in set(cohort.COLUMNS_OF_CHECKS) & set(expected):
            value = None if pd.isna(row[name]) else row[name]
            assert value == ("" if expected[name] is None and value == "" else expected[name]), name

    page = unescape(sections_of(session.record.kind)[0].of(ReportPage(session.read_once())))
    assert sorted((n, side or "", answer) for n, side, answer, _ in stands_on(page, checks)) == (
        sorted((each["name"], each["side"] or "", each["result"]) for each in checks)
    )
    shown = {(name, side): re.sub(r"<[^>]+>", "", text) for name, side, text in rows_on(page)}
    with_value = [each for each in checks if (each["name"], each["side"]) in shown]
    assert len(with_value) > 5
    for each in with_value:
        text = in_units(each["value"], all_rules()[each["rule"]]).split()[0]
        assert text in shown[each["name"], each["side"]], each["name"]


def test_before_its_analysis_a_session_has_no_answers(server, admin, record_of, analysed) -> None:
    waiting = f"/sessions/{record_of('no-answers', 'p-answers')}/"
    assert "checks" not in server.ask("GET", waiting, admin).json()
    assert server.ask("GET", f"{waiting}checks/", admin).status_code == 404
    joints = analysed("no-rules", "p-answers", exercise="joint-angle-mobility")
    assert "checks" not in server.ask("GET", f"/sessions/{joints}/", admin).json()
    assert server.ask("GET", f"/sessions/{joints}/checks/", admin).json() == []
