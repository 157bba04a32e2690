"""Flywheel: what patterns' statistics say, and rules that grew from them."""

revision = "0021_flywheel"
down_revision = "0020_muting"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
