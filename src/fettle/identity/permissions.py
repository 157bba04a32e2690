"""The one list of what may be done, and of who may do it: permissions and the eight roles, as data."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

PERMISSIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "incidents:read": "See incidents, their timelines, approvals and the overview.",
        "incidents:write": "Work incidents: assign, discuss, link, merge, split, resolve, close, reopen.",
        "exceptions:write": "Report that something is out of order.",
        "approvals:decide": "Approve or reject a plan that waits for a person.",
        "escalation:read": "See who is on call, escalation policies, channels and the log of messages.",
        "escalation:write": "Change who is on call, escalation policies and channels, and test channels.",
        "mutes:read": "See silences, maintenance windows, inhibition and dependencies, and what they mute.",
        "mutes:write": "Set silences, maintenance windows, inhibition and dependencies, and end them.",
        "sources:read": "See the sources of webhooks, and what was received, redacted.",
        "sources:write": "Set up sources, change their mappings and secrets, let topics send.",
        "brakes:read": "See stop switches, flapping checks, circuit breakers, and runs that limits hold.",
        "brakes:write": "Press and lift the tenant's stop switch, clear flapping checks, move circuit breakers.",
        "planner:read": "See whom the planner asks, what it decided and what that cost.",
        "rules:read": "See rules and ask why one fires.",
        "rules:write": "Create, change, enable and delete rules; promote and retire what grew from what healed.",
        "rules:sync": "Fetch the signed rules, as a site's appliance does.",
        "playbooks:read": "See playbooks and their runs, with input and output.",
        "playbooks:run": "Start a playbook or its dry-run, and stop a run.",
        "playbooks:write": "Create, change and delete playbooks of the tenant's own.",
        "tools:read": "See tools and their schemas.",
        "tools:write": "Enable tools and set their secrets.",
        "packs:read": "See packs and what they hold.",
        "packs:write": "Activate packs and roll them back.",
        "jobs:read": "See long work that was asked for: how far it is, and what it came to.",
        "evidence:read": "See evidence bundles and export the chain.",
        "events:read": "See events, live and stored, and the lag of their readers.",
        "events:replay": "Put a dead letter back to work.",
        "tenants:read": "See the tenants that one belongs to.",
        "tenants:write": "Create and rename tenants.",
        "users:read": "See who belongs to a tenant.",
        "users:write": "Invite people, change and end memberships, define the tenant's own roles.",
        "sign_on:read": "See how a tenant's people sign in: its policy and its identity providers.",
        "sign_on:write": "Change how a tenant's people sign in.",
        "scim:write": "Keep the tenant's people and groups by SCIM, as its identity provider does.",
        "keys:read": "See API keys, never their secrets.",
        "keys:write": "Create and revoke API keys.",
        "audit:read": "See who changed what.",
        "data:export": "Export everything of a tenant.",
        "data:erase": "Erase a tenant for good.",
        "fleet:read": "See hosts and their checks.",
        "fleet:write": "Declare hosts and what may be touched on them.",
        "platform:admin": "Create accounts and act in every tenant.",
    }
)
"""Each permission, ``noun:verb``, and what it lets one do."""

_VIEWER = frozenset(
    {
        "incidents:read",
        "escalation:read",
        "brakes:read",
        "mutes:read",
        "planner:read",
        "rules:read",
        "playbooks:read",
        "tools:read",
        "packs:read",
        "jobs:read",
        "events:read",
        "tenants:read",
        "fleet:read",
    }
)
_ANALYST = _VIEWER | {"evidence:read", "incidents:write", "sources:read"}
_AUDITOR = _VIEWER | {
    *("evidence:read", "audit:read", "users:read", "sign_on:read", "keys:read", "sources:read"),
}
_OPERATOR = _ANALYST | {
    "exceptions:write",
    "approvals:decide",
    "brakes:write",
    "mutes:write",
    "playbooks:run",
    "events:replay",
    "fleet:write",
}
_TENANT_ADMIN = (
    _OPERATOR
    | _AUDITOR
    | {
        "escalation:write",
        "sources:write",
        "rules:write",
        "rules:sync",
        "playbooks:write",
        "tools:write",
        "packs:write",
        "users:write",
        "sign_on:write",
        "keys:write",
        "scim:write",
        "data:export",
        "data:erase",
    }
)
_PARTNER_ADMIN = _TENANT_ADMIN | {"tenants:write"}


@dataclass(frozen=True, slots=True)
class Role:
    """A named set of permissions.

    Attributes:
        name: The role's stable name.
        description: Who it is for.
        permissions: What it lets its holder do.
    """

    name: str
    description: str
    permissions: frozenset[str]


ROLES: Final[Mapping[str, Role]] = MappingProxyType(
    {
        role.name: role
        for role in (
            Role("platform_admin", "Runs the installation; acts in every tenant.", frozenset(PERMISSIONS)),
            Role("partner_admin", "Looks after a service provider's tenants.", _PARTNER_ADMIN),
            Role("tenant_admin", "Decides everything within one tenant.", _TENANT_ADMIN),
            Role("operator", "Works incidents, approves plans, runs playbooks.", _OPERATOR),
            Role("analyst", "Works incidents and reads evidence; starts nothing.", _ANALYST),
            Role("auditor", "Reads everything that proves what was done.", _AUDITOR),
            Role("viewer", "Watches.", _VIEWER),
            Role(
                "agent",
                "A program that reports what is out of order.",
                frozenset({"exceptions:write", "fleet:read", "rules:sync"}),
            ),
        )
    }
)
"""The eight roles, from most to least."""

MEMBER_ROLES: Final = tuple(name for name in ROLES if name != "platform_admin")
"""Roles of a membership in one tenant; ``platform_admin`` belongs to an account, not to a tenant."""

KEY_SCOPES: Final = frozenset(PERMISSIONS) - {
    "platform:admin",
    "tenants:write",
    "sign_on:write",
    "data:erase",
}
"""What an API key can carry: nothing that reaches beyond its tenant, that says who gets in, or that ends it."""


def permissions_of(role: str) -> frozenset[str]:
    """Return a role's permissions; a role that is not listed has none.

    Args:
        role: The role's name.
    """
    known = ROLES.get(role)
    return known.permissions if known is not None else frozenset()


def role_permissions(role: str, own: Collection[str] | None) -> frozenset[str]:
    """Return what a role lets its holder do in a tenant.

    Args:
        role: The role's name.
        own: The permissions of the tenant's own role of that name, where there is one; what reaches beyond a
            tenant is left out, whatever its row says.
    """
    if role in ROLES or own is None:
        return permissions_of(role) - {"platform:admin"}
    return KEY_SCOPES.intersection(own)
