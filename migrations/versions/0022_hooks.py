"""Webhooks in: sources, their mappings, the last payloads."""

revision = "0022_hooks"
down_revision = "0021_flywheel"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
