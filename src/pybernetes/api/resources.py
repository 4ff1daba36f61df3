"""How a kind becomes a path: plural names and scope of the built-in kinds."""

from __future__ import annotations

CLUSTER_SCOPED = frozenset(
    {
        "APIService",
        "CSIDriver",
        "CSINode",
        "CertificateSigningRequest",
        "ClusterRole",
        "ClusterRoleBinding",
        "ClusterTrustBundle",
        "ComponentStatus",
        "CustomResourceDefinition",
        "DeviceClass",
        "DeviceTaintRule",
        "FlowSchema",
        "IPAddress",
        "IngressClass",
        "MutatingAdmissionPolicy",
        "MutatingAdmissionPolicyBinding",
        "MutatingWebhookConfiguration",
        "Namespace",
        "Node",
        "PersistentVolume",
        "PriorityClass",
        "PriorityLevelConfiguration",
        "ResourceSlice",
        "RuntimeClass",
        "SelfSubjectAccessReview",
        "SelfSubjectReview",
        "SelfSubjectRulesReview",
        "ServiceCIDR",
        "StorageClass",
        "StorageVersion",
        "StorageVersionMigration",
        "SubjectAccessReview",
        "TokenReview",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        "ValidatingWebhookConfiguration",
        "VolumeAttachment",
        "VolumeAttributesClass",
    }
)


def plural(kind: str) -> str:
    """`pods` for Pod, `networkpolicies`, `ingresses`, `endpoints` (apimachinery's meta.UnsafeGuessKindToResource)."""
    name = kind.lower()
    if name == "endpoints":
        return name
    if name.endswith("s"):
        return f"{name}es"
    if name.endswith("y"):
        return f"{name[:-1]}ies"
    return f"{name}s"


def collection_path(api_version: str, kind: str, namespace: str) -> str:
    """/api/v1/namespaces/a/pods; of all namespaces where `namespace` is ""."""
    prefix = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
    if namespace and kind not in CLUSTER_SCOPED:
        prefix += f"/namespaces/{namespace}"
    return f"{prefix}/{plural(kind)}"
