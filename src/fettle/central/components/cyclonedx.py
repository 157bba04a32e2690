"""Writes the list of components, and their known faults, as a CycloneDX 1.6 document, which other programs read."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from fettle import __version__
from fettle.central.components.advisories import Fault
from fettle.central.components.inventory import OURSELVES, Component
from fettle.kernel.clock import utcnow
from fettle.kernel.ids import new_id

_SOURCES: Final = "https://osv.dev/vulnerability/"


def cyclonedx(components: Iterable[Component], faults: Sequence[Fault] = ()) -> dict[str, Any]:
    """Return the document.

    Args:
        components: Of this installation.
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
        "components": [_entry(component) for component in components],
    }
    if faults:
        document["vulnerabilities"] = [_vulnerability(fault) for fault in faults]
    return document


def _entry(component: Component) -> dict[str, Any]:
    group, _, name = component.name.rpartition("/")
    entry: dict[str, Any] = {
        "type": "library" if component.kind != "generic" else "application",
        "bom-ref": component.url,
        "name": name,
        "version": component.version,
        "scope": "required" if component.is_run else "excluded",
        "purl": component.url,
    }
    if group:
        entry["group"] = group
    if component.licence:
        entry["licenses"] = [
            {"expression": component.licence}
            if component.has_expression
            else {"license": {"name": component.licence}}
        ]
    if component.sha512:
        entry["hashes"] = [{"alg": "SHA-512", "content": component.sha512}]
    return entry


def _vulnerability(fault: Fault) -> dict[str, Any]:
    told: dict[str, Any] = {
        "bom-ref": f"{fault.advisory}:{fault.component.url}",
        "id": fault.advisory,
        "source": {"name": "OSV", "url": f"{_SOURCES}{fault.advisory}"},
        "references": [
            {"id": alias, "source": {"name": "OSV", "url": f"{_SOURCES}{alias}"}} for alias in fault.aliases
        ],
        "description": fault.summary,
        "affects": [{"ref": fault.component.url}],
    }
    if fault.mended_in:
        told["recommendation"] = f"Take {fault.component.name} {fault.mended_in} or later."
    if fault.is_unclear:
        told["analysis"] = {
            "state": "in_triage",
            "detail": "Whether this version is affected cannot be told.",
        }
    return told
