"""Calendar feeds of people on call, what messages said and each attempt, and what is overdue."""

from alembic import op

from fettle.kernel.tenancy import grant_platform, protect

revision = "0024_escalation_feed"
down_revision = "0023_planner_costs"
branch_labels = None
depends_on = None

_UPGRADE = [
    # Addresses that calendar programs ask. Of the secret in one its digest alone is kept.
    """CREATE TABLE oncall_feeds (
         id uuid CONSTRAINT pk_oncall_feeds PRIMARY KEY,
         tenant_id uuid NOT NULL CONSTRAINT fk_oncall_feeds_tenant_id REFERENCES tenants (id),
         user_id uuid NOT NULL,
         name text NOT NULL,
         whole boolean NOT NULL DEFAULT false,
         digest bytea NOT NULL,
         created_at timestamptz NOT NULL DEFAULT now(),
         last_used_at timestamptz,
         CONSTRAINT uq_oncall_feeds_digest UNIQUE (digest)
       )""",
    "CREATE INDEX ix_oncall_feeds_newest ON oncall_feeds (tenant_id, user_id, id)",
    *protect("oncall_feeds"),
    "ALTER TABLE escalation_deliveries ADD COLUMN said text",
    "ALTER TABLE escalation_deliveries ADD COLUMN history jsonb NOT NULL DEFAULT '[]'",
    # What should have gone on by a moment and did not; over when it moved again.
    """CREATE TABLE overdue_items (
         id uuid CONSTRAINT pk_overdue_items PRIMARY KEY,
         tenant_id uuid NOT NULL CONSTRAINT fk_overdue_items_tenant_id REFERENCES tenants (id),
         kind text NOT NULL,
         state text NOT NULL,
         subject_id uuid NOT NULL,
         about_incident_id uuid,
         is_for_person boolean NOT NULL,
         due_at timestamptz NOT NULL,
         found_at timestamptz NOT NULL DEFAULT now(),
         looked_at timestamptz NOT NULL DEFAULT now(),
         moved_at timestamptz,
         incident_id uuid NOT NULL
       )""",
    (
        "CREATE UNIQUE INDEX uq_overdue_items_open ON overdue_items (tenant_id, kind, subject_id) "
        "WHERE moved_at IS NULL"
    ),
    "CREATE INDEX ix_overdue_items_newest ON overdue_items (tenant_id, id)",
    "CREATE INDEX ix_overdue_items_incident ON overdue_items (tenant_id, incident_id, id)",
    "CREATE INDEX ix_overdue_items_hanging ON overdue_items (tenant_id, id) WHERE moved_at IS NULL",
    "CREATE INDEX ix_overdue_items_looked ON overdue_items (looked_at, id) WHERE moved_at IS NULL",
    "CREATE INDEX ix_overdue_items_moved ON overdue_items (moved_at) WHERE moved_at IS NOT NULL",
    *protect("overdue_items"),
    # How far the auditor is on its way through all tenants: one row.
    """CREATE TABLE auditor_progress (
         id integer CONSTRAINT pk_auditor_progress PRIMARY KEY CONSTRAINT ck_auditor_progress_one CHECK (id = 1),
         at_tenant uuid,
         at_state text,
         at_incident uuid,
         looked_at bigint NOT NULL DEFAULT 0,
         began_at timestamptz NOT NULL DEFAULT now(),
         last_round_at timestamptz,
         last_whole_at timestamptz,
         last_whole_looked_at bigint NOT NULL DEFAULT 0
       )""",
    *grant_platform("auditor_progress", app=""),
    "INSERT INTO auditor_progress (id) VALUES (1)",
]

_DOWNGRADE = [
    "DROP TABLE auditor_progress",
    "DROP TABLE overdue_items",
    "ALTER TABLE escalation_deliveries DROP COLUMN history",
    "ALTER TABLE escalation_deliveries DROP COLUMN said",
    "DROP TABLE oncall_feeds",
]


def upgrade() -> None:
    """Create the tables."""
    for statement in _UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    """Drop the tables."""
    for statement in _DOWNGRADE:
        op.execute(statement)
