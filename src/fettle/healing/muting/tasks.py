"""What muting does on its own: looks at who is due, for what belongs together, and forgets storms of long ago."""

from typing import Final

from fettle.healing.muting.correlations import correlate_recent, forget_unconfirmed
from fettle.healing.muting.releasing import look_at_due
from fettle.incidents.storms import forget_old
from fettle.kernel.jobs import Schedule

SCHEDULE: Final = [
    Schedule("muting.look_at_due", 5.0, look_at_due),
    Schedule("muting.correlate_recent", 30.0, correlate_recent),
    Schedule("muting.forget_storms", 86_400.0, forget_old),
    Schedule("muting.forget_correlations", 86_400.0, forget_unconfirmed),
]
