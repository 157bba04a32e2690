"""Tables of what people do on incidents."""

from alembic import op

revision = "0009_incident_work"
down_revision = "0008_fleet"
branch_labels = None
depends_on = None

_UPGRADE: list[str] = []

_DOWNGRADE: list[str] = []


def upgrade() -> None:
    """Create the tables."""
    for statement in _UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    """Drop the tables."""
    for statement in _DOWNGRADE:
        op.execute(statement)
