"""What a command answers: it was stored, and where to look for what comes of it."""

from typing import Literal
from uuid import UUID

from pydantic import BaseModel


class Accepted(BaseModel):
    """A command was stored and will be carried out."""

    id: UUID
    status: Literal["accepted"] = "accepted"
    href: str
