"""Senders that repeat each request until it is acknowledged, and the ledger of what was."""

import asyncio
import json
import random
from collections import Counter
from dataclasses import dataclass, field
from uuid import UUID

import httpx

from fettle.kernel.ids import new_id

_TRY_AGAIN = {429, 503}
_HOSTS = 200


@dataclass
class Ledger:
    """What the senders know.

    Attributes:
        acknowledged: The ids that each Idempotency-Key was answered with.
        bodies: What became of how many exceptions: answered, or sent in vain before.
        wrong: Answers that no sender may get.
    """

    acknowledged: dict[tuple[UUID, str], list[str]] = field(default_factory=dict)
    statuses: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    @property
    def accepted(self) -> int:
        """How many exceptions were acknowledged."""
        return sum(len(ids) for ids in self.acknowledged.values())

    def ids(self, tenant_id: UUID) -> list[str]:
        return [value for (owner, _), ids in self.acknowledged.items() if owner == tenant_id for value in ids]


class Sender:
    """One program that reports exceptions of one tenant."""

    def __init__(
        self, ledger: Ledger, port: int, tenant_id: UUID, api_key: str, chance: random.Random
    ) -> None:
        self._ledger = ledger
        self._tenant_id = tenant_id
        self._chance = chance
        self._client = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}/api/v1",
            headers={"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"},
            timeout=5,
        )

    async def run(self, stop: asyncio.Event, per_second: float) -> None:
        """Report until told to stop; what was begun is repeated until it is acknowledged."""
        async with self._client:
            while not stop.is_set():
                size = self._chance.choice((1, 1, 1, 1, 5, 20))
                await self.report([self._exception() for _ in range(size)])
                await asyncio.sleep(self._chance.expovariate(per_second / size))

    async def report(self, items: list[dict[str, object]]) -> list[str]:
        """Send exceptions, single or as a batch, until they are acknowledged; now and then once more."""
        single = len(items) == 1
        path = "/exceptions" if single else "/exceptions/batch"
        body = json.dumps(items[0] if single else {"items": items}).encode()
        key = str(new_id())
        ids = await self._until_acknowledged(path, body, key)
        self._ledger.acknowledged[self._tenant_id, key] = ids
        if self._chance.random() < 0.1:
            again = await self._until_acknowledged(path, body, key)
            if again != ids:
                self._ledger.wrong.append(f"the same key was answered with other ids: {ids} and {again}")
        return ids

    async def _until_acknowledged(self, path: str, body: bytes, key: str) -> list[str]:
        while True:
            try:
                answer = await self._client.post(path, content=body, headers={"Idempotency-Key": key})
            except httpx.HTTPError as error:
                self._ledger.statuses[type(error).__name__] += 1
            else:
                self._ledger.statuses[str(answer.status_code)] += 1
                if answer.status_code == 202:
                    found = answer.json()
                    return [item["id"] for item in found.get("items", [found])]
                if answer.status_code not in _TRY_AGAIN:
                    self._ledger.wrong.append(f"{answer.status_code}: {answer.text[:300]}")
            await asyncio.sleep(0.05)

    def _exception(self) -> dict[str, object]:
        return {
            "check_type": self._chance.choices(("crash_safe", "crash_unsafe"), (5, 1))[0],
            "host": f"host-{self._chance.randrange(_HOSTS)}", "platform": "linux",
            "severity": self._chance.choice(("low", "high")), "summary": "Out of order",
        }  # fmt: skip
