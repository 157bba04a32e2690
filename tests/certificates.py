"""Certificates that a test makes for itself, as an operator would keep them in two files."""

import datetime as dt
import ipaddress
import os
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class OwnCertificate:
    """Two files, and what is in them."""

    certificate: Path
    key: Path

    @property
    def settings(self) -> dict[str, Path]:
        """What a test's settings take."""
        return {"tls_certificate": self.certificate, "tls_key": self.key}

    def trusted(self) -> ssl.SSLContext:
        """Return what a client trusts: this certificate as it is now, and none else."""
        return ssl.create_default_context(cafile=self.certificate)

    def serial(self) -> int:
        return x509.load_pem_x509_certificate(self.certificate.read_bytes()).serial_number


def make_certificate(
    folder: Path, *names: str, days: float = 30, begins_in_days: float = -1, passphrase: bytes | None = None
) -> OwnCertificate:
    """Write a certificate that nobody signed but itself, and its key; files of before are replaced at once.

    Args:
        folder: Where to.
        names: What it is good for, besides 127.0.0.1 and localhost.
        days: How long from now.
        begins_in_days: From when.
        passphrase: What locks the key.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Fettle")])
    now = dt.datetime.now(dt.UTC)
    good_for = [x509.DNSName(name) for name in ("localhost", *names)]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + dt.timedelta(days=begins_in_days))
        .not_valid_after(now + dt.timedelta(days=days))
        .add_extension(
            x509.SubjectAlternativeName([*good_for, x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .sign(key, hashes.SHA256())
    )
    locked = NoEncryption() if passphrase is None else BestAvailableEncryption(passphrase)
    made = OwnCertificate(folder / "tls.pem", folder / "tls-key.pem")
    _put(made.key, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked))
    _put(made.certificate, certificate.public_bytes(Encoding.PEM))
    return made


def _put(path: Path, content: bytes) -> None:
    new = path.with_suffix(".new")
    with os.fdopen(os.open(new, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
    new.replace(path)
