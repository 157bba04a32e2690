"""Writes the list of parts, and their known faults, as a CycloneDX 1.6 document, which other programs read."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from fettle import __version__
from fettle.central.parts.advisories import Fault
from fettle.central.parts.inventory import OURSELVES, Part
from fettle.kernel.clock import utcnow
from fettle.kernel.ids import new_id

_SOURCES: Final = "https://osv.dev/vulnerability/"


def cyclonedx(parts: Iterable[Part], faults: Sequence[Fault] = ()) -> dict[str, Any]:
    """Return the document.

    Args:
        parts: Of this installation.
        faults: What advisories know of them.
    """
    own = {"type": "application", "bom-ref": OURSELVES, "name": OURSELVES, "version": __version__}
    document: dict[str, Any] = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{new_id()}",
        "version": 1,
        "metadata": {
            "timestamp": utcnow().strftime("%Y-%m-%dT%H:%M:%SZ"),
            "tools": {"components": [{"type": "application", "name": OURSELVES, "version": __version__}]},
            "component": {**own, "licenses": [{"expression": "Apache-2.0"}]},
        },
        "components": [_component(part) for part in parts],
    }
    if faults:
        document["vulnerabilities"] = [_vulnerability(fault) for fault in faults]
    return document


def _component(part: Part) -> dict[str, Any]:
    group, _, name = part.name.rpartition("/")
    component: dict[str, Any] = {
        "type": "library" if part.kind != "generic" else "application",
        "bom-ref": part.url,
        "name": name,
        "version": part.version,
        "scope": "required" if part.is_run else "excluded",
        "purl": part.url,
    }
    if group:
        component["group"] = group
    if part.licence:
        component["licenses"] = [
            {"expression": part.licence} if part.has_expression else {"license": {"name": part.licence}}
        ]
    if part.sha512:
        component["hashes"] = [{"alg": "SHA-512", "content": part.sha512}]
    return component


def _vulnerability(fault: Fault) -> dict[str, Any]:
    told: dict[str, Any] = {
        "bom-ref": f"{fault.advisory}:{fault.part.url}",
        "id": fault.advisory,
        "source": {"name": "OSV", "url": f"{_SOURCES}{fault.advisory}"},
        "references": [
            {"id": alias, "source": {"name": "OSV", "url": f"{_SOURCES}{alias}"}} for alias in fault.aliases
        ],
        "description": fault.summary,
        "affects": [{"ref": fault.part.url}],
    }
    if fault.mended_in:
        told["recommendation"] = f"Take {fault.part.name} {fault.mended_in} or later."
    if fault.is_unclear:
        told["analysis"] = {
            "state": "in_triage",
            "detail": "Whether this version is affected cannot be told.",
        }
    return told
