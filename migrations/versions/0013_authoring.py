"""Tables of what authors keep: a tenant's own playbooks and their history, and how tests of packs came out."""

from alembic import op

from fettle.kernel.tenancy import protect

revision = "0013_authoring"
down_revision = "0012_provisioning"
branch_labels = None
depends_on = None

_UPGRADE = [
    """CREATE TABLE playbooks (
         tenant_id uuid NOT NULL CONSTRAINT fk_playbooks_tenant_id REFERENCES tenants (id),
         id text NOT NULL,
         version integer NOT NULL,
         source text NOT NULL,
         document jsonb NOT NULL,
         created_at timestamptz NOT NULL DEFAULT now(),
         updated_at timestamptz NOT NULL DEFAULT now(),
         updated_by text NOT NULL,
         CONSTRAINT pk_playbooks PRIMARY KEY (tenant_id, id)
       )""",
    *protect("playbooks"),
    # What a playbook was, for every version that it had; without a source it was deleted.
    """CREATE TABLE playbook_versions (
         tenant_id uuid NOT NULL CONSTRAINT fk_playbook_versions_tenant_id REFERENCES tenants (id),
         playbook_id text NOT NULL,
         version integer NOT NULL,
         source text,
         changed_by text NOT NULL,
         changed_at timestamptz NOT NULL DEFAULT now(),
         CONSTRAINT pk_playbook_versions PRIMARY KEY (tenant_id, playbook_id, version)
       )""",
    *protect("playbook_versions", app="SELECT, INSERT"),
    # Counts every change, so that what is compiled of a tenant's playbooks knows whether it is still right.
    """CREATE TABLE playbook_sets (
         tenant_id uuid CONSTRAINT pk_playbook_sets PRIMARY KEY
           CONSTRAINT fk_playbook_sets_tenant_id REFERENCES tenants (id),
         version bigint NOT NULL
       )""",
    *protect("playbook_sets"),
    """CREATE TABLE pack_test_runs (
         id uuid CONSTRAINT pk_pack_test_runs PRIMARY KEY,
         tenant_id uuid NOT NULL CONSTRAINT fk_pack_test_runs_tenant_id REFERENCES tenants (id),
         pack_id text NOT NULL,
         version text NOT NULL,
         digest text NOT NULL,
         passed boolean NOT NULL,
         report jsonb NOT NULL,
         ran_by text NOT NULL,
         ran_at timestamptz NOT NULL DEFAULT now()
       )""",
    "CREATE INDEX ix_pack_test_runs_newest ON pack_test_runs (tenant_id, pack_id, id)",
    *protect("pack_test_runs"),
]

_DOWNGRADE = [
    f"DROP TABLE {table}" for table in ("pack_test_runs", "playbook_sets", "playbook_versions", "playbooks")
]


def upgrade() -> None:
    """Create the tables."""
    for statement in _UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    """Drop the tables."""
    for statement in _DOWNGRADE:
        op.execute(statement)
