"""Who asked for a job and when it began, and runs that a person may stop."""

from alembic import op

revision = "0014_platform"
down_revision = "0013_authoring"
branch_labels = None
depends_on = None

_OUTCOMES = "'verified', 'completed', 'failed', 'rolled_back', 'unknown'"

_UPGRADE = [
    "ALTER TABLE jobs ADD COLUMN requested_by text, ADD COLUMN started_at timestamptz",
    # The sweep looks for what is not finished every few seconds; what is finished may be a great deal.
    "CREATE INDEX ix_jobs_unfinished ON jobs (created_at) WHERE state IN ('queued', 'running')",
    # Set together with the ledger's line `$cancel`. Whoever executes the run writes nothing more until it
    # has read that line.
    "ALTER TABLE playbook_runs ADD COLUMN cancelled_at timestamptz",
    "ALTER TABLE playbook_runs DROP CONSTRAINT ck_playbook_runs_outcome",
    (
        "ALTER TABLE playbook_runs ADD CONSTRAINT ck_playbook_runs_outcome "
        f"CHECK (outcome IN ({_OUTCOMES}, 'cancelled'))"
    ),
]

_DOWNGRADE = [
    "UPDATE playbook_runs SET outcome = 'failed' WHERE outcome = 'cancelled'",
    "ALTER TABLE playbook_runs DROP CONSTRAINT ck_playbook_runs_outcome",
    f"ALTER TABLE playbook_runs ADD CONSTRAINT ck_playbook_runs_outcome CHECK (outcome IN ({_OUTCOMES}))",
    "ALTER TABLE playbook_runs DROP COLUMN cancelled_at",
    "DROP INDEX ix_jobs_unfinished",
    "ALTER TABLE jobs DROP COLUMN started_at, DROP COLUMN requested_by",
]


def upgrade() -> None:
    """Add them."""
    for statement in _UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    """Take them away."""
    for statement in _DOWNGRADE:
        op.execute(statement)
