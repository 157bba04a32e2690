"""The rules that a site's appliance fetches: `l1_rules.json`, with a version, an ETag and a signature.

What is built in is on every appliance already and is never served. A rule of the tenant's own in the place of a
built-in one is served, for there it has to take that place too.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from fettle.evidence.canonical import canonical
from fettle.evidence.keys import signer
from fettle.evidence.signing import Signer
from fettle.healing.rule_sets import rule_sets
from fettle.healing.rules import Rule
from fettle.kernel.advisory_lock import hold_lock
from fettle.kernel.clock import rfc3339
from fettle.kernel.database import driver
from fettle.kernel.platform import Platform

FORMAT: Final = "fettle.l1_rules/1"
PREFIX: Final = b"fettle.l1_rules/1\n"
"""Keeps a signature from being mistaken for that of anything else."""

_NEWEST: Final = "SELECT version, digest, document FROM rule_bundles WHERE tenant_id = $1"

# The counter only ever rises, so that an appliance can refuse an older bundle that somebody kept.
_STORE: Final = """
INSERT INTO rule_bundles AS b (tenant_id, version, digest, document) VALUES ($1, $2, $3, $4)
ON CONFLICT (tenant_id) DO UPDATE SET version = excluded.version, digest = excluded.digest,
  document = excluded.document, created_at = now()
"""


@dataclass(frozen=True, slots=True)
class RuleBundle:
    """A signed set of rules.

    Attributes:
        version: Rises with each change.
        etag: As HTTP writes it.
        text: The document, in its canonical form.
    """

    version: int
    etag: str
    text: str


def served(rules: Iterable[Rule]) -> list[dict[str, Any]]:
    """Return the rules that an appliance does not have already, in the order in which they win; pure."""
    return [dict(rule.document) for rule in rules if rule.source != "builtin"]


def signed(content: Mapping[str, Any], key: Signer) -> dict[str, Any]:
    """Return a bundle with its signature over everything else in it, in canonical form (RFC 8785); pure."""
    made = key.sign(PREFIX + canonical(dict(content)))
    return {**content, "signature": {"algorithm": "ed25519", "key_id": key.key_id, "value": made}}


async def rule_bundle(platform: Platform, session: AsyncSession, tenant_id: UUID) -> RuleBundle:
    """Return the bundle of the rules that hold now; a new version where they have changed since the last.

    Args:
        platform: The process's parts.
        session: With the tenant bound.
        tenant_id: Whose rules.
    """
    key = await signer(platform)
    rules, digest = await _now(platform, session, tenant_id, key)
    connection = await driver(session)
    newest = await connection.fetchrow(_NEWEST, tenant_id)
    if newest is None or newest["digest"] != digest:
        # One at a time: whoever waits here finds the version that the first one made, and rules that may have
        # changed meanwhile; older ones must not get a newer version.
        await hold_lock(connection, "l1_rules", tenant_id)
        rules, digest = await _now(platform, session, tenant_id, key)
        newest = await connection.fetchrow(_NEWEST, tenant_id)
    if newest is not None and newest["digest"] == digest:
        return _found(newest["version"], digest, newest["document"])
    version = 1 if newest is None else newest["version"] + 1
    made_at = await connection.fetchval("SELECT now()")
    content = {
        "format": FORMAT,
        "tenant_id": str(tenant_id),
        "version": version,
        "made_at": rfc3339(made_at),
        "rules": rules,
    }
    text = canonical(signed(content, key)).decode()
    await connection.execute(_STORE, tenant_id, version, digest, text)
    return _found(version, digest, text)


def is_known(etag: str, asked: str | None) -> bool:
    """Say whether a caller's `If-None-Match` names a bundle."""
    if asked is None:
        return False
    tags = {tag.strip().removeprefix("W/") for tag in asked.split(",")}
    return etag in tags or "*" in tags


async def _now(
    platform: Platform, session: AsyncSession, tenant_id: UUID, key: Signer
) -> tuple[list[dict[str, Any]], str]:
    """Return the rules that are served now, and what tells them from others."""
    compiled, _ = await rule_sets(platform).current(platform, session, tenant_id)
    rules = served(compiled.rules.rules)
    return rules, hashlib.sha256(canonical([key.key_id, rules])).hexdigest()


def _found(version: int, digest: str, text: str) -> RuleBundle:
    return RuleBundle(version, f'"{version}-{digest[:16]}"', text)
