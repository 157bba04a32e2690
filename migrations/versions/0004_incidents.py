"""Tables of incidents."""

from alembic import op

from fettle.kernel.tenancy import protect

revision = "0004_incidents"
down_revision = "0003_packs"
branch_labels = None
depends_on = None

_UPGRADE = [
    """CREATE TABLE incidents (
         id uuid CONSTRAINT pk_incidents PRIMARY KEY,
         tenant_id uuid NOT NULL CONSTRAINT fk_incidents_tenant_id REFERENCES tenants (id),
         number bigint NOT NULL,
         title text NOT NULL,
         state text NOT NULL CONSTRAINT ck_incidents_state CHECK (state IN ('open', 'triaged', 'planning',
           'awaiting_approval', 'healing', 'verifying', 'resolved', 'closed', 'escalated', 'suppressed')),
         severity text NOT NULL
           CONSTRAINT ck_incidents_severity CHECK (severity IN ('info', 'low', 'medium', 'high', 'critical')),
         level text CONSTRAINT ck_incidents_level CHECK (level IN ('L1', 'L2', 'L3')),
         check_type text NOT NULL,
         host text,
         site text,
         platform text,
         source text,
         summary text,
         fingerprint text NOT NULL,
         pack_id text,
         labels jsonb NOT NULL,
         details jsonb NOT NULL,
         occurrences integer NOT NULL,
         rule_id text,
         run_id uuid,
         bundle_id uuid,
         resolution text,
         decision jsonb,
         opened_at timestamptz NOT NULL,
         last_seen_at timestamptz NOT NULL,
         resolved_at timestamptz,
         closed_at timestamptz,
         version integer NOT NULL,
         search tsvector NOT NULL GENERATED ALWAYS AS (
           to_tsvector('simple', title || ' ' || check_type || ' ' || coalesce(host, '') || ' ' ||
                       coalesce(site, '') || ' ' || coalesce(summary, '') || ' ' || coalesce(rule_id, ''))
           || jsonb_to_tsvector('simple', labels, '["string"]')
         ) STORED
       )""",
    # One incident at a time for what is out of order; a closed one makes room for the next.
    """CREATE UNIQUE INDEX uq_incidents_fingerprint ON incidents (tenant_id, fingerprint)
       WHERE state <> 'closed'""",
    "CREATE UNIQUE INDEX uq_incidents_number ON incidents (tenant_id, number)",
    "CREATE INDEX ix_incidents_newest ON incidents (tenant_id, id)",
    "CREATE INDEX ix_incidents_state ON incidents (tenant_id, state, id)",
    "CREATE INDEX ix_incidents_severity ON incidents (tenant_id, severity, id)",
    "CREATE INDEX ix_incidents_host ON incidents (tenant_id, host, id)",
    "CREATE INDEX ix_incidents_check_type ON incidents (tenant_id, check_type, id)",
    "CREATE INDEX ix_incidents_resolved ON incidents (last_seen_at) WHERE state = 'resolved'",
    "CREATE INDEX ix_incidents_search ON incidents USING gin (search)",
    *protect("incidents"),
    """CREATE TABLE incident_counters (
         tenant_id uuid CONSTRAINT pk_incident_counters PRIMARY KEY,
         last_number bigint NOT NULL
       )""",
    *protect("incident_counters"),
    """CREATE TABLE incident_exceptions (
         tenant_id uuid NOT NULL,
         exception_id uuid NOT NULL,
         incident_id uuid,
         CONSTRAINT pk_incident_exceptions PRIMARY KEY (tenant_id, exception_id)
       )""",
    "CREATE INDEX ix_incident_exceptions_incident ON incident_exceptions (tenant_id, incident_id, exception_id)",
    *protect("incident_exceptions"),
]

_DOWNGRADE = ["DROP TABLE incident_exceptions", "DROP TABLE incident_counters", "DROP TABLE incidents"]


def upgrade() -> None:
    """Create the tables."""
    for statement in _UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    """Drop the tables."""
    for statement in _DOWNGRADE:
        op.execute(statement)
