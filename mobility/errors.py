"""The errors that users see: one family, with messages of one line.

Every class has an HTTP status, so that the command line, the notebooks and the HTTP interface
report the same error in the same words. Any other exception is a bug.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self


class MobilityError(Exception):
    """Base class of all errors; never raised itself."""

    status = 500
    retryable = False
    """Whether another attempt may succeed, for example after a process was killed."""

    def __str__(self) -> str:
        """Return the message in one line, with control characters escaped."""
        text = super().__str__()
        if text.isprintable():
            return text
        return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)

    def _render_traceback_(self) -> list[str]:
        """Show one line in a notebook instead of a traceback."""
        return [f"{type(self).__name__}: {self}"]


class BadInputError(MobilityError, ValueError):
    """The input is wrong (HTTP 400).

    Parameters
    ----------
    message
        One line: what is wrong, where, and what to do.
    fields
        The messages for each named field or parameter, without its name. The command line shows
        them next to the flag of the parameter.
    """

    status = 400

    def __init__(self, message: str, fields: Mapping[str, Sequence[str]] | None = None) -> None:
        super().__init__(message)
        self.fields = {name: list(faults) for name, faults in (fields or {}).items()}

    @classmethod
    def of(cls, fields: Mapping[str, str | Sequence[str]], *, what: str = "") -> Self:
        """Make the error from messages about each field of the input.

        `what` is the name of the input.
        """
        faults = {
            name: [texts] if isinstance(texts, str) else texts for name, texts in fields.items()
        }
        text = "; ".join(f"{name}: {', '.join(lines)}" for name, lines in faults.items())
        return cls(f"{what}: {text}" if what else text, faults)


class VideoError(BadInputError):
    """A video cannot be decoded, or shows nothing that can be analysed."""


class NobodyFoundError(VideoError):
    """No person was found in a video."""


class ModelError(MobilityError):
    """The pose model is missing, damaged, or cannot be fetched."""

    status = 500


class NotAuthenticatedError(MobilityError):
    """The caller is unknown (HTTP 401)."""

    status = 401


class NotPermittedError(MobilityError):
    """The caller may not do this (HTTP 403)."""

    status = 403


class NotFoundError(MobilityError, LookupError):
    """There is no such session, participant, configuration or file (HTTP 404)."""

    status = 404


class ConflictError(MobilityError):
    """Somebody else has changed the data or the code in the meantime (HTTP 409)."""

    status = 409


class TooSlowError(MobilityError):
    """The input did not arrive in time (HTTP 408)."""

    status = 408


class TooLargeError(MobilityError):
    """The input is larger than allowed (HTTP 413)."""

    status = 413


class TooManyRequestsError(MobilityError):
    """There were too many requests (HTTP 429).

    Parameters
    ----------
    message
        One line: what was requested too often, and what to do.
    retry_after_s
        Number of seconds after which the request can be repeated.
    """

    status = 429

    def __init__(self, message: str, *, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class StorageError(MobilityError, OSError):
    """The store cannot be written: read-only, full, or in use."""

    status = 500


class DiskFullError(StorageError):
    """The disk or its quota is full (HTTP 507)."""

    status = 507


class InUseError(StorageError):
    """Another process is using the file or folder (HTTP 409)."""

    status = 409


class ReportError(MobilityError):
    """A report could not be made; the message names the step and the reason."""

    status = 500


class EndedError(MobilityError):
    """A worker process was stopped by its limits, by the system, or by the user."""

    status = 500


class WorkerError(MobilityError):
    """A worker process failed because of a bug."""

    status = 500
