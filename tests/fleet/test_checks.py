"""What each host check sees: trees laid out as a host's files, and this machine itself."""

import datetime as dt
import os
import socket
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

from fettle.fleet import access_checks, system_checks
from fettle.fleet.checks import HOST_CHECKS, run_check
from fettle.fleet.listeners import listeners
from fettle.fleet.observation import HostView
from fettle.fleet.ssh_config import read_ssh_settings


class Tree:
    """A host laid out below a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.programs = root / "programs"
        self.programs.mkdir()

    @property
    def view(self) -> HostView:
        return HostView(self.root, programs=(self.programs, Path("/bin"), Path("/usr/bin")))

    def file(self, name: str, text: str | bytes = "", mode: int = 0o644) -> Path:
        path = self.root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        path.chmod(mode)
        return path

    def program(self, name: str, text: str) -> None:
        self.file(f"programs/{name}", f"#!/bin/sh\n{text}\n", 0o755)


@pytest.fixture
def host(tmp_path):
    return Tree(tmp_path)


def certificate(not_after: dt.datetime) -> bytes:
    key = Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "shop.example")])
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_after - dt.timedelta(days=90))
        .not_valid_after(not_after)
        .sign(key, None)
    )
    assert built.fingerprint(hashes.SHA256())
    return built.public_bytes(serialization.Encoding.PEM)


class TestSshSettings:
    def test_hardened_server_passes(self, host):
        host.file("/etc/ssh/sshd_config", "PermitRootLogin no\nPasswordAuthentication no\n")
        assert access_checks.ssh_settings(host.view).result == "pass"

    def test_the_default_of_password_authentication_is_yes_and_fails(self, host):
        host.file("/etc/ssh/sshd_config", "PermitRootLogin no\n")
        seen = access_checks.ssh_settings(host.view)
        assert seen.result == "fail"
        assert [item["setting"] for item in seen.observed["wrong"]] == ["PasswordAuthentication"]

    def test_the_first_value_wins_even_when_it_is_included(self, host):
        host.file("/etc/ssh/sshd_config", "Include sshd_config.d/*.conf\nPasswordAuthentication no\n")
        host.file("/etc/ssh/sshd_config.d/10-cloud.conf", "passwordauthentication=yes\n")
        assert access_checks.ssh_settings(host.view).result == "fail"

    def test_a_match_block_that_opens_the_door_for_some_fails(self, host):
        host.file(
            "/etc/ssh/sshd_config",
            "PasswordAuthentication no\nMatch Address 10.0.0.0/8\n  PermitRootLogin yes\n",
        )
        (wrong,) = access_checks.ssh_settings(host.view).observed["wrong"]
        assert (wrong["setting"], wrong["match"]) == ("PermitRootLogin", "Address 10.0.0.0/8")

    def test_a_match_inside_an_included_file_ends_with_that_file(self, host):
        host.file("/etc/ssh/sshd_config", "Include extra.conf\nPasswordAuthentication no\n")
        host.file("/etc/ssh/extra.conf", "Match User backup\nX11Forwarding no\n")
        settings = read_ssh_settings(host.view)
        assert settings is not None
        assert settings.everyone["passwordauthentication"] == "no"

    def test_a_file_that_includes_itself_ends(self, host):
        host.file("/etc/ssh/sshd_config", "Include sshd_config\nPasswordAuthentication no\n")
        assert access_checks.ssh_settings(host.view).result == "pass"

    def test_no_server_is_no_drift(self, host):
        assert access_checks.ssh_settings(host.view).observed == {"installed": False}


def test_world_writable_files_are_named_and_links_and_sticky_folders_are_not(host):
    host.file("/etc/app/open.conf", mode=0o666)
    host.file("/etc/app/closed.conf", mode=0o644)
    (host.root / "etc/link").symlink_to("app/open.conf")
    sticky = host.root / "etc/shared"
    sticky.mkdir()
    sticky.chmod(0o1777)
    seen = access_checks.world_writable(host.view)
    assert (seen.result, seen.observed["paths"]) == ("fail", ["/etc/app/open.conf"])


def test_readable_password_hashes_fail(host):
    host.file("/etc/shadow", "root:*:1::::::\n", mode=0o644)
    seen = access_checks.sensitive_files(host.view)
    assert seen.observed["wrong"] == [{"path": "/etc/shadow", "mode": "0644", "most": "0640"}]


@pytest.mark.parametrize(
    ("passwd", "shadow", "result"),
    [
        ("root:x:0:0:root:/root:/bin/sh\nbin:x:1:1::/:/bin/false\n", "root:*:1::::::\n", "pass"),
        ("root:x:0:0:root:/root:/bin/sh\ntoor:x:0:0::/:/bin/sh\n", "root:*:1::::::\n", "fail"),
        ("root:x:0:0:root:/root:/bin/sh\n", "root::1::::::\n", "fail"),
    ],
)
def test_privileged_accounts(host, passwd, shadow, result):
    host.file("/etc/passwd", passwd)
    host.file("/etc/shadow", shadow)
    assert access_checks.privileged_accounts(host.view).result == result


def test_password_policy_reads_login_defs_and_pam(host):
    host.file("/etc/login.defs", "PASS_MAX_DAYS 90\nENCRYPT_METHOD YESCRYPT\n")
    assert access_checks.password_policy(host.view).result == "fail"
    host.file("/etc/pam.d/common-password", "password requisite pam_pwquality.so retry=3 minlen=14\n")
    assert access_checks.password_policy(host.view).result == "pass"


def test_expired_certificates_are_named_and_a_bundle_is_read_whole(host):
    now = dt.datetime.now(dt.UTC)
    good, gone = certificate(now + dt.timedelta(days=60)), certificate(now - dt.timedelta(days=2))
    host.file("/etc/ssl/site/chain.pem", good + gone + b"-----BEGIN CERTIFICATE-----\nAAAA\n")
    seen = access_checks.certificate_expiry(host.view)
    assert (seen.result, seen.observed["count"]) == ("fail", 1)
    assert seen.observed["certificates"][0]["file"] == "/etc/ssl/site/chain.pem"
    host.file("/etc/ssl/site/chain.pem", good)
    assert access_checks.certificate_expiry(host.view).result == "pass"


class TestListeners:
    def test_tables_of_the_kernel_are_read_in_its_byte_order(self, host):
        rows = [
            "  0: 00000000:01BB 00000000:0000 0A 0:0 0:0 0 0 0 11 1",
            "  1: 0100007F:1F90 00000000:0000 0A 0:0 0:0 0 0 0 12 1",
            "  2: 00000000:0CEA 00000000:0000 0A 0:0 0:0 0 0 0 13 1",
            "  3: 00000000:0CEB 0100007F:0001 01 0:0 0:0 0 0 0 14 1",
        ]
        host.file("/proc/net/tcp", "\n".join(["header", *rows]))
        host.file("/proc/net/tcp6", "header\n")
        seen = access_checks.listening_services(host.view)
        assert [item["service"] for item in seen.observed["unexpected"]] == ["tcp/3306"]

    def test_a_socket_of_ours_is_seen_with_its_process(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            mine = [item for item in listeners(HostView()) or [] if item.service == f"tcp/{port}"]
        assert [(item.loopback, item.process is not None) for item in mine] == [(True, True)]

    def test_no_table_is_unknown(self, host):
        assert access_checks.listening_services(host.view).result == "unknown"


class TestSecurityUpdates:
    @pytest.fixture
    def debian(self, host):
        host.file("/var/lib/dpkg/status")
        host.file("/var/lib/apt/lists/mirror_dists_stable_Packages")
        return host

    def test_only_security_updates_count(self, debian):
        debian.program(
            "apt-get",
            "echo 'Inst bash [5.1] (5.2 Debian:12.9/stable [amd64])'\n"
            "echo 'Inst openssl [3.0] (3.1 Debian-Security:12/stable-security [amd64])'",
        )
        seen = system_checks.security_updates(debian.view)
        assert (seen.result, seen.observed["packages"]) == ("fail", ["openssl"])

    def test_none_waiting_passes(self, debian):
        debian.program("apt-get", "true")
        assert system_checks.security_updates(debian.view).result == "pass"

    def test_a_package_manager_that_fails_is_unknown(self, debian):
        debian.program("apt-get", "exit 100")
        assert system_checks.security_updates(debian.view).result == "unknown"

    def test_no_lists_is_unknown_and_says_how_to_get_them(self, host):
        host.file("/var/lib/dpkg/status")
        assert "apt-get update" in system_checks.security_updates(host.view).message


@pytest.mark.parametrize(("answer", "result"), [("yes", "pass"), ("no", "fail"), ("what", "unknown")])
def test_time_sync_asks_timedatectl(host, answer, result):
    host.program("timedatectl", f"echo {answer}")
    host.program("chronyc", "exit 1")
    assert system_checks.time_sync(host.view).result == result


def test_time_sync_asks_chrony_where_there_is_no_timedatectl(host):
    host.program("timedatectl", "exit 1")
    host.program("chronyc", "echo 'Leap status     : Normal'")
    assert system_checks.time_sync(host.view).observed == {"source": "chrony"}


def test_kernel_settings_name_what_is_off(host):
    host.file("/proc/sys/kernel/randomize_va_space", "0\n")
    host.file("/proc/sys/net/ipv4/tcp_syncookies", "1\n")
    assert system_checks.kernel_settings(host.view).observed["wrong"] == {"kernel.randomize_va_space": 0}
    host.file("/proc/sys/kernel/randomize_va_space", "2\n")
    assert system_checks.kernel_settings(host.view).result == "pass"


def test_logs_that_nothing_rotates_fail(host):
    host.file("/var/log/syslog", "x")
    assert system_checks.log_rotation(host.view).result == "fail"
    host.file("/etc/logrotate.conf", "weekly\n")
    assert system_checks.log_rotation(host.view).result == "pass"
    with host.file("/var/log/huge.log").open("wb") as huge:
        huge.truncate(600_000_000)
    assert system_checks.log_rotation(host.view).observed["logs"][0]["path"] == "/var/log/huge.log"


def test_disk_space_reports_shares(host):
    seen = system_checks.disk_space(host.view)
    assert seen.result in {"pass", "fail"}
    assert 0 <= seen.observed["volumes"][0]["free_share"] <= 1


async def test_every_check_answers_on_this_machine_and_changes_nothing():
    assert len(HOST_CHECKS) >= 10
    before = _state_of("/etc")
    for check_type in HOST_CHECKS:
        seen = await run_check(check_type)
        assert seen.result in {"pass", "fail", "unknown"}
        assert seen.message
        assert "check failed" not in seen.message
    assert _state_of("/etc") == before


async def test_a_check_that_hangs_is_unknown(host):
    host.file("/var/lib/dpkg/status")
    host.file("/var/lib/apt/lists/mirror_dists_stable_Packages")
    host.program("apt-get", "exec sleep 3")
    seen = await run_check("security_updates", view=host.view, timeout_seconds=0.05)
    assert seen.result == "unknown"


async def test_a_check_that_nobody_knows_is_unknown():
    assert (await run_check("no_such_check")).result == "unknown"


def _state_of(folder: str) -> list[tuple[str, int, int, int]]:
    found = []
    for path, _, files in os.walk(folder):
        for name in files:
            entry = (Path(path) / name).lstat()
            found.append((f"{path}/{name}", stat.S_IMODE(entry.st_mode), entry.st_size, entry.st_mtime_ns))
    return sorted(found)
