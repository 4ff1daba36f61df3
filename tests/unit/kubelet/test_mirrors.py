"""Mirrors of static pods, before an authorizer that knows a node's pods by their objects alone."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from pybernetes.api import errors
from pybernetes.api.types import core_v1 as core
from pybernetes.kubelet import static

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DOCUMENT = {"kind": "Pod", "metadata": {"name": "web"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}


class NodesClient:
    """What a node may: make its mirrors, and read those that there are, as soon as the authorizer has heard of them."""

    def __init__(self) -> None:
        self.pods: dict[str, core.Pod] = {}
        self.heard = True

    async def get(self, kind: type[core.Pod], name: str, namespace: str = "") -> core.Pod:
        if name not in self.pods or not self.heard:
            raise errors.forbidden("", "pods", name, "no relationship found between node 'n' and this object")
        return self.pods[name]

    async def create(self, pod: core.Pod) -> core.Pod:
        if pod.metadata.name in self.pods:
            raise errors.already_exists("", "pods", pod.metadata.name)
        self.pods[pod.metadata.name] = pod
        return pod


class Statuses:
    """Of whom the mirrors ask the rest."""

    def __init__(self, client: NodesClient) -> None:
        self.client, self.told = client, list[str]()

    async def set_status(self, pod: core.Pod, status: core.PodStatus) -> None:
        self.told.append(f"{pod.metadata.name} {status.phase}")

    async def delete(self, pod: core.Pod) -> None:
        del self.client.pods[pod.metadata.name]


def test_a_mirror_is_made_where_the_node_may_not_see_that_there_is_none() -> None:
    client = NodesClient()
    statuses: Any = Statuses(client)
    mirrors = static.MirrorCluster(client, statuses, core.Node)  # type: ignore[arg-type]
    pod = static.read(DOCUMENT, "n", "/etc/m/web.yaml", NOW)

    async def scenario() -> None:
        await mirrors.delete(pod)  # there is none
        await mirrors.set_status(pod, core.PodStatus(phase="Pending"))
        client.heard = False
        with pytest.raises(ConnectionError, match="already exists"):  # which is tried again
            await mirrors.set_status(pod, core.PodStatus(phase="Running"))
        client.heard = True
        await mirrors.set_status(pod, core.PodStatus(phase="Running"))
        assert statuses.told == ["web-n Pending", "web-n Running"]
        await mirrors.delete(pod)
        assert not client.pods

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("spec", "resource"),
    [
        ({"serviceAccountName": "s"}, "serviceaccounts"),
        ({"imagePullSecrets": [{"name": "s"}]}, "secrets"),
        ({"containers": [{"name": "c", "envFrom": [{"configMapRef": {"name": "m"}}]}]}, "configmaps"),
        ({"volumes": [{"name": "v", "secret": {"secretName": "s"}}]}, "secrets"),
        ({"volumes": [{"name": "v", "projected": {"sources": [{"configMap": {"name": "m"}}]}}]}, "configmaps"),
        (
            {"volumes": [{"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}]},
            "serviceaccounts (via projected volumes)",
        ),
        ({"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]}, "persistentvolumeclaims"),
        ({"volumes": [{"name": "v", "ephemeral": {}}]}, "persistentvolumeclaims (via ephemeral volumes)"),
        ({"resourceClaims": [{"name": "g"}]}, "resourceclaims"),
        ({"volumes": [{"name": "v", "hostPath": {"path": "/x"}}, {"name": "e", "emptyDir": {}}]}, ""),
        ({"volumes": [{"name": "v", "projected": {"sources": [{"downwardAPI": {"items": []}}]}}]}, ""),
    ],
)
def test_a_static_pod_needs_no_object_of_the_api(spec: dict[str, Any], resource: str) -> None:
    """The kind: what upstream refuses since 1.34 waited for ever for an object, or for a server that it was itself."""
    document = {**DOCUMENT, "spec": {**DOCUMENT["spec"], **spec}}  # type: ignore[dict-item]
    if not resource:
        assert static.read(document, "n", "f", NOW).metadata.name == "web-n"
        return
    with pytest.raises(ValueError) as caught:
        static.read(document, "n", "f", NOW)
    assert str(caught.value) == f"is refused: static pods may not reference {resource}"


@pytest.mark.parametrize(
    ("name", "containers", "problem"),
    [
        ("web", [], "spec.containers: Required value"),
        (
            "Web_1",
            [{"name": "c", "image": "i"}],
            'metadata.name: Invalid value: "Web_1": a lowercase RFC 1123 subdomain',
        ),
        ("web", [{"name": "c"}], "spec.containers[0].image: Required value"),
        ("web", [{"name": "c", "image": "i"}] * 2, 'spec.containers[1].name: Duplicate value: "c"'),
        ("web", [{"name": "", "image": "i"}], "spec.containers[0].name: Invalid value"),
    ],
)
def test_a_file_of_which_nothing_could_be_run_is_refused(name: str, containers: list[Any], problem: str) -> None:
    """The kind: it was begun, and its mirror refused by the API server once a second for ever."""
    document = {"kind": "Pod", "metadata": {"name": name}, "spec": {"containers": containers}}
    with pytest.raises(ValueError, match="is refused") as caught:
        static.read(document, "n", "f", NOW)
    assert problem in str(caught.value)


def _pods(**names: str) -> dict[str, core.Pod]:
    made = {}
    for uid, name in names.items():
        made[uid] = core.Pod()
        made[uid].metadata.name, made[uid].metadata.namespace = name, "default"
    return made


@pytest.mark.parametrize(
    ("desired", "present", "begin"),
    [
        ({"a": "web"}, {}, ["a"]),
        ({"a": "web"}, {"a": "web"}, []),
        ({"a": "web", "b": "web"}, {}, ["a"]),
        ({"a": "web", "b": "web"}, {"b": "web"}, []),
        ({"b": "web"}, {"a": "web"}, []),  # the file has changed, and what was in it goes
        ({"b": "web"}, {}, ["b"]),
        ({"a": "web", "b": "dns"}, {"c": "web"}, ["b"]),
    ],
)
def test_of_one_name_one_static_pod_runs_at_a_time(
    desired: dict[str, str], present: dict[str, str], begin: list[str]
) -> None:
    """The kind: two files of one name, or a file that changes, ran two pods that took each other's ports and wrote each other's mirror."""
    assert static.startable(_pods(**desired), _pods(**present)) == begin


def test_one_that_is_down_is_not_waited_for() -> None:
    """The API server cannot hear of its end where it is etcd, or the server itself; its uid is its own until it has."""
    present = _pods(a="etcd")
    assert static.startable(_pods(b="etcd"), present, {"a"}) == ["b"]
    assert static.startable(_pods(a="etcd"), present, {"a"}) == []
    assert static.startable(_pods(b="etcd"), {**present, **_pods(c="etcd")}, {"a"}) == []
