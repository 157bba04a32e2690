"""What rules over time remember, in the database: read and written under the lock of their tenant, within limits."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg

from fettle.healing.temporal.kinds import OUTCOMES, Fired, due_at, expect, forget_at, take
from fettle.healing.temporal.matching import Key, TemporalRules, Touch, expected_key, named
from fettle.healing.temporal.moments import KeyState, from_ms, to_ms
from fettle.healing.temporal.rules import TemporalRule
from fettle.healing.temporal.simulation import Firing
from fettle.kernel.jsonio import dumps_str

MOST_KEYS: Final = 200_000
"""Most keys that are remembered for one tenant."""

TOLD_EVERY: Final = timedelta(hours=1)
ROW_BYTES: Final = 120
"""What a row takes beside its key and its state."""

_EVICTED_AT_ONCE: Final = 0.05

_LOCK: Final = "SELECT due_at, expected FROM temporal_clocks WHERE tenant_id = $1 FOR UPDATE"
_BEGIN: Final = "INSERT INTO temporal_clocks (tenant_id) VALUES ($1) ON CONFLICT DO NOTHING"
_FIGURES: Final = "SELECT rule_id, keys, limit_told_at FROM temporal_figures WHERE tenant_id = $1"
_LOAD: Final = """
SELECT k.rule_id, k.key_hash, k.stamp, k.state, k.bytes FROM temporal_keys k
JOIN unnest($2::text[], $3::text[]) AS w(rule_id, key_hash) USING (rule_id, key_hash) WHERE k.tenant_id = $1
"""
_STORE: Final = """
INSERT INTO temporal_keys (tenant_id, rule_id, key_hash, key, stamp, state, bytes, due_at, forget_at, seen_at)
SELECT $1, n.rule_id, n.key_hash, n.key::jsonb, n.stamp, n.state::jsonb, n.bytes, n.due_at, n.forget_at, $10
FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::int[], $8::timestamptz[],
            $9::timestamptz[]) AS n(rule_id, key_hash, key, stamp, state, bytes, due_at, forget_at)
ON CONFLICT (tenant_id, rule_id, key_hash) DO UPDATE SET
  stamp = excluded.stamp, state = excluded.state, bytes = excluded.bytes, due_at = excluded.due_at,
  forget_at = excluded.forget_at, seen_at = excluded.seen_at
"""
_READ: Final = """
SELECT key_hash, key, state, bytes, due_at, seen_at FROM temporal_keys
WHERE tenant_id = $1 AND rule_id = $2 AND key_hash = $3
"""
_DROP: Final = "DELETE FROM temporal_keys WHERE tenant_id = $1 AND rule_id = $2 AND key_hash = $3"
_DROP_WAITING: Final = """
WITH gone AS (
  DELETE FROM temporal_keys WHERE tenant_id = $1 AND rule_id = ANY($2) AND due_at IS NOT NULL RETURNING rule_id, bytes
)
SELECT rule_id, count(*)::int AS keys, sum(bytes)::bigint AS bytes FROM gone GROUP BY rule_id
"""
_EVICT: Final = """
WITH gone AS (
  DELETE FROM temporal_keys WHERE tenant_id = $1 AND rule_id = $2 AND key_hash IN (
    SELECT key_hash FROM temporal_keys WHERE tenant_id = $1 AND rule_id = $2 AND key_hash <> ALL($3)
    ORDER BY seen_at LIMIT $4
  ) RETURNING bytes
) SELECT count(*)::int AS keys, coalesce(sum(bytes), 0)::bigint AS bytes FROM gone
"""
_ADD_UP: Final = """
INSERT INTO temporal_figures AS f (tenant_id, rule_id, keys, bytes, counted, held, late, repeated, passed_over, fired,
                                   evicted, refused, fired_at, limit_told_at)
SELECT $1, n.* FROM unnest($2::text[], $3::int[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
  $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::timestamptz[], $14::timestamptz[]) AS n
ON CONFLICT (tenant_id, rule_id) DO UPDATE SET
  keys = f.keys + excluded.keys, bytes = f.bytes + excluded.bytes, counted = f.counted + excluded.counted,
  held = f.held + excluded.held, late = f.late + excluded.late, repeated = f.repeated + excluded.repeated,
  passed_over = f.passed_over + excluded.passed_over, fired = f.fired + excluded.fired,
  evicted = f.evicted + excluded.evicted, refused = f.refused + excluded.refused,
  fired_at = coalesce(excluded.fired_at, f.fired_at), limit_told_at = coalesce(excluded.limit_told_at, f.limit_told_at)
"""
_SOONER: Final = """
UPDATE temporal_clocks SET due_at = $2 WHERE tenant_id = $1 AND (due_at IS NULL OR due_at > $2)
"""


@dataclass(slots=True)
class Figures:
    """What is added to a rule's figures."""

    keys: int = 0
    bytes: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    fired: int = 0
    evicted: int = 0
    refused: int = 0
    limit_told_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Limit:
    """Keys that there was no room for, of which somebody is to be told.

    Attributes:
        rule: The rule.
        did: ``evicted`` the keys that were seen least lately, or ``refused`` new ones.
        keys: How many.
        most: The limit.
    """

    rule: TemporalRule
    did: str
    keys: int
    most: int


class Keeper:
    """A tenant's keys in one transaction; whoever opens it holds the tenant's lock to the end of that.

    Attributes:
        expected: Which rules' expected keys are there, as `Current.stamp` says; None for none.
        limits: Of which somebody is to be told.
    """

    def __init__(
        self, connection: asyncpg.Connection, tenant_id: UUID, now: datetime, expected: str | None
    ) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._now = now
        self.expected = expected
        self.limits: list[Limit] = []
        self._keys: dict[str, int] = {}
        self._told_at: dict[str, datetime | None] = {}
        self._states: dict[tuple[str, str], KeyState] = {}
        self._bytes: dict[tuple[str, str], int] = {}
        self._changed: dict[tuple[str, str], tuple[TemporalRule, Key]] = {}
        self._figures: defaultdict[str, Figures] = defaultdict(Figures)

    @classmethod
    async def open(cls, connection: asyncpg.Connection, tenant_id: UUID, now: datetime) -> "Keeper":
        """Lock a tenant's keys.

        Args:
            connection: With the tenant bound, in a transaction.
            tenant_id: Whose.
            now: The present.
        """
        row = await connection.fetchrow(_LOCK, tenant_id)
        if row is None:
            await connection.execute(_BEGIN, tenant_id)
            row = await connection.fetchrow(_LOCK, tenant_id)
            assert row is not None
        keeper = cls(connection, tenant_id, now, row["expected"])
        for figures in await connection.fetch(_FIGURES, tenant_id):
            keeper._keys[figures["rule_id"]] = figures["keys"]
            keeper._told_at[figures["rule_id"]] = figures["limit_told_at"]
        return keeper

    async def take(self, touches: Sequence[Touch]) -> list[Firing]:
        """Let rules see exceptions, in their order; returns what they found."""
        await self._load([(touch.rule, touch.key) for touch in touches])
        found = []
        for rule, key, arrival in touches:
            state = self._state(rule, key)
            if state is None:
                continue
            taken = take(rule, state, arrival)
            self._figures[rule.id].outcomes[taken.outcome] += 1
            if taken.fired is not None:
                found.append(self._fired(rule, key, taken.fired))
        return found

    async def expect(self, rules: TemporalRules, stamp: str) -> None:
        """Begin to look for the keys that rules expect and that are not known yet."""
        wanted = [(rule, expected_key(rule, values)) for rule in rules.expecting for values in rule.expected]
        await self._load(wanted)
        for rule, key in wanted:
            name = (rule.id, key.hash)
            known = self._states.get(name)
            is_known = known is not None and bool(known.moments)
            if not is_known and self._state(rule, key) is not None:
                self._states[name] = expect(to_ms(self._now))
        self.expected = stamp
        await self._connection.execute(
            "UPDATE temporal_clocks SET expected = $2 WHERE tenant_id = $1", self._tenant_id, stamp
        )

    def put(
        self, rule: TemporalRule, key: Key, state: KeyState, size: int, fired: Sequence[Fired]
    ) -> list[Firing]:
        """Note the state of a key that was read elsewhere, and what came of it."""
        self._states[(rule.id, key.hash)] = state
        self._bytes[(rule.id, key.hash)] = size
        self._changed[(rule.id, key.hash)] = (rule, key)
        return [self._fired(rule, key, one) for one in fired]

    async def forget(self, rule: TemporalRule, key_hash: str) -> dict[str, Any] | None:
        """Forget a key, or begin anew to look for it where the rule expects it; returns what was remembered."""
        row = await self._connection.fetchrow(_READ, self._tenant_id, rule.id, key_hash)
        if row is None:
            return None
        key = _expected(rule).get(key_hash) if rule.enabled else None
        if key is None:
            await self._connection.execute(_DROP, self._tenant_id, rule.id, key_hash)
            self.dropped(rule.id, row["bytes"])
        else:
            self.put(rule, key, expect(to_ms(self._now)), row["bytes"], ())
        return dict(row)

    def begins_anew(self, rule: TemporalRule, row: asyncpg.Record) -> bool:
        """Begin anew to look for a key that a rule expects and that an earlier version of it remembered.

        A process that had not heard of the change yet may have written it over what the rule as it is now began.
        """
        if row["stamp"] == rule.stamp:
            return False
        key = _expected(rule).get(row["key_hash"])
        if key is not None:
            self.put(rule, key, expect(to_ms(self._now)), row["bytes"], ())
        return key is not None

    async def drop_waiting(self, rule_ids: Sequence[str]) -> None:
        """Forget what rules wait for; what they told of is remembered, so that its end is told as well."""
        for row in await self._connection.fetch(_DROP_WAITING, self._tenant_id, list(rule_ids)):
            figures = self._figures[row["rule_id"]]
            figures.keys -= row["keys"]
            figures.bytes -= row["bytes"]
            self._keys[row["rule_id"]] = self._keys.get(row["rule_id"], 0) - row["keys"]

    def dropped(self, rule_id: str, size: int) -> None:
        """Note that a key was deleted."""
        self._figures[rule_id].keys -= 1
        self._figures[rule_id].bytes -= size

    async def save(self) -> None:
        """Write all that changed: the keys, the figures, and when something is due next."""
        await self._make_room()
        await self._store()
        await self._add_up()

    def _fired(self, rule: TemporalRule, key: Key, fired: Fired) -> Firing:
        self._figures[rule.id].fired += not fired.is_over
        return Firing(rule, key, fired)

    async def _load(self, wanted: Iterable[tuple[TemporalRule, Key]]) -> None:
        stamps = {(rule.id, key.hash): rule.stamp for rule, key in wanted}
        names = [name for name in stamps if name not in self._states]
        if not names:
            return
        rows = await self._connection.fetch(
            _LOAD, self._tenant_id, [rule_id for rule_id, _ in names], [hash_ for _, hash_ in names]
        )
        for row in rows:
            name = (row["rule_id"], row["key_hash"])
            # What another version of the rule remembered says nothing to this one.
            is_ours = row["stamp"] == stamps[name]
            self._states[name] = KeyState.of(row["state"]) if is_ours else KeyState()
            self._bytes[name] = row["bytes"]

    def _state(self, rule: TemporalRule, key: Key) -> KeyState | None:
        """Return the state of a key, to be changed; None where there is no room for a new one."""
        name = (rule.id, key.hash)
        state = self._states.get(name)
        if state is None:
            is_full = self._keys.get(rule.id, 0) >= rule.most_keys
            if (is_full and rule.is_timed) or sum(self._keys.values()) >= MOST_KEYS:
                self._figures[rule.id].refused += 1
                return None
            state = self._states[name] = KeyState()
            self._keys[rule.id] = self._keys.get(rule.id, 0) + 1
            self._figures[rule.id].keys += 1
        self._changed[name] = (rule, key)
        return state

    async def _make_room(self) -> None:
        """Forget what was seen least lately of rules that remember too much."""
        for rule in {rule.id: rule for rule, _ in self._changed.values()}.values():
            figures = self._figures[rule.id]
            extra = self._keys.get(rule.id, 0) - rule.most_keys
            if extra > 0 and figures.keys > 0:
                await self._evict(rule, figures, extra)
            for did, keys in (("evicted", figures.evicted), ("refused", figures.refused)):
                if keys:
                    self._tell(rule, did, keys)

    async def _evict(self, rule: TemporalRule, figures: Figures, extra: int) -> None:
        touched = [hash_ for rule_id, hash_ in self._changed if rule_id == rule.id]
        gone = await self._connection.fetchrow(
            _EVICT,
            self._tenant_id,
            rule.id,
            touched,
            max(extra, int(rule.most_keys * _EVICTED_AT_ONCE)),
        )
        assert gone is not None
        figures.keys -= gone["keys"]
        figures.bytes -= gone["bytes"]
        figures.evicted += gone["keys"]
        # So many at once that they alone are too many: the first of them go as well.
        for hash_ in touched[: max(0, extra - gone["keys"])]:
            name = (rule.id, hash_)
            if name in self._bytes:
                continue
            del self._changed[name]
            figures.keys -= 1
            figures.evicted += 1

    def _tell(self, rule: TemporalRule, did: str, keys: int) -> None:
        told_at = self._told_at.get(rule.id)
        if told_at is not None and told_at > self._now - TOLD_EVERY:
            return
        most = MOST_KEYS if sum(self._keys.values()) >= MOST_KEYS else rule.most_keys
        self.limits.append(Limit(rule, did, keys, most))
        self._figures[rule.id].limit_told_at = self._now

    async def _store(self) -> None:
        if not self._changed:
            return
        rows: list[tuple[Any, ...]] = []
        soonest: int | None = None
        for name, (rule, key) in sorted(self._changed.items()):
            state = self._states[name]
            due, forget = due_at(rule, state), forget_at(rule, state)
            shown, kept = dumps_str(named(rule, key.values)), dumps_str(state.document())
            size = ROW_BYTES + len(shown.encode()) + len(kept.encode())
            self._figures[rule.id].bytes += size - self._bytes.get(name, 0)
            rows.append(
                (*name, shown, rule.stamp, kept, size, due and from_ms(due), forget and from_ms(forget))
            )
            soonest = min((one for one in (due, soonest) if one is not None), default=None)
        columns = [list(column) for column in zip(*rows, strict=True)]
        await self._connection.execute(_STORE, self._tenant_id, *columns, self._now)
        if soonest is not None:
            await self._connection.execute(_SOONER, self._tenant_id, from_ms(soonest))

    async def _add_up(self) -> None:
        if not self._figures:
            return
        rows = [
            (
                rule_id, one.keys, one.bytes, *(one.outcomes[outcome] for outcome in OUTCOMES), one.fired,
                one.evicted, one.refused, self._now if one.fired else None, one.limit_told_at,
            )
            for rule_id, one in sorted(self._figures.items())
        ]  # fmt: skip
        columns = [list(column) for column in zip(*rows, strict=True)]
        await self._connection.execute(_ADD_UP, self._tenant_id, *columns)


def _expected(rule: TemporalRule) -> dict[str, Key]:
    return {key.hash: key for key in (expected_key(rule, values) for values in rule.expected)}
