"""API keys: made once, kept as salted hashes, expired and revoked.

A key is ``mob_<id>_<secret>``. The id finds the stored hash; the secret has 256 random
bits, so that one round of SHA-256 is as hard to invert as any slow hash: slow ones are for
passwords, which can be guessed.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import re
import secrets
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import Field

from mobility.errors import BadInputError, NotFoundError, StorageError
from mobility.options import likely, validate
from mobility.sessions.files import check_id, make_folder, writing
from mobility.sessions.record import Document, Sha256
from mobility.store import Store

Role = Literal["administrator", "professional", "participant", "phone"]
ROLES: tuple[Role, ...] = get_args(Role)
PHONE: Role = "phone"
"""Role of a key that may add videos, and see what it added."""

PRIVATE_FOLDER = ".server"
"""Folder in the store for what the server keeps beside the sessions."""

_KEYS = f"{PRIVATE_FOLDER}/keys.json"


def private_folder(store: Store) -> Path:
    """Folder for what a server keeps; of a store behind a URL it is with the reports."""
    return (store.reports if store.in_bucket else store.path) / PRIVATE_FOLDER


_FORM = re.compile(r"mob_([0-9a-f]{12})_([A-Za-z0-9]{43})")
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_LONGEST_DAYS = 36_500


class StoredKey(Document):
    """What is kept of a key."""

    id: str
    role: Role
    user_id: Annotated[str | None, Field(description="whose sessions are its own")] = None
    created_at: datetime.datetime
    expires_at: datetime.datetime | None = None
    salt: str
    hash: Annotated[Sha256, Field(description="of salt and secret")]

    @property
    def is_expired(self) -> bool:
        """Whether its time is over."""
        return self.expires_at is not None and self.expires_at <= _now()


class StoredKeys(Document):
    """``keys.json``."""

    schema_version: Literal["1"] = "1"
    keys: list[StoredKey] = Field(default_factory=list)


class Keys:
    """The keys of a store, kept in it, so that they hold for whoever serves it.

    Nothing is written before the first key is made.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._read: tuple[Any, dict[str, StoredKey]] = (None, {})

    def create(
        self, role: str, *, user_id: str | None = None, expires_days: float | None = None
    ) -> tuple[str, StoredKey]:
        """Make a key, and return it, which is nowhere else, with what is stored of it.

        `user_id` is whose sessions are its own; the key of a participant or a phone needs it. By
        default it never expires.
        """
        if role not in ROLES:
            raise BadInputError(
                f"role {role!r}: unknown{likely(role, ROLES) or '; use ' + ', '.join(ROLES)}"
            )
        if user_id is not None:
            check_id(user_id, what="user_id")
        elif role in ("participant", PHONE):
            raise BadInputError(f"role {role}: say whose key it is with --user-id")
        if expires_days is not None and not 0 < expires_days <= _LONGEST_DAYS:
            raise BadInputError(
                f"expires {expires_days:g}: must be a number of days above 0, at most "
                f"{_LONGEST_DAYS}"
            )
        now = _now()
        key_id = secrets.token_hex(6)
        secret = "".join(secrets.choice(_ALPHABET) for _ in range(43))
        salt = secrets.token_hex(16)
        stored = StoredKey(
            id=key_id,
            role=role,
            user_id=user_id,
            created_at=now,
            expires_at=None if expires_days is None else now + datetime.timedelta(expires_days),
            salt=salt,
            hash=_hash(salt, secret),
        )
        with self._changing():
            self._write([*self._stored().values(), stored])
        return f"mob_{key_id}_{secret}", stored

    def all(self) -> list[StoredKey]:
        """Keys that are not revoked, the oldest first; also those that are expired."""
        return sorted(self._stored().values(), key=lambda key: key.created_at)

    def revoke(self, key_id: str) -> None:
        """Make a key worthless, by its id (of the key itself, the part after ``mob_``)."""
        # Before the lock is taken, so that what is refused leaves no trace.
        if key_id not in self._stored():
            # What was given may be a whole key: it must not stand in a terminal's history.
            told = key_id if re.fullmatch(r"[0-9a-f]{1,12}", key_id) else "given"
            raise NotFoundError(
                f"key {told}: does not exist; list the ids with: mobility keys list"
            )
        with self._changing():
            self._write([key for key in self._stored().values() if key.id != key_id])

    def revoke_of(self, user_id: str) -> list[str]:
        """Revoke all keys of a participant; returns their ids."""
        if not any(key.user_id == user_id for key in self._stored().values()):
            return []
        with self._changing():
            stored = self._stored().values()
            self._write([key for key in stored if key.user_id != user_id])
            return [key.id for key in stored if key.user_id == user_id]

    def find(self, key: str) -> StoredKey | None:
        """Return what is stored of a key that is valid now, else None."""
        found = _FORM.fullmatch(key)
        key_id, secret = (found[1], found[2]) if found else ("", "")
        stored = self._stored().get(key_id)
        # A hash is computed and compared in every case, so that the time tells nothing.
        salt, kept = (stored.salt, stored.hash) if stored else ("0" * 32, "0" * 64)
        is_right = hmac.compare_digest(_hash(salt, secret), kept)
        if stored is None or not is_right or stored.is_expired:
            return None
        return stored

    def is_valid_id(self, key_id: str) -> bool:
        """Whether there is a key of this id that is valid now; of its secret nothing is known."""
        stored = self._stored().get(key_id)
        return stored is not None and not stored.is_expired

    def _changing(self) -> AbstractContextManager[None]:
        if not self._store.in_bucket:
            folder = self._store.path / PRIVATE_FOLDER
            with writing(folder):
                make_folder(folder)
        return self._store.locked(f"{PRIVATE_FOLDER}/keys", what="the keys", wait_s=10)

    def _stored(self) -> dict[str, StoredKey]:
        """Keys by id, read each time: a revocation holds at once."""
        try:
            document = self._store.document(_KEYS)
            if document != self._read[0]:
                stored = validate(StoredKeys, document, what="keys")
                self._read = (document, {key.id: key for key in stored.keys})
        except NotFoundError:
            return {}
        except BadInputError as error:
            raise StorageError(
                f"the keys in {self._store.location_of(_KEYS)} are damaged ({error}); restore "
                "the file"
            ) from None
        return self._read[1]

    def _write(self, keys: list[StoredKey]) -> None:
        self._store.write_document(_KEYS, StoredKeys(keys=keys).model_dump(mode="json"))


def _hash(salt: str, secret: str) -> str:
    return hashlib.sha256(f"{salt}{secret}".encode()).hexdigest()


def _now() -> datetime.datetime:
    return datetime.datetime.now().astimezone()
