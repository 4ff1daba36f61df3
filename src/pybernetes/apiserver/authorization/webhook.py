"""Asks a server outside what one may, by SubjectAccessReview (upstream: apiserver/plugin/pkg/authorizer/webhook)."""

from __future__ import annotations

import hashlib
import logging
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from pybernetes.aio import apart
from pybernetes.aio.clock import Clock
from pybernetes.cel.accessreview import REQUEST, request_value
from pybernetes.cel.environment import Program
from pybernetes.cel.errors import CostExceeded, EvaluationError

from ..authentication.user import User
from ..cel.bounded import Budget
from ..resource import Object
from ..reviewclient import Result, ReviewClient, ReviewFailed
from ..types import Decision, RequestInfo
from .accessreview import spec_of
from .configuration import WEBHOOK, AuthorizerConfiguration
from .metrics import AuthorizationMetrics

_log = logging.getLogger(__name__)

CACHED = 8192  # answers that are kept
MAX_CACHED_ATTRIBUTES = 10_000  # characters of what the client chose: longer questions are asked each time
NO_OPINION = Decision()
NO_RULES = "webhook authorizer does not support user rule resolution"
BOTH = "webhook subject access review returned both allow and deny response"


class WebhookAuthorizer:
    """See `types.Authorizer`. `close` when done."""

    def __init__(
        self,
        configuration: AuthorizerConfiguration,
        client: ReviewClient,
        metrics: AuthorizationMetrics,
        clock: Clock,
    ) -> None:
        assert configuration.webhook is not None, "of type Webhook"
        self._name, self._webhook = configuration.name, configuration.webhook
        self._client, self._metrics, self._monotonic = client, metrics, clock.monotonic
        self._answers: OrderedDict[bytes, tuple[Decision, float]] = OrderedDict()

    async def authorize(self, user: User, info: RequestInfo) -> Decision:
        long = len(info.field_selector) + len(info.label_selector)
        spec = await apart.run(long, spec_of, user, info)
        if self._webhook.conditions:
            try:
                if not await self._matches(spec):
                    return NO_OPINION
            except _Undecided as error:
                return self._failed(str(error))
        if self._webhook.version != "v1":
            spec = await apart.run(long, spec_of, user, info, self._webhook.version)
        key = hashlib.sha256(msgspec.json.encode(spec)).digest()
        kept = self._answers.get(key)
        if kept is not None and self._monotonic() < kept[1]:
            self._answers.move_to_end(key)
            return kept[0]
        return await self._asked(spec, key, _may_be_kept(info))

    def rules_for(self, user: User, namespace: str) -> tuple[list[dict[str, Any]], list[str]]:
        """See `modes.RuleResolver`: nobody can list what a server outside would allow."""
        return [], [NO_RULES]

    async def close(self) -> None:
        """Ends all connections."""
        await self._client.close()

    async def _asked(self, spec: Object, key: bytes, keep: bool) -> Decision:
        version = f"authorization.k8s.io/{self._webhook.version}"
        try:
            answered = await self._client.create({"kind": "SubjectAccessReview", "apiVersion": version, "spec": spec})
        except ReviewFailed as error:
            _log.error("Failed to make webhook authorizer request: %s", error)
            if not self._webhook.denies:
                self._metrics.failed_open.inc(self._name, error.result)
            return self._failed(str(error))
        decision = decision_of(answered.get("status") or {})
        seconds = self._webhook.authorized_ttl if decision.allowed else self._webhook.unauthorized_ttl
        if keep and seconds > 0:
            self._answers[key] = decision, self._monotonic() + seconds
            self._answers.move_to_end(key)
            if len(self._answers) > CACHED:
                self._answers.popitem(last=False)
        return decision

    def _failed(self, why: str) -> Decision:
        return Decision(denied=self._webhook.denies, error=why)

    async def _matches(self, spec: Object) -> bool:
        """Whether the webhook is asked at all. _Undecided."""
        begun, labels = self._monotonic(), (WEBHOOK, self._name)
        try:
            matched = await apart.run(0, holds, self._webhook.conditions, spec)
        except _Undecided:
            self._metrics.condition_errors.inc(*labels)
            raise
        finally:
            self._metrics.condition_seconds.observe(self._monotonic() - begun, *labels)
        if not matched:
            self._metrics.exclusions.inc(*labels)
        return matched


class _Undecided(Exception):
    """Conditions that cannot be evaluated, and none that says no."""


def holds(conditions: Sequence[Program], spec: Mapping[str, Any]) -> bool:
    """Whether all are true of a spec (v1). One that is false decides, whatever goes wrong with others. _Undecided; apart.Leave."""
    bindings, budget, problems = {REQUEST: request_value(spec)}, Budget(), []
    for condition in conditions:
        try:
            if budget.evaluate(condition, bindings) is not True:
                return False
        except (EvaluationError, CostExceeded) as error:
            problems.append(f"cel evaluation error: expression '{condition.source}' resulted in error: {error}")
    if problems:
        raise _Undecided(problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]")
    return True


def decision_of(status: Mapping[str, Any]) -> Decision:
    """Of a SubjectAccessReview's status."""
    allowed, denied = status.get("allowed") is True, status.get("denied") is True
    given = status.get("reason")
    reason = given if isinstance(given, str) else ""
    if allowed and denied:
        return Decision(denied=True, reason=reason, error=BOTH)
    return Decision(allowed=allowed, denied=denied, reason=reason)


def _may_be_kept(info: RequestInfo) -> bool:
    chosen = (
        info.namespace,
        info.verb,
        info.group,
        info.version,
        info.resource,
        info.subresource,
        info.name,
        info.path,
    )
    return sum(map(len, chosen)) < MAX_CACHED_ATTRIBUTES


def webhook(configuration: AuthorizerConfiguration, metrics: AuthorizationMetrics, clock: Clock) -> WebhookAuthorizer:
    """ConfigError, ValueError for a kubeconfig of no use."""
    from pybernetes.client import kubeconfig

    given = configuration.webhook
    assert given is not None, "of type Webhook"

    def measured(result: Result, seconds: float) -> None:
        metrics.evaluations.inc(configuration.name, result)
        metrics.seconds.observe(seconds, configuration.name, result)

    client = ReviewClient(kubeconfig.load(given.kubeconfig), clock, given.seconds, measured)
    return WebhookAuthorizer(configuration, client, metrics, clock)
