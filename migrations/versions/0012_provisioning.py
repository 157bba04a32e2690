"""Tables of provisioning, audit and the data of tenants."""

from alembic import op

from fettle.kernel.tenancy import APP_ROLE, SYSTEM_ROLE, grant_platform, protect

revision = "0012_provisioning"
down_revision = "0011_second_factor"
branch_labels = None
depends_on = None

_SEARCHED = """to_tsvector('simple'::regconfig, left(searchable(
    actor || ' ' || action || ' ' || target_type || ' ' || coalesce(target_id, '') || ' ' || coalesce(address, '')
    || ' ' || coalesce(request_id, '') || ' ' || coalesce(before::text, '') || ' ' || coalesce(after::text, '')
  ), 20000))"""

_AUDIT = [
    # Words in lower case, and spaces: nothing in it means anything to a search's own syntax.
    r"""CREATE FUNCTION searchable(plain text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
        AS $$ SELECT regexp_replace(lower(plain), '[\x01-\x2f\x3a-\x60\x7b-\x7f]+', ' ', 'g') $$""",
    f"ALTER TABLE audit_records ADD COLUMN words tsvector GENERATED ALWAYS AS ({_SEARCHED}) STORED",
    "CREATE INDEX ix_audit_records_actor ON audit_records (tenant_id, actor, id)",
    "CREATE INDEX ix_audit_records_action ON audit_records (tenant_id, action, id)",
    "CREATE INDEX ix_audit_records_target ON audit_records (tenant_id, target_type, target_id, id)",
    # Which bundle of the evidence chain vouches for a record.
    """CREATE TABLE audit_seals (
         tenant_id uuid NOT NULL CONSTRAINT fk_audit_seals_tenant_id REFERENCES tenants (id),
         record_id uuid NOT NULL,
         bundle_id uuid NOT NULL,
         CONSTRAINT pk_audit_seals PRIMARY KEY (tenant_id, record_id)
       )""",
    *protect("audit_seals", app="SELECT, INSERT"),
    """CREATE FUNCTION refuse_change_of_audit() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN RAISE EXCEPTION 'the audit is added to and never changed' USING ERRCODE = '42501'; END $$""",
    """CREATE TRIGGER audit_is_never_changed BEFORE UPDATE OR TRUNCATE ON audit_records
       FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_audit()""",
    # The two ways in which records go: old and sealed, or with their whole tenant. Nobody may delete them by hand.
    "CREATE POLICY retention ON audit_records FOR ALL TO CURRENT_USER USING (true) WITH CHECK (false)",
    "CREATE POLICY retention ON audit_seals FOR ALL TO CURRENT_USER USING (true) WITH CHECK (false)",
    """CREATE FUNCTION forget_audit_records(of_tenant uuid, older_than timestamptz, at_most integer) RETURNS bigint
       LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
         WITH due AS (
           SELECT r.id FROM audit_records r
           WHERE r.tenant_id = of_tenant AND r.occurred_at < least(older_than, now() - interval '30 days')
             AND EXISTS (SELECT FROM audit_seals s WHERE s.tenant_id = of_tenant AND s.record_id = r.id)
           ORDER BY r.id LIMIT at_most
         ), gone AS (
           DELETE FROM audit_records r USING due WHERE r.tenant_id = of_tenant AND r.id = due.id RETURNING r.id
         ), unsealed AS (
           DELETE FROM audit_seals s USING gone WHERE s.tenant_id = of_tenant AND s.record_id = gone.id
         )
         SELECT count(*) FROM gone
       $$""",
    "REVOKE ALL ON FUNCTION forget_audit_records(uuid, timestamptz, integer) FROM PUBLIC",
    f"GRANT EXECUTE ON FUNCTION forget_audit_records(uuid, timestamptz, integer) TO {SYSTEM_ROLE}",
    # A bundle is of an incident or of audit records.
    "ALTER TABLE evidence_bundles ADD COLUMN kind text NOT NULL DEFAULT 'incident'",
    "ALTER TABLE evidence_bundles ALTER COLUMN incident_id DROP NOT NULL",
]

_API_KEYS = [
    """ALTER TABLE api_keys
         ADD COLUMN rotated_at timestamptz,
         ADD COLUMN warned_at timestamptz,
         ADD COLUMN old_until timestamptz,
         ADD COLUMN old_prefix text UNIQUE,
         ADD COLUMN old_secret_hash bytea CHECK (length(old_secret_hash) = 32)""",
    # No role of a request can read a secret's hash, so the row itself remembers the one that it had.
    """CREATE FUNCTION remember_old_secret() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN
         NEW.old_prefix := OLD.prefix;
         NEW.old_secret_hash := OLD.secret_hash;
         RETURN NEW;
       END $$""",
    """CREATE TRIGGER old_secret_is_remembered BEFORE UPDATE OF secret_hash ON api_keys
       FOR EACH ROW EXECUTE FUNCTION remember_old_secret()""",
    f"GRANT SELECT (rotated_at, old_until) ON api_keys TO {APP_ROLE}",
    f"GRANT UPDATE (name, scopes, prefix, secret_hash, rotated_at, old_until) ON api_keys TO {APP_ROLE}",
]

_SCIM = [
    # A person as the tenant's provider knows them; that they belong to the tenant is a row of memberships.
    """CREATE TABLE scim_users (
         tenant_id uuid NOT NULL CONSTRAINT fk_scim_users_tenant_id REFERENCES tenants (id),
         id uuid NOT NULL,
         user_id uuid NOT NULL CONSTRAINT fk_scim_users_user_id REFERENCES users (id),
         user_name text NOT NULL CHECK (user_name = lower(user_name)),
         external_id text,
         attributes jsonb NOT NULL,
         made_account boolean NOT NULL,
         created_at timestamptz NOT NULL DEFAULT now(),
         updated_at timestamptz NOT NULL DEFAULT now(),
         CONSTRAINT pk_scim_users PRIMARY KEY (tenant_id, id),
         CONSTRAINT uq_scim_users_user_name UNIQUE (tenant_id, user_name),
         CONSTRAINT uq_scim_users_user_id UNIQUE (tenant_id, user_id)
       )""",
    "CREATE INDEX ix_scim_users_external_id ON scim_users (tenant_id, external_id)",
    "CREATE INDEX ix_scim_users_user_id ON scim_users (user_id)",
    *protect("scim_users", app="SELECT"),
    """CREATE TABLE scim_groups (
         tenant_id uuid NOT NULL CONSTRAINT fk_scim_groups_tenant_id REFERENCES tenants (id),
         id uuid NOT NULL,
         display_name text NOT NULL,
         external_id text,
         created_at timestamptz NOT NULL DEFAULT now(),
         updated_at timestamptz NOT NULL DEFAULT now(),
         CONSTRAINT pk_scim_groups PRIMARY KEY (tenant_id, id)
       )""",
    "CREATE UNIQUE INDEX uq_scim_groups_display_name ON scim_groups (tenant_id, lower(display_name))",
    *protect("scim_groups", app="SELECT"),
    """CREATE TABLE scim_group_members (
         tenant_id uuid NOT NULL CONSTRAINT fk_scim_group_members_tenant_id REFERENCES tenants (id),
         group_id uuid NOT NULL,
         member_id uuid NOT NULL,
         CONSTRAINT pk_scim_group_members PRIMARY KEY (tenant_id, group_id, member_id),
         CONSTRAINT fk_scim_group_members_group_id FOREIGN KEY (tenant_id, group_id)
           REFERENCES scim_groups (tenant_id, id) ON DELETE CASCADE,
         CONSTRAINT fk_scim_group_members_member_id FOREIGN KEY (tenant_id, member_id)
           REFERENCES scim_users (tenant_id, id) ON DELETE CASCADE
       )""",
    "CREATE INDEX ix_scim_group_members_member_id ON scim_group_members (tenant_id, member_id)",
    *protect("scim_group_members", app="SELECT"),
]

_DATA = [
    """CREATE TABLE data_exports (
         tenant_id uuid NOT NULL CONSTRAINT fk_data_exports_tenant_id REFERENCES tenants (id),
         id uuid CONSTRAINT pk_data_exports PRIMARY KEY,
         state text NOT NULL DEFAULT 'queued',
         requested_by text NOT NULL,
         requested_at timestamptz NOT NULL DEFAULT now(),
         finished_at timestamptz,
         expires_at timestamptz,
         size_bytes bigint,
         sha256 text
       )""",
    "CREATE INDEX ix_data_exports_tenant_id ON data_exports (tenant_id, id)",
    *protect("data_exports"),
    """CREATE TABLE data_export_parts (
         tenant_id uuid NOT NULL CONSTRAINT fk_data_export_parts_tenant_id REFERENCES tenants (id),
         export_id uuid NOT NULL CONSTRAINT fk_data_export_parts_export_id
           REFERENCES data_exports (id) ON DELETE CASCADE,
         number integer NOT NULL,
         data bytea NOT NULL,
         CONSTRAINT pk_data_export_parts PRIMARY KEY (tenant_id, export_id, number)
       )""",
    "ALTER TABLE data_export_parts ALTER COLUMN data SET STORAGE EXTERNAL",
    *protect("data_export_parts"),
    # What is left of a tenant that was erased: no name, no person, only that it is gone, signed.
    """CREATE TABLE tenant_erasures (
         id uuid CONSTRAINT pk_tenant_erasures PRIMARY KEY,
         erased_tenant uuid NOT NULL CONSTRAINT uq_tenant_erasures_erased_tenant UNIQUE,
         requested_at timestamptz NOT NULL DEFAULT now(),
         completed_at timestamptz,
         accounts uuid[] NOT NULL,
         deleted jsonb NOT NULL DEFAULT '{}',
         record jsonb
       )""",
    *grant_platform("tenant_erasures", app=""),
    """CREATE FUNCTION erase_audit_records(of_tenant uuid, at_most integer) RETURNS bigint
       LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
         WITH gone AS (
           DELETE FROM audit_records r
           WHERE r.tenant_id = of_tenant AND r.id IN (
             SELECT id FROM audit_records WHERE tenant_id = of_tenant ORDER BY id LIMIT at_most)
             AND EXISTS (SELECT FROM tenant_erasures e WHERE e.erased_tenant = of_tenant AND e.completed_at IS NULL)
           RETURNING r.id
         )
         SELECT count(*) FROM gone
       $$""",
    "REVOKE ALL ON FUNCTION erase_audit_records(uuid, integer) FROM PUBLIC",
    f"GRANT EXECUTE ON FUNCTION erase_audit_records(uuid, integer) TO {SYSTEM_ROLE}",
]

_UPGRADE: list[str] = [*_AUDIT, *_API_KEYS, *_SCIM, *_DATA]

_DOWNGRADE: list[str] = [
    "DROP FUNCTION erase_audit_records(uuid, integer)",
    "DROP TABLE tenant_erasures",
    "DROP TABLE data_export_parts",
    "DROP TABLE data_exports",
    "DROP TABLE scim_group_members",
    "DROP TABLE scim_groups",
    "DROP TABLE scim_users",
    "DROP TRIGGER old_secret_is_remembered ON api_keys",
    "DROP FUNCTION remember_old_secret()",
    """ALTER TABLE api_keys DROP COLUMN old_secret_hash, DROP COLUMN old_prefix, DROP COLUMN old_until,
         DROP COLUMN warned_at, DROP COLUMN rotated_at""",
    f"REVOKE UPDATE (name, scopes, prefix, secret_hash) ON api_keys FROM {APP_ROLE}",
    "DELETE FROM evidence_bundles WHERE incident_id IS NULL",
    "ALTER TABLE evidence_bundles ALTER COLUMN incident_id SET NOT NULL",
    "ALTER TABLE evidence_bundles DROP COLUMN kind",
    "DROP FUNCTION forget_audit_records(uuid, timestamptz, integer)",
    "DROP POLICY retention ON audit_records",
    "DROP TRIGGER audit_is_never_changed ON audit_records",
    "DROP FUNCTION refuse_change_of_audit()",
    "DROP TABLE audit_seals",
    "DROP INDEX ix_audit_records_target",
    "DROP INDEX ix_audit_records_action",
    "DROP INDEX ix_audit_records_actor",
    "ALTER TABLE audit_records DROP COLUMN words",
    "DROP FUNCTION searchable(text)",
]


def upgrade() -> None:
    """Create the tables."""
    for statement in _UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    """Drop the tables."""
    for statement in _DOWNGRADE:
        op.execute(statement)
