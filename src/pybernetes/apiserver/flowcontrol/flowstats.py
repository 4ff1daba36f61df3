"""What is counted of each request (upstream: flowcontrol/metrics); `metrics.py` makes samples of it when somebody asks."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field

SECONDS = (0.0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0)
LENGTHS = (0.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0)
SEATS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 100.0)
WATCHES = (0.0, 1.0, 10.0, 100.0, 1000.0, 10000.0)


def no_counts(buckets: tuple[float, ...]) -> list[int]:
    return [0] * (len(buckets) + 1)


@dataclass(slots=True, eq=False)
class FlowStats:
    """Of the requests of one schema on one level."""

    plain: int = (
        0  # of one seat, dispatched as they came and alone in their queue: nearly all, and counted by this alone
    )
    dispatched: int = 0  # the others
    unwaited: int = 0  # of these, that had their turn as they came
    rejected: dict[str, int] = field(default_factory=dict)  # by reason
    lengths: list[int] = field(default_factory=lambda: no_counts(LENGTHS))
    lengths_sum: int = 0
    seats: list[int] = field(default_factory=lambda: no_counts(SEATS))
    seats_sum: int = 0
    regular: list[int] = field(default_factory=lambda: no_counts(SECONDS))
    regular_sum: float = 0.0
    watches: list[int] = field(default_factory=lambda: no_counts(WATCHES))
    watches_sum: int = 0

    def executed(self, seconds: float) -> None:
        """A request that is no watch took so long."""
        self.regular[bisect_left(SECONDS, seconds)] += 1
        self.regular_sum += seconds

    def estimated(self, seats: int) -> None:
        """A request is taken to need so many."""
        self.seats[bisect_left(SEATS, seats)] += 1
        self.seats_sum += seats

    def enqueued(self, length: int) -> None:
        """A request came into a queue that is so long with it."""
        self.lengths[bisect_left(LENGTHS, length)] += 1
        self.lengths_sum += length

    def watched(self, count: int) -> None:
        """So many watches hear of a write."""
        self.watches[bisect_left(WATCHES, count)] += 1
        self.watches_sum += count
