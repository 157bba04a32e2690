"""Each role against each permission, written out: a changed right must be changed here too."""

import pytest

from fettle.identity.permissions import KEY_SCOPES, MEMBER_ROLES, PERMISSIONS, ROLES, permissions_of

# One column for each role, in the order of ROLES: platform_admin, partner_admin, tenant_admin, operator,
# analyst, auditor, viewer, agent.
MATRIX = {
    "incidents:read": "1111111.",
    "incidents:write": "11111...",
    "exceptions:write": "1111...1",
    "mutes:read": "1111111.",
    "mutes:write": "1111....",
    "sources:read": "111111..",
    "sources:write": "111.....",
    "brakes:read": "1111111.",
    "brakes:write": "1111....",
    "planner:read": "1111111.",
    "approvals:decide": "1111....",
    "escalation:read": "1111111.",
    "escalation:write": "111.....",
    "rules:read": "1111111.",
    "rules:write": "111.....",
    "rules:sync": "111....1",
    "playbooks:read": "1111111.",
    "playbooks:run": "1111....",
    "playbooks:write": "111.....",
    "tools:read": "1111111.",
    "tools:write": "111.....",
    "packs:read": "1111111.",
    "packs:write": "111.....",
    "jobs:read": "1111111.",
    "evidence:read": "111111..",
    "events:read": "1111111.",
    "events:replay": "1111....",
    "tenants:read": "1111111.",
    "tenants:write": "11......",
    "users:read": "111..1..",
    "users:write": "111.....",
    "sign_on:read": "111..1..",
    "sign_on:write": "111.....",
    "scim:write": "111.....",
    "data:export": "111.....",
    "data:erase": "111.....",
    "keys:read": "111..1..",
    "keys:write": "111.....",
    "audit:read": "111..1..",
    "fleet:read": "11111111",
    "fleet:write": "1111....",
    "platform:admin": "1.......",
}


def test_every_permission_is_in_the_matrix():
    assert set(MATRIX) == set(PERMISSIONS)


@pytest.mark.parametrize("permission", MATRIX)
@pytest.mark.parametrize("column", range(8), ids=list(ROLES))
def test_role_holds_exactly_what_the_matrix_says(permission, column):
    role = list(ROLES)[column]
    assert (permission in permissions_of(role)) == (MATRIX[permission][column] == "1")


def test_an_unknown_role_may_nothing():
    assert permissions_of("root") == frozenset()
    assert permissions_of("") == frozenset()


def test_a_membership_cannot_carry_the_platform():
    assert "platform_admin" not in MEMBER_ROLES
    assert all("platform:admin" not in permissions_of(role) for role in MEMBER_ROLES)


def test_a_key_cannot_reach_beyond_its_tenant():
    assert KEY_SCOPES.isdisjoint({"platform:admin", "tenants:write"})
