"""Who may what: every endpoint, for every role, with one's own and with others'."""

from __future__ import annotations

import itertools
import json
import shutil

import httpx
import pytest
import serving

from mobility.serve.access import ALLOWED, SIGNED, STRANGER, Caller, Owner
from mobility.serve.api_keys import PHONE, ROLES
from mobility.serve.openapi import ENDPOINTS
from mobility.store import Store

READS = [
    *(("GET", "/sessions/{}/"), ("GET", "/sessions/{}/export/"), ("POST", "/sessions/{}/report/")),
    *(("GET", "/sessions/{}/summary/"), ("POST", "/sessions/{}/joint-mobility/")),
    *(("GET", "/sessions/{}/joint-mobility-config/"), ("GET", "/sessions/{}/state/")),
    *(("GET", "/sessions/{}/checks/"), ("GET", "/sessions/{}/recording-check/")),
    ("GET", "/sessions/{}/media/absent.mp4"),
]
CHANGES = [
    *(("POST", "/sessions/{}/recommendation/"), ("POST", "/sessions/{}/summary/")),
    *(("POST", "/sessions/{}/joint-mobility-config/"), ("POST", "/sessions/{}/state/")),
]
DAY = "2026-03-11"
PEOPLE = {*ROLES} - {PHONE}
STAFF, ADMINISTRATORS = {"administrator", "professional"}, {"administrator"}

# (method, path, who may it with their own, who with others'); a phone's own is what it added.
MATRIX = [
    *((method, path, set(ROLES), STAFF) for method, path in READS),
    *((method, path, PEOPLE, STAFF) for method, path in CHANGES),
    ("GET", "/sessions/{}/still/", PEOPLE, STAFF),
    ("DELETE", "/sessions/{}/", PEOPLE, ADMINISTRATORS),
    ("POST", "/sessions/", set(ROLES), ADMINISTRATORS),
    ("POST", "/management/sessions/", ADMINISTRATORS, ADMINISTRATORS),
    *(
        ("GET", f"/participants/{{user}}/visits/{{date}}/{name}", PEOPLE, STAFF)
        for name in ("", "absent.mp4")
    ),
    ("GET", "/participants/{user}/export/", PEOPLE, ADMINISTRATORS),
    ("DELETE", "/participants/{user}/", PEOPLE, ADMINISTRATORS),
]


@pytest.fixture(scope="module")
def people(server):
    """A key of each role with an id of its own."""
    return {role: server.key(role, f"matrix-{role}") for role in ROLES}


EVERYBODY = {("GET", "/sessions/"), ("GET", "/openapi.json")}
MAY = {
    (method, path.replace("{}", "{session_id}").replace("{user}", "{user_id}")): owners
    for method, path, owners, _ in MATRIX
}


def key_name(endpoint):
    name = endpoint.path.removeprefix("/mobility-assessment").replace("{name}", "absent.mp4")
    return endpoint.method.upper(), name


def test_the_matrix_has_every_endpoint():
    assert {*MAY} | EVERYBODY == {key_name(endpoint) for endpoint in ENDPOINTS}


@pytest.mark.parametrize(
    ("method", "path", "owners", "others"), MATRIX, ids=[f"{m} {p}" for m, p, *_ in MATRIX]
)
def test_every_role_on_every_endpoint(server, people, record_of, method, path, owners, others):
    for role, whose in itertools.product(ROLES, ("own", "another's")):
        user_id = f"matrix-{role}" if whose == "own" else "matrix-somebody"
        added_by = {"phone_key": id_of(people[role])} if role == PHONE and whose == "own" else {}
        session_id = record_of(f"of-{user_id}", user_id, **added_by)
        allowed = role in (owners if whose == "own" else others)
        # To a phone others' sessions are absent.
        refused = 404 if role == PHONE and whose != "own" and "{}" in path else 403
        url = path.replace("{}", session_id).replace("{user}", user_id).replace("{date}", DAY)
        if path.endswith("sessions/"):
            # Allowed, it is refused for its fields; nothing is made.
            user = {"user_id": user_id, "exercise_name": "Overhead Squat"}
            answer = server.upload(people[role], b"no film", path=path, **user)
            expected = {400}
        else:
            answer = server.ask(method, url, people[role])
            expected = {200, 204, 400, 404, 409}
        message = f"{role}, {whose}: {answer.status_code} {answer.text[:200]}"
        assert answer.status_code in expected if allowed else answer.status_code == refused, message
        if not allowed:
            assert answer.json().keys() == {"error"}, message
            assert server.state(people["administrator"], session_id)
        if method == "DELETE" and "participants" in path and allowed:
            people[role] = server.key(role, f"matrix-{role}")


@pytest.fixture(scope="module")
def phone(server):
    """Key of a phone, of a participant who has other sessions."""
    return server.key(PHONE, "ph-p")


@pytest.fixture
def damaged(server, record_of):
    """Factory of sessions whose record cannot be read."""
    folders = []

    def make(session_id, user_id, **more):
        folders.append(server.store / record_of(session_id, user_id, **more))
        (folders[-1] / "session.json").write_text("{")
        return session_id

    yield make
    for folder in folders:  # nobody can be erased while there are any
        shutil.rmtree(folder)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda e: " ".join(key_name(e)))
def test_every_endpoint_against_the_key_of_a_phone(server, record_of, damaged, phone, endpoint):
    """Sessions: one that it added, and of all others none shows that it is there."""
    method, path = key_name(endpoint)
    may = PHONE in MAY.get((method, path), {PHONE})
    key_id = id_of(phone)
    mine = record_of("ph-mine", "ph-p", phone_key=key_id)
    foreign = [
        record_of("ph-same", "ph-p"),  # of the same participant, and no phone added it
        record_of("ph-else", "ph-p", phone_key="0" * 12),
        record_of("ph-them", "ph-o", phone_key=key_id),  # given to somebody else since
        record_of("ph-othr", "ph-o"),
        damaged("ph-hurt", "ph-p", phone_key=key_id),
    ]

    def ask(session_id, user_id="ph-p"):
        ids = {"session_id": session_id, "user_id": user_id, "date": DAY}
        url = path.format(**ids).replace("absent", "video")
        return server.ask(method, url, phone)

    if path.endswith("sessions/"):
        if method == "GET":
            assert [each["session_id"] for each in ask("").json()] == [mine]
            return
        to_mine, others = (
            server.upload(phone, b"no film", path=path, user_id=user).status_code
            for user in ("ph-p", "ph-o")
        )
        assert (to_mine, others) == (400 if may else 403, 403)
    elif "{session_id}" in path:
        # What it may is refused for the session's sake: it is not analysed, and a squat.
        to_mine = ask(mine)
        assert to_mine.status_code in ((200, 400, 404) if may else (403,))
        assert "does not exist" not in to_mine.text
        absent = alike(ask("ph-none"), "ph-none")
        assert absent[:2] == (404, '{"error": "session ID: does not exist"}')
        for session_id in foreign:
            assert alike(ask(session_id), session_id) == absent, session_id
    elif "{user_id}" in path:
        assert not may
        answers = [ask("", user_id) for user_id in ("ph-p", "ph-o", "ph-none")]
        assert {answer.status_code for answer in answers} == {403}
        assert len({answer.text for answer in answers}) == 1
    for session_id in (mine, *foreign):
        assert (server.store / session_id / "session.json").is_file()
    assert server.ask("GET", "/sessions/", phone).status_code == 200


def alike(answer, session_id):
    """What is the same in the answers about a hidden session and an absent one."""
    headers = {name: value for name, value in answer.headers.items() if name != "date"}
    return answer.status_code, answer.text.replace(session_id, "ID"), headers


def id_of(key):
    """Id of a key, from the header that holds it."""
    return key.split("_")[1]


def test_what_a_phone_sends_is_its_own_and_only_its_own(server, admin, record_of):
    record_of("ph-before", "ph-sends")
    phone, other = (server.key(PHONE, "ph-sends") for _ in range(2))
    made = server.upload(phone).json()["session_id"]
    record = Store(server.store).session(made).record
    assert (record.user_id, record.phone_key) == ("ph-sends", id_of(phone))
    assert server.state(phone, made)["session_id"] == made
    assert server.ask("GET", f"/sessions/{made}/state/", other).status_code == 404
    assert server.ask("GET", "/sessions/", other).json() == []
    # Whose sessions they are sees all of them, and what nobody's phone sent is of no phone.
    person = server.key("participant", "ph-sends")
    seen = {each["session_id"] for each in server.ask("GET", "/sessions/", person).json()}
    assert seen == {"ph-before", made}
    of_person = server.upload(person, b"video 2").json()["session_id"]
    assert Store(server.store).session(of_person).record.phone_key is None


def test_who_may_nothing_and_who_may_only_read():
    """A phone without its id, a stranger; and who comes by a signed address."""
    for caller, may in (
        (Caller("key 1", PHONE, "p"), []),
        (STRANGER, []),
        (Caller("key 1", SIGNED, None), ["read", "see visits"]),
    ):
        assert [action for action in ALLOWED if caller.may(action, Owner("p"))] == may


def test_a_participant_sees_only_their_own_sessions(server, admin, record_of):
    for user_id in ("list-a", "list-b"):
        record_of(f"of-{user_id}", user_id)
    seen = server.ask("GET", "/sessions/", server.key("participant", "list-a")).json()
    assert [session["session_id"] for session in seen] == ["of-list-a"]
    for key in (admin, server.key("professional")):
        seen = {s["session_id"] for s in server.ask("GET", "/sessions/", key).json()}
        assert {"of-list-a", "of-list-b"} <= seen


def test_revoked_and_expired_keys_are_refused_at_once(server):
    from mobility.serve.api_keys import Keys

    keys = Keys(Store(server.store))
    key, stored = keys.create("administrator")
    assert server.ask("GET", "/sessions/", key).status_code == 200
    keys.revoke(stored.id)
    assert server.ask("GET", "/sessions/", key).status_code == 401
    key, stored = keys.create("administrator", expires_days=1e-9)
    assert server.ask("GET", "/sessions/", key).status_code == 401


def test_jupyters_token_and_login_are_an_administrator(server, record_of):
    session_id = record_of("jupyter", "somebody")
    url = f"/sessions/{session_id}/state/"
    for scheme in ("token", "Bearer"):
        assert server.ask("GET", url, f"{scheme} {serving.TOKEN}").status_code == 200
    assert server.ask("GET", f"{url}?token={serving.TOKEN}").status_code == 200
    assert server.ask("GET", url, "token wrong").status_code == 401
    # A login is a cookie: what another page makes a browser send must change nothing.
    with httpx.Client(base_url=server.url) as browser:
        browser.get(f"/?token={serving.TOKEN}", follow_redirects=False)
        prefix = "/mobility-assessment"
        page = {"Referer": f"{server.url}/lab"}
        assert browser.get(f"{prefix}{url}", headers=page).status_code == 200
        config = f"{prefix}/sessions/{session_id}/joint-mobility-config/"
        assert browser.post(config, json={}).status_code == 403
        # A wrong key does not fall back to the login.
        wrong = {"Authorization": "API-KEY wrong"}
        assert browser.get(f"{prefix}/sessions/", headers=wrong).status_code == 401


def test_who_read_or_changed_which_session_is_kept(server, admin, record_of):
    session_id = record_of("audited", "audited-person")
    key = server.key("participant", "curious")
    server.ask("GET", f"/sessions/{session_id}/", admin)
    server.ask("GET", f"/sessions/{session_id}/", key)
    server.ask("DELETE", f"/sessions/{session_id}/", admin)
    server.ask("GET", "/sessions/", key)
    lines = audited(server, "details", 3, of=session_id)
    assert [(each["did"], each["role"], each["status"]) for each in lines] == [
        ("GET details", "administrator", 200),
        ("GET details", "participant", 403),
        ("DELETE details", "administrator", 204),
    ]
    assert all(each["who"].startswith("key ") for each in lines)
    assert {each["from"] for each in lines} == {"127.0.0.1"}
    who = f"key {id_of(key)}"

    def listed():
        lines = audited(server, "sessions", 1, of="list of sessions")
        return [(each["did"], each["status"]) for each in lines if each["who"] == who]

    assert serving.wait_for(listed) == [("GET sessions", 200)]
    file = server.store / ".server" / "audit.jsonl"
    assert "audited-person" not in file.read_text()
    assert "mob_" not in file.read_text()
    assert file.stat().st_mode & 0o077 == 0


def test_who_comes_by_a_signed_address_is_noted_as_whom_it_was_signed_for(server, record_of):
    session_id = record_of("signed", "p-signed")
    key = server.key("participant", "p-signed")
    url = server.ask("GET", f"/sessions/{session_id}/", key).json()["video_url"]
    strangers = len(audited(server, "media", 0, of=""))
    assert server.ask("GET", url).status_code == 200
    assert server.ask("GET", f"{url}0").status_code == 401
    (line,) = audited(server, "media", 1, of=session_id)
    who = f"key {id_of(key)}"
    assert (line["who"], line["role"], line["status"]) == (who, "signed address", 200)
    *_, line = audited(server, "media", strangers + 1, of="")
    assert (line["who"], line["role"], line["status"]) == ("nobody known", "none", 401)


def test_who_was_not_let_in_is_noted_without_the_key(server):
    wrong = f"mob_{'1' * 12}_{'a' * 43}"
    assert server.ask("DELETE", f"/participants/{wrong}/", f"API-KEY {wrong}").status_code == 401
    (line,) = audited(server, "everything", 1, of="")
    assert (line["did"], line["who"], line["status"]) == ("DELETE everything", "nobody known", 401)
    assert line["from"] == "127.0.0.1"
    assert "mob_" not in (server.store / ".server" / "audit.jsonl").read_text()


def audited(server, what, count, *, of):
    """Lines of the audit log on `what` of `of`, as soon as there are `count`.

    A line is written when its answer is on its way, those of two callers in either order.
    """

    file = server.store / ".server" / "audit.jsonl"

    def entries():
        lines = file.read_text().splitlines() if file.exists() else []
        noted = [
            line
            for line in map(json.loads, lines)
            if line["did"].endswith(f" {what}") and line["of"] == of
        ]
        return [noted] if len(noted) >= count else []

    return serving.wait_for(entries)[0]
