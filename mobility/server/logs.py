"""What the server's log says of requests: nothing that a client sent where a key may stand."""

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
"""What may stand between the characters of a key, of which none is of these: blanks, controls."""
_KEY = re.compile(
    f"{_BETWEEN.join('mob_')}|(?:[0-9a-f]{_BETWEEN}){{12}}_(?:{_BETWEEN}[A-Za-z0-9_-]){{43}}",
    re.IGNORECASE,
)
_DEEPEST = 8
"""How often what is percent-encoded may be encoded once more."""
_REFUSED = "Blocking "
"""How Jupyter's lines begin that quote Host, Origin and Referer of a request that it refuses."""
_LEFT_OUT = "[left out: it may hold a key]"


def keep_keys_out(settings: dict[str, Any]) -> None:
    """Keep keys out of all that this process logs, whoever logs it."""
    settings["log_function"] = _without_what_was_sent(settings["log_function"])
    made = logging.getLogRecordFactory()

    def without_keys(*args: Any, **more: Any) -> logging.LogRecord:
        return _cleaned(made(*args, **more))

    logging.setLogRecordFactory(without_keys)


def scrubbed(text: str) -> str:
    """Return `text` up to where a key begins, or what may be one: all after it is left out."""
    plain = text
    for _ in range(_DEEPEST):
        before, plain = plain, unquote(plain)
        if plain == before:
            break
    else:
        return _LEFT_OUT
    found = _KEY.search(plain)
    return f"{plain[: found.start()]}{_LEFT_OUT}" if found else text


def _without_what_was_sent(
    log_request: Callable[[RequestHandler], None],
) -> Callable[[RequestHandler], None]:
    """Log a request by the pattern of its address: no id, no query, no header.

    Of what is Jupyter's own no pattern is known, but which handler answers.
    """

    def logged(handler: RequestHandler) -> None:
        asked = handler.request
        handler.request = copy.copy(asked)
        handler.request.uri = getattr(handler, "template", "") or type(handler).__name__
        handler.request.headers = HTTPHeaders()
        try:
            log_request(handler)
        finally:
            handler.request = asked

    return logged


def _cleaned(record: logging.LogRecord) -> logging.LogRecord:
    """Leave out of a line what Jupyter and the parser of HTTP quote of a request, and every key."""
    if isinstance(record.args, tuple):
        quotes = str(record.msg).startswith(_REFUSED)
        record.args = tuple(
            _LEFT_OUT if quotes or isinstance(each, HTTPInputError) else each
            for each in record.args
        )
    try:
        text = record.getMessage()
    except (TypeError, ValueError):
        return record  # logging itself tells of it
    if (clean := scrubbed(text)) != text:
        record.msg, record.args = clean, ()
    if record.exc_info and record.exc_info[0] is not None:
        traceback = logging.Formatter().formatException(record.exc_info)
        if (clean := scrubbed(traceback)) != traceback:
            record.exc_text = clean
    return record
