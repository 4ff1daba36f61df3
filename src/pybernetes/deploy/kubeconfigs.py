"""Which kubeconfigs a control-plane host has, and for whom; pure (upstream: cmd/kubeadm/app/phases/kubeconfig)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pybernetes.api.wellknown import (
    KUBE_CONTROLLER_MANAGER,
    KUBE_SCHEDULER,
    NODE_USER_PREFIX,
    NODES_GROUP,
    SYSTEM_PRIVILEGED_GROUP,
)
from pybernetes.pki.certificates import Subject

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
