"""The pages beside the interface: who gets them, and what stands in them."""

from __future__ import annotations

import json
import re

import httpx
import serving

from mobility.serve import pages

TOKEN = {"Authorization": f"token {serving.TOKEN}"}


def get(server, path, **headers):
    return httpx.get(f"{server.url}{path}", headers=headers)


def test_the_page_is_for_who_has_the_token(server):
    refused = get(server, "/mobility/open")
    assert refused.status_code == 302
    assert refused.headers["Location"].startswith("/login")
    page = get(server, "/mobility/open", **TOKEN)
    assert page.status_code == 200
    held = re.search(r'<script id="jupyter-config-data"[^>]*>(.*)</script>', page.text)
    assert json.loads(held[1])["baseUrl"] == "/"
    assert "_xsrf" in page.cookies
    assert page.headers["Cache-Control"] == "private, no-store"
    # A key of the interface is no login.
    assert get(server, "/mobility/open", Authorization=server.key("administrator")).is_redirect
    # Where no phones are let in there is no page for them.
    key = server.key("participant", "p-phone").split("_")
    assert get(server, f"/mobility/phone/{key[1]}", **TOKEN).status_code == 404


def test_scripts_are_no_secret_and_nothing_beside_them_is_given(server):
    for name in ("open.js", "pages.css", "phone.js", "film_check.js"):
        assert get(server, f"/mobility/static/{name}").status_code == 200
    for path in ("../keys.py", "%2e%2e/keys.py", "..%2f..%2fstore.py"):
        assert get(server, f"/mobility/static/{path}").status_code in (403, 404), path
    for path in ("__init__.py", "open.html", "phone.html", "absent.js", ""):
        refused = get(server, f"/mobility/static/{path}")
        assert refused.status_code in (403, 404), path
        assert "Server" not in refused.headers


def test_what_is_filled_into_a_page_is_no_script():
    page = pages._page("phone.html", known={"a": "</script><script>alert(1)</script>"})
    assert "alert(1)</script>" not in page
