"""What the interpreter does about memory while large requests are served: each of its steps would hold the event loop.

The collector of cycles looks at all young objects at a time, and a graph of objects is freed in one step as its last reference goes. For the
million objects of a body of 3 MiB that is a tenth of a second each. So the collector rests meanwhile, and what was made is let go by pieces.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections import deque
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any, Final

UNCOLLECTED_SECONDS: Final = 10.0  # after which the collector runs once, however many large tasks there are
FREED_SECONDS: Final = 0.05  # after a large task, when its answer is written and nothing else holds what it made
WALKED: Final = 200_000  # containers of a graph that are looked for; there are few below the last of them
SLICE: Final = 1_000  # containers that are freed at once: a millisecond
# More than at the last full collection: another one follows. 100 MB, were all of it garbage.
KEPT_OBJECTS: Final = 500_000
COUNT_SECONDS: Final = 1.0  # between two counts, each of which takes some milliseconds
DIVIDED_BYTES: Final = 128 << 10  # of a body: what a smaller one makes is freed in some milliseconds

_tasks = 0  # within `uncollected`
_off_since = 0.0
_was_on = True
_owned = False
# Large requests whose objects are still to be freed; since when there always are some.
_unfreed, _unfreed_since = (0, 0.0)
_counted, _collected_at = 0.0, 0  # when objects were counted last; how many there were after the last full collection

remains: ContextVar[list[Any] | None] = ContextVar("remains", default=None)  # by the large request that is served
_freeing: set[asyncio.Task[None]] = set()


def own_process() -> None:
    """Of a process that serves and does nothing else: what is there now stays, and is not looked at again and again."""
    global _owned, _collected_at
    _owned = True
    gc.freeze()
    _collected_at = gc.get_freeze_count()


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """For the time of a large task, on the event loop, the collector rests."""
    global _tasks, _off_since, _was_on
    now = asyncio.get_running_loop().time()
    if not _tasks:
        _was_on, _off_since = gc.isenabled(), now
        gc.disable()
    elif now - _off_since > UNCOLLECTED_SECONDS:
        _keep() if _owned else gc.collect()
        _off_since = now
    _tasks += 1
    try:
        yield
    finally:
        _tasks -= 1
        if not _tasks:
            _rest()


def _rest() -> None:
    """The last large task has ended."""
    if _owned:
        _keep()
    if _was_on:  # in somebody's process who has it off it stays so
        gc.enable()


def _keep() -> None:
    """What is left of large tasks (compiled schemas, caches) stays as a rule. Once in a while all is looked at, for there may be cycles:
    that takes half a second, where so much is left."""
    global _counted, _collected_at, _unfreed_since
    gc.freeze()
    now = asyncio.get_running_loop().time()
    if _unfreed:  # what is about to be let go is no garbage, and may be more objects than all the rest
        _unfreed_since = _unfreed_since or now
        if now - _unfreed_since < UNCOLLECTED_SECONDS:
            return
    _unfreed_since = 0.0
    if now - _counted >= COUNT_SECONDS:
        _counted = now
        if gc.get_freeze_count() > _collected_at + max(_collected_at, KEPT_OBJECTS):
            gc.unfreeze()
            gc.collect()
            gc.freeze()
            _collected_at = gc.get_freeze_count()


@contextlib.contextmanager
def freed_by_pieces(size: int) -> Iterator[None]:
    """Around a large request: what `apart.run` gives within is freed by pieces in a thread, when it has been answered.

    `size`: bytes of its body.
    """
    global _unfreed
    values: list[Any] = []
    token = remains.set(values if size >= DIVIDED_BYTES else None)
    with uncollected():
        try:
            yield
        finally:
            remains.reset(token)
            if values:
                _unfreed += 1
                task = asyncio.ensure_future(_free_later(values))
                _freeing.add(task)
                task.add_done_callback(_freeing.discard)


async def _free_later(values: list[Any]) -> None:
    from .apart import in_thread

    global _unfreed
    with uncollected():
        try:
            await asyncio.sleep(FREED_SECONDS)
            await in_thread(free, values)
        finally:
            _unfreed -= 1


def free(values: list[Any]) -> None:
    """Lets go of the values and what is in them, some at a time. Nothing is changed: what others hold too stays as it is."""
    pieces: list[Any] = []
    left = deque(values)
    values.clear()
    while left and len(pieces) < WALKED:
        value = left.popleft()
        pieces.append(value)
        below = value.values() if type(value) is dict else value if type(value) in (list, tuple) else ()
        left.extend(item for item in below if type(item) in (dict, list, tuple))
    pieces.extend(left)
    del left, value, below
    while pieces:  # from the leaves
        del pieces[-SLICE:]
