"""The items of the CIS Kubernetes benchmark 1.10, and why some are not judged over the cluster that these tests build."""

from __future__ import annotations

import re
from collections.abc import Mapping, Set

SECTIONS: Mapping[str, int] = {
    "1.1": 21, "1.2": 29, "1.3": 7, "1.4": 2, "2": 7, "3.1": 3, "3.2": 2, "4.1": 10, "4.2": 13, "4.3": 1,
    "5.1": 13, "5.2": 13, "5.3": 2, "5.4": 2, "5.5": 1, "5.7": 4,
}  # fmt: skip
_WORKLOADS = "a matter of who deploys workloads: a cluster that was made just now has none"
_AUTHORITY = "kubelets sign their serving certificates themselves, as kubeadm's; serverTLSBootstrap and an approver are the user's choice"
# By items as tests write them: not judged, or judged otherwise than the benchmark has it.
REASONS: Mapping[str, str] = {
    "1.1.1-8": "there are no pod specifications: the control plane's units are 4.1.1's",
    "1.1.9, 10": "pods get their network from flannel and the kubelet itself: there are no files of CNI",
    "1.1.12": "etcd runs as root, as kubeadm's does; its directory is root's or etcd's, and nobody else may look into it (1.1.11)",
    "1.2.3": "off as upstream's default, as in kubeadm's clusters: externalIPs are a feature that some use",
    "1.2.5": _AUTHORITY,
    "1.2.9": "limits depend on the cluster's size; priority and fairness, which is on, keeps clients from each other",
    "1.2.11": "it would have each start of a pod depend on a registry, and the image of cluster DNS is in none",
    "1.2.20": "upstream's default of a minute, which the benchmark takes",
    "1.3.1": "upstream's default of 12500",
    "1.3.6": _AUTHORITY,
    "3.1.1-3": "how people sign in (OIDC, a webhook) is chosen by flags of the API server when there are people",
    "4.2.5": "upstream's default of four hours",
    "4.2.6": "the field is gone upstream: kube-proxy makes its chains itself",
    "4.2.7": "a node's name may be chosen at init and join, and its certificate has it",
    "4.2.8": "upstream's default of 50 a second",
    "4.2.9": _AUTHORITY,
    "4.2.11": _AUTHORITY,
    "4.2.13": "podPidsLimit is a matter of the pods that run there; upstream's default is no limit",
    "5.1.3": "the ClusterRoles that are there are upstream's, rule by rule (tests/unit/apiserver)",
    "5.1.5": "the default ServiceAccounts have no rights at all, as judged below; whether pods get their token is upstream's default",
    "5.1.6": _WORKLOADS,
    "5.3.2": _WORKLOADS,
    "5.4.1, 2": _WORKLOADS,
    "5.5.1": "who signs images, and where, is the user's choice",
    "5.7.1-4": _WORKLOADS,
}


def items(text: str) -> Set[str]:
    """Those that a text begins with: "1.2.6-8: words", "1.2.12, 13", "4.2.4"."""
    section, listed = re.findall(r"^((?:\d+\.)+)(\d+(?:-\d+|, \d+)*)", text)[0]
    numbers: set[int] = set()
    for part in listed.split(", "):
        first, _, last = part.partition("-")
        numbers.update(range(int(first), int(last or first) + 1))
    return {f"{section}{number}" for number in numbers}


def all_items() -> Set[str]:
    """Of all sections."""
    return {f"{section}.{number}" for section, count in SECTIONS.items() for number in range(1, count + 1)}
