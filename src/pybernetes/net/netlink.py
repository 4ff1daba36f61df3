"""A connection to the kernel over netlink. Blocking."""

from __future__ import annotations

import os
import socket
import struct
import weakref
from collections.abc import Sequence
from typing import Self

from .netlinkmessages import ACK, REQUEST, Request, answers, attributes, message, text

ROUTE, GENERIC = 0, 16  # protocols
_CONTROL, _GET_FAMILY, _FAMILY_ID, _FAMILY_NAME = 16, 3, 1, 2  # of generic netlink's own family
_BATCH = 64  # requests in one datagram: their answers fit into a socket's smallest buffer
_ANSWER_SECONDS = 10.0  # the kernel answers at once; it may be loading a module
_LARGEST = 1 << 20


class Connection:
    """To one protocol, in the network namespace of the thread that makes it; of any thread, one at a time. OSError from everything.

    It ends with the object at the latest.
    """

    def __init__(self, protocol: int) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
        self._socket.settimeout(_ANSWER_SECONDS)
        self._end = weakref.finalize(self, self._socket.close)
        self._sequence = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._end()

    def run(self, requests: Sequence[Request]) -> list[int]:
        """All of them are tried, in order; the errno of each, 0 for those that succeeded."""
        results: list[int] = []
        for start in range(0, len(requests), _BATCH):
            results += self._batch(requests[start : start + _BATCH])
        return results

    def _batch(self, requests: Sequence[Request]) -> list[int]:
        first = self._sequence + 1
        self._sequence += len(requests)
        parts = [
            message(kind, flags | REQUEST | ACK, first + n, body) for n, (kind, flags, body) in enumerate(requests)
        ]
        self._socket.send(b"".join(parts))
        errors: dict[int, int] = {}
        while len(errors) < len(requests):
            for answer in answers(self._socket.recv(_LARGEST)):
                if answer.sequence >= first and answer.error is not None:
                    errors[answer.sequence] = answer.error
        return [errors[first + n] for n in range(len(requests))]

    def ask(self, kind: int, flags: int, body: bytes) -> list[bytes]:
        """The bodies of the answers, of all of a DUMP."""
        self._sequence += 1
        self._socket.send(message(kind, flags | REQUEST | ACK, self._sequence, body))
        bodies: list[bytes] = []
        while True:
            for answer in answers(self._socket.recv(_LARGEST)):
                if answer.sequence != self._sequence:
                    continue  # of a request that was given up
                if answer.error:
                    raise OSError(answer.error, os.strerror(answer.error))
                if answer.error == 0:
                    return bodies
                bodies.append(answer.body)

    def family(self, name: str) -> int:
        """The number of a family of generic netlink; FileNotFoundError where the kernel has none of that name."""
        body = struct.pack("=BBH", _GET_FAMILY, 1, 0) + text(_FAMILY_NAME, name)
        for answer in self.ask(_CONTROL, 0, body):
            number = attributes(answer[4:]).get(_FAMILY_ID)
            if number is not None:
                return int(struct.unpack("=H", number[:2])[0])
        raise FileNotFoundError(2, f"no netlink family {name}")
