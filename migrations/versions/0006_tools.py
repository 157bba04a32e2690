"""Tables of tools: runs of playbooks, their ledger of steps, and each tenant's tools and secrets."""

from alembic import op

from fettle.kernel.tenancy import protect

revision = "0006_tools"
down_revision = "0005_healing"
branch_labels = None
depends_on = None

_UPGRADE = [
    # What a run executes is kept whole: a new pack version does not change a run that is under way.
    """CREATE TABLE playbook_definitions (
         tenant_id uuid NOT NULL CONSTRAINT fk_playbook_definitions_tenant_id REFERENCES tenants (id),
         hash text NOT NULL,
         definition jsonb NOT NULL,
         CONSTRAINT pk_playbook_definitions PRIMARY KEY (tenant_id, hash)
       )""",
    *protect("playbook_definitions"),
    # due_at is when any executor may take the run: now for a new one, the end of the lease for one that is
    # executed, the end of the wait for one that waits. One index serves all three.
    """CREATE TABLE playbook_runs (
         id uuid CONSTRAINT pk_playbook_runs PRIMARY KEY,
         tenant_id uuid NOT NULL CONSTRAINT fk_playbook_runs_tenant_id REFERENCES tenants (id),
         incident_id uuid,
         playbook_id text NOT NULL,
         playbook_version integer NOT NULL,
         definition_hash text NOT NULL,
         plan_hash text,
         rule_id text,
         parameters jsonb NOT NULL,
         incident jsonb NOT NULL,
         state text NOT NULL DEFAULT 'queued'
           CONSTRAINT ck_playbook_runs_state CHECK (state IN ('queued', 'running', 'waiting', 'finished')),
         outcome text CONSTRAINT ck_playbook_runs_outcome
           CHECK (outcome IN ('verified', 'completed', 'failed', 'rolled_back', 'unknown')),
         reason text,
         fence integer NOT NULL DEFAULT 0,
         lease_owner uuid,
         recalled boolean NOT NULL DEFAULT false,
         due_at timestamptz NOT NULL DEFAULT now(),
         causation_id uuid,
         created_at timestamptz NOT NULL DEFAULT now(),
         started_at timestamptz,
         finished_at timestamptz,
         CONSTRAINT uq_playbook_runs_causation UNIQUE (tenant_id, causation_id)
       ) WITH (fillfactor = 70)""",
    "CREATE INDEX ix_playbook_runs_due ON playbook_runs (tenant_id, due_at) WHERE state <> 'finished'",
    "CREATE INDEX ix_playbook_runs_incident ON playbook_runs (tenant_id, incident_id, id)",
    "CREATE INDEX ix_playbook_runs_newest ON playbook_runs (tenant_id, id)",
    *protect("playbook_runs"),
    # The ledger. Its key is also the idempotency key that a tool is called with, `<run>:<path>`. A line is only
    # ever written together with a lock on its run, which is why no foreign key asks again.
    """CREATE TABLE run_steps (
         tenant_id uuid NOT NULL,
         run_id uuid NOT NULL,
         path text NOT NULL,
         title text NOT NULL,
         phase text NOT NULL CONSTRAINT ck_run_steps_phase CHECK (phase IN ('act', 'verify', 'rollback')),
         tool text,
         state text NOT NULL CONSTRAINT ck_run_steps_state
           CHECK (state IN ('started', 'waiting', 'succeeded', 'failed', 'skipped', 'unknown')),
         attempt integer NOT NULL,
         input jsonb,
         output jsonb,
         error jsonb,
         started_at timestamptz NOT NULL,
         ended_at timestamptz,
         wake_at timestamptz,
         CONSTRAINT pk_run_steps PRIMARY KEY (run_id, path)
       ) WITH (fillfactor = 60)""",
    *protect("run_steps"),
    """CREATE TABLE tool_settings (
         tenant_id uuid NOT NULL CONSTRAINT fk_tool_settings_tenant_id REFERENCES tenants (id),
         tool text NOT NULL,
         enabled boolean NOT NULL,
         updated_by text NOT NULL,
         updated_at timestamptz NOT NULL DEFAULT now(),
         CONSTRAINT pk_tool_settings PRIMARY KEY (tenant_id, tool)
       )""",
    *protect("tool_settings"),
    """CREATE TABLE tenant_secrets (
         tenant_id uuid NOT NULL CONSTRAINT fk_tenant_secrets_tenant_id REFERENCES tenants (id),
         name text NOT NULL,
         sealed bytea NOT NULL,
         updated_by text NOT NULL,
         updated_at timestamptz NOT NULL DEFAULT now(),
         CONSTRAINT pk_tenant_secrets PRIMARY KEY (tenant_id, name)
       )""",
    *protect("tenant_secrets"),
]

_TABLES = (
    "tenant_secrets",
    "tool_settings",
    "run_steps",
    "playbook_runs",
    "playbook_definitions",
)


def upgrade() -> None:
    """Create the tables."""
    for statement in _UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    """Drop the tables."""
    for table in _TABLES:
        op.execute(f"DROP TABLE {table}")
