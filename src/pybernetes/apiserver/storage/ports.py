"""Node ports as upstream keeps them: one bitmap of all, written by whoever takes or frees one (core/service/allocator/storage).

Here each port is a key of its own with its Service in it (`services.pool`). The bitmap does not say whose a port is, nor since when: the
key's value says since when this process has known of it, which is what `services.repair` asks.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from pybernetes.api import protobuf, protobufencode
from pybernetes.api.protowire import ProtobufError
from pybernetes.api.times import format_time
from pybernetes.store.types import Conflict, Event, KeyValue, Store, StoreError

KIND = {"apiVersion": "v1", "kind": "RangeAllocation"}
TRIES = 50  # at a write that others come before: each of them has written something then
MAX_PORT = 65_535


def read(data: bytes) -> tuple[str, frozenset[int]]:
    """The range of an allocation, `30000-32767`, and the ports that are taken. StoreError."""
    try:
        obj = protobuf.decode(data)
        bits = int.from_bytes(base64.b64decode(obj.get("data") or ""), "big")
        text = obj.get("range") or ""
        first = int(text.partition("-")[0] or 0)
    except (ProtobufError, ValueError) as error:
        raise StoreError(f"the node ports in the store cannot be read: {error}") from error
    if bits.bit_length() > MAX_PORT:
        raise StoreError("the node ports in the store cannot be read: there are too many")
    return text, frozenset(first + at for at in range(bits.bit_length()) if bits >> at & 1)


def written(ports: frozenset[int], first: int, last: int) -> bytes:
    """The allocation of a range; ports outside of it are nobody's here."""
    bits = sum(1 << port - first for port in ports if first <= port <= last)
    data = bits.to_bytes((bits.bit_length() + 7) // 8, "big")
    obj: dict[str, Any] = {**KIND, "metadata": {}, "range": f"{first}-{last}", "data": base64.b64encode(data).decode()}
    return protobufencode.encode(obj)


class NodePorts:
    """The keys below `prefix`, kept in the value of `place`. What is known of them comes from one list and one watch."""

    def __init__(
        self, store: Store, place: str, prefix: str, ports: tuple[int, int], now: Callable[[], datetime]
    ) -> None:
        """`ports`: the first and the last one that are given here."""
        self._store, self.place, self.prefix, self._range, self._now = store, place, prefix, ports, now
        self._known: dict[int, KeyValue] = {}
        self._writing = asyncio.Lock()  # one after the other: only other servers come between

    def replace(self, item: KeyValue | None) -> list[KeyValue]:
        """The keys, as of a list that has found this value."""
        self.change(item, item.mod_revision if item else 0)
        return list(self._known.values())

    def change(self, item: KeyValue | None, revision: int) -> list[Event]:
        """What a new value, or its deletion (None), means for the keys. StoreError."""
        ports = read(item.value)[1] if item is not None else frozenset()
        events = [Event(revision, self._known.pop(port).key, None) for port in sorted(self._known.keys() - ports)]
        for port in sorted(ports - self._known.keys()):
            fresh = self._known[port] = self._key_value(port, revision)
            events.append(Event(revision, fresh.key, fresh))
        return events

    def _key_value(self, port: int, revision: int) -> KeyValue:
        value = {"metadata": {"name": str(port), "creationTimestamp": format_time(self._now())}}
        return KeyValue(f"{self.prefix}{port}", msgspec.json.encode(value), revision, revision)

    async def take(self, key: str) -> KeyValue:
        """Conflict where it is taken, by whomever."""
        port = self._port(key)

        def with_it(ports: frozenset[int]) -> frozenset[int]:
            if port in ports:
                raise Conflict(key, 0, self._known.get(port) or self._key_value(port, 1))
            return ports | {port}

        revision = await self._write(with_it)
        return self._key_value(port, revision)

    async def free(self, key: str, expected: int | None) -> Event | None:
        """Conflict where another has it since it was seen; None where nobody has."""
        port = self._port(key)
        item = self._known.get(port)
        if expected is not None and (item is None or item.mod_revision != expected):
            raise Conflict(key, expected, item)
        try:
            return Event(await self._write(lambda ports: _without(ports, port)), key, None)
        except KeyError:
            if expected is not None:
                raise Conflict(key, expected, None) from None
            return None

    async def _write(self, change: Callable[[frozenset[int]], frozenset[int]]) -> int:
        """The revision of the new value."""
        async with self._writing:
            current = next(
                (one for one in (await self._store.list(self.place, limit=1)).items if one.key == self.place), None
            )
            for _ in range(TRIES):
                ports = read(current.value)[1] if current is not None else frozenset()
                data = written(change(ports), *self._range)
                try:
                    return (
                        await self._store.put(self.place, data, current.mod_revision if current else 0)
                    ).mod_revision
                except Conflict as conflict:
                    current = conflict.current
            raise StoreError("the node ports are written by others all the time: try again")

    def _port(self, key: str) -> int:
        return int(key[len(self.prefix) :])


def _without(ports: frozenset[int], port: int) -> frozenset[int]:
    """KeyError."""
    if port not in ports:
        raise KeyError(port)
    return ports - {port}
