"""Checks of who may reach a host and its files: SSH, passwords, accounts, modes, certificates, ports."""

import datetime as dt
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from fettle.fleet.listeners import listeners
from fettle.fleet.observation import HostView, Observation, failed, passed, unknown
from fettle.fleet.ssh_config import read_ssh_settings

ALLOWED_SERVICES: Final = frozenset(
    {"tcp/22", "tcp/80", "tcp/443", "udp/68", "udp/123", "udp/323", "udp/546", "udp/5353"}
)
"""What may listen beyond loopback: SSH, the web, address assignment, time, name discovery."""

_MOST_LISTED: Final = 25
_LONGEST_PASSWORD_DAYS: Final = 365
_SHORTEST_PASSWORD: Final = 12
_EXPIRY_NOTICE: Final = dt.timedelta(days=14)

_SSH_WANTED: Final = {
    # keyword: (sshd's default, values that are in order)
    "PermitRootLogin": ("prohibit-password", {"no", "prohibit-password", "without-password"}),
    "PasswordAuthentication": ("yes", {"no"}),
    "PermitEmptyPasswords": ("no", {"no"}),
    "X11Forwarding": ("no", {"no"}),
    "StrictModes": ("yes", {"yes"}),
    "IgnoreRhosts": ("yes", {"yes", "shosts-only"}),
}

_SENSITIVE: Final = {
    # path: bits that must not be set
    "/etc/passwd": 0o022,
    "/etc/group": 0o022,
    "/etc/shadow": 0o137,
    "/etc/gshadow": 0o137,
    "/etc/sudoers": 0o337,
    "/etc/ssh/sshd_config": 0o022,
    "/etc/crontab": 0o022,
}


def ssh_settings(view: HostView) -> Observation:
    """The SSH server takes keys, not passwords, and root by key at most."""
    settings = read_ssh_settings(view)
    if settings is None:
        return passed("No SSH server is configured on this host.", installed=False)
    wrong = []
    for keyword, (default, good) in _SSH_WANTED.items():
        value = settings.value(keyword, default)
        if value.lower() not in good:
            wrong.append({"setting": keyword, "value": value, "wanted": sorted(good)})
        wrong += [
            {"setting": keyword, "value": set_to, "wanted": sorted(good), "match": condition}
            for condition, name, set_to in settings.conditional
            if name == keyword.lower() and set_to.lower() not in good
        ]
    if wrong:
        names = ", ".join(sorted({str(item["setting"]) for item in wrong}))
        return failed(f"The SSH server is too open: {names}.", wrong=wrong, files=settings.files)
    return passed("The SSH server's settings are in order.", files=settings.files)


def world_writable(view: HostView) -> Observation:
    """Nobody but its owner and group may change what is in /etc."""
    found = [
        view.shown(path)
        for path, entry in view.walk("/etc")
        if entry.st_mode & stat.S_IWOTH
        and not stat.S_ISLNK(entry.st_mode)
        and not (stat.S_ISDIR(entry.st_mode) and entry.st_mode & stat.S_ISVTX)
    ]
    if found:
        listed = sorted(found)[:_MOST_LISTED]
        return failed(f"Anybody may change {len(found)} paths in /etc.", paths=listed, count=len(found))
    return passed("Nothing in /etc is writable by everybody.", count=0)


def sensitive_files(view: HostView) -> Observation:
    """Accounts, password hashes and sudo rules are readable and writable by whom they must be alone."""
    wrong, seen = [], 0
    for name, forbidden in _SENSITIVE.items():
        try:
            mode = stat.S_IMODE(view.path(name).stat().st_mode)
        except OSError:
            continue
        seen += 1
        if mode & forbidden:
            wrong.append({"path": name, "mode": f"{mode:04o}", "most": f"{0o777 & ~forbidden:04o}"})
    if wrong:
        names = ", ".join(item["path"] for item in wrong)
        return failed(f"These files are too open: {names}.", wrong=wrong)
    if not seen:
        return unknown("None of the files could be looked at.")
    return passed("The files of accounts and privileges are closed.", files=seen)


def privileged_accounts(view: HostView) -> Observation:
    """Only root has user id 0, and no account lacks a password field."""
    text = view.text("/etc/passwd")
    if text is None:
        return unknown("/etc/passwd could not be read.")
    rows = [line.split(":") for line in text.splitlines() if line.count(":") >= 6]  # noqa: PLR2004 - passwd(5)
    roots = [row[0] for row in rows if row[2] == "0"]
    empty = [row[0] for row in rows if not row[1]]
    hashes_of = (line.split(":")[:2] for line in (view.text("/etc/shadow") or "").splitlines())
    empty += [entry[0] for entry in hashes_of if entry[1:] == [""]]
    if roots != ["root"] or empty:
        return failed(
            "Accounts other than root have user id 0, or no password.", user_id_zero=roots, no_password=empty
        )
    return passed("Only root has user id 0, and no account is without a password.", accounts=len(rows))


def password_policy(view: HostView) -> Observation:
    """Passwords expire, are long, and are hashed by a slow function."""
    text = view.text("/etc/login.defs")
    if text is None:
        return unknown("/etc/login.defs could not be read.")
    defaults = dict(
        words[:2] for line in text.splitlines() if len(words := line.split()) > 1 and not line.startswith("#")
    )
    quality = _password_quality(view)
    days = _number(defaults.get("PASS_MAX_DAYS"), 99999)
    length = max(_number(quality.get("minlen"), 0), _number(defaults.get("PASS_MIN_LEN"), 0))
    method = defaults.get("ENCRYPT_METHOD", "SHA512").upper()
    wrong = []
    if days > _LONGEST_PASSWORD_DAYS:
        wrong.append(f"passwords are good for {days} days, {_LONGEST_PASSWORD_DAYS} at most are wanted")
    if length < _SHORTEST_PASSWORD:
        wrong.append(f"passwords of {length or 'any'} characters are taken, {_SHORTEST_PASSWORD} are wanted")
    if method not in {"SHA512", "YESCRYPT", "BCRYPT"}:
        wrong.append(f"passwords are hashed with {method}")
    observed = {"max_days": days, "min_length": length, "method": method}
    if wrong:
        return failed("The password policy is weak: " + "; ".join(wrong) + ".", **observed)
    return passed("The password policy is in order.", **observed)


def certificate_expiry(view: HostView) -> Observation:
    """No certificate in /etc/ssl has expired or is about to; the system's trust anchors are not ours."""
    now = dt.datetime.now(dt.UTC)
    seen: set[bytes] = set()
    late = []
    for file, certificate in _certificates(view):
        digest = certificate.fingerprint(hashes.SHA256())
        if digest in seen:
            continue
        seen.add(digest)
        end = certificate.not_valid_after_utc
        if end < now + _EXPIRY_NOTICE:
            late.append(
                {"file": file, "subject": certificate.subject.rfc4514_string(), "expires": end.isoformat()}
            )
    if late:
        listed = sorted(late, key=lambda item: item["expires"])[:_MOST_LISTED]
        message = f"{len(late)} of {len(seen)} certificates in /etc/ssl have expired or do so within 14 days."
        return failed(message, certificates=listed, count=len(late))
    return passed(f"All {len(seen)} certificates in /etc/ssl are good for at least 14 days.", count=len(seen))


def listening_services(view: HostView) -> Observation:
    """Only services of the allow-list listen beyond loopback."""
    found = listeners(view)
    if found is None:
        return unknown("The kernel's table of sockets could not be read.")
    open_to_others = [item for item in found if not item.loopback]
    extra = [item.document() for item in open_to_others if item.service not in ALLOWED_SERVICES]
    if extra:
        names = ", ".join(sorted({str(item["service"]) for item in extra}))
        return failed(f"Services beyond the allow-list listen: {names}.", unexpected=extra[:_MOST_LISTED])
    return passed("Only services of the allow-list listen beyond loopback.", listening=len(open_to_others))


def _password_quality(view: HostView) -> dict[str, str]:
    found: dict[str, str] = {}
    for file in ("/etc/security/pwquality.conf", *view.matching("/etc/security/pwquality.conf.d/*.conf")):
        for line in (view.text(file) or "").splitlines():
            name, sign, value = line.partition("#")[0].partition("=")
            if sign:
                found[name.strip()] = value.strip()
    for file in ("/etc/pam.d/common-password", "/etc/pam.d/system-auth"):
        for line in (view.text(file) or "").splitlines():
            words = line.partition("#")[0].split()
            if any(word.startswith(("pam_pwquality", "pam_cracklib", "pam_unix")) for word in words):
                found.update(
                    (name, value) for name, sign, value in (word.partition("=") for word in words) if sign
                )
    return found


def _number(value: str | None, default: int) -> int:
    try:
        return int(value) if value is not None else default
    except ValueError:
        return default


def _certificates(view: HostView) -> Iterator[tuple[str, x509.Certificate]]:
    anchors = view.path("/usr/share/ca-certificates").resolve()
    files: dict[Path, str] = {}
    for path, entry in view.walk("/etc/ssl"):
        if path.suffix in {".pem", ".crt", ".cer"} and (
            stat.S_ISREG(entry.st_mode) or stat.S_ISLNK(entry.st_mode)
        ):
            target = path.resolve()
            if path.name != "ca-certificates.crt" and not target.is_relative_to(anchors):
                files.setdefault(target, view.shown(path))
    for path, shown in files.items():
        try:
            data = path.read_bytes()
        except OSError:
            continue
        for part in data.split(b"-----BEGIN CERTIFICATE-----")[1:]:
            block = part.partition(b"-----END CERTIFICATE-----")[0]
            pem = b"-----BEGIN CERTIFICATE-----" + block + b"-----END CERTIFICATE-----\n"
            try:
                yield shown, x509.load_pem_x509_certificate(pem)
            except ValueError:
                continue
