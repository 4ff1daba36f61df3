"""What the API server counts, by upstream's names (upstream: apiserver/pkg/endpoints/metrics, storage/cacher/metrics).

Samples are cheap: the label values of a request are made once for each kind of request, not for each request.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pybernetes.component.metrics import Gauge, Labels, Registry, process_metrics

from ..types import RequestInfo

# Upstream's buckets of seconds and of bytes.
SECONDS = (
    *(0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0),
    *(30.0, 45.0, 60.0),
)
BYTES = tuple(1000.0 * 10**power for power in range(7))
DECISION_SECONDS = tuple(0.001 * 2**power for power in range(15))  # of authentication and authorization
REQUEST = ("verb", "group", "version", "resource", "subresource", "scope", "component")
VERBS = {"create": "POST", "update": "PUT", "patch": "PATCH", "apply": "APPLY"}
LONG_VERBS = frozenset({"watch"})
LONG_SUBRESOURCES = frozenset(
    {"attach", "exec", "proxy", "log", "portforward"}
)  # upstream's --long-running regular expression
CONNECT = LONG_SUBRESOURCES - {"log"}
MUTATING = frozenset({"create", "update", "patch", "delete", "deletecollection"})


def long_running(info: RequestInfo) -> bool:
    """Whether a request is not bounded in time, and so neither counted among those in flight nor timed out."""
    return info.is_resource and (info.verb in LONG_VERBS or info.subresource in LONG_SUBRESOURCES)


# Other paths are not told apart: whoever asks for them at random must not make samples at random.
PATHS = frozenset(
    {"/healthz", "/livez", "/readyz", "/metrics", "/version", "/api", "/apis", "/openapi/v2", "/openapi/v3"}
)
OTHER: Labels = ("", "", "", "", "", "", "apiserver")


def labels(info: RequestInfo, applying: bool = False) -> Labels:
    """Values of REQUEST."""
    if not info.is_resource:
        return (info.verb.upper(), "", "", "", info.path if info.path in PATHS else "", "", "apiserver")
    verb = "apply" if applying else "connect" if info.subresource in CONNECT else info.verb
    scope = "resource" if info.name else "namespace" if info.namespace else "cluster"
    return (
        VERBS.get(verb, verb.upper()),
        info.group,
        info.version,
        info.resource,
        info.subresource,
        scope,
        "apiserver",
    )


class APIServerMetrics:
    """One server's. `objects` counts what is stored, by (group, resource); `watches` the watchers, likewise."""

    def __init__(
        self, objects: Callable[[], Mapping[tuple[str, str], int]], watches: Callable[[], Mapping[tuple[str, str], int]]
    ) -> None:
        self.registry = registry = Registry()
        self._total = registry.counter(
            "apiserver_request_total",
            "Counter of apiserver requests broken out for each verb, dry run value, group, version, resource, scope, "
            "component, and HTTP response code.",
            (*REQUEST, "dry_run", "code"),
        )
        self._seconds = registry.histogram(
            "apiserver_request_duration_seconds",
            "Response latency distribution in seconds for each verb, dry run value, group, version, resource, "
            "subresource, scope and component.",
            (*REQUEST, "dry_run"),
            SECONDS,
        )
        self._sizes = registry.histogram(
            "apiserver_response_sizes",
            "Response size distribution in bytes for each group, version, verb, resource, subresource, scope and "
            "component.",
            REQUEST,
            BYTES,
        )
        self.inflight: Gauge = registry.gauge(
            "apiserver_current_inflight_requests",
            "Maximal number of currently used inflight request limit of this apiserver per request kind in last second.",
            ("request_kind",),
        )
        self.inqueue: Gauge = registry.gauge(
            "apiserver_current_inqueue_requests",
            "Maximal number of queued requests in this apiserver per request kind in last second.",
            ("request_kind",),
        )
        self.long_running: Gauge = registry.gauge(
            "apiserver_longrunning_requests",
            "Gauge of all active long-running apiserver requests broken out by verb, group, version, resource, scope "
            "and component. Not all requests are tracked this way.",
            REQUEST,
        )
        self.dropped = registry.counter(
            "apiserver_request_terminations_total",
            "Number of requests which apiserver terminated in self-defense.",
            ("verb", "group", "version", "resource", "subresource", "scope", "component", "code"),
        )
        registry.gauge(
            "apiserver_resource_objects",
            "Number of stored objects at the time of last check split by kind.",
            ("group", "resource"),
            function=lambda: {key: float(count) for key, count in objects().items()},
        )
        registry.gauge(
            "apiserver_storage_objects",
            "[DEPRECATED] Number of stored objects at the time of last check split by kind.",
            ("resource",),
            function=lambda: {
                (f"{name}.{group}" if group else name,): float(count) for (group, name), count in objects().items()
            },
        )
        registry.gauge(
            "apiserver_registered_watchers",
            "Number of currently registered watchers for a given resource.",
            ("group", "resource"),
            function=lambda: {key: float(count) for key, count in watches().items()},
        )
        process_metrics(registry)

    def observe(self, named: Labels, dry_run: str, code: int, seconds: float, size: int) -> None:
        """One request that is answered."""
        self._total.inc(*named, dry_run, str(code))
        self._seconds.observe(seconds, *named, dry_run)
        self._sizes.observe(size, *named)
