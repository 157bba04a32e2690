"""The flywheel's scheduled work: it looks at what changed, and sums up the pool."""

from typing import Final

from fettle.healing.flywheel.pool import refresh
from fettle.healing.flywheel.proposing import turn
from fettle.kernel.jobs import Schedule

SCHEDULE: Final = [
    Schedule("flywheel.turn", every_seconds=30, run=turn),
    Schedule("flywheel.refresh_pool", every_seconds=3_600, run=refresh),
]
