"""Where a cluster's state lies: one directory, as kubeadm's /etc/kubernetes and /var/lib/kubelet together."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pybernetes.component.command import UsageError


def default_data_dir(root: bool, environment: Mapping[str, str]) -> Path:
    """/var/lib/pybernetes, or an ordinary user's place for data (XDG base directories). UsageError without a home."""
    if root:
        return Path("/var/lib/pybernetes")
    if environment.get("XDG_DATA_HOME", "").startswith("/"):
        return Path(environment["XDG_DATA_HOME"]) / "pybernetes"
    try:
        return (Path(environment["HOME"]) if environment.get("HOME") else Path.home()) / ".local/share/pybernetes"
    except RuntimeError:
        raise UsageError("you have no home directory: say where the cluster's state lies with --data-dir") from None


def data_dir(given: str) -> Path:
    """What --data-dir means; absolute, since parts and containers run elsewhere."""
    return Path(given).absolute() if given else default_data_dir(os.geteuid() == 0, os.environ)


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths below the data directory."""

    root: Path

    @property
    def pki(self) -> Path:
        """Certificates and keys, named as kubeadm names them."""
        return self.root / "pki"

    def certificate(self, name: str) -> Path:
        return self.pki / f"{name}.crt"

    def key(self, name: str) -> Path:
        return self.pki / f"{name}.key"

    def kubeconfig(self, name: str) -> Path:
        """admin, controller-manager, scheduler, kubelet, kube-proxy, kube-network-policies, service-load-balancer,
        nginx-ingress-controller."""
        return self.root / f"{name}.conf"

    @property
    def database(self) -> Path:
        return self.root / "state.db"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    @property
    def kubelet(self) -> Path:
        """The kubelet's --root-dir: volumes of pods."""
        return self.root / "kubelet"

    @property
    def local_path(self) -> Path:
        """The provisioner's volumes: what pods want to keep."""
        return self.root / "local-path"

    @property
    def images(self) -> Path:
        """The packed image of add-ons."""
        return self.root / "images"

    @property
    def state(self) -> Path:
        """What the supervisor says of its parts; gone when it has stopped."""
        return self.root / "supervisor.json"

    @property
    def lock(self) -> Path:
        """Held by the supervisor as long as it lives."""
        return self.root / "supervisor.lock"

    @property
    def settings(self) -> Path:
        """What `up` was last asked for, so that `status` and `down` need no options."""
        return self.root / "cluster.json"
