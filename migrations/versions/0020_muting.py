"""Muting: silences, maintenance windows, inhibition and dependencies, what they mute, storms, groups of incidents."""

from alembic import op

from fettle.kernel.tenancy import protect

revision = "0020_muting"
down_revision = "0019_brakes"
branch_labels = None
depends_on = None


def _tenant(table: str) -> str:
    return f"tenant_id uuid NOT NULL CONSTRAINT fk_{table}_tenant_id REFERENCES tenants (id)"


_UPGRADE = [
    # What a tenant sets. `ends_at` is when it is over for good, by its document or because somebody ended it.
    f"""CREATE TABLE mutes (
          id uuid CONSTRAINT pk_mutes PRIMARY KEY,
          {_tenant("mutes")},
          kind text NOT NULL CONSTRAINT ck_mutes_kind
            CHECK (kind IN ('silence', 'window', 'inhibition', 'dependency')),
          title text NOT NULL,
          document jsonb NOT NULL,
          starts_at timestamptz,
          ends_at timestamptz,
          version integer NOT NULL DEFAULT 1,
          created_by text NOT NULL,
          created_at timestamptz NOT NULL DEFAULT now(),
          updated_by text NOT NULL,
          updated_at timestamptz NOT NULL DEFAULT now()
        )""",
    "CREATE INDEX ix_mutes_newest ON mutes (tenant_id, kind, id)",
    "CREATE INDEX ix_mutes_ends ON mutes (tenant_id, ends_at)",
    *protect("mutes"),
    # Counts the changes, and says when something next begins or ends.
    f"""CREATE TABLE mute_sets (
          {_tenant("mute_sets")} CONSTRAINT pk_mute_sets PRIMARY KEY,
          version bigint NOT NULL DEFAULT 1,
          due_at timestamptz
        )""",
    "CREATE INDEX ix_mute_sets_due ON mute_sets (due_at) WHERE due_at IS NOT NULL",
    *protect("mute_sets"),
    # Which incidents keep still, why, and where they go when that is over.
    f"""CREATE TABLE muted_incidents (
          {_tenant("muted_incidents")},
          incident_id uuid NOT NULL,
          reason text NOT NULL,
          muted_by text NOT NULL,
          title text NOT NULL,
          until timestamptz,
          source_id uuid,
          is_disruptive boolean NOT NULL DEFAULT false,
          returns_to text NOT NULL,
          muted_at timestamptz NOT NULL DEFAULT now(),
          CONSTRAINT pk_muted_incidents PRIMARY KEY (tenant_id, incident_id)
        )""",
    *protect("muted_incidents"),
    # The clock of an escalation stands still while its incident is muted.
    "ALTER TABLE escalations ADD COLUMN paused boolean NOT NULL DEFAULT false",
    "ALTER TABLE escalations ADD COLUMN paused_why jsonb",
    # New incidents of one check type at one site in the window that begun; above the threshold they become one.
    f"""CREATE TABLE storms (
          {_tenant("storms")},
          check_type text NOT NULL,
          site text NOT NULL,
          begun_at timestamptz NOT NULL,
          opened integer NOT NULL,
          incident_id uuid,
          CONSTRAINT pk_storms PRIMARY KEY (tenant_id, check_type, site)
        )""",
    *protect("storms"),
    f"""CREATE TABLE storm_members (
          {_tenant("storm_members")},
          fingerprint text NOT NULL,
          incident_id uuid NOT NULL,
          host text,
          is_firing boolean NOT NULL DEFAULT true,
          first_at timestamptz NOT NULL,
          last_at timestamptz NOT NULL,
          occurrences integer NOT NULL DEFAULT 1,
          CONSTRAINT pk_storm_members PRIMARY KEY (tenant_id, fingerprint)
        )""",
    "CREATE INDEX ix_storm_members_incident ON storm_members (tenant_id, incident_id, is_firing, fingerprint)",
    *protect("storm_members"),
    # Incidents that may belong together, until a person says whether they do.
    f"""CREATE TABLE correlations (
          id uuid CONSTRAINT pk_correlations PRIMARY KEY,
          {_tenant("correlations")},
          rule_id text NOT NULL,
          key text NOT NULL,
          title text NOT NULL,
          state text NOT NULL DEFAULT 'candidate' CONSTRAINT ck_correlations_state
            CHECK (state IN ('candidate', 'confirmed', 'dismissed')),
          cause_id uuid,
          version integer NOT NULL DEFAULT 1,
          last_at timestamptz NOT NULL,
          created_at timestamptz NOT NULL DEFAULT now(),
          decided_by text,
          decided_at timestamptz
        )""",
    "CREATE INDEX ix_correlations_state ON correlations (tenant_id, state, id)",
    (
        "CREATE UNIQUE INDEX uq_correlations_key ON correlations (tenant_id, rule_id, key) "
        "WHERE state = 'candidate'"
    ),
    *protect("correlations"),
    f"""CREATE TABLE correlation_members (
          {_tenant("correlation_members")},
          correlation_id uuid NOT NULL,
          incident_id uuid NOT NULL,
          joined_at timestamptz NOT NULL DEFAULT now(),
          CONSTRAINT pk_correlation_members PRIMARY KEY (tenant_id, correlation_id, incident_id)
        )""",
    "CREATE INDEX ix_correlation_members_incident ON correlation_members (tenant_id, incident_id)",
    *protect("correlation_members"),
]

_DOWNGRADE = [
    "DROP TABLE correlation_members",
    "DROP TABLE correlations",
    "DROP TABLE storm_members",
    "DROP TABLE storms",
    "ALTER TABLE escalations DROP COLUMN paused_why, DROP COLUMN paused",
    "DROP TABLE muted_incidents",
    "DROP TABLE mute_sets",
    "DROP TABLE mutes",
]


def upgrade() -> None:
    """Create the tables."""
    for statement in _UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    """Drop the tables."""
    for statement in _DOWNGRADE:
        op.execute(statement)
