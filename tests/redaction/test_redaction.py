"""What is taken out of data before it is kept, and what must stay so that something can be healed."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fettle.kernel.redaction import Finding, PatternError, Redactor, redact, redact_text

# Spelled in pieces, so that no secret scanner takes an example for the real thing.
GITHUB = "gh" + "p_" + "a1B2" * 9
AWS = "AKIA" + "ABCDEFGH234567QR"
JWT = "eyJ" + "hbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxMjM0In0." + "c2lnbmF0dXJlLW9mLXRlc3Q"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA7bq\nqwertyuiop\n-----END RSA PRIVATE KEY-----"

PLANTED: list[tuple[str, str, str]] = [
    ("api_key", GITHUB, "push failed for {}"),
    ("api_key", AWS, "user {} denied"),
    ("api_key", "sk" + "_live_" + "4eC39HqLyjWDarjtT1zdp7dc", "charge with {}"),
    ("api_key", "xox" + "b-1234567890-abcdefGHIJ", "slack said {} is revoked"),
    ("api_key", "T00000000/B00000000/XXXXyyyyZZZZ", "posting to https://hooks.slack.com/services/{}"),
    ("api_key", "ftl" + "_0123456789abcdefghij", "key {}"),
    ("token", JWT, "session {} ended"),
    ("private_key", PEM, "found {}"),
    ("private_key", PEM[:70], "cut off {}"),
    ("authorization", "Bearer abcdef", "Authorization: {}\r\nHost: web-01"),
    ("authorization", "a1b2c3d4e5", "sent bearer {} to it"),
    ("authorization", "dXNlcjpodW50ZXIy", "header was Basic {}"),
    ("cookie", "sid=8f14e45f; csrf=ab12", "Cookie: {}"),
    ("password", "p@ss/word"[:4] + "w0rd", "postgresql://fettle:{}@db.example.com:5432/x"),
    ("password", "hunter2", "redis://:{}@cache.example.com/0"),
    ("password", "$6$rounds=5000$saltsalt$" + "abcdefghijklmnopqrstuvwxyz", "root:{}:19000:0:::"),
    ("password", "hunter2", "curl -u admin:{} https://example.com/"),
    ("password", "hunter2", "ALTER USER a IDENTIFIED BY '{}'"),
    ("secret", "hunter2", "password={}"),
    ("secret", "hunter2", "Server=db;Uid=sa;Pwd={};"),
    ("secret", "correct horse", 'the "password": "{}" was refused'),
    ("secret", "hunter2", "DB_PASSWORD={} ./run"),
    ("secret", "hunter2", "mysql --password {} -h db"),
    ("secret", "0123456789abcdef", "GET /x?api_key={}&page=2"),
    ("secret", "0123456789abcdef", "https://acct.blob.example.com/c?sv=1&sig={}"),
    ("secret", "111111-222222-333333-444444-555555-666666-777777-888888", "BitLocker {}"),
    ("credit_card", "4111 1111 1111 1111", "card {} declined"),
    ("credit_card", "4111111111111111", "card {} declined"),
    ("credit_card", "378282246310005", "amex {}"),
    ("credit_card", "5555-5555-5555-4444", "mc {}"),
    ("ssn", "219-09-9999", "taxpayer {}"),
    ("ssn", "219099999", "SSN: {}"),
    ("mrn", "A0012345", "MRN: {} was opened"),
    ("mrn", "00123456", "medical record number {}"),
    ("date_of_birth", "1980-02-29", "DOB: {}"),
    ("date_of_birth", "02/29/1980", "date of birth {}"),
    ("date_of_birth", "29 February 1980", "born on {}"),
    ("email", "jane.doe+x@clinic.example.org", "mail from {} bounced"),
    ("email", "jörg@bücher.example", "mail from {} bounced"),
    ("phone", "+49 170 1234567", "call {}"),
    ("phone", "(415) 555-0132", "call {}"),
    ("phone", "415-555-0132", "call {} now"),
    ("phone", "0170 1234567", "tel: {}"),
    ("patient_name", "Jane Doe", "Patient: {} missed it"),
    ("patient_name", "O'Neil, Mary", "patient name: {}"),
]

SURVIVORS = [
    "web-01.clinic.example.net",
    "10.20.30.40",
    "192.168.100.200:8443",
    "fe80::1ff:fe23:4567:890a%eth0",
    "2001:db8::4123:4567:8901",
    "2026-11-21T10:00:00.000Z",
    "01939c5e-7b1f-7c3a-9f31-2f4c1d0a9b77",
    "c0535e4be2b79ffd93291305436bf889314e4a3faec05ecffcbb7df31ad9e51a",
    "PasswordAuthentication yes",
    "PermitEmptyPasswords no",
    "password policy: at least 14 characters",
    "password=disabled",
    "Authentication token expired",
    "basic authentication is required",
    "systemd[1]: getty@tty1.service: start request repeated too quickly",
    "user@1000.service",
    "ssh root@db1.example.com",
    "git@git.example.com:ops/site.git",
    "/etc/ssl/private/web-01.pem mode 0640, wanted 0600",
    "kernel 6.12.43+deb13-amd64, nftables 1.0.9-1",
    "order 1763722801000 took 1234.5678 ms, 123456789012345678 ns",
    "C:\\Windows\\System32\\drivers\\etc\\hosts",
    "https://vendor.example.com:8443/path?page=2#top",
    "CVE-2026-48710 in OpenSSL 3.0.15",
    "sg-0a1b2c3d4e5f67890 opened 22/tcp to 0.0.0.0/0",
    "the patient monitor is offline",
    "4111111111111112 bytes",
    "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExamplePublicKey",
    "uid=1000(ops) gid=1000(ops) groups=27(sudo)",
]


@pytest.mark.parametrize(("kind", "secret", "around"), PLANTED)
def test_a_planted_secret_is_gone_and_its_kind_is_said(kind: str, secret: str, around: str):
    cleaned, findings = redact({"summary": around.format(secret), "host": "web-01"})
    assert secret not in json.dumps(cleaned)
    assert f"[redacted:{kind}]" in cleaned["summary"]
    assert Finding(kind, "/summary") in findings
    assert cleaned["host"] == "web-01"


@pytest.mark.parametrize(("kind", "secret", "around"), PLANTED)
def test_a_planted_secret_is_found_wherever_it_stands(kind: str, secret: str, around: str):
    text = around.format(secret)
    for value in (
        [text],
        {"details": {"log": ["clean", {"lines": [text]}]}},
        {text: "as a key"},
        {"a": "first line", "b": f"über\n{text}\nlast"},
        (text,),
    ):
        cleaned, findings = redact(value)
        assert secret not in json.dumps(cleaned, ensure_ascii=False)
        assert findings


@pytest.mark.parametrize("text", SURVIVORS)
def test_what_is_needed_to_heal_stays(text: str):
    value = {"details": {"observed": text, "lines": [text]}}
    cleaned, findings = redact(value)
    assert findings == []
    assert cleaned is value


@pytest.mark.parametrize(
    ("key", "value", "kind"),
    [
        ("password", "hunter2", "password"),
        ("password", 12345678, "password"),
        ("dbPassword", "x", "password"),
        ("DB-PASSWD", "x", "password"),
        ("userpassword", "x", "password"),
        ("smtp_pass", "x", "password"),
        ("password2", "x", "password"),
        ("clientSecret", "x", "secret"),
        ("access_token", "x", "token"),
        ("X-Api-Key", "x", "api_key"),
        ("apikey", "x", "api_key"),
        ("aws_secret_access_key", "x", "api_key"),
        ("ssh_private_key", "x", "private_key"),
        ("Authorization", "x", "authorization"),
        ("set-cookie", "x", "cookie"),
        ("recoveryKey", "x", "api_key"),
        ("ssn", 219099999, "ssn"),
        ("patient_mrn", "A-1000", "mrn"),
        ("dateOfBirth", "1980", "date_of_birth"),
        ("dob", 19800229, "date_of_birth"),
        ("mobile_phone", "01701234567", "phone"),
        ("phone_number", 4155550132, "phone"),
        ("first_name", "Jane", "patient_name"),
        ("patient", "Jane", "patient"),
        ("card_number", 4111111111111111, "credit_card"),
        ("cvv", 123, "credit_card"),
    ],
)
def test_a_key_tells_what_its_value_is(key: str, value: object, kind: str):
    cleaned, findings = redact({"details": {key: value, "host": "web-01"}})
    assert cleaned == {"details": {key: f"[redacted:{kind}]", "host": "web-01"}}
    assert findings == [Finding(kind, f"/details/{key}")]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("password_max_days", 99999),
        ("password_policy", "14 characters"),
        ("PasswordAuthentication", "yes"),
        ("permit_empty_passwords", "no"),
        ("password", "disabled"),
        ("password", None),
        ("has_password", True),
        ("expired_tokens", 3),
        ("token_type", "bearer"),
        ("secret_name", "vendor-login"),
        ("dedup_key", "firewall_status:web-01"),
        ("public_key", "ssh-ed25519 AAAA"),
        ("key", "KernelParameter"),
        ("name", "web-01"),
        ("display_name", "Microsoft Edge"),
        ("full_name", "ops/site"),
        ("pass", 10),
        ("phone", "none"),
        ("patients", 12),
        ("session_id", "2"),
        ("compass", "x"),
        ("author", "x"),
    ],
)
def test_a_key_that_only_resembles_one_keeps_its_value(key: str, value: object):
    assert redact({"details": {key: value}}) == ({"details": {key: value}}, [])


def test_everything_inside_a_patient_or_a_credential_goes():
    cleaned, findings = redact(
        {
            "patient": {"name": [{"given": ["Jane"], "family": "Doe"}], "id": 1000, "active": True},
            "credentials": {"username": "svc", "extra": ["x", 7]},
            "env": [{"name": "DB_PASSWORD", "value": "hunter2"}, {"name": "LANG", "value": "C.UTF-8"}],
        }
    )
    assert cleaned == {
        "patient": {
            "name": [{"given": ["[redacted:patient]"], "family": "[redacted:patient]"}],
            "id": "[redacted:patient]",
            "active": True,
        },
        "credentials": {"username": "[redacted:secret]", "extra": ["[redacted:secret]", "[redacted:secret]"]},
        "env": [
            {"name": "DB_PASSWORD", "value": "[redacted:password]"},
            {"name": "LANG", "value": "C.UTF-8"},
        ],
    }
    assert Finding("password", "/env/0/value") in findings


def test_two_keys_that_become_one_placeholder_both_keep_their_values():
    cleaned, _ = redact({"a@b.example": 1, "c@d.example": 2})
    assert cleaned == {"[redacted:email]": 1, "[redacted:email]-2": 2}


def test_a_finding_never_holds_what_was_found():
    _, findings = redact({"jane@doe.example": {"password": "hunter2"}})
    assert findings
    assert "jane" not in repr(findings)
    assert "hunter2" not in repr(findings)


def test_the_host_of_a_connection_string_survives():
    assert (
        redact_text("postgresql://u:hunter2@db.example.com/x")
        == "postgresql://u:[redacted:password]@db.example.com/x"
    )


def test_a_pack_adds_its_own_patterns():
    redactor = Redactor(
        [
            {"id": "accession", "pattern": r"\bACC-(\d{6})\b"},
            {"id": "bed", "pattern": r"^BED \d+$", "replacement": "(a bed)"},
            {"id": "tail", "pattern": r"room \d+\z"},
        ]
    )
    value = {"a": "see ACC-123456", "b": "BED 12", "c": "in BED 12", "d": "room 7", "e": "x@y.example"}
    assert redactor.redact(value) == (
        {
            "a": "see ACC-[redacted:accession]",
            "b": "(a bed)",
            "c": "in BED 12",
            "d": "[redacted:tail]",
            "e": "[redacted:email]",
        },
        [
            Finding("accession", "/a"),
            Finding("bed", "/b"),
            Finding("tail", "/d"),
            Finding("email", "/e"),
        ],
    )
    assert redact({"a": "see ACC-123456"})[1] == []


@pytest.mark.parametrize("pattern", ["(", "a*", r"(?=x)", r"(a)\1"])
def test_a_pack_pattern_that_cannot_be_used_is_refused(pattern: str):
    with pytest.raises(PatternError, match="redaction odd"):
        Redactor([{"id": "odd", "pattern": pattern}])


def test_nesting_beyond_what_can_be_looked_at_is_replaced():
    value: Any = "password=hunter2"
    for _ in range(300):
        value = [value]
    cleaned, findings = redact(value)
    assert "hunter2" not in json.dumps(cleaned)
    assert findings[0].kind == "too_deep"


def test_hostile_text_is_read_in_linear_time():
    for hostile in ("-----BEGIN PRIVATE KEY-----" * 20_000, "a@" * 300_000, "1-" * 300_000, "eyJ." * 100_000):
        redact({"summary": hostile})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30),
    lambda children: (
        st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=12), children, max_size=4)
    ),
    max_leaves=12,
)
secret_texts = st.builds(
    lambda planted, before, after: f"{before} {planted[2].format(planted[1])}\n{after}",
    st.sampled_from(PLANTED),
    st.text(max_size=10),
    st.text(max_size=10),
)
telling_keys = st.sampled_from(["password", "patient", "dob", "phone", "tokens", "value", "name", "host"])
mixed_values = st.recursive(
    json_values | secret_texts,
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(telling_keys | secret_texts | st.text(max_size=5), children, max_size=4)
    ),
    max_leaves=8,
)


@given(mixed_values)
def test_redacting_twice_is_redacting_once(value: Any):
    once, _ = redact(value)
    assert redact(once)[0] == once


@given(mixed_values)
def test_the_value_given_is_never_changed(value: Any):
    before = copy.deepcopy(value)
    redact(value)
    assert value == before


@given(mixed_values)
def test_no_finding_means_not_a_byte_was_changed(value: Any):
    cleaned, findings = redact(value)
    if not findings:
        assert cleaned == value


@given(st.sampled_from(PLANTED), st.text(max_size=40), st.text(max_size=40))
def test_a_secret_is_found_in_any_surroundings(planted: tuple[str, str, str], before: str, after: str):
    _, secret, around = planted
    cleaned, _ = redact({"x": f"{before}\n{around.format(secret)}\n{after}"})
    assert secret not in cleaned["x"]


@given(
    values=st.lists(
        st.dictionaries(st.sampled_from(["note", "password", "name", "value"]), mixed_values), max_size=4
    )
)
def test_many_values_looked_at_together_are_redacted_as_each_by_itself(values):
    assert Redactor().redact_each(values) == [Redactor().redact(value) for value in values]
