"""Where a cluster's state lies: one directory, as kubeadm's /etc/kubernetes and /var/lib/kubelet together."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


def default_data_dir(root: bool, home: str) -> Path:
    """/var/lib/pybernetes, or below an ordinary user's home."""
    return Path("/var/lib/pybernetes") if root else Path(home) / ".local/share/pybernetes"


def data_dir(given: str) -> Path:
    """What --data-dir means; absolute, since parts and containers run elsewhere."""
    return Path(given).absolute() if given else default_data_dir(os.geteuid() == 0, str(Path.home()))


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
        """admin, controller-manager, scheduler, kubelet, kube-proxy."""
        return self.root / f"{name}.conf"

    @property
    def database(self) -> Path:
        return self.root / "state.db"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    def log(self, part: str) -> Path:
        return self.logs / f"{part}.log"

    @property
    def kubelet(self) -> Path:
        """The kubelet's --root-dir: volumes of pods."""
        return self.root / "kubelet"

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
