"""What hot reads go by: the parts of a bundle that its list shows, and indexes in the order of lists."""

from alembic import op

revision = "0018_read_paths"
down_revision = "0017_fair_share"
branch_labels = None
depends_on = None

# A list of bundles shows four short words of each; the whole is text of many kilobytes, kept elsewhere.
_UPGRADE = [
    """ALTER TABLE evidence_bundles
         ADD COLUMN previous_hash text GENERATED ALWAYS AS (bundle::jsonb ->> 'previous') STORED,
         ADD COLUMN signature text GENERATED ALWAYS AS (bundle::jsonb #>> '{proof,signature}') STORED,
         ADD COLUMN key_id text GENERATED ALWAYS AS (bundle::jsonb #>> '{proof,key_id}') STORED""",
    "CREATE INDEX ix_approvals_all ON approvals (tenant_id, id)",
    """CREATE INDEX ix_incidents_resolved_at ON incidents (tenant_id, resolved_at)
       WHERE resolved_at IS NOT NULL""",
]

_DOWNGRADE = [
    "DROP INDEX ix_incidents_resolved_at",
    "DROP INDEX ix_approvals_all",
    "ALTER TABLE evidence_bundles DROP COLUMN key_id, DROP COLUMN signature, DROP COLUMN previous_hash",
]


def upgrade() -> None:
    """Add the columns and the indexes."""
    for statement in _UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    """Drop the indexes and the columns."""
    for statement in _DOWNGRADE:
        op.execute(statement)
