"""Metrics of kube-network-policies; upstream's are of a queue of packets, which is not here: these are named as kube-proxy's."""

from __future__ import annotations

from pybernetes.component.metrics import Registry, process_metrics

SYNC_BUCKETS = tuple(0.001 * 2**n for n in range(15))


class Metrics:
    """One of each, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = registry = Registry()
        process_metrics(registry)
        self.duration = registry.histogram(
            "kube_network_policies_sync_duration_seconds", "Latency of one round of rules in seconds", (), SYNC_BUCKETS
        )
        self.last = registry.gauge(
            "kube_network_policies_sync_last_timestamp_seconds", "The last time rules were successfully synced"
        )
        self.failures = registry.counter(
            "kube_network_policies_sync_failures_total", "Cumulative failures of nft to take the rules"
        )
        self.restored = registry.counter(
            "kube_network_policies_restored_total", "How often the table was not as it had been left, and was made anew"
        )
        self.policies = registry.gauge(
            "kube_network_policies_policies", "Policies that isolate pods of this node, of which there are rules"
        )
        self.isolated = registry.gauge("kube_network_policies_isolated_pods", "Pods of this node that are isolated")
