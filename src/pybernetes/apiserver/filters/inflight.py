"""What is done around every request: limits, times, counting, compression (upstream: apiserver/pkg/server/filters, endpoints/filters)."""

from __future__ import annotations

import asyncio
import functools
import gzip
import time
from collections import deque
from collections.abc import Awaitable, Callable, Container
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl

from pybernetes.api import errors
from pybernetes.api.durations import parse_duration
from pybernetes.api.mediatypes import APPLY_PATCH
from pybernetes.wire.http import BodyWriter, Request, Response, StreamingResponse, Upgraded, UpgradeResponse

from ..endpoints import requestinfo
from ..endpoints.metrics import MUTATING, OTHER, APIServerMetrics, labels, long_running
from ..endpoints.routes import Answer
from ..types import RequestInfo

GZIP_BYTES = 128 << 10  # smaller answers are not worth it (upstream's defaultGzipThresholdBytes)
GZIP_LEVEL = 1
WAITING = 5_000  # requests of a kind that wait for their turn; upstream's queues hold as many
TOO_MANY = b"Too many requests, please try again later.\n"
KNOWN_BYTES = 1024  # longer ones are not: they could fill the memory
KNOWN_REQUESTS = 4096  # paths and queries whose meaning is remembered: most requests repeat one


@dataclass(frozen=True, slots=True)
class Limits:
    """0: none."""

    read_only: int = 400  # --max-requests-inflight
    mutating: int = 200  # --max-mutating-requests-inflight
    seconds: float = 60.0  # --request-timeout


class Gate:
    """So many at a time; the others wait in the order they came, as with upstream's priority and fairness."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.running = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def busy(self) -> bool:
        """Whether one has to wait."""
        return 0 < self._limit <= self.running

    @property
    def full(self) -> bool:
        """Whether one may not even wait."""
        return len(self._waiting) >= WAITING

    async def turn(self) -> None:
        """Returns when there is room."""
        while self.busy:
            waiting = asyncio.get_running_loop().create_future()
            self._waiting.append(waiting)
            try:
                await waiting
            except asyncio.CancelledError:
                if waiting.done() and not waiting.cancelled():
                    self.next()  # the turn was given to one who left
                raise

    def next(self) -> None:
        """Lets one in."""
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_result(None)
                return


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request is about; shared by all that ask the same: never change it."""

    info: RequestInfo
    query: dict[str, str]
    long_running: bool
    mutating: bool
    labels: tuple[str, ...]


@functools.lru_cache(KNOWN_REQUESTS)
def asked(method: str, path: bytes, query: bytes, applying: bool) -> Asked:
    """Pure."""
    values = dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True)) if query else {}
    info = requestinfo.parse(method, path.decode("latin-1"), values)
    mutating = info.verb in MUTATING if info.is_resource else method not in ("GET", "HEAD")
    return Asked(info, values, long_running(info), mutating, labels(info, applying))


class Filters:
    """Around the handling of requests of one server."""

    def __init__(self, metrics: APIServerMetrics, limits: Limits, served: Container[tuple[str, str, str]]) -> None:
        self._metrics, self._limits, self._served = metrics, limits, served
        self._gates = {True: Gate(limits.mutating), False: Gate(limits.read_only)}  # by "mutating"
        metrics.inflight.function = lambda: {
            ("mutating",): float(self._gates[True].running),
            ("readOnly",): float(self._gates[False].running),
        }

    @staticmethod
    def asked(request: Request) -> Asked:
        """What the request is about."""
        applying = request.method == "PATCH" and (request.header("content-type") or "").startswith(APPLY_PATCH)
        short = len(request.raw_path) + len(request.query) < KNOWN_BYTES
        ask = asked if short else asked.__wrapped__
        return ask(request.method, request.raw_path, request.query, applying)

    async def run(self, request: Request, what: Asked, handle: Callable[[Request, Asked], Awaitable[Answer]]) -> Answer:
        """The answer: counted, limited, timed out, compressed where the client wants that."""
        begun = time.perf_counter()
        if what.long_running:
            return self._watched(what, await handle(request, what), begun)
        gate = self._gates[what.mutating]
        if gate.full:
            self._metrics.dropped.inc(*what.labels, "429")
            answered: Answer = Response(429, [("Content-Type", "text/plain"), ("Retry-After", "1")], TOO_MANY)
        else:
            if gate.busy:
                await gate.turn()
            gate.running += 1
            try:
                answered = await self._timed(request, what, handle)
            finally:
                gate.running -= 1
                gate.next()
        size = len(answered.body) if isinstance(answered, Response) else 0
        dry_run = "All" if what.query.get("dryRun") == "All" else ""
        self._metrics.observe(
            self._labels(what, answered.status), dry_run, answered.status, time.perf_counter() - begun, size
        )
        if size >= GZIP_BYTES and isinstance(answered, Response):
            return await compressed(request, answered)
        return answered

    def _labels(self, what: Asked, code: int) -> tuple[str, ...]:
        """OTHER for what there is not, lest made-up names make samples."""
        info = what.info
        if code not in (404, 405) or not info.is_resource:
            return what.labels
        known = not info.subresource and (info.group, info.version, info.resource) in self._served
        return what.labels if known else OTHER

    async def _timed(
        self, request: Request, what: Asked, handle: Callable[[Request, Asked], Awaitable[Answer]]
    ) -> Answer:
        """504 after the time-out; what only reads memory needs none."""
        seconds = self._limits.seconds
        if not what.mutating and "timeout" not in what.query:
            return await handle(request, what)
        if "timeout" in what.query:
            seconds = min(seconds or float("inf"), _seconds(what.query["timeout"]) or float("inf"))
        try:
            async with asyncio.timeout(seconds if 0 < seconds < float("inf") else None):
                return await handle(request, what)
        except TimeoutError:
            text = "request did not complete within the allotted timeout"
            raise errors.timeout(what.info.group, what.info.resource, what.info.verb, text) from None

    def _watched(self, what: Asked, answered: Answer, begun: float) -> Answer:
        """A long answer is counted while it lasts, and observed at its end."""
        gauge, metrics = self._metrics.long_running, self._metrics

        def ended() -> None:
            gauge.inc(*what.labels, by=-1)
            metrics.observe(what.labels, "", answered.status, time.perf_counter() - begun, 0)

        if isinstance(answered, Response):
            seconds = time.perf_counter() - begun
            metrics.observe(self._labels(what, answered.status), "", answered.status, seconds, len(answered.body))
            return answered
        gauge.inc(*what.labels)
        abandon = answered.abandoned

        def abandoned() -> None:
            ended()
            if abandon is not None:
                abandon()

        if isinstance(answered, UpgradeResponse):
            run = answered.run

            async def counted_run(stream: Upgraded) -> None:
                try:
                    await run(stream)
                finally:
                    ended()

            return replace(answered, run=counted_run, abandoned=abandoned)
        produce = answered.producer

        async def counted(writer: BodyWriter) -> None:
            try:
                await produce(writer)
            finally:
                ended()

        return StreamingResponse(counted, answered.status, answered.headers, abandoned)


def _seconds(text: str) -> float:
    """A Go duration; StatusError 400."""
    try:
        return parse_duration(text)
    except ValueError:
        raise errors.bad_request("invalid timeout specified in the request URL") from None


async def compressed(request: Request, answered: Response) -> Response:
    """With gzip where the client accepts it; in a thread, for zlib lets go of the interpreter meanwhile."""
    headers = tuple(answered.headers)
    accepts = ",".join(request.header_values("accept-encoding"))
    if "gzip" not in accepts or any(name.lower() == "content-encoding" for name, _ in headers):
        return answered
    body = await asyncio.to_thread(gzip.compress, answered.body, GZIP_LEVEL)
    return Response(answered.status, (*headers, ("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding")), body)
