"""Attaching and detaching with the test in the place of the CSI driver and the kubelet; claims of ephemeral volumes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from pybernetes.controllers.options import Options

from .control import controlled
from .test_garbage import API

CONTROLLERS = ("attachdetach", "ephemeral-volume", "persistentvolume-binder", "pvc-protection", "serviceaccount")
MERGE = "application/merge-patch+json"
ATTACHMENTS = "/apis/storage.k8s.io/v1/volumeattachments"
PODS = "/api/v1/namespaces/default/pods"


def played(scenario: Callable[[API], Awaitable[None]]) -> None:
    async def main() -> None:
        async with controlled(options=Options(controllers=CONTROLLERS)) as client:
            api = API(client)
            await api.until("/api/v1/namespaces/default/serviceaccounts/default", lambda code, _: code == 200)
            await scenario(api)

    asyncio.run(main())


async def post(api: API, path: str, name: str, **body: Any) -> Any:
    metadata = {"name": name, **body.pop("metadata", {})}
    code, made = await api.ask("POST", path, {"metadata": metadata, **body})
    assert code == 201, made
    return made


async def make_node(api: API, name: str) -> None:
    managed = {"annotations": {"volumes.kubernetes.io/controller-managed-attach-detach": "true"}}
    await post(api, "/api/v1/nodes", name, metadata=managed)


def pod_spec(node: str, volume: dict[str, Any]) -> dict[str, Any]:
    return {
        "nodeName": node,
        "automountServiceAccountToken": False,
        "containers": [{"name": "c", "image": "i"}],
        "volumes": [{"name": "v", **volume}],
    }


def test_a_volume_follows_its_pod() -> None:
    async def scenario(api: API) -> None:
        for name in ("n", "m"):
            await make_node(api, name)
        claim_spec = {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "",
            "resources": {"requests": {"storage": "1Gi"}},
        }
        source = {"driver": "d", "volumeHandle": "h"}
        volume = {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "csi": source}
        await post(api, "/api/v1/persistentvolumes", "pv", spec=volume)
        await post(api, "/api/v1/namespaces/default/persistentvolumeclaims", "c", spec=claim_spec)
        using = {"persistentVolumeClaim": {"claimName": "c"}}
        await post(api, PODS, "p", spec=pod_spec("n", using))
        found = await api.until(ATTACHMENTS, lambda _, body: bool(body["items"]))
        attachment = found["items"][0]
        assert attachment["spec"] == {"attacher": "d", "nodeName": "n", "source": {"persistentVolumeName": "pv"}}
        path = f"{ATTACHMENTS}/{attachment['metadata']['name']}"
        await api.ask("PATCH", f"{path}/status", {"status": {"attached": True}}, MERGE)
        shown = [{"name": "kubernetes.io/csi/d^h", "devicePath": ""}]
        await api.until("/api/v1/nodes/n", lambda _, body: body["status"].get("volumesAttached") == shown)
        in_use = {"status": {"volumesInUse": ["kubernetes.io/csi/d^h"]}}
        await api.ask("PATCH", "/api/v1/nodes/n/status", in_use, MERGE)

        await post(api, PODS, "q", spec=pod_spec("m", using))
        await api.until(
            "/api/v1/namespaces/default/events?fieldSelector=reason=FailedAttachVolume,involvedObject.name=q",
            lambda _, body: any("Multi-Attach error" in event["message"] for event in body["items"]),
        )
        await api.ask("DELETE", f"{PODS}/p?gracePeriodSeconds=0")
        await asyncio.sleep(0.5)
        code, _ = await api.ask("GET", path)
        assert code == 200  # the node has not unmounted it
        await api.ask("PATCH", "/api/v1/nodes/n/status", {"status": {"volumesInUse": None}}, MERGE)
        await api.gone(path)
        await api.until("/api/v1/nodes/n", lambda _, body: not body["status"].get("volumesAttached"))
        moved = await api.until(ATTACHMENTS, lambda _, body: bool(body["items"]))
        assert moved["items"][0]["spec"]["nodeName"] == "m"

    played(scenario)


def test_attachments_of_others_are_left_alone() -> None:
    async def scenario(api: API) -> None:
        spec = {"attacher": "d", "nodeName": "n", "source": {"persistentVolumeName": "none"}}
        await post(api, ATTACHMENTS, "mine", spec=spec)
        await asyncio.sleep(0.5)
        code, _ = await api.ask("GET", f"{ATTACHMENTS}/mine")
        assert code == 200

    played(scenario)


def test_ephemeral_volumes_get_their_claims() -> None:
    async def scenario(api: API) -> None:
        template = {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}
        pod = await post(api, PODS, "p", spec=pod_spec("", {"ephemeral": {"volumeClaimTemplate": template}}))
        path = "/api/v1/namespaces/default/persistentvolumeclaims/p-v"
        claim = await api.until(path, lambda code, _: code == 200)
        assert claim["metadata"]["ownerReferences"][0]["uid"] == pod["metadata"]["uid"]
        await api.ask("DELETE", path)
        await api.until(path, lambda code, body: code == 200 and body["metadata"]["uid"] != claim["metadata"]["uid"])

    played(scenario)
