"""Configurations of tests: the host of the recorded kubeadm, m1 at 10.0.0.11 behind 10.0.0.10:6443."""

from __future__ import annotations

from pathlib import Path

from pybernetes.deploy.configuration import Configuration, defaulted, parse

RECORDED = """
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
nodeRegistration: {name: m1}
localAPIEndpoint: {advertiseAddress: 10.0.0.11}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
controlPlaneEndpoint: 10.0.0.10:6443
networking: {podSubnet: 10.244.0.0/16}
"""


def configuration(text: str = RECORDED, folder: Path | None = None, algorithm: str = "") -> Configuration:
    """With defaults; its certificates are in `folder`, their keys of the algorithm."""
    found = defaulted(parse(text).configuration, "host", "192.0.2.1")
    if folder is not None:
        found.cluster.certificates_dir = str(folder)
    if algorithm:
        found.cluster.encryption_algorithm = algorithm
    return found
