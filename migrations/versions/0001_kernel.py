"""Tables of the kernel: events, consumer positions, parked events, idempotency keys, jobs."""

from alembic import op

from fettle.kernel.tenancy import grant_platform, protect

revision = "0001_kernel"
down_revision = None
branch_labels = None
depends_on = None

_UPGRADE = [
    "CREATE SEQUENCE event_position AS bigint",
    # The transaction id is taken before the position. A reader that sees a hole in the positions can then
    # tell from its snapshot when every transaction that may still fill the hole has ended.
    """CREATE FUNCTION next_event_position() RETURNS bigint LANGUAGE plpgsql VOLATILE AS
       $$ BEGIN PERFORM pg_current_xact_id(); RETURN nextval('event_position'); END $$""",
    """CREATE TABLE events (
         position bigint NOT NULL DEFAULT next_event_position() CONSTRAINT pk_events PRIMARY KEY,
         id uuid NOT NULL,
         tenant_id uuid NOT NULL,
         stream_type text NOT NULL,
         stream_id uuid NOT NULL,
         version integer NOT NULL,
         type text NOT NULL,
         schema_version smallint NOT NULL,
         lane smallint NOT NULL,
         data jsonb NOT NULL,
         metadata jsonb NOT NULL,
         correlation_id uuid,
         occurred_at timestamptz NOT NULL,
         CONSTRAINT uq_events_stream UNIQUE (tenant_id, stream_type, stream_id, version)
       )""",
    """CREATE INDEX ix_events_correlation ON events (tenant_id, correlation_id, position)
       WHERE correlation_id IS NOT NULL""",
    "CREATE INDEX ix_events_tenant_position ON events (tenant_id, position)",
    "GRANT USAGE ON SEQUENCE event_position TO fettle_app, fettle_system",
    *protect("events", app="SELECT, INSERT"),
    """CREATE TABLE consumer_lanes (
         consumer_group text NOT NULL,
         lane smallint NOT NULL,
         position bigint NOT NULL DEFAULT 0,
         owner uuid,
         lease_until timestamptz,
         CONSTRAINT pk_consumer_lanes PRIMARY KEY (consumer_group, lane)
       )""",
    *grant_platform("consumer_lanes", app="SELECT, UPDATE"),
    """CREATE TABLE consumer_members (
         consumer_group text NOT NULL,
         owner uuid NOT NULL,
         seen_at timestamptz NOT NULL,
         CONSTRAINT pk_consumer_members PRIMARY KEY (consumer_group, owner)
       )""",
    *grant_platform("consumer_members", app=""),
    """CREATE TABLE parked_events (
         id uuid CONSTRAINT pk_parked_events PRIMARY KEY,
         tenant_id uuid NOT NULL,
         consumer_group text NOT NULL,
         position bigint NOT NULL,
         lane smallint NOT NULL,
         stream_id uuid NOT NULL,
         type text NOT NULL,
         state text NOT NULL CONSTRAINT ck_parked_events_state CHECK (state IN ('waiting', 'behind', 'dead')),
         attempts integer NOT NULL DEFAULT 0,
         next_attempt_at timestamptz,
         last_error text,
         parked_at timestamptz NOT NULL DEFAULT now(),
         CONSTRAINT uq_parked_events_position UNIQUE (consumer_group, position)
       )""",
    "CREATE INDEX ix_parked_events_due ON parked_events (consumer_group, state, next_attempt_at)",
    "CREATE INDEX ix_parked_events_tenant ON parked_events (tenant_id, state, id)",
    *protect("parked_events"),
    """CREATE TABLE idempotency_keys (
         tenant_id uuid NOT NULL,
         scope text NOT NULL,
         key_hash bytea NOT NULL,
         body_hash bytea NOT NULL,
         status smallint NOT NULL,
         response jsonb NOT NULL,
         created_at timestamptz NOT NULL DEFAULT now(),
         CONSTRAINT pk_idempotency_keys PRIMARY KEY (tenant_id, scope, key_hash)
       )""",
    "CREATE INDEX ix_idempotency_keys_created_at ON idempotency_keys (created_at)",
    *protect("idempotency_keys"),
    """CREATE TABLE jobs (
         id uuid CONSTRAINT pk_jobs PRIMARY KEY,
         tenant_id uuid NOT NULL,
         name text NOT NULL,
         arguments jsonb NOT NULL,
         state text NOT NULL DEFAULT 'queued'
           CONSTRAINT ck_jobs_state CHECK (state IN ('queued', 'running', 'succeeded', 'failed')),
         progress real NOT NULL DEFAULT 0,
         result jsonb,
         error text,
         owner uuid,
         lease_until timestamptz,
         created_at timestamptz NOT NULL DEFAULT now(),
         finished_at timestamptz
       )""",
    "CREATE INDEX ix_jobs_tenant ON jobs (tenant_id, id)",
    *protect("jobs"),
]

_DOWNGRADE = [
    "DROP TABLE jobs",
    "DROP TABLE idempotency_keys",
    "DROP TABLE parked_events",
    "DROP TABLE consumer_members",
    "DROP TABLE consumer_lanes",
    "DROP TABLE events",
    "DROP FUNCTION next_event_position()",
    "DROP SEQUENCE event_position",
]


def upgrade() -> None:
    """Create the tables."""
    for statement in _UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    """Drop the tables."""
    for statement in _DOWNGRADE:
        op.execute(statement)
