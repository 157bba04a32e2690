"""Tables of what comes in by webhook: sources, their secrets and mappings, what was received, wishes to send."""

from alembic import op

from fettle.kernel.tenancy import protect

revision = "0022_hooks"
down_revision = "0021_flywheel"
branch_labels = None
depends_on = None

_OF_SOURCE = """
  tenant_id uuid NOT NULL CONSTRAINT fk_{table}_tenant_id REFERENCES tenants (id),
  source_id uuid NOT NULL CONSTRAINT fk_{table}_source_id REFERENCES hook_sources (id) ON DELETE CASCADE
"""

_UPGRADE = [
    # `origin` is what exceptions say as their source; it stays when the source is renamed, so that what was
    # opened before is ended by the same one.
    """CREATE TABLE hook_sources (
         id uuid CONSTRAINT pk_hook_sources PRIMARY KEY,
         tenant_id uuid NOT NULL CONSTRAINT fk_hook_sources_tenant_id REFERENCES tenants (id),
         name text NOT NULL,
         origin text NOT NULL,
         kind text NOT NULL,
         authentication text NOT NULL CONSTRAINT ck_hook_sources_authentication CHECK (authentication IN
           ('token', 'path_token', 'standard_webhooks', 'github', 'pagerduty', 'sentry', 'grafana', 'sns')),
         format text NOT NULL CONSTRAINT ck_hook_sources_format
           CHECK (format IN ('json', 'cloudevents', 'sns', 'email')),
         topic text,
         enabled boolean NOT NULL DEFAULT true,
         keep_days integer NOT NULL DEFAULT 7 CONSTRAINT ck_hook_sources_keep_days CHECK (keep_days BETWEEN 0 AND 90),
         mapping jsonb,
         mapping_version integer NOT NULL DEFAULT 0,
         version integer NOT NULL DEFAULT 1,
         created_at timestamptz NOT NULL DEFAULT now(),
         updated_at timestamptz NOT NULL DEFAULT now(),
         updated_by text NOT NULL,
         CONSTRAINT uq_hook_sources_name UNIQUE (tenant_id, name),
         CONSTRAINT uq_hook_sources_origin UNIQUE (tenant_id, origin)
       )""",
    *protect("hook_sources"),
    # What came of what was sent; apart, for it changes with each delivery, and strangers can make it change.
    f"""CREATE TABLE hook_figures (
         {_OF_SOURCE.format(table="hook_figures")},
         accepted bigint NOT NULL DEFAULT 0,
         passed_over bigint NOT NULL DEFAULT 0,
         repeated bigint NOT NULL DEFAULT 0,
         refused bigint NOT NULL DEFAULT 0,
         received_at timestamptz,
         accepted_at timestamptz,
         refused_at timestamptz,
         refusal text,
         CONSTRAINT pk_hook_figures PRIMARY KEY (source_id)
       )""",
    *protect("hook_figures"),
    # A token is kept as its digest alone; what a signature is checked with is sealed.
    f"""CREATE TABLE hook_secrets (
         id uuid CONSTRAINT pk_hook_secrets PRIMARY KEY,
         {_OF_SOURCE.format(table="hook_secrets")},
         token_hash bytea,
         sealed bytea,
         created_at timestamptz NOT NULL DEFAULT now(),
         created_by text NOT NULL,
         ends_at timestamptz,
         CONSTRAINT ck_hook_secrets_one CHECK ((token_hash IS NULL) <> (sealed IS NULL))
       )""",
    "CREATE INDEX ix_hook_secrets_source_id ON hook_secrets (source_id)",
    *protect("hook_secrets"),
    f"""CREATE TABLE hook_mappings (
         {_OF_SOURCE.format(table="hook_mappings")},
         version integer NOT NULL,
         mapping jsonb,
         replaces integer NOT NULL,
         changed_by text NOT NULL,
         changed_at timestamptz NOT NULL DEFAULT now(),
         CONSTRAINT pk_hook_mappings PRIMARY KEY (source_id, version)
       )""",
    *protect("hook_mappings"),
    f"""CREATE TABLE hook_payloads (
         id uuid CONSTRAINT pk_hook_payloads PRIMARY KEY,
         {_OF_SOURCE.format(table="hook_payloads")},
         received_at timestamptz NOT NULL,
         outcome text NOT NULL CONSTRAINT ck_hook_payloads_outcome
           CHECK (outcome IN ('accepted', 'passed_over', 'refused')),
         reason text,
         size integer NOT NULL,
         headers jsonb NOT NULL,
         payload jsonb,
         exceptions uuid[] NOT NULL
       )""",
    "CREATE INDEX ix_hook_payloads_source_id ON hook_payloads (source_id, id)",
    "CREATE INDEX ix_hook_payloads_received_at ON hook_payloads (received_at)",
    *protect("hook_payloads"),
    # What was taken is known again for as long as it could be sent once more.
    f"""CREATE TABLE hook_receipts (
         {_OF_SOURCE.format(table="hook_receipts")},
         key bytea NOT NULL,
         ends_at timestamptz NOT NULL,
         CONSTRAINT pk_hook_receipts PRIMARY KEY (source_id, key)
       )""",
    "CREATE INDEX ix_hook_receipts_ends_at ON hook_receipts (ends_at)",
    *protect("hook_receipts"),
    f"""CREATE TABLE hook_subscriptions (
         id uuid CONSTRAINT pk_hook_subscriptions PRIMARY KEY,
         {_OF_SOURCE.format(table="hook_subscriptions")},
         topic text NOT NULL,
         sealed_address bytea NOT NULL,
         state text NOT NULL DEFAULT 'held' CONSTRAINT ck_hook_subscriptions_state
           CHECK (state IN ('held', 'confirmed', 'rejected', 'failed')),
         detail text,
         asked_at timestamptz NOT NULL DEFAULT now(),
         decided_at timestamptz,
         decided_by text
       )""",
    "CREATE INDEX ix_hook_subscriptions_source_id ON hook_subscriptions (source_id, id)",
    *protect("hook_subscriptions"),
]

_TABLES = (
    "hook_subscriptions",
    "hook_receipts",
    "hook_payloads",
    "hook_mappings",
    "hook_secrets",
    "hook_figures",
    "hook_sources",
)


def upgrade() -> None:
    """Create the tables."""
    for statement in _UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    """Drop the tables."""
    for table in _TABLES:
        op.execute(f"DROP TABLE {table}")
