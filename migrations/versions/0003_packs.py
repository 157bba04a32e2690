"""Tables of packs."""

revision = "0003_packs"
down_revision = "0002_identity"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""


def downgrade() -> None:
    """Drop the tables."""
