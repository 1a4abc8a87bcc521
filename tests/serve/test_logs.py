"""Keys stay out of the log, wherever in a request they stand and however they are written."""

from __future__ import annotations

import base64
import logging
import socket
from urllib.parse import quote, urlsplit

from tornado.httputil import HTTPInputError

from mobility.serve.api_keys import Keys
from mobility.serve.logs import keep_keys_out, scrubbed
from mobility.store import Store

OURS = "/mobility-assessment/sessions/"


def written(key):
    """A key as it may stand in an address."""
    return {
        "plain": key,
        "with scheme": f"API-KEY%20{key}",
        "as a plus": f"API-KEY+{key}",
        "each letter encoded": "".join(f"%{ord(letter):02x}" for letter in key),
        "encoded twice": quote("".join(f"%{ord(letter):02X}" for letter in key)),
        "with CR": f"{key[:20]}%0D{key[20:]}",
        "with NUL": f"{key[:20]}%00{key[20:]}",
        "with a slash": f"{key[:12]}%2f{key[12:]}",
        "with blanks": "%20".join(key),
        "with nothing to be seen": f"{key[:30]}%e2%80%8b{key[30:]}",
        "with a long beginning": f"mob_{'a' * 97}{key}",
        "without its beginning": key[4:],
        "with another hyphen": f"mob%E2%80%90{key[4:]}",
        "base64": base64.b64encode(f"{key}:".encode()).decode(),
        "upper case": key.upper(),
    }


def requests(key, host):
    """Heads of requests with a key in many places."""
    ask = f"GET {OURS} HTTP/1.1\r\nHost: {host}\r\n"
    for form in written(key).values():
        for asked in (
            *(f"{OURS}?Authorization={form}", f"{OURS}?{form}", f"{OURS}{form}/"),
            *(f"{OURS}{form}/media/{form}", f"/mobility-assessment/{form}"),
            # What is not ours is answered, and logged, by Jupyter itself.
            *(f"/api/contents?Authorization={form}", f"/nowhere?Authorization={form}"),
            *(f"/api/contents/{form}", f"/{form}"),
        ):
            yield f"GET {asked} HTTP/1.1\r\nHost: {host}\r\n"
        yield f"DELETE /mobility-assessment/participants/{form}/ HTTP/1.1\r\nHost: {host}\r\n"
        yield f"GET {OURS} HTTP/1.1\r\nHost: {host}\r\nReferer: http://{host}/?k={form}\r\n"
        yield f"GET /login?next={form} HTTP/1.1\r\nHost: {host}\r\nReferer: http://x/{form}\r\n"
        for path in (OURS, "/api/contents", "/mobility/open"):
            yield f"GET {path} HTTP/1.1\r\nHost: {form}\r\n"
            yield f"GET {path} HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{form}\r\n"
    for value in (key, f"API-KEY {key}", f"{key[:20]}\r{key[20:]}", f"{key[:20]}\0{key[20:]}"):
        for name in ("Authorization", "X-Api-Key", "Cookie", "Origin", "Range", "Content-Length"):
            yield f"{ask}{name}: {value}\r\n"
        for line in (f"User-Agent: {value}\r\nAccept: {value}", f"X-{key}", value, f"{value}: x"):
            yield f"{ask}{line}\r\n"
        yield f"GET {OURS} HTTP/1.1\r\nHost: {value}\r\n"
        yield f"GET {OURS} {value}\r\nHost: {host}\r\n"
        yield f"{value} {OURS} HTTP/1.1\r\nHost: {host}\r\n"
        yield f"{value}\r\n"
        yield f"{ask}Authorization: API-KEY {key}wrong\r\nTransfer-Encoding: {value}\r\n"
    cookie = base64.b64encode(key.encode()).decode()
    yield f"{ask}Cookie: _xsrf={key}; username-{host.replace(':', '-')}=2|{cookie}|{key}\r\n"
    yield f"GET {OURS} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Basic {cookie}\r\n"


def forms_of(key):
    """What must not be found: the key and its secret, as they are and as they may be written."""
    secret = key.split("_")[2]
    # Where something stands within it, either half is enough to know it by.
    parts = {*written(key).values(), key, secret, key[20:], key[:20], secret[:20], secret[20:]}
    parts |= {secret.upper(), base64.b64encode(key.encode()).decode()}
    return {part.encode() for part in parts}


def test_no_form_of_a_key_is_in_any_log(server, admin):
    key = server.key("participant", "p-logs").split()[1]
    url = server.ask("GET", "/sessions/x/?demo=true", admin).json()["video_url"]
    assert server.ask("GET", url).status_code == 200
    assert server.ask("GET", f"{url}x").status_code == 401
    address = urlsplit(server.url)
    asked = list(requests(key, address.netloc))
    for head in asked:
        with socket.create_connection((address.hostname, address.port), timeout=120) as connection:
            connection.sendall(head.encode("latin-1") + b"Connection: close\r\n\r\n")
            try:
                while connection.recv(65536):
                    pass
            except ConnectionError:
                pass
    upload = {"path": "/sessions/", "name": f"{key}.exe", "session_name": key}
    server.upload(f"API-KEY {key}", **upload)
    server.ask("GET", "/sessions/", f"API-KEY {key}", headers={"Cookie": f"a={key}"})
    log = server.log.read_bytes()
    assert url.partition("media_key=")[2].encode() not in log
    assert log.count(b"/mobility-assessment/sessions/{session_id}/") > len(written(key))
    assert log.count(b"Malformed HTTP message") > 10
    assert b"Error in exception logger" not in log
    kept = {server.log: log}
    for file in (server.store / ".server").rglob("*"):
        if file.is_file():
            kept[file] = file.read_bytes()
    for file, content in kept.items():
        leaked = [form for form in forms_of(key) if form in content]
        assert not leaked, (file, leaked)


def test_of_a_line_only_what_may_be_a_key_is_left_out(tmp_path, caplog):
    for text in ("GET /a%20b?c=%2F", "cannot write /srv/mob-2024/a.nc: the disk is full", "100%"):
        assert scrubbed(text) == text
    # What is encoded over and over is left out.
    assert scrubbed(f"GET /%{'25' * 6}41") == f"GET /%{'25' * 6}41"
    for depth in (30, 30_000):
        assert scrubbed(f"GET /%{'25' * depth}41").startswith("[left out")
    key, _ = Keys(Store(tmp_path)).create("administrator")
    for form in (f"{key}{key}", " ".join(key), key[4:], f"mob%255f{key[4:]}", f"MOB_{key[4:]}"):
        assert scrubbed(f"host {form} is wrong") == "host [left out: it may hold a key]"
    make_record = logging.getLogRecordFactory()
    keep_keys_out({"log_function": print})
    try:
        raise HTTPInputError(f"bad header API-KEY {key}")
    except HTTPInputError as error:
        logging.getLogger("of.any.library").exception("Malformed %s: %s", "here", error)
    finally:
        logging.setLogRecordFactory(make_record)
    assert "Malformed here: [left out" in caplog.text
    assert "Traceback" in caplog.text
    assert key.split("_")[2] not in caplog.text
