"""Rules over time: what tenants write, what is remembered of each key, what it adds up to, and what they found."""

from alembic import op

from fettle.kernel.tenancy import protect

revision = "0026_rules_over_time"
down_revision = "0025_lighter_writes"
branch_labels = None
depends_on = None

_OF_TENANT = "tenant_id uuid NOT NULL CONSTRAINT fk_{table}_tenant_id REFERENCES tenants (id)"

_UPGRADE = [
    f"""CREATE TABLE temporal_rules (
         {_OF_TENANT.format(table="temporal_rules")},
         id text NOT NULL,
         version integer NOT NULL,
         document jsonb NOT NULL,
         updated_at timestamptz NOT NULL DEFAULT now(),
         updated_by text NOT NULL,
         CONSTRAINT pk_temporal_rules PRIMARY KEY (tenant_id, id)
       )""",
    *protect("temporal_rules"),
    f"""CREATE TABLE temporal_rule_versions (
         {_OF_TENANT.format(table="temporal_rule_versions")},
         temporal_rule_id text NOT NULL,
         version integer NOT NULL,
         document jsonb,
         changed_by text NOT NULL,
         changed_at timestamptz NOT NULL DEFAULT now(),
         CONSTRAINT pk_temporal_rule_versions PRIMARY KEY (tenant_id, temporal_rule_id, version)
       )""",
    *protect("temporal_rule_versions"),
    f"""CREATE TABLE temporal_rule_sets (
         {_OF_TENANT.format(table="temporal_rule_sets")},
         version bigint NOT NULL DEFAULT 1,
         CONSTRAINT pk_temporal_rule_sets PRIMARY KEY (tenant_id)
       )""",
    *protect("temporal_rule_sets"),
    # Whoever works on a tenant's keys holds this row; it says when something is due there.
    f"""CREATE TABLE temporal_clocks (
         {_OF_TENANT.format(table="temporal_clocks")},
         due_at timestamptz,
         expected text,
         CONSTRAINT pk_temporal_clocks PRIMARY KEY (tenant_id)
       )""",
    "CREATE INDEX ix_temporal_clocks_due_at ON temporal_clocks (due_at) WHERE due_at IS NOT NULL",
    *protect("temporal_clocks"),
    # Rewritten with each exception of a key: room in the page keeps the indexes out of that.
    f"""CREATE TABLE temporal_keys (
         {_OF_TENANT.format(table="temporal_keys")},
         rule_id text NOT NULL,
         key_hash text NOT NULL,
         key jsonb NOT NULL,
         stamp text NOT NULL,
         state jsonb NOT NULL,
         bytes integer NOT NULL,
         due_at timestamptz,
         forget_at timestamptz,
         seen_at timestamptz NOT NULL,
         CONSTRAINT pk_temporal_keys PRIMARY KEY (tenant_id, rule_id, key_hash)
       ) WITH (fillfactor = 70)""",
    "CREATE INDEX ix_temporal_keys_due_at ON temporal_keys (tenant_id, due_at) WHERE due_at IS NOT NULL",
    "CREATE INDEX ix_temporal_keys_forget_at ON temporal_keys (tenant_id, forget_at) WHERE forget_at IS NOT NULL",
    *protect("temporal_keys"),
    f"""CREATE TABLE temporal_figures (
         {_OF_TENANT.format(table="temporal_figures")},
         rule_id text NOT NULL,
         keys integer NOT NULL DEFAULT 0,
         bytes bigint NOT NULL DEFAULT 0,
         counted bigint NOT NULL DEFAULT 0,
         held bigint NOT NULL DEFAULT 0,
         late bigint NOT NULL DEFAULT 0,
         repeated bigint NOT NULL DEFAULT 0,
         passed_over bigint NOT NULL DEFAULT 0,
         fired bigint NOT NULL DEFAULT 0,
         evicted bigint NOT NULL DEFAULT 0,
         refused bigint NOT NULL DEFAULT 0,
         fired_at timestamptz,
         limit_told_at timestamptz,
         CONSTRAINT pk_temporal_figures PRIMARY KEY (tenant_id, rule_id)
       ) WITH (fillfactor = 70)""",
    *protect("temporal_figures"),
    f"""CREATE TABLE temporal_firings (
         id uuid CONSTRAINT pk_temporal_firings PRIMARY KEY,
         {_OF_TENANT.format(table="temporal_firings")},
         rule_id text NOT NULL,
         key jsonb NOT NULL,
         is_over boolean NOT NULL,
         at timestamptz NOT NULL,
         count integer NOT NULL,
         total double precision,
         exception_ids uuid[] NOT NULL,
         is_linked boolean NOT NULL DEFAULT false,
         fired_at timestamptz NOT NULL DEFAULT now()
       )""",
    "CREATE INDEX ix_temporal_firings_rule ON temporal_firings (tenant_id, rule_id, id)",
    "CREATE INDEX ix_temporal_firings_fired_at ON temporal_firings (fired_at)",
    "CREATE INDEX ix_temporal_firings_unlinked ON temporal_firings (tenant_id, id) WHERE NOT is_linked",
    *protect("temporal_firings"),
]

_TABLES = (
    *("temporal_firings", "temporal_figures", "temporal_keys", "temporal_clocks"),
    *("temporal_rule_sets", "temporal_rule_versions", "temporal_rules"),
)


def upgrade() -> None:
    """Make the tables."""
    for statement in _UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    """Drop the tables."""
    for table in _TABLES:
        op.execute(f"DROP TABLE {table}")
