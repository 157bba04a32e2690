"""A million incidents of two hundred tenants: a few tenants have most of them, a few check types most of all."""

from collections.abc import Mapping
from datetime import timedelta
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
# Each was reported up to three times; the id of an exception is of the time of its incident.
_EXCEPTIONS = """
INSERT INTO incident_exceptions (tenant_id, exception_id, incident_id)
SELECT tenant_id, (substr(id::text, 1, 14) || '7' || substr(md5(id::text || n), 1, 3) || '-8'
                   || substr(md5(id::text || n), 5, 3) || '-' || substr(md5(n || id::text), 1, 12))::uuid, id
FROM incidents CROSS JOIN LATERAL generate_series(1, least(occurrences, 3)) AS n
WHERE opened_at > now() - $1::interval
"""
# What was resolved or closed is sealed, every other one; the chain counts up as the tenant's numbers do.
_BUNDLES = """
INSERT INTO evidence_bundles (id, tenant_id, sequence, incident_id, covers_position, hash, bundle, sealed_at,
                              previous_hash, signature, key_id)
SELECT gen_random_uuid(), tenant_id, number, id, number, h.hash, jsonb_build_object(
         'hash', h.hash, 'previous', md5(number::text) || md5(fingerprint), 'sequence', number,
         'proof', jsonb_build_object('key_id', 'k-1', 'signature', repeat('s', 86)),
         'incident', jsonb_build_object('id', id, 'title', title, 'host', host),
         'events', (SELECT jsonb_agg(md5(n::text || fingerprint)) FROM generate_series(1, 12) n))::text, closed_at,
       md5(number::text) || md5(fingerprint), repeat('s', 86), 'k-1'
FROM incidents CROSS JOIN LATERAL (SELECT md5(fingerprint) || md5(id::text) AS hash) h
WHERE state = 'closed' AND number % 2 = 0 AND opened_at > now() - $1::interval
"""
_RUNS = """
INSERT INTO playbook_runs (id, tenant_id, incident_id, playbook_id, playbook_version, definition_hash, plan_hash,
                           rule_id, parameters, incident, state, outcome, created_at, started_at, finished_at)
SELECT gen_random_uuid(), tenant_id, id, 'PB-' || check_type, 1, md5(check_type), md5(fingerprint), rule_id,
       jsonb_build_object('host', host), jsonb_build_object('id', id, 'host', host, 'title', title), 'finished',
       CASE WHEN state = 'escalated' THEN 'failed' ELSE 'verified' END, opened_at, opened_at,
       opened_at + interval '2 minutes'
FROM incidents WHERE level = 'L1' AND state <> 'awaiting_approval'
  AND opened_at > now() - $1::interval
"""
_APPROVALS = """
INSERT INTO approvals (id, tenant_id, incident_id, kind, state, rule_id, plan, plan_hash, reason, approvers,
                       requested_at, expires_at, decided_at, decided_by)
SELECT (substr(id::text, 1, 14) || '7' || substr(md5(id::text), 1, 3) || '-8' || substr(md5(id::text), 5, 3) || '-'
        || substr(md5(fingerprint), 1, 12))::uuid, tenant_id, id, 'approval',
       CASE WHEN state = 'awaiting_approval' THEN 'pending' ELSE 'approved' END, rule_id,
       jsonb_build_object('playbook', 'PB-' || check_type, 'parameters', jsonb_build_object('host', host),
                          'steps', jsonb_build_array('look', 'fix', 'verify')),
       md5(fingerprint) || md5(id::text), 'The tenant''s policy asks for a person', ARRAY['tenant_admin'], opened_at,
       now() + interval '30 days', CASE WHEN state <> 'awaiting_approval' THEN opened_at + interval '1 minute' END,
       CASE WHEN state <> 'awaiting_approval' THEN 'user:somebody' END
FROM incidents WHERE state = 'awaiting_approval' OR number % 20 = 0
"""
# A part of what is done is noted in the audit by somebody.
_AUDIT = """
INSERT INTO audit_records (id, tenant_id, actor, action, target_type, target_id, after, occurred_at)
SELECT (substr(id::text, 1, 14) || '7' || substr(md5(fingerprint), 1, 3) || '-9' || substr(md5(id::text), 5, 3)
        || '-' || substr(md5(fingerprint), 3, 12))::uuid, tenant_id, 'user:' || md5((number % 12)::text),
       'incident.closed', 'incident', id::text, jsonb_build_object('state', state), opened_at
FROM incidents WHERE number % 20 = 1
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
# An exception's own event names no incident.
_REPORTS = """
INSERT INTO events (id, tenant_id, stream_type, stream_id, version, type, schema_version, lane, data, metadata,
                    occurred_at)
SELECT gen_random_uuid(), $1, 'exception', x.exception_id, 1, 'exception.ingested', 1, 0,
       jsonb_build_object('exception', jsonb_build_object('check_type', i.check_type, 'host', i.host,
                                                          'summary', i.summary, 'details', i.details)),
       jsonb_build_object('actor', 'key:agent', 'correlation_id', NULL, 'causation_id', NULL, 'request_id', NULL),
       i.opened_at
FROM (SELECT * FROM incidents WHERE tenant_id = $1 ORDER BY id DESC LIMIT $2) i
JOIN incident_exceptions x ON x.tenant_id = $1 AND x.incident_id = i.id
"""
_KEPT = timedelta(days=30)
"""What is kept beside incidents is there for those of the newest days; retention took the rest."""


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
        for statement in (_EXCEPTIONS, _BUNDLES, _RUNS):
            await connection.execute(statement, _KEPT)
        await connection.execute(_APPROVALS)
        await connection.execute(_AUDIT)
        await connection.execute(_EVENTS, first, min(TIMELINES, shares[0]), EVENTS_EACH)
        await connection.execute(_REPORTS, first, min(TIMELINES, shares[0]))
    finally:
        await connection.close()
    owner = await asyncpg.connect(variables["FETTLE_DATABASE_URL"])
    try:
        await owner.execute("VACUUM ANALYZE")
    finally:
        await owner.close()
