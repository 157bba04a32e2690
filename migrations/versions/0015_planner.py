"""Tables of the planner."""

from alembic import op

revision = "0015_planner"
down_revision = "0014_platform"
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
