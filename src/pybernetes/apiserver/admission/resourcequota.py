"""Admission ResourceQuota (upstream: apiserver/pkg/admission/plugin/resourcequota).

Requests of one namespace that wait are counted together and cost one write of a quota's status. The write names the resource version
that was read, so that two servers never give the same share away: who is late counts again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pybernetes.aio.clock import Clock
from pybernetes.api import errors
from pybernetes.api.errors import StatusError
from pybernetes.api.quantity import Quantity, parse_quantity
from pybernetes.api.quota import Usage, scopes_of
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import from_json

from ..types import EVERYTHING, Attributes, Reader
from .quotausage import evaluator, status_counts, subtract, unstated

MAX_TRIES = 10  # of a write that others come before

Object = dict[str, Any]
# Writes a quota's status, by the resource version in it; StatusError 409 if there is a newer one.
WriteStatus = Callable[[Object], Awaitable[Object]]


def add(one: Mapping[str, Quantity], other: Mapping[str, Quantity]) -> Usage:
    """The sum of both."""
    total = dict(one)
    for name, amount in other.items():
        total[name] = total[name] + amount if name in total else amount
    return total


def parsed(given: Mapping[str, str] | None) -> Usage:
    """A ResourceList."""
    return {name: parse_quantity(text) for name, text in (given or {}).items()}


def shown(amounts: Mapping[str, Quantity], names: Sequence[str]) -> str:
    """cpu=1,pods=2."""
    return ",".join(f"{name}={amounts[name]}" for name in sorted(names) if name in amounts)


@dataclass(slots=True)
class Ledger:
    """A quota as counted so far."""

    quota: Object
    hard: Usage = field(init=False)
    used: Usage = field(init=False)
    scopes: list[core.ScopedResourceSelectorRequirement] = field(init=False)
    changed: bool = False

    def __post_init__(self) -> None:
        status = self.quota.get("status") or {}
        self.hard, self.used = parsed(status.get("hard")), parsed(status.get("used"))
        self.scopes = scopes_of(from_json({"spec": self.quota.get("spec") or {}}, core.ResourceQuota))

    def written(self) -> Object:
        """The quota with what is used now."""
        status = self.quota.get("status") or {}
        used = {name: str(amount) for name, amount in self.used.items()}
        return {**self.quota, "status": {**status, "used": used}}


def charge(attributes: Attributes, ledgers: Sequence[Ledger], now: datetime) -> list[tuple[Ledger, Usage]]:
    """What a request adds to which quotas, nothing counted yet. StatusError 403 where one does not allow it."""
    obj, resource = attributes.object, attributes.resource
    assert obj is not None
    quota_evaluator = evaluator(resource)
    concerned: list[tuple[Ledger, list[str]]] = []
    for ledger in ledgers:
        names = [name for name in ledger.hard if quota_evaluator.matches(name)]
        if not names or not quota_evaluator.in_scopes(obj, ledger.scopes):
            continue
        _constrain(attributes, ledger, names)
        concerned.append((ledger, names))
    delta = quota_evaluator.usage(obj, now)
    if attributes.operation == "UPDATE" and attributes.old_object is not None:
        delta = subtract(delta, quota_evaluator.usage(attributes.old_object, now))
    if all(amount.is_zero() for amount in delta.values()):
        return []
    charges = []
    for ledger, _ in concerned:
        requested = {name: amount for name, amount in delta.items() if name in ledger.hard}
        _compare(attributes, ledger, requested)
        charges.append((ledger, requested))
    return charges


def _refused(attributes: Attributes, why: str) -> StatusError:
    resource = attributes.resource
    return errors.forbidden(resource.group, resource.name, attributes.told_name, why)


def _constrain(attributes: Attributes, ledger: Ledger, names: Sequence[str]) -> None:
    name, resource = ledger.quota["metadata"]["name"], attributes.resource
    if (resource.group, resource.name) == ("", "pods"):
        lacking = unstated(attributes.object or {}, names)
        if lacking:
            words = "; ".join(f"{key} for: {','.join(sorted(lacking[key]))}" for key in sorted(lacking))
            raise _refused(attributes, f"failed quota: {name}: must specify {words}")
    unknown = [key for key in names if key not in ledger.used]
    if unknown:
        why = f"status unknown for quota: {name}, resources: {','.join(sorted(names))}"
        raise _refused(attributes, why)


def _compare(attributes: Attributes, ledger: Ledger, requested: Usage) -> None:
    total = add(ledger.used, requested)
    exceeded = [name for name in requested if total[name] > ledger.hard[name]]
    if exceeded:
        name = ledger.quota["metadata"]["name"]
        why = (
            f"exceeded quota: {name}, requested: {shown(requested, exceeded)}, "
            f"used: {shown(ledger.used, exceeded)}, limited: {shown(ledger.hard, exceeded)}"
        )
        raise _refused(attributes, why)


def counts(attributes: Attributes) -> bool:
    """Whether a write can change what is used: of pods that are there, a resize alone; of claims, what was granted."""
    resource = attributes.resource
    match attributes.operation, attributes.subresource:
        case "CREATE", "":
            return True
        case "UPDATE", "":
            return evaluator(resource).updates
        case "UPDATE", "resize":
            return (resource.group, resource.name) == ("", "pods")
        case "UPDATE", "status" if (resource.group, resource.name) == ("", "persistentvolumeclaims"):
            return status_counts(attributes.object or {}, attributes.old_object or {})
    return False


def count(attributes: Attributes, ledgers: Sequence[Ledger], now: datetime) -> None:
    """Counts a request in; StatusError 403, and nothing is counted."""
    for ledger, requested in charge(attributes, ledgers, now):
        nonzero = {name: amount for name, amount in requested.items() if not amount.is_zero()}
        if nonzero and not attributes.dry_run:
            ledger.used = add(ledger.used, nonzero)
            ledger.changed = True


Waiting = tuple[Attributes, "asyncio.Future[None]"]


class ResourceQuota:
    """Nobody uses more of a namespace than its quotas allow."""

    name = "ResourceQuota"
    resources = EVERYTHING

    def __init__(self, reader: Reader, write: WriteStatus, clock: Clock) -> None:
        self._reader, self._write, self._clock = reader, write, clock
        self._waiting: dict[str, list[Waiting]] = {}
        self._workers: dict[str, asyncio.Task[None]] = {}

    def admit(self, attributes: Attributes) -> None:
        """Nothing is filled in."""

    def validate(self, attributes: Attributes) -> Awaitable[None] | None:
        """The last of the chain: what passes is counted."""
        if attributes.object is None or not attributes.resource.namespaced or not counts(attributes):
            return None
        if not any(True for _ in self._reader.list("", "resourcequotas", attributes.namespace)):
            return None
        return self._count(attributes)

    async def _count(self, attributes: Attributes) -> None:
        namespace = attributes.namespace
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(namespace, []).append((attributes, future))
        if namespace not in self._workers:
            self._workers[namespace] = asyncio.create_task(self._work(namespace))
        await future

    async def _work(self, namespace: str) -> None:
        """Counts what waits in a namespace until nothing does."""
        batch: list[Waiting] = []
        try:
            while batch := self._waiting.pop(namespace, []):
                await self._settle(namespace, batch)
        except Exception as error:
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
        finally:
            del self._workers[namespace]
            if self._waiting.get(namespace):  # somebody came while this one failed
                self._workers[namespace] = asyncio.create_task(self._work(namespace))

    async def _settle(self, namespace: str, batch: list[Waiting]) -> None:
        for _ in range(MAX_TRIES):
            ledgers = [Ledger(quota) for quota in self._reader.list("", "resourcequotas", namespace)]
            results = [_attempt(attributes, ledgers, self._clock.now()) for attributes, _ in batch]
            if await self._written(ledgers):
                break
        else:
            refusal = errors.conflict(
                "", "resourcequotas", namespace, "the quota's status changes faster than it can be counted"
            )
            results = [refusal] * len(batch)
        for (_, future), result in zip(batch, results, strict=True):
            if future.done():
                continue  # whoever waited has gone
            if result is None:
                future.set_result(None)
            else:
                future.set_exception(result)

    async def _written(self, ledgers: Sequence[Ledger]) -> bool:
        """Whether all that changed is written. What was written before another failed is counted too much until the
        quota's controller counts anew, as upstream's."""
        for ledger in ledgers:
            if not ledger.changed:
                continue
            try:
                await self._write(ledger.written())
            except StatusError as error:
                if error.code not in (404, 409):
                    raise
                metadata = ledger.quota["metadata"]  # what another server has written must be seen before the next try
                await self._reader.fresh("", "resourcequotas", metadata["namespace"], metadata["name"])
                return False
        return True


def _attempt(attributes: Attributes, ledgers: Sequence[Ledger], now: datetime) -> StatusError | None:
    try:
        count(attributes, ledgers, now)
    except StatusError as error:
        return error
    return None
