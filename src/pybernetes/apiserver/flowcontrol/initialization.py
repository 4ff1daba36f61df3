"""How the link hears that a watch has begun: from then on it takes no seats (upstream: flowcontrol/apf_context.go)."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

# Of the watch that the running task serves; None where nobody waits to hear of it.
current: ContextVar[Callable[[], None] | None] = ContextVar("watch initialization", default=None)


def done() -> None:
    """Its first events are written, or another server writes them. Called once or often; nothing outside of watches."""
    tell = current.get()
    if tell is not None:
        tell()
