"""Keep a place in line for what is held, and forget what is over."""

from alembic import op

revision = "0027_housekeeping"
down_revision = "0026_rules_over_time"
branch_labels = None
depends_on = None

_UPGRADE = [
    # Which limits a held run will take room of.
    "ALTER TABLE held_runs ADD COLUMN disruptive boolean NOT NULL DEFAULT false",
    # Who entered the id by which a channel knows the voter: no second person beside whom they speak for.
    "ALTER TABLE approval_votes ADD COLUMN vouched_by text",
    # The pool tells of a pattern only what at least five tenants know, and no more than once a week.
    "DELETE FROM pattern_pool",
    """ALTER TABLE pattern_pool
         DROP CONSTRAINT ck_pattern_pool_tenants,
         ADD CONSTRAINT ck_pattern_pool_tenants CHECK (tenants >= 5),
         ADD COLUMN summed_at timestamptz NOT NULL DEFAULT now(),
         ADD COLUMN is_told boolean NOT NULL DEFAULT true""",
]
_DOWNGRADE = [
    """ALTER TABLE pattern_pool
         DROP COLUMN is_told,
         DROP COLUMN summed_at,
         DROP CONSTRAINT ck_pattern_pool_tenants,
         ADD CONSTRAINT ck_pattern_pool_tenants CHECK (tenants >= 3)""",
    "ALTER TABLE approval_votes DROP COLUMN vouched_by",
    "ALTER TABLE held_runs DROP COLUMN disruptive",
]


def upgrade() -> None:
    """Add columns, and what the pool promises."""
    for statement in _UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    """Take them back."""
    for statement in _DOWNGRADE:
        op.execute(statement)
