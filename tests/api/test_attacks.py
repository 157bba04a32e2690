"""Attacks that such platforms have fallen to, tried on the whole application as it is served."""

import json
from uuid import uuid4

import pytest

from fettle.central.gate import OPEN
from fettle.kernel.settings import Settings

EMPTY_LISTS = {f"/api/v1/{name}" for name in ("tenants", "partners", "overview/tenants")}
"""What answers everybody, with what one belongs to."""

JSON = {"Content-Type": "application/json"}


async def operations(api):
    document = (await api.client.get("/api/v1/openapi.json")).json()
    return [
        (method, path.replace("{", "").replace("}", ""), operation)
        for path, item in document["paths"].items()
        if path.startswith("/api/")
        for method, operation in item.items()
    ]


# Attack 3: validation, or anything else, that runs before authentication (CVE-2025-3248).


async def test_a_stranger_is_turned_away_before_the_body_is_looked_at(api):
    """A body that would be refused by itself is not even read: the answer is 401 and not 400, 413 or 422."""
    for method, path, operation in await operations(api):
        if path in OPEN or "requestBody" not in operation:
            continue
        for body in (b"{", b"[" * 100_000, b"PK\x03\x04", b"\x00"):
            answer = await api.client.request(method, path, content=body, headers=JSON)
            assert answer.status_code == 401, (method, path, answer.text)


async def test_a_stranger_learns_nothing_of_what_there_is(api):
    answers = {
        (await api.client.get(f"/api/v1/{path}")).status_code
        for path in ("incidents", f"incidents/{uuid4()}", "nothing", "rules/L1-X", "tenants", "a/b/c/d")
    }
    assert answers == {401}


# Attack 4: authentication off by default, and a verifier that answers for nobody (CVE-2020-13927).


def test_no_setting_turns_authentication_off():
    words = ("auth", "anonymous", "insecure", "disable", "skip", "trust_header", "debug", "dev")
    assert [name for name in Settings.model_fields if any(word in name for word in words)] == []


@pytest.mark.parametrize(
    "token", ["", " ", "null", "None", "undefined", "0", "false", "anonymous", "admin", "Bearer"]
)
async def test_no_word_is_a_credential(api, token):
    for header in (f"Bearer {token}", token, f"Basic {token}", f"bearer\t{token}"):
        answer = await api.client.get("/api/v1/me", headers={"Authorization": header.strip() or "x"})
        assert answer.status_code == 401, header


async def test_no_other_header_or_parameter_says_who_is_calling(api):
    person = str(uuid4())
    headers = {
        "X-User-Id": person,
        "X-Forwarded-User": "owner@localhost",
        "X-Remote-User": "owner@localhost",
        "Remote-User": "owner@localhost",
        "X-Api-Key": api.alder.keys["tenant_admin"],
        "X-Original-URL": "/api/v1/auth/login",
        "X-Rewrite-URL": "/health",
        "X-HTTP-Method-Override": "GET",
        "Cookie": f"access_token={api.owner_token}; fettle_refresh={api.owner_token}",
    }
    query = f"?token={api.owner_token}&access_token={api.owner_token}&api_key={api.alder.keys['viewer']}"
    for path in ("/api/v1/me", "/api/v1/incidents", "/api/v1/tenants"):
        assert (await api.client.get(path + query, headers=headers)).status_code == 401


# Attack 5: host and path that the router and the check read in two ways (CVE-2026-48710).


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1//me",
        "//api/v1/me",
        "/api/v1/./me",
        "/api/v1/auth/login/../../me",
        "/api/v1/auth/login/%2e%2e/%2e%2e/me",
        "/api/v1/auth/login%2f..%2f..%2fme",
        "/api/v1/auth/login;/../../me",
        "/api/v1/me/",
        "/api/v1/me%00",
        "/api/v1/me%20",
        "/api/v1/%6de",
        "/api/v1/me;a=b",
        "/api/v1/me.json",
        "/API/v1/me",
        "/api\\v1\\me",
        "/api/v1/auth/login/me",
        "/api/docs/../v1/me",
        "/health/../api/v1/me",
        "/assets/../api/v1/me",
    ],
)
async def test_no_spelling_of_a_path_leads_past_the_check(api, path):
    """Neither as a stranger nor by a path that another layer may have let through."""
    answer = await api.client.get(api.url + path)
    assert "permissions" not in answer.text
    assert not answer.is_redirect
    if answer.status_code == 200:
        assert answer.headers["content-type"].startswith("text/html"), "a page of the console, no data"
    elif answer.status_code != 405:
        assert answer.status_code in {400, 401, 404}


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "", "a b", "[::1", "127.0.0.1:1:2"],
)
async def test_another_host_is_not_answered(api, host):
    answer = await api.client.get("/api/v1/me", headers=api.owner() | {"Host": host})
    assert answer.status_code == 400
    assert "permissions" not in answer.text


async def test_no_answer_repeats_the_host_that_was_named(api):
    answer = await api.client.get("/api/v1/me/", headers=api.owner() | {"X-Forwarded-Host": "evil.example"})
    assert "evil.example" not in answer.text + str(answer.headers)


# Attack 7: identity taken from the caller's body or from a header that is missing (CVE-2026-85513).


async def test_what_a_body_says_of_its_sender_is_refused_or_means_nothing(api):
    for extra in ("actor", "user_id", "tenant_id", "created_by", "permissions", "is_platform_admin", "role"):
        answer = await api.client.post(
            "/api/v1/api-keys",
            headers=api.alder.headers(),
            json={"name": "x", "scopes": ["keys:read"], extra: "user:somebody"},
        )
        assert answer.status_code == 422, extra
    made = await api.client.post(
        "/api/v1/api-keys", headers=api.alder.headers(), json={"name": "x", "scopes": ["keys:read"]}
    )
    assert made.json()["created_by"].startswith("key:")


async def test_a_missing_tenant_is_never_somebodys(api):
    answer = await api.client.get("/api/v1/incidents", headers=api.owner())
    assert answer.status_code == 422
    assert (
        await api.client.get("/api/v1/incidents", headers=api.owner() | {"X-Tenant-ID": ""})
    ).status_code == 422


@pytest.mark.parametrize("name", ["Authorization", "X-Tenant-ID"])
async def test_a_header_that_says_who_is_not_chosen_from_two(api, name):
    """Neither of two is taken, on the hot path as on the others."""
    mine = api.owner(api.alder)
    other = {"Authorization": f"Bearer {api.birch.keys['operator']}", "X-Tenant-ID": str(api.birch.id)}
    before = await api.count_rows()
    for path in ("/api/v1/exceptions", "/api/v1/exceptions/batch", "/api/v1/rules/explain", "/api/v1/hosts"):
        for headers in ([*mine.items(), (name, other[name])], [(name, other[name]), *mine.items()]):
            answer = await api.client.post(path, headers=headers, json={"check_type": "sandbox_process"})
            assert answer.status_code == 400, (path, answer.text)
    assert await api.count_rows() == before


# Attack 8: one sibling without its check, and mistakes with prefixes (CVE-2024-27906).


async def test_every_sibling_is_closed_to_a_key_without_any_right_to_it(api):
    """The agent's key may report and see hosts: everything else is 403, whatever it is called."""
    allowed = {"exceptions:write", "fleet:read", "rules:sync"}
    tenantless = {"/api/v1/me", "/api/v1/me/tenants", "/api/v1/roles", "/api/v1/auth/password"}
    for method, path, operation in await operations(api):
        needed = operation.get("x-permission")
        if path in OPEN or path in tenantless or needed in allowed:
            continue
        answer = await api.client.request(method, path, headers=api.alder.headers("agent"), json={})
        closed = {403} if needed else {403, 404, 422}
        if method == "get" and path in EMPTY_LISTS:
            assert answer.json() == {"items": [], "next_cursor": None}, path
            continue
        assert answer.status_code in closed, (method, path, answer.status_code, answer.text)


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/auth/loginx",
        "/api/v1/auth/login2",
        "/api/v1/auth",
        "/api/v1/auth/",
        "/api/docsx",
        "/api/v1/openapi.jsonx",
    ],
)
async def test_what_begins_like_an_open_path_is_not_open(api, path):
    for method in ("GET", "POST"):
        assert (await api.client.request(method, path)).status_code == 401


# Attack 12: a content type that is confused into reading something else (CVE-2026-21858).


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded",
        "text/plain",
        "text/json",
        "application/xml",
        "application/yaml",
        "application/x-python-pickle",
        "application/octet-stream",
        "application/jsonp",
        "application/json, multipart/form-data",
    ],
)
async def test_json_in_another_format_is_not_read(api, content_type):
    before = await api.count_rows()
    for method, path, operation in await operations(api):
        content = operation.get("requestBody", {}).get("content", {})
        if "application/json" not in content:
            continue
        body = json.dumps({"name": "x", "check_type": "x", "scopes": ["keys:read"], "slug": "x"}).encode()
        answer = await api.client.request(
            method, path, content=body, headers=api.owner(api.alder) | {"Content-Type": content_type}
        )
        assert answer.status_code in {400, 404, 415, 422}, (path, answer.text)
    assert await api.count_rows() == before


async def test_a_form_that_names_a_file_reads_none(api):
    form = (
        b'--x\r\nContent-Disposition: form-data; name="files"; filename="/etc/passwd"\r\n\r\n\r\n'
        b'--x\r\nContent-Disposition: form-data; name="filepath"\r\n\r\n/etc/passwd\r\n--x--\r\n'
    )
    named = {"files": {"f": {"filepath": "/etc/passwd"}}, "file": "/etc/passwd", "@": "/etc/passwd"}
    for body, kind in (
        (form, "multipart/form-data; boundary=x"),
        (json.dumps(named).encode(), "application/json"),
    ):
        for path in ("/exceptions", "/hooks/alertmanager", "/packs", "/rules", "/exceptions/batch"):
            answer = await api.client.post(
                f"/api/v1{path}", content=body, headers=api.owner(api.alder) | {"Content-Type": kind}
            )
            assert "root:" not in answer.text
            assert 400 <= answer.status_code < 500


async def test_only_the_body_of_json_is_believed_to_be_compressed_by_nobody(api):
    """A bomb in a Content-Encoding is not unpacked: the bytes are taken as they come, and are no JSON."""
    headers = api.alder.headers() | JSON | {"Content-Encoding": "gzip"}
    answer = await api.client.post(
        "/api/v1/exceptions", content=b"\x1f\x8b\x08" + bytes(100), headers=headers
    )
    assert answer.status_code in {400, 415, 422}
