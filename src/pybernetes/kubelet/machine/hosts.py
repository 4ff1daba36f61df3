"""A pod's names: its hostname and /etc/hosts (upstream: kubelet_pods.go, util/node)."""

from __future__ import annotations

from collections.abc import Sequence

from pybernetes.api.types import core_v1 as core

from ..runtime.types import RuntimeFailure

MAX_HOSTNAME = 63
MAX_FQDN = 64
MANAGED = """# Kubernetes-managed hosts file.
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
fe00::0\tip6-mcastprefix
fe00::1\tip6-allnodes
fe00::2\tip6-allrouters
"""
MANAGED_HOST_NETWORK = "# Kubernetes-managed hosts file (host network).\n"
ALIASES = "\n# Entries added by HostAliases.\n"


def hostname(pod: core.Pod) -> str:
    """The short name, or the whole one that hostnameOverride says."""
    if pod.spec.hostname_override:
        return pod.spec.hostname_override
    return (pod.spec.hostname or pod.metadata.name)[:MAX_HOSTNAME].rstrip("-.")


def domain(pod: core.Pod, cluster_domain: str) -> str:
    """SUBDOMAIN.NAMESPACE.svc.CLUSTER; "" without a subdomain, and where the name is overridden."""
    subdomain = "" if pod.spec.hostname_override else pod.spec.subdomain
    return f"{subdomain}.{pod.metadata.namespace}.svc.{cluster_domain}" if subdomain else ""


def sandbox_hostname(pod: core.Pod, cluster_domain: str) -> str:
    """What the kernel calls the pod. RuntimeFailure where setHostnameAsFQDN makes too long a name."""
    short, rest = hostname(pod), domain(pod, cluster_domain)
    if not pod.spec.set_hostname_as_fqdn or not rest:
        return short
    name = f"{short}.{rest}"
    if len(name) > MAX_FQDN:
        raise RuntimeFailure(
            f"failed to construct FQDN from pod hostname and cluster domain, FQDN {name} is too long "
            f"({MAX_FQDN} characters is the max, {len(name)} characters requested)"
        )
    return name


def hosts_file(pod: core.Pod, ips: Sequence[str], cluster_domain: str, host_file: str) -> str:
    """The text of /etc/hosts; with hostNetwork it is the host's own."""
    # A line of an alias without names ends in a tab, as upstream joins them.
    aliases = "".join(f"{alias.ip}\t" + "\t".join(alias.hostnames) + "\n" for alias in pod.spec.host_aliases)
    tail = ALIASES + aliases if aliases else ""
    if pod.spec.host_network:
        return MANAGED_HOST_NETWORK + host_file + tail
    short, rest = hostname(pod), domain(pod, cluster_domain)
    names = f"{short}.{rest}\t{short}" if rest else short
    return MANAGED + "".join(f"{ip}\t{names}\n" for ip in ips) + tail
