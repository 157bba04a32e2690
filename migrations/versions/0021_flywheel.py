"""Tables of the flywheel: what became of patterns, the rules that grew from them, what is pooled, what is signed."""

from alembic import op

from fettle.kernel.tenancy import grant_platform, protect

revision = "0021_flywheel"
down_revision = "0020_muting"
branch_labels = None
depends_on = None

_UPGRADE = [
    # One row for a pattern: a thousand incidents of one kind add to it in one statement.
    """CREATE TABLE pattern_stats (
         tenant_id uuid NOT NULL CONSTRAINT fk_pattern_stats_tenant_id REFERENCES tenants (id),
         pattern text NOT NULL,
         check_type text NOT NULL,
         platform text,
         total integer NOT NULL DEFAULT 0,
         l1 integer NOT NULL DEFAULT 0,
         l2 integer NOT NULL DEFAULT 0,
         l3 integer NOT NULL DEFAULT 0,
         succeeded integer NOT NULL DEFAULT 0,
         failed integer NOT NULL DEFAULT 0,
         seconds real[] NOT NULL DEFAULT '{}',
         last_incident_id uuid,
         first_at timestamptz NOT NULL,
         last_at timestamptz NOT NULL,
         CONSTRAINT pk_pattern_stats PRIMARY KEY (tenant_id, pattern)
       ) WITH (fillfactor = 70)""",
    "CREATE INDEX ix_pattern_stats_last ON pattern_stats (tenant_id, last_at, pattern)",
    *protect("pattern_stats"),
    # What a choice that no rule made did for a pattern, and what all the times that it helped have in common.
    """CREATE TABLE pattern_choices (
         tenant_id uuid NOT NULL CONSTRAINT fk_pattern_choices_tenant_id REFERENCES tenants (id),
         pattern text NOT NULL,
         choice text NOT NULL,
         succeeded integer NOT NULL DEFAULT 0,
         failed integer NOT NULL DEFAULT 0,
         recent text NOT NULL DEFAULT '',
         profile jsonb,
         origins jsonb,
         last_incident_id uuid,
         last_at timestamptz NOT NULL DEFAULT now(),
         changed_at timestamptz DEFAULT now(),
         CONSTRAINT pk_pattern_choices PRIMARY KEY (tenant_id, pattern, choice)
       ) WITH (fillfactor = 60)""",
    "CREATE INDEX ix_pattern_choices_changed ON pattern_choices (tenant_id) WHERE changed_at IS NOT NULL",
    *protect("pattern_choices"),
    """CREATE TABLE promotions (
         tenant_id uuid NOT NULL CONSTRAINT fk_promotions_tenant_id REFERENCES tenants (id),
         id uuid CONSTRAINT pk_promotions PRIMARY KEY,
         pattern text NOT NULL,
         choice text NOT NULL,
         rule_id text NOT NULL,
         check_type text NOT NULL,
         state text NOT NULL CONSTRAINT ck_promotions_state CHECK (state IN
           ('proposed', 'shadow', 'canary', 'full', 'retired', 'dismissed', 'adopted')),
         version integer NOT NULL DEFAULT 1,
         document jsonb NOT NULL,
         evidence jsonb NOT NULL,
         back_test jsonb NOT NULL,
         changes jsonb NOT NULL,
         successes integer NOT NULL,
         rule_version integer,
         shadow_seen integer NOT NULL DEFAULT 0,
         shadow_right integer NOT NULL DEFAULT 0,
         shadow_wrong integer NOT NULL DEFAULT 0,
         shadow_other integer NOT NULL DEFAULT 0,
         acted_well integer NOT NULL DEFAULT 0,
         acted_badly integer NOT NULL DEFAULT 0,
         stage_well integer NOT NULL DEFAULT 0,
         recent text NOT NULL DEFAULT '',
         proposed_at timestamptz NOT NULL DEFAULT now(),
         stage_at timestamptz NOT NULL DEFAULT now(),
         promoted_by text,
         ended_from text,
         ended_by text,
         ended_reason text
       ) WITH (fillfactor = 60)""",
    "CREATE INDEX ix_promotions_newest ON promotions (tenant_id, id)",
    "CREATE INDEX ix_promotions_state ON promotions (tenant_id, state, id)",
    "CREATE INDEX ix_promotions_rule ON promotions (tenant_id, rule_id)",
    "CREATE INDEX ix_promotions_pattern ON promotions (tenant_id, pattern, choice)",
    # At most one on its way, and one that holds; so two passes at once promote once.
    """CREATE UNIQUE INDEX uq_promotions_on_its_way ON promotions (tenant_id, pattern, choice)
       WHERE state IN ('proposed', 'shadow', 'canary')""",
    "CREATE UNIQUE INDEX uq_promotions_full ON promotions (tenant_id, pattern, choice) WHERE state = 'full'",
    *protect("promotions"),
    # Of nobody: sums over at least three tenants that agreed, and nothing that names one.
    """CREATE TABLE pattern_pool (
         pattern text NOT NULL,
         choice text NOT NULL,
         tenants integer NOT NULL CONSTRAINT ck_pattern_pool_tenants CHECK (tenants >= 3),
         succeeded integer NOT NULL,
         failed integer NOT NULL,
         CONSTRAINT pk_pattern_pool PRIMARY KEY (pattern, choice)
       )""",
    *grant_platform("pattern_pool", app="SELECT"),
    """CREATE TABLE rule_bundles (
         tenant_id uuid NOT NULL CONSTRAINT fk_rule_bundles_tenant_id REFERENCES tenants (id),
         version integer NOT NULL,
         digest text NOT NULL,
         document text NOT NULL,
         created_at timestamptz NOT NULL DEFAULT now(),
         CONSTRAINT pk_rule_bundles PRIMARY KEY (tenant_id)
       )""",
    *protect("rule_bundles"),
]

_DOWNGRADE = [
    "DROP TABLE rule_bundles",
    "DROP TABLE pattern_pool",
    "DROP TABLE promotions",
    "DROP TABLE pattern_choices",
    "DROP TABLE pattern_stats",
]


def upgrade() -> None:
    """Create the tables."""
    for statement in _UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    """Drop the tables."""
    for statement in _DOWNGRADE:
        op.execute(statement)
