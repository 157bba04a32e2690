"""What planning cost, by incident and month."""

revision = "0023_planner_costs"
down_revision = "0022_hooks"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
