"""How many pods of which kind each node has, kept up to date: what spreading and pod affinity count."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Literal

from .arrays import Ints, np
from .pods import PodInfo
from .selectors import AffinityTerm

COUNTERS = 512  # how many selectors are kept counted; the one longest unused is dropped first

Role = Literal["anti", "required", "preferred"]
ClassKey = tuple[str, frozenset[tuple[str, str]], bool]


@dataclass(slots=True, eq=False)
class PodClass:
    """Pods that no selector tells apart: same namespace, labels, and whether they are going away."""

    namespace: str
    labels: dict[str, str]
    terminating: bool
    rows: dict[int, int] = field(default_factory=dict)  # pods by node
    counters: list[Counter] = field(default_factory=list)


Matches = Callable[[PodClass], bool]


@dataclass(slots=True, eq=False)
class Counter:
    """Pods on each row that a predicate takes."""

    matches: Matches
    counts: Ints


@dataclass(slots=True, eq=False)
class TermGroup:
    """Pods that have the same affinity term, by node. `weight` is 0 for required terms, negative for preferred anti-affinity."""

    role: Role
    term: AffinityTerm
    weight: int
    rows: dict[int, int] = field(default_factory=dict)


class PodCounts:
    """Told of every pod that comes to a row or leaves it."""

    def __init__(self) -> None:
        self._classes: dict[ClassKey, PodClass] = {}
        self._counters: OrderedDict[Hashable, Counter] = OrderedDict()
        self.groups: dict[tuple[Role, AffinityTerm, int], TermGroup] = {}
        self.version = 0  # raised when `groups` get or lose members, or may mean other pods
        self._rows = 0

    def grow(self, rows: int) -> None:
        """Makes room for so many rows."""
        self._rows = rows
        for counter in self._counters.values():
            counts = np.zeros(rows, np.int64)
            counts[: len(counter.counts)] = counter.counts
            counter.counts = counts

    def change(self, info: PodInfo, row: int, by: int) -> None:
        """One pod more (1) or less (-1) on the row."""
        cls = self._class(info)
        _bump(cls.rows, row, by)
        for counter in cls.counters:
            counter.counts[row] += by
        if not cls.rows:
            del self._classes[_key(info)]
        if info.shape.has_pod_affinity:
            self._change_terms(info, row, by)

    def counter(self, key: Hashable, matches: Matches) -> Ints:
        """Pods on each row that the predicate takes; equal keys mean equal predicates. Read only, kept up to date."""
        counter = self._counters.get(key)
        if counter is not None:
            self._counters.move_to_end(key)
            return counter.counts
        counter = self._counters[key] = Counter(matches, np.zeros(self._rows, np.int64))
        for cls in self._classes.values():
            if matches(cls):
                cls.counters.append(counter)
                for row, count in cls.rows.items():
                    counter.counts[row] = counter.counts[row] + count
        if len(self._counters) > COUNTERS:
            _, dropped = self._counters.popitem(last=False)
            for cls in self._classes.values():
                if dropped in cls.counters:
                    cls.counters.remove(dropped)
        return counter.counts

    def forget(self) -> None:
        """Drops what was counted, since predicates may answer differently now (labels of a namespace)."""
        self._counters.clear()
        for cls in self._classes.values():
            cls.counters.clear()
        self.version += 1

    def _class(self, info: PodInfo) -> PodClass:
        key = _key(info)
        pod_class = self._classes.get(key)
        if pod_class is None:
            pod_class = self._classes[key] = PodClass(info.namespace, info.labels, info.terminating)
            pod_class.counters = [c for c in self._counters.values() if c.matches(pod_class)]
        return pod_class

    def _change_terms(self, info: PodInfo, row: int, by: int) -> None:
        shape = info.shape
        terms: list[tuple[Role, AffinityTerm, int]] = [("anti", term, 0) for term in shape.anti_affinity]
        terms += [("required", term, 0) for term in shape.affinity]
        terms += [("preferred", term, weight) for term, weight in shape.preferred_affinity]
        for key in terms:
            group = self.groups.get(key)
            if group is None:
                group = self.groups[key] = TermGroup(*key)
                self.version += 1
            _bump(group.rows, row, by)
            if not group.rows:
                del self.groups[key]
                self.version += 1


def _key(info: PodInfo) -> ClassKey:
    return info.namespace, frozenset(info.labels.items()), info.terminating


def _bump(rows: dict[int, int], row: int, by: int) -> None:
    left = rows.get(row, 0) + by
    if left:
        rows[row] = left
    else:
        del rows[row]
