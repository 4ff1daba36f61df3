"""PrioritySort: the queue's order, by priority, then by who came first (upstream: plugins/queuesort)."""

from __future__ import annotations

from ..interface import Plugin
from ..pods import PodInfo


class PrioritySort(Plugin):
    """The only order there is; `queue` uses `sort_key`."""

    name = "PrioritySort"


def sort_key(info: PodInfo, since: float, number: int) -> tuple[int, float, int]:
    """Smaller goes first; `since` is when the pod came, `number` breaks ties."""
    return -info.priority, since, number
