"""What is counted of policies, by upstream's names (upstream: policy/{validating,mutating}/metrics, admission/metrics)."""

from __future__ import annotations

from pybernetes.component.metrics import Registry

from .outcome import Observation

SECONDS = (0.0000005, 0.001, 0.01, 0.1, 1.0)


class PolicyMetrics:
    """Of both kinds of policies."""

    def __init__(self, registry: Registry) -> None:
        named = "labeled by policy and further identified by binding and enforcement action taken."
        labels = ("policy", "policy_binding", "error_type", "enforcement_action")
        self._validations = registry.counter(
            "apiserver_validating_admission_policy_check_total",
            f"Validation admission policy check total, {named}",
            labels,
        )
        self._validation_seconds = registry.histogram(
            "apiserver_validating_admission_policy_check_duration_seconds",
            "Validation admission latency for individual validation expressions in seconds, labeled by policy and further "
            "including binding and enforcement action taken.",
            labels,
            SECONDS,
        )
        self._mutations = registry.counter(
            "apiserver_mutating_admission_policy_check_total",
            "Mutation admission policy check total, labeled by policy and further identified by binding.",
            labels[:3],
        )
        self._mutation_seconds = registry.histogram(
            "apiserver_mutating_admission_policy_check_duration_seconds",
            "Mutation admission latency for individual mutation expressions in seconds, labeled by policy and binding.",
            labels[:3],
            SECONDS,
        )

    def validated(self, policy: str, seen: Observation) -> None:
        """One validation that did not simply admit."""
        labels = (policy, seen.binding, seen.error_type, seen.action)
        self._validations.inc(*labels)
        self._validation_seconds.observe(seen.seconds, *labels)

    def mutated(self, policy: str, binding: str, error_type: str, seconds: float) -> None:
        """One mutation."""
        self._mutations.inc(policy, binding, error_type)
        self._mutation_seconds.observe(seconds, policy, binding, error_type)
