"""What a pattern's signature keeps of an incident, and what it forgets."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.healing.reference import VALUES

from fettle.healing.signature import pattern_signature, template

HOSTS = st.from_regex(r"[a-z]{4,9}-?[a-z0-9]{2,6}(\.corp\.example)?", fullmatch=True)
IPS = st.ip_addresses().map(str)
UUIDS = st.uuids().map(str)
TIMES = st.datetimes().map(lambda moment: moment.isoformat() + "Z")
NUMBERS = st.one_of(st.integers(-(10**6), 10**12).map(str), st.floats(0.01, 10**6).map(lambda n: f"{n:.2f}"))
PATHS = st.lists(st.from_regex(r"[a-z][a-z0-9_.]{1,12}[a-z0-9]", fullmatch=True), min_size=2, max_size=5).map(
    lambda parts: "/" + "/".join(parts)
)
SUMMARIES = (
    "{host}: service nginx failed at {time}, exit code {n}",
    "backup {uuid} of {path} on {host} did not finish within {n} seconds",
    "cannot reach {ip} from {host} ({n} attempts since {time})",
)


def particulars():
    return st.fixed_dictionaries(
        {"host": HOSTS, "ip": IPS, "uuid": UUIDS, "time": TIMES, "n": NUMBERS, "path": PATHS}
    )


def incident(summary, found, **more):
    return {
        "id": found["uuid"],
        "check_type": "service_down",
        "platform": "linux",
        "host": found["host"],
        "site": "north",
        "occurred_at": found["time"],
        "summary": summary.format(**found),
        "details": {
            "error_class": "UnitFailed",
            "message": f"connect to {found['ip']} failed",
            "pid": found["n"],
        },
        **more,
    }


@given(st.sampled_from(SUMMARIES), particulars(), particulars())
def test_hosts_ids_addresses_times_numbers_and_paths_do_not_count(summary, one, other):
    assert pattern_signature(incident(summary, one)) == pattern_signature(incident(summary, other))


@given(st.sampled_from(SUMMARIES), particulars(), st.integers(0, 2**32))
def test_the_order_of_keys_does_not_count(summary, found, seed):
    whole = incident(summary, found)
    names = list(whole)
    random.Random(seed).shuffle(names)
    assert pattern_signature({name: whole[name] for name in names}) == pattern_signature(whole)


@given(particulars())
def test_what_happened_counts(found):
    one = incident(SUMMARIES[0], found)
    changed = [
        one,
        {**one, "check_type": "disk_full"},
        {**one, "platform": "windows"},
        {**one, "summary": "another thing went wrong"},
        {**one, "details": {**one["details"], "error_class": "OutOfMemory"}},
        {**one, "details": {**one["details"], "service": "sshd"}},
    ]
    assert len({pattern_signature(variant) for variant in changed}) == len(changed)


def test_it_reads_as_check_type_platform_and_error_class():
    signature = pattern_signature(
        {"check_type": "disk space", "platform": "linux", "details": {"error_code": 28}}
    )
    assert signature.startswith("v1:disk_space:linux:28:")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Disk /dev/sda1 is 93% full", "disk <path> is <n>% full"),
        ("GET https://example.org/a?id=7 took 1.25s", "get <url> took <n>s"),
        ("from 10.0.0.1:443 and fe80::1%eth0", "from <ip> and <ip>"),
        ("mail to ops@example.org bounced", "mail to <mail> bounced"),
        ("mac aa:bb:cc:dd:ee:ff seen 10, 11, 12", "mac <mac> seen <n>"),
        ("certificate of www.example.org ends 2026-11-21", "certificate of <name> ends <time>"),
        (r"C:\Users\ada\file.txt is locked", "<path> is locked"),
        ("commit deadbeef12 by pod web-7f9c-x2 at 10:15", "commit <n> by pod <n> at <time>"),
        ("FRONT-desk: front-desk/eth0 of Main Street is down.", "<name>: <name>/eth<n> of <name> is down."),
        ("no particulars at all", "no particulars at all"),
    ],
)
def test_templates(text, expected):
    assert template(text, ("main street", "front-desk")) == expected


@given(
    st.dictionaries(
        st.sampled_from(["check_type", "platform", "summary", "details", "host", "labels"]), VALUES
    )
)
def test_any_json_object_has_a_signature(value):
    assert pattern_signature(value).startswith("v1:")


@given(st.text())
def test_templates_are_stable_under_themselves_where_it_matters(text):
    assert len(template(text)) <= 8 * max(len(text), 1)


def test_long_hostile_texts_are_cut():
    for piece in ("a-", "/a", "1.", "a.b", "::", "a@", "0x", "https://", "<"):
        pattern_signature(
            {"summary": piece * 200_000, "check_type": piece * 200_000, "host": piece * 200_000}
        )
