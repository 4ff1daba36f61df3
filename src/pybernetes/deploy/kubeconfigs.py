"""Which kubeconfigs a control-plane host has, and what stands in one; pure (upstream: cmd/kubeadm/app/phases/kubeconfig)."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pybernetes.api.wellknown import (
    KUBE_CONTROLLER_MANAGER,
    KUBE_SCHEDULER,
    NODE_USER_PREFIX,
    NODES_GROUP,
    SYSTEM_PRIVILEGED_GROUP,
)
from pybernetes.pki.certificates import Subject
from pybernetes.pki.files import Pair

from . import endpoints
from .certificates import CLUSTER_ADMINS_GROUP
from .configuration import Configuration
from .validation import LOCAL_KUBELET_GATE


@dataclass(frozen=True, slots=True)
class Kubeconfig:
    """`name` of the phase, `file` below kubeadm's folder; `long_name` of its certificate, "" where who uses it renews it."""

    name: str
    file: str
    long_name: str
    local: bool  # whether it names this host's API server, whatever stands before the servers

    def server(self, configuration: Configuration) -> str:
        """The URL. EndpointError."""
        of_kubelet = self.name == "kubelet" and configuration.cluster.feature_gates.get(LOCAL_KUBELET_GATE, True)
        return endpoints.local(configuration) if self.local or of_kubelet else endpoints.control_plane(configuration)

    def subject(self, configuration: Configuration) -> Subject:
        """Who comes with it."""
        if self.name == "kubelet":
            return Subject(f"{NODE_USER_PREFIX}{configuration.init.node_registration.name}", (NODES_GROUP,))
        return _SUBJECTS[self.name]


_SUBJECTS = {
    "admin": Subject("kubernetes-admin", (CLUSTER_ADMINS_GROUP,)),
    "super-admin": Subject("kubernetes-super-admin", (SYSTEM_PRIVILEGED_GROUP,)),
    "controller-manager": Subject(KUBE_CONTROLLER_MANAGER),
    "scheduler": Subject(KUBE_SCHEDULER),
}
_EMBEDDED = "certificate embedded in the kubeconfig file for the"
KUBECONFIGS: Sequence[Kubeconfig] = (
    Kubeconfig("admin", "admin.conf", f"{_EMBEDDED} admin to use and for kubeadm itself", False),
    Kubeconfig("super-admin", "super-admin.conf", f"{_EMBEDDED} super-admin", False),
    Kubeconfig("kubelet", "kubelet.conf", "", False),
    Kubeconfig("controller-manager", "controller-manager.conf", f"{_EMBEDDED} controller manager to use", True),
    Kubeconfig("scheduler", "scheduler.conf", f"{_EMBEDDED} scheduler manager to use", True),
)
BY_NAME = {kubeconfig.name: kubeconfig for kubeconfig in KUBECONFIGS}


def with_certificate(server: str, authority: bytes, cluster: str, user: str, pair: Pair) -> dict[str, Any]:
    """A kubeconfig with everything in it."""
    credentials = {"client-certificate-data": _data(pair.certificate), "client-key-data": _data(pair.key)}
    return _document(server, authority, cluster, user, credentials)


def with_token(server: str, authority: bytes, cluster: str, user: str, token: str) -> dict[str, Any]:
    """The same with a bearer token in place of a certificate."""
    return _document(server, authority, cluster, user, {"token": token})


def text(document: dict[str, Any]) -> str:
    """YAML, the keys in their order as client-go writes them."""
    import yaml

    return yaml.safe_dump(document, width=2**20)


def current(document: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """(cluster, user) of the current context of a kubeconfig, None where these are not in it."""
    try:
        contexts, clusters, users = (
            {entry["name"]: entry[kind] or {} for entry in document.get(f"{kind}s") or ()}
            for kind in ("context", "cluster", "user")
        )
        context = contexts[document["current-context"]]
        return clusters[context["cluster"]], users.get(context.get("user"), {})
    except (LookupError, TypeError, AttributeError):
        return None


def authority_of(cluster: dict[str, Any]) -> bytes | Path:
    """The CA of a kubeconfig's cluster: PEM, or the file that holds it, relative to the kubeconfig. ValueError for what is no base64."""
    data = cluster.get("certificate-authority-data")
    return base64.b64decode(data, validate=True) if data else Path(cluster.get("certificate-authority") or "")


def _document(server: str, authority: bytes, cluster: str, user: str, credentials: dict[str, str]) -> dict[str, Any]:
    context = f"{user}@{cluster}"
    return {
        "apiVersion": "v1",
        "clusters": [{"name": cluster, "cluster": {"certificate-authority-data": _data(authority), "server": server}}],
        "contexts": [{"name": context, "context": {"cluster": cluster, "user": user}}],
        "current-context": context,
        "kind": "Config",
        "users": [{"name": user, "user": credentials}],
    }


def _data(content: bytes) -> str:
    return base64.b64encode(content).decode()
