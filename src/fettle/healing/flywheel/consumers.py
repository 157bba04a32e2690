"""The flywheel's part of the pipeline: it takes note of how runs ended and of what went to a person."""

from typing import Final

from fettle.healing.flywheel.watching import note
from fettle.kernel.bus import ConsumerSpec

_BATCH: Final = 1_000
"""Nobody waits for it, so that it may as well take much at once."""

CONSUMERS: Final = [
    ConsumerSpec(
        "healing.flywheel", frozenset({"playbook.completed", "incident.escalated"}), note, batch_size=_BATCH
    )
]
