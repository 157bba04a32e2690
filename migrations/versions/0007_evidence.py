"""Tables of evidence."""

revision = "0007_evidence"
down_revision = "0006_tools"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""


def downgrade() -> None:
    """Drop the tables."""
