"""What rules over time do on their own: look at what is due, link incidents, forget what says nothing any more."""

from typing import Final

from fettle.healing.temporal.striking import forget, link_incidents, look_at_due
from fettle.kernel.jobs import Schedule

SCHEDULE: Final = [
    Schedule("temporal.look_at_due", 5.0, look_at_due),
    Schedule("temporal.link_incidents", 10.0, link_incidents),
    Schedule("temporal.forget", 300.0, forget),
]
