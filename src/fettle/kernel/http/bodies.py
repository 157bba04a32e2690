"""What every body that is sent to us keeps to."""

from pydantic import BaseModel, ConfigDict


class Input(BaseModel):
    """What is sent to us: an unlisted field is refused, and types are not guessed."""

    model_config = ConfigDict(extra="forbid", strict=True)
