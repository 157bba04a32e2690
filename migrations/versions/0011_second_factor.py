"""Tables of second factors, passkeys and sign-on."""

from alembic import op

revision = "0011_second_factor"
down_revision = "0010_people"
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
