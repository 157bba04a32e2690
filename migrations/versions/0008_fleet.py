"""Tables of fleet."""

from alembic import op

from fettle.kernel.tenancy import protect

revision = "0008_fleet"
down_revision = "0007_evidence"
branch_labels = None
depends_on = None

_UPGRADE = [
    """CREATE TABLE hosts (
         id uuid CONSTRAINT pk_hosts PRIMARY KEY,
         tenant_id uuid NOT NULL CONSTRAINT fk_hosts_tenant_id REFERENCES tenants (id),
         name text NOT NULL,
         platform text NOT NULL
           CONSTRAINT ck_hosts_platform CHECK (platform IN ('windows', 'linux', 'macos', 'network')),
         executor text NOT NULL
           CONSTRAINT ck_hosts_executor CHECK (executor IN ('none', 'local', 'agent', 'winrm', 'ssh')),
         sandbox_root text,
         created_at timestamptz NOT NULL DEFAULT now(),
         updated_at timestamptz NOT NULL DEFAULT now(),
         CONSTRAINT uq_hosts_tenant_id_name UNIQUE (tenant_id, name),
         CONSTRAINT ck_hosts_sandbox CHECK (sandbox_root IS NULL OR executor = 'local')
       )""",
    "CREATE INDEX ix_hosts_tenant_id_id ON hosts (tenant_id, id)",
    *protect("hosts"),
]

_DOWNGRADE = ["DROP TABLE hosts"]


def upgrade() -> None:
    """Create the tables."""
    for statement in _UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    """Drop the tables."""
    for statement in _DOWNGRADE:
        op.execute(statement)
