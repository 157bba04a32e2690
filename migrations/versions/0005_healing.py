"""Tables of healing."""

revision = "0005_healing"
down_revision = "0004_incidents"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""


def downgrade() -> None:
    """Drop the tables."""
