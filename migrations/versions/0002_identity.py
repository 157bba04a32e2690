"""Tables of identity: tenants, accounts, memberships, credentials, sessions, audit."""

from alembic import op

from fettle.kernel.tenancy import APP_ROLE, SYSTEM_ROLE, grant_platform, protect

revision = "0002_identity"
down_revision = "0001_kernel"
branch_labels = None
depends_on = None

_TABLES = (
    """CREATE TABLE tenants (
        id uuid PRIMARY KEY,
        name text NOT NULL CHECK (name <> ''),
        slug text NOT NULL UNIQUE CHECK (slug ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
        created_at timestamptz NOT NULL DEFAULT now()
    )""",
    """CREATE TABLE users (
        id uuid PRIMARY KEY,
        email text NOT NULL UNIQUE CHECK (email = lower(email)),
        name text NOT NULL,
        password_hash text NOT NULL,
        is_platform_admin boolean NOT NULL DEFAULT false,
        must_change_password boolean NOT NULL DEFAULT false,
        disabled_at timestamptz,
        created_at timestamptz NOT NULL DEFAULT now()
    )""",
    """CREATE TABLE memberships (
        tenant_id uuid NOT NULL REFERENCES tenants (id),
        user_id uuid NOT NULL REFERENCES users (id),
        role text NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (tenant_id, user_id)
    )""",
    "CREATE INDEX ix_memberships_user_id ON memberships (user_id)",
    """CREATE TABLE api_keys (
        id uuid PRIMARY KEY,
        tenant_id uuid NOT NULL REFERENCES tenants (id),
        name text NOT NULL,
        prefix text NOT NULL UNIQUE,
        secret_hash bytea NOT NULL CHECK (length(secret_hash) = 32),
        scopes text[] NOT NULL,
        created_by text NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        expires_at timestamptz,
        last_used_at timestamptz,
        revoked_at timestamptz
    )""",
    "CREATE INDEX ix_api_keys_tenant_id ON api_keys (tenant_id, id)",
    """CREATE TABLE refresh_sessions (
        id uuid PRIMARY KEY,
        user_id uuid NOT NULL REFERENCES users (id),
        address text,
        agent text,
        created_at timestamptz NOT NULL DEFAULT now(),
        expires_at timestamptz NOT NULL,
        ended_at timestamptz,
        ended_because text
    )""",
    "CREATE INDEX ix_refresh_sessions_user_id ON refresh_sessions (user_id)",
    """CREATE TABLE refresh_tokens (
        token_hash bytea PRIMARY KEY,
        session_id uuid NOT NULL REFERENCES refresh_sessions (id) ON DELETE CASCADE,
        created_at timestamptz NOT NULL DEFAULT now(),
        used_at timestamptz
    )""",
    "CREATE INDEX ix_refresh_tokens_session_id ON refresh_tokens (session_id)",
    """CREATE TABLE login_attempts (
        subject bytea PRIMARY KEY,
        failures integer NOT NULL DEFAULT 0,
        last_at timestamptz,
        locked_until timestamptz
    )""",
    """CREATE TABLE token_keys (
        id text PRIMARY KEY,
        public_key bytea NOT NULL,
        sealed_private_key bytea NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        retired_at timestamptz
    )""",
    """CREATE TABLE audit_records (
        id uuid PRIMARY KEY,
        tenant_id uuid REFERENCES tenants (id),
        actor text NOT NULL,
        action text NOT NULL,
        target_type text NOT NULL,
        target_id text,
        before jsonb,
        after jsonb,
        address text,
        request_id text,
        occurred_at timestamptz NOT NULL
    )""",
    "CREATE INDEX ix_audit_records_tenant_id ON audit_records (tenant_id, id)",
)

_KEY_COLUMNS = (
    "id, tenant_id, name, prefix, scopes, created_by, created_at, expires_at, last_used_at, revoked_at"
)

_MEMBERS_POLICY = (
    f"CREATE POLICY tenant_members ON users FOR SELECT TO {APP_ROLE} "  # noqa: S608 - of constants
    "USING (EXISTS (SELECT FROM memberships AS m WHERE m.user_id = users.id))"
)


def upgrade() -> None:
    """Create the tables; a secret's hash is never readable by the role that requests run as."""
    for statement in _TABLES:
        op.execute(statement)
    statements = [
        *protect("tenants", column="id", app="SELECT"),
        *protect("memberships", app="SELECT, UPDATE (role), DELETE"),
        *protect("api_keys", app=f"SELECT ({_KEY_COLUMNS}), INSERT, UPDATE (revoked_at)"),
        *protect("audit_records", app="SELECT, INSERT"),
        f"REVOKE UPDATE, DELETE ON audit_records FROM {SYSTEM_ROLE}",
        # A tenant sees the names of its own members: whom a membership that it sees points to.
        "ALTER TABLE users ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE users FORCE ROW LEVEL SECURITY",
        _MEMBERS_POLICY,
        f"CREATE POLICY system_access ON users TO {SYSTEM_ROLE} USING (true) WITH CHECK (true)",
        f"GRANT SELECT (id, email, name, disabled_at, created_at) ON users TO {APP_ROLE}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON users TO {SYSTEM_ROLE}",
    ]
    for table in ("refresh_sessions", "refresh_tokens", "login_attempts", "token_keys"):
        statements += grant_platform(table, app="")
    for statement in statements:
        op.execute(statement)


def downgrade() -> None:
    """Drop the tables; the policy first, because it reads another of them."""
    op.execute("DROP POLICY tenant_members ON users")
    for table in (
        "audit_records",
        "token_keys",
        "login_attempts",
        "refresh_tokens",
        "refresh_sessions",
        "api_keys",
        "memberships",
        "users",
        "tenants",
    ):
        op.execute(f"DROP TABLE {table}")
