"""Table of the bus: tenants whose many events are read apart from everybody else's."""

from alembic import op

from fettle.kernel.tenancy import protect

revision = "0017_fair_share"
down_revision = "0016_escalation"
branch_labels = None
depends_on = None

_UPGRADE = [
    """CREATE TABLE consumer_detours (
         consumer_group text NOT NULL,
         lane smallint NOT NULL,
         tenant_id uuid NOT NULL,
         position bigint NOT NULL,
         CONSTRAINT pk_consumer_detours PRIMARY KEY (consumer_group, lane, tenant_id)
       )""",
    *protect("consumer_detours"),
]

_DOWNGRADE = ["DROP TABLE consumer_detours"]


def upgrade() -> None:
    """Create the tables."""
    for statement in _UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    """Drop the tables."""
    for statement in _DOWNGRADE:
        op.execute(statement)
