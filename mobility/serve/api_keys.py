"""API keys: created once, stored as salted hashes, with expiry and revocation.

A key is ``mob_<id>_<secret>``. The id identifies the stored hash. The secret has 256 random bits,
so one round of SHA-256 is as hard to invert as any slow hash. Slow hashes are meant for passwords,
which can be guessed.
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

from mobility import Store
from mobility.base.options import likely, validate
from mobility.errors import BadInputError, NotFoundError, StorageError
from mobility.sessions.files import PRIVATE_FOLDER, check_id
from mobility.sessions.record import Document, Sha256

Role = Literal["administrator", "professional", "participant", "phone"]
ROLES: tuple[Role, ...] = get_args(Role)
PHONE: Role = "phone"
"""Role of a key that may add videos, and see the sessions that it added."""

_KEYS = f"{PRIVATE_FOLDER}/keys.json"


def private_folder(store: Store) -> Path:
    """Return the folder for the server's own files."""
    return store.path / PRIVATE_FOLDER


_FORM = re.compile(r"mob_([0-9a-f]{12})_([A-Za-z0-9]{43})")
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_LONGEST_DAYS = 36_500


class StoredKey(Document):
    """A key as it is stored, without its secret."""

    id: str
    role: Role
    user_id: Annotated[
        str | None, Field(description="owner of the sessions that the key may use")
    ] = None
    created_at: datetime.datetime
    expires_at: datetime.datetime | None = None
    salt: str
    hash: Annotated[Sha256, Field(description="hash of salt and secret")]

    @property
    def is_expired(self) -> bool:
        """Return whether the key has expired."""
        return self.expires_at is not None and self.expires_at <= _now()


class StoredKeys(Document):
    """``keys.json``."""

    schema_version: Literal["1"] = "1"
    keys: list[StoredKey] = Field(default_factory=list)


class Keys:
    """The keys of a store. They are stored in it, so that every server of the store accepts them.

    Nothing is written before the first key is created.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._read: tuple[Any, dict[str, StoredKey]] = (None, {})

    def create(
        self, role: str, *, user_id: str | None = None, expires_days: float | None = None
    ) -> tuple[str, StoredKey]:
        """Create a key, and return it with its stored form; the key itself is not stored.

        `user_id` is the owner of the sessions that the key may read; the key of a participant or a
        phone needs an owner. By default a key never expires.
        """
        if role not in ROLES:
            choice = likely(role, ROLES) or f"; choose from {', '.join(ROLES)}"
            raise BadInputError.of({"role": f"there is no {role!r}{choice}"})
        if user_id is not None:
            check_id(user_id, what="user_id")
        elif role in ("participant", PHONE):
            raise BadInputError.of({"user_id": f"is missing; a key of a {role} needs one"})
        if expires_days is not None and not 0 < expires_days <= _LONGEST_DAYS:
            fault = f"must be a number of days above 0, at most {_LONGEST_DAYS}"
            raise BadInputError.of({"expires_days": f"{fault} (got {expires_days:g})"})
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
        with self._locked():
            self._write([*self._stored().values(), stored])
        return f"mob_{key_id}_{secret}", stored

    def all(self) -> list[StoredKey]:
        """List the keys that are not revoked, including expired keys, the oldest first."""
        return sorted(self._stored().values(), key=lambda key: key.created_at)

    def revoke(self, key_id: str) -> None:
        """Revoke a key by its id, the part after ``mob_``."""
        # Checked before the lock is taken, so that a refused request leaves no trace.
        if key_id not in self._stored():
            # The argument may be a whole key, which must not appear in a terminal's history.
            name = key_id if re.fullmatch(r"[0-9a-f]{1,12}", key_id) else "given"
            raise NotFoundError(
                f"key {name}: does not exist; list the ids with: mobility keys list"
            )
        with self._locked():
            self._write([key for key in self._stored().values() if key.id != key_id])

    def revoke_of(self, user_id: str) -> list[str]:
        """Revoke all keys of a participant; return their ids."""
        if not any(key.user_id == user_id for key in self._stored().values()):
            return []
        with self._locked():
            stored = self._stored().values()
            self._write([key for key in stored if key.user_id != user_id])
            return [key.id for key in stored if key.user_id == user_id]

    def find(self, key: str) -> StoredKey | None:
        """Return the stored form of a key if it is valid now, otherwise None."""
        parts = _FORM.fullmatch(key)
        key_id, secret = (parts[1], parts[2]) if parts else ("", "")
        stored = self._stored().get(key_id)
        # A hash is always computed and compared, so that timing reveals nothing.
        salt, expected = (stored.salt, stored.hash) if stored else ("0" * 32, "0" * 64)
        is_right = hmac.compare_digest(_hash(salt, secret), expected)
        if stored is None or not is_right or stored.is_expired:
            return None
        return stored

    def is_valid_id(self, key_id: str) -> bool:
        """Return whether the key with this id is valid now; the secret is not checked."""
        stored = self._stored().get(key_id)
        return stored is not None and not stored.is_expired

    def _locked(self) -> AbstractContextManager[None]:
        return self._store.locked(f"{PRIVATE_FOLDER}/keys", what="the keys", wait_s=10)

    def _stored(self) -> dict[str, StoredKey]:
        """Return keys by id, read each time, so that a revocation takes effect at once."""
        place = self._store.path / _KEYS
        try:
            document = self._store.document(_KEYS)
            if document != self._read[0]:
                stored = validate(StoredKeys, document, what="keys")
                self._read = (document, {key.id: key for key in stored.keys})
        except NotFoundError:
            return {}
        except BadInputError as error:
            raise StorageError(
                f"the keys in {place} are damaged ({error}); restore the file"
            ) from None
        return self._read[1]

    def _write(self, keys: list[StoredKey]) -> None:
        self._store.write_document(_KEYS, StoredKeys(keys=keys).model_dump(mode="json"))


def _hash(salt: str, secret: str) -> str:
    return hashlib.sha256(f"{salt}{secret}".encode()).hexdigest()


def _now() -> datetime.datetime:
    return datetime.datetime.now().astimezone()
