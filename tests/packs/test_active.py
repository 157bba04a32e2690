"""The active packs: normalisation, severity, fingerprints, and several packs as one."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fettle.packs.active import ActivePacks, PackSet
from fettle.packs.loading import DomainPack, load_files
from fettle.packs.shipped import shipped_packs

from .content import small_pack

ACTIVE = ActivePacks.of(shipped_packs())


def packs(**document: object) -> ActivePacks:
    """Return the active packs of one pack with one exception type of these fields."""
    kind = {
        "check_type": "thing",
        "title": "Thing",
        "description": "d",
        "category": "c",
        "platforms": ["linux"],
        "severity": "low",
        **document,
    }
    content = {
        "id": "x",
        "version": "1.0.0",
        "title": "X",
        "verify": {"tool": "check.run"},
        "exception_types": [kind],
    }
    return ActivePacks.of([DomainPack(content, "0" * 64)])


def test_what_no_pack_knows_passes_as_it_is():
    given_ = {"check_type": "unheard_of", "host": "h", "details": {"a": 1}}
    assert ACTIVE.normalise(given_) == {**given_, "severity": "medium", "title": "unheard of on h"}
    assert ACTIVE.exception_type("unheard_of") is None
    assert ACTIVE.fingerprint_fields("unheard_of") == ["check_type", "host", "site"]


def test_an_alias_becomes_the_check_that_it_means():
    found = ACTIVE.normalise({"check_type": "windows_firewall", "host": "PC-1", "platform": "Windows 11"})
    assert (found["check_type"], found["reported_as"], found["platform"]) == (
        "firewall_status",
        "windows_firewall",
        "windows",
    )
    assert (found["pack_id"], found["title"]) == ("compliance-it", "Host firewall is off on PC-1")


def test_the_sender_s_own_document_stays_as_it_is():
    given_ = {
        "check_type": "alertmanager_alert",
        "labels": {"alertname": "InstanceDown", "instance": "a:1"},
        "details": {},
    }
    before = copy.deepcopy(given_)
    ACTIVE.normalise(given_)
    assert given_ == before


def test_the_sender_s_severity_counts_before_the_pack_s():
    assert ACTIVE.severity({"check_type": "disk_space", "details": {"free_percent": 1}}) == "critical"
    assert (
        ACTIVE.severity({"check_type": "disk_space", "details": {"free_percent": 1}, "severity": "low"})
        == "low"
    )
    assert ACTIVE.severity({"check_type": "disk_space", "severity": "nonsense"}) == "medium"


def test_each_field_reads_what_stood_there_before():
    swapped = packs(normalise={"details.a": {"from": "details.b"}, "details.b": {"from": "details.a"}})
    found = swapped.normalise({"check_type": "thing", "details": {"a": 1, "b": 2}})
    assert found["details"] == {"a": 2, "b": 1}


@pytest.mark.parametrize(
    ("spec", "details", "value"),
    [
        ({"from": ["details.x", "details.y"]}, {"y": 5}, 5),
        ({"from": "details.x", "default": 7}, {}, 7),
        ({"from": "details.x", "apply": ["trim", "lower"]}, {"x": " Ab "}, "ab"),
        ({"from": "details.x", "apply": ["integer"]}, {"x": "12"}, 12),
        ({"from": "details.x", "apply": ["integer"]}, {"x": "12.5"}, 12.5),
        ({"from": "details.x", "apply": ["number"]}, {"x": "6%"}, 6.0),
        ({"from": "details.x", "apply": ["number"]}, {"x": "many"}, "many"),
        ({"from": "details.x", "apply": ["number"]}, {"x": "nan"}, "nan"),
        ({"from": "details.x", "apply": ["number"]}, {"x": "1e400"}, "1e400"),
        ({"from": "details.x", "apply": ["boolean"]}, {"x": "Yes"}, True),
        ({"from": "details.x", "apply": ["boolean"]}, {"x": 0}, False),
        ({"from": "details.x", "apply": ["string"]}, {"x": True}, "true"),
        ({"from": "details.x", "apply": ["strip_port"]}, {"x": "web-1:9100"}, "web-1"),
        ({"from": "details.x", "apply": ["strip_port"]}, {"x": "[2001:db8::1]:9100"}, "2001:db8::1"),
        ({"from": "details.x", "apply": ["strip_port"]}, {"x": "2001:db8::1"}, "2001:db8::1"),
        ({"from": "details.x", "apply": ["strip_port", "first_label"]}, {"x": "web.a.example:80"}, "web"),
        ({"from": "details.x", "map": {"0": "off"}}, {"x": 0}, "off"),
        ({"from": "details.x", "map": {"true": "on"}}, {"x": True}, "on"),
        ({"from": "details.x", "apply": ["lower"]}, {"x": [1]}, [1]),
        ({"from": "details.x.deep"}, {"x": "flat"}, None),
    ],
)
def test_a_field_is_found_transformed_and_mapped(spec, details, value):
    found = packs(normalise={"details.out": spec}).normalise({"check_type": "thing", "details": details})
    assert found["details"].get("out") == value
    assert type(found["details"].get("out")) is type(value)


def test_a_host_that_is_no_name_is_not_taken():
    found = packs(normalise={"host": {"from": "details.h"}}).normalise(
        {"check_type": "thing", "details": {"h": 5}}
    )
    assert "host" not in found


def test_a_platform_is_filled_in_where_only_one_is_possible():
    assert packs().normalise({"check_type": "thing"})["platform"] == "linux"
    assert "platform" not in packs(platforms=["linux", "macos"]).normalise({"check_type": "thing"})


def _fingerprint(**exception: object) -> str:
    return ACTIVE.fingerprint(
        ACTIVE.normalise({"check_type": "firewall_status", "host": "PC-1", **exception})
    )


def test_a_fingerprint_holds_what_makes_it_another_incident_and_nothing_else():
    base = _fingerprint(details={"profile": "public"})
    assert _fingerprint(details={"Name": "Public", "seen": 5}, summary="again", severity="low") == base
    assert _fingerprint(host="pc-1", details={"profile": "public"}) == base
    assert _fingerprint(check_type="windows_firewall", details={"profile": "public"}) == base
    others = [
        _fingerprint(details={"profile": "private"}),
        _fingerprint(host="PC-2", details={"profile": "public"}),
        _fingerprint(site="north", details={"profile": "public"}),
        _fingerprint(check_type="antivirus_status"),
    ]
    assert len({base, *others}) == len(others) + 1


def test_a_dedup_key_decides_alone_within_its_source():
    one = _fingerprint(dedup_key="k", source="a")
    assert _fingerprint(dedup_key="k", source="a", host="other") == one
    assert _fingerprint(dedup_key="k", source="b") != one
    assert _fingerprint(dedup_key="l", source="a") != one


def test_parts_of_a_fingerprint_do_not_run_into_each_other():
    assert _fingerprint(check_type="x_y", host="a", site="b") != _fingerprint(
        check_type="x_y", host="ab", site=""
    )


def test_several_packs_are_one_and_a_clash_is_told():
    first = load_files(small_pack(name="alpha", check="same_check"))
    second = load_files(small_pack(name="beta", check="same_check"))
    merged = PackSet([second, first])
    assert [str(conflict) for conflict in merged.conflicts] == [
        "exception type 'same_check' is in both alpha and beta"
    ]
    assert merged.types["same_check"].type.pack_id == "alpha"
    assert PackSet([first, second]).version == merged.version
    assert [rule["pack_id"] for rule in merged.rules] == ["alpha", "beta"]


def test_the_version_changes_with_packs_and_with_policy():
    one, two = load_files(small_pack()), load_files(small_pack(title="Other"))
    policy = {"id": "p", "autonomy": "act"}
    assert (
        len(
            {
                ActivePacks.of([one]).version,
                ActivePacks.of([two]).version,
                ActivePacks.of([one], policy).version,
            }
        )
        == 3
    )


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
fields = st.sampled_from(
    [
        "volume",
        "free_percent",
        "service",
        "profile",
        "state",
        "name",
        "alertname",
        "count",
        "days_left",
        "vendor",
    ]
)


@given(
    st.sampled_from(sorted(ACTIVE.packs.types)),
    st.dictionaries(fields, json_values, max_size=5),
    st.dictionaries(st.sampled_from(["alertname", "severity", "instance", "os"]), st.text(), max_size=4),
    st.none() | st.text(min_size=1),
)
def test_no_sender_s_data_makes_normalisation_fail(check_type, details, labels, platform):
    exception = {"check_type": check_type, "details": details, "labels": labels}
    if platform is not None:
        exception["platform"] = platform
    found = ACTIVE.normalise(exception)
    assert found["severity"] in ("info", "low", "medium", "high", "critical")
    assert len(ACTIVE.fingerprint(found)) == 64
    assert ACTIVE.normalise({**exception}) == found
