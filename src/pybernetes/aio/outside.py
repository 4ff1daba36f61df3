"""What an event loop waits for that no clock knows of: threads, other processes. A virtual clock stands meanwhile.

Else an advance would take a loop for one at rest that waits for a webhook's answer, and let the request's deadline pass before it can come.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

_here = threading.local()  # an event loop is of one thread


@contextmanager
def outside() -> Iterator[None]:
    """A block in which a task waits for something outside of its loop, which answers in real time."""
    _here.waiting = waiting() + 1
    try:
        yield
    finally:
        _here.waiting -= 1


def waiting() -> int:
    """How many tasks of this thread's loop are in such a block."""
    return getattr(_here, "waiting", 0)
