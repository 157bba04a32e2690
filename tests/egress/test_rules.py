"""Every form in which a forbidden place has been smuggled past such a guard, and what stays reachable."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fettle.kernel.egress_rules import Allowed, EgressRefused, Reach, reach_of, read_url, true_address
from fettle.kernel.ids import new_id

NEVER = [
    "0.0.0.0", "0.1.2.3", "169.254.169.254", "169.254.170.2", "169.254.1.1", "100.100.100.200", "168.63.129.16",
    "192.0.0.192", "192.0.2.1", "198.51.100.7", "203.0.113.9", "192.88.99.1", "224.0.0.1", "239.255.255.250",
    "240.0.0.1", "255.255.255.255", "::", "fe80::1", "fec0::1", "ff02::1", "fd00:ec2::254", "fd20:ce::254",
    "::ffff:169.254.169.254", "::ffff:0:169.254.169.254", "::169.254.169.254", "::127.0.0.1", "::ffff:0.0.0.0",
    "64:ff9b::169.254.169.254", "64:ff9b:1::10.0.0.1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "2002:808:808::1",
    "2001:0:53aa:64c:0:0:0:1", "2001:db8::1", "100::1", "5f00::1", "3fff::1",
    "2606:4700::5efe:10.0.0.1", "2606:4700::200:5efe:127.0.0.1", "4000::1", "64:ff9b::224.0.0.1",
]  # fmt: skip
PRIVATE = [
    "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "127.0.0.1", "127.255.255.254", "100.64.0.1",
    "198.18.0.1", "::1", "fc00::1", "fd12:3456::1", "::ffff:10.0.0.1", "::ffff:127.0.0.1", "64:ff9b::10.0.0.1",
    "64:ff9b::127.0.0.1",
]  # fmt: skip
PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "172.32.0.1",
    "100.128.0.1",
    "2606:4700:4700::1111",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
]


@pytest.mark.parametrize("address", NEVER)
def test_some_addresses_nobody_reaches(address: str):
    assert reach_of(ipaddress.ip_address(address)) is Reach.NEVER


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_reached_when_opened(address: str):
    assert reach_of(ipaddress.ip_address(address)) is Reach.PRIVATE


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_public(address: str):
    assert reach_of(ipaddress.ip_address(address)) is Reach.PUBLIC


@given(st.ip_addresses(v=4))
def test_hiding_an_address_in_ipv6_opens_nothing(address: ipaddress.IPv4Address):
    number = int(address)
    order = [Reach.NEVER, Reach.PRIVATE, Reach.PUBLIC]
    for prefix in ("::ffff:0:0", "64:ff9b::", "::", "::ffff:0:0:0", "64:ff9b:1::"):
        hidden = ipaddress.IPv6Address(int(ipaddress.IPv6Address(prefix)) | number)
        assert (
            order.index(reach_of(hidden)) <= order.index(reach_of(address)) or true_address(hidden) == hidden
        )
    for hidden in (
        ipaddress.IPv6Address((0x2002 << 112) | (number << 80)),
        ipaddress.IPv6Address((0x20010000 << 96) | number),
    ):
        assert reach_of(hidden) is Reach.NEVER


@given(st.ip_addresses())
def test_what_is_public_is_global(address: ipaddress.IPv4Address | ipaddress.IPv6Address):
    if reach_of(address) is Reach.PUBLIC:
        assert true_address(address).is_global


FORMS = [
    "http://2130706433/", "http://0x7f000001/", "http://017700000001/", "http://0177.0.0.1/", "http://0x7f.1/",
    "http://127.1/", "http://127.0.1/", "http://127.0.0.01/", "http://127.0.0.1.2/", "http://0/", "http://0x/",
    "http://00000177.0.0.1/", "http://127.0.0.0x1/", "http://256.256.256.256/", "http://1.1.1.999/",
    "http://user:pass@example.com/", "http://example.com@127.0.0.1/",
    "http://example.com\\@127.0.0.1/", "http://127.0.0.1\t.example.com/",
    "http://exam ple.com/", "http:///etc/passwd", "http://", "http:example.com", "//example.com/", "example.com",
    "file:///etc/passwd", "gopher://127.0.0.1:6379/_INFO", "ftp://example.com/", "unix:///run/redis.sock",
    "http+unix://%2Frun%2Fredis.sock/", "data:text/plain,x", "javascript:1", "http://%31%32%37.0.0.1/",
    "http://[::1/", "http://::1/", "http://[::1]evil/", "http://[::1%25lo]/", "http://[fe80::1%eth0]/",
    "http://[127.0.0.1]/", "http://example.com:0/", "http://example.com:65536/", "http://example.com:x/",
    "http://example.com:/", "http://example.com:80:80/", "http://.example.com/", "http://example..com/",
    "http://-example.com/", "http://example.com\r\nHost: evil/", "http://example.com/\r\nX: y", "http://exa\x00mple/",
    "http://localhost\u3002/%2e%2e\x7f", "http://example.com/caf\u00e9", "http://" + "a" * 5000, "http://a.*/",
]  # fmt: skip


@pytest.mark.parametrize("url", FORMS)
def test_an_address_that_reads_in_two_ways_is_refused(url: str):
    with pytest.raises(EgressRefused):
        read_url(url)


@pytest.mark.parametrize(
    ("url", "host", "port", "target"),
    [
        ("https://API.Example.com", "api.example.com", 443, "/"),
        ("https://example.com./x?y=1#z", "example.com", 443, "/x?y=1"),
        ("http://10.0.0.1:8080/a", "10.0.0.1", 8080, "/a"),
        ("http://[2001:0db8:0::1]:81/", "2001:db8::1", 81, "/"),
        ("https://b\u00fccher.example/", "xn--bcher-kva.example", 443, "/"),
        ("http://\uff11\uff12\uff17.0.0.1/", "127.0.0.1", 80, "/"),
        ("http://\u2460\u2461\u2466.0.0.1/", "127.0.0.1", 80, "/"),
        ("http://127\u30020\u30020\u30021/", "127.0.0.1", 80, "/"),
        ("http://[::ffff:127.0.0.1]/", "::ffff:7f00:1", 80, "/"),
        ("https://_dmarc.example.com/", "_dmarc.example.com", 443, "/"),
    ],
)
def test_an_address_has_one_form(url: str, host: str, port: int, target: str):
    place = read_url(url)
    assert (ipaddress.ip_address(place.host) if place.address else place.host) == (
        ipaddress.ip_address(host) if place.address else host
    )
    assert (place.port, place.target) == (port, target)


def reaches(allowed: Allowed, url: str, *addresses: str, tenant_id: object = None) -> bool:
    place = read_url(url)
    try:
        allowed.check_name(place, tenant_id)
        for address in [place.address] if place.address else map(ipaddress.ip_address, addresses):
            allowed.check_address(place, address, tenant_id)
    except EgressRefused:
        return False
    return True


def test_sovereign_means_that_only_listed_places_are_reached():
    allowed = Allowed(["api.example.com", "*.cdn.example", "9.9.9.9:8443"], only_listed=True)
    assert reaches(allowed, "https://api.example.com/", "8.8.8.8")
    assert reaches(allowed, "http://api.example.com/", "8.8.8.8")
    assert reaches(allowed, "https://a.b.cdn.example/", "8.8.8.8")
    assert reaches(allowed, "https://9.9.9.9:8443/")
    for url in (
        "https://example.com/", "https://xapi.example.com/", "https://api.example.com.evil.example/",
        "https://cdn.example/", "https://evilcdn.example/", "https://api.example.com:8443/", "https://9.9.9.9/",
        "https://8.8.8.8/",
    ):  # fmt: skip
        assert not reaches(allowed, url, "8.8.8.8"), url


def test_without_sovereignty_public_places_are_reached_on_web_ports():
    allowed = Allowed([], only_listed=False)
    assert reaches(allowed, "https://example.com/", "8.8.8.8")
    assert reaches(allowed, "http://8.8.8.8/")
    for url in ("https://example.com:22/", "http://8.8.8.8:6379/", "http://10.0.0.1/"):
        assert not reaches(allowed, url, "8.8.8.8")
    assert not reaches(allowed, "https://example.com/", "8.8.8.8", "10.0.0.1")
    assert not reaches(allowed, "https://example.com/", "8.8.8.8", "::1")


def test_a_private_server_needs_its_network_and_a_name_alone_opens_nothing():
    by_name = Allowed(["ticket.internal.example:8443"], only_listed=True)
    both = Allowed(["ticket.internal.example:8443", "10.1.2.0/24:8443"], only_listed=True)
    url = "https://ticket.internal.example:8443/"
    assert not reaches(by_name, url, "10.1.2.3")
    assert reaches(both, url, "10.1.2.3")
    assert reaches(both, "https://10.1.2.3:8443/")
    assert reaches(both, "https://[::ffff:10.1.2.3]:8443/")
    assert not reaches(both, url, "10.1.3.3")
    assert not reaches(both, url, "10.1.2.3", "127.0.0.1")
    assert not reaches(both, "https://10.1.2.3/")


def test_no_list_opens_what_nobody_may_reach():
    allowed = Allowed(["0.0.0.0/0:80", "[::/0]:80", "metadata.example:80"], only_listed=False)
    assert reaches(allowed, "http://10.0.0.1/")
    for address in NEVER:
        assert not reaches(allowed, "http://metadata.example/", address)


def test_an_entry_may_be_one_tenants_own():
    ours, theirs = new_id(), new_id()
    allowed = Allowed([f"10.0.0.5:443@{ours}", f"api.example.com@{ours}"], only_listed=True)
    assert reaches(allowed, "https://10.0.0.5/", tenant_id=ours)
    assert reaches(allowed, "https://api.example.com/", "8.8.8.8", tenant_id=ours)
    for other in (theirs, None):
        assert not reaches(allowed, "https://10.0.0.5/", tenant_id=other)
        assert not reaches(allowed, "https://api.example.com/", "8.8.8.8", tenant_id=other)


@pytest.mark.parametrize(
    "entry",
    [
        "",
        "*",
        "*.",
        "*.com",
        "a.*.com",
        "10.0.0.1/8",
        "10.0.0.0/33",
        "x:0",
        "x:99999",
        "x@nobody",
        "http://x",
    ],
)
def test_an_entry_that_cannot_be_read_is_named(entry: str):
    with pytest.raises(ValueError, match="FETTLE_EGRESS_ALLOW"):
        Allowed([entry], only_listed=True)
