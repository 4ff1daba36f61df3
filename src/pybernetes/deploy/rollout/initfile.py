"""The files that `pybernetes init` and `pybernetes join` get, in kubeadm's words; pure."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import msgspec

from ..configuration import GROUP, documents
from ..daemons.model import MASTER, Cluster, Host
from ..layout import of_addons
from .clusterfile import NONE
from .wanted import brought_by_join

FORM = f"{GROUP}/v1beta4"
LAYOUT_VERSION, LAYOUT_KIND = "pybernetes.io/v1alpha1", "ClusterLayout"

Taints = Sequence[dict[str, Any]] | None


def init(cluster: Cluster, host: Host, taints: Taints = None) -> str:
    """Of the first master. There is no token in it: who joins gets one when it joins."""
    import yaml

    configuration = cluster.configuration
    init = {
        "apiVersion": FORM,
        "kind": "InitConfiguration",
        "localAPIEndpoint": _endpoint(cluster, host),
        "nodeRegistration": _registration(host, taints),
    }
    whole = {**msgspec.to_builtins(configuration.cluster), "apiVersion": FORM, "kind": "ClusterConfiguration"}
    return str(yaml.safe_dump_all([init, whole, layout(cluster)], sort_keys=True))


def layout(cluster: Cluster) -> dict[str, Any]:
    """What the cluster remembers of its balancer, network and add-ons, for hosts that join later. A balancer on hosts of their own is none of init's
    and join's."""
    balancer, network = cluster.balancer, cluster.network
    of_balancer: dict[str, Any] = {"kind": NONE}
    if balancer is not None and brought_by_join(cluster):
        of_balancer = {"kind": balancer.kind, "routerID": balancer.router_id}
        if balancer.on_nodes:
            of_balancer["onNodes"] = True
    return {
        "apiVersion": LAYOUT_VERSION,
        "kind": LAYOUT_KIND,
        "balancer": of_balancer,
        "network": {"backend": network.backend or NONE, "ipMasq": network.ip_masq, "policies": network.policies},
        "addons": of_addons(cluster.addons),
    }


# What a cluster is made with, and is not changed afterwards by a new start of its daemons: document, path.
FIXED = (
    ("InitConfiguration", "localAPIEndpoint.bindPort"),
    ("ClusterConfiguration", "controlPlaneEndpoint"),
    ("ClusterConfiguration", "networking.podSubnet"),
    ("ClusterConfiguration", "networking.serviceSubnet"),
    ("ClusterConfiguration", "networking.dnsDomain"),
    ("ClusterConfiguration", "clusterName"),
    ("ClusterConfiguration", "certificatesDir"),
    ("ClusterConfiguration", "apiServer.certSANs"),
    ("ClusterConfiguration", "etcd.local.dataDir"),
    ("ClusterConfiguration", "etcd.external"),
    ("ClusterConfiguration", "proxy.disabled"),
    ("ClusterConfiguration", "dns"),
    (LAYOUT_KIND, "balancer.kind"),
    (LAYOUT_KIND, "balancer.onNodes"),
    (LAYOUT_KIND, "network.backend"),
)


def fixed_changes(before: str, after: str) -> list[tuple[str, str, str]]:
    """(name, before, after) of the FIXED that differ between two files of init. ValueError for what is none."""
    old, new = _by_kind(before), _by_kind(after)
    changes = []
    for kind, path in FIXED:
        was, will = _at(old.get(kind), path), _at(new.get(kind), path)
        if was != will:
            changes.append((path, _shown(was), _shown(will)))
    return changes


def same_addons(before: str, after: str) -> bool:
    """Of two files of init. ValueError for what is none."""
    return bool(_at(_by_kind(before).get(LAYOUT_KIND), "addons") == _at(_by_kind(after).get(LAYOUT_KIND), "addons"))


def version(text: str) -> str:
    """The kubernetesVersion of a file of init; "": it says none. ValueError for what is no such file."""
    return str(_at(_by_kind(text).get("ClusterConfiguration"), "kubernetesVersion") or "")


def _by_kind(text: str) -> dict[str, dict[str, Any]]:
    return {str(document.get("kind")): document for document in documents(text)}


def _at(document: Any, path: str) -> Any:
    for name in path.split("."):
        document = document.get(name) if isinstance(document, dict) else None
    return document or None


def _shown(value: Any) -> str:
    return "none" if value is None else str(value)


def join(cluster: Cluster, host: Host, master: Host, secrets: Secrets, taints: Taints = None) -> str:
    """Of a further host; asks `master` who the cluster is. It holds the token, and for masters the key of the certificates."""
    import yaml

    port = cluster.configuration.init.local_api_endpoint.bind_port
    discovery = {
        "token": secrets.token,
        "apiServerEndpoint": f"[{master.address}]:{port}" if ":" in master.address else f"{master.address}:{port}",
        "caCertHashes": list(secrets.pins),
    }
    document = {
        "apiVersion": FORM,
        "kind": "JoinConfiguration",
        "discovery": {"bootstrapToken": discovery},
        "nodeRegistration": _registration(host, taints),
    }
    if MASTER in host.roles:
        document["controlPlane"] = {
            "localAPIEndpoint": _endpoint(cluster, host),
            "certificateKey": secrets.certificate_key,
        }
    return str(yaml.safe_dump(document, sort_keys=True))


class Secrets(msgspec.Struct, frozen=True):
    """What a host needs to join, got from a master; never shown."""

    token: str
    pins: tuple[str, ...]
    certificate_key: str = ""

    def __repr__(self) -> str:
        return "Secrets(...)"


HIDDEN = Secrets(
    "TOKEN", ("sha256:HASH",), "KEY"
)  # for who reads a plan: made when it is done, good for a quarter of an hour


def secrets(said: str) -> Secrets:
    """Of what `token create --print-join-command` and `init phase upload-certs` print on a master. ValueError, without what was said."""
    words = said.split()
    token = next((after for word, after in itertools.pairwise(words) if word == "--token"), "")
    pins = tuple(
        after
        for word, after in itertools.pairwise(words)
        if word == "--discovery-token-ca-cert-hash" and after.startswith("sha256:")
    )
    keys = [word for word in words if len(word) == 64 and not set(word) - set("0123456789abcdef")]
    if not token or not pins:
        raise ValueError("it printed no join command")
    return Secrets(token, pins, keys[-1] if keys else "")


def _endpoint(cluster: Cluster, host: Host) -> dict[str, Any]:
    port = cluster.configuration.init.local_api_endpoint.bind_port
    return {"advertiseAddress": host.address, "bindPort": port}


def _registration(host: Host, taints: Taints) -> dict[str, Any]:
    return {"name": host.name, **({"taints": list(taints)} if taints is not None else {})}
