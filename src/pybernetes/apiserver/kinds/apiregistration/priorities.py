"""Which group and version comes first in discovery (upstream: cmd/kube-apiserver/app/aggregator.go, controller/crdregistration)."""

from __future__ import annotations

PRIORITIES = {
    "": 18_000,
    "apiregistration.k8s.io": 18_000,
    "apps": 17_800,
    "events.k8s.io": 17_750,
    "authentication.k8s.io": 17_700,
    "authorization.k8s.io": 17_600,
    "autoscaling": 17_500,
    "batch": 17_400,
    "certificates.k8s.io": 17_300,
    "networking.k8s.io": 17_200,
    "extensions": 17_150,
    "policy": 17_100,
    "rbac.authorization.k8s.io": 17_000,
    "storage.k8s.io": 16_800,
    "apiextensions.k8s.io": 16_700,
    "admissionregistration.k8s.io": 16_700,
    "scheduling.k8s.io": 16_600,
    "coordination.k8s.io": 16_500,
    "node.k8s.io": 16_300,
    "discovery.k8s.io": 16_200,
    "flowcontrol.apiserver.k8s.io": 16_100,
    "resource.k8s.io": 15_900,
    "storagemigration.k8s.io": 15_800,
}
LAST_PRIORITY = 15_000
VERSION_PRIORITIES = {
    ("", "v1"): 1,
    ("extensions", "v1beta1"): 1,
    ("apps", "v1beta1"): 1,
    ("autoscaling", "v2"): 30,
    ("autoscaling", "v2beta2"): 1,
    ("batch", "v2alpha1"): 9,
    ("events.k8s.io", "v1beta1"): 5,
    ("rbac.authorization.k8s.io", "v1beta1"): 12,
    ("rbac.authorization.k8s.io", "v1alpha1"): 9,
    ("admissionregistration.k8s.io", "v1beta1"): 12,
    ("scheduling.k8s.io", "v1beta1"): 12,
    ("scheduling.k8s.io", "v1alpha1"): 9,
    ("discovery.k8s.io", "v1beta1"): 12,
    ("flowcontrol.apiserver.k8s.io", "v1"): 21,
    ("flowcontrol.apiserver.k8s.io", "v1beta3"): 18,
    ("flowcontrol.apiserver.k8s.io", "v1beta2"): 15,
    ("flowcontrol.apiserver.k8s.io", "v1beta1"): 12,
    ("flowcontrol.apiserver.k8s.io", "v1alpha1"): 9,
}
CUSTOM_GROUP, CUSTOM_VERSION = 1000, 100  # of custom resources: after all built-in groups


def of_group(group: str) -> int:
    """GroupPriorityMinimum of a built-in group's APIServices."""
    return PRIORITIES.get(group, LAST_PRIORITY)


def of_version(group: str, version: str) -> int:
    """VersionPriority of a built-in version's; one that upstream does not name comes after its stable one."""
    return VERSION_PRIORITIES.get((group, version), 15 if version[1:].isdigit() else 9 if "beta" in version else 1)
