"""How much work something is, counted and not timed: calls of functions, and comparisons of the strings that are given."""

import contextlib
import gc
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

STEPS = (100, 200, 400)  # sizes of which the growth is judged
TOO_MUCH = (
    2.8  # what twice as much input may add to the work, as a multiple: 2 where it is linear, 4 where it is quadratic
)
SLACK = 300  # operations that may come and go: caches, the first error's words


@dataclass(slots=True)
class Effort:
    calls: int = 0
    comparisons: int = 0


class Text(str):
    """A string that counts how often it is compared: what looks through a list for it calls nothing else."""

    __slots__ = ()
    counted = 0

    def __eq__(self, other: object) -> bool:
        Text.counted += 1
        return str.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        Text.counted += 1
        return str.__ne__(self, other)

    __hash__ = str.__hash__


def counting(value: Any) -> Any:
    """The same JSON, of strings that count."""
    if isinstance(value, str):
        return Text(value)
    if isinstance(value, dict):
        return {key: counting(item) for key, item in value.items()}
    return [counting(item) for item in value] if isinstance(value, list) else value


@contextlib.contextmanager
def measured() -> Iterator[Effort]:
    """Of what happens within; errors pass."""
    effort = Effort()

    def count(_frame: object, event: str, _argument: object) -> None:
        if event in ("call", "c_call"):
            effort.calls += 1

    Text.counted = 0
    collecting = gc.isenabled()
    gc.disable()  # its callbacks are calls, too
    sys.setprofile(count)
    try:
        yield effort
    finally:
        sys.setprofile(None)
        effort.comparisons = Text.counted
        if collecting:
            gc.enable()


def grows_too_much(of: Callable[[int], int]) -> str:
    """ "" where what `of` counts grows at most as its argument does; else the three numbers."""
    few, some, many = (of(size) for size in STEPS)
    if many - some > TOO_MUCH * max(some - few, 0) + SLACK:
        return f"{few}, {some}, {many} for {STEPS}"
    return ""
