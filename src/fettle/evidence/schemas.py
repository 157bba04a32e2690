"""The API's words for evidence."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field


class BundleItem(BaseModel):
    """A bundle in a list."""

    id: UUID
    kind: Literal["incident", "audit"] = Field(description="What it vouches for.")
    incident_id: UUID | None = Field(description="None for a bundle of audit records.")
    incident_number: int | None
    incident_title: str | None
    sequence: int
    hash: str
    previous_hash: str
    signature: str
    key_id: str
    sealed_at: datetime


class BundleOut(BundleItem):
    """A bundle, whole, as it was sealed."""

    bundle: dict[str, Any]


class BundlePage(BaseModel):
    """A page of bundles, newest first."""

    items: list[BundleItem]
    next_cursor: str | None


class KeyOut(BaseModel):
    """A public key that sealed or seals."""

    key_id: str
    public_key: str
    created_at: datetime


class KeysOut(BaseModel):
    """The installation's keys, oldest first, and the statements by which each handed over to the next."""

    keys: list[KeyOut]
    rollovers: list[dict[str, Any]]


class CheckpointOut(BaseModel):
    """How long the chain is and what it ends in, signed; keep it apart from the export."""

    tenant_id: UUID
    size: int
    head: str
    at: datetime
    key_id: str
    signature: str
