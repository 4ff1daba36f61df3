"""Keeps ranges of service addresses until no address needs them (upstream: pkg/controller/servicecidrs)."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable
from datetime import timedelta

from pybernetes.api import types
from pybernetes.api.conditions import is_true
from pybernetes.api.errors import StatusError
from pybernetes.api.mediatypes import APPLY_PATCH
from pybernetes.api.resources import collection_path
from pybernetes.api.types import meta_v1 as meta
from pybernetes.api.types import networking_v1 as networking

from ..common import Key
from ..framework import Context, Controller
from .plan import is_serving, may_go, ready_condition

FINALIZER = "networking.k8s.io/service-cidr-finalizer"
GRACE = timedelta(seconds=10)  # for allocators to learn that a range is going, so that they take no address from it
MANAGER = "service-cidr-controller"  # of the status, which is applied
READY = "Kubernetes Service CIDR is ready"
REFERENCED = "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR"


class ServiceCIDRsController(Controller):
    """One queue of ranges; an address that goes may let a leaving range go."""

    name = "service-cidr-controller"
    account = "service-cidrs-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context, workers=5)
        self._cidrs = self.informer(networking.ServiceCIDR)
        self._addresses = self.informer(networking.IPAddress)
        self._cidrs.add_handler(self._on_cidr)
        self._addresses.add_handler(self._on_address)

    def _on_cidr(self, old: networking.ServiceCIDR | None, new: networking.ServiceCIDR | None) -> None:
        changed = new if new is not None else old
        assert changed is not None
        self.enqueue(changed)
        if old is None or new is None or is_serving(old) != is_serving(new):
            self._look_at_leaving()  # another range may take over the addresses of one that goes

    def _on_address(self, old: networking.IPAddress | None, new: networking.IPAddress | None) -> None:
        if new is None:
            self._look_at_leaving()

    def _look_at_leaving(self) -> None:
        for cidr in self._cidrs.list():
            if cidr.metadata.deletion_timestamp is not None:
                self.enqueue(cidr)

    async def sync(self, key: Key) -> None:
        """Finalizer and condition; lets a deleted range go when nothing needs it."""
        cidr = self._cidrs.get(key[1])
        if cidr is None:
            return
        deleted = cidr.metadata.deletion_timestamp
        if deleted is None:
            await self._finalizers(cidr, add=True)
            if not is_true(cidr.status.conditions, "Ready"):
                await self._ready(cidr, "True", "", READY)
            return
        if FINALIZER not in cidr.metadata.finalizers:
            return
        others = [other for other in self._cidrs.list() if other.metadata.name != key[1]]
        addresses = [ipaddress.ip_address(address.metadata.name) for address in self._addresses.list()]
        if not may_go(cidr, others, addresses):
            await self._ready(cidr, "False", "Terminating", REFERENCED)
            return
        left = (deleted + GRACE - self.now()).total_seconds()
        if left > 0:
            self.look_again(key, left)
        else:
            await self._finalizers(cidr, add=False)

    async def _finalizers(self, cidr: networking.ServiceCIDR, add: bool) -> None:
        if (FINALIZER in cidr.metadata.finalizers) == add:
            return
        others = [name for name in cidr.metadata.finalizers if name != FINALIZER]
        change = {
            "finalizers": [*others, FINALIZER] if add else others,
            "resourceVersion": cidr.metadata.resource_version,
        }
        patch = self.client.patch(networking.ServiceCIDR, cidr.metadata.name, "", {"metadata": change})
        await self._unless_gone(patch)

    async def _ready(self, cidr: networking.ServiceCIDR, status: str, reason: str, message: str) -> None:
        """Applies the one condition, as upstream does: others' conditions are others'."""
        ready = ready_condition(cidr.status.conditions, status, reason, message, self.now())
        if ready is None:
            return
        applied = networking.ServiceCIDR(
            metadata=meta.ObjectMeta(name=cidr.metadata.name), status=networking.ServiceCIDRStatus(conditions=[ready])
        )
        path = f"{collection_path(cidr.api_version, cidr.kind, '')}/{cidr.metadata.name}/status?fieldManager={MANAGER}&force=true"
        await self._unless_gone(self.client.raw("PATCH", path, types.encode(applied), {"Content-Type": APPLY_PATCH}))

    @staticmethod
    async def _unless_gone(request: Awaitable[object]) -> None:
        try:
            await request
        except StatusError as error:
            if error.code != 404:
                raise
