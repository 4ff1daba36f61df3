"""A pod's volumes on disk, those that need no mounts."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pybernetes.api.quantity import Quantity
from pybernetes.api.types import core_v1 as core
from pybernetes.kubelet.runtime.types import Device, Mount, RuntimeFailure
from pybernetes.kubelet.volumes import mount
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

    async def claim(self, pod: core.Pod, name: str) -> core.PersistentVolume:
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


def test_tokens_are_asked_for_again_before_they_end(tmp_path: Path) -> None:
    async def main() -> None:
        objects, now = Tokens(), [NOW]
        part = core.ServiceAccountTokenProjection(path="token", audience="a", expiration_seconds=1000)
        source = core.ProjectedVolumeSource(sources=[core.VolumeProjection(service_account_token=part)])
        manager = VolumeManager(str(tmp_path), objects, lambda: now[0])
        pod = make(core.Volume(name="t", projected=source))
        path = manager.directory(pod, pod.spec.volumes[0])
        path.mkdir(parents=True)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(mount, "tmpfs", lambda *_: None)
            await manager.prepare(pod)
            assert (path / "token").read_text() == "t1"
            for seconds, text in ((799, "t1"), (801, "t2"), (802, "t2")):
                now[0] = NOW + timedelta(seconds=seconds)
                await manager.refresh(pod)
                assert (path / "token").read_text() == text
            await manager.remove("u")
            await manager.prepare(pod)
            assert (path / "token").read_text() == "t3", "a pod that is gone leaves no token"

    asyncio.run(main())


class Tokens(Objects):
    """A new token for each question."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    async def token(self, pod: core.Pod, audience: str, seconds: int) -> tuple[str, datetime]:
        self.count += 1
        return f"t{self.count}", NOW + timedelta(seconds=seconds * self.count)


def test_a_volume_that_cannot_be_refreshed_stays(tmp_path: Path) -> None:
    async def main() -> None:
        volume = config_map()
        manager, pod = VolumeManager(str(tmp_path), Objects(), lambda: NOW), make(volume)
        await manager.prepare(pod)
        assert volume.config_map is not None
        volume.config_map.items = [core.KeyToPath(key="missing", path="x")]
        await manager.refresh(pod)
        assert (manager.directory(pod, volume) / "a").read_text() == "1"

    asyncio.run(main())


@pytest.mark.parametrize(
    ("inner", "text"),
    [
        ("/etc", "error SubPath `/etc` must not be an absolute path"),
        ("../x", "unable to provision SubPath `../x`: must not contain '..'"),
        ("a/../../x", "unable to provision SubPath `a/../../x`: must not contain '..'"),
    ],
)
def test_sub_paths_that_are_none(tmp_path: Path, inner: str, text: str) -> None:
    error = refused(tmp_path, inner)
    assert str(error) == text


def test_a_sub_path_that_leads_out(tmp_path: Path) -> None:
    """What the pod is told says nothing of the host: neither what is there nor why it is refused."""
    (tmp_path / "outside").mkdir()
    there = refused(tmp_path, "there", {"there": tmp_path / "outside"})
    assert str(there) == 'failed to prepare subPath for volumeMount "e" of container "c"'
    missing = refused(tmp_path, "gone/x", {"gone": tmp_path / "outside"})
    assert str(missing) == 'failed to create subPath directory for volumeMount "e" of container "c"'
    assert os.listdir(tmp_path / "outside") == []


def refused(tmp_path: Path, inner: str, links: dict[str, Path] | None = None) -> RuntimeFailure:
    async def main() -> RuntimeFailure:
        volume = core.Volume(name="e", empty_dir=core.EmptyDirVolumeSource())
        wanted = [core.VolumeMount(name="e", mount_path="/v", sub_path=inner)]
        manager, pod = VolumeManager(str(tmp_path), Objects(), lambda: NOW), make(volume, mounts=wanted)
        await manager.prepare(pod)
        for name, target in (links or {}).items():
            (manager.directory(pod, volume) / name).symlink_to(target)
        with pytest.raises(RuntimeFailure) as caught:
            await manager.mounts(pod, pod.spec.containers[0], 0, [], {})
        assert caught.value.reason == "CreateContainerConfigError"
        return caught.value

    return asyncio.run(main())


def test_a_kubelet_that_starts_anew_leaves_what_is_there(tmp_path: Path) -> None:
    async def main() -> None:
        volume = core.Volume(name="e", empty_dir=core.EmptyDirVolumeSource())
        pod = make(volume, config_map())
        for _ in range(2):
            manager = VolumeManager(str(tmp_path), Objects(), lambda: NOW)
            await manager.prepare(pod)
            (manager.directory(pod, volume) / "kept").touch()
        assert os.listdir(manager.directory(pod, volume)) == ["kept"]
        assert len([n for n in os.listdir(manager.directory(pod, pod.spec.volumes[1])) if n.startswith("..2")]) == 1

    asyncio.run(main())


def test_whose_files_they_are(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root: files are given to another group")

    async def main() -> None:
        empty = core.Volume(name="e", empty_dir=core.EmptyDirVolumeSource())
        pod = make(empty, config_map())
        pod.spec.security_context = core.PodSecurityContext(fs_group=4242)
        manager = VolumeManager(str(tmp_path), Objects(), lambda: NOW)
        await manager.prepare(pod)
        made = manager.directory(pod, empty).stat()
        assert (made.st_gid, made.st_mode & 0o7777) == (4242, 0o2777)
        file = (manager.directory(pod, pod.spec.volumes[1]) / "a").stat()
        assert (file.st_gid, file.st_mode & 0o777) == (4242, 0o644)

    asyncio.run(main())


def test_files_of_the_kubelet_itself_follow_no_link(tmp_path: Path) -> None:
    """/etc/hosts and the termination message are written in place: running containers see the former."""

    async def main() -> None:
        manager, pod = VolumeManager(str(tmp_path), Objects(), lambda: NOW), make()
        await manager.prepare(pod)
        secret = tmp_path / "secret"
        secret.write_text("s")
        await manager.mounts(pod, pod.spec.containers[0], 0, ["10.0.0.2"], {})
        hosts = tmp_path / "pods/u/etc-hosts"
        inode = hosts.stat().st_ino
        await manager.mounts(pod, pod.spec.containers[0], 1, ["10.0.0.3"], {})
        assert hosts.stat().st_ino == inode and "10.0.0.3" in hosts.read_text() and "10.0.0.2" not in hosts.read_text()
        assert (tmp_path / "pods/u/containers/c/00000001").stat().st_mode & 0o777 == 0o666
        hosts.unlink()
        hosts.symlink_to(secret)
        with pytest.raises(OSError):
            await manager.mounts(pod, pod.spec.containers[0], 2, ["10.0.0.2"], {})
        assert secret.read_text() == "s"

    asyncio.run(main())


@pytest.mark.parametrize(
    ("claim", "generic"),
    [(core.PersistentVolumeClaimVolumeSource(claim_name="d"), False), (None, True)],
)
def test_claims_by_name_and_of_the_pods_own(
    tmp_path: Path, claim: core.PersistentVolumeClaimVolumeSource | None, generic: bool
) -> None:
    """The kind: volumes that a controller makes claims for, and that the kubelet knew nothing of. fsGroup is for local ones."""
    asked: list[str] = []

    class Claims(Objects):
        async def claim(self, pod: core.Pod, name: str) -> core.PersistentVolume:
            asked.append(name)
            return self.volume

    async def main() -> list[Mount]:
        objects, folder = Claims(), tmp_path / "disk"
        folder.mkdir()
        objects.volume.spec.local = core.LocalVolumeSource(path=str(folder))
        ephemeral = core.EphemeralVolumeSource() if generic else None
        volume = core.Volume(name="v", persistent_volume_claim=claim, ephemeral=ephemeral)
        pod = make(volume, mounts=[core.VolumeMount(name="v", mount_path="/v")])
        pod.spec.security_context = core.PodSecurityContext(fs_group=4321)
        manager = VolumeManager(str(tmp_path), objects, lambda: NOW)
        await manager.prepare(pod)
        if os.geteuid() == 0:
            assert folder.stat().st_gid == 4321
        return await manager.mounts(pod, pod.spec.containers[0], 0, [], {})

    assert asyncio.run(main())[0] == Mount(str(tmp_path / "disk"), "/v")
    assert asked == ["p-v" if generic else "d"]


@pytest.mark.parametrize(
    ("mode", "devices", "text"),
    [
        ("Block", False, "volume v has volumeMode Block, but is specified in volumeMounts"),
        ("Filesystem", True, "volume v has volumeMode Filesystem, but is specified in volumeDevices"),
        (None, True, "volume v has volumeMode Filesystem, but is specified in volumeDevices"),
        ("Block", True, ""),
        ("Filesystem", False, ""),
    ],
)
def test_devices_and_file_systems(tmp_path: Path, mode: str | None, devices: bool, text: str) -> None:
    """The kind: volumeDevices were accepted, and the container began without its device."""

    async def main() -> None:
        objects = Objects()
        objects.volume.spec.local = core.LocalVolumeSource(path=str(tmp_path))
        objects.volume.spec.volume_mode = mode
        claim = core.PersistentVolumeClaimVolumeSource(claim_name="d", read_only=True)
        pod = make(core.Volume(name="v", persistent_volume_claim=claim))
        container = pod.spec.containers[0]
        container.volume_devices = [core.VolumeDevice(name="v", device_path="/dev/x")] if devices else []
        container.volume_mounts = [] if devices else [core.VolumeMount(name="v", mount_path="/v")]
        manager = VolumeManager(str(tmp_path), objects, lambda: NOW)
        await manager.prepare(pod)
        found = manager.devices(pod, container)
        assert found == ([Device(str(tmp_path), "/dev/x", "r")] if devices else [])

    if text:
        with pytest.raises(RuntimeFailure, match=text):
            asyncio.run(main())
    else:
        asyncio.run(main())


def test_of_two_writers_the_later_one_wins(tmp_path: Path) -> None:
    """The kind: a pod's changed labels, and the time that has come, bring its files up to date at once."""

    class Slow(Objects):
        async def get(self, kind: str, name: str, namespace: str) -> core.ConfigMap | core.Secret | None:
            read = core.ConfigMap(data=dict(self.data))
            if self.data["a"] == "old":
                await asyncio.sleep(0.01)  # its answer is late
            return read

    async def main() -> None:
        objects = Slow()
        manager, pod = VolumeManager(str(tmp_path), objects, lambda: NOW), make(config_map())
        await manager.prepare(pod)
        objects.data = {"a": "old"}
        first = asyncio.ensure_future(manager.refresh(pod))
        await asyncio.sleep(0)
        objects.data = {"a": "new"}
        await asyncio.gather(first, manager.refresh(pod))
        assert (tmp_path / "pods/u/volumes/kubernetes.io~configmap/v/a").read_text() == "new"

    asyncio.run(main())
