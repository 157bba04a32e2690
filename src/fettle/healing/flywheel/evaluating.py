"""Whether a choice has healed a pattern often and surely enough to become a rule; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fettle.healing.flywheel.figures import BADLY, lower_bound
from fettle.healing.flywheel.profiles import VALUES_KEPT, Profile

BY_PERSON: Final = "by_person"
BY_ITSELF: Final = "by_itself"

_IGNORED: Final = (
    "details.*_id", "details.id", "details.*uuid*", "details.pid", "details.*_pid", "details.*_at",
    "details.*time*", "details.*date*", "details.*count*", "details.attempt*", "labels.instance", "labels.*_id",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Criteria:
    """What a tenant's policy asks of a pattern before it becomes a rule, and of the rule from then on.

    Attributes:
        enabled: Rules are proposed at all.
        promotion: `by_person` or `by_itself`.
        least_successes: Fewer are no ground.
        lower_bound: Of Wilson's interval, at least.
        confidence: Of that interval.
        clean_last: No failure among so many of the latest outcomes.
        variety: A field with so many different values is left open.
        ignored_fields: Paths of what says nothing of the fault; `*` stands for any text.
        priority: Of a grown rule; those of packs come before it.
        shadow_successes: So often it must have been right before it acts anywhere.
        canary_share: The share of what it would act on at first.
        canary_successes: So often it must have healed there before it acts everywhere.
        retire_failures: So many failures among the latest retire it.
        retire_window: Among so many.
        pool: Its figures go into the pool, and it sees the pool's.
        minutes_by_hand: What a person takes for such an incident.
        cost_per_hour: What that person's hour costs.
        currency: In which currency.
    """

    enabled: bool = True
    promotion: str = BY_PERSON
    least_successes: int = 5
    lower_bound: float = 0.8
    confidence: float = 0.95
    clean_last: int = 10
    variety: int = 5
    ignored_fields: tuple[str, ...] = _IGNORED
    priority: int = 900
    shadow_successes: int = 3
    canary_share: float = 0.25
    canary_successes: int = 3
    retire_failures: int = 2
    retire_window: int = 10
    pool: bool = False
    minutes_by_hand: float = 20.0
    cost_per_hour: float = 60.0
    currency: str = "USD"

    @classmethod
    def of(cls, policy: Mapping[str, Any]) -> "Criteria":
        """Return what a Policy Pack says, and the defaults for what it does not."""
        said = {name: value for name, value in (policy.get("flywheel") or {}).items() if name in _NAMES}
        if "ignored_fields" in said:
            said["ignored_fields"] = tuple(said["ignored_fields"])
        found = cls(**said)
        return found if found.variety <= VALUES_KEPT else cls(**{**said, "variety": VALUES_KEPT})


_NAMES: Final = frozenset(Criteria.__dataclass_fields__)


@dataclass(frozen=True, slots=True)
class Record:
    """What a choice did for a pattern where no rule made it.

    Attributes:
        succeeded: How often it healed.
        failed: How often it did not.
        recent: The latest outcomes, newest last.
        profile: What the successes have in common.
        origins: Where the parameters came from, None where they were not made alike.
    """

    succeeded: int
    failed: int
    recent: str
    profile: Profile | None
    origins: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Criterion:
    """One thing that is asked.

    Attributes:
        name: What it is called.
        wanted: What is asked for, in words.
        found: What there is, in words.
        met: Whether that is enough.
    """

    name: str
    wanted: str
    found: str
    met: bool


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What became of the question whether a choice may become a rule."""

    criteria: tuple[Criterion, ...]
    lower_bound: float

    @property
    def eligible(self) -> bool:
        """Whether all that is asked for is there."""
        return all(criterion.met for criterion in self.criteria)

    def document(self) -> dict[str, Any]:
        """Return it as events and the API hold it."""
        return {
            "eligible": self.eligible,
            "lower_bound": round(self.lower_bound, 4),
            "criteria": [
                {"name": one.name, "wanted": one.wanted, "found": one.found, "met": one.met}
                for one in self.criteria
            ],
        }


def evaluate(record: Record, criteria: Criteria, further: Sequence[Criterion] = ()) -> Evaluation:
    """Ask everything of a record.

    Args:
        record: What the choice did.
        criteria: What the policy asks for.
        further: What is asked besides, such as whether the policy allows the choice.
    """
    tried = record.succeeded + record.failed
    bound = lower_bound(record.succeeded, tried, criteria.confidence)
    last = record.recent[-criteria.clean_last :] if criteria.clean_last else ""
    failures = last.count(BADLY)
    fields = len(record.profile["fields"]) if record.profile else 0
    asked = (
        Criterion(
            "successes",
            f"at least {criteria.least_successes}",
            str(record.succeeded),
            record.succeeded >= criteria.least_successes,
        ),
        Criterion(
            "lower_bound",
            f"at least {criteria.lower_bound:.2f}",
            f"{bound:.2f}",
            bound >= criteria.lower_bound,
        ),
        Criterion(
            "recent", f"no failure in the last {criteria.clean_last}", f"{failures} failed", failures == 0
        ),
        Criterion(
            "parameters",
            "made alike every time",
            "made alike" if record.origins is not None else "not alike",
            record.origins is not None and record.profile is not None,
        ),
        Criterion(
            "fields",
            "few enough to be read",
            "too many" if record.profile and record.profile["over"] else str(fields),
            record.profile is not None and not record.profile["over"],
        ),
        *further,
    )
    return Evaluation(asked, bound)
