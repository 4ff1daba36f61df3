"""local-path-provisioner end to end: claims of pods on hollow nodes, a provisioner for each, and directories of this machine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from pybernetes.aio.clock import RealClock
from pybernetes.api import types
from pybernetes.api.errors import StatusError
from pybernetes.api.types import apps_v1 as apps
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import storage_v1 as storage
from pybernetes.client.events import EventBroadcaster
from pybernetes.client.informer import InformerFactory
from pybernetes.client.rest import RESTClient
from pybernetes.cluster import addons, apply
from pybernetes.localpath.plan import PROVISIONER
from pybernetes.localpath.provisioner import Provisioner
from pybernetes.testing import TestCluster

T = TypeVar("T")

SECONDS = 60.0
CONTROLLERS = (
    "statefulset-controller",
    "persistentvolume-binder-controller",
    "persistentvolumeclaim-protection-controller",
    "persistentvolume-protection-controller",
    "serviceaccount-controller",
)


@dataclass
class Bench:
    cluster: TestCluster
    client: RESTClient
    root: Path
    running: list[asyncio.Task[None]] = field(default_factory=list)

    def start(self) -> None:
        """A provisioner for each node, each with a root of its own."""
        self.running.append(asyncio.ensure_future(self._work()))

    async def _work(self) -> None:
        client = self.cluster.client(
            "system:serviceaccount:local-path-storage:local-path-provisioner-service-account", ()
        )
        async with asyncio.TaskGroup() as group:
            for node in ("hollow-0", "hollow-1"):
                clock = RealClock()
                informers, events = InformerFactory(client), EventBroadcaster(client, clock, node)
                recorder, root = events.recorder(f"{PROVISIONER}_{node}"), str(self.root / node)
                for work in (events.run(), informers.run()):
                    group.create_task(work)
                group.create_task(Provisioner(node, root, client, informers, recorder, clock).run())

    async def stop(self) -> None:
        for task in self.running:
            task.cancel()
        await asyncio.gather(*self.running, return_exceptions=True)
        self.running.clear()

    async def make(self, kind: type[Any], name: str, **body: Any) -> Any:
        document = {"metadata": {"name": name, "namespace": "default"}, **body}
        return await self.client.create(types.from_json(document, kind))

    async def claim(self, name: str, **more: Any) -> None:
        size = {"resources": {"requests": {"storage": "1Gi"}}}
        await self.make(core.PersistentVolumeClaim, name, spec={"accessModes": ["ReadWriteOnce"], **size, **more})

    async def pod(self, name: str, claim: str) -> None:
        volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]
        await self.make(core.Pod, name, spec={"containers": [{"name": "c", "image": "i"}], "volumes": volumes})

    async def until(self, answer: Callable[[], Awaitable[T | None]]) -> T:
        async with asyncio.timeout(SECONDS):
            while True:
                try:
                    got = await answer()
                except StatusError as error:
                    if error.code != 404:  # it is still to be made
                        raise
                    got = None
                if got is not None:
                    return got
                await asyncio.sleep(0.02)

    async def bound(self, name: str) -> core.PersistentVolume:
        async def volume() -> core.PersistentVolume | None:
            claim = await self.client.get(core.PersistentVolumeClaim, name, "default")
            if claim.status.phase != "Bound":
                return None
            return await self.client.get(core.PersistentVolume, claim.spec.volume_name)

        return await self.until(volume)

    async def event(self, reason: str) -> core.Event:
        async def told() -> core.Event | None:
            events = (await self.client.list(core.Event, "default")).items
            return next((event for event in events if event.reason == reason), None)

        return await self.until(told)

    async def gone(self, kind: type[Any], name: str, namespace: str = "") -> None:
        async def missing() -> bool | None:
            try:
                await self.client.get(kind, name, namespace)
            except StatusError as error:
                return True if error.code == 404 else None
            return None

        await self.until(missing)


@asynccontextmanager
async def bench(folder: Path) -> AsyncIterator[Bench]:
    cluster = TestCluster(folder, hollow_nodes=2, controllers=CONTROLLERS, scheduler=True)
    await cluster.start()
    made = Bench(cluster, cluster.client("admin"), folder / "volumes")
    manifests = addons.local_path_manifests("image", "/volumes")
    await apply.apply(made.client, [one for one in manifests if one["kind"] != "DaemonSet"])
    made.start()
    try:
        yield made
    finally:
        await made.stop()
        await cluster.stop()


def run(folder: Path, story: Callable[[Bench], Awaitable[None]]) -> None:
    async def main() -> None:
        async with bench(folder) as made:
            await story(made)

    asyncio.run(main())


def directory(volume: core.PersistentVolume) -> Path:
    assert volume.spec.host_path is not None
    return Path(volume.spec.host_path.path)


def test_a_claim_of_a_pod_gets_a_directory_which_ends_with_it(tmp_path: Path) -> None:
    async def story(b: Bench) -> None:
        await b.claim("data")
        await b.pod("p", "data")
        volume = await b.bound("data")
        node = (await b.client.get(core.Pod, "p", "default")).spec.node_name
        place = directory(volume)
        assert place == b.root / node / f"{volume.metadata.name}_default_data"
        assert (place.stat().st_mode & 0o777, place.parent.stat().st_mode & 0o777) == (0o777, 0o700)
        assert volume.spec.storage_class_name == "local-path"
        assert "External provisioner is provisioning volume for claim" in (await b.event("Provisioning")).message
        assert volume.metadata.name in (await b.event("ProvisioningSucceeded")).message
        await b.event("ExternalProvisioning")
        # What a pod may leave: links, and directories deeper than any path may be.
        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / "precious").write_text("stays")
        (place / "link").symlink_to(outside)
        deep = place / "deep"
        for _ in range(200):
            deep /= "d" * 10
        deep.mkdir(parents=True)
        (deep / "file").write_text("x")
        await b.client.delete(core.Pod, "p", "default", grace_period_seconds=0)
        await b.gone(core.Pod, "p", "default")
        await b.client.delete(core.PersistentVolumeClaim, "data", "default")
        await b.gone(core.PersistentVolume, volume.metadata.name)
        assert not place.exists()
        assert (outside / "precious").read_text() == "stays"

    run(tmp_path, story)


def test_a_stateful_set_with_claims_just_works(tmp_path: Path) -> None:
    async def story(b: Bench) -> None:
        template = {
            "metadata": {"labels": {"app": "db"}},
            "spec": {
                "containers": [{"name": "c", "image": "i", "volumeMounts": [{"name": "data", "mountPath": "/data"}]}]
            },
        }
        size = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
        claims = [{"metadata": {"name": "data"}, "spec": size}]
        spec = {"serviceName": "db", "replicas": 2, "selector": {"matchLabels": {"app": "db"}}, "template": template}
        await b.make(apps.StatefulSet, "db", spec={**spec, "volumeClaimTemplates": claims})
        volumes = [await b.bound(f"data-db-{number}") for number in range(2)]
        assert len({directory(volume) for volume in volumes}) == 2

        async def ready() -> bool | None:
            return (await b.client.get(apps.StatefulSet, "db", "default")).status.ready_replicas == 2 or None

        await b.until(ready)

    run(tmp_path, story)


def test_what_cannot_be_served_is_said(tmp_path: Path) -> None:
    async def story(b: Bench) -> None:
        await b.claim("shared", accessModes=["ReadWriteMany"])
        await b.pod("p", "shared")
        failed = await b.event("ProvisioningFailed")
        assert failed.message == (
            'failed to provision volume with StorageClass "local-path": '
            "NodePath only supports ReadWriteOnce and ReadWriteOncePod (1.22+) access modes"
        )
        await b.client.delete(core.Event, failed.metadata.name, "default")
        at_once = storage.StorageClass(provisioner=PROVISIONER, volume_binding_mode="Immediate")
        at_once.metadata.name = "at-once"
        await b.client.create(at_once)
        await b.claim("early", storageClassName="at-once")
        assert "no node was specified" in (await b.event("ProvisioningFailed")).message

    run(tmp_path, story)


def test_a_claim_grows(tmp_path: Path) -> None:
    more = {"spec": {"resources": {"requests": {"storage": "3Gi"}}}}

    async def story(b: Bench) -> None:
        await b.claim("data")
        await b.pod("p", "data")
        volume = await b.bound("data")
        await b.client.patch(core.PersistentVolumeClaim, "data", "default", more)

        async def grown() -> core.PersistentVolumeClaim | None:
            claim = await b.client.get(core.PersistentVolumeClaim, "data", "default")
            return claim if str(claim.status.capacity["storage"]) == "3Gi" else None

        claim = await b.until(grown)
        assert (claim.status.conditions, claim.status.allocated_resource_statuses) == ([], {})
        volume = await b.client.get(core.PersistentVolume, volume.metadata.name)
        assert str(volume.spec.capacity["storage"]) == "3Gi"
        resizing = await b.event("Resizing")
        assert resizing.message == f"External resizer is resizing volume {volume.metadata.name}"
        assert (await b.event("VolumeResizeSuccessful")).message == "Resize volume succeeded"
        # Where a class forbids it the API server says so.
        fixed = storage.StorageClass(provisioner=PROVISIONER, volume_binding_mode="WaitForFirstConsumer")
        fixed.metadata.name = "fixed"
        await b.client.create(fixed)
        await b.claim("small", storageClassName="fixed")
        await b.pod("q", "small")
        await b.bound("small")
        with pytest.raises(StatusError, match="must support resize"):
            await b.client.patch(core.PersistentVolumeClaim, "small", "default", more)

    run(tmp_path, story)


def test_what_is_to_be_retained_stays(tmp_path: Path) -> None:
    async def story(b: Bench) -> None:
        keeping = storage.StorageClass(
            provisioner=PROVISIONER, volume_binding_mode="WaitForFirstConsumer", reclaim_policy="Retain"
        )
        keeping.metadata.name = "keeping"
        await b.client.create(keeping)
        await b.claim("data", storageClassName="keeping")
        await b.pod("p", "data")
        volume = await b.bound("data")
        (directory(volume) / "file").write_text("mine")
        await b.client.delete(core.Pod, "p", "default", grace_period_seconds=0)
        await b.gone(core.Pod, "p", "default")
        await b.client.delete(core.PersistentVolumeClaim, "data", "default")
        await b.gone(core.PersistentVolumeClaim, "data", "default")
        await b.client.delete(core.PersistentVolume, volume.metadata.name)
        await b.gone(core.PersistentVolume, volume.metadata.name)
        assert (directory(volume) / "file").read_text() == "mine"

    run(tmp_path, story)


def test_a_restart_goes_on_where_it_was(tmp_path: Path) -> None:
    async def story(b: Bench) -> None:
        await b.stop()
        await b.claim("data")
        await b.pod("p", "data")

        async def selected() -> core.PersistentVolumeClaim | None:
            claim = await b.client.get(core.PersistentVolumeClaim, "data", "default")
            return claim if "volume.kubernetes.io/selected-node" in claim.metadata.annotations else None

        claim = await b.until(selected)
        node = claim.metadata.annotations["volume.kubernetes.io/selected-node"]
        # Killed between directory and volume; and a directory whose claim ended meanwhile, and one that holds something.
        made = b.root / node / f"pvc-{claim.metadata.uid}_default_data"
        empty, full = (b.root / node / f"pvc-{name}_default_old" for name in ("empty", "full"))
        for place in (made, empty, full):
            place.mkdir(parents=True)
        (full / "file").write_text("somebody's")
        b.start()
        volume = await b.bound("data")
        assert directory(volume) == made
        assert (empty.exists(), full.exists()) == (False, True)
        # Killed between directory and volume again, on the way back.
        await b.stop()
        await b.client.delete(core.Pod, "p", "default", grace_period_seconds=0)
        await b.gone(core.Pod, "p", "default")
        await b.client.delete(core.PersistentVolumeClaim, "data", "default")
        made.rmdir()
        b.start()
        await b.gone(core.PersistentVolume, volume.metadata.name)

    run(tmp_path, story)


def test_the_add_on_is_whole() -> None:
    manifests = addons.local_path_manifests("image", "/volumes")
    assert "${" not in msgspec.json.encode(manifests).decode()
    assert "${" not in msgspec.json.encode(addons.metrics_server_manifests("image", verified=True)).decode()
