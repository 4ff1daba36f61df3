"""What is counted of who decides what one may, by upstream's names.

Upstream: apiserver/pkg/authorization/{metrics,cel}, plugin/pkg/authorizer/webhook/metrics.
"""

from __future__ import annotations

from pybernetes.component.metrics import Registry

CONDITION_SECONDS = (0.001, 0.005, 0.01, 0.025, 0.1, 0.2, 0.25)


class AuthorizationMetrics:
    """Of one API server. Names are those of the configuration."""

    def __init__(self, registry: Registry) -> None:
        prefix, split = "apiserver_authorization", "split by authorizer type and name."
        named, which = ("name", "result"), ("type", "name")
        self.decisions = registry.counter(
            f"{prefix}_decisions_total",
            "Total number of terminal decisions made by an authorizer split by authorizer type, name, and decision.",
            ("type", "name", "decision"),
        )
        self.evaluations = registry.counter(
            f"{prefix}_webhook_evaluations_total", "Round-trips to authorization webhooks.", named
        )
        self.seconds = registry.histogram(f"{prefix}_webhook_duration_seconds", "Request latency in seconds.", named)
        self.failed_open = registry.counter(
            f"{prefix}_webhook_evaluations_fail_open_total", "NoOpinion results due to webhook timeout or error.", named
        )
        self.condition_errors = registry.counter(
            f"{prefix}_match_condition_evaluation_errors_total",
            f"Total number of errors when an authorization webhook encounters a match condition error {split}",
            which,
        )
        self.exclusions = registry.counter(
            f"{prefix}_match_condition_exclusions_total",
            "Total number of exclusions when an authorization webhook is skipped because match conditions exclude it.",
            which,
        )
        self.condition_seconds = registry.histogram(
            f"{prefix}_match_condition_evaluation_seconds",
            f"Authorization match condition evaluation time in seconds, {split}",
            which,
            CONDITION_SECONDS,
        )
