"""Tables of healing: a tenant's own rules and their history, approvals, attempts."""

from alembic import op

from fettle.kernel.tenancy import protect

revision = "0005_healing"
down_revision = "0004_incidents"
branch_labels = None
depends_on = None

_UPGRADE = [
    """CREATE TABLE rules (
         tenant_id uuid NOT NULL CONSTRAINT fk_rules_tenant_id REFERENCES tenants (id),
         id text NOT NULL,
         version integer NOT NULL,
         document jsonb NOT NULL,
         created_at timestamptz NOT NULL DEFAULT now(),
         updated_at timestamptz NOT NULL DEFAULT now(),
         updated_by text NOT NULL,
         CONSTRAINT pk_rules PRIMARY KEY (tenant_id, id)
       )""",
    *protect("rules"),
    # What a rule was, for every version that it had; without a document it was deleted.
    """CREATE TABLE rule_versions (
         tenant_id uuid NOT NULL CONSTRAINT fk_rule_versions_tenant_id REFERENCES tenants (id),
         rule_id text NOT NULL,
         version integer NOT NULL,
         document jsonb,
         changed_by text NOT NULL,
         changed_at timestamptz NOT NULL DEFAULT now(),
         CONSTRAINT pk_rule_versions PRIMARY KEY (tenant_id, rule_id, version)
       )""",
    *protect("rule_versions", app="SELECT, INSERT"),
    # Counts every change of a tenant's rules, so that a compiled set knows whether it is still the right one.
    """CREATE TABLE rule_sets (
         tenant_id uuid CONSTRAINT pk_rule_sets PRIMARY KEY
           CONSTRAINT fk_rule_sets_tenant_id REFERENCES tenants (id),
         version bigint NOT NULL
       )""",
    *protect("rule_sets"),
    """CREATE TABLE approvals (
         id uuid CONSTRAINT pk_approvals PRIMARY KEY,
         tenant_id uuid NOT NULL CONSTRAINT fk_approvals_tenant_id REFERENCES tenants (id),
         incident_id uuid NOT NULL,
         kind text NOT NULL CONSTRAINT ck_approvals_kind CHECK (kind IN ('approval', 'suggestion', 'step')),
         state text NOT NULL DEFAULT 'pending' CONSTRAINT ck_approvals_state
           CHECK (state IN ('pending', 'approved', 'rejected', 'expired', 'withdrawn')),
         rule_id text,
         run_id uuid,
         path text,
         plan jsonb NOT NULL,
         plan_hash text NOT NULL,
         reason text NOT NULL,
         approvers text[] NOT NULL,
         requested_at timestamptz NOT NULL DEFAULT now(),
         expires_at timestamptz NOT NULL,
         decided_at timestamptz,
         decided_by text,
         decision_reason text
       )""",
    """CREATE UNIQUE INDEX uq_approvals_pending ON approvals (tenant_id, incident_id)
       WHERE state = 'pending' AND kind <> 'step'""",
    "CREATE INDEX ix_approvals_newest ON approvals (tenant_id, state, id)",
    "CREATE INDEX ix_approvals_incident ON approvals (tenant_id, incident_id, id)",
    "CREATE INDEX ix_approvals_expiry ON approvals (expires_at) WHERE state = 'pending'",
    *protect("approvals"),
    """CREATE TABLE rule_attempts (
         tenant_id uuid NOT NULL CONSTRAINT fk_rule_attempts_tenant_id REFERENCES tenants (id),
         incident_id uuid NOT NULL,
         rule_id text NOT NULL,
         failed integer NOT NULL,
         last_at timestamptz NOT NULL,
         CONSTRAINT pk_rule_attempts PRIMARY KEY (tenant_id, incident_id, rule_id)
       )""",
    *protect("rule_attempts"),
]

_DOWNGRADE = [
    "DROP TABLE rule_attempts",
    "DROP TABLE approvals",
    "DROP TABLE rule_sets",
    "DROP TABLE rule_versions",
    "DROP TABLE rules",
]


def upgrade() -> None:
    """Create the tables."""
    for statement in _UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    """Drop the tables."""
    for statement in _DOWNGRADE:
        op.execute(statement)
