"""Tables of incidents."""

revision = "0004_incidents"
down_revision = "0003_packs"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""


def downgrade() -> None:
    """Drop the tables."""
