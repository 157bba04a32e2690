"""Tables of evidence."""

from alembic import op

from fettle.kernel.tenancy import grant_platform, protect

revision = "0007_evidence"
down_revision = "0006_tools"
branch_labels = None
depends_on = None

_UPGRADE = [
    """CREATE TABLE evidence_keys (
         id text CONSTRAINT pk_evidence_keys PRIMARY KEY,
         public_key text NOT NULL,
         sealed_private_key bytea NOT NULL,
         rollover jsonb,
         created_at timestamptz NOT NULL DEFAULT now()
       )""",
    *grant_platform("evidence_keys", app=""),
    """CREATE TABLE evidence_chains (
         tenant_id uuid CONSTRAINT pk_evidence_chains PRIMARY KEY
           CONSTRAINT fk_evidence_chains_tenant_id REFERENCES tenants (id),
         size bigint NOT NULL,
         head text NOT NULL
       )""",
    *protect("evidence_chains", app="SELECT, INSERT, UPDATE"),
    # The bundle is text, byte for byte what was hashed; a bundle is never changed, nor deleted one by one.
    """CREATE TABLE evidence_bundles (
         id uuid CONSTRAINT pk_evidence_bundles PRIMARY KEY,
         tenant_id uuid NOT NULL CONSTRAINT fk_evidence_bundles_tenant_id REFERENCES tenants (id),
         sequence bigint NOT NULL,
         incident_id uuid NOT NULL,
         covers_position bigint NOT NULL,
         hash text NOT NULL,
         bundle text NOT NULL,
         sealed_at timestamptz NOT NULL,
         CONSTRAINT uq_evidence_bundles_sequence UNIQUE (tenant_id, sequence)
       )""",
    "CREATE INDEX ix_evidence_bundles_incident ON evidence_bundles (tenant_id, incident_id, sequence)",
    *protect("evidence_bundles", app="SELECT, INSERT"),
]

_DOWNGRADE = ["DROP TABLE evidence_bundles", "DROP TABLE evidence_chains", "DROP TABLE evidence_keys"]


def upgrade() -> None:
    """Create the tables."""
    for statement in _UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    """Drop the tables."""
    for statement in _DOWNGRADE:
        op.execute(statement)
