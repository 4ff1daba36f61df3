"""Mirrors Endpoints that somebody else made for a service without a selector (upstream: pkg/controller/endpointslicemirroring)."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from pybernetes.api.errors import StatusError
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import discovery_v1 as discovery
from pybernetes.api.types import meta_v1 as meta

from ..common import Key, controller_ref, namespace_terminating
from ..endpointslice import endpoints as util
from ..endpointslice.slices import MANAGED_BY, SERVICE_NAME, Changes, PortKey, pack, port_key, recycled
from ..framework import Context, Controller

MANAGER = "endpointslicemirroring-controller.k8s.io"
SKIP_MIRROR = "endpointslice.kubernetes.io/skip-mirror"  # label: with "true" it is left alone
MANAGED_ENDPOINTS = "endpoints.kubernetes.io/managed-by"  # label: ours are no mirror's business
LEADER = "control-plane.alpha.kubernetes.io/leader"  # annotation: locks of old leader elections are no endpoints
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
BY_SERVICE = "mirrored"
MAX_PER_SLICE = 1000  # the most that a slice may hold
MIRROR_FAILED = "FailedToUpdateEndpointSlices"


def should_mirror(endpoints: core.Endpoints) -> bool:
    """Neither marked to be left alone nor a lock."""
    labels = endpoints.metadata.labels
    return labels.get(SKIP_MIRROR) != "true" and LEADER not in endpoints.metadata.annotations


def _blank(endpoints: core.Endpoints, kind: str, ports: list[discovery.EndpointPort]) -> discovery.EndpointSlice:
    return discovery.EndpointSlice(
        metadata=meta.ObjectMeta(
            generate_name=f"{endpoints.metadata.name}-",
            namespace=endpoints.metadata.namespace,
            labels=labels_of(endpoints),
            annotations=annotations_of(endpoints),
            owner_references=[controller_ref(endpoints)],
        ),
        address_type=kind,
        ports=ports,
    )


def labels_of(endpoints: core.Endpoints) -> dict[str, str]:
    """Those of the endpoints, and whose slice it is."""
    own = {key: value for key, value in endpoints.metadata.labels.items() if key != MANAGED_ENDPOINTS}
    return {**own, SERVICE_NAME: endpoints.metadata.name, MANAGED_BY: MANAGER}


def annotations_of(endpoints: core.Endpoints) -> dict[str, str]:
    """Those of the endpoints that mean something on a slice."""
    left_out = {LAST_APPLIED, util.TRIGGER_TIME}
    return {key: value for key, value in endpoints.metadata.annotations.items() if key not in left_out}


def endpoint_of(address: core.EndpointAddress, ready: bool) -> discovery.Endpoint:
    """An address as an endpoint."""
    target = msgspec.structs.replace(address.target_ref) if address.target_ref is not None else None
    return discovery.Endpoint(
        addresses=[address.ip],
        conditions=discovery.EndpointConditions(ready=ready),
        target_ref=target,
        node_name=address.node_name,
        hostname=address.hostname or None,
    )


def ports_of(subset: core.EndpointSubset) -> list[discovery.EndpointPort]:
    """The ports of a subset."""
    return [
        discovery.EndpointPort(name=p.name, port=p.port, protocol=p.protocol, app_protocol=p.app_protocol)
        for p in subset.ports
    ]


def plan(endpoints: core.Endpoints, existing: Sequence[discovery.EndpointSlice], most: int) -> tuple[Changes, int]:
    """What to write, and how many addresses of a subset were left out; `most`: addresses of a subset that are mirrored."""
    by_ports: dict[tuple[str, PortKey], list[discovery.EndpointSlice]] = {}
    for known in existing:
        by_ports.setdefault((known.address_type, port_key(known.ports)), []).append(known)
    changes, skipped = Changes(), 0
    groups: dict[tuple[str, PortKey], tuple[list[discovery.EndpointPort], list[discovery.Endpoint]]] = {}
    for subset in util.repack(endpoints.subsets):
        ports, room = ports_of(subset), most
        for ready, addresses in ((True, subset.addresses), (False, subset.not_ready_addresses)):
            skipped += max(0, len(addresses) - room)
            for address in addresses[:room]:
                kind = util.family(address.ip)
                groups.setdefault((kind, port_key(ports)), (ports, []))[1].append(endpoint_of(address, ready))
            room -= min(room, len(addresses))
    for (kind, key), (ports, wanted) in groups.items():
        slices = by_ports.pop((kind, key), [])
        fresh = _blank(endpoints, kind, ports)
        changes.add(pack(slices, wanted, fresh, lambda _: labels_of(endpoints), MAX_PER_SLICE))
    for rest in by_ports.values():
        changes.delete += rest
    return recycled(changes, lambda known: True), skipped


def index_by_service(known: discovery.EndpointSlice) -> list[str]:
    """NAMESPACE/SERVICE for slices of this controller."""
    labels = known.metadata.labels
    if labels.get(MANAGED_BY) != MANAGER or SERVICE_NAME not in labels:
        return []
    return [f"{known.metadata.namespace}/{labels[SERVICE_NAME]}"]


class EndpointSliceMirroringController(Controller):
    """One queue of endpoints; services and slices lead to theirs."""

    name = "endpointslice-mirroring-controller"
    component = "endpoint-slice-mirroring-controller"
    account = "endpointslicemirroring-controller"
    queue_name = "endpoint_slice_mirroring"
    max_retries = 15

    def __init__(self, context: Context) -> None:
        super().__init__(context, context.options.mirroring_concurrent_service_endpoint_syncs)
        self._most = context.options.mirroring_max_endpoints_per_subset
        self._delay = context.options.mirroring_endpointslice_updates_batch_period
        self._endpoints = self.informer(core.Endpoints)
        self._services = self.informer(core.Service)
        self._slices = self.informer(discovery.EndpointSlice)
        self._slices.add_index(BY_SERVICE, index_by_service)
        self._endpoints.add_handler(self._on_endpoints)
        self._services.add_handler(self.on_change)
        self._slices.add_handler(self._on_slice)

    def _on_endpoints(self, old: core.Endpoints | None, new: core.Endpoints | None) -> None:
        """Those of services with a selector are written by the endpoints controller, often: not even queued."""
        endpoints = new if new is not None else old
        assert endpoints is not None
        key = (endpoints.metadata.namespace, endpoints.metadata.name)
        service = self._services.get(key[1], key[0])
        if service is None or not service.spec.selector:
            self.queue.add_after(key, self._delay)

    def _on_slice(self, old: discovery.EndpointSlice | None, new: discovery.EndpointSlice | None) -> None:
        for known in (old, new):
            for text in index_by_service(known) if known is not None else ():
                namespace, _, name = text.partition("/")
                self.queue.add((namespace, name))

    async def sync(self, key: Key) -> None:
        """Writes the slices of endpoints where they are not as they should be; none where there is nothing to mirror."""
        endpoints, service = self._endpoints.get(key[1], key[0]), self._services.get(key[1], key[0])
        existing = list(self._slices.by_index(BY_SERVICE, f"{key[0]}/{key[1]}"))
        if endpoints is None or service is None or service.spec.selector or not should_mirror(endpoints):
            await self._delete(existing)
            return
        changes, skipped = plan(endpoints, existing, self._most)
        if skipped:
            text = f"A max of {self._most} addresses can be mirrored to EndpointSlices per Endpoints subset. {skipped} addresses were skipped"
            self.recorder.warning(endpoints, "TooManyAddressesToMirror", text)
        try:
            await self._apply(changes, _trigger_time(endpoints))
        except StatusError as error:
            if namespace_terminating(error):
                return
            text = f"Failed to update EndpointSlices for Endpoints {key[0]}/{key[1]}: {error}"
            self.recorder.warning(endpoints, MIRROR_FAILED, text)
            raise

    async def _apply(self, changes: Changes, stamp: str) -> None:
        for known in changes.create:
            await self.client.create(_stamped(known, stamp))
        for known in changes.update:
            await self.client.update(_stamped(known, stamp))
        await self._delete(changes.delete)

    async def _delete(self, slices: Sequence[discovery.EndpointSlice]) -> None:
        for known in slices:
            try:
                await self.client.delete(discovery.EndpointSlice, known.metadata.name, known.metadata.namespace)
            except StatusError as error:
                if error.code != 404:
                    raise


def _trigger_time(endpoints: core.Endpoints) -> str:
    return endpoints.metadata.annotations.get(util.TRIGGER_TIME, "")


def _stamped(known: discovery.EndpointSlice, stamp: str) -> discovery.EndpointSlice:
    notes = util.annotate(known.metadata.annotations, None)
    if stamp:
        notes[util.TRIGGER_TIME] = stamp
    return msgspec.structs.replace(known, metadata=msgspec.structs.replace(known.metadata, annotations=notes))
