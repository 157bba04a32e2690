"""What planning cost, by incident and month, and what came of each decision."""

from alembic import op

from fettle.kernel.tenancy import protect

revision = "0023_planner_costs"
down_revision = "0022_hooks"
branch_labels = None
depends_on = None

_UPGRADE = [
    # What a run tried before the planner is asked; None where no rule matched.
    "ALTER TABLE plan_requests ADD COLUMN after jsonb",
    # One row for each decision of the planner; it says whom it asked and holds no text of the incident.
    """CREATE TABLE planner_decisions (
         tenant_id uuid NOT NULL CONSTRAINT fk_planner_decisions_tenant_id REFERENCES tenants (id),
         id uuid NOT NULL,
         incident_id uuid NOT NULL,
         decided_at timestamptz NOT NULL DEFAULT now(),
         pattern text NOT NULL,
         outcome text NOT NULL,
         choice text,
         plan_hash text,
         provider text NOT NULL DEFAULT '',
         model text NOT NULL DEFAULT '',
         confidence real NOT NULL DEFAULT 0,
         claimed real NOT NULL DEFAULT 0,
         requires_human_review boolean NOT NULL,
         cached boolean NOT NULL DEFAULT false,
         calls integer NOT NULL DEFAULT 0,
         input_tokens bigint NOT NULL DEFAULT 0,
         output_tokens bigint NOT NULL DEFAULT 0,
         cost_micros bigint NOT NULL DEFAULT 0,
         latency_ms integer NOT NULL DEFAULT 0,
         result text,
         ended_at timestamptz,
         CONSTRAINT pk_planner_decisions PRIMARY KEY (tenant_id, id),
         CONSTRAINT ck_planner_decisions_result CHECK (result IN ('healed', 'not_healed'))
       )""",
    "CREATE INDEX ix_planner_decisions_incident ON planner_decisions (tenant_id, incident_id, id)",
    """CREATE INDEX ix_planner_decisions_result ON planner_decisions (tenant_id, provider, id DESC)
       WHERE result IS NOT NULL""",
    "CREATE INDEX ix_planner_decisions_age ON planner_decisions (decided_at)",
    *protect("planner_decisions"),
    # By day and model, so that a year is some hundred rows and not every decision.
    """CREATE TABLE planner_costs (
         tenant_id uuid NOT NULL CONSTRAINT fk_planner_costs_tenant_id REFERENCES tenants (id),
         day date NOT NULL,
         provider text NOT NULL,
         model text NOT NULL,
         asked integer NOT NULL DEFAULT 0,
         answered integer NOT NULL DEFAULT 0,
         calls integer NOT NULL DEFAULT 0,
         input_tokens bigint NOT NULL DEFAULT 0,
         output_tokens bigint NOT NULL DEFAULT 0,
         cost_micros bigint NOT NULL DEFAULT 0,
         latency_ms bigint NOT NULL DEFAULT 0,
         CONSTRAINT pk_planner_costs PRIMARY KEY (tenant_id, day, provider)
       ) WITH (fillfactor = 50)""",
    *protect("planner_costs"),
]

_DOWNGRADE = [
    "DROP TABLE planner_costs",
    "DROP TABLE planner_decisions",
    "ALTER TABLE plan_requests DROP COLUMN after",
]


def upgrade() -> None:
    """Create the tables."""
    for statement in _UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    """Drop the tables."""
    for statement in _DOWNGRADE:
        op.execute(statement)
