"""A pod's volumes on disk, those that need no mounts."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pybernetes.api.quantity import Quantity
from pybernetes.api.types import core_v1 as core
from pybernetes.kubelet.runtime.types import Mount, RuntimeFailure
from pybernetes.kubelet.volumes.manager import VolumeManager

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Objects:
    """One config map, one claim."""

    def __init__(self) -> None:
        self.data = {"a": "1"}
        self.volume = core.PersistentVolume()

    async def get(self, kind: str, name: str, namespace: str) -> core.ConfigMap | core.Secret | None:
        return core.ConfigMap(data=self.data) if (kind, name) == ("configmap", "cm") else None

    async def token(self, pod: core.Pod, audience: str, seconds: int) -> tuple[str, datetime]:
        return "t", NOW + timedelta(seconds=seconds)

    async def claim(self, name: str, namespace: str) -> core.PersistentVolume:
        return self.volume


def make(*volumes: core.Volume, mounts: list[core.VolumeMount] | None = None) -> core.Pod:
    pod = core.Pod()
    pod.metadata.name, pod.metadata.namespace, pod.metadata.uid = "p", "ns", "u"
    pod.spec.volumes = list(volumes)
    pod.spec.containers = [
        core.Container(name="c", volume_mounts=mounts or [], termination_message_path="/dev/termination-log")
    ]
    return pod


def config_map(name: str = "cm") -> core.Volume:
    return core.Volume(name="v", config_map=core.ConfigMapVolumeSource(name=name))


def test_changes_reach_the_volume(tmp_path: Path) -> None:
    async def main() -> None:
        objects = Objects()
        manager, pod = VolumeManager(str(tmp_path), objects, lambda: NOW), make(config_map())
        await manager.prepare(pod)
        file = tmp_path / "pods/u/volumes/kubernetes.io~configmap/v/a"
        assert file.read_text() == "1"
        objects.data = {"a": "2"}
        await manager.refresh(pod)
        assert file.read_text() == "2"
        assert manager.known() == ["u"]
        await manager.remove("u")
        assert manager.known() == []

    asyncio.run(main())


@pytest.mark.parametrize(
    ("volume", "text"),
    [
        (config_map("none"), 'MountVolume.SetUp failed for volume "v" : configmap "none" not found'),
        (core.Volume(name="v", rbd=core.RBDVolumeSource()), "err=no volume plugin matched"),
    ],
)
def test_failures_are_worded_as_upstreams(tmp_path: Path, volume: core.Volume, text: str) -> None:
    manager = VolumeManager(str(tmp_path), Objects(), lambda: NOW)
    with pytest.raises(RuntimeFailure) as caught:
        asyncio.run(manager.prepare(make(volume)))
    assert text in str(caught.value)


def test_mounts_of_a_container(tmp_path: Path) -> None:
    async def main() -> list[Mount]:
        objects = Objects()
        objects.volume.spec.host_path = core.HostPathVolumeSource(path=str(tmp_path / "data"))
        claim = core.PersistentVolumeClaimVolumeSource(claim_name="d", read_only=True)
        volumes = [config_map(), core.Volume(name="d", persistent_volume_claim=claim)]
        wanted = [
            core.VolumeMount(name="v", mount_path="/v"),
            core.VolumeMount(name="d", mount_path="/d", mount_propagation="HostToContainer"),
        ]
        manager, pod = VolumeManager(str(tmp_path), objects, lambda: NOW), make(*volumes, mounts=wanted)
        await manager.prepare(pod)
        return await manager.mounts(pod, pod.spec.containers[0], 0, ["10.0.0.2"], {})

    found = asyncio.run(main())
    pods = tmp_path / "pods/u"
    assert found == [
        Mount(str(pods / "volumes/kubernetes.io~configmap/v"), "/v", read_only=True),
        Mount(str(tmp_path / "data"), "/d", read_only=True, propagation="HostToContainer"),
        Mount(str(pods / "etc-hosts"), "/etc/hosts"),
        Mount(str(pods / "containers/c/00000000"), "/dev/termination-log"),
    ]
    assert (pods / "etc-hosts").read_text().endswith("10.0.0.2\tp\n")


def test_a_sub_path_with_an_unknown_variable(tmp_path: Path) -> None:
    async def main() -> None:
        volume = core.Volume(name="e", empty_dir=core.EmptyDirVolumeSource())
        wanted = [core.VolumeMount(name="e", mount_path="/v", sub_path_expr="$(NONE)")]
        manager, pod = VolumeManager(str(tmp_path), Objects(), lambda: NOW), make(volume, mounts=wanted)
        await manager.prepare(pod)
        assert os.stat(tmp_path / "pods/u/volumes/kubernetes.io~empty-dir/e").st_mode & 0o777 == 0o777
        with pytest.raises(RuntimeFailure, match="missing value for NONE") as caught:
            await manager.mounts(pod, pod.spec.containers[0], 0, [], {})
        assert caught.value.reason == "CreateContainerConfigError"

    asyncio.run(main())


def test_used_bytes(tmp_path: Path) -> None:
    volume = core.Volume(name="e", empty_dir=core.EmptyDirVolumeSource(size_limit=Quantity.parse("1Mi")))
    manager, pod = VolumeManager(str(tmp_path), Objects(), lambda: NOW), make(volume)
    asyncio.run(manager.prepare(pod))
    before = manager.used_bytes(pod, volume)
    (manager.directory(pod, volume) / "f").write_bytes(b"x" * 100_000)
    assert 100_000 <= manager.used_bytes(pod, volume) - before < 200_000
