"""A pod's resolv.conf (upstream: pkg/kubelet/network/dns/dns.go)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pybernetes.api.field import quote
from pybernetes.api.types import core_v1 as core

from .events import Event, pod_text, warning

MAX_NAMESERVERS = 3  # what a resolver takes
MAX_SEARCHES = 32
MAX_SEARCH_CHARACTERS = 2048
CLUSTER_OPTIONS = ("ndots:5",)


@dataclass(frozen=True, slots=True)
class Resolver:
    """The lines of a resolv.conf."""

    servers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cluster:
    """--cluster-dns and --cluster-domain."""

    servers: tuple[str, ...] = ()
    domain: str = "cluster.local"


def parse(text: str) -> Resolver:
    """A host's resolv.conf; the last search line counts, as a resolver reads it."""
    servers: list[str] = []
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    for line in text.splitlines():
        fields = line.split("#")[0].split(";")[0].split()
        if len(fields) < 2:
            if fields == ["search"]:
                searches = ()
            continue
        if fields[0] == "nameserver":
            servers.append(fields[1])
        elif fields[0] == "search":
            searches = tuple(name if name == "." else name.removesuffix(".") for name in fields[1:])
        elif fields[0] == "options":
            options = _merged(options, fields[1:])
    return Resolver(tuple(servers), searches, options)


def render(resolver: Resolver) -> str:
    """The file's text."""
    lines = [f"nameserver {server}" for server in resolver.servers]
    if resolver.searches:
        lines.append(f"search {' '.join(resolver.searches)}")
    if resolver.options:
        lines.append(f"options {' '.join(resolver.options)}")
    return "".join(f"{line}\n" for line in lines)


def _merged(options: Sequence[str], more: Sequence[str]) -> tuple[str, ...]:
    """Options by name; the later value of one counts."""
    by_name = {option.partition(":")[0]: option for option in options}
    for option in more:
        by_name[option.partition(":")[0]] = option
    return tuple(by_name.values())


def _wants_cluster(pod: core.Pod) -> bool:
    policy = pod.spec.dns_policy or "ClusterFirst"
    return policy == "ClusterFirstWithHostNet" or (policy == "ClusterFirst" and not pod.spec.host_network)


def missing(pod: core.Pod, cluster: Cluster) -> Event | None:
    """What is told of a pod that wants the cluster's DNS where the kubelet knows of none."""
    if not _wants_cluster(pod) or cluster.servers:
        return None
    text = f"pod: {quote(pod_text(pod))}. kubelet does not have ClusterDNS IP configured and cannot create Pod using "
    return warning("MissingClusterDNS", text + '"ClusterFirst" policy. Falling back to "Default" policy.')


def effective_policy(pod: core.Pod, cluster: Cluster) -> str:
    """ClusterFirst, Default or None: what the pod's policy comes to on this node."""
    if _wants_cluster(pod):
        return "ClusterFirst" if cluster.servers else "Default"
    return "None" if pod.spec.dns_policy == "None" else "Default"


def resolver(pod: core.Pod, cluster: Cluster, host: Resolver) -> Resolver:
    """All lines, before they are cut to what a resolver takes."""
    policy = effective_policy(pod, cluster)
    base = host
    if policy == "None":
        base = Resolver()
    elif policy == "ClusterFirst":
        domain = cluster.domain
        own = (f"{pod.metadata.namespace}.svc.{domain}", f"svc.{domain}", domain) if domain else ()
        base = Resolver(cluster.servers, _unique([*own, *host.searches]), CLUSTER_OPTIONS)
    dns_config = pod.spec.dns_config
    if dns_config is None:
        return base
    options = [f"{option.name}:{option.value}" if option.value else option.name for option in dns_config.options]
    return Resolver(
        _unique([*base.servers, *dns_config.nameservers]),
        _unique([*base.searches, *dns_config.searches]),
        _merged(base.options, options),
    )


def _unique(values: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))


def limited(resolver: Resolver) -> tuple[Resolver, list[Event]]:
    """What a resolver takes of it, and an event for each kind of line that was cut."""
    events = []
    servers, searches = resolver.servers, resolver.searches
    if len(servers) > MAX_NAMESERVERS:
        servers = servers[:MAX_NAMESERVERS]
        text = "Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: "
        events.append(warning("DNSConfigForming", text + " ".join(servers)))
    if len(searches) > MAX_SEARCHES or len(" ".join(searches)) > MAX_SEARCH_CHARACTERS:
        shorter: list[str] = []
        for name in searches[:MAX_SEARCHES]:
            if len(" ".join([*shorter, name])) > MAX_SEARCH_CHARACTERS:
                break
            shorter.append(name)
        searches = tuple(shorter)
        text = "Search Line limits were exceeded, some search paths have been omitted, the applied search line is: "
        events.append(warning("DNSConfigForming", text + " ".join(searches)))
    return Resolver(servers, searches, resolver.options), events
