"""What is taken away while somebody else takes it away, too: engine, kernel and pods do not wait for the kubelet.

The kind: "it is not there" as a failure of its removal. Inputs beside a link of the network (tests/unit/net): a container whose
removal is under way, one that cannot be removed, a cgroup and a mount that vanish between the look and the call, a file of a
pod that goes while its directory is removed.
"""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path
from typing import Any

import pytest

from pybernetes.kubelet import cleanup, safepath
from pybernetes.kubelet.node import cgroups
from pybernetes.kubelet.runtime.hollow import HollowRuntime
from pybernetes.kubelet.runtime.types import ContainerConfig, RuntimeFailure, SandboxConfig
from pybernetes.kubelet.volumes import mount


class Slow(HollowRuntime):
    """Says yes to a removal, or fails it, and has done it only after so many."""

    def __init__(self, rounds: int, fails: bool = False) -> None:
        super().__init__()
        self.rounds, self.fails = rounds, fails

    async def remove_container(self, container_id: str) -> None:
        self.rounds -= 1
        if self.rounds >= 0:
            if self.fails:
                raise RuntimeFailure("unable to remove filesystem: device or resource busy")
            return
        await super().remove_container(container_id)
        await super().remove_sandbox(container_id)


async def filled(runtime: Slow) -> Slow:
    config = SandboxConfig("p", "ns", "u", 0, "p")
    sandbox = await runtime.run_sandbox(config)
    await runtime.create_container(sandbox.id, ContainerConfig("c", 0, "i"), config)
    return runtime


@pytest.mark.parametrize("fails", [False, True])
def test_containers_are_gone_when_it_returns(monkeypatch: pytest.MonkeyPatch, fails: bool) -> None:
    async def main() -> None:
        runtime = await filled(Slow(3, fails))
        await cleanup._remove_containers(runtime)
        assert not runtime.containers and not runtime.sandboxes

    monkeypatch.setattr(cleanup, "PAUSE_SECONDS", 0.0)
    asyncio.run(main())


def test_containers_that_stay_are_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        with pytest.raises(RuntimeFailure, match="1 sandboxes and 1 containers are not to be removed"):
            await cleanup._remove_containers(await filled(Slow(10**6)))

    monkeypatch.setattr(cleanup, "PAUSE_SECONDS", 0.0)
    asyncio.run(main())


def test_cgroups_that_vanish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kubepods/poda/c").mkdir(parents=True)
    (tmp_path / "kubepods/podb").mkdir()
    rmdir = os.rmdir

    def racing(path: Any) -> None:
        rmdir(path)
        if str(path).endswith("podb") or str(path).endswith("/c"):
            raise FileNotFoundError(2, "gone", str(path))

    monkeypatch.setattr(os, "rmdir", racing)
    cgroups.remove_tree([tmp_path / "kubepods", tmp_path / "none"])
    assert not (tmp_path / "kubepods").exists()


def test_mounts_that_vanish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    def unmounted(path: str) -> None:
        tried.append(path)
        raise OSError({"/a": errno.EINVAL, "/b": errno.ENOENT}.get(path, errno.EPERM), path)

    monkeypatch.setattr(mount, "mounted_below", lambda root: ["/a", "/b"])
    monkeypatch.setattr(mount, "unmount", unmounted)
    mount.unmount_below(tmp_path)
    assert tried == ["/a", "/b"]
    monkeypatch.setattr(mount, "mounted_below", lambda root: ["/c"])
    with pytest.raises(OSError, match="/c"):
        mount.unmount_below(tmp_path)


def test_files_that_vanish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pods/d").mkdir(parents=True)
    for name in ("a", "b", "d/c"):
        (tmp_path / "pods" / name).write_text("x")
    unlink = os.unlink

    def racing(name: str, *, dir_fd: int) -> None:
        unlink(name, dir_fd=dir_fd)
        raise FileNotFoundError(2, "gone", name)

    monkeypatch.setattr(os, "unlink", racing)
    safepath.remove_tree(tmp_path, ("pods",))
    assert not (tmp_path / "pods").exists()
