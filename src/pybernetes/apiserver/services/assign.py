"""Which addresses and ports a Service gets, at its creation and when it changes (upstream: pkg/registry/core/service/storage/alloc.go)."""

from __future__ import annotations

from typing import Any

from pybernetes.api import errors
from pybernetes.api.errors import StatusError
from pybernetes.api.field import Path, invalid

from ..kinds.core.service import WITH_NODE_PORTS
from ..kinds.core.servicerules import HEADLESS, needs_health_port
from ..resource import Object
from . import families
from .given import Given, Unavailable
from .records import allocates_ports, own_addresses

# --- creation -----------------------------------------------------------------------------------


async def create(given: Given, service: Object) -> None:
    spec = service["spec"]
    await _addresses(given, service)
    if spec.get("type") in WITH_NODE_PORTS:
        await _new_ports(given, service)
    if needs_health_port(spec):
        await _health_port(given, spec)


def _refused(service: Object, path: Path, value: Any, why: object) -> StatusError:
    name = service["metadata"].get("name", "")
    return errors.invalid("", "Service", name, [invalid(path, value, str(why))])


async def _addresses(given: Given, service: Object, start: int = 0) -> None:
    """One for each family from `start` on."""
    spec = service["spec"]
    asked = list(spec.get("clusterIPs") or [])
    if spec.get("type") == "ExternalName" or asked[:1] == [HEADLESS]:
        return
    addresses = asked[:start]
    for index, family in enumerate(spec["ipFamilies"][start:], start):
        address = asked[index] if index < len(asked) else ""
        try:
            addresses.append(await given.address(address) if address else await given.any_address(family))
        except Unavailable as why:
            if not address:
                raise errors.internal_error(f"failed to allocate a serviceIP: {why}") from None
            path = Path("spec.clusterIPs")
            raise _refused(service, path, asked, f"failed to allocate IP {address}: {why}") from None
    spec["clusterIPs"], spec["clusterIP"] = addresses, addresses[0]


async def _new_ports(given: Given, service: Object) -> None:
    """TCP and UDP under one number get one node port."""
    spec = service["spec"]
    items = spec.get("ports") or ()
    node_ports: dict[int, int] = {}
    for index, item in enumerate(items):
        number = item.get("nodePort") or 0
        if not number and not allocates_ports(spec):
            continue
        port = item["port"]
        shared = node_ports.get(port)
        if shared is None:
            asked = next((i["nodePort"] for i in items if i["port"] == port and i.get("nodePort")), 0)
            item["nodePort"] = node_ports[port] = await _port(given, service, index, asked)
        elif not number:
            item["nodePort"] = shared
        elif number != shared:
            await _port(given, service, index, number)


async def _port(given: Given, service: Object, index: int, asked: int) -> int:
    try:
        if not asked:
            return await given.any_port()
        await given.port(asked)
    except Unavailable as why:
        if not asked:
            raise errors.internal_error(f"failed to allocate a nodePort: {why}") from None
        raise _refused(service, Path("spec.ports") / index / "nodePort", asked, why) from None
    return asked


async def _health_port(given: Given, spec: Object) -> None:
    asked = spec.get("healthCheckNodePort") or 0
    try:
        if asked:
            await given.port(asked)
        else:
            spec["healthCheckNodePort"] = await given.any_port()
    except Unavailable as why:
        what = f"requested HealthCheck NodePort {asked}" if asked else "a HealthCheck NodePort 0"
        raise errors.internal_error(f"failed to allocate {what}: {why}") from None


# --- update -------------------------------------------------------------------------------------


async def update(given: Given, new: Object, old: Object) -> None:
    spec, before = new["spec"], old.get("spec") or {}
    if not families.matching_dual_stack(spec, before):
        await _update_addresses(given, new, before)
    if before.get("type") in WITH_NODE_PORTS and spec.get("type") in ("ExternalName", "ClusterIP"):
        given.freed_ports += [port["nodePort"] for port in before.get("ports") or () if port.get("nodePort")]
    if spec.get("type") in WITH_NODE_PORTS:
        await _update_ports(given, new, before)
    if needs_health_port(spec) and not needs_health_port(before):
        await _health_port(given, spec)
    elif needs_health_port(before) and not needs_health_port(spec) and before.get("healthCheckNodePort"):
        given.freed_ports.append(before["healthCheckNodePort"])


async def _update_addresses(given: Given, new: Object, before: Object) -> None:
    spec = new["spec"]
    external, was_external = (s.get("type") == "ExternalName" for s in (spec, before))
    if was_external and not external:
        await _addresses(given, new)
    elif (before.get("clusterIPs") or [])[:1] == [HEADLESS]:
        return
    elif external and not was_external:
        given.freed_addresses += own_addresses(before)
    else:
        had, have = len(before.get("ipFamilies") or ()), len(spec.get("ipFamilies") or ())
        if (had, have) == (1, 2):
            await _addresses(given, new, start=1)
        elif (had, have) == (2, 1):
            given.freed_addresses += (before.get("clusterIPs") or [])[1:]


async def _update_ports(given: Given, new: Object, before: Object) -> None:
    spec = new["spec"]
    had = {port["nodePort"] for port in before.get("ports") or () if port.get("nodePort")}
    taken: set[int] = set()
    for index, item in enumerate(spec.get("ports") or ()):
        number = item.get("nodePort") or 0
        if number:
            if number not in had and number not in taken:
                taken.add(await _port(given, new, index, number))
        elif allocates_ports(spec):
            item["nodePort"] = await _port(given, new, index, 0)
    given.freed_ports += had - {item.get("nodePort") for item in spec.get("ports") or ()}
