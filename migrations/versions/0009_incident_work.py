"""Tables of what people do on incidents: assignment, merges, comments, links, saved views, bulk changes."""

from alembic import op

from fettle.kernel.tenancy import protect

revision = "0009_incident_work"
down_revision = "0008_fleet"
branch_labels = None
depends_on = None

_UPGRADE = [
    "ALTER TABLE incidents ADD COLUMN assignee uuid, ADD COLUMN merged_into uuid",
    """CREATE INDEX ix_incidents_assignee ON incidents (tenant_id, assignee, id)
       WHERE assignee IS NOT NULL""",
    "CREATE INDEX ix_incidents_last_seen ON incidents (tenant_id, last_seen_at, id)",
    # Where what is reported for a merged incident goes, and what was merged into one.
    """CREATE INDEX ix_incidents_merged ON incidents (tenant_id, fingerprint)
       WHERE merged_into IS NOT NULL""",
    """CREATE INDEX ix_incidents_merged_into ON incidents (tenant_id, merged_into)
       WHERE merged_into IS NOT NULL""",
    """CREATE TABLE incident_comments (
         id uuid CONSTRAINT pk_incident_comments PRIMARY KEY,
         tenant_id uuid NOT NULL CONSTRAINT fk_incident_comments_tenant_id REFERENCES tenants (id),
         incident_id uuid NOT NULL,
         author text NOT NULL,
         body text NOT NULL,
         mentions uuid[] NOT NULL,
         created_at timestamptz NOT NULL,
         edited_at timestamptz,
         deleted_at timestamptz,
         version integer NOT NULL
       )""",
    "CREATE INDEX ix_incident_comments_incident ON incident_comments (tenant_id, incident_id, id)",
    *protect("incident_comments"),
    """CREATE TABLE incident_links (
         id uuid CONSTRAINT pk_incident_links PRIMARY KEY,
         tenant_id uuid NOT NULL CONSTRAINT fk_incident_links_tenant_id REFERENCES tenants (id),
         from_id uuid NOT NULL,
         to_id uuid NOT NULL,
         kind text NOT NULL
           CONSTRAINT ck_incident_links_kind CHECK (kind IN ('relates_to', 'caused_by', 'duplicates')),
         created_by text NOT NULL,
         created_at timestamptz NOT NULL
       )""",
    "CREATE UNIQUE INDEX uq_incident_links_from_id ON incident_links (tenant_id, from_id, to_id, kind)",
    "CREATE INDEX ix_incident_links_to_id ON incident_links (tenant_id, to_id)",
    *protect("incident_links"),
    """CREATE TABLE incident_views (
         id uuid CONSTRAINT pk_incident_views PRIMARY KEY,
         tenant_id uuid NOT NULL CONSTRAINT fk_incident_views_tenant_id REFERENCES tenants (id),
         owner text NOT NULL,
         name text NOT NULL,
         query text NOT NULL,
         shared boolean NOT NULL,
         created_at timestamptz NOT NULL,
         updated_at timestamptz NOT NULL,
         version integer NOT NULL
       )""",
    "CREATE UNIQUE INDEX uq_incident_views_name ON incident_views (tenant_id, owner, lower(name))",
    *protect("incident_views"),
    """CREATE TABLE incident_view_defaults (
         tenant_id uuid NOT NULL,
         owner text NOT NULL,
         view_id uuid NOT NULL
           CONSTRAINT fk_incident_view_defaults_view_id REFERENCES incident_views (id) ON DELETE CASCADE,
         CONSTRAINT pk_incident_view_defaults PRIMARY KEY (tenant_id, owner)
       )""",
    "CREATE INDEX ix_incident_view_defaults_view_id ON incident_view_defaults (view_id)",
    *protect("incident_view_defaults"),
    """CREATE TABLE incident_bulks (
         id uuid CONSTRAINT pk_incident_bulks PRIMARY KEY,
         tenant_id uuid NOT NULL CONSTRAINT fk_incident_bulks_tenant_id REFERENCES tenants (id),
         action text NOT NULL CONSTRAINT ck_incident_bulks_action
           CHECK (action IN ('resolve', 'close', 'reopen', 'assign', 'unassign', 'comment')),
         state text NOT NULL CONSTRAINT ck_incident_bulks_state
           CHECK (state IN ('queued', 'running', 'done', 'undoing', 'undone')),
         arguments jsonb NOT NULL,
         requested_by text NOT NULL,
         job_id uuid,
         total integer NOT NULL,
         created_at timestamptz NOT NULL,
         finished_at timestamptz
       )""",
    "CREATE INDEX ix_incident_bulks_created_at ON incident_bulks (created_at)",
    *protect("incident_bulks"),
    """CREATE TABLE incident_bulk_items (
         tenant_id uuid NOT NULL,
         bulk_id uuid NOT NULL
           CONSTRAINT fk_incident_bulk_items_bulk_id REFERENCES incident_bulks (id) ON DELETE CASCADE,
         place integer NOT NULL,
         incident_id uuid NOT NULL,
         result text NOT NULL CONSTRAINT ck_incident_bulk_items_result
           CHECK (result IN ('pending', 'done', 'skipped', 'undone', 'kept')),
         detail text,
         before jsonb,
         version integer,
         CONSTRAINT pk_incident_bulk_items PRIMARY KEY (tenant_id, bulk_id, place)
       )""",
    *protect("incident_bulk_items"),
]

_DOWNGRADE = [
    "DROP TABLE incident_bulk_items",
    "DROP TABLE incident_bulks",
    "DROP TABLE incident_view_defaults",
    "DROP TABLE incident_views",
    "DROP TABLE incident_links",
    "DROP TABLE incident_comments",
    "DROP INDEX ix_incidents_last_seen",
    "ALTER TABLE incidents DROP COLUMN assignee, DROP COLUMN merged_into",
]


def upgrade() -> None:
    """Create the tables."""
    for statement in _UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    """Drop the tables."""
    for statement in _DOWNGRADE:
        op.execute(statement)
