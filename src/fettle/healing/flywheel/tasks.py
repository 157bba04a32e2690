"""The flywheel's scheduled work: it looks at what changed, sums up the pool, and forgets what is not met any more."""

from typing import Final

from fettle.healing.flywheel.forgetting import forget_unmet
from fettle.healing.flywheel.pool import refresh
from fettle.healing.flywheel.proposing import turn
from fettle.kernel.jobs import Schedule

SCHEDULE: Final = [
    Schedule("flywheel.turn", every_seconds=30, run=turn),
    Schedule("flywheel.refresh_pool", every_seconds=3_600, run=refresh),
    Schedule("flywheel.forget_unmet", every_seconds=86_400, run=forget_unmet),
]
