"""When a promoted rule goes a stage on, and when it has regressed; pure."""

from dataclasses import dataclass
from typing import Final

from fettle.healing.flywheel.evaluating import Criteria
from fettle.healing.flywheel.figures import BADLY

PROPOSED: Final = "proposed"
SHADOW: Final = "shadow"
CANARY: Final = "canary"
FULL: Final = "full"
RETIRED: Final = "retired"
DISMISSED: Final = "dismissed"
ADOPTED: Final = "adopted"

ACTING: Final = (CANARY, FULL)
LIVE: Final = (SHADOW, CANARY, FULL)

FOLLOWING: Final = {PROPOSED: SHADOW, SHADOW: CANARY, CANARY: FULL}


@dataclass(frozen=True, slots=True)
class Watched:
    """What is known of a promoted rule.

    Attributes:
        state: Its stage.
        shadow_right: How often it would have done what then healed.
        shadow_wrong: How often it would have done what then failed.
        stage_well: How often it healed in its present stage.
        recent: The latest outcomes of what it did itself, newest last.
    """

    state: str
    shadow_right: int
    shadow_wrong: int
    stage_well: int
    recent: str


def goes_on(watched: Watched, criteria: Criteria) -> str | None:
    """Return the stage that has been earned, None where the present one has not been passed."""
    if watched.state == SHADOW and watched.shadow_right >= criteria.shadow_successes:
        return CANARY
    if watched.state == CANARY and watched.stage_well >= criteria.canary_successes:
        return FULL
    return None


def regressed(watched: Watched, criteria: Criteria) -> str | None:
    """Return why a rule has to go, None where it may stay."""
    if watched.state == SHADOW and watched.shadow_wrong:
        return "In shadow it would have done what then did not heal."
    if watched.state == CANARY and BADLY in watched.recent:
        return "It did not heal where it was tried first."
    if watched.state == FULL:
        failures = watched.recent[-criteria.retire_window :].count(BADLY)
        if failures >= criteria.retire_failures:
            return f"{failures} of its last {min(len(watched.recent), criteria.retire_window)} runs did not heal."
    return None
