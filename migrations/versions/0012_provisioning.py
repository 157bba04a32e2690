"""Tables of provisioning, audit and the data of tenants."""

from alembic import op

revision = "0012_provisioning"
down_revision = "0011_second_factor"
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
