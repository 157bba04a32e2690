"""Bodies from somebody who means harm: never a 5xx, never more work than is allowed, never a file."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.examples import examples
from tests.hooks.senders import sender

from fettle.incidents.hooks.deliveries import exceptions_of
from fettle.incidents.hooks.mail import read_mail
from fettle.incidents.schemas import ExceptionIn
from fettle.kernel.errors import Malformed
from fettle.packs.check_sources import mapping_of
from fettle.packs.moments import moment_of
from fettle.packs.shipped import shipped_packs
from fettle.packs.sources import MAX_ITEMS, MappingError, SourceMapping

SOURCES = {source["id"]: source for pack in shipped_packs() for source in pack.section("sources")}
MAPPINGS = {name: SourceMapping(mapping_of(source)) for name, source in SOURCES.items()}

PLAIN = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=30)
)
ANY = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=5),
)


def mangled(example, draw):
    """Put something else into one place of a document that is right."""
    if isinstance(example, dict) and example and draw(st.integers(0, 3)):
        key = draw(st.sampled_from(sorted(example)))
        return {**example, key: mangled(example[key], draw)}
    if isinstance(example, list) and example and draw(st.integers(0, 2)):
        return [mangled(example[0], draw), *example[1:]]
    return draw(ANY)


@settings(examples(150), suppress_health_check=list(HealthCheck))
@given(data=st.data(), name=st.sampled_from(sorted(SOURCES)))
def test_a_mapping_makes_exceptions_or_an_error_with_words_of_whatever_it_is_given(data, name):
    case = data.draw(st.sampled_from(SOURCES[name]["tests"]))
    payload = mangled(case["payload"], data.draw)
    made, place = [], "/"
    try:
        reading = MAPPINGS[name].read(payload, case.get("headers", {}), source="a-source")
        made = exceptions_of(reading)
    except MappingError as error:
        place = error.place
    assert place.startswith("/")
    assert all(isinstance(one, ExceptionIn) for one in made)
    assert all(len(json.dumps(one.details)) < 64_000 for one in made)


@examples(100)
@given(value=ANY | st.datetimes().map(str) | st.integers(-(10**20), 10**20) | st.floats())
def test_whatever_is_said_to_be_a_moment_is_one_or_none(value):
    moment = moment_of(value)
    assert moment is None or (moment.utcoffset() is not None and 1970 <= moment.year <= 9999)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("0001-01-01T00:00:00Z", None),
        ("0001-01-01T00:00:00+23:59", None),
        ("9999-12-31T23:59:59-23:59", None),
        ("1970-01-01T00:00:00Z", None),
        ("2026-11-20T09:00:00.123456789+01:00", "2026-11-20T08:00:00.123456+00:00"),
        ("2026-11-20 08:00:00.527", "2026-11-20T08:00:00.527000+00:00"),
        ("Fri, 20 Nov 2026 09:00:00 +0100", "2026-11-20T08:00:00+00:00"),
        (1795161600, "2026-11-20T08:00:00+00:00"),
        ("1795161600000", "2026-11-20T08:00:00+00:00"),
        (1795161600000000000, "2026-11-20T08:00:00+00:00"),
        (True, None),
        ("soon", None),
        ("", None),
    ],
)
def test_moments_as_programs_write_them(said, meant):
    moment = moment_of(said)
    assert (moment.isoformat() if moment else None) == meant


@examples(100)
@given(
    body=st.binary(max_size=400)
    | st.text(max_size=400).map(lambda text: f"Subject: {text}\n\n{text}".encode())
)
def test_whatever_is_said_to_be_mail_is_read_or_refused(body):
    try:
        mail = read_mail(body)
    except Malformed:
        return
    json.dumps(mail).encode()
    assert "\x00" not in json.dumps(mail, ensure_ascii=False)


def test_headers_of_a_mail_are_cut_and_its_parts_are_few():
    mail = read_mail(b"From: a@b.example\nSubject: " + b'"' * 100_000 + b"\n" + b' ""\n' * 10_000 + b"\ntext")
    assert len(mail["subject"]) <= 500
    part = b"--b\nContent-Type: text/plain\n\nx\n"
    many = b"Subject: x\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n" + part * 101
    with pytest.raises(Malformed, match="more than 100 parts"):
        read_mail(many)


def deep(levels):
    return b"[" * levels + b"]" * levels


HOSTILE = [
    b"",
    b"\x00",
    b"null",
    b"[]",
    b"1e999",
    b'"text"',
    b"{",
    b'{"a": NaN}',
    b'{"a": "\\u0000"}',
    b'{"a": "\\ud800"}',
    b'{"a": 123456789012345678901234567890}',
    b'\xff\xfe{"a": 1}',
    b'{"title": "x", "title": "y"}',
    deep(1_000),
    deep(60),
    b'{"labels": ' + b'{"a":' * 39 + b"1" + b"}" * 40,
    json.dumps({"labels": {f"k{n}": "v" for n in range(5_000)}}).encode(),
    json.dumps({"title": "x" * 900_000}).encode(),
    json.dumps({"details": {"a": "x" * 300_000}, "title": "y"}).encode(),
    json.dumps({"check_type": "\u202e../../etc/passwd; DROP TABLE", "host": {"a": [1]}}).encode(),
    json.dumps({"dedup_key": "k" * 100_000, "status": ["firing"]}).encode(),
    json.dumps({"status": {"a": 1}, "labels": [1, 2], "occurred_at": {"$date": 1}}).encode(),
    json.dumps({"title": "${{ payload }} {{7*7}} ${jndi:ldap://x}"}).encode(),
    json.dumps({"occurred_at": "0001-01-01T00:00:00Z", "title": "t"}).encode(),
]


async def test_no_body_is_answered_with_a_5xx_and_none_reads_a_file(api):
    program = await sender(api, "json")
    kinds = (
        "application/json", "application/json; charset=utf-7", "text/plain", "application/problem+json", "",
        "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "application/xml",
        "application/json, text/html", "../../etc/passwd", "message/rfc822",
    )  # fmt: skip
    for number, body in enumerate(HOSTILE):
        for kind in kinds if number < 4 else kinds[:1]:
            answer = await program.send(body, content_type=kind)
            assert answer.status_code in {202, 400, 413, 415, 422}, (body[:60], kind, answer.text)
            assert "root:" not in answer.text
    form = b'--x\r\nContent-Disposition: form-data; name="files[0]"\r\n\r\n/etc/passwd\r\n--x--\r\n'
    assert (await program.send(form, content_type="multipart/form-data; boundary=x")).status_code == 415
    claim = json.dumps(
        {"title": "t", "files": [{"filepath": "/etc/passwd"}], "path": "file:///etc/passwd"}
    ).encode()
    assert (await program.send(claim)).status_code == 202
    found = await program.exceptions()
    assert found[-1]["details"]["path"] == "file:///etc/passwd", "it is data and stays data"
    templates = [one for one in found if one.get("summary", "").startswith("${{")]
    assert templates[0]["summary"] == "${{ payload }} {{7*7}} ${jndi:ldap://x}"
    async with api.platform.database.raw_system() as connection:
        assert (
            await connection.fetchval(
                "SELECT count(*) FROM hook_payloads WHERE source_id::text = $1", program.id
            )
            <= 50
        )


async def test_sizes_have_an_end(api):
    program = await sender(api, "alertmanager")
    one = {"status": "firing", "labels": {"alertname": "X"}, "fingerprint": "f"}
    most = await program.send({"version": "4", "alerts": [one] * MAX_ITEMS})
    assert len(most.json()["items"]) == MAX_ITEMS
    more = await program.send({"version": "4", "alerts": [one] * (MAX_ITEMS + 1)})
    assert more.status_code == 422
    assert "more than" in more.json()["detail"]
    large = await program.send(b'{"alerts": "' + b"x" * 1_000_001 + b'"}')
    assert large.status_code == 413
    zipped = await program.send(b"{}", content_encoding="gzip")
    assert zipped.status_code == 415


BUSY = [
    "join(map(payload.list, a => join(map(payload.list, b => join(map(payload.list, c => text(c)), '')), '')), '')",
    "replace(payload.text, 'a', payload.text)",
    "filter(payload.list, x => matches(payload.text, '(a+)+$'))",
    "map(payload.list, x => to_json(payload))",
]


@pytest.mark.parametrize("expression", BUSY)
def test_an_expression_ends_however_much_it_would_do(expression):
    mapping = SourceMapping(
        {"each": "payload.list", "set": {"check_type": "x", "details": {"d": f"${{{{ {expression} }}}}"}}}
    )
    payload = {"list": list(range(500)), "text": "a" * 50_000}
    with pytest.raises(MappingError, match=r"steps|large|long|much"):
        mapping.read(payload, {}, source="s")


def test_all_items_and_all_expressions_of_a_payload_share_one_bound():
    """A payload of half a kilobyte, or every request of everybody would wait for what one tenant wrote."""
    busy = {"value": "length(filter(payload.list, x => x == 3))"}
    mapping = SourceMapping(
        {
            "each": "payload.list",
            "let": [{"name": f"v{number}", **busy} for number in range(20)],
            "set": {"check_type": "x"},
        }
    )
    with pytest.raises(MappingError, match="steps"):
        mapping.read({"list": [1] * 300}, {}, source="s")


async def test_hostile_header_lines_change_nothing(api):
    program = await sender(api, "json")
    headers = {
        "X-HTTP-Method-Override": "DELETE", "X-Forwarded-Host": "evil.example", "X-Original-URL": "/api/v1/users",
        "X-Tenant-ID": str(api.birch.id), "Idempotency-Key": "a" * 200,
    }  # fmt: skip
    answer = await program.send(
        {"title": "x"}, **{name.replace("-", "_"): value for name, value in headers.items()}
    )
    assert answer.status_code == 202
    again = await program.send({"title": "another"}, Idempotency_Key="a" * 200)
    assert again.json()["status"] == "repeated"
    [kept] = await program.payloads()
    assert "authorization" not in kept["headers"]
    assert program.secret not in json.dumps(kept)
