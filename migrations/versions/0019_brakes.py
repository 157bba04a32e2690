"""Brakes: what flapped, circuit breakers, stops, budgets of action."""

revision = "0019_brakes"
down_revision = "0018_read_paths"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
