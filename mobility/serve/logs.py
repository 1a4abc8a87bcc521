"""Keeps API keys, and parts of requests that may contain one, out of the server's log."""

from __future__ import annotations

import copy
import logging
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from tornado.httputil import HTTPHeaders, HTTPInputError
from tornado.web import RequestHandler

_BETWEEN = r"[^!-~]*+"
"""Blanks and control characters that may occur between the characters of a key."""
_KEY = re.compile(
    f"{_BETWEEN.join('mob_')}|(?:[0-9a-f]{_BETWEEN}){{12}}_(?:{_BETWEEN}[A-Za-z0-9_-]){{43}}",
    re.IGNORECASE,
)
_DEEPEST = 8
"""Largest number of times that a text may be percent-encoded."""
_REFUSED = "Blocking "
"""Beginning of Jupyter's log lines that quote the Host, Origin or Referer of a refused request."""
_LEFT_OUT = "[left out: it may hold a key]"


def keep_keys_out(settings: dict[str, Any]) -> None:
    """Keep keys out of everything that this process and its libraries log."""
    settings["log_function"] = _log_pattern_only(settings["log_function"])
    make_record = logging.getLogRecordFactory()

    def without_keys(*args: Any, **more: Any) -> logging.LogRecord:
        return _cleaned(make_record(*args, **more))

    logging.setLogRecordFactory(without_keys)


def scrubbed(text: str) -> str:
    """Return `text` up to the first possible key, without the rest."""
    plain = text
    for _ in range(_DEEPEST):
        before, plain = plain, unquote(plain)
        if plain == before:
            break
    else:
        return _LEFT_OUT
    key = _KEY.search(plain)
    return f"{plain[: key.start()]}{_LEFT_OUT}" if key else text


def _log_pattern_only(
    log_request: Callable[[RequestHandler], None],
) -> Callable[[RequestHandler], None]:
    """Log a request by the pattern of its address, without id, query and headers.

    Jupyter's handlers have no pattern, so their class names replace it.
    """

    def logged(handler: RequestHandler) -> None:
        request = handler.request
        handler.request = copy.copy(request)
        handler.request.uri = getattr(handler, "template", "") or type(handler).__name__
        handler.request.headers = HTTPHeaders()
        try:
            log_request(handler)
        finally:
            handler.request = request

    return logged


def _cleaned(record: logging.LogRecord) -> logging.LogRecord:
    """Remove keys from a line, and what Jupyter and the HTTP parser quote from a request."""
    if isinstance(record.args, tuple):
        quotes = str(record.msg).startswith(_REFUSED)
        record.args = tuple(
            _LEFT_OUT if quotes or isinstance(argument, HTTPInputError) else argument
            for argument in record.args
        )
    try:
        text = record.getMessage()
    except (TypeError, ValueError):
        return record  # logging reports it
    if (clean := scrubbed(text)) != text:
        record.msg, record.args = clean, ()
    if record.exc_info and record.exc_info[0] is not None:
        traceback = logging.Formatter().formatException(record.exc_info)
        if (clean := scrubbed(traceback)) != traceback:
            record.exc_text = clean
    return record
