"""Every setting of the platform, read from ``FETTLE_*`` in the environment or from ``.env``."""

import os
import sys
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError
from pydantic.functional_validators import AfterValidator, BeforeValidator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from fettle.kernel.mail_server import read_mail_server


class SettingsError(Exception):
    """A setting has a value that cannot be used; the text is one line that names it."""


def default_home() -> Path:
    """Return the platform's folder below the user's data folder (XDG Base Directory, or macOS's own)."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "fettle"
    data = os.environ.get("XDG_DATA_HOME")
    return (Path(data) if data else Path.home() / ".local" / "share") / "fettle"


def _comma_separated(value: object) -> object:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def _console_address(address: str) -> str:
    parts = urlsplit(address)
    extra = parts.path.strip("/") or parts.query or parts.fragment or parts.username
    if parts.scheme not in {"http", "https"} or not parts.hostname or extra or not address.isprintable():
        raise ValueError("must be https://host or https://host:port, without a path")
    return address.rstrip("/")


def _mail_server(url: SecretStr) -> SecretStr:
    read_mail_server(url.get_secret_value())
    return url


def _readable_file(path: Path) -> Path:
    if not path.is_file() or not os.access(path, os.R_OK):
        raise ValueError("must name a file that can be read")
    return path


def _postgres_address(url: SecretStr) -> SecretStr:
    parts = urlsplit(url.get_secret_value())
    if parts.scheme != "postgresql" or not (parts.hostname or parts.query) or parts.port == 0:
        raise ValueError("must be postgresql://role:password@host/name")
    return url


def _redis_address(url: SecretStr) -> SecretStr:
    parts = urlsplit(url.get_secret_value())
    if (
        parts.scheme not in {"redis", "rediss", "unix"}
        or not (parts.hostname or parts.path)
        or parts.port == 0
    ):
        raise ValueError("must be redis://host:6379/0, or with TLS rediss://")
    return url


PostgresAddress = Annotated[SecretStr, AfterValidator(_postgres_address)]
RedisAddress = Annotated[SecretStr, AfterValidator(_redis_address)]
CommaSeparated = Annotated[list[str], NoDecode, BeforeValidator(_comma_separated)]


class Settings(BaseSettings):
    """The settings of one installation; each is also described in ``docs/settings.md``."""

    model_config = SettingsConfigDict(env_prefix="FETTLE_", env_file=".env", extra="ignore", frozen=True)

    home: Path = Field(default_factory=default_home, description="Folder of data, keys and logs.")
    host: str = Field("127.0.0.1", description="Address that the API and the console listen on.")
    port: int = Field(8321, ge=1, le=65535, description="Port that the API and the console listen on.")
    public_url: Annotated[str, AfterValidator(_console_address)] | None = Field(
        None,
        description="Address by which people reach the console, for links, such as https://fettle.example.org.",
    )
    tls_certificate: Path | None = Field(
        None,
        description=(
            "PEM file of the certificate that the port is served with over https, its authorities after it; a "
            "changed file is taken up by the next connection; unset: http, for a proxy with TLS in front."
        ),
    )
    tls_key: Path | None = Field(
        None, description="PEM file of the certificate's key, without a passphrase, which others cannot read."
    )
    database_url: PostgresAddress | None = Field(
        None,
        description="PostgreSQL 16+ as the schema's owner, postgresql://role:password@host/name; unset: embedded.",
    )
    database_app_url: PostgresAddress | None = Field(
        None, description="The same database as the role fettle_app, which row-level security binds."
    )
    database_system_url: PostgresAddress | None = Field(
        None, description="The same database as the role fettle_system, for the bus and sign-in."
    )
    api_processes: int = Field(
        1,
        ge=1,
        le=64,
        description="Processes of the API that `fettle up` runs; each can fill one processor core.",
    )
    worker_processes: int = Field(
        1,
        ge=1,
        le=64,
        description="Processes of the worker, which heals, that `fettle up` runs; each can fill one core.",
    )
    database_pool_size: int = Field(10, ge=2, le=200, description="Connections per process and role.")
    redis_url: RedisAddress | None = Field(None, description="Redis 7, redis://host:6379/0; unset: embedded.")
    master_key: SecretStr | None = Field(
        None,
        description="Base64 of 32 bytes that wrap every stored secret; unset: a file in the home folder.",
    )
    old_master_keys: SecretStr | None = Field(
        None,
        description="Master keys from before, which still open what they sealed; comma-separated.",
    )
    token_key_days: int = Field(
        90, ge=1, le=3650, description="A key that signs access tokens is superseded after so many days."
    )
    sovereign: bool = Field(True, description="Nothing leaves this installation but to listed endpoints.")
    allowed_hosts: CommaSeparated = Field(
        default_factory=list,
        description="Host names that requests may name, besides loopback; comma-separated.",
    )
    cors_origins: CommaSeparated = Field(
        default_factory=list, description="Origins of other pages that may call the API; comma-separated."
    )
    egress_allow: CommaSeparated = Field(
        default_factory=list,
        description=(
            "Where tools may send requests: names and networks with a port, such as api.example.com, "
            "*.example.com:8443 or 10.1.2.0/24:443, each for one tenant with @<tenant id>; comma-separated."
        ),
    )
    planner_chain: CommaSeparated = Field(
        default_factory=lambda: ["retrieval"],
        description=(
            "Who is asked for a plan, in this order: retrieval (past incidents, no network), openai:<model>@<url> for "
            "any OpenAI-compatible endpoint such as openai:qwen3@http://10.1.2.3:8000/v1, anthropic:<model>@<url>; "
            "comma-separated; unset: retrieval."
        ),
    )
    planner_allow: CommaSeparated = Field(
        default_factory=list,
        description="Endpoints that the planner may reach, written as in FETTLE_EGRESS_ALLOW; comma-separated.",
    )
    planner_keys: SecretStr | None = Field(
        None, description="API keys of planner endpoints, <host>=<key> or <host:port>=<key>; comma-separated."
    )
    planner_prices: CommaSeparated = Field(
        default_factory=list,
        description="Prices of models, <model>=<input>/<output> in US dollars for a million tokens; comma-separated.",
    )
    planner_timeout_seconds: float = Field(
        30.0, gt=0, le=300, description="Longest that one provider of plans may take for an answer."
    )
    max_body_bytes: int = Field(
        4_000_000, ge=1_000, le=100_000_000, description="Largest request body accepted."
    )
    request_timeout_seconds: float = Field(
        30.0, gt=0, le=600, description="Longest that one request may take."
    )
    hooks_spool_bytes: int = Field(
        64_000_000,
        ge=1_000_000,
        le=10_000_000_000,
        description="What webhooks may take on this machine's disk while the database is away.",
    )
    rate_limit_per_minute: int = Field(
        600_000, ge=1, description="Requests per minute and tenant, before 429 is answered."
    )
    smtp_url: Annotated[SecretStr, AfterValidator(_mail_server)] | None = Field(
        None,
        description=(
            "Mail server for notifications, invitations and password resets: smtps://user:password@host:465, or "
            "smtp://user:password@host:587 with STARTTLS (?cafile=<file> trusts that authority alone, "
            "?starttls=none sends without TLS and without a password); unset: no e-mail."
        ),
    )
    smtp_from: str | None = Field(None, description="Sender of mail, such as fettle@example.org.")
    breached_passwords: Annotated[Path, AfterValidator(_readable_file)] | None = Field(
        None,
        description=(
            "List of breached passwords that no new one may be in: SHA-1 hashes in their order, as Have I Been Pwned "
            "publishes them; unset: none is looked for."
        ),
    )
    sms_provider: str | None = Field(
        None,
        pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$",
        description=(
            "Who sends text messages: <module>:<name> of a class or function of your own, called once with the "
            "settings; what it returns has an async send(number, text, idempotency_key). Unset: no text messages."
        ),
    )
    ws_query_token: bool = Field(
        False, description="Accept the token in the WebSocket address, for old clients."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level logged.")
    log_format: Literal["auto", "json", "console"] = Field("auto", description="auto: console on a terminal.")
    packs_trusted_keys: CommaSeparated = Field(
        default_factory=list,
        description="Base64 Ed25519 public keys whose signature lets a pack be installed; comma-separated.",
    )
    packs_allow_unsigned: bool = Field(
        False, description="Platform administrators may install packs that nobody signed; for development."
    )
    sentry_dsn: SecretStr | None = Field(None, description="Where errors are reported; unset: nowhere.")
    lease_seconds: float = Field(
        5.0, gt=0.1, le=300, description="How long a dead process keeps its work before another takes it."
    )
    quiet_close_hours: float = Field(
        24.0, gt=0, description="A resolved incident closes after so many hours without a new occurrence."
    )
    minutes_per_incident: float = Field(
        20.0,
        ge=0,
        le=1440,
        description="Minutes of work that an incident healed at L1 or L2 is taken to save; the overview says so.",
    )

    @property
    def scheme(self) -> Literal["http", "https"]:
        """What the port speaks."""
        return "https" if self.tls_certificate is not None else "http"

    @property
    def is_https(self) -> bool:
        """Whether people come by https, to the port itself or to a proxy before it."""
        return self.scheme == "https" or (self.public_url or "").startswith("https://")


def load_settings(**overrides: object) -> Settings:
    """Read the settings.

    Args:
        **overrides: Values that win over the environment, by field name.

    Raises:
        SettingsError: With one line that names the setting, its value's fault and what it may be.
    """
    try:
        return Settings(**overrides)  # type: ignore[arg-type]  # pydantic checks each value itself
    except ValidationError as error:
        first = error.errors()[0]
        name = "FETTLE_" + "_".join(str(part) for part in first["loc"]).upper()
        said = first["msg"].removeprefix("Value error, ")
        raise SettingsError(f"{name}: {said}. Mend it in the environment or in .env.") from None
