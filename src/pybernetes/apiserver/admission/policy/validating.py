"""Asks validating policies and does what they say (upstream: policy/validating/dispatcher.go)."""

from __future__ import annotations

import time
from functools import partial

from pybernetes.api.errors import StatusError

from ... import audit
from ...types import Attributes, Authorizer, Reader
from . import params
from .asked import Asked
from .evaluation import validated
from .matching import Subject, Unmatched, matched
from .metrics import PolicyMetrics
from .outcome import Outcome
from .source import Found, Hook, Source


class ValidatingDispatcher:
    """One for all requests."""

    def __init__(self, reader: Reader, authorizer: Authorizer, metrics: PolicyMetrics, source: Source) -> None:
        self._reader, self._authorizer, self._metrics, self._source = reader, authorizer, metrics, source

    async def validate(self, attributes: Attributes, matches: Found) -> None:
        """All policies are asked, whatever the first ones say. StatusError of the first denial."""
        asked = Asked(attributes, self._reader, self._authorizer)
        subject = await asked.subject(matches.others)
        outcome = Outcome()
        for hook in matches.hooks:
            await self._ask(asked, subject, hook, outcome)
        for key, value in outcome.audited().items():
            audit.annotate(key, value)
        attributes.warnings.extend(outcome.warnings)
        refusal = outcome.refusal(attributes)
        if refusal is not None:
            raise refusal

    async def _ask(self, asked: Asked, subject: Subject, hook: Hook, outcome: Outcome) -> None:
        policy = hook.policy
        try:
            resource = matched(policy.constraints, subject)
            if resource is None:
                return
            kind = self._source.resource_of(policy.params) if policy.params is not None else None
            if policy.params is not None and kind is None:
                raise Unmatched(params.unknown(policy.params))
        except Unmatched as error:
            outcome.misconfigured(policy.name, policy.ignore, str(error))
            return
        for binding in hook.bindings:
            try:
                if binding.constraints is not None and matched(binding.constraints, subject) is None:
                    continue
                given = await params.collect(self._reader, kind, binding.params, asked.namespace_name)
            except (Unmatched, params.Misconfigured, StatusError) as error:
                outcome.misconfigured(policy.name, policy.ignore, str(error), binding.name)
                continue
            namespace = await asked.namespace()
            for each in given:
                try:
                    inputs = await asked.inputs(resource, each, namespace)
                except StatusError as error:
                    why = f"failed to convert object version: {error}"
                    outcome.misconfigured(policy.name, policy.ignore, why, binding.name)
                    break
                compiled = await self._source.compiled(policy)
                evaluate = partial(validated, compiled, inputs, policy.ignore, time.perf_counter)
                verdict = await asked.answered(policy.size, evaluate)
                for seen in outcome.add(policy.name, binding, verdict):
                    self._metrics.validated(policy.name, seen)
