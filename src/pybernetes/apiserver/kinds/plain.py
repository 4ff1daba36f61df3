"""Kinds that are stored and served, but have no rules of their own yet: types and metadata are checked, nothing more.

A line leaves this table when its kind gets a module like those of core and apps.
"""

from __future__ import annotations

from ..resource import Resource

# group/version, plural, Kind, flags (n: namespaced, s: status, g: metadata.generation, c: made by PUT, p: any path segment is a name), short names
_TABLE = (
    ("admissionregistration.k8s.io/v1", "mutatingwebhookconfigurations", "MutatingWebhookConfiguration", "g", ()),
    ("admissionregistration.k8s.io/v1", "validatingwebhookconfigurations", "ValidatingWebhookConfiguration", "g", ()),
    ("apiregistration.k8s.io/v1", "apiservices", "APIService", "s", ()),
    ("autoscaling/v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", "ns", ("hpa",)),
    ("certificates.k8s.io/v1", "certificatesigningrequests", "CertificateSigningRequest", "s", ("csr",)),
    ("coordination.k8s.io/v1", "leases", "Lease", "nc", ()),
    ("discovery.k8s.io/v1", "endpointslices", "EndpointSlice", "ng", ()),
    ("networking.k8s.io/v1", "ingresses", "Ingress", "nsg", ("ing",)),
    ("networking.k8s.io/v1", "ingressclasses", "IngressClass", "g", ()),
    ("networking.k8s.io/v1", "networkpolicies", "NetworkPolicy", "ng", ("netpol",)),
    ("node.k8s.io/v1", "runtimeclasses", "RuntimeClass", "", ()),
    ("policy/v1", "poddisruptionbudgets", "PodDisruptionBudget", "nsg", ("pdb",)),
    ("rbac.authorization.k8s.io/v1", "clusterrolebindings", "ClusterRoleBinding", "p", ()),
    ("rbac.authorization.k8s.io/v1", "clusterroles", "ClusterRole", "p", ()),
    ("rbac.authorization.k8s.io/v1", "rolebindings", "RoleBinding", "np", ()),
    ("rbac.authorization.k8s.io/v1", "roles", "Role", "np", ()),
    ("scheduling.k8s.io/v1", "priorityclasses", "PriorityClass", "g", ("pc",)),
    ("storage.k8s.io/v1", "csidrivers", "CSIDriver", "g", ()),
    ("storage.k8s.io/v1", "csinodes", "CSINode", "", ()),
    ("storage.k8s.io/v1", "csistoragecapacities", "CSIStorageCapacity", "n", ()),
    ("storage.k8s.io/v1", "storageclasses", "StorageClass", "", ("sc",)),
    ("storage.k8s.io/v1", "volumeattachments", "VolumeAttachment", "s", ()),
)


def _resource(group_version: str, plural: str, kind: str, flags: str, short_names: tuple[str, ...]) -> Resource:
    group, version = group_version.split("/")
    package = "io.k8s.kube-aggregator.pkg.apis" if group.startswith("apiregistration") else "io.k8s.api"
    return Resource(
        group=group,
        version=version,
        name=plural,
        kind=kind,
        schema=f"{package}.{group.split('.')[0]}.{version}.{kind}",
        short_names=short_names,
        namespaced="n" in flags,
        status="s" in flags,
        generation="g" in flags,
        allow_create_on_update="c" in flags,
        name_check="path" if "p" in flags else "subdomain",
    )


RESOURCES: tuple[Resource, ...] = tuple(_resource(*line) for line in _TABLE)
