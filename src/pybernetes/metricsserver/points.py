"""Reads a kubelet's /metrics/resource (upstream: pkg/scraper/client/resource/decode.go)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

Key = tuple[str, str]  # a pod's (namespace, name)
Field = Literal["cpu", "memory", "swap", "start"]

NANOS: Final = 1_000_000_000
NANOS_OF_MILLI: Final = 1_000_000
MAX_VALUE: Final = float(1 << 63)  # what upstream keeps them in ends there
NODE: Final[Mapping[str, Field]] = {
    "node_cpu_usage_seconds_total": "cpu",
    "node_memory_working_set_bytes": "memory",
    "node_swap_usage_bytes": "swap",
}
CONTAINER: Final[Mapping[str, Field]] = {
    "container_cpu_usage_seconds_total": "cpu",
    "container_memory_working_set_bytes": "memory",
    "container_swap_usage_bytes": "swap",
    "container_start_time_seconds": "start",
}
_SAMPLE = re.compile(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})?[ \t]+(\S+)(?:[ \t]+(-?\d{1,18}))?[ \t]*", re.ASCII)
_LABEL = re.compile(r'[ \t]*(\w+)="((?:[^"\\]|\\.)*)"[ \t]*,?', re.ASCII)


class Malformed(ValueError):
    """What a kubelet sent is no text of Prometheus'; one line."""


@dataclass(frozen=True, slots=True)
class Point:
    """Of a container or a node. `timestamp` and `start` are nanoseconds since the epoch (0: not told), `cpu` nanoseconds of a core since the
    start, `memory` and `swap` bytes; swap None where the kubelet does not count it."""

    timestamp: int = 0
    cpu: int = 0
    memory: int = 0
    swap: int | None = None
    start: int = 0

    @property
    def whole(self) -> bool:
        """Whether it has what a rate needs. Nothing that runs uses no memory: zero is what a kubelet says that could not look."""
        return self.timestamp != 0 and self.cpu != 0 and self.memory != 0


@dataclass(frozen=True, slots=True)
class Batch:
    """What one scrape has given; of a pod all containers, or the pod is not there."""

    nodes: dict[str, Point] = field(default_factory=dict)
    pods: dict[Key, dict[str, Point]] = field(default_factory=dict)


def decode(text: str, node: str, now: int) -> Batch:
    """`now` (nanoseconds since the epoch) stands for timestamps that are not told. Malformed."""
    of_node: dict[Field, int] = {}
    pods: dict[Key, dict[str, dict[Field, int]]] = {}
    times: dict[tuple[Key, str] | None, int] = {}
    for line in text.splitlines():
        if not line.startswith(("node_", "container_")):
            continue
        match = _SAMPLE.fullmatch(line)
        if match is None:
            raise Malformed(f"failed parsing metrics: {line[:100]!r} is no sample")
        name, labels, number, stamp = match.groups()
        if name in NODE:
            one, values, place = NODE[name], of_node, None
        elif name in CONTAINER:
            of_series = _labels((labels or "").rstrip(" \t"), line)
            key, container = (of_series.get("namespace", ""), of_series.get("pod", "")), of_series.get("container", "")
            one, values = CONTAINER[name], pods.setdefault(key, {}).setdefault(container, {})
            place = (key, container)
        else:
            continue
        values[one] = _integer(number, NANOS if one in ("cpu", "start") else 1, line)
        if one != "start":
            times[place] = int(stamp) * NANOS_OF_MILLI if stamp is not None else now
    batch = Batch()
    point = _point(of_node, times.get(None, 0))
    if point.whole:
        batch.nodes[node] = point
    for key, containers in pods.items():
        points = {name: _point(values, times.get((key, name), 0)) for name, values in containers.items()}
        if all(point.whole for point in points.values()):
            batch.pods[key] = points
    return batch


def _labels(text: str, line: str) -> dict[str, str]:
    """One after the other: to look for them anywhere would begin again at each character. Malformed."""
    pairs: dict[str, str] = {}
    place = 0
    while place < len(text):
        match = _LABEL.match(text, place)
        if match is None:
            raise Malformed(f"failed parsing metrics: {line[:100]!r} has labels that are none")
        name, value = match.groups()
        pairs[name] = value
        place = match.end()
    return pairs


def _point(values: Mapping[Field, int], timestamp: int) -> Point:
    return Point(timestamp, values.get("cpu", 0), values.get("memory", 0), values.get("swap"), values.get("start", 0))


def _integer(text: str, factor: int, line: str) -> int:
    try:
        value = float(text) * factor
    except ValueError:
        raise Malformed(f"failed parsing metrics: {line[:100]!r} has no number") from None
    if not 0 <= value < MAX_VALUE:  # nor NaN
        raise Malformed(f"failed parsing metrics: {line[:100]!r} is out of range")
    return int(value)
