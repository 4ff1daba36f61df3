"""Asks webhooks and does what they say (upstream: webhook/{generic,mutating,validating}/{webhook,dispatcher,reinvocationcontext}.go).

What is logged of a webhook is its name and why it gave no answer; `auditing` has what the audit event says.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from pybernetes.api import errors, patch
from pybernetes.api.errors import StatusError
from pybernetes.api.jsoncopy import json_copy

from ...resource import Object, Resource
from ...types import Attributes, Authorizer, Reader
from . import auditing, review, subject
from .caller import CallFailed
from .hooks import ClientConfig, Hook
from .metrics import CALLING, DENIED, INTERNAL, WebhookMetrics
from .source import Found, Invocation

if TYPE_CHECKING:
    from pybernetes.cel.library import authorizer as authorizers

_log = logging.getLogger(__name__)

ADMIT, VALIDATING = "admit", "validating"  # the steps, as metrics name them
WITHOUT_SIDE_EFFECTS = ("None", "NoneOnDryRun")
KEPT = "MutatingAdmissionWebhook"

_encode = msgspec.json.Encoder().encode


class Calls(Protocol):
    """What carries a review to a webhook (see `caller.Caller`)."""

    async def call(self, config: ClientConfig, body: bytes, seconds: int) -> Object: ...

    async def close(self) -> None: ...


class Failed(Exception):
    """A webhook that could not be asked, or gave no sensible answer: its failure policy decides."""

    def __init__(self, hook: Hook, why: str, code: int) -> None:
        super().__init__(f'failed calling webhook "{hook.name}": {why}')
        self.code = code


class Denied(Exception):
    """A webhook's no."""

    def __init__(self, status: StatusError) -> None:
        super().__init__(str(status))
        self.status = status


@dataclass(slots=True)
class Reinvocation:
    """Which webhooks are asked a second time in one request: those with IfNeeded, called before something changed the object."""

    called: set[str] = field(default_factory=set)
    due: set[str] = field(default_factory=set)
    output: Any = None  # the object as the webhooks left it

    def require(self) -> None:
        """The object has changed."""
        self.due |= self.called
        self.called = set()


class Dispatcher:
    """One for both steps. `close` when done."""

    def __init__(
        self,
        reader: Reader,
        caller: Calls,
        metrics: WebhookMetrics,
        served: Callable[[], Iterable[Resource]],
        authorizer: Authorizer,
    ) -> None:
        self._reader, self._caller, self._metrics, self._served = reader, caller, metrics, served
        self._authorizer = authorizer

    async def close(self) -> None:
        """Ends connections."""
        await self._caller.close()

    # The two steps.

    async def mutate(self, attributes: Attributes, invocations: Found) -> None:
        """One after the other; each sees what those before it made. StatusError where one refuses."""
        state: Reinvocation = attributes.kept.setdefault(KEPT, Reinvocation())
        if attributes.again and state.output != attributes.object:
            state.require()  # other plug-ins have changed it meanwhile
        for invocation in invocations:
            hook = invocation.hook
            if attributes.again and hook.uid not in state.due:
                continue
            if not await self._wanted(attributes, invocation, ADMIT):
                continue
            if await self._ask(attributes, invocation, ADMIT, invocation.index):
                state.require()
                attributes.mutated = True
            if hook.reinvoke:
                state.called.add(hook.uid)
        if not attributes.again and attributes.mutated:
            state.output = json_copy(attributes.object)

    async def validate(self, attributes: Attributes, invocations: Found) -> None:
        """All at the same time; StatusError of the first that refuses, once all have answered."""
        asked = [i for i in invocations if await self._wanted(attributes, i, VALIDATING)]
        refusals: list[StatusError] = []

        async def one(invocation: Invocation, index: int) -> None:
            try:
                await self._ask(attributes, invocation, VALIDATING, index)
            except StatusError as error:
                refusals.append(error)

        if len(asked) == 1:
            await one(asked[0], 0)
        elif asked:
            async with asyncio.TaskGroup() as group:
                for index, invocation in enumerate(asked):
                    group.create_task(one(invocation, index))
        if refusals:
            raise refusals[0]

    # Whether one is asked.

    async def _wanted(self, attributes: Attributes, invocation: Invocation, step: str) -> bool:
        """What selectors and conditions say. StatusError 404 for a namespace that is not there, 403 for conditions of a strict webhook."""
        hook = invocation.hook
        missing: StatusError | None = None
        try:
            if not await self._in_namespaces(attributes, hook):
                return False
        except StatusError as error:
            missing = error
        if not selects(hook, attributes):
            return False
        if missing is not None:
            raise missing
        return not hook.conditions or await self._meets(attributes, invocation, step)

    async def _meets(self, attributes: Attributes, invocation: Invocation, step: str) -> bool:
        from pybernetes.cel.library import authorizer as authorizers

        from ...cel import variables
        from ...cel.authorizer import Answers, asking
        from . import conditions

        hook, resource = invocation.hook, attributes.resource
        obj, old = [
            await subject.shown(attributes, o, invocation.resource) for o in (attributes.object, attributes.old_object)
        ]
        asked = review.request(attributes, invocation.resource, "", "v1", None, None)["request"]
        answers = Answers(asking(self._authorizer, attributes.user))
        data = {
            "object": obj,
            "oldObject": old,
            "namespaceObject": None,
            "request": variables.request(asked),
            variables.AUTHORIZER: authorizers.value_of(answers),
            variables.REQUEST_RESOURCE: authorizers.resource_value_of(answers, _asked_about(attributes)),
        }
        try:
            met = await conditions.hold(hook.conditions, data, answers)
        except conditions.Undecided as error:
            self._metrics.undecided(hook.name, step, attributes.operation)
            if not hook.ignore:
                raise errors.forbidden(resource.group, resource.name, attributes.name, str(error)) from None
            _log.warning("webhook %s is not asked: %s", hook.name, error)
            return False
        if not met:
            self._metrics.excluded(hook.name, step, attributes.operation)
        return met

    async def _in_namespaces(self, attributes: Attributes, hook: Hook) -> bool:
        if hook.namespaces.empty():
            return True
        name = subject.namespace(attributes)
        own = subject.is_namespace(attributes.resource)
        if not name and not own:
            return True  # cluster-scoped objects are not exempt
        if own and not attributes.subresource and attributes.operation in ("CREATE", "UPDATE"):
            namespace = attributes.object
        else:
            namespace = self._reader.get("", "namespaces", "", name) or await self._reader.fresh(
                "", "namespaces", "", name
            )
        if namespace is None:
            raise errors.not_found("", "namespaces", name)
        return hook.namespaces.matches(labels(namespace))

    # Asking one.

    async def _ask(self, attributes: Attributes, invocation: Invocation, step: str, index: int) -> bool:
        """Whether the webhook changed the object; StatusError where the request ends here. `index` is for the audit event."""
        hook, operation, start = invocation.hook, attributes.operation, time.perf_counter()
        rejected, code, why, changed = True, 0, INTERNAL, False
        try:
            changed = await self._called(attributes, invocation, step)
            rejected, code = False, 200
            return changed
        except Failed as failed:
            rejected, code, why = not hook.ignore, failed.code, CALLING
            if hook.ignore:
                _log.warning("%s, failing open", failed)
                self._metrics.failed_open(hook.name, step)
                prefix = auditing.MUTATION if step == ADMIT else auditing.VALIDATING
                auditing.failed_open(hook, prefix, attributes.again and step == ADMIT, index)
                return False
            _log.warning("%s, failing closed", failed)
            raise errors.internal_error(str(failed)) from None
        except Denied as denied:
            code, why = denied.status.code, DENIED
            raise denied.status from None
        finally:
            if step == ADMIT:
                auditing.mutated(hook, attributes.again, index, changed)
            self._metrics.called(hook.name, step, operation, time.perf_counter() - start, code, rejected)
            if rejected:
                self._metrics.rejected(hook.name, step, operation, why, code)

    async def _called(self, attributes: Attributes, invocation: Invocation, step: str) -> bool:
        hook, resource = invocation.hook, invocation.resource
        if attributes.dry_run and hook.side_effects not in WITHOUT_SIDE_EFFECTS:
            raise errors.bad_request(f'admission webhook "{hook.name}" does not support dry run')
        shown = await subject.shown(attributes, attributes.object, resource)
        reply = await self._replied(attributes, invocation, shown, step)
        auditing.answered(hook, reply.annotations)
        attributes.warnings.extend(reply.warnings)
        if not reply.allowed:
            raise Denied(review.denied(hook.name, reply.result))
        return await self._patched(attributes, invocation, shown, reply)

    async def _replied(
        self, attributes: Attributes, invocation: Invocation, shown: Object | None, step: str
    ) -> review.Reply:
        hook, resource, uid = invocation.hook, invocation.resource, str(uuid.uuid4())
        try:
            spoken = review.version(hook.versions)
        except review.BadReply as error:
            raise Failed(hook, f"could not create admission objects: {error}", 400) from None
        old = await subject.shown(attributes, attributes.old_object, resource)
        body = _encode(review.request(attributes, resource, uid, spoken, shown, old))
        try:
            answer = await self._caller.call(hook.client, body, hook.timeout)
        except CallFailed as error:
            raise Failed(hook, f"failed to call webhook: {error}", error.code) from None
        try:
            return review.reply(answer, uid, spoken, step == ADMIT)
        except review.BadReply as error:
            raise Failed(hook, f"received invalid webhook response: {error}", 503) from None

    async def _patched(
        self, attributes: Attributes, invocation: Invocation, shown: Object | None, reply: review.Reply
    ) -> bool:
        hook, resource = invocation.hook, invocation.resource
        try:
            operations = review.operations(reply.patch)
        except review.BadReply as error:
            raise Failed(hook, f"received undecodable patch in webhook response: {error}", 503) from None
        if not operations:
            return False
        if shown is None:
            why = "attempted to modify the object, which is not supported for this operation"
            raise errors.internal_error(f'admission webhook "{hook.name}" {why}')
        if reply.patch_type != review.JSON_PATCH:
            raise Failed(hook, f'unsupported patch type "{reply.patch_type}"', 400)
        document = patched(shown, operations)
        try:
            changed = subject.decoded(attributes, document, resource, self._served())
        except StatusError as error:
            raise errors.internal_error(str(error)) from None
        auditing.patched(hook, attributes.again, invocation.index, operations)
        if changed == shown:
            return False
        await subject.take(attributes, changed, resource)
        return True


def selects(hook: Hook, attributes: Attributes) -> bool:
    """Whether the object selector takes the object as it is or as it was; what has no labels is taken by an empty selector alone."""
    if hook.objects.empty():
        return True
    objects = (attributes.object, attributes.old_object)
    return any(obj is not None and "metadata" in obj and hook.objects.matches(labels(obj)) for obj in objects)


def labels(obj: Object) -> dict[str, str]:
    """Of an object."""
    return (obj.get("metadata") or {}).get("labels") or {}


def patched(obj: Object, operations: Sequence[Any]) -> Any:
    """The patched object. StatusError 500 in the words of upstream's patch library."""
    try:
        return patch.json_patch(obj, operations)
    except patch.PatchError as error:
        raise errors.internal_error(inapplicable(error)) from None


def inapplicable(error: patch.PatchError) -> str:
    """As evanphx/json-patch says it."""
    if error.op == "test":
        return f"testing value {error.path} failed: test failed"
    if "does not exist" in error.reason:
        key = error.path.rpartition("/")[2]
        if error.op == "remove" and error.reason.startswith(f"member {key!r} "):
            return f"error in remove for path: '{error.path}': Unable to remove nonexistent key: {key}: missing value"
        path = f'"{error.path}"' if error.op in ("add", "remove") else error.path
        return f"{error.op} operation does not apply: doc is missing path: {path}: missing value"
    return f"{error.op} operation does not apply: {error.reason}"


def _asked_about(attributes: Attributes) -> authorizers.Attributes:
    """The resource of the request, as authorizer.requestResource has it."""
    from pybernetes.cel.library import authorizer as authorizers

    return authorizers.Attributes(
        group=attributes.resource.group,
        resource=attributes.resource.name,
        subresource=attributes.subresource,
        namespace=attributes.namespace,
        name=attributes.name,
    )
