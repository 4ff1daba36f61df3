"""What tells values of several providers and keys apart: the prefixes in front of them (upstream: apiserver/pkg/storage/value/transformer.go,
encrypt/identity)."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pybernetes.store.transformed import Plain, TransformError, Unreadable

from .metrics import EncryptionMetrics

_log = logging.getLogger(__name__)

ENCRYPTED = b"k8s:enc:"  # what no JSON and no protobuf of an object begins with
ENCRYPTED_DATA = "identity transformer tried to read encrypted data"
TOO_SHORT = "the stored data was shorter than the required size"


class Cipher(Protocol):
    """One provider, or one key of it. As `store.transformed.Transformer`, with the key as bytes: the additional data of who authenticates."""

    async def seal(self, value: bytes, data: bytes) -> bytes:
        """TransformError."""

    async def open(self, stored: bytes, data: bytes) -> Plain:
        """Unreadable."""


class Identity:
    """Values as they are. What another provider has encrypted is refused, so that it is not taken for an object."""

    async def seal(self, value: bytes, data: bytes) -> bytes:
        """The value."""
        return value

    async def open(self, stored: bytes, data: bytes) -> Plain:
        """The value. Unreadable."""
        if stored.startswith(ENCRYPTED):
            raise Unreadable(ENCRYPTED_DATA)
        return Plain(stored)


@dataclass(frozen=True, slots=True)
class Prefixed:
    """A cipher whose values begin so."""

    prefix: bytes
    cipher: Cipher


class Prefixes:
    """Several: the first one writes, and each one reads what has its prefix. What is not the first's is stale.

    Two may have the same prefix, as one provider has that is given twice with other keys: they are tried in order.
    """

    def __init__(self, choices: Sequence[Prefixed], no_match: str, metrics: EncryptionMetrics, resource: str) -> None:
        self._choices, self._no_match = tuple(choices), no_match
        self._metrics, self._resource = metrics, resource

    async def seal(self, value: bytes, data: bytes) -> bytes:
        """As the first one. TransformError."""
        first, started = self._choices[0], time.perf_counter()
        try:
            sealed = await first.cipher.seal(value, data)
        except TransformError as error:
            self._record("to_storage", first.prefix.decode(), started, error)
            _log.error("failed to encrypt data: %s", error)
            raise
        self._record("to_storage", first.prefix.decode(), started)
        return first.prefix + sealed

    async def open(self, stored: bytes, data: bytes) -> Plain:
        """As whoever can. Unreadable."""
        problems: list[TransformError] = []
        started = time.perf_counter()
        for number, (prefix, cipher) in enumerate((one.prefix, one.cipher) for one in self._choices):
            if not stored.startswith(prefix):
                continue
            try:
                plain = await cipher.open(stored[len(prefix) :], data)
            except TransformError as error:
                if prefix:  # identity has only said that it is another's
                    self._record("from_storage", prefix.decode(), started, error)
                    problems.append(error)
                continue
            self._record("from_storage", prefix.decode() or "identity", started)
            return Plain(plain.value, plain.stale or number > 0)
        if problems:
            texts = list(dict.fromkeys(str(problem) for problem in problems))
            raise Unreadable(texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]") from problems[0]
        self._record("from_storage", "unknown", started, Unreadable(self._no_match))
        raise Unreadable(self._no_match)

    def _record(self, kind: str, prefix: str, started: float, error: TransformError | None = None) -> None:
        self._metrics.transformed(self._resource, kind, prefix, time.perf_counter() - started, error)
