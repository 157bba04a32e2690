"""Tables of escalation: who is on call, what tells them, whom an incident was told to, and each message."""

from alembic import op

from fettle.kernel.tenancy import protect

revision = "0016_escalation"
down_revision = "0015_planner"
branch_labels = None
depends_on = None


def _named(table: str, more: str = "") -> list[str]:
    """Return the statements of a table of things that a tenant names and describes."""
    return [
        f"""CREATE TABLE {table} (
              id uuid CONSTRAINT pk_{table} PRIMARY KEY,
              tenant_id uuid NOT NULL CONSTRAINT fk_{table}_tenant_id REFERENCES tenants (id),
              name text NOT NULL,
              document jsonb NOT NULL,
              {more}
              version integer NOT NULL DEFAULT 1,
              created_at timestamptz NOT NULL DEFAULT now(),
              updated_at timestamptz NOT NULL DEFAULT now(),
              updated_by text NOT NULL,
              CONSTRAINT uq_{table}_name UNIQUE (tenant_id, name)
            )""",
        *protect(table),
    ]


_UPGRADE = [
    *_named("oncall_schedules"),
    *_named("escalation_channels", "kind text NOT NULL, enabled boolean NOT NULL DEFAULT true,"),
    *_named("escalation_policies", "position integer NOT NULL, enabled boolean NOT NULL DEFAULT true,"),
    # How a person is reached and known by channels: their member id of Slack, their telephone number.
    """CREATE TABLE oncall_contacts (
         tenant_id uuid NOT NULL CONSTRAINT fk_oncall_contacts_tenant_id REFERENCES tenants (id),
         user_id uuid NOT NULL,
         document jsonb NOT NULL,
         updated_at timestamptz NOT NULL DEFAULT now(),
         updated_by text NOT NULL,
         CONSTRAINT pk_oncall_contacts PRIMARY KEY (tenant_id, user_id)
       )""",
    *protect("oncall_contacts"),
    # The clock of an incident that a person must look at. Its policy is kept as it was when it began, so that
    # a change of the policy changes nothing that is under way.
    """CREATE TABLE escalations (
         id uuid CONSTRAINT pk_escalations PRIMARY KEY,
         tenant_id uuid NOT NULL CONSTRAINT fk_escalations_tenant_id REFERENCES tenants (id),
         incident_id uuid NOT NULL,
         policy_id uuid NOT NULL,
         policy jsonb NOT NULL,
         state text NOT NULL CONSTRAINT ck_escalations_state
           CHECK (state IN ('active', 'acknowledged', 'exhausted', 'grouped', 'resolved')),
         severity text NOT NULL,
         reason text NOT NULL,
         storm_id uuid,
         settled boolean NOT NULL DEFAULT false,
         members integer NOT NULL DEFAULT 1,
         told_members integer NOT NULL DEFAULT 0,
         position integer NOT NULL DEFAULT 0,
         due_at timestamptz,
         update_at timestamptz,
         handed_to uuid,
         acknowledged_by text,
         acknowledged_at timestamptz,
         opened_at timestamptz NOT NULL DEFAULT now(),
         ended_at timestamptz
       )""",
    "CREATE UNIQUE INDEX uq_escalations_open ON escalations (tenant_id, incident_id) WHERE state <> 'resolved'",
    (
        "CREATE INDEX ix_escalations_due ON escalations (least(due_at, update_at)) "
        "WHERE due_at IS NOT NULL OR update_at IS NOT NULL"
    ),
    "CREATE INDEX ix_escalations_opened ON escalations (tenant_id, policy_id, opened_at)",
    "CREATE INDEX ix_escalations_storm ON escalations (tenant_id, storm_id) WHERE storm_id IS NOT NULL",
    *protect("escalations"),
    # One message to one place. `position` is their order: rows of one escalation are made under its lock.
    """CREATE TABLE escalation_deliveries (
         id uuid CONSTRAINT pk_escalation_deliveries PRIMARY KEY,
         tenant_id uuid NOT NULL CONSTRAINT fk_escalation_deliveries_tenant_id REFERENCES tenants (id),
         position bigint GENERATED ALWAYS AS IDENTITY,
         escalation_id uuid,
         incident_id uuid,
         channel_id uuid NOT NULL,
         channel_kind text NOT NULL,
         recipient uuid,
         lane text NOT NULL,
         kind text NOT NULL CONSTRAINT ck_escalation_deliveries_kind
           CHECK (kind IN ('firing', 'acknowledged', 'resolved', 'test')),
         step integer,
         state text NOT NULL DEFAULT 'queued' CONSTRAINT ck_escalation_deliveries_state
           CHECK (state IN ('queued', 'sending', 'delivered', 'failed', 'skipped')),
         may_have_arrived boolean NOT NULL DEFAULT false,
         attempts integer NOT NULL DEFAULT 0,
         due_at timestamptz NOT NULL DEFAULT now(),
         lease_owner uuid,
         fence integer NOT NULL DEFAULT 0,
         error_code text,
         error text,
         sent jsonb,
         created_at timestamptz NOT NULL DEFAULT now(),
         ended_at timestamptz
       )""",
    (
        "CREATE INDEX ix_escalation_deliveries_due ON escalation_deliveries (tenant_id, due_at) "
        "WHERE state IN ('queued', 'sending')"
    ),
    (
        "CREATE INDEX ix_escalation_deliveries_lane ON escalation_deliveries "
        "(tenant_id, escalation_id, lane, position)"
    ),
    "CREATE INDEX ix_escalation_deliveries_newest ON escalation_deliveries (tenant_id, position)",
    "CREATE INDEX ix_escalation_deliveries_incident ON escalation_deliveries (tenant_id, incident_id, position)",
    *protect("escalation_deliveries"),
    # What came back from a channel, so that the same thing sent again does nothing.
    """CREATE TABLE escalation_callbacks (
         tenant_id uuid NOT NULL CONSTRAINT fk_escalation_callbacks_tenant_id REFERENCES tenants (id),
         channel_id uuid NOT NULL,
         key text NOT NULL,
         received_at timestamptz NOT NULL DEFAULT now(),
         CONSTRAINT pk_escalation_callbacks PRIMARY KEY (tenant_id, channel_id, key)
       )""",
    *protect("escalation_callbacks"),
]

_DOWNGRADE = [
    f"DROP TABLE {table}"
    for table in (
        "escalation_callbacks",
        "escalation_deliveries",
        "escalations",
        "oncall_contacts",
        "escalation_policies",
        "escalation_channels",
        "oncall_schedules",
    )
]


def upgrade() -> None:
    """Create the tables."""
    for statement in _UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    """Drop the tables."""
    for statement in _DOWNGRADE:
        op.execute(statement)
