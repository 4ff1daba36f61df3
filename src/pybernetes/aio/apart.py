"""Work on what is large, in a thread: the event loop answers everybody else meanwhile.

Only for functions of their arguments. They share the interpreter with the loop, which takes it back every SWITCH_SECONDS; so what one call into C
does (decoding, sorting) is not divided, and has to be short by itself.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Generator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, Final, ParamSpec, TypeVar

from .collector import remains, uncollected
from .outside import outside

LARGE: Final = 16 << 10  # bytes: of what costs most (containers of a pod) so many take 50 ms, most objects have fewer
THREADS: Final = 2  # so that one long task holds up no other; more would only wait for the interpreter
SWITCH_SECONDS: Final = 0.001  # after which a thread gives the interpreter to the loop, where that waits for it

P = ParamSpec("P")
R = TypeVar("R")


class _Here(threading.local):
    """Of the thread that asks."""

    apart = False  # it is one of the threads
    may_leave = False


_here = _Here()


@cache
def _threads() -> ThreadPoolExecutor:
    sys.setswitchinterval(SWITCH_SECONDS)
    return ThreadPoolExecutor(THREADS, "apart", initializer=lambda: setattr(_here, "apart", True))


class Leave(Exception):
    """Of a function that `run` has begun on the event loop: its work is more than it looked. It is begun again in a thread."""


def may_leave() -> bool:
    """Whether the caller may raise Leave."""
    return _here.may_leave


def is_apart() -> bool:
    """Whether the caller is in one of the threads."""
    return _here.apart


async def run(size: int, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """What the function gives, or raises; in a thread where there are LARGE bytes or more to work on, or it asks to `Leave`."""
    if _here.apart:
        return function(*args, **kwargs)
    if size < LARGE:
        _here.may_leave = True
        try:
            return function(*args, **kwargs)
        except Leave:
            pass
        finally:
            _here.may_leave = False
    with uncollected():
        result = await in_thread(function, *args, **kwargs)
        kept = remains.get()
        if kept is not None:
            kept.append(result)
        return result


async def in_thread(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """What the function gives, or raises, however little there is to do."""

    def work() -> R:
        try:
            return function(*args, **kwargs)
        except BaseException as error:
            traceback.clear_frames(
                error.__traceback__
            )  # here, and not where somebody has done with the error: on the loop
            raise

    with outside():
        result: R = await asyncio.get_running_loop().run_in_executor(_threads(), work)
    return result


async def stretches(size: int, coroutine: Coroutine[Any, Any, R]) -> R:
    """As `run`, of a coroutine that waits for nothing but for `on_loop`."""
    if size < LARGE:
        return await coroutine
    answer: Any = None
    error: BaseException | None = None
    while True:
        ended, result = await run(size, _stretch, coroutine, answer, error)
        if ended:
            return result  # type: ignore[no-any-return]  # what the coroutine returned
        try:
            answer, error = await result.begin(), None
        except Exception as raised:  # which the coroutine is to see
            answer, error = None, raised


async def on_loop(begin: Callable[[], Awaitable[R]]) -> R:
    """What `begin` gives, awaited on the event loop, from wherever `stretches` has taken the caller."""
    if is_apart():
        result: R = await _Back(begin)
        return result
    return await begin()


class _Back:
    """What a coroutine yields when it needs the loop."""

    def __init__(self, begin: Callable[[], Awaitable[Any]]) -> None:
        self.begin = begin

    def __await__(self) -> Generator[_Back, Any, Any]:
        return (yield self)


def _stretch(coroutine: Coroutine[Any, Any, Any], answer: Any, error: BaseException | None) -> tuple[bool, Any]:
    """Goes on until the coroutine ends (True, what it returns) or needs the loop (False, a _Back)."""
    try:
        return False, coroutine.send(answer) if error is None else coroutine.throw(error)
    except StopIteration as ended:
        return True, ended.value
