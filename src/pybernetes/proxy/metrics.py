"""kube-proxy's metrics (upstream: pkg/proxy/metrics/metrics.go)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from pybernetes.component.metrics import Registry, process_metrics

from .model import Changes, ServicePort, Services

SYNC_BUCKETS = tuple(0.001 * 2**n for n in range(15))
PROGRAMMING_BUCKETS = (0.25, 0.5, *range(1, 60), *range(60, 120, 5), *range(120, 301, 30))
FAMILY = ("ip_family",)


class Metrics:
    """One of each, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = registry = Registry()
        process_metrics(registry)
        self._stranded: dict[str, Counter[str]] = {}  # by family
        prefix = "kubeproxy_sync_proxy_rules"
        self.duration = registry.histogram(
            f"{prefix}_duration_seconds", "SyncProxyRules latency in seconds", FAMILY, SYNC_BUCKETS
        )
        self.full = registry.histogram(
            "kubeproxy_sync_full_proxy_rules_duration_seconds",
            "SyncProxyRules latency in seconds for full resyncs",
            FAMILY,
            SYNC_BUCKETS,
        )
        self.partial = registry.histogram(
            "kubeproxy_sync_partial_proxy_rules_duration_seconds",
            "SyncProxyRules latency in seconds for partial resyncs",
            FAMILY,
            SYNC_BUCKETS,
        )
        self.last = registry.gauge(
            f"{prefix}_last_timestamp_seconds", "The last time proxy rules were successfully synced", FAMILY
        )
        self.queued = registry.gauge(
            f"{prefix}_last_queued_timestamp_seconds", "The last time a sync of proxy rules was queued", FAMILY
        )
        self.programming = registry.histogram(
            "kubeproxy_network_programming_duration_seconds",
            "In Cluster Network Programming Latency in seconds",
            FAMILY,
            PROGRAMMING_BUCKETS,
        )
        self.endpoints_pending = registry.gauge(
            f"{prefix}_endpoint_changes_pending", "Pending proxy rules Endpoint changes", FAMILY
        )
        self.endpoints_total = registry.counter(
            f"{prefix}_endpoint_changes_total", "Cumulative proxy rules Endpoint changes", FAMILY
        )
        self.services_pending = registry.gauge(
            f"{prefix}_service_changes_pending", "Pending proxy rules Service changes", FAMILY
        )
        self.services_total = registry.counter(
            f"{prefix}_service_changes_total", "Cumulative proxy rules Service changes", FAMILY
        )
        self.failures = registry.counter(
            f"{prefix}_iptables_restore_failures_total", "Cumulative proxy iptables restore failures", FAMILY
        )
        self.nftables_failures = registry.counter(
            f"{prefix}_nftables_sync_failures_total", "Cumulative proxy nftables sync failures", FAMILY
        )
        self.nftables_cleanup_failures = registry.counter(
            f"{prefix}_nftables_cleanup_failures_total", "Cumulative proxy nftables cleanup failures", FAMILY
        )
        self.rules = registry.gauge(
            f"{prefix}_iptables_total", "Total number of iptables rules owned by kube-proxy", ("table", *FAMILY)
        )
        self.no_local = registry.gauge(
            f"{prefix}_no_local_endpoints_total",
            "Number of services with a Local traffic policy and no endpoints",
            ("traffic_policy", *FAMILY),
        )
        self.healthz = registry.counter(
            "kubeproxy_proxy_healthz_total", "Cumulative proxy healthz HTTP status", ("code",)
        )
        self.livez = registry.counter("kubeproxy_proxy_livez_total", "Cumulative proxy livez HTTP status", ("code",))

    def observe_sync(self, family: str, changes: Changes, services: Services, full: bool, seconds: float) -> None:
        """A sync that has succeeded, and how many ports now drop packets for want of an endpoint here: of all services where it was a full
        one, else what has changed of them since the last."""
        self.duration.observe(seconds, family)
        (self.full if full else self.partial).observe(seconds, family)
        counts = self._stranded.setdefault(family, Counter())
        if full:
            counts.clear()
        for change in () if full else changes.values():
            counts.subtract(stranded(change.before))
        for own in services.values() if full else (change.after for change in changes.values()):
            counts.update(stranded(own))
        for policy in ("internal", "external"):
            self.no_local.set(counts[policy], policy, family)


def stranded(ports: Iterable[ServicePort]) -> Iterator[str]:
    """The policies, internal and external, by which ports of a service have no endpoint although other nodes have some."""
    for port in ports:
        if port.has_endpoints and not port.local_endpoints:
            if port.internal_local:
                yield "internal"
            if port.local_only:
                yield "external"
