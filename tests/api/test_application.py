"""The application as a whole: health, description, docs, console, and the same problem document everywhere."""

import gzip
import json

import pytest

from fettle.central import openapi
from fettle.central.app import create_api
from fettle.central.static import Console

PUBLIC = {
    "/.well-known/jwks.json",
    "/api/v1/auth/.well-known/jwks.json",
    "/api/v1/auth/invitations/accept",
    "/api/v1/auth/invitations/look",
    "/api/v1/auth/login",
    "/api/v1/auth/oidc/callback",
    "/api/v1/auth/oidc/{provider_id}/start",
    "/api/v1/auth/providers",
    "/api/v1/auth/mfa",
    "/api/v1/auth/passkeys/options",
    "/api/v1/auth/passkeys/verify",
    "/api/v1/auth/password/forgot",
    "/api/v1/auth/password/reset",
    "/api/v1/auth/refresh",
    "/api/v1/auth/logout",
    "/api/v1/calendars/{token}/on-call.ics",
    "/api/v1/hooks/{source_id}",
    "/api/v1/hooks/{source_id}/{token}",
    "/api/v1/hooks/escalation/{channel_id}/pagerduty",
    "/api/v1/hooks/escalation/{channel_id}/slack",
    "/api/v1/openapi.json",
    "/api/docs",
    "/health",
    "/health/live",
    "/health/ready",
    "/metrics",
}
WITHOUT_TENANT = {
    "/api/v1/erasures",
    "/api/v1/tenants/{tenant_id}/erase",
    "/api/v1/accounts",
    "/api/v1/accounts/{account_id}",
    "/api/v1/accounts/{account_id}/second-factors",
    "/api/v1/auth/password",
    "/api/v1/me",
    "/api/v1/partners",
    "/api/v1/partners/{partner_id}",
    "/api/v1/partners/{partner_id}/invitations",
    "/api/v1/partners/{partner_id}/invitations/{invitation_id}",
    "/api/v1/partners/{partner_id}/invitations/{invitation_id}/resend",
    "/api/v1/partners/{partner_id}/members",
    "/api/v1/partners/{partner_id}/members/{user_id}",
    "/api/v1/overview/tenants",
    "/api/v1/platform/resume",
    "/api/v1/platform/stop",
    "/api/v1/me/confirm",
    "/api/v1/me/passkeys",
    "/api/v1/me/passkeys/options",
    "/api/v1/me/passkeys/{passkey_id}",
    "/api/v1/me/recovery-codes",
    "/api/v1/me/security",
    "/api/v1/me/sessions",
    "/api/v1/me/sessions/end-others",
    "/api/v1/me/sessions/{session_id}",
    "/api/v1/me/tenants",
    "/api/v1/me/totp",
    "/api/v1/me/totp/confirm",
    "/api/v1/me/totp/disable",
    "/api/v1/roles",
    "/api/v1/tenants",
    "/api/v1/tenants/{tenant_id}",
}


def operations(platform):
    return list(openapi.operations_of(create_api(platform)))


async def test_every_operation_asks_who_is_calling_unless_it_is_listed_here(platform):
    """A sibling route that forgets its check fails here, not in production."""
    found = operations(platform)
    assert {o.path_format for o in found if not openapi.needs_token(o)} == PUBLIC
    without = {o.path_format for o in found if openapi.needs_token(o) and not openapi.needs_tenant(o)}
    assert without == WITHOUT_TENANT
    unchecked = [
        (o.path_format, sorted(o.methods))
        for o in found
        if openapi.needs_tenant(o) and not openapi.permissions_needed(o)
    ]
    assert unchecked == []


async def test_every_operation_but_the_public_answers_401_to_nobody(api):
    document = (await api.client.get("/api/v1/openapi.json")).json()
    asked = 0
    for path, item in document["paths"].items():
        if path in PUBLIC:
            continue
        for method in {"get", "post", "put", "patch", "delete"} & item.keys():
            concrete = path.replace("{", "").replace("}", "")
            for headers in ({}, {"Authorization": "Bearer null"}, {"X-Tenant-ID": str(api.alder.id)}):
                answer = await api.client.request(method, concrete, headers=headers, json={})
                assert answer.status_code == 401, (method, path, headers, answer.text)
                asked += 1
    assert asked > 60


async def test_a_read_only_key_can_change_nothing_anywhere(api):
    document = (await api.client.get("/api/v1/openapi.json")).json()
    before = await api.count_rows()
    for path, item in document["paths"].items():
        for method in {"post", "put", "patch", "delete"} & item.keys():
            if path in PUBLIC or "read" in item[method].get("x-permission", ""):
                continue
            concrete = path.replace("{", "").replace("}", "")
            answer = await api.client.request(
                method, concrete, headers=api.alder.headers("viewer"), json={"name": "x"}
            )
            assert answer.status_code in {403, 422}, (method, path, answer.text)
    assert await api.count_rows() == before


async def test_the_description_names_permission_problems_and_security(api):
    document = (await api.client.get("/api/v1/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    operation = document["paths"]["/api/v1/api-keys"]["post"]
    assert operation["x-permission"] == "keys:write"
    assert operation["security"] == [{"bearer": []}]
    for status in ("400", "401", "403", "422", "default"):
        assert "application/problem+json" in operation["responses"][status]["content"]
    assert "HTTPValidationError" not in document["components"]["schemas"]


async def test_operation_ids_are_unique(api):
    document = (await api.client.get("/api/v1/openapi.json")).json()
    ids = [op["operationId"] for item in document["paths"].values() for op in item.values()]
    assert len(ids) == len(set(ids))


async def test_each_word_of_the_description_has_one_name_of_its_own(api):
    """Of two models of one name, or one that reads and writes unlike, the document would make names of paths."""
    document = (await api.client.get("/api/v1/openapi.json")).json()
    names = document["components"]["schemas"]
    assert [name for name in names if "__" in name or "-" in name] == []


async def test_every_body_that_is_taken_shows_an_example(api):
    document = (await api.client.get("/api/v1/openapi.json")).json()
    schemas = document["components"]["schemas"]
    assert '"examples"' in json.dumps(schemas["Credentials"])
    assert '"examples"' in json.dumps(schemas["ApiKeyIn"])


async def test_the_docs_list_every_operation_and_load_nothing(api):
    answer = await api.client.get("/api/docs")
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "<script" not in answer.text
    assert "http://" not in answer.text
    assert "https://" not in answer.text
    document = (await api.client.get("/api/v1/openapi.json")).json()
    for path in document["paths"]:
        assert f"<code>{path}</code>" in answer.text


async def test_health_names_each_part_with_its_latency_and_no_secret(api):
    answer = await api.client.get("/health")
    assert answer.status_code == 200
    parts = answer.json()["parts"]
    assert set(parts) == {"database", "redis", "bus", "auditor"}
    assert all(part["latency_ms"] >= 0 for part in parts.values())
    settings = api.platform.settings
    for secret in (settings.database_app_url, settings.redis_url):
        assert secret.get_secret_value() not in answer.text
    assert (await api.client.get("/health/live")).json() == {"status": "ok"}
    assert (await api.client.get("/health/ready")).status_code == 200


async def test_metrics_name_no_tenant(api):
    await api.client.get("/api/v1/me", headers=api.alder.headers())
    answer = await api.client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert "fettle_http_requests" in answer.text
    assert str(api.alder.id) not in answer.text


@pytest.mark.parametrize("path", ["/api/v1/nothing", "/api/nothing", "/api/v2/me", "/health/nothing"])
async def test_an_unknown_address_of_the_api_is_a_problem_not_a_page(api, path):
    answer = await api.client.get(path, headers=api.owner() | {"Accept": "text/html"})
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["instance"] == answer.headers["x-request-id"]


async def test_another_method_is_405_with_what_is_allowed(api):
    answer = await api.client.delete("/api/v1/me", headers=api.owner())
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET"
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.fixture
def console(tmp_path):
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<!doctype html><title>console</title>" + "<p>x</p>" * 300)
    (tmp_path / "assets" / "index-abc123.js").write_text("console.log(1);" * 200)
    (tmp_path / "favicon.svg").write_text("<svg/>")
    (tmp_path.parent / "secret.txt").write_text("secret")
    (tmp_path / "link").symlink_to(tmp_path.parent / "secret.txt")
    return Console(tmp_path)


async def ask(console, path, method="GET", **headers):
    sent = []

    async def send(message):
        sent.append(message)

    named = [(k.lower().replace("_", "-").encode(), v.encode()) for k, v in headers.items()]
    await console({"type": "http", "method": method, "path": path, "headers": named}, None, send)
    found = {k.decode(): v.decode() for k, v in sent[0]["headers"]}
    return sent[0]["status"], found, b"".join(m.get("body", b"") for m in sent[1:])


async def test_hashed_files_are_kept_for_ever_and_pages_asked_for_again(console):
    _, headers, _ = await ask(console, "/assets/index-abc123.js")
    assert headers["cache-control"] == "public, max-age=31536000, immutable"
    assert headers["content-type"] == "text/javascript; charset=utf-8"
    for path in ("/", "/incidents/some-id", "/index.html"):
        status, headers, body = await ask(console, path)
        assert status == 200
        assert headers["cache-control"] == "no-cache"
        assert b"<title>console</title>" in body


async def test_files_are_sent_compressed_to_whom_can_read_it(console):
    _, headers, body = await ask(console, "/assets/index-abc123.js", accept_encoding="gzip, br")
    assert headers["content-encoding"] == "gzip"
    assert headers["vary"] == "Accept-Encoding"
    assert gzip.decompress(body).startswith(b"console.log")
    _, headers, body = await ask(console, "/assets/index-abc123.js")
    assert "content-encoding" not in headers
    assert body.startswith(b"console.log")


async def test_what_the_browser_has_is_not_sent_again(console):
    _, headers, _ = await ask(console, "/favicon.svg")
    status, _, body = await ask(console, "/favicon.svg", if_none_match=headers["etag"])
    assert (status, body) == (304, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/assets/../../secret.txt",
        "/link",
        "//etc/passwd",
        "/assets/%2e%2e/secret.txt",
        "/..\\secret.txt",
        "/assets/\x00",
    ],
)
async def test_no_path_leads_out_of_the_console(console, path):
    _, _, body = await ask(console, path)
    assert b"secret" not in body
    assert b"root:" not in body


async def test_a_missing_hashed_file_is_404_and_a_new_build_is_seen(console, tmp_path):
    assert (await ask(console, "/assets/new-1.js"))[0] == 404
    (tmp_path / "assets" / "new-1.js").write_text("new")
    (tmp_path / "index.html").write_text("<!doctype html><title>newer</title>")
    assert (await ask(console, "/assets/new-1.js"))[0] == 200
    assert b"newer" in (await ask(console, "/"))[2]


async def test_the_console_takes_no_other_method(console):
    assert (await ask(console, "/", method="POST"))[0] == 405


async def test_without_a_build_the_page_says_what_to_do(tmp_path):
    status, _, body = await ask(Console(tmp_path / "nothing"), "/")
    assert status == 200
    assert b"make up" in body
