"""The API's words for hosts."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

HostPlatform = Literal["windows", "linux", "macos", "network"]
Executor = Literal["none", "local", "agent", "winrm", "ssh"]


class HostIn(BaseModel):
    """A host to be declared; one with the same name is changed."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=200, examples=["front-desk-02"])]
    platform: HostPlatform
    executor: Annotated[Executor, Field(description="How runbooks reach it; none: they do not.")] = "none"
    sandbox_root: Annotated[
        str | None,
        Field(
            max_length=1000,
            description="The one folder that the local executor may touch, below the installation's own "
            "sandbox folder; only a platform administrator sets it.",
        ),
    ] = None


class HostOut(BaseModel):
    """A host."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    name: str
    platform: HostPlatform
    executor: Executor
    sandbox_root: str | None
    created_at: datetime
    updated_at: datetime


class HostPage(BaseModel):
    """One page of hosts."""

    items: list[HostOut]
    next_cursor: str | None = None


class HostAccepted(BaseModel):
    """A host was declared."""

    id: UUID
    status: Literal["accepted"] = "accepted"
    href: str
