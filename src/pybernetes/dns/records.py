"""What the Kubernetes DNS specification 1.1.0 answers, given the cluster's objects (upstream: coredns plugin/kubernetes). Pure.

`resolve` gives a result for a question within a zone; names that lead out of the zone (ExternalName) come back as `Result.leads_to`
for the caller to look up.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import Protocol

from . import wire
from .wire import AAAA, CNAME, NS, PTR, SOA, SRV, TXT, A, Record, address_record, name_record, split_name, srv_record

VERSION = "1.1.0"
VERSION_TTL = 28800
MAX_CNAMES = 7  # of a chain of ExternalNames within the cluster
NO_PORT = -1  # of an endpoint that declares none: it has addresses, but no SRV record


class PodMode(Enum):
    """The option `pods`."""

    DISABLED = "disabled"
    INSECURE = "insecure"
    VERIFIED = "verified"


@dataclass(frozen=True, slots=True)
class Port:
    """A port of a service or of its endpoints; the protocol as the API has it."""

    name: str
    protocol: str
    number: int


@dataclass(frozen=True, slots=True)
class Service:
    """What DNS needs of a Service."""

    namespace: str
    name: str
    cluster_ips: tuple[str, ...]
    ports: tuple[Port, ...]
    external_name: str = ""  # of type ExternalName only

    @property
    def headless(self) -> bool:
        return self.cluster_ips[:1] == ("None",)


@dataclass(frozen=True, slots=True)
class Address:
    """A ready endpoint."""

    ip: str
    hostname: str = ""
    pod: str = ""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """A slice: every address has every port."""

    namespace: str
    service: str
    addresses: tuple[Address, ...]
    ports: tuple[Port, ...]


class Directory(Protocol):
    """The cluster's objects, as far as DNS needs them. Names and namespaces are lower-cased."""

    def namespace(self, name: str) -> bool:
        """Whether it exists."""
        ...

    def service(self, name: str, namespace: str) -> Service | None: ...

    def endpoints(self, name: str, namespace: str) -> Iterable[Endpoints]:
        """The slices of a service."""
        ...

    def services_of_ip(self, ip: str) -> Iterable[Service]:
        """By cluster IP."""
        ...

    def endpoints_of_ip(self, ip: str) -> Iterable[Endpoints]:
        """By ready address."""
        ...

    def pod(self, ip: str, namespace: str) -> bool:
        """Whether a pod with the IP is there (pods verified)."""
        ...

    def namespace_of_pod(self, ip: str) -> str:
        """Of the pod with the IP, "" for none (pods verified)."""
        ...

    @property
    def serial(self) -> int:
        """Seconds of the last change that a zone's serial tells."""
        ...

    @property
    def generation(self) -> int:
        """Grows with every change: as long as it is the same, so are answers."""
        ...


@dataclass(frozen=True, slots=True)
class Options:
    """The plugin's options that shape answers."""

    zones: tuple[str, ...]
    pods: PodMode = PodMode.DISABLED
    ttl: int = 5
    endpoint_pod_names: bool = False
    ignore_empty_service: bool = False
    namespaces: frozenset[str] = frozenset()
    local_ips: tuple[str, ...] = ()

    @property
    def primary(self) -> str:
        """The first zone that is not a reverse one."""
        return next(zone for zone in self.zones if not is_reverse(zone))


@dataclass(slots=True)
class Result:
    """`exists` False: NXDOMAIN. Nothing in `answer`: NODATA."""

    exists: bool = True
    answer: list[Record] = field(default_factory=list)
    additional: list[Record] = field(default_factory=list)
    leads_to: str = ""  # the answer ends in a CNAME to this name outside of the zone


@dataclass(frozen=True, slots=True)
class Target:
    """One thing behind a name: an address or another name; `key` is its own name, for SRV."""

    host: str
    key: str
    port: int = 0

    @property
    def type(self) -> int:
        return _host_type(self.host)


@dataclass(frozen=True, slots=True)
class Parsed:
    """A name below the zone, taken apart."""

    kind: str = ""  # svc, pod, "" for the zone and the two names above
    namespace: str = ""
    service: str = ""  # or the pod's address with dashes
    endpoint: str = ""
    port: str = ""
    protocol: str = ""


def is_reverse(zone: str) -> bool:
    """Below in-addr.arpa. or ip6.arpa."""
    return wire.within(zone, "in-addr.arpa.") or wire.within(zone, "ip6.arpa.")


def parse(key: str, zone: str) -> Parsed | None:
    """None for a name that cannot be: [port.protocol.|endpoint.]service.namespace.svc, address.namespace.pod."""
    base = key[: len(key) - len(zone)] if zone != "." else key
    labels = split_name(base) if base else []
    if not labels:
        return Parsed()
    kind = labels.pop()
    if kind not in ("svc", "pod"):
        return None
    if not labels:
        return Parsed()
    namespace = labels.pop()
    service = labels.pop() if labels else ""
    if len(labels) == 1:
        return Parsed(kind, namespace, service, endpoint=labels[0])
    if len(labels) == 2:
        return Parsed(kind, namespace, service, port=labels[0].removeprefix("_"), protocol=labels[1].removeprefix("_"))
    return None if labels else Parsed(kind, namespace, service)


def resolve(name: str, type: int, zone: str, directory: Directory, options: Options) -> Result:
    """The answer to a question about a name in the zone, in the case that it was asked in."""
    key = name.lower()
    if type == PTR:
        return _reverse(name, key, zone, directory, options)
    if type == TXT:
        return _text(name, key, zone)
    if type == SOA and key == zone:
        return Result(answer=[wire.soa_record(zone, directory.serial, options.ttl)])
    if type == NS and key == zone:
        return _name_servers(name, zone, directory, options)
    targets = _targets(key, zone, directory, options)
    if targets is None:
        return Result(exists=False)
    if type in (A, AAAA):
        return _addresses(name, type, zone, targets, directory, options, [])
    if type == CNAME:
        first = targets[0] if targets else None
        names = [name_record(name, CNAME, first.host, options.ttl)] if first and first.type == CNAME else []
        return Result(answer=names)
    if type == SRV:
        return _services(name, [t for t in targets if t.type != CNAME], options)
    return Result()


def _text(name: str, key: str, zone: str) -> Result:
    """dns-version is all there is; upstream never says of another name that it does not exist."""
    if key == wire.joined("dns-version", zone):
        return Result(answer=[wire.txt_record(name, [VERSION], VERSION_TTL)])
    return Result()


def _targets(key: str, zone: str, directory: Directory, options: Options) -> list[Target] | None:
    """What stands behind a name; None: it does not exist."""
    if key == wire.joined("ns.dns", zone):
        return [Target(ip, key) for _, ip in _own_names(zone, directory, options)]
    parsed = parse(key, zone)
    if parsed is None:
        return None
    if not parsed.kind:
        return []
    if is_reverse(zone) or not _exposed(parsed.namespace, directory, options):
        return None
    if not parsed.service:
        return [] if parsed.kind == "svc" or options.pods is not PodMode.DISABLED else None
    if parsed.kind == "pod":
        return _pod(parsed, zone, directory, options)
    return _service(parsed, zone, directory, options)


def _exposed(namespace: str, directory: Directory, options: Options) -> bool:
    if options.namespaces and namespace not in options.namespaces:
        return False
    return directory.namespace(namespace)


def _pod(parsed: Parsed, zone: str, directory: Directory, options: Options) -> list[Target] | None:
    """1-2-3-4.namespace.pod"""
    text = parsed.service
    ip = text.replace("-", ".") if text.count("-") == 3 and "--" not in text else text.replace("-", ":")
    key = wire.joined(f"{text}.{parsed.namespace}.pod", zone)
    if options.pods is PodMode.INSECURE:
        return [Target(ip, key)] if _host_type(ip) != CNAME else None
    if options.pods is PodMode.VERIFIED and directory.pod(ip, parsed.namespace):
        return [Target(ip, key)]
    return None


def _service(parsed: Parsed, zone: str, directory: Directory, options: Options) -> list[Target] | None:
    service = directory.service(parsed.service, parsed.namespace)
    if service is None:
        return None
    key = wire.joined(f"{service.name}.{service.namespace}.svc", zone)
    if service.external_name:
        if parsed.endpoint:
            return None
        target = Target(service.external_name, key)
        return [target] if target.type == CNAME else None
    slices = list(directory.endpoints(parsed.service, parsed.namespace))
    if service.headless or parsed.endpoint:
        return _endpoint_targets(parsed, key, slices, options) or None
    if options.ignore_empty_service and not any(s.addresses for s in slices):
        return None
    ports = [p for p in service.ports if _same_port(parsed, p)]
    targets = [Target(ip, key, port.number) for port in ports for ip in service.cluster_ips]
    return targets if ports else None


def _endpoint_targets(parsed: Parsed, key: str, slices: Sequence[Endpoints], options: Options) -> list[Target]:
    targets = []
    for each in slices:
        ports = [p for p in each.ports or (Port("", "", NO_PORT),) if _same_port(parsed, p)]
        for address in each.addresses:
            hostname = endpoint_name(address, options.endpoint_pod_names)
            if not parsed.endpoint or parsed.endpoint == hostname.lower():
                targets += [Target(address.ip, f"{hostname}.{key}", port.number) for port in ports]
    return targets


def endpoint_name(address: Address, pod_names: bool) -> str:
    """The label of an endpoint below its service."""
    if address.hostname:
        return address.hostname
    if pod_names and address.pod:
        return address.pod
    return address.ip.replace(".", "-").replace(":", "-")


def _same_port(parsed: Parsed, port: Port) -> bool:
    return parsed.port in ("", port.name.lower()) and parsed.protocol in ("", port.protocol.lower())


def _addresses(
    name: str, type: int, zone: str, targets: list[Target], directory: Directory, options: Options, before: list[str]
) -> Result:
    """A or AAAA records; ExternalNames are followed as long as they stay in the zone."""
    result = Result()
    for host in dict.fromkeys(t.host for t in targets):
        if _host_type(host) == type:
            result.answer.append(address_record(name, host, options.ttl))
        elif _host_type(host) == CNAME:
            target = wire.absolute(host)
            lowered = target.lower()
            if lowered == name.lower() or lowered in before or len(before) > MAX_CNAMES:
                continue  # a circle
            alias = name_record(name, CNAME, target, options.ttl)
            if not wire.within(lowered, zone):
                return Result(answer=[alias], leads_to=target)
            inner = _targets(lowered, zone, directory, options)
            if inner is None:
                continue
            rest = _addresses(target, type, zone, inner, directory, options, [*before, name.lower()])
            if rest.answer:
                return Result(answer=[alias, *rest.answer], leads_to=rest.leads_to)
    return result


def _services(name: str, targets: list[Target], options: Options) -> Result:
    """SRV records of equal weight, and the addresses of their targets."""
    weight = max(100 // len(targets), 1) if targets else 0
    with_port = [t for t in targets if t.port != NO_PORT]
    pairs = dict.fromkeys((t.key, t.port) for t in with_port)
    answer = [srv_record(name, 0, weight, port, key, options.ttl) for key, port in pairs]
    hosts = dict.fromkeys((t.key, t.host) for t in with_port)
    return Result(answer=answer, additional=[address_record(key, host, options.ttl) for key, host in hosts])


def _reverse(name: str, key: str, zone: str, directory: Directory, options: Options) -> Result:
    """PTR: a service's cluster IP, else the endpoints with the address."""
    ip = wire.address_of_reverse(key)
    if not ip:
        return Result(exists=_targets(key, zone, directory, options) is not None)
    hidden = options.namespaces
    for service in directory.services_of_ip(ip):
        if not hidden or _exposed(service.namespace, directory, options):
            host = f"{service.name}.{service.namespace}.svc.{options.primary}"
            return Result(answer=[name_record(name, PTR, host, options.ttl)])
    hosts = [
        f"{endpoint_name(address, options.endpoint_pod_names)}.{each.service}.{each.namespace}.svc.{options.primary}"
        for each in directory.endpoints_of_ip(ip)
        if not hidden or _exposed(each.namespace, directory, options)
        for address in each.addresses
        if address.ip == ip
    ]
    records = [name_record(name, PTR, host, options.ttl) for host in dict.fromkeys(hosts)]
    return Result(exists=bool(records), answer=records)


def _own_names(zone: str, directory: Directory, options: Options) -> list[tuple[str, str]]:
    """(name, address) of the services that this server stands behind, else ns.dns and its own addresses."""
    pairs: list[tuple[str, str]] = []
    for local in options.local_ips:
        for each in directory.endpoints_of_ip(local):
            service = directory.service(each.service, each.namespace)
            if service is None:
                continue
            key = wire.joined(f"{service.name}.{service.namespace}.svc", zone)
            if service.headless:
                pairs += [(f"{endpoint_name(a, options.endpoint_pod_names)}.{key}", a.ip) for a in each.addresses]
            else:
                pairs += [(key, ip) for ip in service.cluster_ips]
    own = [(wire.joined("ns.dns", zone), ip) for ip in options.local_ips]
    return list(dict.fromkeys(pairs)) or own


def _name_servers(name: str, zone: str, directory: Directory, options: Options) -> Result:
    pairs = _own_names(zone, directory, options)
    return Result(
        answer=[name_record(name, NS, host, options.ttl) for host in dict.fromkeys(host for host, _ in pairs)],
        additional=[address_record(host, ip, options.ttl) for host, ip in pairs],
    )


@lru_cache(maxsize=8192)
def _host_type(host: str) -> int:
    """A or AAAA for addresses, CNAME for names."""
    if not host or not (host[0].isdigit() or ":" in host):
        return CNAME
    try:
        return A if ipaddress.ip_address(host).version == 4 else AAAA
    except ValueError:
        return CNAME
