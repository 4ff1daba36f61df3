"""What becomes of a request by what its policies say (upstream: policy/{validating,generic}/*dispatcher.go). Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from pybernetes.api import errors
from pybernetes.api.errors import StatusError
from pybernetes.api.gojson import escaped

from ...types import Attributes
from .definitions import Binding
from .evaluation import OUT_OF_BUDGET, Annotation, Decision, Verdict

VALIDATION_FAILURE = "validation.policy.admission.k8s.io/validation_failure"
MAX_FAILURES = 50  # in one audit annotation
MAX_VALUE = 10 * 1024  # bytes of what an audit annotation's valueExpression makes
CODES = {"Forbidden": 403, "Unauthorized": 401, "RequestEntityTooLarge": 413, "Invalid": 422}
NO_ERROR, INVALID_ERROR, COMPILE_ERROR, BUDGET_ERROR = "no_error", "invalid_error", "compile_error", "out_of_budget"


@dataclass(frozen=True, slots=True)
class Observation:
    """For the metrics: one expression's outcome."""

    binding: str
    error_type: str
    action: str  # allow, deny, audit, warn
    seconds: float


@dataclass(slots=True)
class Outcome:
    """Of all validating policies. `denials` are messages with their reasons, in the order of policies and bindings."""

    denials: list[tuple[str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    failures: list[dict[str, Any]] = field(default_factory=list)
    annotations: dict[str, list[str]] = field(default_factory=dict)

    def misconfigured(self, policy: str, ignore: bool, why: str, binding: str = "") -> None:
        """A policy, or one of its bindings, that cannot be asked."""
        if not ignore:
            self.denials.append((denied(policy, binding, misconfiguration(why, binding)), "Invalid"))

    def add(self, policy: str, binding: Binding, verdict: Verdict) -> Iterator[Observation]:
        """What one binding says; it has to be iterated over."""
        for index, decision in enumerate(verdict.decisions):
            yield from self._decided(policy, binding, index, decision)
        for annotation in verdict.annotations:
            yield from self._annotated(policy, binding, annotation)

    def _decided(self, policy: str, binding: Binding, index: int, decision: Decision) -> Iterator[Observation]:
        if decision.admitted and not decision.failed:
            return
        kind = error_type(True, decision.message)
        if decision.admitted:
            yield Observation(binding.name, kind, "allow", decision.seconds)
            return
        for action in binding.actions:
            match action:
                case "Deny":
                    message = denied(policy, binding.name, decision.message)
                    self.denials.append((message, decision.reason or "Invalid"))
                case "Audit":
                    self.failures.append(
                        {
                            "message": decision.message,
                            "policy": binding.policy,
                            "binding": binding.name,
                            "expressionIndex": index,
                            "validationActions": list(binding.actions),
                        }
                    )
                case "Warn":
                    named = f"ValidatingAdmissionPolicy '{policy}' with binding '{binding.name}'"
                    self.warnings.append(f"Validation failed for {named}: {decision.message}")
            yield Observation(binding.name, kind, action.lower(), decision.seconds)

    def _annotated(self, policy: str, binding: Binding, annotation: Annotation) -> Iterator[Observation]:
        if annotation.error:  # refuses, whatever the binding's actions are
            self.denials.append((denied(policy, binding.name, annotation.error), "Invalid"))
            yield Observation(binding.name, error_type(True, annotation.error), "deny", annotation.seconds)
            return
        values = self.annotations.setdefault(f"{policy}/{annotation.key}", [])
        value = annotation.value.encode(errors="replace")[:MAX_VALUE].decode(errors="replace")
        if value not in values:
            values.append(value)

    def audited(self) -> dict[str, str]:
        """The annotations of the audit event."""
        annotations = {key: ", ".join(values) for key, values in self.annotations.items()}
        if self.failures:
            annotations[VALIDATION_FAILURE] = escaped(msgspec.json.encode(self.failures[:MAX_FAILURES])).decode()
        return annotations

    def refusal(self, attributes: Attributes) -> StatusError | None:
        """The first denial."""
        if not self.denials:
            return None
        message, reason = self.denials[0]
        status = forbidden(attributes, message).status
        details = {**status["details"], "causes": [{"message": message}]}
        return StatusError({**status, "reason": reason, "code": CODES.get(reason, 422), "details": details})


def misconfiguration(why: str, binding: str) -> str:
    """As denials have it."""
    return f"failed to configure {'binding' if binding else 'policy'}: {why}"


def denied(policy: str, binding: str, message: str) -> str:
    """A validating policy's no."""
    bound = f" with binding '{binding}'" if binding else ""
    return f"ValidatingAdmissionPolicy '{policy}'{bound} denied request: {message}"


def error_type(failed: bool, message: str) -> str:
    """As metrics name it."""
    if not failed:
        return NO_ERROR
    if message.startswith("compilation"):
        return COMPILE_ERROR
    return BUDGET_ERROR if message.startswith(OUT_OF_BUDGET[:53]) else INVALID_ERROR


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a mutating policy, or one of its bindings, could not do its work. Without a `reason` it is misconfigured."""

    policy: str
    binding: str
    message: str
    reason: str = ""

    def __str__(self) -> str:
        if not self.binding:
            return f'policy "{self.policy}" denied request: {self.message}'
        return f"policy '{self.policy}' with binding '{self.binding}' denied request: {self.message}"


def refused(attributes: Attributes, refusals: Sequence[Refusal]) -> StatusError:
    """By mutating policies: the first has the word, all are causes."""
    status = forbidden(attributes, "").status
    first = refusals[0]
    details = {**status["details"], "causes": [{"message": str(refusal)} for refusal in refusals]}
    reason = first.reason or status["reason"]
    return StatusError({**status, "message": str(first), "reason": reason, "details": details})


def forbidden(attributes: Attributes, why: str) -> StatusError:
    """403, of the object's name, or the one that it shall have (upstream: admission/errors.go NewForbidden)."""
    metadata = (attributes.object or {}).get("metadata") or {}
    name = attributes.name or metadata.get("name") or metadata.get("generateName") or "Unknown"
    return errors.forbidden(attributes.resource.group, attributes.resource.name, name, why)
