"""The contacts of the Policy Pack as an escalation policy, for incidents that no policy of the tenant's fits; pure.

A contact is told by mail, or by a webhook that is signed with the tenant's secret `SECRET`, so long after the
escalation as the contact says. What stands in the console is told by standing there.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final
from uuid import UUID, uuid5

SECRET: Final = "escalation-contacts"  # noqa: S105 - a secret's name
"""Name of the tenant's secret that signs what contacts are told by a webhook."""

_SPACE: Final = UUID("5d1c9a52-6f0e-5f6c-9d0b-0f7f3a0f6a51")
_STORM: Final = {"threshold": 10, "window_seconds": 300, "update_seconds": 300}


def contacts_id(severity: str) -> UUID:
    """Return what stands for an escalation policy's id where the contacts are told of a severity."""
    return uuid5(_SPACE, f"contacts:{severity}")


def policy_of_contacts(contacts: Iterable[Mapping[str, Any]], severity: str) -> dict[str, Any] | None:
    """Return the policy that contacts amount to for a severity, None where nobody is told.

    Args:
        contacts: As the Policy Pack has them.
        severity: The incident's.
    """
    channels: dict[str, dict[str, Any]] = {}
    by_delay: defaultdict[int, list[str]] = defaultdict(list)
    for contact in contacts:
        place = _place(contact)
        if place is None or severity not in contact.get("severities", (severity,)):
            continue
        channel = str(uuid5(_SPACE, f"{contact['channel']}:{contact['address']}"))
        channels[channel] = place
        by_delay[int(contact.get("after_seconds", 0))].append(channel)
    if not channels:
        return None
    delays = sorted(by_delay)
    waits = [later - sooner for sooner, later in zip(delays, [*delays[1:], delays[-1]], strict=True)]
    return {
        "match": {"severities": [], "check_types": [], "sites": []},
        "steps": [
            {"targets": [_target(one) for one in dict.fromkeys(by_delay[delay])], "wait_seconds": wait}
            for delay, wait in zip(delays, waits, strict=True)
        ],
        "repeats": 0,
        "fallback": [],
        "quiet_hours": [],
        "storm": _STORM,
        "delay_seconds": delays[0],
        "channels": channels,
    }


def channels_of(policy: Mapping[str, Any] | None) -> Mapping[str, Mapping[str, Any]]:
    """Return the channels that stand in a policy itself, by id: those of contacts."""
    found: Mapping[str, Mapping[str, Any]] = (policy or {}).get("channels", {})
    return found


def _place(contact: Mapping[str, Any]) -> dict[str, Any] | None:
    address = contact.get("address")
    if not address:
        return None
    if contact["channel"] == "email":
        return {"kind": "email", "name": contact["name"], "document": {"to": [address]}}
    if contact["channel"] == "webhook":
        document = {"url": address, "signing_secret": SECRET}
        return {"kind": "webhook", "name": contact["name"], "document": document}
    return None


def _target(channel: str) -> dict[str, str | None]:
    return {"channel_id": channel, "schedule_id": None, "user_id": None}
