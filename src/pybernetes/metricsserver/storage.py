"""The last two points of nodes and containers, and the use between them (upstream: pkg/storage)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from .points import NANOS, Batch, Key, Point

# A container that began less than one scrape ago is counted from its start, but not in its first seconds, which say too little.
FRESH = 10 * NANOS


@dataclass(frozen=True, slots=True)
class Usage:
    """Between two points: `cpu` in nanocores, `memory` and `swap` in bytes; `timestamp` of the later, `window` between them, nanoseconds."""

    timestamp: int
    window: int
    cpu: int
    memory: int
    swap: int | None = None


@dataclass(slots=True)
class Storage:
    """`resolution` is the time between scrapes, nanoseconds. Holds what the last batch had, and nothing else."""

    resolution: int
    nodes: dict[str, Point] = field(default_factory=dict)
    nodes_before: dict[str, Point] = field(default_factory=dict)
    pods: dict[Key, dict[str, Point]] = field(default_factory=dict)
    pods_before: dict[Key, dict[str, Point]] = field(default_factory=dict)

    def store(self, batch: Batch) -> None:
        """Instead of the one before."""
        nodes_before = {}
        for name, point in batch.nodes.items():
            before = _before(point, self.nodes.get(name), self.nodes_before.get(name))
            if before is not None:
                nodes_before[name] = before
        pods_before = {}
        for key, containers in batch.pods.items():
            last, previous = self.pods.get(key, {}), self.pods_before.get(key, {})
            earlier = {}
            for name, point in containers.items():
                before = self._of_container(point, last.get(name), previous.get(name))
                if before is not None:
                    earlier[name] = before
            if earlier:
                pods_before[key] = earlier
        self.nodes, self.nodes_before = dict(batch.nodes), nodes_before
        self.pods, self.pods_before = dict(batch.pods), pods_before

    def _of_container(self, point: Point, last: Point | None, previous: Point | None) -> Point | None:
        if point.start and FRESH <= point.timestamp - point.start < self.resolution:
            return Point(point.start, 0, point.memory, point.swap, point.start)
        if last is None or point.start >= last.timestamp:  # restarted since
            return None
        return _before(point, last, previous)

    @property
    def ready(self) -> bool:
        """Whether there is anything to tell: of two scrapes."""
        return bool(self.nodes_before or self.pods_before)

    @property
    def container_points(self) -> int:
        """Containers of which the use is known."""
        return sum(map(len, self.pods_before.values()))

    def of_node(self, name: str) -> Usage | None:
        """None where it is not known (yet)."""
        last, before = self.nodes.get(name), self.nodes_before.get(name)
        return usage(last, before) if last is not None and before is not None else None

    def of_pod(self, key: Key) -> dict[str, Usage] | None:
        """By container; None unless all of them are known, for the sum would be too small."""
        last, before = self.pods.get(key), self.pods_before.get(key)
        if last is None or before is None or any(name not in before for name in last):
            return None
        counted = {name: usage(point, before[name]) for name, point in last.items()}
        return {name: one for name, one in counted.items() if one is not None}


def _before(point: Point, last: Point | None, previous: Point | None) -> Point | None:
    """Which earlier point counts: the last one, or the one before it where the kubelet has nothing newer to say."""
    if last is not None and point.timestamp > last.timestamp:
        return last
    if last is not None and previous is not None and previous.timestamp < point.timestamp:
        return previous
    return None


def usage(last: Point, before: Point) -> Usage | None:
    """None where the counters went back: it was restarted between."""
    window = last.timestamp - before.timestamp
    if last.start < before.start or last.cpu < before.cpu or window <= 0:
        return None
    return Usage(last.timestamp, window, (last.cpu - before.cpu) * NANOS // window, last.memory, last.swap)


@dataclass(frozen=True, slots=True)
class PodFacts:
    """What of a pod counts here."""

    node: str
    running: bool
    containers: frozenset[str]
    labels: Mapping[str, str]


def admitted(batch: Batch, node: str, pods: Mapping[Key, PodFacts]) -> tuple[Batch, Collection[Key]]:
    """Of what a node's kubelet says only its own pods, and their containers; and the pods of other nodes that it spoke of.

    So a kubelet cannot say how busy others are, and what is kept is never more than the cluster has.
    """
    kept, foreign = Batch(dict(batch.nodes)), []
    for key, containers in batch.pods.items():
        facts = pods.get(key)
        if facts is None:
            continue
        if facts.node != node:
            foreign.append(key)
            continue
        points = {name: point for name, point in containers.items() if name in facts.containers}
        if points:
            kept.pods[key] = points
    return kept, foreign


def merged(batches: Iterable[Batch]) -> Batch:
    """Those of all nodes."""
    whole = Batch()
    for batch in batches:
        whole.nodes.update(batch.nodes)
        whole.pods.update(batch.pods)
    return whole
