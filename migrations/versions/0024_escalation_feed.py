"""Calendar feeds of schedules, and what is due next."""

revision = "0024_escalation_feed"
down_revision = "0023_planner_costs"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
