"""An answer's head and body leave together, and nothing that was written is lost when the connection ends."""

import asyncio

from fettle.kernel.http.serving import JoinedWrites


class Wire(asyncio.Transport):
    """A transport that remembers each of its writes, and its end."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[bytes | None] = []

    def write(self, data):
        self.seen.append(bytes(data))

    def close(self):
        self.seen.append(None)

    def is_closing(self):
        return self.seen[-1:] == [None]


async def test_what_is_written_in_one_turn_leaves_in_one_piece():
    wire = Wire()
    joined = JoinedWrites(wire, asyncio.get_running_loop())
    joined.write(b"head ")
    joined.writelines([b"of ", b"the "])
    joined.write(b"body")
    assert wire.seen == []
    await asyncio.sleep(0)
    assert wire.seen == [b"head of the body"]
    joined.write(b"more")
    await asyncio.sleep(0)
    assert wire.seen == [b"head of the body", b"more"]


async def test_what_was_written_leaves_before_the_connection_closes():
    wire = Wire()
    joined = JoinedWrites(wire, asyncio.get_running_loop())
    joined.write(b"last ")
    joined.write(b"words")
    joined.close()
    assert joined.is_closing()
    await asyncio.sleep(0)
    assert wire.seen == [b"last words", None]
