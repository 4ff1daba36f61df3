"""How long what was in which state: utilisation metrics and the demand of levels are worked out from it.

Times are counted by state, however often it was entered: a request changes the state twice, and must not cost two observations of
each metric for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from .demand import Observed

State = tuple[int, int, int, int]  # requests that run, their seats, requests that wait, their seats
MANY_STATES = 256  # that are kept before they are told

Tell = Callable[[State, float], None]


class Occupancy:
    """Of one level. `tell` is told each state and for how long it was, when `flush` is called or there are many."""

    def __init__(self, tell: Tell | None = None) -> None:
        self.tell = tell
        self.states: dict[State, float] = {}  # of this period, that have not been told
        self._earlier: dict[State, float] = {}  # of periods before, that have not been told
        self.highest = 0  # seats that were used or wanted at a time
        self._seconds = self._area = self._squares = 0.0

    def flush(self) -> None:
        """Tells what has not been told: to be called before what it is told to judges it by something else."""
        self._sum_up()
        if self.tell is not None:
            for state, seconds in self._earlier.items():
                self.tell(state, seconds)
        self._earlier.clear()

    def _sum_up(self) -> None:
        """The states become those of the past; telling them has time."""
        for state, seconds in self.states.items():
            demand = state[1] + state[3]
            self._seconds += seconds
            self._area += seconds * demand
            self._squares += seconds * demand * demand
            self._earlier[state] = self._earlier.get(state, 0.0) + seconds
        self.states.clear()

    def reset(self, demand: int) -> Observed:
        """The demand of the period that ends; `demand` is that of now, with which the next one begins."""
        self._sum_up()
        if len(self._earlier) >= MANY_STATES:
            self.flush()
        seconds = self._seconds
        average = self._area / seconds if seconds else 0.0
        variance = self._squares / seconds - average * average if seconds else 0.0
        observed = Observed(seconds, average, math.sqrt(max(variance, 0.0)), self.highest)
        self._seconds = self._area = self._squares = 0.0
        self.highest = demand
        return observed
