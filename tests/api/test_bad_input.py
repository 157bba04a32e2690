"""Bad input on every operation: a clear 4xx that is a problem document, and not a row written."""

import json
from datetime import timedelta
from uuid import uuid4

import pytest
from joserfc.jwk import OKPKey
from tests.signed_in import LOCALHOST

from fettle.identity.authentication import authenticator
from fettle.identity.tokens import issue_access_token
from fettle.kernel.clock import utcnow
from fettle.kernel.ids import new_id

FIELDS = (
    *("email", "password", "current_password", "new_password", "name", "slug", "scopes", "role", "value"),
    *("check_type", "items", "alerts", "conditions", "reason", "plan_hash", "id", "version", "enabled"),
    *("content", "rule", "incident", "parameters", "title", "platform", "executor"),
)
MALFORMED = {
    "nothing": b"",
    "half an object": b'{"name": "x"',
    "a comma too many": b'{"name": "x",}',
    "single quotes": b"{'name': 'x'}",
    "not a number": b'{"name": NaN}',
    "an infinity": b'{"priority": Infinity}',
    "a lone surrogate": b'{"name": "\\ud800"}',
    "a lone surrogate as a key": b'{"\\udfff": 1}',
    "raw bytes": b"\xff\xfe\x00",
    "not UTF-8": b'{"name": "\xe9"}',
    "a byte-order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"name": "x"}'.encode("utf-16"),
    "two documents": b"{}{}",
    "a comment": b'{"name": "x"} // no',
    "a raw control character": b'{"name": "\x01"}',
}
UNACCEPTABLE = {
    "null": b"null",
    "a list": b"[]",
    "a text": b'"text"',
    "a number": b"1",
    "true": b"true",
    "U+0000 in a value": b'{"name": "a\\u0000b"}',
    "U+0000 in a key": b'{"a\\u0000b": 1}',
    "deep lists": b'{"details": ' + b"[" * 5_000 + b"]" * 5_000 + b"}",
    "deep objects": b'{"details": ' + b'{"a":' * 5_000 + b"1" + b"}" * 5_000 + b"}",
    "a huge integer": b'{"priority": ' + b"9" * 400 + b"}",
    "a huge exponent": b'{"priority": 1e400}',
    "all of the wrong type": json.dumps({name: {"a": [1]} for name in FIELDS}).encode(),
}


async def taking_json(api):
    """Return every operation that takes a body of JSON, with a path that can be asked."""
    document = (await api.client.get("/api/v1/openapi.json")).json()
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if "application/json" in operation.get("requestBody", {}).get("content", {}):
                yield method, path.replace("{", "").replace("}", ""), operation


def clear(answer, *statuses) -> None:
    assert answer.status_code in statuses, (answer.request.method, answer.request.url, answer.text)
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["status"] == answer.status_code
    assert problem["instance"] == answer.headers["x-request-id"]
    assert len(problem["detail"]) > 10
    assert "Traceback" not in answer.text


async def test_malformed_bodies_are_400_on_every_operation(api):
    before, tried = await api.count_rows(), 0
    async for method, path, operation in taking_json(api):
        for body in MALFORMED.values():
            if body == b"" and not operation["requestBody"].get("required"):
                continue
            headers = api.owner(api.alder) | LOCALHOST | {"Content-Type": "application/json"}
            answer = await api.client.request(method, path, content=body, headers=headers)
            # Nothing at all is a body that is missing where one is needed.
            clear(answer, *((400, 404, 422) if body == b"" else (400, 422)))
            tried += 1
    assert tried > 15 * len(MALFORMED)
    assert await api.count_rows() == before


@pytest.mark.parametrize("fault", UNACCEPTABLE)
async def test_unacceptable_bodies_are_refused_on_every_operation(api, fault):
    before = await api.count_rows()
    async for method, path, operation in taking_json(api):
        if fault == "null" and not operation["requestBody"].get("required"):
            continue
        headers = api.owner(api.alder) | LOCALHOST | {"Content-Type": "application/json"}
        answer = await api.client.request(method, path, content=UNACCEPTABLE[fault], headers=headers)
        clear(answer, 400, 404, 422)
    assert await api.count_rows() == before


async def test_five_megabytes_are_413_on_every_operation(api):
    before = await api.count_rows()
    body = b'{"name": "' + b"x" * 5_000_000 + b'"}'
    async for method, path, _ in taking_json(api):
        headers = api.owner(api.alder) | {"Content-Type": "application/json"}
        clear(await api.client.request(method, path, content=body, headers=headers), 413)
    assert await api.count_rows() == before


async def test_five_megabytes_in_pieces_of_unknown_length_are_413_too(api):
    async def pieces():
        yield b'{"check_type": "'
        for _ in range(50):
            yield b"x" * 100_000
        yield b'"}'

    headers = api.owner(api.alder) | {"Content-Type": "application/json"}
    for path in ("/api/v1/exceptions", "/api/v1/rules", "/api/v1/hooks/alertmanager"):
        clear(await api.client.post(path, content=pieces(), headers=headers), 413)


async def test_every_fault_is_named_by_its_field(api):
    answer = await api.client.post(
        "/api/v1/api-keys",
        headers=api.alder.headers(),
        json={"name": "", "scopes": "keys:read", "surprise": 1},
    )
    clear(answer, 422)
    assert {error["pointer"] for error in answer.json()["errors"]} == {"/name", "/scopes", "/surprise"}


BAD_IDS = [
    "0",
    "x",
    "null",
    "-1",
    "1' OR '1'='1",
    "é",
    "a" * 3_000,
    "0" * 32,
    str(uuid4()) + "0",
    "NaN",
    "{}",
]


async def test_bad_ids_and_unknown_ids_are_clear(api):
    document = (await api.client.get("/api/v1/openapi.json")).json()
    tried = 0
    for path, item in document["paths"].items():
        if "{" not in path or "get" not in item:
            continue
        for bad in [*BAD_IDS, str(uuid4())]:
            start, _, rest = path.partition("{")
            concrete = start + bad.replace("'", "%27").replace(" ", "%20") + rest.partition("}")[2]
            answer = await api.client.get(concrete, headers=api.owner(api.alder))
            clear(answer, 400, 404, 414, 422)
            tried += 1
    assert tried > 50


BAD_QUERIES = [
    "limit=0",
    "limit=-1",
    "limit=201",
    "limit=1e9",
    "limit=999999999999999999999",
    "limit=x",
    "limit=",
    "cursor=x",
    "cursor=" + "A" * 2_000,
    "cursor=WzEsMSwxLDFd",
    "cursor=eyJhIjoxfQ",
    "q=%00",
    "limit=10&limit=x",
]


@pytest.mark.parametrize("query", BAD_QUERIES)
async def test_bad_pages_are_clear_on_every_list(api, query):
    document = (await api.client.get("/api/v1/openapi.json")).json()
    tried = 0
    for path, item in document["paths"].items():
        names = {p["name"] for p in item.get("get", {}).get("parameters", ())}
        if "{" in path or query.partition("=")[0] not in names:
            continue
        answer = await api.client.get(f"{path}?{query}", headers=api.owner(api.alder))
        clear(answer, 400, 422)
        tried += 1
    assert tried > (0 if query.startswith("q=") else 5)


async def test_search_takes_any_text(api):
    for text in (
        "'",
        '"',
        "a & b | !c",
        "\\",
        "%",
        "<script>",
        "🙂",
        "a" * 200,
        "((((",
        ":*",
        "--",
        "\u202e",
    ):
        answer = await api.client.get("/api/v1/incidents", params={"q": text}, headers=api.alder.headers())
        assert answer.status_code == 200, (text, answer.text)


async def tokens_of_nobody(api) -> dict[str, str]:
    """Return tokens that look right and are not."""
    key = await authenticator(api.platform).keys.private()
    forger = OKPKey.generate_key("Ed25519", parameters={"kid": key.kid})
    long_ago, now = utcnow() - timedelta(hours=1), utcnow()
    good = api.owner_token
    return {
        "expired": issue_access_token(key, user_id=new_id(), session_id=new_id(), now=long_ago),
        "forged": issue_access_token(forger, user_id=new_id(), session_id=new_id(), now=now),
        "of a session that never was": issue_access_token(
            key, user_id=new_id(), session_id=new_id(), now=now
        ),
        "cut": good[:-1],
        "without its signature": good.rpartition(".")[0] + ".",
        "null": "null",
        "undefined": "undefined",
        "a key that never was": "ftl_" + "a" * 12 + "_" + "A" * 43,
        "a key's first part": api.alder.keys["viewer"].rpartition("_")[0],
        "a key with another's secret": "_".join(
            [*api.alder.keys["viewer"].split("_")[:2], api.birch.keys["viewer"].split("_")[2]]
        ),
        "very long": "a" * 20_000,
        "braces": "{}",
    }


async def test_tokens_of_nobody_are_401_everywhere_and_write_nothing(api):
    before = await api.count_rows()
    for name, token in (await tokens_of_nobody(api)).items():
        headers = {"Authorization": f"Bearer {token}", "X-Tenant-ID": str(api.alder.id)}
        for method, path in (
            ("GET", "/me"),
            ("GET", "/incidents"),
            ("GET", "/incidents/export"),
            ("POST", "/exceptions"),
            ("POST", "/exceptions/batch"),
            ("POST", "/hooks/alertmanager"),
            ("POST", "/tenants"),
            ("POST", "/packs"),
        ):
            answer = await api.client.request(
                method, f"/api/v1{path}", headers=headers, json={"check_type": "sandbox_process"}
            )
            assert answer.status_code == 401, (name, path, answer.text)
            assert answer.headers["www-authenticate"] == "Bearer"
            assert token not in answer.text
    assert await api.count_rows() == before


async def test_unknown_tenants_are_404_and_write_nothing(api):
    before = await api.count_rows()
    for headers in (
        api.owner() | {"X-Tenant-ID": str(uuid4())},
        api.alder.headers() | {"X-Tenant-ID": str(uuid4())},
    ):
        for path in ("/exceptions", "/rules", "/hosts", "/hooks/alertmanager"):
            answer = await api.client.post(
                f"/api/v1{path}", headers=headers, json={"check_type": "sandbox_process", "alerts": []}
            )
            clear(answer, 404)
    assert await api.count_rows() == before
