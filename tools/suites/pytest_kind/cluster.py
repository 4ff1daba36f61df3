"""`KindCluster` as pytest-kind has it: the cluster is the one that KUBECONFIG names, and stays."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path


class KindCluster:
    """What suites ask of it, and no more."""

    def __init__(self, name: str, image: str | None = None) -> None:
        self.name, self.image = name, image
        self.kubeconfig_path = Path(os.environ["KUBECONFIG"])
        kubectl = shutil.which("kubectl")
        assert kubectl is not None, "no kubectl in PATH"
        self.kubectl_path = Path(kubectl)

    def create(self) -> None:
        """It runs already."""

    def delete(self) -> None:
        """Whoever started it ends it."""

    def kubectl(self, *arguments: str) -> str:
        """Its output. CalledProcessError."""
        command = [str(self.kubectl_path), f"--kubeconfig={self.kubeconfig_path}", *arguments]
        return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout
