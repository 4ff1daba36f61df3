"""What a pod puts into its volume, at whatever moment, leads the kubelet nowhere else."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pybernetes.api.types import core_v1 as core
from pybernetes.kubelet import safepath
from pybernetes.kubelet.runtime.types import RuntimeFailure
from pybernetes.kubelet.volumes import hostpath, mount, ownership, subpath
from pybernetes.kubelet.volumes.manager import VolumeManager

ROUNDS = 300
MAY_MOUNT = (
    os.geteuid() == 0 and subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True).returncode == 0
)
needs_mounts = pytest.mark.skipif(not MAY_MOUNT, reason="needs root and the right to mount")

Tree = dict[str, tuple[int, int, bytes]]


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    made = tmp_path / "volume"
    made.mkdir()
    os.chmod(made, 0o777)
    return made


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    made = tmp_path / "outside"
    (made / "b" / "c").mkdir(parents=True)
    (made / "secret").write_text("s")
    for path in (made, made / "b", made / "b" / "c"):
        os.chmod(path, 0o700)
    os.chmod(made / "secret", 0o600)
    return made


def tree(root: Path) -> Tree:
    """All that is below a directory: mode, owner, content."""
    result: Tree = {}
    for path in [root, *sorted(root.rglob("*"))]:
        status = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
        result[str(path.relative_to(root))] = (status.st_mode, status.st_gid, content)
    return result


@contextlib.contextmanager
def guarded(outside: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Notes whatever is opened of the directory outside, and sees that nothing in it changes."""
    inodes = {(s.st_dev, s.st_ino) for s in (path.lstat() for path in [outside, *outside.rglob("*")])}
    before, opened, real, kubelet = tree(outside), list[str](), os.open, threading.get_ident()

    def watched(path: Any, flags: int, *arguments: Any, **named: Any) -> int:
        descriptor = real(path, flags, *arguments, **named)
        status = os.fstat(descriptor)
        if threading.get_ident() == kubelet and (status.st_dev, status.st_ino) in inodes:
            opened.append(str(path))
        return descriptor

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", watched)
        yield opened
    assert opened == []
    assert tree(outside) == before


@contextlib.contextmanager
def unchanged(outside: Path) -> Iterator[None]:
    before = tree(outside)
    yield
    assert tree(outside) == before


@contextlib.contextmanager
def swapping(volume: Path, outside: Path) -> Iterator[None]:
    """Somebody who puts now a directory, now a link out, a fifo, nothing at volume/a and volume/a/b, as fast as he can."""
    done = threading.Event()

    def put(folder: int, name: str, choice: int) -> None:
        with contextlib.suppress(OSError):
            os.rename(
                name, f"../moved-{choice}" if folder != top else f"moved-{choice}", src_dir_fd=folder, dst_dir_fd=folder
            )
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=folder)
        with contextlib.suppress(OSError):
            match choice:
                case 0 | 1:
                    os.symlink(str(outside) if choice else "../outside", name, dir_fd=folder)
                case 2 | 3:
                    os.mkdir(name, dir_fd=folder)
                case 4:
                    os.mkfifo(name, dir_fd=folder)

    def run() -> None:
        choose = random.Random(7)
        while not done.is_set():
            put(top, "a", choose.randrange(6))
            try:
                inner = real_open("a", safepath.DIRECTORY, dir_fd=top)
            except OSError:
                continue  # he cannot reach anything outside himself
            put(inner, "b", choose.randrange(6))
            os.close(inner)

    real_open = os.open
    top = os.open(volume, os.O_RDONLY)
    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        os.close(top)


def set_group(volume: Path) -> None:
    ownership.set_group(volume, 4242)


def open_and_close(volume: Path) -> None:
    real, missing = safepath.resolve_within(volume, ("a", "b"))
    if not missing:
        os.close(safepath.open_path(real))


def write_files(volume: Path) -> None:
    with safepath.directory(volume, ("a", "b")) as opened:
        safepath.write_file(opened, "f", b"x", 0o644)


def show(volume: Path) -> None:
    subpath.make(volume, "a/b/c")
    place = subpath.bind(volume, "a/b/c", volume.parent, ("places", "0"))
    try:
        assert "outside" not in mount_root(place)
        assert not (place / "secret").exists()
    finally:
        mount.unmount(str(place))


def mount_root(place: Path) -> str:
    """Which directory of its file system is mounted at a place."""
    lines = (line.split(" ") for line in Path("/proc/self/mountinfo").read_text().splitlines())
    return next(line[3] for line in lines if mount.unescaped(line[4]) == str(place))


ACTIONS: dict[str, Callable[[Path], object]] = {
    "make": lambda volume: subpath.make(volume, "a/b/c/d"),
    "open": open_and_close,
    "host path, a directory": lambda volume: hostpath.check(f"{volume}/a/b/c/d", "DirectoryOrCreate"),
    "host path, a file": lambda volume: hostpath.check(f"{volume}/a/new", "FileOrCreate"),
    "group": set_group,
    "usage": safepath.disk_usage,
    "files": write_files,
    "removal": lambda volume: safepath.remove_tree(volume, ("a",)),
}


def rounds(tally: list[int]) -> Iterator[int]:
    """ROUNDS of them; on a busy machine, where the swapping thread may be in the way each time, more until one got through."""
    for number in range(50 * ROUNDS):
        if number >= ROUNDS and tally:
            return
        yield number


@pytest.mark.parametrize("name", ACTIONS)
def test_nothing_outside_is_opened_or_changed(
    volume: Path, outside: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """What hostPath names may lie behind links of the host, so that is looked at wherever it is; but nothing is made there."""
    tally: list[int] = []
    watching = unchanged(outside) if "host path" in name else guarded(outside, monkeypatch)
    with watching, swapping(volume, outside):
        for _ in rounds(tally):
            with contextlib.suppress(OSError, RuntimeFailure):
                ACTIONS[name](volume)
                tally.append(1)
    assert tally, "no round got through: nothing was tried"


@needs_mounts
def test_what_a_container_gets_is_of_the_volume(volume: Path, outside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tally: list[int] = []
    with guarded(outside, monkeypatch), swapping(volume, outside):
        for _ in rounds(tally):
            with contextlib.suppress(OSError):
                show(volume)
                tally.append(1)
    assert tally, "no round got through: nothing was tried"
    assert mount.mounted_below(volume.parent) == []


@needs_mounts
def test_a_mount_stays_with_what_was_opened(volume: Path, outside: Path) -> None:
    subpath.make(volume, "d")
    (volume / "d" / "f").write_text("1")
    place = subpath.bind(volume, "d", volume.parent, ("places", "0"))
    try:
        os.rename(volume / "d", volume / "away")
        (volume / "d").symlink_to(outside)
        assert os.listdir(place) == ["f"]
        with pytest.raises(safepath.Escapes):
            subpath.bind(volume, "d", volume.parent, ("places", "0"))
        (volume / "d").unlink()
        (volume / "d").mkdir()
        assert subpath.bind(volume, "d", volume.parent, ("places", "0")) == place
        assert os.listdir(place) == [], "another directory of that name is shown"
        assert len(mount.mounted_below(place)) == 1
        subpath.bind(volume, "d", volume.parent, ("places", "0"))
        assert len(mount.mounted_below(place)) == 1
    finally:
        mount.unmount_below(place)


@needs_mounts
def test_a_file_takes_the_place_of_a_directory(volume: Path) -> None:
    (volume / "f").write_text("1")
    (volume.parent / "places" / "0").mkdir(parents=True)
    place = subpath.bind(volume, "f", volume.parent, ("places", "0"))
    try:
        assert place.read_text() == "1"
    finally:
        mount.unmount_below(place)


def test_directories_have_the_volumes_mode(volume: Path) -> None:
    os.chmod(volume, 0o2770)
    (volume / "x").mkdir(mode=0o700)
    subpath.make(volume, "x/y/z")
    modes = [stat.S_IMODE((volume / part).stat().st_mode) for part in ("x", "x/y", "x/y/z")]
    assert [mode & 0o777 for mode in modes] == [0o700, 0o770, 0o770]
    assert all(mode & stat.S_ISGID for mode in modes[1:])


def test_links_that_stay_in_the_volume_are_followed(volume: Path, outside: Path) -> None:
    subpath.make(volume, "x/y")
    (volume / "relative").symlink_to("x")
    (volume / "absolute").symlink_to(volume / "x")
    (volume / "through").symlink_to(f"../{volume.name}/x")
    (volume / "out").symlink_to(outside)
    (volume / "dangling").symlink_to("nowhere")
    for name in ("relative", "absolute", "through"):
        assert safepath.resolve_within(volume, (name, "y")) == (str(volume / "x/y"), ())
    with pytest.raises(safepath.Escapes):
        subpath.make(volume, "out/new")
    with pytest.raises(OSError):
        subpath.make(volume, "dangling")
    assert not (volume / "nowhere").exists()


@pytest.mark.parametrize("path", ["/a", "..", "a/../b", "a/.."])
def test_paths_that_are_none(path: str) -> None:
    with pytest.raises(safepath.Escapes):
        safepath.components(path)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../outside"])
def test_names_that_are_none(volume: Path, name: str) -> None:
    with pytest.raises(safepath.Escapes), safepath.directory(volume, (name,)):
        pass


def test_a_fifo_does_not_block(volume: Path) -> None:
    os.mkfifo(volume / "f")
    with safepath.directory(volume) as opened, pytest.raises(OSError):
        safepath.write_file(opened, "f", b"x", 0o644)
    with pytest.raises(safepath.Escapes):
        safepath.open_regular(volume / "f")
    (volume / "link").symlink_to("/etc/hosts")
    with pytest.raises(OSError):
        safepath.open_regular(volume / "link")


def test_depth_costs_neither_stack_nor_descriptors(volume: Path) -> None:
    """A pod may nest directories without end; a recursive removal fails at a thousand, and the pod stays for ever."""
    current = os.open(volume, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=current)
        inner = os.open("d", os.O_RDONLY, dir_fd=current)
        os.close(current)
        current = inner
    os.close(current)
    assert safepath.disk_usage(volume) >= 0
    safepath.remove_tree(volume.parent, (volume.name,))
    assert not volume.exists()


@needs_mounts
def test_a_kubelet_that_was_killed_leaves_no_mount_behind(tmp_path: Path) -> None:
    """Its successor knows of a mount by the kernel's table alone."""

    async def main() -> None:
        pod = core.Pod()
        pod.metadata.name, pod.metadata.namespace, pod.metadata.uid = "p", "ns", "u"
        pod.spec.volumes = [core.Volume(name="e", empty_dir=core.EmptyDirVolumeSource())]
        pod.spec.containers = [
            core.Container(
                name="c", volume_mounts=[core.VolumeMount(name="e", mount_path="/v", sub_path_expr="$(NAME)/d")]
            )
        ]
        killed = VolumeManager(str(tmp_path), NoObjects(), lambda: datetime(2026, 1, 1, tzinfo=UTC))
        await killed.prepare(pod)
        (mounted,) = await killed.mounts(pod, pod.spec.containers[0], 0, [], {"NAME": "x"})
        assert mounted.host_path == f"{tmp_path}/pods/u/volume-subpaths/e/c/0"
        volume = killed.directory(pod, pod.spec.volumes[0])
        assert os.path.samefile(mounted.host_path, volume / "x/d")
        successor = VolumeManager(str(tmp_path), NoObjects(), lambda: datetime(2026, 1, 1, tzinfo=UTC))
        assert list(successor.known()) == ["u"]
        (volume / "x/d/f").write_text("1")
        await successor.remove("u")
        assert mount.mounted_below(tmp_path) == []
        assert os.listdir(tmp_path / "pods") == []

    asyncio.run(main())


class NoObjects:
    """Implements volumes.manager.Source for pods that name none."""

    async def get(self, kind: str, name: str, namespace: str) -> core.ConfigMap | core.Secret | None:
        return None

    async def token(self, pod: core.Pod, audience: str, seconds: int) -> tuple[str, datetime]:
        raise NotImplementedError

    async def claim(self, pod: core.Pod, name: str) -> core.PersistentVolume:
        raise NotImplementedError


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: whose links count depends on it")
def test_below_a_directory_of_others_no_link_is_trusted(volume: Path, outside: Path) -> None:
    """Whoever owns what is there: a pod that is root makes directories and links of root's in its volume."""
    (volume / "a").mkdir(mode=0o755)
    (volume / "a" / "b").symlink_to(outside)
    with pytest.raises(safepath.Escapes, match="below, a directory that others may write into"):
        safepath.open_trusted([*safepath.components(str(volume / "a" / "b" / "x").lstrip("/"))])
    with pytest.raises(RuntimeFailure), unchanged(outside):
        hostpath.check(str(volume / "a" / "b" / "x" / "y"), "DirectoryOrCreate")
    folder = volume.parent / "host"  # below /tmp, in which everybody has his own: what is root's there is root's
    folder.mkdir()
    (folder / "link").symlink_to(outside)
    opened, missing = safepath.open_trusted(safepath.components(str(folder / "link" / "x").lstrip("/")))
    os.close(opened)
    assert missing == ("x",)
