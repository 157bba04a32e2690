"""What is being worked on right now: the ids that every log line of a request, message or task carries."""

from contextvars import ContextVar

request_id: ContextVar[str | None] = ContextVar("fettle_request_id", default=None)
tenant_id: ContextVar[str | None] = ContextVar("fettle_tenant_id", default=None)
actor: ContextVar[str | None] = ContextVar("fettle_actor", default=None)
