"""Tables of the planner: what it has yet to plan, what it remembers, what it answered before, what it spent."""

from alembic import op

from fettle.kernel.tenancy import protect

revision = "0015_planner"
down_revision = "0014_platform"
branch_labels = None
depends_on = None

_UPGRADE = [
    # Nothing happens where it is there already, as the embedded server has it; elsewhere the owner may have to
    # be let make it once.
    "CREATE EXTENSION IF NOT EXISTS vector",
    # Work that is open; what was planned is in the events. due_at is queue, lease and timer in one.
    """CREATE TABLE plan_requests (
         tenant_id uuid NOT NULL CONSTRAINT fk_plan_requests_tenant_id REFERENCES tenants (id),
         incident_id uuid NOT NULL,
         id uuid NOT NULL,
         incident jsonb NOT NULL,
         fence integer NOT NULL DEFAULT 0,
         lease_owner uuid,
         due_at timestamptz NOT NULL DEFAULT now(),
         created_at timestamptz NOT NULL DEFAULT now(),
         CONSTRAINT pk_plan_requests PRIMARY KEY (tenant_id, incident_id)
       ) WITH (fillfactor = 70)""",
    "CREATE INDEX ix_plan_requests_due ON plan_requests (tenant_id, due_at)",
    *protect("plan_requests"),
    # One row for a pattern and a choice, so that a thousand incidents of one kind are one memory. A tenant's
    # memories are read by its own index and compared exactly; there is no approximate index across tenants.
    """CREATE TABLE plan_memories (
         tenant_id uuid NOT NULL CONSTRAINT fk_plan_memories_tenant_id REFERENCES tenants (id),
         pattern text NOT NULL,
         choice text NOT NULL,
         gist text NOT NULL,
         words tsvector NOT NULL GENERATED ALWAYS AS (to_tsvector('simple', gist)) STORED,
         embedding vector(256),
         origins jsonb,
         succeeded integer NOT NULL DEFAULT 0,
         failed integer NOT NULL DEFAULT 0,
         last_incident_id uuid,
         last_at timestamptz NOT NULL DEFAULT now(),
         CONSTRAINT pk_plan_memories PRIMARY KEY (tenant_id, pattern, choice)
       ) WITH (fillfactor = 70)""",
    "CREATE INDEX ix_plan_memories_choice ON plan_memories (tenant_id, choice)",
    "CREATE INDEX ix_plan_memories_words ON plan_memories USING gin (words)",
    *protect("plan_memories"),
    """CREATE TABLE plan_cache (
         tenant_id uuid NOT NULL CONSTRAINT fk_plan_cache_tenant_id REFERENCES tenants (id),
         key text NOT NULL,
         pattern text NOT NULL,
         choice text NOT NULL,
         answer jsonb NOT NULL,
         created_at timestamptz NOT NULL DEFAULT now(),
         expires_at timestamptz NOT NULL,
         CONSTRAINT pk_plan_cache PRIMARY KEY (tenant_id, key)
       )""",
    "CREATE INDEX ix_plan_cache_pattern ON plan_cache (tenant_id, pattern)",
    "CREATE INDEX ix_plan_cache_expiry ON plan_cache (expires_at)",
    *protect("plan_cache"),
    # What is reserved before a call and corrected after it; what a process that died had reserved stays counted,
    # for it may have been spent.
    """CREATE TABLE planner_usage (
         tenant_id uuid NOT NULL CONSTRAINT fk_planner_usage_tenant_id REFERENCES tenants (id),
         day date NOT NULL DEFAULT (now() AT TIME ZONE 'utc')::date,
         calls integer NOT NULL DEFAULT 0,
         input_tokens bigint NOT NULL DEFAULT 0,
         output_tokens bigint NOT NULL DEFAULT 0,
         cost_micros bigint NOT NULL DEFAULT 0,
         CONSTRAINT pk_planner_usage PRIMARY KEY (tenant_id, day)
       ) WITH (fillfactor = 50)""",
    *protect("planner_usage"),
]

_DOWNGRADE = [
    "DROP TABLE planner_usage",
    "DROP TABLE plan_cache",
    "DROP TABLE plan_memories",
    "DROP TABLE plan_requests",
]


def upgrade() -> None:
    """Create the tables."""
    for statement in _UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    """Drop the tables; the extension stays, for others may use it."""
    for statement in _DOWNGRADE:
        op.execute(statement)
