"""PrioritySort: the queue's order, by priority, then by who came first (upstream: plugins/queuesort)."""

from __future__ import annotations

from ..framework.interface import Plugin, SortKey
from ..model.pods import PodInfo


class PrioritySort(Plugin):
    """The default order of the queue."""

    name = "PrioritySort"

    def sort_key(self, info: PodInfo, since: float) -> SortKey:
        """The more important first, then who came first."""
        return -info.priority, since
