"""Remembers for a while whose a token is (upstream: apiserver/pkg/authentication/token/cache)."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from pybernetes.aio.clock import Clock
from pybernetes.aio.ending import end
from pybernetes.component.metrics import Registry

from .bearer import Authenticated, TokenAuthenticator, TokenError
from .user import User

# Upstream's caches have no bound but time. What is good and what is not are apart, so that guesses push nobody out.
SUCCESSES, FAILURES = 32_768, 4096
LOOKUP_SECONDS = 30.0  # of one question that several requests may wait for (sharedLookupTimeout)

_Answer = Authenticated | User | None


class TokenCacheMetrics:
    """By upstream's names."""

    def __init__(self, registry: Registry) -> None:
        prefix, status = "authentication_token_cache", ("status",)
        self.seconds = registry.histogram(f"{prefix}_request_duration_seconds", "", status)
        self.requests = registry.counter(f"{prefix}_request_total", "", status)
        self.fetches = registry.counter(f"{prefix}_fetch_total", "", status)
        self.active = registry.gauge(f"{prefix}_active_fetch_count", "", status)


@dataclass(frozen=True, slots=True)
class _Record:
    answer: _Answer
    error: TokenError | None
    until: float


class TokenCache:
    """In front of an authenticator; see `bearer.TokenAuthenticator`. A time of 0 keeps nothing; errors that do not last are never kept."""

    def __init__(
        self,
        authenticator: TokenAuthenticator,
        success_seconds: float,
        failure_seconds: float,
        metrics: TokenCacheMetrics,
        clock: Clock,
    ) -> None:
        self._authenticator, self._metrics, self._clock = authenticator, metrics, clock
        self._seconds = success_seconds, failure_seconds
        self._successes: OrderedDict[bytes, _Record] = OrderedDict()
        self._failures: OrderedDict[bytes, _Record] = OrderedDict()
        self._asked: dict[bytes, asyncio.Task[_Record]] = {}
        self._secret = os.urandom(32)  # tokens are not kept, and nobody can choose what is equal to what

    async def token(self, token: str, audiences: tuple[str, ...]) -> _Answer:
        """As the authenticator's."""
        begun = self._clock.monotonic()
        key = self._key(token, audiences)
        record = self._kept(key)
        status = "hit" if record is not None else "miss"
        try:
            if record is None:
                record = await self._shared(key, token, audiences)
        finally:
            self._metrics.requests.inc(status)
            self._metrics.seconds.observe(self._clock.monotonic() - begun, status)
        if record.error is not None:
            raise record.error
        return record.answer

    def _key(self, token: str, audiences: Sequence[str]) -> bytes:
        code = hmac.new(self._secret, digestmod=hashlib.sha256)
        for text in (token, *audiences):
            data = text.encode(errors="surrogateescape")
            code.update(len(data).to_bytes(8, "big") + data)
        return code.digest()

    def _kept(self, key: bytes) -> _Record | None:
        for records in (self._successes, self._failures):
            record = records.get(key)
            if record is not None and self._clock.monotonic() < record.until:
                records.move_to_end(key)
                return record
        return None

    async def _shared(self, key: bytes, token: str, audiences: tuple[str, ...]) -> _Record:
        """One question for all who ask the same meanwhile; it goes on when who asked first has gone."""
        task = self._asked.get(key)
        if task is None:
            task = self._asked[key] = asyncio.get_running_loop().create_task(self._ask(key, token, audiences))
            task.add_done_callback(lambda _: self._asked.pop(key, None))
        self._metrics.active.inc("blocked")
        try:
            return await asyncio.shield(task)
        finally:
            self._metrics.active.inc("blocked", by=-1)

    async def _ask(self, key: bytes, token: str, audiences: tuple[str, ...]) -> _Record:
        answer: _Answer = None
        error: TokenError | None = None
        self._metrics.active.inc("in_flight")
        try:
            async with self._clock.timeout(LOOKUP_SECONDS):
                answer = await self._authenticator.token(token, audiences)
        except TokenError as problem:
            error = problem
        except TimeoutError:
            error = TokenError("context deadline exceeded", lasting=False)
        finally:
            self._metrics.active.inc("in_flight", by=-1)
            self._metrics.fetches.inc("ok" if error is None else "error")
        good = error is None and answer is not None
        seconds = self._seconds[0 if good else 1]
        record = _Record(answer, error, self._clock.monotonic() + seconds)
        if seconds > 0 and (error is None or error.lasting):
            self._keep(key, record, good)
        return record

    def _keep(self, key: bytes, record: _Record, good: bool) -> None:
        records, limit = (self._successes, SUCCESSES) if good else (self._failures, FAILURES)
        records[key] = record
        records.move_to_end(key)
        if len(records) > limit:
            records.popitem(last=False)

    async def close(self) -> None:
        """Ends the questions that are under way."""
        tasks = tuple(self._asked.values())
        await end(*tasks)
