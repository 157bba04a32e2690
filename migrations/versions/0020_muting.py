"""Muting: silences, maintenance windows, inhibition, and what was told."""

revision = "0020_muting"
down_revision = "0019_brakes"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
