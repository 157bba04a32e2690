"""Brakes: what flapped, circuit breakers, stops, what acted and what is held; approvals by two, and by deputies."""

from alembic import op

from fettle.kernel.tenancy import grant_platform, protect

revision = "0019_brakes"
down_revision = "0018_read_paths"
branch_labels = None
depends_on = None

_UPGRADE = [
    # When checks were out of order again soon after they had been in order. An empty site or host is none.
    """CREATE TABLE flap_counts (
         tenant_id uuid NOT NULL CONSTRAINT fk_flap_counts_tenant_id REFERENCES tenants (id),
         check_type text NOT NULL,
         host text NOT NULL,
         site text NOT NULL,
         moments timestamptz[] NOT NULL DEFAULT '{}',
         last_at timestamptz NOT NULL,
         CONSTRAINT pk_flap_counts PRIMARY KEY (tenant_id, check_type, host, site)
       )""",
    "CREATE INDEX ix_flap_counts_last ON flap_counts (last_at)",
    *protect("flap_counts"),
    """CREATE TABLE flap_suppressions (
         id uuid CONSTRAINT pk_flap_suppressions PRIMARY KEY,
         tenant_id uuid NOT NULL CONSTRAINT fk_flap_suppressions_tenant_id REFERENCES tenants (id),
         check_type text NOT NULL,
         host text NOT NULL,
         site text NOT NULL,
         flaps integer NOT NULL,
         window_seconds integer NOT NULL,
         incident_id uuid NOT NULL,
         suppressed uuid[] NOT NULL DEFAULT '{}',
         since timestamptz NOT NULL DEFAULT now(),
         cleared_at timestamptz,
         cleared_by text,
         clear_reason text
       )""",
    """CREATE UNIQUE INDEX uq_flap_suppressions_open ON flap_suppressions (tenant_id, check_type, host, site)
       WHERE cleared_at IS NULL""",
    "CREATE INDEX ix_flap_suppressions_newest ON flap_suppressions (tenant_id, id)",
    *protect("flap_suppressions"),
    # Whether a new incident is the return of one that was just closed.
    """CREATE INDEX ix_incidents_returned ON incidents (tenant_id, fingerprint, resolved_at)
       WHERE state = 'closed'""",
    """CREATE TABLE healing_stops (
         id uuid CONSTRAINT pk_healing_stops PRIMARY KEY,
         tenant_id uuid NOT NULL CONSTRAINT fk_healing_stops_tenant_id REFERENCES tenants (id),
         reason text NOT NULL,
         stopped_by text NOT NULL,
         stopped_at timestamptz NOT NULL DEFAULT now(),
         lifted_at timestamptz,
         lifted_by text,
         lift_reason text
       )""",
    "CREATE UNIQUE INDEX uq_healing_stops_open ON healing_stops (tenant_id) WHERE lifted_at IS NULL",
    "CREATE INDEX ix_healing_stops_newest ON healing_stops (tenant_id, id)",
    *protect("healing_stops"),
    # The switch of the whole installation; a tenant may see that it is pressed, and why.
    """CREATE TABLE platform_stops (
         id uuid CONSTRAINT pk_platform_stops PRIMARY KEY,
         reason text NOT NULL,
         stopped_by text NOT NULL,
         stopped_at timestamptz NOT NULL DEFAULT now(),
         lifted_at timestamptz,
         lifted_by text,
         lift_reason text
       )""",
    "CREATE UNIQUE INDEX uq_platform_stops_open ON platform_stops ((lifted_at IS NULL)) WHERE lifted_at IS NULL",
    *grant_platform("platform_stops", app="SELECT"),
    """CREATE TABLE circuit_breakers (
         tenant_id uuid NOT NULL CONSTRAINT fk_circuit_breakers_tenant_id REFERENCES tenants (id),
         kind text NOT NULL CONSTRAINT ck_circuit_breakers_kind
           CHECK (kind IN ('tool', 'host', 'playbook', 'tenant')),
         key text NOT NULL,
         state text NOT NULL DEFAULT 'closed' CONSTRAINT ck_circuit_breakers_state
           CHECK (state IN ('closed', 'open', 'half_open')),
         failures timestamptz[] NOT NULL DEFAULT '{}',
         times_opened integer NOT NULL DEFAULT 0,
         opened_at timestamptz,
         open_until timestamptz,
         probe_run_id uuid,
         probe_until timestamptz,
         reason text,
         changed_by text NOT NULL DEFAULT 'system:brakes',
         changed_at timestamptz NOT NULL DEFAULT now(),
         CONSTRAINT pk_circuit_breakers PRIMARY KEY (tenant_id, kind, key)
       )""",
    "CREATE INDEX ix_circuit_breakers_open ON circuit_breakers (tenant_id) WHERE state <> 'closed'",
    *protect("circuit_breakers"),
    # What was let act, for limits in a time; written only where a policy sets such limits.
    """CREATE TABLE action_admissions (
         tenant_id uuid NOT NULL CONSTRAINT fk_action_admissions_tenant_id REFERENCES tenants (id),
         run_id uuid NOT NULL,
         playbook_id text NOT NULL,
         definition_hash text NOT NULL,
         host text NOT NULL,
         disruptive boolean NOT NULL,
         canary boolean NOT NULL,
         outcome text,
         admitted_at timestamptz NOT NULL DEFAULT now(),
         CONSTRAINT pk_action_admissions PRIMARY KEY (tenant_id, run_id)
       )""",
    "CREATE INDEX ix_action_admissions_newest ON action_admissions (tenant_id, admitted_at)",
    *protect("action_admissions"),
    # Runs that a limit holds. Their own rows say when they are looked at again; this says why.
    """CREATE TABLE held_runs (
         tenant_id uuid NOT NULL CONSTRAINT fk_held_runs_tenant_id REFERENCES tenants (id),
         run_id uuid NOT NULL,
         incident_id uuid,
         playbook_id text NOT NULL,
         host text NOT NULL,
         reason text NOT NULL,
         detail text NOT NULL,
         until timestamptz NOT NULL,
         since timestamptz NOT NULL DEFAULT now(),
         CONSTRAINT pk_held_runs PRIMARY KEY (tenant_id, run_id)
       )""",
    *protect("held_runs"),
    """ALTER TABLE approvals
         ADD COLUMN people smallint NOT NULL DEFAULT 1,
         ADD COLUMN asked_by text""",
    """CREATE TABLE approval_votes (
         tenant_id uuid NOT NULL CONSTRAINT fk_approval_votes_tenant_id REFERENCES tenants (id),
         approval_id uuid NOT NULL,
         voter text NOT NULL,
         on_behalf_of text,
         reason text NOT NULL,
         voted_at timestamptz NOT NULL DEFAULT now(),
         CONSTRAINT pk_approval_votes PRIMARY KEY (tenant_id, approval_id, voter)
       )""",
    *protect("approval_votes"),
    """CREATE TABLE approval_delegations (
         id uuid CONSTRAINT pk_approval_delegations PRIMARY KEY,
         tenant_id uuid NOT NULL CONSTRAINT fk_approval_delegations_tenant_id REFERENCES tenants (id),
         from_user uuid NOT NULL,
         to_user uuid NOT NULL,
         begins_at timestamptz NOT NULL,
         ends_at timestamptz NOT NULL,
         reason text NOT NULL,
         created_by text NOT NULL,
         created_at timestamptz NOT NULL DEFAULT now(),
         ended_at timestamptz,
         ended_by text
       )""",
    "CREATE INDEX ix_approval_delegations_to ON approval_delegations (tenant_id, to_user, ends_at)",
    "CREATE INDEX ix_approval_delegations_newest ON approval_delegations (tenant_id, id)",
    *protect("approval_delegations"),
]

_DOWNGRADE = [
    "DROP TABLE approval_delegations",
    "DROP TABLE approval_votes",
    "ALTER TABLE approvals DROP COLUMN asked_by, DROP COLUMN people",
    "DROP TABLE held_runs",
    "DROP TABLE action_admissions",
    "DROP TABLE circuit_breakers",
    "DROP TABLE platform_stops",
    "DROP TABLE healing_stops",
    "DROP INDEX ix_incidents_returned",
    "DROP TABLE flap_suppressions",
    "DROP TABLE flap_counts",
]


def upgrade() -> None:
    """Create the tables."""
    for statement in _UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    """Drop the tables."""
    for statement in _DOWNGRADE:
        op.execute(statement)
