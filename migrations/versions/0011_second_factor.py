"""Tables of second factors, passkeys and sign-on."""

from alembic import op

from fettle.kernel.tenancy import grant_platform, protect

revision = "0011_second_factor"
down_revision = "0010_people"
branch_labels = None
depends_on = None

_TABLES = (
    "ALTER TABLE users ADD COLUMN password_changed_at timestamptz NOT NULL DEFAULT now()",
    # Whoever writes a password, now or later, cannot forget to say when.
    """CREATE FUNCTION note_password_change() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN NEW.password_changed_at := now(); RETURN NEW; END $$""",
    """CREATE TRIGGER password_changed BEFORE UPDATE OF password_hash ON users FOR EACH ROW
    WHEN (OLD.password_hash IS DISTINCT FROM NEW.password_hash) EXECUTE FUNCTION note_password_change()""",
    # Not named tenant_id: a session belongs to a person, and only some are held within one tenant.
    """ALTER TABLE refresh_sessions
        ADD COLUMN methods text[] NOT NULL DEFAULT '{password}',
        ADD COLUMN authenticated_at timestamptz NOT NULL DEFAULT now(),
        ADD COLUMN last_used_at timestamptz NOT NULL DEFAULT now(),
        ADD COLUMN within_tenant uuid REFERENCES tenants (id)""",
    """CREATE TABLE totp_factors (
        user_id uuid PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
        sealed_secret bytea NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        confirmed_at timestamptz,
        last_step bigint NOT NULL DEFAULT 0
    )""",
    """CREATE TABLE recovery_codes (
        code_hash bytea PRIMARY KEY CHECK (length(code_hash) = 32),
        user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
        created_at timestamptz NOT NULL DEFAULT now()
    )""",
    "CREATE INDEX ix_recovery_codes_user_id ON recovery_codes (user_id)",
    """CREATE TABLE sign_in_challenges (
        token_hash bytea PRIMARY KEY CHECK (length(token_hash) = 32),
        user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
        methods text[] NOT NULL,
        within_tenant uuid REFERENCES tenants (id),
        created_at timestamptz NOT NULL DEFAULT now(),
        expires_at timestamptz NOT NULL
    )""",
    "CREATE INDEX ix_sign_in_challenges_user_id ON sign_in_challenges (user_id)",
    """CREATE TABLE passkeys (
        id uuid PRIMARY KEY,
        user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
        credential_id bytea NOT NULL UNIQUE,
        public_key bytea NOT NULL,
        sign_count bigint NOT NULL,
        name text NOT NULL,
        transports text[] NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        last_used_at timestamptz
    )""",
    "CREATE INDEX ix_passkeys_user_id ON passkeys (user_id)",
    """CREATE TABLE passkey_challenges (
        id uuid PRIMARY KEY,
        challenge bytea NOT NULL,
        user_id uuid REFERENCES users (id) ON DELETE CASCADE,
        registers boolean NOT NULL,
        expires_at timestamptz NOT NULL
    )""",
    # A retired key is kept as what once verified, without its private half.
    """ALTER TABLE token_keys
        ADD COLUMN superseded_at timestamptz, ALTER COLUMN sealed_private_key DROP NOT NULL""",
    """CREATE TABLE sign_in_policies (
        tenant_id uuid PRIMARY KEY REFERENCES tenants (id),
        require_mfa boolean NOT NULL,
        session_hours integer CHECK (session_hours > 0),
        allowed_sign_in text[] NOT NULL,
        updated_at timestamptz NOT NULL DEFAULT now()
    )""",
    """CREATE TABLE identity_providers (
        id uuid PRIMARY KEY,
        tenant_id uuid NOT NULL REFERENCES tenants (id),
        name text NOT NULL,
        issuer text NOT NULL,
        client_id text NOT NULL,
        sealed_client_secret bytea,
        has_client_secret boolean GENERATED ALWAYS AS (sealed_client_secret IS NOT NULL) STORED,
        scopes text[] NOT NULL,
        role_claim text NOT NULL,
        role_mapping jsonb NOT NULL,
        default_role text,
        email_domains text[] NOT NULL,
        confirmed_domains text[] NOT NULL DEFAULT '{}',
        counts_as_second_factor boolean NOT NULL DEFAULT false,
        enabled boolean NOT NULL DEFAULT true,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now()
    )""",
    "CREATE INDEX ix_identity_providers_tenant_id ON identity_providers (tenant_id, id)",
    "CREATE INDEX ix_identity_providers_confirmed ON identity_providers USING gin (confirmed_domains)",
    """CREATE TABLE identity_links (
        provider_id uuid NOT NULL REFERENCES identity_providers (id) ON DELETE CASCADE,
        subject text NOT NULL,
        tenant_id uuid NOT NULL REFERENCES tenants (id),
        user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
        created_at timestamptz NOT NULL DEFAULT now(),
        last_used_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (provider_id, subject)
    )""",
    "CREATE INDEX ix_identity_links_user_id ON identity_links (user_id)",
    """CREATE TABLE sign_on_states (
        state_hash bytea PRIMARY KEY CHECK (length(state_hash) = 32),
        browser_hash bytea NOT NULL CHECK (length(browser_hash) = 32),
        provider_id uuid NOT NULL REFERENCES identity_providers (id) ON DELETE CASCADE,
        nonce text NOT NULL,
        sealed_verifier bytea NOT NULL,
        return_to text NOT NULL,
        expires_at timestamptz NOT NULL
    )""",
)

_PLATFORM = (
    "totp_factors",
    "recovery_codes",
    "sign_in_challenges",
    "passkeys",
    "passkey_challenges",
    "sign_on_states",
)
# Whose domain it is, no tenant says of itself: confirmed_domains is not among what a request's role writes.
_PROVIDER_COLUMNS = (
    "id, tenant_id, name, issuer, client_id, scopes, role_claim, role_mapping, default_role, email_domains, "
    "counts_as_second_factor, enabled, created_at, updated_at"
)


def upgrade() -> None:
    """Create the tables; no request's role reads a second factor, and none reads a client's secret."""
    for statement in _TABLES:
        op.execute(statement)
    statements = [
        *protect("sign_in_policies", app="SELECT, INSERT, UPDATE"),
        *protect(
            "identity_providers",
            app=f"SELECT ({_PROVIDER_COLUMNS}, has_client_secret, confirmed_domains), "
            f"INSERT ({_PROVIDER_COLUMNS}, sealed_client_secret), "
            f"UPDATE ({_PROVIDER_COLUMNS}, sealed_client_secret), DELETE",
        ),
        *protect("identity_links", app="SELECT"),
    ]
    for table in _PLATFORM:
        statements += grant_platform(table, app="")
    for statement in statements:
        op.execute(statement)


def downgrade() -> None:
    """Drop the tables and what was added to others."""
    for table in (
        "sign_on_states",
        "identity_links",
        "identity_providers",
        "sign_in_policies",
        "passkey_challenges",
        "passkeys",
        "sign_in_challenges",
        "recovery_codes",
        "totp_factors",
    ):
        op.execute(f"DROP TABLE {table}")
    op.execute("DELETE FROM token_keys WHERE sealed_private_key IS NULL")
    op.execute(
        "ALTER TABLE token_keys DROP COLUMN superseded_at, ALTER COLUMN sealed_private_key SET NOT NULL"
    )
    op.execute(
        "ALTER TABLE refresh_sessions DROP COLUMN methods, DROP COLUMN authenticated_at, "
        "DROP COLUMN last_used_at, DROP COLUMN within_tenant"
    )
    op.execute("DROP TRIGGER password_changed ON users")
    op.execute("DROP FUNCTION note_password_change()")
    op.execute("ALTER TABLE users DROP COLUMN password_changed_at")
