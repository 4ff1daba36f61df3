"""The scheduler's metrics under upstream's names (pkg/scheduler/metrics)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pybernetes.component.metrics import Registry

_MILLISECONDS = [0.001 * 2**n for n in range(15)]
_SECONDS = [0.01 * 2**n for n in range(20)]


class Metrics:
    """One for each scheduler; samples of gauges and of `incoming` are read when asked for."""

    def __init__(
        self,
        registry: Registry,
        pending: Callable[[], Mapping[str, int]],
        cached: Callable[[], Mapping[str, int]],
        incoming: Callable[[], Mapping[tuple[str, str], int]],
        refused: Callable[[], Mapping[tuple[str, str], int]],
    ) -> None:
        labels = ("profile", "result")
        self.attempts = registry.counter(
            "scheduler_schedule_attempts_total",
            "Number of attempts to schedule pods, by the result. 'unschedulable' means a pod could not be scheduled,"
            " while 'error' means an internal scheduler problem.",
            labels,
        )
        self.attempt_seconds = registry.histogram(
            "scheduler_scheduling_attempt_duration_seconds",
            "Scheduling attempt latency in seconds (scheduling algorithm + binding)",
            labels,
            _MILLISECONDS,
        )
        self.algorithm_seconds = registry.histogram(
            "scheduler_scheduling_algorithm_duration_seconds",
            "Scheduling algorithm latency in seconds",
            (),
            _MILLISECONDS,
        )
        self.sli_seconds = registry.histogram(
            "scheduler_pod_scheduling_sli_duration_seconds",
            "E2e latency for a pod being scheduled, from the time the pod enters the scheduling queue and might involve"
            " multiple scheduling attempts.",
            ("attempts",),
            _SECONDS,
        )
        self.pod_attempts = registry.histogram(
            "scheduler_pod_scheduling_attempts",
            "Number of attempts to successfully schedule a pod.",
            (),
            [1.0, 2.0, 4.0, 8.0, 16.0],
        )
        self.preemption_attempts = registry.counter(
            "scheduler_preemption_attempts_total", "Total preemption attempts in the cluster till now"
        )
        self.preemption_victims = registry.histogram(
            "scheduler_preemption_victims",
            "Number of selected preemption victims",
            (),
            [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0],
        )
        registry.gauge(
            "scheduler_pending_pods",
            "Number of pending pods, by the queue type. 'active' means number of pods in activeQ; 'backoff' means number"
            " of pods in backoffQ; 'unschedulable' means number of pods in unschedulablePods that the scheduler attempted"
            " to schedule and failed; 'gated' is the number of unschedulable pods that the scheduler never attempted to"
            " schedule because they are gated.",
            ("queue",),
            lambda: {(name,): float(size) for name, size in pending().items()},
        )
        registry.gauge(
            "scheduler_cache_size",
            "Number of nodes, pods, and assumed (bound) pods in the scheduler cache.",
            ("type",),
            lambda: {(name,): float(size) for name, size in cached().items()},
        )
        registry.gauge(
            "scheduler_unschedulable_pods",
            "The number of unschedulable pods broken down by plugin name. A pod will increment the gauge for all plugins"
            " that caused it to not schedule and so this metric have meaning only when broken down by plugin.",
            ("plugin", "profile"),
            lambda: {labels: float(number) for labels, number in refused().items()},
        )
        counted = registry.gauge(
            "scheduler_queue_incoming_pods_total",
            "Number of pods added to scheduling queues by event and queue type.",
            ("event", "queue"),
            lambda: {(event, queue): float(n) for (queue, event), n in incoming().items()},
        )
        counted.type = "counter"
        self.evaluated = registry.counter(
            "scheduler_nodes_evaluated_total", "Nodes looked at in all attempts (pybernetes' own)."
        )
