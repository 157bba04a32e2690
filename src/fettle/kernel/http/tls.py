"""TLS of our own port: the certificate and key that the operator names, checked, and taken up when they change."""

import os
import ssl
import stat
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import structlog
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from fettle.kernel.clock import utcnow
from fettle.kernel.settings import Settings, SettingsError

CERTIFICATE: Final = "FETTLE_TLS_CERTIFICATE"
KEY: Final = "FETTLE_TLS_KEY"

ENDS_SOON: Final = timedelta(days=14)
"""How long before its end a certificate is warned of."""

_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2, those with forward secrecy and authenticated encryption; those of TLS 1.3 are all such."""

log = structlog.get_logger("fettle.tls")


@dataclass(frozen=True, slots=True)
class Certificate:
    """What the certificate that is served says.

    Attributes:
        names: Host names and addresses that it is good for.
        begins_at: From when.
        ends_at: Until when.
        der: Itself, as it is sent.
    """

    names: tuple[str, ...]
    begins_at: datetime
    ends_at: datetime
    der: bytes

    def covers(self, host: str) -> bool:
        """Say whether it is good for a host; ``*`` stands for one label."""
        name = host.lower().rstrip(".")
        return name in self.names or f"*.{name.partition('.')[2]}" in self.names


@dataclass(frozen=True, slots=True)
class _Pair:
    context: ssl.SSLContext
    certificate: Certificate


def read_certificate(settings: Settings) -> Certificate | None:
    """Return the certificate that the port is served with, None where it is served without TLS.

    Raises:
        SettingsError: The files cannot be served with; one line that names the setting.
    """
    pair = _load(settings)
    return None if pair is None else pair.certificate


def server_context(settings: Settings) -> ssl.SSLContext | None:
    """Return what the port is served with, None where it is served without TLS.

    Raises:
        SettingsError: As of `read_certificate`.
    """
    state = _state(settings)
    pair = _load(settings)
    if pair is None:
        return None
    pair.context.sni_callback = _Current(settings, pair.context, state).choose
    return pair.context


def trusting(context: ssl.SSLContext, settings: Settings) -> ssl.SSLContext:
    """Let a client's context trust this installation's own certificate, too, whoever signed it."""
    if settings.tls_certificate is not None and os.access(settings.tls_certificate, os.R_OK):
        context.load_verify_locations(settings.tls_certificate)
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def warnings(certificate: Certificate, settings: Settings) -> list[str]:
    """Say what is odd about a certificate that can be served with nevertheless."""
    now, said = utcnow(), []
    if certificate.ends_at <= now:
        said.append(f"{CERTIFICATE}: the certificate ended on {certificate.ends_at:%Y-%m-%d}; renew it.")
    elif certificate.ends_at <= now + ENDS_SOON:
        said.append(f"{CERTIFICATE}: the certificate ends on {certificate.ends_at:%Y-%m-%d}; renew it.")
    if certificate.begins_at > now:
        said.append(
            f"{CERTIFICATE}: the certificate begins on {certificate.begins_at:%Y-%m-%d %H:%M} UTC alone."
        )
    public = urlsplit(settings.public_url or "")
    if public.scheme == "http":
        said.append(
            f"FETTLE_PUBLIC_URL: {settings.public_url} is http, the port speaks https alone; mend it."
        )
    host = public.hostname or settings.host
    # Behind another port there is a proxy, which has a certificate of its own.
    if (settings.public_url is None or public.port == settings.port) and not certificate.covers(host):
        names = ", ".join(certificate.names) or "nothing"
        said.append(
            f"{CERTIFICATE}: the certificate names {names}, and not {host}; set FETTLE_PUBLIC_URL to an address "
            f"with a name of it, such as https://{(certificate.names or ('fettle.example.org',))[0]}:{settings.port}."
        )
    return said


class _Current:
    """The certificate of the moment: each new connection looks whether the files are still the same.

    A context of its own for each pair of files, and not the same one loaded again: OpenSSL takes certificate and
    key one after the other, so a pair that does not fit would leave the port without any.
    """

    def __init__(self, settings: Settings, context: ssl.SSLContext, state: object) -> None:
        self._settings = settings
        self._context = context
        self._seen = state

    def choose(self, connection: ssl.SSLObject, _name: str | None, _first: ssl.SSLContext) -> None:
        """Give a connection that begins the certificate of the moment."""
        state = _state(self._settings)
        if state != self._seen:
            self._seen = state
            self._take_up()
        connection.context = self._context

    def _take_up(self) -> None:
        try:
            pair = _load(self._settings)
        except SettingsError as error:
            log.warning(
                "the certificate changed and cannot be used; the one before is served on", reason=str(error)
            )
            return
        if pair is not None:
            self._context = pair.context
            log.info("certificate taken up", ends_at=pair.certificate.ends_at.isoformat())


def _state(settings: Settings) -> object:
    """Return what is another when one of the files is, also by a link or by its mode."""
    return tuple(_file_state(path) for path in (settings.tls_certificate, settings.tls_key))


def _file_state(path: Path | None) -> object:
    try:
        entry = None if path is None else path.stat()
    except OSError as error:
        return error.errno
    return None if entry is None else (entry.st_ino, entry.st_size, entry.st_mtime_ns, entry.st_ctime_ns)


def _load(settings: Settings) -> _Pair | None:
    certificate_path, key_path = settings.tls_certificate, settings.tls_key
    if certificate_path is None and key_path is None:
        return None
    if certificate_path is None or key_path is None:
        missing, given = (CERTIFICATE, KEY) if certificate_path is None else (KEY, CERTIFICATE)
        raise SettingsError(f"{missing}: is not set, {given} is; set both, or neither to serve without TLS.")
    certificate = _certificate(certificate_path)
    _check_key(key_path, certificate, certificate_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_ciphers(_CIPHERS)
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate_path, key_path)
    except (ssl.SSLError, OSError) as error:
        reason = getattr(error, "reason", None) or error.strerror
        raise SettingsError(f"{CERTIFICATE}: {certificate_path} cannot be served with: {reason}.") from None
    return _Pair(context, _told(certificate))


def _certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificates(_content(path, CERTIFICATE))[0]
    except ValueError:
        raise SettingsError(
            f"{CERTIFICATE}: {path} holds no certificate in PEM form; name the file with the server's own "
            "certificate first and those of its authorities after it."
        ) from None


def _check_key(path: Path, certificate: x509.Certificate, certificate_path: Path) -> None:
    content = _content(path, KEY)
    _check_mode(path)
    try:
        key = load_pem_private_key(content, None)
    except TypeError:
        raise SettingsError(
            f"{KEY}: {path} is locked by a passphrase, which nobody types at a start; store it without."
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise SettingsError(f"{KEY}: {path} holds no private key in PEM form.") from None
    if _public(key.public_key()) != _public(certificate.public_key()):
        raise SettingsError(
            f"{KEY}: {path} is not the key of the first certificate in {certificate_path}; name the two that belong "
            "together."
        )


def _check_mode(path: Path) -> None:
    """Refuse a key that others can read, as SSH and PostgreSQL do.

    A warning is read by nobody, and whoever has the key poses as this installation. A group may read what root
    owns, as Debian keeps keys (``ssl-cert``).
    """
    entry = path.stat()
    mode = stat.S_IMODE(entry.st_mode)
    if mode & (0o077 if entry.st_uid else 0o027):
        raise SettingsError(f"{KEY}: others can read {path} ({mode:04o}); chmod 0600 {path}")


def _content(path: Path, setting: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{setting}: {path} cannot be read: {error.strerror}.") from None


def _public(key: object) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined, no-any-return]  # each kind of key has it


def _told(certificate: x509.Certificate) -> Certificate:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        listed: tuple[str, ...] = ()
    else:
        addresses = (str(one) for one in names.get_values_for_type(x509.IPAddress))
        listed = (*names.get_values_for_type(x509.DNSName), *addresses)
    return Certificate(
        tuple(name.lower() for name in listed),
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
        certificate.public_bytes(Encoding.DER),
    )
