"""Forget what is over."""

revision = "0027_housekeeping"
down_revision = "0026_rules_over_time"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
