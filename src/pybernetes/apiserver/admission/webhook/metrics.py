"""What is counted of webhooks, by upstream's names (upstream: apiserver/pkg/admission/metrics)."""

from __future__ import annotations

from pybernetes.component.metrics import Registry

SECONDS = (0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 10.0, 25.0)
MAX_CODE = 600  # a server that makes up codes makes no samples
CALLING, INTERNAL, DENIED = "calling_webhook_error", "apiserver_internal_error", "no_error"


class WebhookMetrics:
    """`step` is admit or validating, as upstream has it."""

    def __init__(self, registry: Registry) -> None:
        named = "identified by name and broken out for each admission type (validating or admit) and operation"
        self._seconds = registry.histogram(
            "apiserver_admission_webhook_admission_duration_seconds",
            "Admission webhook latency histogram in seconds, identified by name and broken out for each operation and "
            "API resource and type (validate or admit).",
            ("name", "type", "operation", "rejected"),
            SECONDS,
        )
        self._rejections = registry.counter(
            "apiserver_admission_webhook_rejection_count",
            f"Admission webhook rejection count, {named}. Additional labels specify an error type "
            "(calling_webhook_error or apiserver_internal_error if an error occurred; no_error otherwise) and "
            "optionally a non-zero rejection code if the webhook rejects the request with an HTTP status code "
            "(honored by the apiserver when the code is greater or equal to 400). Codes greater than 600 are truncated "
            "to 600, to keep the metrics cardinality bounded.",
            ("name", "type", "operation", "error_type", "rejection_code"),
        )
        self._requests = registry.counter(
            "apiserver_admission_webhook_request_total",
            f"Admission webhook request total, {named}. Additional labels specify whether the request was rejected or "
            "not and an HTTP status code. Codes greater than 600 are truncated to 600, to keep the metrics cardinality "
            "bounded.",
            ("name", "type", "operation", "code", "rejected"),
        )
        self._open = registry.counter(
            "apiserver_admission_webhook_fail_open_count",
            "Admission webhook fail open count, identified by name and broken out for each admission type (validating "
            "or admit).",
            ("name", "type"),
        )

        for_each = (
            "identified by name of resource containing the match condition and broken out for each kind containing "
            "matchConditions (webhook or policy), operation and admission type (validate or admit)."
        )
        self._undecided = registry.counter(
            "apiserver_admission_match_condition_evaluation_errors_total",
            f"Admission match condition evaluation errors count, {for_each}",
            ("name", "kind", "type", "operation"),
        )
        self._excluded = registry.counter(
            "apiserver_admission_match_condition_exclusions_total",
            f"Admission match condition evaluation exclusions count, {for_each}",
            ("name", "kind", "type", "operation"),
        )

    def undecided(self, name: str, step: str, operation: str) -> None:
        """Conditions that could not be evaluated."""
        self._undecided.inc(name, "webhook", step, operation)

    def excluded(self, name: str, step: str, operation: str) -> None:
        """A request that the conditions keep from the webhook."""
        self._excluded.inc(name, "webhook", step, operation)

    def called(self, name: str, step: str, operation: str, seconds: float, code: int, rejected: bool) -> None:
        """One webhook's answer, or that it gave none."""
        text = "true" if rejected else "false"
        self._requests.inc(name, step, operation, str(min(code, MAX_CODE)), text)
        self._seconds.observe(seconds, name, step, operation, text)

    def rejected(self, name: str, step: str, operation: str, why: str, code: int) -> None:
        """A request that ends here; `why` is CALLING, INTERNAL or DENIED."""
        self._rejections.inc(name, step, operation, why, str(min(code, MAX_CODE)))

    def failed_open(self, name: str, step: str) -> None:
        """failurePolicy Ignore let a request through."""
        self._open.inc(name, step)
