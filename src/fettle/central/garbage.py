"""How often a process looks for garbage.

Packs, routes and models are many objects that stay. Looking through them all after every few thousand allocations
stops a process for a tenth of a second at a time.
"""

import gc
from typing import Final

_THRESHOLDS: Final = (50_000, 50, 100)


def collect_seldom() -> None:
    """Look for garbage after many allocations instead of after every few thousand."""
    gc.set_threshold(*_THRESHOLDS)


def keep_what_is_loaded() -> None:
    """Leave everything that is loaded by now out of every later look."""
    gc.collect()
    gc.freeze()
