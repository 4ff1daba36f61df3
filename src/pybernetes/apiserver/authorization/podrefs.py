"""What a pod refers to (upstream: pkg/api/pod VisitPodSecretNames, VisitPodConfigmapNames). Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Object = dict[str, Any]

# Volume sources that name a secret of the pod's namespace: source -> fields down to the name.
_SECRET_SOURCES = {
    "azureFile": ("secretName",),
    "cephfs": ("secretRef", "name"),
    "cinder": ("secretRef", "name"),
    "flexVolume": ("secretRef", "name"),
    "rbd": ("secretRef", "name"),
    "secret": ("secretName",),
    "scaleIO": ("secretRef", "name"),
    "iscsi": ("secretRef", "name"),
    "storageos": ("secretRef", "name"),
    "csi": ("nodePublishSecretRef", "name"),
}
# The same of persistent volumes: source -> (field with the reference, its keys of name and namespace).
_VOLUME_SECRETS = {
    "azureFile": (("", "secretName", "secretNamespace"),),
    "cephfs": (("secretRef", "name", "namespace"),),
    "cinder": (("secretRef", "name", "namespace"),),
    "flexVolume": (("secretRef", "name", "namespace"),),
    "rbd": (("secretRef", "name", "namespace"),),
    "scaleIO": (("secretRef", "name", "namespace"),),
    "iscsi": (("secretRef", "name", "namespace"),),
    "storageos": (("secretRef", "name", "namespace"),),
    "csi": (
        ("controllerPublishSecretRef", "name", "namespace"),
        ("nodePublishSecretRef", "name", "namespace"),
        ("nodeStageSecretRef", "name", "namespace"),
        ("controllerExpandSecretRef", "name", "namespace"),
        ("nodeExpandSecretRef", "name", "namespace"),
    ),
}
CONTAINERS = ("initContainers", "containers", "ephemeralContainers")


def references(pod: Object) -> Iterator[tuple[str, str]]:
    """(resource, name) of secrets, config maps, claims, the account and resource claims that a pod uses."""
    spec = pod.get("spec") or {}
    if account := spec.get("serviceAccountName"):
        yield "serviceaccounts", account
    for secret in spec.get("imagePullSecrets") or ():
        yield "secrets", secret.get("name", "")
    for key in CONTAINERS:
        for container in spec.get(key) or ():
            yield from _of_container(container)
    for volume in spec.get("volumes") or ():
        yield from _of_volume(volume, pod["metadata"]["name"])
    statuses = {
        s["name"]: s.get("resourceClaimName") for s in (pod.get("status") or {}).get("resourceClaimStatuses") or ()
    }
    for claim in spec.get("resourceClaims") or ():
        yield "resourceclaims", claim.get("resourceClaimName") or statuses.get(claim.get("name")) or ""


def _of_container(container: Object) -> Iterator[tuple[str, str]]:
    for source in container.get("envFrom") or ():
        yield "configmaps", (source.get("configMapRef") or {}).get("name", "")
        yield "secrets", (source.get("secretRef") or {}).get("name", "")
    for variable in container.get("env") or ():
        source = variable.get("valueFrom") or {}
        yield "configmaps", (source.get("configMapKeyRef") or {}).get("name", "")
        yield "secrets", (source.get("secretKeyRef") or {}).get("name", "")


def _of_volume(volume: Object, pod: str) -> Iterator[tuple[str, str]]:
    for source, fields in _SECRET_SOURCES.items():
        value: Any = volume.get(source)
        for field in fields:
            value = (value or {}).get(field)
        yield "secrets", value or ""
    yield "configmaps", (volume.get("configMap") or {}).get("name", "")
    for source in (volume.get("projected") or {}).get("sources") or ():
        yield "configmaps", (source.get("configMap") or {}).get("name", "")
        yield "secrets", (source.get("secret") or {}).get("name", "")
    yield "persistentvolumeclaims", (volume.get("persistentVolumeClaim") or {}).get("claimName", "")
    if volume.get("ephemeral"):
        yield "persistentvolumeclaims", f"{pod}-{volume['name']}"


def volume_secrets(volume: Object) -> Iterator[tuple[str, str]]:
    """(namespace, name) of the secrets that a persistent volume uses; without a namespace they are the claim's."""
    spec = volume.get("spec") or {}
    fallback = (spec.get("claimRef") or {}).get("namespace", "")
    for source, places in _VOLUME_SECRETS.items():
        given: Object = spec.get(source) or {}
        for field, name, namespace in places:
            reference = given if not field else given.get(field)
            if reference and reference.get(name):
                yield reference.get(namespace) or fallback, reference[name]
