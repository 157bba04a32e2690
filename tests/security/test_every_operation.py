"""Attacks that are tried on every operation of the OpenAPI document: cookies, extra fields, paths, header lines."""

import asyncio
import gzip
import io
import zipfile

import pytest
import pytest_asyncio
from tests.isolation.test_routes import operations
from tests.packs.content import small_pack
from tests.signed_in import LOCALHOST, sign_in, someone

from fettle.central.gate import OPEN
from fettle.identity.cookies import REFRESH_COOKIE

TAKES_MORE = {"/api/v1/hooks/alertmanager"}
"""Bodies whose other fields are somebody else's to add: what is not known is passed over and kept nowhere."""

CLIMBS = [
    "..%2f..%2f..%2fetc%2fpasswd",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "..%5c..%5cetc%5cpasswd",
    "....%2f%2fetc%2fpasswd",
    "%2fetc%2fpasswd",
    "file:%2f%2f%2fetc%2fpasswd",
    "..%252f..%252fetc%252fpasswd",
    "a%00.zip",
]
LINES = [
    "%0d%0aSet-Cookie:%20taken=1",
    "%0aLocation:%20https:%2f%2fevil.example",
    "%e5%98%8a%e5%98%8dX-Taken:1",
]


@pytest_asyncio.fixture(scope="module")
async def cookie(api) -> str:
    """The refresh cookie of somebody who is signed in."""
    person = await someone(api)
    body = {"email": person.email, "password": "several unrelated words"}
    answer = await api.client.post("/api/v1/auth/login", json=body, headers=LOCALHOST)
    api.client.cookies.clear()
    assert await sign_in(api, person.email)
    return answer.headers["set-cookie"].partition(";")[0]


async def test_the_cookie_alone_changes_nothing_anywhere(api, cookie):
    """A forged form of another site brings the cookie along, and nothing else that would let it in."""
    assert cookie.startswith(REFRESH_COOKIE)
    before = await api.count_rows()
    for method, path, _ in await operations(api):
        if path in OPEN:
            continue
        answer = await api.client.request(method, path, headers={"Cookie": cookie}, json={})
        assert answer.status_code == 401, (method, path, answer.text)
    for path in ("/api/v1/auth/refresh", "/api/v1/auth/logout"):
        for headers in (
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Sec-Fetch-Site": "cross-site"},
        ):
            answer = await api.client.post(path, headers={"Cookie": cookie, **headers})
            assert answer.status_code == 403, (path, headers)
    assert await api.count_rows() == before


def objects_of(schema, schemas, reached):
    """Yield the name of each object that a body may be or hold, however deep."""
    if isinstance(schema, list):
        for one in schema:
            yield from objects_of(one, schemas, reached)
    elif isinstance(schema, dict):
        name = schema.get("$ref", "").rpartition("/")[2]
        if name and name not in reached:
            reached.add(name)
            yield name
            yield from objects_of(schemas[name], schemas, reached)
        for key, one in schema.items():
            if key in {"properties", "$defs"}:
                yield from objects_of(list(one.values()), schemas, reached)
            elif key in {"items", "prefixItems", "anyOf", "oneOf", "allOf", "additionalProperties"}:
                yield from objects_of(one, schemas, reached)


async def test_no_body_takes_a_field_that_is_not_offered(api):
    """Mass assignment: every object that a request may be or hold is closed, so no column can be named by chance."""
    document = (await api.client.get("/api/v1/openapi.json")).json()
    schemas, open_to_more, seen = document["components"]["schemas"], [], set()
    for method, path, operation in await operations(api):
        for media in operation.get("requestBody", {}).get("content", {}).values():
            for name in objects_of(media["schema"], schemas, set()):
                seen.add(name)
                is_open = (
                    "properties" in schemas[name] and schemas[name].get("additionalProperties") is not False
                )
                if is_open and path not in TAKES_MORE:
                    open_to_more.append((method, path, name))
    assert open_to_more == []
    assert len(seen) > 100


async def test_no_name_in_a_path_climbs_to_a_file(api):
    """Path traversal on every operation that names something, exports and downloads among them."""
    headers, tried = api.owner(api.alder), 0
    for method, path, _ in await operations(api):
        if "{" not in path or method != "get":
            continue
        start, _, rest = path.partition("{")
        for climb in CLIMBS:
            answer = await api.client.get(
                start + climb + rest.partition("}")[2].partition("/{")[0], headers=headers
            )
            assert answer.status_code in {400, 401, 404, 405, 422}, (path, climb, answer.status_code)
            assert "root:" not in answer.text
            tried += 1
    assert tried > 100


async def test_no_value_becomes_a_line_of_an_answers_head(api):
    """Header injection by path and by every parameter of a read, and by the request's own headers."""
    headers = api.owner(api.alder)
    for method, path, operation in await operations(api):
        if method != "get" or "text/event-stream" in str(operation["responses"]):
            continue
        names = [p["name"] for p in operation.get("parameters", ()) if p["in"] == "query"]
        for line in LINES:
            query = "&".join(f"{name}={line}" for name in names)
            asked = path.replace("{", "").replace("}", "") + (line if "{" in path else "")
            answer = await api.client.get(f"{asked}?{query}", headers=headers)
            assert not {"set-cookie", "x-taken", "location"} & answer.headers.keys(), (path, line)
    answer = await api.client.get("/api/v1/me", headers=headers | {"X-Request-ID": "a b;c"})
    assert answer.headers["x-request-id"] != "a b;c"


async def test_downloads_are_named_by_us_and_never_shown_as_a_page(api):
    names = {
        "/api/v1/incidents/export?format=csv": "incidents.csv",
        "/api/v1/audit/export?format=csv": "audit.csv",
        "/api/v1/evidence/export": "evidence.jsonl",
    }
    rota = {"name": 'x"; filename="page.html', "time_zone": "UTC", "layers": []}
    made = await api.client.post("/api/v1/escalation/schedules", json=rota, headers=api.alder.headers())
    assert made.status_code == 201, made.text
    names[f"/api/v1/escalation/schedules/{made.json()['id']}/calendar.ics"] = "on-call.ics"
    for path, name in names.items():
        answer = await api.client.get(path, headers=api.alder.headers())
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "html" not in answer.headers["content-type"]


def zipped(members) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in members.items():
            made.writestr(name, content)
    return archive.getvalue()


@pytest.mark.parametrize(
    ("kind", "archive"),
    [
        ("application/zip", zipped({**small_pack(), "rules/bomb.yaml": b"\0" * 100_000_000})),
        ("application/zip", zipped({**small_pack(), "../../escaped.yaml": b"a: 1"})),
        ("application/zip", zipped({**small_pack(), "/etc/escaped.yaml": b"a: 1"})),
        ("application/zip", zipped({**small_pack(), "C:\\escaped.yaml": b"a: 1"})),
        ("application/gzip", gzip.compress(b"\0" * 100_000_000)),
    ],
)
async def test_an_upload_that_explodes_or_climbs_is_refused_and_others_go_on(api, kind, archive):
    """The bomb of a pack, through the door: refused, nothing installed, and the next request is answered."""
    before = await api.count_rows()
    headers = api.owner(api.alder) | {"Content-Type": kind}
    upload = asyncio.create_task(api.client.post("/api/v1/packs", content=archive, headers=headers))
    assert (await api.client.get("/api/v1/me", headers=api.alder.headers())).status_code == 200
    answer = await upload
    assert answer.status_code == 422, answer.text
    assert await api.count_rows() == before


async def test_no_answer_sends_a_browser_elsewhere(api):
    """Open redirects: no operation, page or asset answers with a place that the request named."""
    elsewhere = "https://evil.example"
    named = "&".join(
        f"{name}={elsewhere}" for name in ("next", "return_to", "url", "redirect", "redirect_uri")
    )
    for method, path, _ in await operations(api):
        if method == "get":
            asked = path.replace("{", "").replace("}", "")
            answer = await api.client.get(f"{asked}?{named}", headers=LOCALHOST)
            assert not answer.is_redirect, path
    for path in (
        "//evil.example",
        "/\\evil.example",
        "/t/a//evil.example",
        "/%2f%2fevil.example",
        "/assets/..//e",
    ):
        answer = await api.client.get(f"{api.url}{path}?{named}")
        assert not answer.is_redirect, path
