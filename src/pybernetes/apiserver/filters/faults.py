"""Fails requests as rules say (faultrules). A link of test servers alone."""

from __future__ import annotations

import asyncio
import fnmatch
from collections import OrderedDict
from collections.abc import Awaitable, Container, Sequence
from dataclasses import dataclass

import msgspec

from pybernetes.aio.clock import Clock
from pybernetes.api import errors
from pybernetes.wire.http import BodyWriter, Dropped, Response, StreamingResponse

from ..endpoints import packing
from ..endpoints.negotiate import PROTOBUF
from ..endpoints.routes import Answer
from ..generic.paging import expired
from ..types import RequestInfo
from .exchange import Exchange, Handler
from .faultrules import Fault, FaultError

MAX_RULES = 1000
REMEMBERED = 512  # answers to reads, for rules that serve them again
REMEMBERED_BYTES = 256 << 10  # longer ones are not
TOO_OLD = "too old resource version: injected by the test"


@dataclass(eq=False)
class _Watch:
    """One that runs; `end` may be called by anybody on its loop."""

    info: RequestInfo
    task: asyncio.Task[object]
    gone: bool = False

    def end(self, gone: bool) -> None:
        self.gone = gone
        self.task.cancel()


class Faults:
    """`rules` are asked in their order; the first that hits a request has it. `parts` are the users that no rule means but by name."""

    def __init__(self, clock: Clock, parts: Container[str] = ()) -> None:
        self.rules: list[Fault] = []
        self._clock, self._parts = clock, parts
        self._watches: set[_Watch] = set()
        self._answers: OrderedDict[tuple[bytes, bytes, str], Response] = OrderedDict()

    def __call__(self, exchange: Exchange, next: Handler) -> Awaitable[Answer]:
        if exchange.info.verb == "watch":
            return self._watch(exchange, next)
        if not self.rules:
            return next(exchange)
        return self._fail(exchange, next)

    def add(self, rules: Sequence[Fault]) -> None:
        """FaultError where there are too many."""
        if len(self.rules) + len(rules) > MAX_RULES:
            raise FaultError(f"there may be {MAX_RULES} rules: clear them first")
        self.rules += rules

    def end_watches(self, resource: str = "*", gone: bool = False) -> int:
        """Ends those that run on the resource: their connections are cut, or (`gone`) they are told 410. How many; parts' among them."""
        ended = 0
        for watch in list(self._watches):
            info = watch.info
            if fnmatch.fnmatchcase(info.resource, resource) or fnmatch.fnmatchcase(
                f"{info.resource}.{info.group}", resource
            ):
                watch.end(gone)
                ended += 1
        return ended

    async def _fail(self, exchange: Exchange, next: Handler) -> Answer:
        rule = self._hit(exchange)
        if rule is None:
            return await self._remembered(exchange, next)
        before = self._answers.get(_key(exchange))
        if rule.seconds:
            await self._clock.sleep(rule.seconds)
        if rule.stale and before is not None:
            return before
        if rule.gone:
            raise expired(None)
        if rule.after:
            await next(exchange)
        if rule.drop:
            raise Dropped
        if rule.error:
            raise rule.status(exchange.info, object_name(exchange))
        return await self._remembered(exchange, next)

    def _hit(self, exchange: Exchange) -> Fault | None:
        info, user = exchange.info, exchange.user.name
        continued, is_part = bool(exchange.query.get("continue")), user in self._parts
        for rule in self.rules:
            if not rule.matches(info, user, continued, is_part):
                continue
            if rule.stale and _key(exchange) not in self._answers:
                continue  # the first such request: there is nothing older yet
            if rule.hit(info, object_name(exchange)):
                return rule
        return None

    async def _remembered(self, exchange: Exchange, next: Handler) -> Answer:
        answered = await next(exchange)
        asked = exchange.info.verb in ("get", "list") and any(rule.stale for rule in self.rules)
        if asked and isinstance(answered, Response) and len(answered.body) <= REMEMBERED_BYTES:
            self._answers[_key(exchange)] = answered
            self._answers.move_to_end(_key(exchange))
            while len(self._answers) > REMEMBERED:
                self._answers.popitem(last=False)
        return answered

    async def _watch(self, exchange: Exchange, next: Handler) -> Answer:
        rule = self._hit(exchange) if self.rules else None
        if rule is not None and rule.error:
            if rule.seconds:
                await self._clock.sleep(rule.seconds)
            raise rule.status(exchange.info, object_name(exchange))
        if rule is not None and not (rule.drop or rule.gone):
            await self._clock.sleep(rule.seconds)
            rule = None
        answered = await next(exchange)
        if not isinstance(answered, StreamingResponse):
            return answered
        produce = answered.producer

        async def produce_until(writer: BodyWriter) -> None:
            task = asyncio.current_task()
            assert task is not None, "answers are written by tasks"
            watch = _Watch(exchange.info, task)
            self._watches.add(watch)
            end = self._clock.call_later(rule.seconds, lambda: watch.end(rule.gone)) if rule is not None else None
            try:
                await produce(writer)
            except asyncio.CancelledError:
                if not watch.gone:
                    raise  # the connection is cut with its task
                task.uncancel()
                await writer.write(_gone(answered))
            finally:
                self._watches.discard(watch)
                if end is not None:
                    end.cancel()

        return StreamingResponse(produce_until, answered.status, answered.headers, answered.abandoned)


def _gone(answered: StreamingResponse) -> bytes:
    """The event in which a watch says that it cannot go on, in the form of its answer."""
    status = errors.gone(TOO_OLD).status
    if any(name.lower() == "content-type" and value.startswith(PROTOBUF) for name, value in answered.headers):
        return packing.event(b"ERROR", packing.whole(status))
    return msgspec.json.encode({"type": "ERROR", "object": status}) + b"\n"


def _key(exchange: Exchange) -> tuple[bytes, bytes, str]:
    request = exchange.request
    return request.raw_path, request.query, request.header("accept") or ""


class _Metadata(msgspec.Struct):
    name: str = ""


class _Named(msgspec.Struct):
    metadata: _Metadata = msgspec.field(default_factory=_Metadata)


def object_name(exchange: Exchange) -> str:
    """Of the object, as the path says it or, for creations in JSON, the body."""
    if exchange.info.name or exchange.info.verb != "create":
        return exchange.info.name
    try:
        return msgspec.json.decode(exchange.request.body, type=_Named).metadata.name
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
