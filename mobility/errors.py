"""The errors that users meet: one family, one line each.

Every class carries the HTTP status that it stands for, so that the command
line, the notebooks and the HTTP interface say the same about the same fault.
Any other exception that is raised is a bug.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self


class MobilityError(Exception):
    """Root of the family; never raised itself."""

    status = 500
    retryable = False
    """Whether another try may well succeed, as after a killed process."""

    def __str__(self) -> str:
        """Message in one line, with control characters of names and files escaped."""
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
        Of input with named fields or parameters, the faults of each, which do not repeat its name.
        The command line shows them under the flag of the parameter.
    """

    status = 400

    def __init__(self, message: str, fields: Mapping[str, Sequence[str]] | None = None) -> None:
        super().__init__(message)
        self.fields = {name: list(faults) for name, faults in (fields or {}).items()}

    @classmethod
    def of(cls, fields: Mapping[str, str | Sequence[str]], *, what: str = "") -> Self:
        """Make the error of `fields`, with a fault or several each, of an input called `what`."""
        faults = {name: [each] if isinstance(each, str) else each for name, each in fields.items()}
        text = "; ".join(f"{name}: {', '.join(lines)}" for name, lines in faults.items())
        return cls(f"{what}: {text}" if what else text, faults)


class VideoError(BadInputError):
    """A video cannot be decoded, or shows nothing that can be analysed."""


class NobodyFoundError(VideoError):
    """Nobody is found in a video."""


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
    """Somebody else has changed it in the meantime (HTTP 409)."""

    status = 409


class TooSlowError(MobilityError):
    """The input did not arrive in time (HTTP 408)."""

    status = 408


class TooLargeError(MobilityError):
    """The input exceeds a stated limit (HTTP 413)."""

    status = 413


class TooManyRequestsError(MobilityError):
    """Too many requests; ask again later (HTTP 429).

    Parameters
    ----------
    message
        One line: what is asked for too often, and what to do.
    retry_after_s
        Seconds after which it is worth asking again.
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
    """Another process is using it (HTTP 409); try again later."""

    status = 409


class ReportError(MobilityError):
    """A report could not be rendered; the message says in which step and why."""

    status = 500


class EndedError(MobilityError):
    """A process that did the work was ended: by its limits, by the system, or by who started it."""

    status = 500


class WorkerError(MobilityError):
    """A bug in a process that did the work."""

    status = 500
