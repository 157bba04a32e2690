"""Find the incidents that stand for storms without looking at the others."""

from alembic import op

revision = "0028_storm_list"
down_revision = "0027_housekeeping"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add an index that only storms are in."""
    op.execute("CREATE INDEX ix_incidents_storm ON incidents (tenant_id, id) WHERE source = 'fettle:storm'")


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP INDEX ix_incidents_storm")
