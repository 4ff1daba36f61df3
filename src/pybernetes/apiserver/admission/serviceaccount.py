"""Admission ServiceAccount (upstream: plugin/pkg/admission/serviceaccount)."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Iterator
from typing import Any

from pybernetes.aio.clock import Clock, RealClock
from pybernetes.api import errors
from pybernetes.api.wellknown import (
    MIRROR_POD_ANNOTATION,
    SECRET_TYPE_SERVICE_ACCOUNT_TOKEN,
    SERVICE_ACCOUNT_NAME_KEY,
)

from ..authorization.podrefs import references
from ..types import PODS, Attributes, Reader

DEFAULT = "default"
MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
VOLUME_PREFIX = "kube-api-access-"
TOKEN_SECONDS = 3607  # an hour and a few seconds, by which such tokens are told from asked-for ones
ENFORCE_ANNOTATION = "kubernetes.io/enforce-mountable-secrets"
ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
# The account `default` is made by a controller: a pod that comes with its namespace waits for it a moment.
TRIES = 10
WAIT_SECONDS = 0.15

Object = dict[str, Any]


class ServiceAccount:
    """A pod runs as an account that exists, and finds its token, the cluster's CA and its namespace in a volume."""

    name = "ServiceAccount"
    resources = PODS

    def __init__(
        self,
        reader: Reader,
        chooser: random.Random | None = None,
        clock: Clock | None = None,
        token_secrets: bool = False,
    ) -> None:
        """`token_secrets`: pods get the token secret of an account that lists one, as until 1.21."""
        self._reader, self._token_secrets = reader, token_secrets
        self._random = chooser or random.Random()
        self._clock = clock or RealClock()

    def admit(self, attributes: Attributes) -> Awaitable[None] | None:
        """Fills in what the pod leaves open; 403 without the account."""
        pod = attributes.object
        if not _concerns(attributes) or attributes.operation != "CREATE" or pod is None or _mirror(pod):
            return None
        spec = pod["spec"]
        name = spec.get("serviceAccountName") or DEFAULT
        spec["serviceAccountName"] = spec["serviceAccount"] = name
        account = self._reader.get("", "serviceaccounts", attributes.namespace, name)
        if account is None:
            return self._wait(attributes, spec, name)
        self._fill(spec, account)
        return None

    async def _wait(self, attributes: Attributes, spec: Object, name: str) -> None:
        for _ in range(TRIES if name == DEFAULT else 1):
            account = await self._reader.fresh("", "serviceaccounts", attributes.namespace, name)
            if account is not None:
                self._fill(spec, account)
                return
            if name == DEFAULT:
                await self._clock.sleep(WAIT_SECONDS)
        raise _missing(attributes, name)

    def _fill(self, spec: Object, account: Object) -> None:
        if not spec.get("imagePullSecrets") and account.get("imagePullSecrets"):
            spec["imagePullSecrets"] = [dict(secret) for secret in account["imagePullSecrets"]]
        if _automounts(spec, account):
            self._mount(spec, self._token_secret(account))

    def validate(self, attributes: Attributes) -> None:
        """403 for mirror pods that refer to what only the API server gives, and for secrets that the account may not mount."""
        pod = attributes.object
        if not _concerns(attributes) or pod is None:
            return
        if _mirror(pod):
            for why in mirror_problems(pod):
                raise errors.forbidden("", "pods", attributes.told_name, why)
            return
        name = pod["spec"].get("serviceAccountName") or DEFAULT
        account = self._reader.get("", "serviceaccounts", attributes.namespace, name)
        if account is None:
            raise _missing(attributes, name)
        if (account["metadata"].get("annotations") or {}).get(ENFORCE_ANNOTATION) == "true":
            for why in unmountable(pod, account):
                raise errors.forbidden("", "pods", attributes.told_name, why)

    def _token_secret(self, account: Object) -> str:
        """The first of its own token secrets that an account lists; "" where none is asked for, or there."""
        metadata = account["metadata"]
        for reference in (account.get("secrets") or ()) if self._token_secrets else ():
            secret = self._reader.get("", "secrets", metadata["namespace"], reference.get("name") or "")
            annotations = ((secret or {}).get("metadata") or {}).get("annotations") or {}
            if secret is None or secret.get("type") != SECRET_TYPE_SERVICE_ACCOUNT_TOKEN:
                continue
            if annotations.get(SERVICE_ACCOUNT_NAME_KEY) == metadata["name"]:
                return str(reference["name"])
        return ""

    def _mount(self, spec: Object, secret: str) -> None:
        containers = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
        bare = [c for c in containers if all(m.get("mountPath") != MOUNT_PATH for m in c.get("volumeMounts") or ())]
        volumes = spec.get("volumes") or []
        mounted = next((v["name"] for v in volumes if v["name"].startswith(VOLUME_PREFIX)), None)
        if secret:
            mounted = next((v["name"] for v in volumes if (v.get("secret") or {}).get("secretName") == secret), None)
        if not bare:
            return
        name = mounted or secret or VOLUME_PREFIX + "".join(self._random.choice(ALPHABET) for _ in range(5))
        for container in bare:
            mount = {"name": name, "readOnly": True, "mountPath": MOUNT_PATH}
            container["volumeMounts"] = [*(container.get("volumeMounts") or ()), mount]
        if mounted is None:
            token = {"name": secret, "secret": {"secretName": secret, "defaultMode": 420}}
            spec["volumes"] = [*volumes, token if secret else token_volume(name)]


def _concerns(attributes: Attributes) -> bool:
    resource = attributes.resource
    if (resource.group, resource.name) != ("", "pods"):
        return False
    return (attributes.operation, attributes.subresource) in (("CREATE", ""), ("UPDATE", "ephemeralcontainers"))


def _mirror(pod: Object) -> bool:
    return MIRROR_POD_ANNOTATION in (pod["metadata"].get("annotations") or {})


def _missing(attributes: Attributes, name: str) -> errors.StatusError:
    why = f'error looking up service account {attributes.namespace}/{name}: serviceaccount "{name}" not found'
    return errors.forbidden("", "pods", attributes.told_name, why)


def mirror_problems(pod: Object) -> Iterator[str]:
    """A mirror pod shows what a kubelet runs from a file: it has nothing of the API server."""
    if pod["spec"].get("serviceAccountName"):
        yield "a mirror pod may not reference service accounts"
    if any(resource == "secrets" and name for resource, name in references(pod)):
        yield "a mirror pod may not reference secrets"
    for volume in pod["spec"].get("volumes") or ():
        for source in (volume.get("projected") or {}).get("sources") or ():
            if "serviceAccountToken" in source:
                yield "a mirror pod may not use ServiceAccountToken volume projections"


def unmountable(pod: Object, account: Object) -> Iterator[str]:
    """Secrets that an account which lists its own does not list."""
    own = {secret.get("name") for secret in account.get("secrets") or ()}
    pulls = {secret.get("name") for secret in account.get("imagePullSecrets") or ()}
    who, spec = account["metadata"]["name"], pod["spec"]
    tail = f"is not allowed because service account {who} does not reference that"
    for volume in spec.get("volumes") or ():
        name = (volume.get("secret") or {}).get("secretName")
        if name and name not in own:
            yield f'volume with secret.secretName="{name}" {tail} secret'
    for key, title in (
        ("initContainers", "init container"),
        ("containers", "container"),
        ("ephemeralContainers", "ephemeral container"),
    ):
        for container in spec.get(key) or ():
            for variable in container.get("env") or ():
                name = ((variable.get("valueFrom") or {}).get("secretKeyRef") or {}).get("name")
                if name and name not in own:
                    place = f"{title} {container['name']} with envVar {variable['name']}"
                    yield f'{place} referencing secret.secretName="{name}" {tail} secret'
            for source in container.get("envFrom") or ():
                name = (source.get("secretRef") or {}).get("name")
                if name and name not in own:
                    place = f"{title} {container['name']} with envFrom"
                    yield f'{place} referencing secret.secretName="{name}" {tail} secret'
    for secret in spec.get("imagePullSecrets") or ():
        if secret.get("name") not in pulls:
            yield f'imagePullSecrets[].name="{secret.get("name", "")}" {tail} imagePullSecret'


def _automounts(spec: Object, account: Object) -> bool:
    """The pod decides, then the account; else yes."""
    for owner in (spec, account):
        if owner.get("automountServiceAccountToken") is not None:
            return bool(owner["automountServiceAccountToken"])
    return True


def token_volume(name: str) -> Object:
    """Token, CA and namespace, projected into one folder."""
    field = {"apiVersion": "v1", "fieldPath": "metadata.namespace"}
    ca = {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}
    sources = [
        {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
        {"configMap": ca},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": field}]}},
    ]
    return {"name": name, "projected": {"sources": sources, "defaultMode": 420}}
