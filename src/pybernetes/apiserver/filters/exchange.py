"""What is known of a request on its way through the chain, and the shape of a link."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from pybernetes.aio import apart
from pybernetes.api.mediatypes import APPLY_PATCH
from pybernetes.wire.http import Request

from ..audit import AuditEvent
from ..authentication.user import ANONYMOUS, User
from ..endpoints import requestinfo
from ..endpoints.metrics import MUTATING, labels, long_running
from ..endpoints.routes import Answer
from ..query import Query
from ..query import parse as parse_query
from ..types import RequestInfo

DESCRIBED_BYTES = 1024  # longer ones are not remembered: they could fill the memory
DESCRIBED_REQUESTS = 4096  # paths and queries whose meaning is remembered: most requests repeat one


@dataclass(frozen=True, slots=True)
class Description:
    """What a request's first line says; shared by all that say the same: never change it."""

    info: RequestInfo
    query: Query
    long_running: bool  # not bounded in time: watches, logs, streams
    mutating: bool
    labels: tuple[str, ...]  # values of `metrics.REQUEST`


def is_large(request: Request) -> bool:
    """Whether it is of a size that is worked on beside the event loop."""
    return len(request.raw_path) + len(request.query) + len(request.body) >= apart.LARGE


def describe(request: Request) -> Description:
    """What the request is about."""
    applying = request.method == "PATCH" and (request.header("content-type") or "").startswith(APPLY_PATCH)
    short = len(request.raw_path) + len(request.query) < DESCRIBED_BYTES
    described = _describe if short else _describe.__wrapped__
    return described(request.method, request.raw_path, request.query, applying)


@functools.lru_cache(DESCRIBED_REQUESTS)
def _describe(method: str, path: bytes, query: bytes, applying: bool) -> Description:
    values = parse_query(query)
    info = requestinfo.parse(method, path.decode("latin-1"), values)
    mutating = info.verb in MUTATING if info.is_resource else method not in ("GET", "HEAD")
    return Description(info, values, long_running(info), mutating, labels(info, applying))


@dataclass(slots=True, eq=False)
class Exchange:
    """A request, and what the links have found out about it."""

    request: Request
    description: Description
    info: RequestInfo
    query: Query
    event: AuditEvent
    started: float  # on the clock of the chain, as `deadline`
    user: User = ANONYMOUS  # in whose name it is answered: who asks, or who is impersonated
    headers: tuple[tuple[str, str], ...] = ()  # of the answer, whatever it is
    deadline: float | None = None  # when nobody waits for the answer any more; None: somebody always does


Handler = Callable[[Exchange], Awaitable[Answer]]


class Link(Protocol):
    """One step of the chain; StatusError, or any other exception, where it fails."""

    def __call__(self, exchange: Exchange, next: Handler, /) -> Awaitable[Answer]: ...
