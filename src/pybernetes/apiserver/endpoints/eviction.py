"""POST pods/NAME/eviction: a deletion that disruption budgets may refuse (upstream: pkg/registry/core/pod/storage/eviction.go)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from pybernetes.api import errors
from pybernetes.api.errors import StatusError
from pybernetes.api.jsoncopy import json_copy
from pybernetes.api.labels import SelectorError, selector_from_dict
from pybernetes.api.pods import is_active, is_ready, state_of
from pybernetes.wire.http import Request, Response

from ..authentication.user import User
from ..generic.options import DeleteOptions, WriteOptions
from ..generic.store import GenericStore
from ..generic.typemeta import Kind
from ..query import Query
from ..resource import Object
from ..schema import compiled_type
from ..types import RequestInfo
from .deleteoptions import delete_options
from .posted import read_as

KIND = Kind("policy", "v1", "Eviction")
OLDER = ("policy/v1beta1",)  # whose kubectl drains nodes still, long after the rest of that version went
MAX_DISRUPTED = 2000  # pods in a budget's list: more means that its controller does not keep up
RETRY_SECONDS = 10
REFUSED = "Cannot evict pod as it would violate the pod's disruption budget."
MORE_THAN_ONE = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
EVICTED = {
    "type": "DisruptionTarget",
    "status": "True",
    "reason": "EvictionByEvictionAPI",
    "message": "Eviction API: evicting",
}


# --- decisions ----------------------------------------------------------------------------------


def ignores_budgets(pod: Object) -> bool:
    """A pod that does not serve anyone (yet, or any more)."""
    state = state_of(pod)
    return state.status.phase == "Pending" or not is_active(state)


def covering(budgets: Iterable[Object], pod: Object) -> list[Object]:
    """The budgets that select the pod; an empty selector selects all, none or an unreadable one nothing."""
    matching = []
    for budget in budgets:
        given = (budget.get("spec") or {}).get("selector")
        if given is None:
            continue
        try:
            selector = selector_from_dict(given)
        except SelectorError:
            continue
        if selector.matches(pod["metadata"].get("labels") or {}):
            matching.append(budget)
    return matching


def free_to_go(budget: Object, pod: Object) -> bool:
    """A pod that is not ready, and does not count: always, or while the others are enough."""
    if is_ready(state_of(pod)):
        return False
    if (budget.get("spec") or {}).get("unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return True
    status = budget.get("status") or {}
    desired = status.get("desiredHealthy") or 0
    return 0 < desired <= (status.get("currentHealthy") or 0)


def _too_many(message: str, seconds: int) -> StatusError:
    refused = errors.too_many_requests(REFUSED, seconds)
    refused.status["details"]["causes"] = [{"reason": "DisruptionBudget", "message": message}]
    return refused


def being_processed(name: str) -> StatusError:
    """429: ask again in a moment."""
    return _too_many(f"The disruption budget {name} is still being processed by the server.", RETRY_SECONDS)


def disrupted(budget: Object, pod: str, now: str) -> Object:
    """The budget with one disruption less, for this pod; StatusError 429 and 403."""
    name, status = budget["metadata"]["name"], dict(budget.get("status") or {})
    allowed = status.get("disruptionsAllowed") or 0
    if (status.get("observedGeneration") or 0) < (budget["metadata"].get("generation") or 0):
        raise being_processed(name)
    if allowed < 0:
        raise errors.forbidden("policy", "poddisruptionbudget", name, "pdb disruptions allowed is negative")
    if len(status.get("disruptedPods") or ()) > MAX_DISRUPTED:
        why = "DisruptedPods map too big - too many evictions not confirmed by PDB controller"
        raise errors.forbidden("policy", "poddisruptionbudget", name, why)
    if not allowed:
        desired, healthy = status.get("desiredHealthy") or 0, status.get("currentHealthy") or 0
        text = f"The disruption budget {name} needs {desired} healthy pods and has {healthy} currently"
        raise _too_many(text, 0)
    status["disruptionsAllowed"] = allowed - 1
    if allowed == 1:
        status["conditions"] = _insufficient(status, now)
    status["disruptedPods"] = {**(status.get("disruptedPods") or {}), pod: now}
    return {**budget, "status": status}


def _insufficient(status: Object, now: str) -> list[Object]:
    """The conditions with DisruptionAllowed false."""
    kind = "DisruptionAllowed"
    conditions = [dict(c) for c in status.get("conditions") or ()]
    before = next((c for c in conditions if c.get("type") == kind), None)
    since = before.get("lastTransitionTime", now) if before and before.get("status") == "False" else now
    condition = {
        "type": kind,
        "status": "False",
        "observedGeneration": status.get("observedGeneration") or 0,
        "lastTransitionTime": since,
        "reason": "InsufficientPods",
        "message": "",
    }
    if before is None:
        return [*conditions, condition]
    return [condition if c is before else c for c in conditions]


def of_eviction(asked: Object, dry_run: bool, user: User) -> DeleteOptions:
    """The eviction's own options with the query's dry run. StatusError 400, 422."""
    own = asked.get("dryRun") or []
    if own and dry_run and own != ["All"]:
        listed = " ".join(own)
        raise errors.bad_request(f"Non-matching dry-run options in request and content: [All] and [{listed}]")
    options = delete_options(asked, user)
    return replace(options, dry_run=dry_run or options.dry_run, cascades=False, admission=False, given={})


# --- the verb -----------------------------------------------------------------------------------


class Eviction:
    """`pods` and `budgets` are the stores of their kinds."""

    def __init__(self, pods: GenericStore, budgets: GenericStore) -> None:
        self._pods, self._budgets = pods, budgets

    async def create(self, request: Request, info: RequestInfo, query: Query, user: User) -> Response:
        """201 with a Status; 429 where a budget does not allow it."""
        schema = compiled_type("io.k8s.api.policy.v1.Eviction", KIND.api_version, KIND.kind)
        posted = await read_as(request, info, query, user, KIND, schema, accepts=OLDER)
        asked, dry_run = posted.body, posted.options.dry_run
        if asked["metadata"].get("name", "") != info.name:
            raise errors.bad_request("name in URL does not match name in Eviction object")
        await self._pods.admit_creation(user, "eviction", info.namespace, info.name, asked, dry_run)
        await self._evict(info.namespace, info.name, of_eviction(asked.get("deleteOptions") or {}, dry_run, user))
        return posted.done()

    async def _evict(self, namespace: str, name: str, options: DeleteOptions) -> None:
        pod = self._pods.get(namespace, name).obj
        if ignores_budgets(pod):
            if pod["status"].get("phase") == "Pending" and not options.resource_version:
                options = replace(options, resource_version=pod["metadata"]["resourceVersion"])
            await self._delete(namespace, name, options)
            return
        listed = self._budgets.cache.resource(self._budgets.prefix).range(self._budgets.key(namespace, ""))
        budgets = covering((stored.obj for stored in listed), pod)
        if len(budgets) > 1:
            raise errors.generic(500, "", "", "", "", MORE_THAN_ONE)
        if budgets and not free_to_go(budgets[0], pod):
            await self._take(budgets[0]["metadata"]["name"], namespace, name, options)
            await self._delete(namespace, name, options)
        elif budgets:
            await self._delete_as_seen(budgets[0]["metadata"]["name"], pod, options)
        else:
            await self._delete(namespace, name, options)

    async def _take(self, budget: str, namespace: str, pod: str, options: DeleteOptions) -> None:
        """One of the budget's disruptions, which no other eviction can have taken too."""

        async def less(old: Object) -> Object:
            return disrupted(json_copy(old), pod, self._budgets.now_text())

        written = WriteOptions(options.user, options.dry_run, admission=False)
        await self._budgets.change(namespace, budget, less, written, "status", patching=True)

    async def _delete_as_seen(self, budget: str, pod: Object, options: DeleteOptions) -> None:
        """Only if the pod is still the one that was not ready."""
        metadata = pod["metadata"]
        if options.resource_version:
            await self._delete(metadata["namespace"], metadata["name"], options)
            return
        pinned = replace(options, resource_version=metadata["resourceVersion"])
        try:
            await self._delete(metadata["namespace"], metadata["name"], pinned)
        except StatusError as error:
            if error.code != 409:
                raise
            raise being_processed(budget) from None

    async def _delete(self, namespace: str, name: str, options: DeleteOptions) -> None:
        """Says in the pod's status why, then deletes it; a resource version is that of before both."""
        if not options.dry_run:

            async def marked(old: Object) -> Object:
                pod: Object = json_copy(old)
                if options.resource_version:
                    pod["metadata"]["resourceVersion"] = options.resource_version
                status = pod.setdefault("status", {})
                status["conditions"] = targeted(pod, self._pods.now_text())
                return pod

            written = WriteOptions(options.user, admission=False)
            changed = await self._pods.change(namespace, name, marked, written, "status", patching=True)
            if options.resource_version:
                options = replace(options, resource_version=changed["metadata"]["resourceVersion"])
        await self._pods.delete(namespace, name, options)


def targeted(pod: Object, now: str) -> list[Any]:
    """A pod's conditions with DisruptionTarget true."""
    conditions: list[Any] = pod["status"].get("conditions") or []
    before = next((c for c in conditions if c.get("type") == EVICTED["type"]), None)
    since = before.get("lastTransitionTime") if before and before.get("status") == "True" else None
    condition = {**EVICTED, "lastProbeTime": None, "lastTransitionTime": since or now}
    if pod["metadata"].get("generation"):
        condition["observedGeneration"] = pod["metadata"]["generation"]
    if before is None:
        return [*conditions, condition]
    return [condition if c is before else c for c in conditions]
