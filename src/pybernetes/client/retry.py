"""Writes that are tried again where somebody else has written meanwhile (client-go/util/retry)."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from pybernetes.aio.clock import Clock
from pybernetes.api.errors import StatusError

Obj = TypeVar("Obj")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Backoff:
    """At most `steps` tries; before the second one a pause of `seconds`, each further one `factor` times as long (wait.Backoff)."""

    steps: int
    seconds: float = 0.0
    factor: float = 1.0
    jitter: float = 0.0  # a pause is up to this share of itself longer, so that rivals do not meet again

    def pauses(self) -> list[float]:
        """Between the tries."""
        plain = (self.seconds * self.factor**number for number in range(self.steps - 1))
        return [pause * (1 + random.random() * self.jitter) for pause in plain]


DEFAULT_RETRY = Backoff(5, 0.01, jitter=0.1)  # client-go's recommendation where several clients write different parts
AT_ONCE = Backoff(2)  # once more with the newest object; after that the work queue comes back to it


def is_conflict(error: StatusError) -> bool:
    """Whether the object changed since it was read; a name that is taken is no conflict, although its code is 409, too."""
    return error.code == 409 and error.reason != "AlreadyExists"


async def retry_on_conflict(
    write: Callable[[Obj], Awaitable[R]],
    current: Obj,
    read: Callable[[], Awaitable[Obj]],
    clock: Clock,
    backoff: Backoff = DEFAULT_RETRY,
) -> R:
    """`write(current)`; after a conflict `write` of what `read` gives, and so on; raises the last conflict and all other errors."""
    for pause in backoff.pauses():
        try:
            return await write(current)
        except StatusError as error:
            if not is_conflict(error):
                raise
        if pause > 0:
            await clock.sleep(pause)
        current = await read()
    return await write(current)
