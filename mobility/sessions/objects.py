"""Objects behind a URL of fsspec: each whole or absent, and written under a condition.

Beyond reading and writing, a store needs one thing: to write an object only if it is still the one
that was read. S3 does that (``If-Match``, ``If-None-Match``), and so does memory, which belongs to
one process. Behind any other URL objects are only read.
"""

from __future__ import annotations

import datetime
import email.utils
import errno
import functools
import hashlib
import inspect
import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from mobility.errors import BadInputError, NotPermittedError, StorageError

log = logging.getLogger(__name__)

T = TypeVar("T")

PATIENCE_S = 60.0
"""How long to wait for a server that has answered before."""

FIRST_PATIENCE_S = 5.0
"""How long to wait for a server that never answered: its address may be wrong."""

_REFUSED = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey"})
"""Error codes of S3 where the condition of a write does not hold."""

_NOT_RETRYABLE = frozenset({errno.EINVAL, errno.EPERM, errno.ENAMETOOLONG})
"""Error numbers, by which s3fs stands for errors of S3, that waiting does not mend."""

_memory = threading.Lock()
_checked: set[str] = set()
_reached: set[str] = set()


@dataclass(frozen=True)
class StoredObject:
    """An object as it was read."""

    data: bytes
    token: str
    """Identifies this content; see :meth:`Objects.put_if`."""
    age_s: float | None
    """Seconds since it was written, by the clock of the server alone."""


class Objects:
    """Objects below ``s3://bucket/prefix``, ``memory://name``, or any URL that fsspec reads."""

    def __init__(self, url: str) -> None:
        import fsspec

        self.url = url.rstrip("/")
        self.kind = url.partition("://")[0]
        if "::" in url or any(sign in url for sign in "@*?[]#") or not url.partition("://")[2]:
            raise BadInputError(
                f"store {url}: write it as s3://bucket/prefix; credentials belong in the "
                "environment or the settings of the backend, not in the URL"
            )
        options: dict[str, Any] = {"use_listings_cache": False}
        if self.kind in ("s3", "s3a"):
            # `_retried` retries, and knows for how long.
            options["config_kwargs"] = {"retries": {"total_max_attempts": 1, "mode": "standard"}}
        try:
            backend = fsspec.get_filesystem_class(self.kind)
            # Checked first: a half-initialised backend prints when it is collected.
            inspect.signature(backend.__init__).bind(None, **options)
            self._fs = fsspec.filesystem(self.kind, **options)
            self._root = self._fs._strip_protocol(self.url).rstrip("/")
        except ImportError as error:
            extra = " (pip install 'mobility-workbench[s3]')" if self.kind in ("s3", "s3a") else ""
            raise BadInputError(f"store {url}: a package is missing{extra}: {error}") from None
        except ValueError as error:
            raise BadInputError(f"store {url}: {error}") from None
        except Exception as error:  # each backend raises its own kind
            raise BadInputError(
                f"store {url}: cannot be opened by its URL alone ({one_line(error)})"
            ) from None
        if self.kind in ("s3", "s3a"):
            self._fs.retries = 1

    @property
    def can_be_written(self) -> bool:
        """Whether the backend supports writes under a condition."""
        return self.kind in ("s3", "s3a", "memory")

    @property
    def is_shared(self) -> bool:
        """Whether other processes see the objects."""
        return self.kind != "memory"

    def require_writable(self) -> None:
        """Refuse a store to which nothing can be written safely."""
        if not self.can_be_written:
            raise NotPermittedError(
                f"store {self.url}: can only be read; writing is safe only in folders and in "
                "s3:// stores"
            )

    def get(self, key: str, *, patience_s: float | None = None) -> StoredObject | None:
        """Read a small object; None if there is none."""
        return self._retried(f"read {key}", lambda: self._get(key), patience_s, absent=None)

    def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        """Read small objects at once; absent ones are left out."""
        path_of = {self._path(key): key for key in keys}

        def read() -> dict[str, bytes]:
            contents = self._fs.cat(list(path_of), on_error="return") if path_of else {}
            for content in contents.values():
                if isinstance(content, Exception) and not isinstance(content, FileNotFoundError):
                    raise content
            return {path_of[path]: c for path, c in contents.items() if isinstance(c, bytes)}

        return self._retried("read", read, absent={})

    def put_if(
        self, key: str, data: bytes, token: str | None, *, patience_s: float | None = None
    ) -> str | None:
        """Write an object if it is still the one of `token`; with None, if there is none.

        Returns the new token; None where the condition does not hold. After a lost answer, None can
        also follow a write that succeeded: read again to be sure.
        """
        self.require_writable()
        return self._retried(f"write {key}", lambda: self._put_if(key, data, token), patience_s)

    def put(self, key: str, data: bytes) -> None:
        """Write an object, whether or not there was one."""
        self.require_writable()
        self._retried(f"write {key}", lambda: self._fs.pipe_file(self._path(key), data))

    def put_file(self, key: str, source: Path) -> None:
        """Write a file as an object, in parts if it is large."""
        self.require_writable()
        self._retried(f"write {key}", lambda: self._fs.put_file(str(source), self._path(key)))

    def get_file(self, key: str, target: Path) -> bool:
        """Stream an object into a file; False if there is none."""

        def stream() -> bool:
            self._fs.get_file(self._path(key), str(target))
            return True

        return self._retried(f"read {key}", stream, absent=False)

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects; an absent one is no error."""
        self.require_writable()
        for path in map(self._path, keys):
            self._retried(f"delete {path}", functools.partial(self._fs.rm_file, path), absent=None)

    def names(self, folder: str) -> list[str]:
        """Names of the entries directly below a folder, in order."""
        path = self._path(folder)
        nothing: list[str] = []
        paths = self._retried(
            f"list {folder or 'it'}", lambda: self._fs.ls(path, detail=False), absent=nothing
        )
        return sorted({each.rstrip("/").rpartition("/")[2] for each in paths if each != path})

    def address(self, key: str) -> str:
        """URL of an object."""
        return f"{self.url}/{key}"

    def check_conditions(self, key: str, data: bytes) -> None:
        """Raise, once per store, unless its server heeds conditions; the object `key` exists."""
        if self.url in _checked:
            return
        for token in (None, '"00000000000000000000000000000000"'):
            if self.put_if(key, data, token) is not None:
                self.delete([key])
                raise StorageError(
                    f"store {self.url}: its server ignores If-Match and If-None-Match, so that "
                    "locks would not hold there; use another server, or a folder"
                )
        _checked.add(self.url)

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}" if key else self._root

    def _get(self, key: str) -> StoredObject:
        path = self._path(key)
        if self.kind == "memory":
            with _memory:
                data = self._fs.cat_file(path)
                written = self._fs.modified(path)
            age = (datetime.datetime.now(datetime.UTC) - written).total_seconds()
            return StoredObject(data, hashlib.sha256(data).hexdigest(), age)
        if not self.can_be_written:
            return StoredObject(self._fs.cat_file(path), "", None)
        from fsspec.asyn import sync

        bucket, name, _ = self._fs.split_path(path)

        async def read() -> StoredObject:
            answer = await self._fs._call_s3("get_object", Bucket=bucket, Key=name)
            async with answer["Body"] as body:
                data = await body.read()
            now = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
            age = None
            if now and (written := answer.get("LastModified")):
                age = (email.utils.parsedate_to_datetime(now) - written).total_seconds()
            return StoredObject(data, answer["ETag"], age)

        stored: StoredObject = sync(self._fs.loop, read)
        return stored

    def _put_if(self, key: str, data: bytes, token: str | None) -> str | None:
        path = self._path(key)
        if self.kind == "memory":
            with _memory:
                stored = self._fs.cat_file(path) if self._fs.exists(path) else None
                if (None if stored is None else hashlib.sha256(stored).hexdigest()) != token:
                    return None
                self._fs.pipe_file(path, data)
            return hashlib.sha256(data).hexdigest()
        from fsspec.asyn import sync

        bucket, name, _ = self._fs.split_path(path)
        condition = {"IfNoneMatch": "*"} if token is None else {"IfMatch": token}

        async def write() -> Any:
            return await self._fs._call_s3(
                "put_object", Bucket=bucket, Key=name, Body=data, **condition
            )

        try:
            return str(sync(self._fs.loop, write)["ETag"])
        except OSError as error:
            if _s3_error_code(error) in _REFUSED:
                return None
            raise

    def _retried(
        self, what: str, action: Callable[[], T], patience_s: float | None = None, **absent: T
    ) -> T:
        """Run `action`, again while the server is away; no object gives `absent`, if given."""
        if patience_s is None:
            patience_s = PATIENCE_S if self.url in _reached else FIRST_PATIENCE_S
        ends = time.monotonic() + patience_s
        pause = 0.2
        while True:
            try:
                result = action()
            except FileNotFoundError as error:
                _reached.add(self.url)
                if "absent" in absent:
                    return absent["absent"]
                raise StorageError(
                    f"store {self.url}: cannot {what} ({one_line(error)}); check that the bucket "
                    "exists"
                ) from None
            except Exception as error:
                is_retryable = _is_retryable(error)
                if is_retryable is None:
                    raise
                if not is_retryable or time.monotonic() + pause > ends:
                    advice = (
                        "is its server running? Nothing there is half-written; try again"
                        if is_retryable
                        else "check the store, its endpoint and the credentials"
                    )
                    fault = StorageError(
                        f"store {self.url}: cannot {what} ({one_line(error)}); {advice}"
                    )
                    fault.retryable = is_retryable
                    raise fault from None
                log.info("store %s: cannot %s (%s); trying again", self.url, what, one_line(error))
                time.sleep(pause)
                pause = min(2 * pause, 2.0)
            else:
                _reached.add(self.url)
                return result


def _is_retryable(error: Exception) -> bool | None:
    """Whether waiting may mend an error of a backend; None if the error is not a backend's."""
    if isinstance(error, PermissionError | NotImplementedError):
        return False
    if isinstance(error, TimeoutError):
        return True
    if isinstance(error, OSError):
        return error.errno not in _NOT_RETRYABLE
    kinds = {f"{kind.__module__.partition('.')[0]}.{kind.__name__}" for kind in type(error).__mro__}
    if kinds & {"botocore.ConnectionError", "botocore.HTTPClientError", "aiohttp.ClientError"}:
        return True
    if kinds & {"botocore.BotoCoreError", "botocore.ClientError"}:
        return False
    return None


def _s3_error_code(error: OSError) -> str:
    response = getattr(error.__cause__, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))


def one_line(error: BaseException) -> str:
    """Message of an error in one line; its kind where it has none."""
    return " ".join(str(error).split()) or type(error).__name__
