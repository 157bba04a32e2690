"""Table of the auditor: what is overdue."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import DateTime, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from fettle.kernel.tenancy import Base, TenantOwned

_MOMENT = DateTime(timezone=True)
_NOW = text("now()")


class OverdueItem(TenantOwned, Base):
    """Something whose next event did not come in time; over when it moved again."""

    __tablename__ = "overdue_items"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    subject_id: Mapped[UUID]
    about_incident_id: Mapped[UUID | None]
    is_for_person: Mapped[bool]
    due_at: Mapped[datetime] = mapped_column(_MOMENT)
    found_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=_NOW)
    looked_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=_NOW)
    moved_at: Mapped[datetime | None] = mapped_column(_MOMENT)
    incident_id: Mapped[UUID]
