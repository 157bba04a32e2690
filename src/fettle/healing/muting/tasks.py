"""What muting does on its own: looks at tenants where something began or ended."""

from typing import Final

from fettle.healing.muting.releasing import look_at_due
from fettle.kernel.jobs import Schedule

SCHEDULE: Final = [Schedule("muting.look_at_due", 5.0, look_at_due)]
