"""Coroutines that mostly wait for nothing: begun at once, and given a task only where they wait (Python 3.12: asyncio.eager_task_factory).

An answer from memory costs half without a task. What a coroutine does before it first waits has no current task: whoever needs one there
(a time-out, a task group) gives way first, by `plugin.in_task`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from typing import Any


def begin(work: Coroutine[Any, Any, None], loop: asyncio.AbstractEventLoop) -> asyncio.Task[None] | None:
    """None: it is done already. What it raises at once is the caller's."""
    try:
        awaited = work.send(None)
    except StopIteration:
        return None
    return loop.create_task(_go_on(work, awaited))


async def _go_on(work: Coroutine[Any, Any, None], awaited: Any) -> None:
    await _Rest(work, awaited)


class _Rest:
    """What is left of a coroutine that waits for something already."""

    def __init__(self, work: Coroutine[Any, Any, None], awaited: Any) -> None:
        self._work, self._awaited = work, awaited

    def __await__(self) -> Generator[Any, Any, None]:
        work, awaited = self._work, self._awaited
        while True:
            error, value = None, None
            try:
                value = yield awaited
            except BaseException as thrown:
                error = thrown
            try:
                awaited = work.send(value) if error is None else work.throw(error)
            except StopIteration:
                return
