"""Admission ServiceAccount (upstream: plugin/pkg/admission/serviceaccount)."""

from __future__ import annotations

import random
from typing import Any

from pybernetes.api import errors

from .types import Attributes, Reader

DEFAULT = "default"
MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
VOLUME_PREFIX = "kube-api-access-"
TOKEN_SECONDS = 3607  # an hour and a few seconds, by which such tokens are told from asked-for ones
MIRROR_ANNOTATION = "kubernetes.io/config.mirror"
ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


class ServiceAccount:
    """A pod runs as an account that exists, and finds its token, the cluster's CA and its namespace in a volume."""

    name = "ServiceAccount"

    def __init__(self, reader: Reader, chooser: random.Random | None = None) -> None:
        self._reader = reader
        self._random = chooser or random.Random()

    def admit(self, attributes: Attributes) -> None:
        """Fills in what the pod leaves open; 403 without the account."""
        pod = attributes.object
        if not self._concerns(attributes) or pod is None:
            return
        if MIRROR_ANNOTATION in (pod["metadata"].get("annotations") or {}):
            return
        spec = pod["spec"]
        name = spec.get("serviceAccountName") or DEFAULT
        spec["serviceAccountName"] = spec["serviceAccount"] = name
        account = self._reader.get("", "serviceaccounts", attributes.namespace, name)
        if account is None:
            why = f'error looking up service account {attributes.namespace}/{name}: serviceaccount "{name}" not found'
            raise errors.forbidden("", "pods", attributes.name, why)
        if not spec.get("imagePullSecrets") and account.get("imagePullSecrets"):
            spec["imagePullSecrets"] = [dict(secret) for secret in account["imagePullSecrets"]]
        if _automounts(spec, account):
            self._mount(spec)

    def validate(self, attributes: Attributes) -> None:
        """Nothing more."""

    @staticmethod
    def _concerns(attributes: Attributes) -> bool:
        resource = attributes.resource
        return (
            attributes.operation == "CREATE"
            and (resource.group, resource.name) == ("", "pods")
            and not attributes.subresource
        )

    def _mount(self, spec: dict[str, Any]) -> None:
        containers = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
        bare = [c for c in containers if all(m.get("mountPath") != MOUNT_PATH for m in c.get("volumeMounts") or ())]
        volumes = spec.get("volumes") or []
        known = next((v["name"] for v in volumes if v["name"].startswith(VOLUME_PREFIX)), None)
        if not bare:
            return
        name = known or VOLUME_PREFIX + "".join(self._random.choice(ALPHABET) for _ in range(5))
        for container in bare:
            mount = {"name": name, "readOnly": True, "mountPath": MOUNT_PATH}
            container["volumeMounts"] = [*(container.get("volumeMounts") or ()), mount]
        if known is None:
            spec["volumes"] = [*volumes, token_volume(name)]


def _automounts(spec: dict[str, Any], account: dict[str, Any]) -> bool:
    """The pod decides, then the account; else yes."""
    for owner in (spec, account):
        if owner.get("automountServiceAccountToken") is not None:
            return bool(owner["automountServiceAccountToken"])
    return True


def token_volume(name: str) -> dict[str, Any]:
    """Token, CA and namespace, projected into one folder."""
    field = {"apiVersion": "v1", "fieldPath": "metadata.namespace"}
    ca = {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}
    sources = [
        {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
        {"configMap": ca},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": field}]}},
    ]
    return {"name": name, "projected": {"sources": sources, "defaultMode": 420}}
