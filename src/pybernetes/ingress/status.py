"""status.loadBalancer of Ingresses, written by the elected one (upstream: internal/ingress/status/status.go)."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Callable, Sequence

import msgspec

from pybernetes.aio.clock import Clock
from pybernetes.api.errors import StatusError
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import networking_v1 as networking
from pybernetes.client.types import Client, Informers

from .model import Key

_log = logging.getLogger(__name__)

RETRY_SECONDS = 5.0
Addresses = list[networking.IngressLoadBalancerIngress]


def of_addresses(addresses: Sequence[str]) -> Addresses:
    """Of --publish-status-address: IPs, else names of hosts; in upstream's order."""
    return [_ingress(each) for each in sorted(set(addresses))]


def of_service(service: core.Service | None) -> Addresses:
    """Of --publish-service: what reaches it from outside, by its type."""
    if service is None:
        return []
    spec, given = service.spec, service.status.load_balancer.ingress
    if spec.type == "ExternalName":
        return [_ingress(spec.external_name)]
    if spec.type == "LoadBalancer":
        return of_addresses([*(each.ip or each.hostname for each in given), *spec.external_ips])
    if spec.external_ips:
        return of_addresses(spec.external_ips)
    return of_addresses([spec.cluster_ip]) if spec.cluster_ip not in ("", "None") else []


def _ingress(text: str) -> networking.IngressLoadBalancerIngress:
    try:
        return networking.IngressLoadBalancerIngress(ip=str(ipaddress.ip_address(text)))
    except ValueError:
        return networking.IngressLoadBalancerIngress(hostname=text)


class StatusWriter:
    """`run` until cancelled, while this is the one that leads; `clear` once, at its end."""

    def __init__(
        self,
        ours: Callable[[], Sequence[networking.Ingress]],
        addresses: Sequence[str],
        service: Key | None,
        client: Client,
        informers: Informers,
        clock: Clock,
        namespace: str = "",
    ) -> None:
        self._ours, self._addresses, self._service = ours, addresses, service
        self._client, self._clock = client, clock
        self._ingresses = informers.informer(networking.Ingress, namespace)
        self._services = informers.informer(core.Service, service[0]) if service is not None else None
        self._changed = asyncio.Event()
        self.leads = False

    def listen(self) -> None:
        """To all that changes what is to be written."""
        self._ingresses.add_handler(self._on_change)
        if self._services is not None:
            self._services.add_handler(self._on_change)

    def _on_change(self, old: object | None, new: object | None) -> None:
        self._changed.set()

    async def run(self) -> None:
        """Writes what differs."""
        self.leads = True
        self._changed.set()
        while True:
            await self._changed.wait()
            self._changed.clear()
            if not await self._write(self._now()):
                await self._clock.sleep(RETRY_SECONDS)
                self._changed.set()

    async def clear(self) -> None:
        """Nobody is there any more."""
        await self._write([])

    def _now(self) -> Addresses:
        if self._service is None or self._services is None:
            return of_addresses(self._addresses)
        namespace, name = self._service
        return of_service(self._services.get(name, namespace))

    async def _write(self, addresses: Addresses) -> bool:
        """Whether all of them were."""
        desired = [msgspec.to_builtins(each) for each in addresses]
        complete = True
        for ingress in self._ours():
            if ingress.status.load_balancer.ingress == addresses:
                continue
            meta = ingress.metadata
            patch = {"status": {"loadBalancer": {"ingress": desired or None}}}
            try:
                await self._client.patch(networking.Ingress, meta.name, meta.namespace, patch, subresource="status")
            except (StatusError, ConnectionError, TimeoutError) as error:
                if not isinstance(error, StatusError) or error.code != 404:  # it is gone meanwhile
                    _log.warning("the status of ingress %s/%s: %s", meta.namespace, meta.name, error)
                    complete = False
        return complete
