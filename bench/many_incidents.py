"""A million incidents of two hundred tenants: a few tenants have most of them, a few check types most of all."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import asyncpg

from fettle.kernel.ids import new_id

TENANTS = 200
TIMELINES = 2_000
EVENTS_EACH = 8

# A third of all belongs to the first tenant, the rest falls off as 1/n.
_INCIDENTS = """
INSERT INTO incidents (id, tenant_id, number, title, state, severity, level, check_type, host, site, platform, source,
                       summary, fingerprint, pack_id, labels, details, occurrences, rule_id, opened_at, last_seen_at,
                       resolved_at, closed_at, version)
SELECT named.id, t.id, n, 'Check ' || kind || ' fails on host-' || host, state,
       (ARRAY['info', 'low', 'medium', 'high', 'critical'])[1 + (n * 7) % 5],
       (ARRAY['L1', 'L1', 'L1', 'L2', 'L3'])[1 + n % 5], 'check_' || kind, 'host-' || host, 'site-' || host % 20,
       'linux', 'agent', 'The value is not as it was declared on host-' || host, 'f' || t.ord || '-' || n,
       'compliance-it', jsonb_build_object('team', 'team-' || n % 12), jsonb_build_object('mode', '0644', 'n', n),
       1 + n % 9, 'L1-RULE-' || kind, at, at + interval '5 minutes',
       CASE WHEN state IN ('resolved', 'closed') THEN at + interval '10 minutes' END,
       CASE WHEN state = 'closed' THEN at + interval '1 day' END, 4
FROM unnest($1::uuid[], $2::bigint[]) WITH ORDINALITY AS t(id, share, ord)
CROSS JOIN LATERAL generate_series(1, t.share) AS n
CROSS JOIN LATERAL (SELECT now() - (t.share - n) * interval '90 days' / t.share AS at,
                           (n * n) % 45 AS kind, (n * 13) % 400 AS host,
                           CASE WHEN n % 50 = 0 THEN 'escalated' WHEN n % 51 = 0 THEN 'awaiting_approval'
                                WHEN n % 40 = 0 THEN 'healing' WHEN n % 10 = 0 THEN 'resolved' ELSE 'closed' END
                             AS state) AS made
CROSS JOIN LATERAL (SELECT (lpad(to_hex(floor(extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7'
                            || substr(md5(n::text || t.ord::text), 1, 3) || '8'
                            || substr(md5(t.ord::text || '-' || n::text), 1, 15))::uuid AS id) AS named
"""
_EVENTS = """
INSERT INTO events (id, tenant_id, stream_type, stream_id, version, type, schema_version, lane, data, metadata,
                    correlation_id, occurred_at)
SELECT gen_random_uuid(), $1, 'incident', i.id, v, 'incident.occurrence_added', 1, 0,
       jsonb_build_object('note', repeat('x', 300)),
       jsonb_build_object('actor', 'system:bench', 'correlation_id', i.id, 'causation_id', NULL, 'request_id', NULL),
       i.id, i.opened_at
FROM (SELECT id, opened_at FROM incidents WHERE tenant_id = $1 ORDER BY id DESC LIMIT $2) i
CROSS JOIN generate_series(1, $3) v
"""


async def fill(variables: Mapping[str, str], first: UUID, incidents: int) -> None:
    """Make tenants and incidents, and the timelines of the first tenant's newest incidents.

    Args:
        variables: Settings that name the database.
        first: The tenant that has the most.
        incidents: How many there are of all tenants.
    """
    tenants: list[Any] = [first, *(new_id() for _ in range(TENANTS - 1))]
    weights = [1 / n for n in range(2, TENANTS + 1)]
    rest = incidents - incidents // 3
    shares = [incidents // 3, *(max(1, int(rest * weight / sum(weights))) for weight in weights)]
    connection = await asyncpg.connect(variables["FETTLE_DATABASE_SYSTEM_URL"])
    try:
        await connection.executemany(
            "INSERT INTO tenants (id, name, slug) VALUES ($1, $2, $3)",
            [(tenant, f"Tenant {n}", f"bench-{n}") for n, tenant in enumerate(tenants[1:], 2)],
        )
        await connection.execute(_INCIDENTS, tenants, shares)
        await connection.execute(_EVENTS, first, min(TIMELINES, shares[0]), EVENTS_EACH)
    finally:
        await connection.close()
    owner = await asyncpg.connect(variables["FETTLE_DATABASE_URL"])
    try:
        await owner.execute("VACUUM ANALYZE")
    finally:
        await owner.close()
