"""The long form of the crash test: a thousand kills and more under load, and nothing may be lost.

``python -m bench.soak [KILLS] [SEED]`` prints what was killed, what the senders saw, and whatever is wrong.
"""

import asyncio
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.crash.chaos import chaos

_PER_SECOND = 15.0
_TOLD_EVERY = 50


def soak(kills: int, seed: int) -> int:
    """Kill so many times and return how many things are wrong."""
    began = time.monotonic()

    def told(done: int) -> None:
        if done % _TOLD_EVERY == 0:
            print(f"  {done} of {kills} kills, {time.monotonic() - began:.0f} s", flush=True)

    print(f"soak: {kills} kills, seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="fettle-soak-") as folder:
        report = asyncio.run(chaos(Path(folder), kills=kills, seed=seed, per_second=_PER_SECOND, told=told))
    print(f"killed: {report.killed}")
    print(f"senders saw: {dict(report.statuses)}")
    print(f"acknowledged exceptions: {report.accepted}")
    for fault in report.wrong:
        print(f"WRONG: {fault}")
    print("nothing is wrong" if not report.wrong else f"{len(report.wrong)} things are wrong")
    return len(report.wrong)


if __name__ == "__main__":
    given = [int(argument) for argument in sys.argv[1:]]
    sys.exit(bool(soak(given[0] if given else 1_000, given[1] if given[1:] else random.randrange(10**6))))
