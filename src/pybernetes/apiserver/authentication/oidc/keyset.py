"""The keys of an issuer, fetched when a token names one that is not known (upstream: go-oidc v2 jwks.go)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence

from pybernetes.aio.clock import Clock
from pybernetes.aio.ending import end

from ..bearer import TokenError
from . import jose
from .fetch import Document, FetchError
from .jose import JOSEError, Key, Signed

EXPIRY_DELTA = 30.0  # seconds before the end of their max-age at which keys may be fetched anew
# Anybody can send tokens with keys that nobody has: so many fetches at once, then one in so many seconds. Upstream has no limit.
BURST, EVERY_SECONDS = 5, 10.0
_MAX_AGE = re.compile(r"(?:^|,)\s*max-age=(\d{1,9})\s*(?:,|$)", re.I)
_UNCACHED = re.compile(r"(?:^|,)\s*(?:no-store|no-cache)\s*(?:,|$)", re.I)

Fetch = Callable[[], Awaitable[Document]]
FAILED = "failed to verify signature: failed to verify id token signature"


def lifetime(headers: Mapping[str, str]) -> float:
    """Seconds for which an answer says that it stays as it is; 0 for one that says nothing."""
    control = headers.get("cache-control", "")
    match = _MAX_AGE.search(control)
    return float(match[1]) if match and not _UNCACHED.search(control) else 0.0


class KeySet:
    """`told` hears of every fetch: the set's bytes, None for a failure."""

    def __init__(self, fetch: Fetch, told: Callable[[bytes | None], object], clock: Clock) -> None:
        self._fetch, self._told, self._monotonic = fetch, told, clock.monotonic
        self._keys: Sequence[Key] = ()
        self._until = float("-inf")  # before which there is nothing new to fetch
        self._allowance, self._counted = float(BURST), clock.monotonic()
        self._under_way: asyncio.Task[Sequence[Key]] | None = None

    async def verify(self, signed: Signed) -> None:
        """TokenError for a token that none of the issuer's keys has signed. Its algorithm is an allowed one already."""
        if _signed(signed, self._keys):
            return
        if self._monotonic() + EXPIRY_DELTA <= self._until:
            raise TokenError(FAILED)
        try:
            keys = await self._fetched()
        except (FetchError, JOSEError) as error:
            raise TokenError(f"failed to verify signature: fetching keys {error}") from None
        if not _signed(signed, keys):
            raise TokenError(FAILED)

    async def _fetched(self) -> Sequence[Key]:
        """One fetch for all who wait meanwhile."""
        if self._under_way is None:
            if not self._may_fetch():
                raise FetchError("oidc: get keys failed: there were too many unknown keys in a short time")
            self._under_way = asyncio.get_running_loop().create_task(self._update())
            self._under_way.add_done_callback(self._done)
        return await asyncio.shield(self._under_way)

    def _done(self, task: asyncio.Task[Sequence[Key]]) -> None:
        self._under_way = None
        if not task.cancelled():
            task.exception()  # those who wait have it; nobody may be left

    def _may_fetch(self) -> bool:
        now = self._monotonic()
        self._allowance = min(float(BURST), self._allowance + (now - self._counted) / EVERY_SECONDS)
        self._counted = now
        if self._allowance < 1:
            return False
        self._allowance -= 1
        return True

    async def _update(self) -> Sequence[Key]:
        try:
            document = await self._fetch()
            keys = jose.keys(document.body)
        except FetchError as error:
            self._told(None)
            raise FetchError(f"oidc: get keys failed {error}") from None
        except JOSEError as error:
            self._told(None)
            raise JOSEError(f"oidc: failed to decode keys: {error}") from None
        self._told(document.body)
        self._keys, self._until = keys, self._monotonic() + lifetime(document.headers)
        return keys

    async def close(self) -> None:
        """Ends a fetch that is under way."""
        await end(self._under_way)


def _signed(signed: Signed, keys: Sequence[Key]) -> bool:
    return any(jose.verifies(signed, key) for key in keys if not signed.key_id or key.id == signed.key_id)
