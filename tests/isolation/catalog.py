"""Reads PostgreSQL's own catalog and says what would let one tenant see another's rows."""

from typing import Any

APP, SYSTEM = "fettle_app", "fettle_system"

PLATFORM_TABLES = {
    "alembic_version",
    "auditor_progress",
    "consumer_lanes",
    "consumer_members",
    "evidence_keys",
    "link_tokens",
    "login_attempts",
    "outgoing_mails",
    "pack_versions",
    "partner_members",
    "partners",
    "passkey_challenges",
    "passkeys",
    "platform_stops",
    "pattern_pool",
    "recovery_codes",
    "refresh_sessions",
    "refresh_tokens",
    "sign_in_challenges",
    "sign_on_states",
    "tenant_erasures",
    "token_keys",
    "totp_factors",
    "users",
}
"""Tables of the installation: a new table without tenant_id must be put here by hand, and be thought about."""

APPEND_ONLY = {"events", "audit_records"}
UNREADABLE = {
    ("api_keys", "secret_hash"),
    ("api_keys", "old_secret_hash"),
    ("users", "password_hash"),
    ("users", "is_platform_admin"),
    ("identity_providers", "sealed_client_secret"),
}

ORACLE_FREE = {
    "tenants_slug_key",
    "api_keys_prefix_key",
    "api_keys_old_prefix_key",
    "uq_oncall_feeds_digest",
    "pk_events",
    "uq_parked_events_position",
}
"""Unique keys without the tenant that tell nothing: made by an administrator, at random, or by a sequence."""

DEFINERS = {
    "forget_audit_records(uuid,timestamp with time zone,integer)",
    "erase_audit_records(uuid,integer)",
}
"""Functions with their definer's rights: each leaves only what is due, and only the system role may call it."""

OF_RETENTION = {"audit_records", "audit_seals"}
"""Tables whose owner's functions delete what is due, by a policy of their own that lets nothing in."""

_BOUND = "( SELECT (NULLIF(current_setting('fettle.tenant_id'::text, true), ''::text))::uuid AS \"nullif\")"

_TABLES = """
SELECT c.relname AS name, c.relrowsecurity AS enabled, c.relforcerowsecurity AS forced,
       pg_get_userbyid(c.relowner) AS owner,
       EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id'
               AND NOT a.attisdropped) AS of_tenant
FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') ORDER BY 1
"""
_POLICIES = """
SELECT policyname AS name, permissive, roles::text[] AS roles, cmd, qual, with_check
FROM pg_policies WHERE schemaname = 'public' AND tablename = $1
"""
_OTHER_FAULTS = f"""
SELECT format('role %s bypasses row-level security', rolname) FROM pg_roles
WHERE rolname IN ('{APP}', '{SYSTEM}') AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication)
UNION ALL
SELECT format('role %s is a member of %s', member::regrole, roleid::regrole) FROM pg_auth_members
WHERE member IN ('{APP}'::regrole, '{SYSTEM}'::regrole)
UNION ALL
SELECT format('%s owns %s', relowner::regrole, relname) FROM pg_class
WHERE relowner IN ('{APP}'::regrole, '{SYSTEM}'::regrole)
UNION ALL
SELECT format('%s may create in schema %s', r, nspname)
FROM pg_namespace, unnest(ARRAY['{APP}', '{SYSTEM}', 'public']) r
WHERE nspname = 'public' AND has_schema_privilege(r, oid, 'CREATE')
UNION ALL
SELECT format('function %s runs with its definer''s rights', oid::regprocedure) FROM pg_proc
WHERE pronamespace = 'public'::regnamespace AND prosecdef
AND NOT (oid::regprocedure::text = ANY($2::text[]) AND coalesce(proconfig::text, '') LIKE '%search_path=pg_catalog%')
UNION ALL
SELECT format('%s may call %s', r, oid::regprocedure) FROM pg_proc, unnest(ARRAY['public', '{APP}']) r
WHERE pronamespace = 'public'::regnamespace AND prosecdef AND has_function_privilege(r, oid, 'EXECUTE')
UNION ALL
SELECT format('view %s is read with its owner''s rights', relname) FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('v', 'm')
AND NOT coalesce(reloptions @> '{{security_invoker=true}}', false)
UNION ALL
SELECT format('%s may %s %s', r, p, t) FROM unnest(ARRAY['{APP}', '{SYSTEM}']) r,
  unnest(ARRAY['UPDATE', 'DELETE', 'TRUNCATE']) p, unnest($1::text[]) t
WHERE has_table_privilege(r, t, p) AND NOT (r = '{SYSTEM}' AND t = 'events' AND p <> 'TRUNCATE')
UNION ALL
SELECT format('%s may truncate %s', r, relname) FROM pg_class, unnest(ARRAY['{APP}', '{SYSTEM}']) r
WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND has_table_privilege(r, oid, 'TRUNCATE')
UNION ALL
SELECT format('everybody may read %s', relname) FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm')
AND has_table_privilege('public', oid, 'SELECT')
"""
_UNIQUE_WITHOUT_TENANT = """
SELECT i.indexrelid::regclass::text AS index, c.relname AS name FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
WHERE c.relnamespace = 'public'::regnamespace AND i.indisunique
AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id')
AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id'
                AND a.attnum = ANY(i.indkey))
AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum = ANY(i.indkey)
                AND a.atttypid = 'uuid'::regtype)  -- nobody guesses an id of ours
"""


async def tenant_tables(connection: Any) -> dict[str, str]:
    """Return each tenant's table and the column that names the tenant."""
    rows = await connection.fetch(_TABLES)
    return {row["name"]: "tenant_id" for row in rows if row["of_tenant"]} | {"tenants": "id"}


async def faults(connection: Any) -> list[str]:
    """Return every way in which the schema lets a tenant's rows out; none is as it must be."""
    found = []
    owned = await tenant_tables(connection)
    for row in await connection.fetch(_TABLES):
        name = row["name"]
        if name in PLATFORM_TABLES and name not in owned:
            continue
        if name not in owned:
            found.append(f"{name} has no tenant_id and is not listed as the platform's")
            continue
        found += [
            f"{name}: row-level security is not {what}" for what in ("enabled", "forced") if not row[what]
        ]
        if row["owner"] in {APP, SYSTEM}:
            found.append(f"{name} belongs to {row['owner']}, whom its policies would not bind")
        found += await _policy_faults(connection, name, owned[name])
    found += [row[0] for row in await connection.fetch(_OTHER_FAULTS, sorted(APPEND_ONLY), sorted(DEFINERS))]
    for table, column in UNREADABLE:
        if await connection.fetchval("SELECT has_column_privilege($1, $2, $3, 'SELECT')", APP, table, column):
            found.append(f"{APP} may read {table}.{column}")
    for row in await connection.fetch(_UNIQUE_WITHOUT_TENANT):
        if row["index"] not in ORACLE_FREE:
            found.append(f"{row['name']}: {row['index']} tells one tenant what another has")
    return found


async def _policy_faults(connection: Any, table: str, column: str) -> list[str]:
    bound = f"({column} = {_BOUND})"
    wanted = {
        ("tenant_isolation", "PERMISSIVE", (APP,), "ALL", bound, bound),
        ("system_access", "PERMISSIVE", (SYSTEM,), "ALL", "true", "true"),
    }
    if table in OF_RETENTION:
        owner = await connection.fetchval(
            "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = $1::regclass", table
        )
        if owner not in {APP, SYSTEM}:
            wanted.add(("retention", "PERMISSIVE", (owner,), "ALL", "true", "false"))
    found = {
        (r["name"], r["permissive"], tuple(r["roles"]), r["cmd"], r["qual"], r["with_check"])
        for r in await connection.fetch(_POLICIES, table)
    }
    return [f"{table}: policy {p[0]} is missing or is another" for p in wanted - found] + [
        f"{table}: policy {p[0]} is not one of ours: {p[2:]}" for p in found - wanted
    ]
