"""Asks mutating policies, one after the other, and makes their changes (upstream: policy/{generic/policy_dispatcher,mutating/dispatcher}.go)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from pybernetes.aio import apart
from pybernetes.api import errors
from pybernetes.api.errors import StatusError
from pybernetes.api.jsoncopy import json_copy

from ...resource import Object, Resource
from ...types import Attributes, Authorizer, Reader
from ..webhook import subject as shown
from ..webhook.dispatch import Reinvocation
from . import params, patching
from .asked import Asked
from .definitions import JSON_PATCH, Binding, Compiled, Mutation
from .evaluation import Inputs, Meter, Now, OutOfBudget, Result, bindings, conditions_met, evaluate
from .matching import Subject, Unmatched, matched
from .metrics import PolicyMetrics
from .outcome import NO_ERROR, Refusal, error_type, misconfiguration, refused
from .patching import Inapplicable
from .source import Found, Hook, Source

KEPT = "MutatingAdmissionPolicy"
INVALID = "Invalid"
ABSENT = "There can be a delay between when CustomResourceDefinitions are created and when they are available."


@dataclass(frozen=True, slots=True)
class Invocation:
    """A policy that is to change the request, with one object of parameters."""

    hook: Hook
    binding: Binding
    resource: Resource  # the version in which it sees the request
    params: Object | None

    @property
    def key(self) -> str:
        """Tells it from others in a second round."""
        metadata = (self.params or {}).get("metadata") or {}
        parts = (self.hook.policy.name, self.binding.name, metadata.get("namespace", ""), metadata.get("name", ""))
        return "/".join(parts)


class MutatingDispatcher:
    """One for all requests."""

    def __init__(
        self,
        reader: Reader,
        authorizer: Authorizer,
        metrics: PolicyMetrics,
        source: Source,
        served: Callable[[], Iterable[Resource]],
    ) -> None:
        self._reader, self._authorizer, self._metrics = reader, authorizer, metrics
        self._source, self._served = source, served

    async def mutate(self, attributes: Attributes, matches: Found) -> None:
        """Each sees what those before it made. StatusError where one that must not fail does."""
        asked = Asked(attributes, self._reader, self._authorizer)
        subject = await asked.subject(matches.others)
        refusals: list[Refusal] = []
        invocations: list[Invocation] = []
        for hook in matches.hooks:
            invocations += await self._invocations(asked, subject, hook, refusals)
        if invocations:
            await self._invoke(asked, invocations, refusals)
        if refusals:
            raise refused(attributes, refusals)

    async def _invocations(
        self, asked: Asked, subject: Subject, hook: Hook, refusals: list[Refusal]
    ) -> list[Invocation]:
        policy = hook.policy

        def misconfigured(why: str, binding: str = "") -> None:
            if not policy.ignore:
                refusals.append(Refusal(policy.name, binding, misconfiguration(why, binding)))

        try:
            resource = matched(policy.constraints, subject)
            if resource is None:
                return []
            kind = self._source.resource_of(policy.params) if policy.params is not None else None
            if policy.params is not None and kind is None:
                raise Unmatched(params.unknown(policy.params))
        except Unmatched as error:
            misconfigured(str(error))
            return []
        invocations = []
        for binding in hook.bindings:
            try:
                if binding.constraints is not None and matched(binding.constraints, subject) is None:
                    continue
                await asked.objects(resource)
                given = await params.collect(self._reader, kind, binding.params, asked.namespace_name)
            except (Unmatched, params.Misconfigured, StatusError) as error:
                misconfigured(str(error), binding.name)
                continue
            invocations += [Invocation(hook, binding, resource, each) for each in given]
        return invocations

    async def _invoke(self, asked: Asked, invocations: list[Invocation], refusals: list[Refusal]) -> None:
        attributes = asked.attributes
        state: Reinvocation = attributes.kept.setdefault(KEPT, Reinvocation())
        if attributes.again and state.output != attributes.object:
            state.require()  # other plug-ins have changed it meanwhile
        namespace = await asked.namespace()
        applied = False
        for invocation in invocations:
            policy = invocation.hook.policy
            compiled = await self._source.compiled(policy)
            if not await self._meets(asked, invocation, compiled, namespace, refusals):
                continue
            if attributes.again and invocation.key not in state.due:
                continue
            done, changed = await self._mutated(asked, invocation, compiled, namespace, refusals)
            applied = applied or done
            if changed:
                state.require()
                attributes.mutated = True
            if policy.spec.get("reinvocationPolicy") == "IfNeeded":
                state.called.add(invocation.key)
        if applied:
            state.require()
        state.output = json_copy(attributes.object)

    async def _meets(
        self,
        asked: Asked,
        invocation: Invocation,
        compiled: Compiled,
        namespace: Object | None,
        refusals: list[Refusal],
    ) -> bool:
        if not compiled.conditions:
            return True
        policy = invocation.hook.policy
        inputs = await asked.inputs(invocation.resource, invocation.params, namespace)
        met = await asked.answered(policy.size, partial(conditions_met, compiled, inputs, time.perf_counter))
        if isinstance(met, str):
            if not policy.ignore:
                refusals.append(Refusal(policy.name, invocation.binding.name, met, INVALID))
            return False
        return met

    async def _mutated(
        self,
        asked: Asked,
        invocation: Invocation,
        compiled: Compiled,
        namespace: Object | None,
        refusals: list[Refusal],
    ) -> tuple[bool, bool]:
        """Whether any mutation was made, and whether it changed the object."""
        policy, binding = invocation.hook.policy, invocation.binding
        done = changed = False
        for mutation in compiled.mutations if asked.attributes.object is not None else ():
            start = time.perf_counter()
            try:
                changed = await self._one(asked, invocation, compiled, mutation, namespace) or changed
                done, kind = True, NO_ERROR
            except Inapplicable as error:
                kind = error_type(True, str(error))
                if not policy.ignore:
                    refusals.append(Refusal(policy.name, binding.name, str(error), INVALID))
            except StatusError:
                self._metrics.mutated(policy.name, binding.name, error_type(True, ""), time.perf_counter() - start)
                raise
            self._metrics.mutated(policy.name, binding.name, kind, time.perf_counter() - start)
        return done, changed

    async def _one(
        self, asked: Asked, invocation: Invocation, compiled: Compiled, mutation: Mutation, namespace: Object | None
    ) -> bool:
        """Whether the object is another one now. Inapplicable; StatusError 500 and 503, whatever the failure policy is."""
        attributes, resource, served = asked.attributes, invocation.resource, self._served
        inputs = await asked.inputs(resource, invocation.params, namespace)
        schema = shown.schema_of(attributes, resource, served())
        if schema is None:
            raise errors.generic(503, "ServiceUnavailable", "", "", "", _not_found(*shown.kind(attributes, resource)))
        size = invocation.hook.policy.size
        result = await asked.answered(size, partial(_evaluated, compiled, mutation, inputs, time.perf_counter))
        if result.error:
            raise Inapplicable(result.error)
        obj = inputs.object
        if mutation.patch_type == JSON_PATCH:
            steps = patching.operations(result.value)
            document = await apart.run(0 if len(steps) < MANY else apart.LARGE, patching.json_patched, obj, steps)
            mutated = _strictly(attributes, document, resource, served())
        else:
            config = patching.configuration(result.value, obj)
            merged = patching.applied(obj, config, schema.apply_node)
            mutated = _fitting(attributes, merged, resource, served())
        if mutated == obj:
            return False
        await shown.take(attributes, mutated, resource)
        asked.changed()
        return True


MANY = 100  # operations of a JSON patch, above which they are carried out beside the event loop


def _evaluated(compiled: Compiled, mutation: Mutation, inputs: Inputs, now: Now) -> Result:
    """Inapplicable; apart.Leave, Unanswered."""
    if mutation.expression.program is None:
        raise Inapplicable(mutation.expression.error)
    meter = Meter(inputs.loop)
    try:
        return evaluate(mutation.expression, bindings(inputs, compiled, meter, authorizer=True), meter, now)
    except OutOfBudget as error:
        raise Inapplicable(str(error)) from None


def _not_found(api_version: str, kind: str) -> str:
    version = api_version if "/" in api_version else f"/{api_version}"
    return f"Resource kind {version}, Kind={kind} not found. {ABSENT}"


def _strictly(attributes: Attributes, document: Any, resource: Resource, served: Iterable[Resource]) -> Object:
    """A patched document as an object. StatusError 500 for one that is none, and for fields that are not known."""
    try:
        return shown.decoded(attributes, document, resource, served, "Ignore" if resource.unstructured else "Strict")
    except StatusError as error:
        raise errors.internal_error(_why(error)) from None


def _fitting(attributes: Attributes, merged: Object, resource: Resource, served: Iterable[Resource]) -> Object:
    """A merged object. Inapplicable for values of other types."""
    try:
        return shown.decoded(attributes, merged, resource, served)
    except StatusError as error:
        why = f"failed to convert patch object to typed object: {_why(error)}"
        raise Inapplicable(f"error applying patch: {why}") from None


def _why(error: StatusError) -> str:
    """Without `X in version "v1" cannot be handled as a X: `."""
    text = str(error)
    before, said, after = text.partition(" cannot be handled as a ")
    return after.partition(": ")[2] if said and before else text
