"""Keys: made once, kept as hashes, found, expired, revoked."""

from __future__ import annotations

import datetime
import json
import stat
from functools import partial

import pytest
import time_machine
from other_processes import command

from mobility.errors import BadInputError, NotFoundError, StorageError
from mobility.serve import api_keys as module
from mobility.serve.api_keys import Keys
from mobility.store import Store


def test_a_key_is_found_by_itself_only(tmp_path, monkeypatch):
    keys = Keys(Store(tmp_path))
    key, stored = keys.create("participant", user_id="p01")
    holder = keys.find(key)
    assert holder == stored
    assert (holder.role, holder.user_id) == ("participant", "p01")
    compared = []
    real = module.hmac.compare_digest
    monkeypatch.setattr(
        module.hmac, "compare_digest", lambda a, b: compared.append(len(a)) or real(a, b)
    )
    wrong = [key[:-1] + ("a" if key[-1] != "a" else "b"), "mob_000000000000_" + "a" * 43]
    wrong += ["", "mob_", key + "x", key.upper(), key[:-1], f" {key}", "ä" * 60, key[:-1] + "!"]
    assert [keys.find(each) for each in wrong] == [None] * len(wrong)
    # The comparison takes the same way for unknown and wrong keys.
    assert compared == [64] * len(wrong)


def test_only_a_salted_hash_is_kept_where_only_the_owner_reads(tmp_path):
    keys = Keys(Store(tmp_path))
    made = [keys.create("administrator")[0] for _ in range(2)]
    file = tmp_path / ".server" / "keys.json"
    text = file.read_text()
    assert not any(key.split("_")[2] in text for key in made)
    stored = json.loads(text)["keys"]
    assert stored[0]["salt"] != stored[1]["salt"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    # A damaged file lets nobody in.
    file.write_text("{")
    with pytest.raises(StorageError, match="restore"):
        keys.find(made[0])


def test_expired_and_revoked_keys_are_not_found(tmp_path):
    keys, elsewhere = Keys(Store(tmp_path)), Keys(Store(tmp_path))
    key, stored = keys.create("professional", expires_days=2)
    for days, is_good in ((1.99, True), (2.01, False)):
        with time_machine.travel(stored.created_at + datetime.timedelta(days=days)):
            assert keys.is_valid_id(stored.id) == (keys.find(key) is not None) == is_good
    assert elsewhere.find(key)
    keys.revoke(stored.id)
    # Another process knows it too.
    assert elsewhere.find(key) is keys.find(key) is None
    assert not keys.is_valid_id(stored.id)
    with pytest.raises(NotFoundError):
        keys.revoke(stored.id)


def test_all_keys_of_a_participant_are_revoked(tmp_path):
    keys = Keys(Store(tmp_path))
    assert keys.revoke_of("p01") == []
    with pytest.raises(NotFoundError, match="key given: does not exist"):
        keys.revoke("nope")
    assert not list(tmp_path.iterdir())
    first, stored = keys.create("participant", user_id="p01")
    other, _ = keys.create("participant", user_id="p02")
    assert keys.revoke_of("p01") == [stored.id]
    assert keys.find(first) is None
    assert keys.find(other)


def test_what_is_refused_leaves_no_file(tmp_path):
    for role, more, words in (
        ("admin", {}, "role: there is no 'admin'"),
        ("administrato", {}, "did you mean 'administrator'"),
        ("participant", {}, "user_id: is missing"),
        ("participant", {"user_id": "../x"}, "user_id"),
        ("professional", {"expires_days": 0}, "above 0"),
        ("professional", {"expires_days": float("nan")}, "above 0"),
    ):
        with pytest.raises(BadInputError, match=words):
            Keys(Store(tmp_path)).create(role, **more)
    assert not list(tmp_path.iterdir())


def test_the_commands(tmp_path):
    run = partial(command, "keys", store=tmp_path)
    made = run("create", "--role", "participant", "--user-id", "p01", "--expires", "30", "--json")
    assert made.returncode == 0, made.stderr
    document = json.loads(made.stdout)
    assert Keys(Store(tmp_path)).find(document["key"]).user_id == "p01"
    plain = run("create", "--role", "administrator")
    assert Keys(Store(tmp_path)).find(plain.stdout.strip()).role == "administrator"
    listed = run("list")
    assert document["id"] in listed.stdout
    assert document["key"].split("_")[2] not in listed.stdout + listed.stderr + plain.stderr
    assert run("revoke", document["id"]).returncode == 0
    # A whole key in the place of its id is not repeated.
    wrong = run("revoke", document["key"])
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
    assert document["key"] not in wrong.stderr
    assert run("create", "--role", "boss").returncode == 2
