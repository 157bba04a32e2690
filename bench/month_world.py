"""A month of operations that never was: fifty tenants, their faults, and what each fault's cause is. By seed alone.

What it is made of, so that nobody has to guess:

- A tenant has 15 to 120 hosts, some linux and some windows, and a dozen to thirty kinds of fault out of a catalogue
  of sixty. A kind has a check, a text, details, a rate (a few kinds come often, most seldom: 1/n), and a cause.
- A cause is what a runbook can heal, or nothing can (one kind in eight).
- The packs' rules know the causes of the kinds that come most often anywhere, and of some of them wrongly.
- Arrivals follow the hours of a working day, less at the weekend. Once in a few days a burst has one fault on many
  hosts within minutes. One fault in fifteen flaps: the same host reports it again and again within the hour.
- Causes change: at one day of the month, one kind in ten begins to have another one, so that what healed no longer
  does. That is what a rule that grew must notice.
- The planner chooses rightly in 85 of 100 cases for a kind that it is good at and in 40 for one that it is not, says
  nothing in 12 of 100, and is right again if it was right before (it remembers).
- A runbook that fits the cause heals in 97 of 100 cases. One that does not fit passes its check all the same in 2 of
  100: a false heal, which comes back within the day.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

DAYS = 30
HOUR = 3_600.0
DAY = 24 * HOUR
KINDS = 60
RUNBOOKS = [f"RB-MONTH-{number:02}" for number in range(24)]
_WORDS = [
    "disk", "queue", "agent", "backup", "mail", "clock", "store", "proxy", "index", "cache", "relay", "lease",
    "share", "print", "scan", "sync",
]  # fmt: skip
_STATES = ["stalled", "refused", "expired", "missing", "stopped", "full", "corrupt", "behind"]


@dataclass(frozen=True)
class Kind:
    """A kind of fault.

    Attributes:
        cause: The runbook that heals it, None where none does.
        later: The same from the day `turns` on.
        known: The runbook that a pack's rule runs for it, None where no rule knows it.
        skill: How often the planner is right about it.
    """

    number: int
    check_type: str
    platform: str
    text: str
    cause: str | None
    later: str | None
    turns: float
    known: str | None
    skill: float
    needs: bool


@dataclass
class Tenant:
    """One tenant's hosts and faults."""

    name: str
    hosts: list[tuple[str, str]]
    kinds: list[tuple[Kind, float]]
    per_day: float
    remembered: dict[tuple[int, str | None], str] = field(default_factory=dict)


@dataclass(frozen=True, order=True)
class Fault:
    """One fault as it happens.

    Attributes:
        at: Seconds since the month began.
        cause: What heals it, at that time.
    """

    at: float
    number: int
    kind: Kind = field(compare=False)
    host: str = field(compare=False)
    cause: str | None = field(compare=False)

    def incident(self) -> dict[str, Any]:
        """Return it as triage gives it to the rules."""
        kind = self.kind
        details: dict[str, Any] = {"unit": f"{kind.check_type}.service", "size": 10 + (self.number * 37) % 90}
        if kind.needs:
            details["path"] = f"/srv/{kind.check_type}/{hash_of(self.host) % 4}"
        return {
            "id": str(self.number),
            "check_type": kind.check_type,
            "platform": kind.platform,
            "severity": "high" if kind.number % 3 == 0 else "medium",
            "source": "agent",
            "host": self.host,
            "site": f"site-{hash_of(self.host) % 3}",
            "summary": f"{kind.text} on {self.host} for {self.number % 50} s",
            "fingerprint": f"{hash_of(self.host + kind.check_type):016x}",
            "labels": {"team": "operations"},
            "details": details,
        }


def hash_of(text: str) -> int:
    """Return a number that stands for a text in every process alike."""
    value = 14_695_981_039_346_656_037
    for byte in text.encode():
        value = (value ^ byte) * 1_099_511_628_211 % 2**64
    return value


def catalogue(random: Random) -> list[Kind]:
    """Return the kinds of fault, those that come most often first."""
    kinds = []
    for number in range(KINDS):
        word, state = _WORDS[number % len(_WORDS)], _STATES[number % len(_STATES)]
        cause = None if number % 8 == 7 else random.choice(RUNBOOKS)
        later = random.choice(RUNBOOKS) if cause is not None and random.random() < 0.1 else cause
        known = cause if number < KINDS // 4 else None
        if known is not None and random.random() < 0.1:
            known = random.choice(RUNBOOKS)
        kinds.append(
            Kind(
                number, f"{word}_{state}_{number}", "windows" if number % 3 == 2 else "linux",
                f"The {word} is {state}", cause, later, random.uniform(8, 24) * DAY, known,
                0.85 if random.random() < 0.75 else 0.4, number % 4 == 1,
            )
        )  # fmt: skip
    return kinds


def tenants(random: Random, kinds: list[Kind], count: int) -> list[Tenant]:
    """Return the tenants."""
    made = []
    for number in range(count):
        hosts = [
            (
                f"t{number:02}-{'ws' if place % 3 == 2 else 'srv'}-{place:03}",
                "windows" if place % 3 == 2 else "linux",
            )
            for place in range(random.randint(15, 120))
        ]
        own = sorted(random.sample(kinds, random.randint(12, 30)), key=lambda kind: kind.number)
        weights = [(kind, 1 / (1 + kind.number / 4)) for kind in own]
        made.append(Tenant(f"tenant-{number:02}", hosts, weights, random.uniform(8, 40)))
    return made


def month(random: Random, tenant: Tenant) -> list[Fault]:
    """Return a tenant's faults of the month, in the order in which they happen."""
    faults: list[Fault] = []
    for at, kind, host in _happenings(random, tenant):
        cause = kind.later if at >= kind.turns else kind.cause
        faults.append(Fault(at, len(faults), kind, host, cause))
    return sorted(faults)


def _happenings(random: Random, tenant: Tenant) -> Iterator[tuple[float, Kind, str]]:
    kinds, weights = [kind for kind, _ in tenant.kinds], [weight for _, weight in tenant.kinds]
    for day in range(DAYS):
        busy = 0.5 if day % 7 in (5, 6) else 1.0
        for _ in range(_poisson(random, tenant.per_day * busy)):
            kind = random.choices(kinds, weights)[0]
            at = day * DAY + random.triangular(0, DAY, 11 * HOUR)
            host = _host(random, tenant, kind)
            yield at, kind, host
            if random.random() < 1 / 15:
                for again in range(random.randint(2, 6)):
                    yield at + (again + 1) * random.uniform(200, 700), kind, host
        if random.random() < 0.25:
            kind, at = random.choices(kinds, weights)[0], day * DAY + random.uniform(0, DAY)
            for _ in range(random.randint(5, 40)):
                yield at + random.uniform(0, 300), kind, _host(random, tenant, kind)


def _host(random: Random, tenant: Tenant, kind: Kind) -> str:
    fitting = [name for name, platform in tenant.hosts if platform == kind.platform]
    return random.choice(fitting or [name for name, _ in tenant.hosts])


def _poisson(random: Random, mean: float) -> int:
    total, count = random.expovariate(1.0), 0
    while total < mean:
        count += 1
        total += random.expovariate(1.0)
    return count
