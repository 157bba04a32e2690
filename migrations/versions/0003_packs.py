"""Tables of packs: installed versions, each tenant's activations with their history, each tenant's policies."""

from alembic import op

from fettle.kernel.tenancy import grant_platform, protect

revision = "0003_packs"
down_revision = "0002_identity"
branch_labels = None
depends_on = None

_UPGRADE = [
    """CREATE TABLE pack_versions (
         pack_id text NOT NULL,
         version text NOT NULL,
         title text NOT NULL,
         origin text NOT NULL CONSTRAINT ck_pack_versions_origin CHECK (origin IN ('shipped', 'uploaded', 'local')),
         is_default boolean NOT NULL DEFAULT false,
         digest text NOT NULL CONSTRAINT ck_pack_versions_digest CHECK (digest ~ '^[0-9a-f]{64}$'),
         signature jsonb,
         content jsonb NOT NULL,
         installed_by text NOT NULL,
         installed_at timestamptz NOT NULL DEFAULT now(),
         CONSTRAINT pk_pack_versions PRIMARY KEY (pack_id, version)
       )""",
    # What a tenant that chose nothing gets: one version of a pack at most.
    "CREATE UNIQUE INDEX uq_pack_versions_default ON pack_versions (pack_id) WHERE is_default",
    *grant_platform("pack_versions", app="SELECT"),
    """CREATE TABLE pack_activations (
         id uuid CONSTRAINT pk_pack_activations PRIMARY KEY,
         tenant_id uuid NOT NULL CONSTRAINT fk_pack_activations_tenant_id REFERENCES tenants (id),
         pack_id text NOT NULL,
         mode text NOT NULL CONSTRAINT ck_pack_activations_mode CHECK (mode IN ('version', 'off', 'default')),
         version text,
         kind text NOT NULL
           CONSTRAINT ck_pack_activations_kind CHECK (kind IN ('activate', 'deactivate', 'rollback')),
         replaces uuid CONSTRAINT fk_pack_activations_replaces REFERENCES pack_activations (id),
         is_current boolean NOT NULL,
         actor text NOT NULL,
         activated_at timestamptz NOT NULL DEFAULT now(),
         CONSTRAINT ck_pack_activations_version CHECK ((mode = 'version') = (version IS NOT NULL)),
         CONSTRAINT fk_pack_activations_pack_id FOREIGN KEY (pack_id, version)
           REFERENCES pack_versions (pack_id, version)
       )""",
    """CREATE UNIQUE INDEX uq_pack_activations_current ON pack_activations (tenant_id, pack_id)
       WHERE is_current""",
    "CREATE INDEX ix_pack_activations_history ON pack_activations (tenant_id, pack_id, id)",
    *protect("pack_activations", app="SELECT, INSERT, UPDATE"),
    """CREATE TABLE policy_packs (
         tenant_id uuid NOT NULL CONSTRAINT fk_policy_packs_tenant_id REFERENCES tenants (id),
         version integer NOT NULL CONSTRAINT ck_policy_packs_version CHECK (version > 0),
         content jsonb NOT NULL,
         changed_by text NOT NULL,
         changed_at timestamptz NOT NULL DEFAULT now(),
         CONSTRAINT pk_policy_packs PRIMARY KEY (tenant_id, version)
       )""",
    *protect("policy_packs", app="SELECT, INSERT"),
]

_DOWNGRADE = ["DROP TABLE policy_packs", "DROP TABLE pack_activations", "DROP TABLE pack_versions"]


def upgrade() -> None:
    """Create the tables."""
    for statement in _UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    """Drop the tables."""
    for statement in _DOWNGRADE:
        op.execute(statement)
