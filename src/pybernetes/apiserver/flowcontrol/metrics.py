"""apiserver_flowcontrol_* (upstream: flowcontrol/metrics).

What is counted for each request is a number on `FlowStats`; the samples are made of those when somebody asks.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from pybernetes.component.metrics import Counter, Gauge, Histogram, Labels, Registry

from .configuration import EXEMPT
from .controller import FlowControl, Level
from .flowstats import LENGTHS, SEATS, SECONDS, WATCHES, FlowStats, no_counts
from .occupancy import Occupancy
from .occupancy import State as Occupied
from .queueset import SCALE, QueueSet, Request

PREFIX = "apiserver_flowcontrol_"
LEVEL, FLOW = ("priority_level",), ("priority_level", "flow_schema")
SEAT_UTILIZATION = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
REQUEST_UTILIZATION = (0.0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.25, 0.5, 0.75, 1.0)
READ_WRITE = (0.0, 0.001, 0.01, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
DEMAND = (0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.7, 2.0, 2.8, 4.0, 6.0)
Value = TypeVar("Value")
NANOSECONDS = 10**9  # utilisation is observed at the end of each


class FlowControlMetrics:
    """Of one server. `control` is given once it is there."""

    def __init__(self, registry: Registry) -> None:
        self.control: FlowControl | None = None
        self.stats: dict[tuple[str, str], FlowStats] = {}  # by (level, schema)
        # Requests that run and wait, of those that change something and of the others.
        self.kinds = Occupancy(self._tell_kinds)
        self._capacity = (1, 1)  # requests that may run, and wait, at a time
        self._make_flows(registry)
        self._make_levels(registry)
        self._make_utilization(registry)

    def _make_flows(self, registry: Registry) -> None:
        def gauge(name: str, text: str, labels: tuple[str, ...] = FLOW) -> Gauge:
            return registry.gauge(PREFIX + name, text, labels)

        def counter(name: str, text: str, labels: tuple[str, ...] = FLOW) -> Counter:
            return registry.counter(PREFIX + name, text, labels)

        def histogram(name: str, text: str, labels: tuple[str, ...], buckets: tuple[float, ...]) -> Histogram:
            return registry.histogram(PREFIX + name, text, labels, buckets)

        # The first of all is asked first: it brings the others up to date.
        self._executing = registry.gauge(
            PREFIX + "current_executing_requests",
            "Number of requests in initial (for a WATCH) or any (for a non-WATCH) execution stage in the API Priority "
            "and Fairness subsystem",
            FLOW,
            self._refreshed,
        )
        self._executing_seats = gauge(
            "current_executing_seats",
            "Concurrency (number of seats) occupied by the currently executing (initial stage for a WATCH, any stage "
            "otherwise) requests in the API Priority and Fairness subsystem",
        )
        self._waiting = gauge(
            "current_inqueue_requests",
            "Number of requests currently pending in queues of the API Priority and Fairness subsystem",
        )
        self._waiting_seats = gauge(
            "current_inqueue_seats",
            "Number of seats currently pending in queues of the API Priority and Fairness subsystem",
        )
        self._dispatched = counter(
            "dispatched_requests_total", "Number of requests executed by API Priority and Fairness subsystem"
        )
        self._rejected = counter(
            "rejected_requests_total",
            "Number of requests rejected by API Priority and Fairness subsystem",
            (*FLOW, "reason"),
        )
        self._no_accommodation = counter(
            "request_dispatch_no_accommodation_total",
            "Number of times a dispatch attempt resulted in a non accommodation due to lack of available seats",
        )
        self.waits = histogram(
            "request_wait_duration_seconds",
            "Length of time a request spent waiting in its queue",
            (*FLOW, "execute"),
            SECONDS,
        )
        self.executions = histogram(
            "request_execution_seconds",
            "Duration of initial stage (for a WATCH) or any (for a non-WATCH) stage of request execution in the API "
            "Priority and Fairness subsystem",
            (*FLOW, "type"),
            SECONDS,
        )
        self._lengths = histogram(
            "request_queue_length_after_enqueue",
            "Length of queue in the API Priority and Fairness subsystem, as seen by each request after it is enqueued",
            FLOW,
            LENGTHS,
        )
        self._seats = histogram(
            "work_estimated_seats",
            "Number of estimated seats (maximum of initial and final seats) associated with requests in API Priority "
            "and Fairness",
            FLOW,
            SEATS,
        )
        self._watches = histogram(
            "watch_count_samples",
            "count of watchers for mutating requests in API Priority and Fairness",
            FLOW,
            WATCHES,
        )

    def _make_levels(self, registry: Registry) -> None:
        texts = {
            "nominal_limit_seats": "Nominal number of execution seats configured for each priority level",
            "lower_limit_seats": "Configured lower bound on number of execution seats available to each priority level",
            "upper_limit_seats": "Configured upper bound on number of execution seats available to each priority level",
            "current_limit_seats": "current derived number of execution seats available to each priority level",
            "demand_seats_high_watermark": "High watermark, over last adjustment period, of demand_seats",
            "demand_seats_average": "Time-weighted average, over last adjustment period, of demand_seats",
            "demand_seats_stdev": "Time-weighted standard deviation, over last adjustment period, of demand_seats",
            "demand_seats_smoothed": "Smoothed seat demands",
            "target_seats": "Seat allocation targets",
            "current_r": "R(time of last change)",
            "dispatch_r": "R(time of last dispatch)",
            "latest_s": "S(most recently dispatched request)",
        }
        self._of_levels = {name: registry.gauge(PREFIX + name, text, LEVEL) for name, text in texts.items()}
        self._bounds = registry.gauge(
            PREFIX + "next_s_bounds",
            "min and max, over queues, of S(oldest waiting request in queue)",
            (*LEVEL, "bound"),
        )
        self._discounted_bounds = registry.gauge(
            PREFIX + "next_discounted_s_bounds",
            "min and max, over queues, of S(oldest waiting request in queue) - estimated work in progress",
            (*LEVEL, "bound"),
        )
        self._fair_fraction = registry.gauge(
            PREFIX + "seat_fair_frac",
            "Fair fraction of server's concurrency to allocate to each priority level that can use it",
        )

    def _make_utilization(self, registry: Registry) -> None:
        self._seat_utilization = registry.histogram(
            PREFIX + "priority_level_seat_utilization",
            "Observations, at the end of every nanosecond, of utilization of seats for any stage of execution (but "
            "only initial stage for WATCHes)",
            (*LEVEL, "phase"),
            SEAT_UTILIZATION,
        )
        self._request_utilization = registry.histogram(
            PREFIX + "priority_level_request_utilization",
            "Observations, at the end of every nanosecond, of number of requests (as a fraction of the relevant limit) "
            "waiting or in any stage of execution (but only initial stage for WATCHes)",
            ("phase", *LEVEL),
            REQUEST_UTILIZATION,
        )
        self._read_write = registry.histogram(
            PREFIX + "read_vs_write_current_requests",
            "Observations, at the end of every nanosecond, of the number of requests (as a fraction of the relevant "
            "limit) waiting or in regular stage of execution",
            ("phase", "request_kind"),
            READ_WRITE,
        )
        self._demand = registry.histogram(
            PREFIX + "demand_seats",
            "Observations, at the end of every nanosecond, of (the number of seats each priority level could use) / "
            "(nominal number of seats for that level)",
            LEVEL,
            DEMAND,
        )

    # What is counted.

    def of(self, level: str, schema: str) -> FlowStats:
        """The numbers of a schema's requests on a level; its histograms' samples are these very lists."""
        stats = self.stats.get((level, schema))
        if stats is None:
            stats = self.stats[level, schema] = FlowStats()
        return stats

    def keep(self, control: FlowControl) -> None:
        """Forgets the numbers of schemas and levels that there are no more."""
        present = {schema.name for schema in control.schemas}
        gone = {key for key in self.stats if key[1] not in present or key[0] not in control.levels}
        for key in gone:
            del self.stats[key]
        for counter in (self._dispatched, self._rejected, self._no_accommodation):
            _keep(counter.samples, lambda labels: labels[:2] not in gone)
        for histogram in (self.waits, self.executions, self._lengths, self._seats, self._watches):
            _keep(histogram.counts, lambda labels: labels[:2] not in gone)
            _keep(histogram.sums, lambda labels: labels[:2] not in gone)
        for gauge in (*self._of_levels.values(), self._bounds, self._discounted_bounds):
            _keep(gauge.samples, lambda labels: labels[0] in control.levels)
        for histogram in (self._seat_utilization, self._request_utilization, self._demand):
            at = histogram.labels.index("priority_level")
            present_labels = {labels for labels in histogram.counts if labels[at] in control.levels}
            _keep(histogram.counts, present_labels.__contains__)
            _keep(histogram.sums, present_labels.__contains__)

    def configured(self, control: FlowControl) -> None:
        """Limits have changed: what is a full server is another one now."""
        waiting = 0
        for level in control.levels.values():
            queuing = level.spec.queuing
            waiting += queuing.queues * queuing.length if queuing is not None else 0
        self._capacity = (max(1, sum(level.limits.nominal for level in control.levels.values())), max(1, waiting))

    def tell(self, level: Level, state: Occupied, seconds: float) -> None:
        """A level was in a state for so long."""
        control, name, queuing = self.control, level.spec.name, level.spec.queuing
        assert control is not None, "levels are there before anything is counted"
        executing, seats, waiting, seats_waiting = state
        seats_limit = control.denominator(level)
        length = max(1, queuing.length) * queuing.queues if queuing is not None else 1
        _stay(self._seat_utilization, seats / seats_limit, seconds, name, "executing")
        _stay(self._request_utilization, executing / seats_limit, seconds, "executing", name)
        _stay(self._request_utilization, waiting / length, seconds, "waiting", name)
        _stay(self._demand, (seats + seats_waiting) / seats_limit, seconds, name)

    def _tell_kinds(self, state: Occupied, seconds: float) -> None:
        executing, waiting = self._capacity
        mutating, reading, mutating_waiting, reading_waiting = state
        _stay(self._read_write, mutating / executing, seconds, "executing", "mutating")
        _stay(self._read_write, reading / executing, seconds, "executing", "readOnly")
        _stay(self._read_write, mutating_waiting / waiting, seconds, "waiting", "mutating")
        _stay(self._read_write, reading_waiting / waiting, seconds, "waiting", "readOnly")

    # What is told.

    def _refreshed(self) -> Mapping[Labels, float]:
        control = self.control
        if control is None:
            return {}
        self.kinds.flush()
        for key, stats in self.stats.items():
            self._refresh_flow(key, stats, exempt=key[0] == EXEMPT)
        for level in control.levels.values():
            self._refresh_level(level)
        self._fair_fraction.set(control.fair_fraction)
        executing = self._count(control.levels.values())
        return executing

    def _refresh_flow(self, key: tuple[str, str], stats: FlowStats, *, exempt: bool) -> None:
        if stats.plain:
            stats.dispatched += stats.plain
            stats.seats[0] += stats.plain
            stats.seats_sum += stats.plain
            if not exempt:
                stats.unwaited += stats.plain
                stats.lengths[1] += stats.plain
                stats.lengths_sum += stats.plain
            stats.plain = 0
        if stats.dispatched:
            self._dispatched.samples[key] = stats.dispatched
        for reason, count in stats.rejected.items():
            self._rejected.samples[(*key, reason)] = count
        if stats.unwaited:
            waited = (*key, "true")
            self.waits.counts.setdefault(waited, no_counts(SECONDS))[0] += stats.unwaited
            self.waits.sums.setdefault(waited, 0.0)
            stats.unwaited = 0
        shared: tuple[tuple[Histogram, Labels, list[int], float], ...] = (
            (self.executions, (*key, "regular"), stats.regular, stats.regular_sum),
            (self._lengths, key, stats.lengths, stats.lengths_sum),
            (self._seats, key, stats.seats, stats.seats_sum),
            (self._watches, key, stats.watches, stats.watches_sum),
        )
        for histogram, labels, counts, total in shared:
            if any(counts):
                histogram.counts[labels], histogram.sums[labels] = counts, total

    def _refresh_level(self, level: Level) -> None:
        name, queues, demand, limits = level.spec.name, level.queues, level.demand, level.limits
        queues.occupancy.flush()
        for schema, count in queues.no_accommodation.items():
            self._no_accommodation.samples[name, schema] = count
        r, s, low, high, discounted_low, discounted_high = (value / SCALE for value in queues.last_dispatch)
        values = {
            "nominal_limit_seats": limits.nominal,
            "lower_limit_seats": limits.lower,
            "upper_limit_seats": limits.upper,
            "current_limit_seats": queues.limit,
            "demand_seats_high_watermark": demand.high_watermark,
            "demand_seats_average": demand.average,
            "demand_seats_stdev": demand.deviation,
            "demand_seats_smoothed": demand.smoothed,
            "target_seats": level.target,
            "current_r": queues.r / SCALE,
        }
        if queues.queues and queues.dispatched:
            values |= {"dispatch_r": r, "latest_s": s}
            self._bounds.set(low, name, "min")
            self._bounds.set(high, name, "max")
            self._discounted_bounds.set(discounted_low, name, "min")
            self._discounted_bounds.set(discounted_high, name, "max")
        for metric, value in values.items():
            self._of_levels[metric].set(value, name)

    def _count(self, levels: Iterable[Level]) -> Mapping[Labels, float]:
        """What runs and waits now; the requests that run are the answer."""
        running: dict[Labels, float] = dict.fromkeys(self.stats, 0.0)
        seats, waiting, seats_waiting = dict(running), dict(running), dict(running)
        for level in levels:
            for request in executing(level.queues):
                _add(running, level, request, 1)
                _add(seats, level, request, request.seats)
            for request in level.queues.lingering:
                _add(seats, level, request, request.seats)
            for queue in level.queues.backlog.values():
                for request in queue.waiting:
                    _add(waiting, level, request, 1)
                    _add(seats_waiting, level, request, request.seats)
        self._executing_seats.samples, self._waiting.samples = seats, waiting
        self._waiting_seats.samples = seats_waiting
        return running


def executing(queues: QueueSet) -> Iterable[Request]:
    """The requests of a level that run."""
    yield from queues.queueless
    for queue in queues.busy.values():
        yield from queue.executing


def _add(samples: dict[Labels, float], level: Level, request: Request, value: int) -> None:
    key = (level.spec.name, request.schema)
    samples[key] = samples.get(key, 0.0) + value


def _stay(histogram: Histogram, value: float, seconds: float, *labels: str) -> None:
    """The value held for so long: an observation each nanosecond."""
    counts = histogram.counts.setdefault(labels, [0] * (len(histogram.buckets) + 1))
    nanoseconds = round(seconds * NANOSECONDS)
    counts[bisect_left(histogram.buckets, value)] += nanoseconds
    histogram.sums[labels] = histogram.sums.get(labels, 0.0) + value * nanoseconds


def _keep(samples: dict[Labels, Value], keep: Callable[[Labels], bool]) -> None:
    for labels in [labels for labels in samples if not keep(labels)]:
        del samples[labels]
