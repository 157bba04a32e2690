"""Tables of partners, custom roles, invitations, and of the links and mails that people are sent."""

from alembic import op

from fettle.kernel.tenancy import APP_ROLE, SYSTEM_ROLE, grant_platform, protect

revision = "0010_people"
down_revision = "0009_incident_work"
branch_labels = None
depends_on = None

_TABLES = (
    """CREATE TABLE partners (
        id uuid PRIMARY KEY,
        name text NOT NULL CHECK (name <> ''),
        slug text NOT NULL UNIQUE CHECK (slug ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
        created_at timestamptz NOT NULL DEFAULT now()
    )""",
    "ALTER TABLE tenants ADD COLUMN partner_id uuid REFERENCES partners (id)",
    "CREATE INDEX ix_tenants_partner_id ON tenants (partner_id, id) WHERE partner_id IS NOT NULL",
    """CREATE TABLE partner_members (
        partner_id uuid NOT NULL REFERENCES partners (id),
        user_id uuid NOT NULL REFERENCES users (id),
        role text NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (partner_id, user_id)
    )""",
    "CREATE INDEX ix_partner_members_user_id ON partner_members (user_id)",
    """CREATE TABLE custom_roles (
        tenant_id uuid NOT NULL REFERENCES tenants (id),
        name text NOT NULL CHECK (name ~ '^[a-z][a-z0-9_-]{1,62}$'),
        description text NOT NULL,
        permissions text[] NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (tenant_id, name)
    )""",
    # An invitation is into a tenant or into a partner; the latter is seen by no tenant.
    """CREATE TABLE invitations (
        id uuid PRIMARY KEY,
        tenant_id uuid REFERENCES tenants (id),
        partner_id uuid REFERENCES partners (id),
        email text NOT NULL CHECK (email = lower(email)),
        name text,
        role text NOT NULL,
        invited_by text NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        expires_at timestamptz NOT NULL,
        accepted_at timestamptz,
        revoked_at timestamptz,
        CONSTRAINT ck_invitations_one_place CHECK (num_nonnulls(tenant_id, partner_id) = 1)
    )""",
    "CREATE INDEX ix_invitations_tenant_id ON invitations (tenant_id, id)",
    "CREATE INDEX ix_invitations_partner_id ON invitations (partner_id, id) WHERE partner_id IS NOT NULL",
    # One address waits for one invitation into one place.
    """CREATE UNIQUE INDEX uq_invitations_tenant_id_email ON invitations (tenant_id, email)
        WHERE accepted_at IS NULL AND revoked_at IS NULL""",
    """CREATE UNIQUE INDEX uq_invitations_partner_id_email ON invitations (partner_id, email)
        WHERE accepted_at IS NULL AND revoked_at IS NULL AND partner_id IS NOT NULL""",
    """CREATE TABLE link_tokens (
        token_hash bytea PRIMARY KEY CHECK (length(token_hash) = 32),
        invitation_id uuid REFERENCES invitations (id) ON DELETE CASCADE,
        user_id uuid REFERENCES users (id) ON DELETE CASCADE,
        created_at timestamptz NOT NULL DEFAULT now(),
        expires_at timestamptz NOT NULL,
        CONSTRAINT ck_link_tokens_one_purpose CHECK (num_nonnulls(invitation_id, user_id) = 1)
    )""",
    "CREATE INDEX ix_link_tokens_invitation_id ON link_tokens (invitation_id)",
    "CREATE INDEX ix_link_tokens_user_id ON link_tokens (user_id)",
    "CREATE INDEX ix_link_tokens_expires_at ON link_tokens (expires_at)",
    # No reference to users: a row for nobody must cost what a row for somebody does.
    """CREATE TABLE outgoing_mails (
        id uuid PRIMARY KEY,
        kind text NOT NULL,
        invitation_id uuid REFERENCES invitations (id) ON DELETE CASCADE,
        user_id uuid,
        state text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'sent', 'failed')),
        attempts integer NOT NULL DEFAULT 0,
        due_at timestamptz NOT NULL DEFAULT now(),
        owner uuid,
        error text,
        created_at timestamptz NOT NULL DEFAULT now(),
        finished_at timestamptz
    )""",
    "CREATE INDEX ix_outgoing_mails_due_at ON outgoing_mails (due_at) WHERE state = 'queued'",
    "CREATE INDEX ix_outgoing_mails_invitation_id ON outgoing_mails (invitation_id, id)",
    "CREATE INDEX ix_outgoing_mails_user_id ON outgoing_mails (user_id, created_at)",
)

# The bound tenant's row of `tenants` is the only one seen, so these see the people of its partner alone.
_PARTNER_POLICY = (
    f"CREATE POLICY partner_of_tenant ON partner_members FOR SELECT TO {APP_ROLE} "  # noqa: S608 - of constants
    "USING (EXISTS (SELECT FROM tenants AS t WHERE t.partner_id = partner_members.partner_id))"
)
_MAIL_POLICY = (
    f"CREATE POLICY mail_of_tenant ON outgoing_mails FOR SELECT TO {APP_ROLE} "  # noqa: S608 - of constants
    "USING (EXISTS (SELECT FROM invitations AS i WHERE i.id = outgoing_mails.invitation_id))"
)
_PEOPLE_POLICY = (
    f"CREATE POLICY tenant_partner_people ON users FOR SELECT TO {APP_ROLE} "  # noqa: S608 - of constants
    "USING (EXISTS (SELECT FROM partner_members AS p WHERE p.user_id = users.id))"
)


def upgrade() -> None:
    """Create the tables; no hash of a link is readable by the role that requests run as."""
    for statement in _TABLES:
        op.execute(statement)
    statements = [
        *protect("custom_roles"),
        *protect("invitations", app="SELECT"),
        # How the mails of its own invitations fared is seen by the tenant that made them.
        "ALTER TABLE outgoing_mails ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE outgoing_mails FORCE ROW LEVEL SECURITY",
        _MAIL_POLICY,
        f"CREATE POLICY system_access ON outgoing_mails TO {SYSTEM_ROLE} USING (true) WITH CHECK (true)",
        "ALTER TABLE partner_members ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE partner_members FORCE ROW LEVEL SECURITY",
        _PARTNER_POLICY,
        f"CREATE POLICY system_access ON partner_members TO {SYSTEM_ROLE} USING (true) WITH CHECK (true)",
        _PEOPLE_POLICY,
    ]
    for table, app in (("partners", ""), ("partner_members", "SELECT"), ("link_tokens", "")):
        statements += grant_platform(table, app=app)
    statements += grant_platform("outgoing_mails", app="SELECT (id, invitation_id, state, error)")
    for statement in statements:
        op.execute(statement)


def downgrade() -> None:
    """Drop the tables; the policy first, because it reads one of them."""
    op.execute("DROP POLICY tenant_partner_people ON users")
    for table in ("outgoing_mails", "link_tokens", "invitations", "custom_roles", "partner_members"):
        op.execute(f"DROP TABLE {table}")
    op.execute("ALTER TABLE tenants DROP COLUMN partner_id")
    op.execute("DROP TABLE partners")
