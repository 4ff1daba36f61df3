"""Requests for group-versions that an extension API server answers (upstream: kube-aggregator pkg/apiserver)."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Protocol

from ..endpoints.routes import Answer
from ..flowcontrol import initialization
from .exchange import Exchange, Handler

GroupVersion = tuple[str, str]


class Delegate(Protocol):
    """Leads through to the server of one group-version."""

    async def answer(self, exchange: Exchange) -> Answer:
        """The server's answer, or why there is none."""
        ...


class Aggregation:
    """`delegates` change as APIServices do."""

    def __init__(self, delegates: Mapping[GroupVersion, Delegate]) -> None:
        self._delegates = delegates

    def __call__(self, exchange: Exchange, next: Handler) -> Awaitable[Answer]:
        if not self._delegates:  # as nearly everywhere
            return next(exchange)
        requested = group_version(exchange.info.path)
        delegate = self._delegates.get(requested) if requested is not None else None
        if delegate is None:
            return next(exchange)
        initialization.done()  # of a watch: what it costs is the other server's
        return delegate.answer(exchange)


def group_version(path: str) -> GroupVersion | None:
    """Whose a path is: a resource's, that of discovery, or that of an OpenAPI document."""
    parts = path.split("/", 6)[1:]
    if parts[:2] == ["openapi", "v3"]:
        parts = parts[2:]
    match parts:
        case ["apis", group, version, *_] if group and version:
            return group, version
        case ["api", version, *_] if version:
            return "", version
    return None
