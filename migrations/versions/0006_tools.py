"""Tables of tools."""

revision = "0006_tools"
down_revision = "0005_healing"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""


def downgrade() -> None:
    """Drop the tables."""
