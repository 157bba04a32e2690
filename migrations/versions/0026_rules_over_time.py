"""Rules over time: their keys, windows and what they wait for."""

revision = "0026_rules_over_time"
down_revision = "0025_lighter_writes"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
