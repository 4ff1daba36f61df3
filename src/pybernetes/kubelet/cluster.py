"""The API as a pod's worker uses it (upstream: status/status_manager.go, kubelet_pods.go)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec

from pybernetes.aio.clock import Clock
from pybernetes.api.errors import StatusError
from pybernetes.api.owners import controlled_by
from pybernetes.api.types import authentication_v1 as authentication
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import node_v1
from pybernetes.client.retry import retry_on_conflict
from pybernetes.client.types import Client, Informer

from .machine import config
from .machine.events import Event
from .machine.status import OWNED, is_own
from .recorder import Recorder
from .runtime.types import RuntimeFailure

MASTER_SERVICE = "kubernetes"  # its variables reach pods of every namespace


class APICluster:
    """Implements worker.Cluster on a client."""

    def __init__(
        self, client: Client, recorder: Recorder, services: Informer[core.Service] | None, clock: Clock
    ) -> None:
        self._client, self._recorder, self._services, self._clock = client, recorder, services, clock
        self._versions: dict[str, str] = {}  # the newest resource version by uid that a write of ours made

    async def set_status(self, pod: core.Pod, status: core.PodStatus) -> None:
        """Writes the status; a pod that is gone or another by now is left alone."""
        uid, name, namespace = pod.metadata.uid, pod.metadata.name, pod.metadata.namespace

        async def write(current: core.Pod) -> None:
            if current.metadata.uid == uid:
                written = await self._client.update(self._with_status(current, status), "status")
                self._versions[uid] = written.metadata.resource_version

        async def read() -> core.Pod:
            fresh = await self._client.get(core.Pod, name, namespace)
            if fresh.metadata.uid == uid:
                self._versions[uid] = fresh.metadata.resource_version
            return fresh

        try:
            await retry_on_conflict(write, pod, read, self._clock)
        except StatusError as error:
            if error.code != 404:
                raise

    def _with_status(self, pod: core.Pod, status: core.PodStatus) -> core.Pod:
        """The pod of the newest version that is known, with the status; conditions of others stay."""
        own = [c for c in status.conditions if is_own(c)]
        types = {*OWNED, *(c.type for c in own)}
        others = [c for c in pod.status.conditions if c.type not in types]
        version = self._versions.get(pod.metadata.uid, pod.metadata.resource_version)
        return msgspec.structs.replace(
            pod,
            metadata=msgspec.structs.replace(pod.metadata, resource_version=version),
            status=msgspec.structs.replace(status, conditions=[*own, *others]),
        )

    async def delete(self, pod: core.Pod) -> None:
        """Lets the object go; it may be gone already."""
        self._versions.pop(pod.metadata.uid, None)
        try:
            meta = pod.metadata
            await self._client.delete(core.Pod, meta.name, meta.namespace, uid=meta.uid, grace_period_seconds=0)
        except StatusError as error:
            if error.code not in (404, 409):
                raise

    def record(self, pod: core.Pod, event: Event) -> None:
        self._recorder.record(pod, event)

    async def lookup(self, pod: core.Pod) -> config.Lookup:
        objects: dict[tuple[str, str], core.ConfigMap | core.Secret | None] = {}
        for kind, name in config.references(pod):
            if (kind, name) not in objects:
                objects[kind, name] = await self.get(kind, name, pod.metadata.namespace)
        return lambda kind, name: objects.get((kind, name))

    async def get(self, kind: str, name: str, namespace: str) -> core.ConfigMap | core.Secret | None:
        """A config map or secret, None where there is none."""
        cls: type[core.ConfigMap] | type[core.Secret] = core.ConfigMap if kind == "configmap" else core.Secret
        try:
            return await self._client.get(cls, name, namespace)
        except StatusError as error:
            if error.code != 404:
                raise RuntimeFailure(str(error), config.CONFIG_ERROR) from error
            return None
        except (ConnectionError, TimeoutError) as error:
            raise RuntimeFailure(str(error), config.CONFIG_ERROR) from error

    async def secret(self, name: str, namespace: str) -> core.Secret | None:
        secret = await self.get("secret", name, namespace)
        assert secret is None or isinstance(secret, core.Secret)
        return secret

    async def runtime_handler(self, name: str) -> str:
        try:
            return (await self._client.get(node_v1.RuntimeClass, name)).handler
        except StatusError as error:
            if error.code == 404:
                raise RuntimeFailure(f'runtimeclass.node.k8s.io "{name}" not found') from error
            raise RuntimeFailure(f"failed to lookup RuntimeClass {name}: {error}") from error
        except (ConnectionError, TimeoutError) as error:
            raise RuntimeFailure(f"failed to lookup RuntimeClass {name}: {error}") from error

    async def token(self, pod: core.Pod, audience: str, seconds: int) -> tuple[str, datetime]:
        """A token of the pod's service account that dies with the pod."""
        meta = pod.metadata
        request = authentication.TokenRequest()
        request.spec.audiences = [audience] if audience else []
        request.spec.expiration_seconds = seconds
        request.spec.bound_object_ref = authentication.BoundObjectReference(
            api_version="v1", kind="Pod", name=meta.name, uid=meta.uid
        )
        account = pod.spec.service_account_name or "default"
        try:
            answer = await self._client.create_subresource(
                core.ServiceAccount, account, meta.namespace, "token", request, authentication.TokenRequest
            )
        except (StatusError, ConnectionError, TimeoutError) as error:
            raise RuntimeFailure(f"failed to fetch token: {error}") from error
        assert answer.status.expiration_timestamp is not None
        return answer.status.token, answer.status.expiration_timestamp

    async def claim(self, pod: core.Pod, name: str) -> core.PersistentVolume:
        """The volume that a pod's claim is bound to; a generic ephemeral volume's must be the pod's own."""
        namespace = pod.metadata.namespace
        what = f"error processing PVC {namespace}/{name}: "
        own = any(v.ephemeral is not None and name == f"{pod.metadata.name}-{v.name}" for v in pod.spec.volumes)
        try:
            claim = await self._client.get(core.PersistentVolumeClaim, name, namespace)
            if own and not controlled_by(claim, pod):
                text = (
                    f"PVC {namespace}/{name} was not created for pod {namespace}/{pod.metadata.name} (pod is not owner)"
                )
                raise RuntimeFailure(text)
            if claim.status.phase != "Bound" or not claim.spec.volume_name:
                raise RuntimeFailure(f"{what}PVC is not bound")
            return await self._client.get(core.PersistentVolume, claim.spec.volume_name)
        except (StatusError, ConnectionError, TimeoutError) as error:
            raise RuntimeFailure(f"{what}failed to fetch PVC from API server: {error}") from error

    def services(self, pod: core.Pod) -> Mapping[str, str]:
        if self._services is None:
            return {}
        links = pod.spec.enable_service_links is not False
        chosen = [
            service
            for service in self._services.list()
            if (service.metadata.namespace == "default" and service.metadata.name == MASTER_SERVICE)
            or (links and service.metadata.namespace == pod.metadata.namespace)
        ]
        return config.service_variables(chosen)
