"""Metrics, named as upstream's (internal/ingress/metric/collectors/controller.go)."""

from __future__ import annotations

from pybernetes.component.metrics import Registry, process_metrics

_NAME = "nginx_ingress_controller_"


class Metrics:
    """One of each, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = registry = Registry()
        process_metrics(registry)
        self.reloads = registry.counter(f"{_NAME}success", "Cumulative number of Ingress controller reload operations")
        self.errors = registry.counter(
            f"{_NAME}errors", "Cumulative number of Ingress controller errors during reload operations"
        )
        self.successful = registry.gauge(
            f"{_NAME}config_last_reload_successful", "Whether the last configuration reload attempt was successful"
        )
        self.last = registry.gauge(
            f"{_NAME}config_last_reload_successful_timestamp_seconds",
            "Timestamp of the last successful configuration reload.",
        )
        self.expires: dict[tuple[str, ...], float] = {}
        registry.gauge(
            f"{_NAME}ssl_expire_time_seconds",
            "Number of seconds since 1970 to the SSL Certificate expire.",
            ("host",),
            function=lambda: self.expires,
        )
