"""Tables of fleet."""

revision = "0008_fleet"
down_revision = "0007_evidence"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""


def downgrade() -> None:
    """Drop the tables."""
