"""Tables of partners, custom roles and invitations."""

from alembic import op

revision = "0010_people"
down_revision = "0009_incident_work"
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
