"""CoreDNS's metrics (upstream: coredns plugin/metrics/vars). One set for all server blocks; it outlives reloads."""

from __future__ import annotations

from collections.abc import Callable

from pybernetes import __version__
from pybernetes.component.metrics import Registry, process_metrics

DURATION = tuple(0.00025 * 2**n for n in range(16))
SIZES = (0, 100, 200, 300, 400, 511, 1023, 2047, 4095, 8291, 16e3, 32e3, 48e3, 64e3)
WHERE = ("server", "zone", "view")


class Metrics:
    """Label values are given in the order of names here."""

    def __init__(self) -> None:
        self.registry = registry = Registry()
        self.unsettled: set[Callable[[], None]] = set()  # bring what was counted elsewhere in here
        process_metrics(registry)
        build = registry.gauge("coredns_build_info", "Build information.", ("version", "revision", "goversion"))
        build.set(1, f"pybernetes-{__version__}", "", "")
        registry.counter("coredns_panics_total", "A metrics that counts the number of panics.").samples[()] = 0
        self.requests = registry.counter(
            "coredns_dns_requests_total",
            "Counter of DNS requests made per zone, protocol and family.",
            (*WHERE, "proto", "family", "type"),
        )
        self.duration = registry.histogram(
            "coredns_dns_request_duration_seconds",
            "Histogram of the time (in seconds) each request took per zone.",
            WHERE,
            DURATION,
        )
        self.request_size = registry.histogram(
            "coredns_dns_request_size_bytes", "Size of the EDNS0 UDP buffer in bytes.", (*WHERE, "proto"), SIZES
        )
        self.do_requests = registry.counter(
            "coredns_dns_do_requests_total", "Counter of DNS requests with DO bit set per zone.", WHERE
        )
        self.response_size = registry.histogram(
            "coredns_dns_response_size_bytes", "Size of the returned response in bytes.", (*WHERE, "proto"), SIZES
        )
        self.responses = registry.counter(
            "coredns_dns_responses_total", "Counter of response status codes.", (*WHERE, "rcode", "plugin")
        )
        self.enabled = registry.gauge(
            "coredns_plugin_enabled", "Whether a plugin is enabled on per server and zone basis.", (*WHERE, "name")
        )
        self._cache()
        self._forward()
        self._acl()
        self.autopath_successes = registry.counter(
            "coredns_autopath_success_total", "Counter of requests that did autopath.", ("server",)
        )
        self.dns64_translated = registry.counter(
            "coredns_dns64_requests_translated_total", "Counter of DNS requests translated by dns64.", ("server",)
        )
        self.reload_failed = registry.counter(
            "coredns_reload_failed_total", "Counter of the number of failed reload attempts."
        )
        self.reload_failed.samples[()] = 0

    def text(self) -> str:
        """All of them, in Prometheus's format."""
        for settle in self.unsettled:
            settle()
        return self.registry.text()

    def _acl(self) -> None:
        registry = self.registry
        self.acl_blocked = registry.counter(
            "coredns_acl_blocked_requests_total", "Counter of DNS requests being blocked.", ("server", "zone", "view")
        )
        self.acl_filtered = registry.counter(
            "coredns_acl_filtered_requests_total", "Counter of DNS requests being filtered.", ("server", "zone", "view")
        )
        self.acl_dropped = registry.counter(
            "coredns_acl_dropped_requests_total", "Counter of DNS requests being dropped.", ("server", "zone", "view")
        )
        self.acl_allowed = registry.counter(
            "coredns_acl_allowed_requests_total", "Counter of DNS requests being allowed.", ("server", "view")
        )

    def _cache(self) -> None:
        registry, where = self.registry, ("server", "type", "zones", "view")
        # Each cache tells its own sizes, by its labels (server, zones, view).
        self.cache_sizes: dict[tuple[str, ...], Callable[[], dict[tuple[str, ...], float]]] = {}
        registry.gauge("coredns_cache_entries", "The number of elements in the cache.", where, self._sizes)
        self.cache_hits = registry.counter("coredns_cache_hits_total", "The count of cache hits.", where)
        self.cache_evictions = registry.counter("coredns_cache_evictions_total", "The count of cache evictions.", where)
        plain = ("server", "zones", "view")
        self.cache_requests = registry.counter("coredns_cache_requests_total", "The count of cache requests.", plain)
        self.cache_prefetches = registry.counter(
            "coredns_cache_prefetch_total", "The number of times the cache has prefetched a cached item.", plain
        )
        self.cache_stale = registry.counter(
            "coredns_cache_served_stale_total", "The number of requests served from stale cache entries.", plain
        )
        self.cache_misses = registry.counter(
            "coredns_cache_misses_total",
            "The count of cache misses. Deprecated, derive misses from cache hits/requests counters.",
            plain,
        )

    def _sizes(self) -> dict[tuple[str, ...], float]:
        return {labels: size for sizes in self.cache_sizes.values() for labels, size in sizes().items()}

    def _forward(self) -> None:
        registry = self.registry
        self.forward_duration = registry.histogram(
            "coredns_proxy_request_duration_seconds",
            "Histogram of the time each request took.",
            ("proxy_name", "to", "rcode"),
            DURATION,
        )
        self.health_failures = registry.counter(
            "coredns_proxy_healthcheck_failures_total",
            "Counter of the number of failed healthchecks.",
            ("proxy_name", "to"),
        )
        self.health_broken = registry.counter(
            "coredns_forward_healthcheck_broken_total",
            "Counter of the number of complete failures of the healthchecks.",
        )
        self.forward_rejects = registry.counter(
            "coredns_forward_max_concurrent_rejects_total",
            "Counter of the number of queries rejected because the concurrent queries were at maximum.",
        )
