"""Two protocols joined without a socket: what one transport is given to write, the other's protocol receives.

Bytes are delivered by the event loop, never within `write`, so that both sides see the order of events that a network gives them.
No file descriptor, no copy, no TLS; a loop has nothing to wait for when all sides wait for each other.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

HIGH_WATER = 1 << 16  # bytes on their way at which the writer is asked to pause, asyncio's own limit
LOW_WATER = HIGH_WATER // 4


class MemoryTransport(asyncio.Transport):
    """One end; made by `join`. `extra` is what get_extra_info answers."""

    def __init__(self, protocol: asyncio.Protocol, extra: Mapping[str, Any]) -> None:
        super().__init__(dict(extra))
        self._loop = asyncio.get_running_loop()
        self._protocol = protocol
        self._peer: MemoryTransport
        self._incoming: deque[bytes] = deque()  # b"" is the end
        self._size = 0
        self._scheduled = False
        self._paused = False  # reading
        self._peer_paused = False  # the other's writing
        self._closing = False
        self._lost = False
        self._ended = False  # writing

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Whom the peer's bytes go to."""
        return self._protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """From the next bytes on."""
        assert isinstance(protocol, asyncio.Protocol)
        self._protocol = protocol

    # Writing.

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Delivered soon; dropped where either end has been closed."""
        if data and not (self._closing or self._ended or self._lost):
            self._peer._receive(bytes(data))

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """As one write."""
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        """Yes: each direction ends by itself."""
        return True

    def write_eof(self) -> None:
        """The peer is told the end after what was written."""
        if not (self._ended or self._closing or self._lost):
            self._ended = True
            self._peer._receive(b"")

    def get_write_buffer_size(self) -> int:
        """Bytes that the peer's protocol has not been given yet."""
        return self._peer._size

    # Reading.

    def pause_reading(self) -> None:
        """Bytes wait here until `resume_reading`."""
        self._paused = True

    def resume_reading(self) -> None:
        """What waited is delivered soon."""
        self._paused = False
        self._schedule()

    def is_reading(self) -> bool:
        """Whether bytes are delivered."""
        return not (self._paused or self._closing)

    def _receive(self, data: bytes) -> None:
        self._incoming.append(data)
        self._size += len(data)
        if self._size > HIGH_WATER and not self._peer_paused:
            self._peer_paused = True
            self._peer._protocol.pause_writing()
        self._schedule()

    def _schedule(self) -> None:
        if self._incoming and not (self._scheduled or self._paused or self._lost):
            self._scheduled = True
            self._loop.call_soon(self._deliver)

    def _deliver(self) -> None:
        self._scheduled = False
        if self._paused or self._lost or not self._incoming:
            return
        data = self._incoming.popleft()
        self._size -= len(data)
        if self._peer_paused and self._size <= LOW_WATER:
            self._peer_paused = False
            if not self._peer._lost:
                self._peer._protocol.resume_writing()
        if data:
            if not self._closing:
                self._protocol.data_received(data)
        elif not self._protocol.eof_received():
            self.close()
        self._schedule()

    # The end.

    def is_closing(self) -> bool:
        """Whether it has been closed."""
        return self._closing

    def close(self) -> None:
        """Both ends are lost once the peer has been given what was written."""
        if not self._closing:
            if not self._ended:
                self._ended = True
                self._peer._receive(b"")
            self._closing = True
            self._loop.call_soon(self._lose, None)

    def abort(self) -> None:
        """Both ends are lost at once; what was written and not delivered yet is dropped."""
        self._closing = True
        self._loop.call_soon(self._lose, None)
        self._loop.call_soon(self._peer._lose, ConnectionResetError("the other end aborted the connection"))

    def _lose(self, error: Exception | None) -> None:
        if not self._lost:
            self._closing = self._lost = True
            self._incoming.clear()
            self._size = 0
            self._protocol.connection_lost(error)


def join(
    one: asyncio.Protocol,
    other: asyncio.Protocol,
    one_sees: Mapping[str, Any] | None = None,
    other_sees: Mapping[str, Any] | None = None,
) -> tuple[MemoryTransport, MemoryTransport]:
    """Connects two protocols on the running loop; the mappings are what their transports' get_extra_info answers."""
    first, second = MemoryTransport(one, one_sees or {}), MemoryTransport(other, other_sees or {})
    first._peer, second._peer = second, first
    other.connection_made(second)
    one.connection_made(first)
    return first, second
