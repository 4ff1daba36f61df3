"""Protocols joined without a socket behave as those joined by one."""

from __future__ import annotations

import asyncio
from typing import cast

from pybernetes.aio.memorytransport import HIGH_WATER, MemoryTransport, join


class Recorder(asyncio.Protocol):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.data = b""
        self.transport: MemoryTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(MemoryTransport, transport)

    def data_received(self, data: bytes) -> None:
        self.data += data

    def eof_received(self) -> bool:
        self.told.append("eof")
        return False

    def pause_writing(self) -> None:
        self.told.append("pause")

    def resume_writing(self) -> None:
        self.told.append("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.told.append(f"lost {type(exc).__name__}" if exc else "lost")


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def test_bytes_arrive_in_order_but_not_within_the_write() -> None:
    async def main() -> None:
        one, other = Recorder(), Recorder()
        join(one, other, other_sees={"peername": ("192.0.2.1", 7)})
        one.transport.write(b"a")
        one.transport.writelines([b"b", b"c"])
        assert other.data == b""
        await settle()
        assert other.data == b"abc"
        other.transport.write(b"back")
        await settle()
        assert one.data == b"back"
        assert other.transport.get_extra_info("peername") == ("192.0.2.1", 7)
        assert one.transport.get_extra_info("peername") is None

    asyncio.run(main())


def test_a_close_gives_first_what_was_written() -> None:
    async def main() -> None:
        one, other = Recorder(), Recorder()
        join(one, other)
        one.transport.write(b"last")
        one.transport.close()
        one.transport.write(b"never")
        await settle()
        assert (other.data, other.told, one.told) == (b"last", ["eof", "lost"], ["lost"])
        other.transport.write(b"nobody")
        await settle()
        assert one.data == b""

    asyncio.run(main())


def test_an_abort_is_a_reset_for_the_other_end() -> None:
    async def main() -> None:
        one, other = Recorder(), Recorder()
        join(one, other)
        one.transport.abort()
        await settle()
        assert (one.told, other.told) == (["lost"], ["lost ConnectionResetError"])

    asyncio.run(main())


def test_a_reader_that_pauses_makes_the_writer_pause() -> None:
    async def main() -> None:
        one, other = Recorder(), Recorder()
        join(one, other)
        other.transport.pause_reading()
        for _ in range(3):
            one.transport.write(b"x" * HIGH_WATER)
        await settle()
        assert (other.data, one.told) == (b"", ["pause"])
        assert one.transport.get_write_buffer_size() == 3 * HIGH_WATER
        other.transport.resume_reading()
        await settle()
        assert (len(other.data), one.told) == (3 * HIGH_WATER, ["pause", "resume"])

    asyncio.run(main())
