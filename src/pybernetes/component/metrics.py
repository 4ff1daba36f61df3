"""Counters, gauges and histograms in Prometheus' text format 0.0.4 (upstream: component-base/metrics).

Own code because it sits in the path of every request and every part's start: a sample is one dictionary entry, and text is made
only when somebody asks. A metric belongs to the `Registry` that made it; there is no global one.
"""

from __future__ import annotations

import os
import resource
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
DEFAULT_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

M = TypeVar("M", bound="Metric")

Labels = tuple[str, ...]  # values, in the order of the metric's label names


@dataclass(slots=True)
class Metric:
    """One family. `labels` are names; methods take their values in the same order."""

    name: str
    help: str
    labels: Sequence[str] = ()
    type: str = "untyped"

    def lines(self) -> Iterable[str]:
        """The samples as text."""
        raise NotImplementedError


@dataclass(slots=True)
class Counter(Metric):
    """Only grows."""

    type: str = "counter"
    samples: dict[Labels, float] = field(default_factory=dict)

    def inc(self, *labels: str, by: float = 1.0) -> None:
        """Adds to the sample of these label values."""
        self.samples[labels] = self.samples.get(labels, 0.0) + by

    def lines(self) -> Iterable[str]:
        return (f"{self.name}{_labels(self.labels, values)} {_number(v)}" for values, v in sorted(self.samples.items()))


@dataclass(slots=True)
class Gauge(Counter):
    """Goes up and down; `function` gives its samples where they are kept elsewhere."""

    type: str = "gauge"
    function: Callable[[], Mapping[Labels, float]] | None = None

    def set(self, value: float, *labels: str) -> None:
        """The value of the sample of these label values."""
        self.samples[labels] = value

    def lines(self) -> Iterable[str]:
        if self.function is not None:
            self.samples = dict(self.function())
        return Counter.lines(self)


@dataclass(slots=True)
class Histogram(Metric):
    """Counts observations into buckets of ascending upper bounds."""

    type: str = "histogram"
    buckets: Sequence[float] = DEFAULT_BUCKETS
    counts: dict[Labels, list[int]] = field(default_factory=dict)  # one more than buckets: +Inf
    sums: dict[Labels, float] = field(default_factory=dict)

    def observe(self, value: float, *labels: str, times: int = 1) -> None:
        """Counts one observation, or several of the same value."""
        counts = self.counts.get(labels)
        if counts is None:
            counts = self.counts[labels] = [0] * (len(self.buckets) + 1)
            self.sums[labels] = 0.0
        counts[bisect_left(self.buckets, value)] += times
        self.sums[labels] += value * times

    def lines(self) -> Iterable[str]:
        names = (*self.labels, "le")
        for values, counts in sorted(self.counts.items()):
            total = 0
            for bound, count in zip((*self.buckets, float("inf")), counts, strict=True):
                total += count
                yield f"{self.name}_bucket{_labels(names, (*values, _number(bound)))} {total}"
            yield f"{self.name}_sum{_labels(self.labels, values)} {_number(self.sums[values])}"
            yield f"{self.name}_count{_labels(self.labels, values)} {total}"


class Registry:
    """The metrics of one part, in the order they were made."""

    def __init__(self) -> None:
        self._metrics: dict[str, Metric] = {}

    def counter(self, name: str, help: str, labels: Sequence[str] = ()) -> Counter:
        """ValueError if the name is taken, as for the others."""
        return self._add(Counter(name, help, labels))

    def gauge(
        self,
        name: str,
        help: str,
        labels: Sequence[str] = (),
        function: Callable[[], Mapping[Labels, float]] | None = None,
    ) -> Gauge:
        return self._add(Gauge(name, help, labels, function=function))

    def histogram(
        self, name: str, help: str, labels: Sequence[str] = (), buckets: Sequence[float] = DEFAULT_BUCKETS
    ) -> Histogram:
        return self._add(Histogram(name, help, labels, buckets=buckets))

    def include(self, other: Registry) -> None:
        """Shows another one's metrics, those that it has now, behind these."""
        for metric in other._metrics.values():
            self._add(metric)

    def _add(self, metric: M) -> M:
        if metric.name in self._metrics:
            raise ValueError(f"metric {metric.name!r} is registered already")
        self._metrics[metric.name] = metric
        return metric

    def text(self) -> str:
        """All families that have samples."""
        blocks = []
        for metric in self._metrics.values():
            lines = "\n".join(metric.lines())
            if lines:
                blocks.append(f"# HELP {metric.name} {metric.help}\n# TYPE {metric.name} {metric.type}\n{lines}\n")
        return "".join(blocks)


def process_metrics(registry: Registry) -> None:
    """process_* of this process, as every Prometheus client has them."""
    page = resource.getpagesize()
    ticks = os.sysconf("SC_CLK_TCK")

    def stat() -> list[str]:
        with open("/proc/self/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()

    def boot_time() -> float:
        return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)

    def one(value: Callable[[], float]) -> Callable[[], Mapping[Labels, float]]:
        return lambda: {(): value()}

    cpu = registry.counter("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.")
    registry.gauge(
        "process_resident_memory_bytes", "Resident memory size in bytes.", function=one(lambda: int(stat()[21]) * page)
    )
    registry.gauge(
        "process_start_time_seconds",
        "Start time of the process since unix epoch in seconds.",
        function=one(lambda: boot_time() + int(stat()[19]) / ticks),
    )

    def open_files() -> float:
        cpu.samples[()] = sum(os.times()[:2])
        return len(os.listdir("/proc/self/fd"))

    registry.gauge("process_open_fds", "Number of open file descriptors.", function=one(open_files))


def _labels(names: Sequence[str], values: Sequence[str]) -> str:
    if not names:
        return ""
    return "{" + ",".join(f'{n}="{_escaped(v)}"' for n, v in zip(names, values, strict=True)) + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    if value == float("inf"):
        return "+Inf"
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)
