"""`pybernetes down`: ends the parts and removes what they made on the host; the data stays unless it is purged."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import state
from .contents import OWN, OWN_FILES
from .host import docker_version, find
from .layout import Layout
from .parts import DOCKERD
from .progress import Progress
from .settings import ClusterConfig
from .stopping import ClusterError, stop_supervisor

DOCKER_SECONDS = 30.0  # for the daemon to start, or to end


def down(data_dir: Path, purge: bool, progress: Progress) -> None:
    """Repeatable: finds what is left, also after a crash. ClusterError."""
    layout = Layout(data_dir)
    try:
        settings = state.load_settings(layout)
    except ValueError as error:
        progress.note(f"{error}: going by what `up` makes without options")
        settings = ClusterConfig(node_name="", addresses=[], hollow_nodes=int(os.geteuid() != 0), own_docker=True)
    if settings is None:
        progress.note(f"no cluster in {layout.root}")
        return
    if not settings.hollow and os.geteuid() != 0:
        raise ClusterError(f"the pods of the cluster in {layout.root} are containers: only root can end them")
    with progress.step("parts"):
        stop_supervisor(layout)
    if not settings.hollow:
        clean_host(layout, settings, progress)
    if purge:
        with progress.step(f"data in {layout.root}"):
            purge_data(layout)


def clean_host(layout: Layout, settings: ClusterConfig, progress: Progress) -> None:
    """Containers, volumes' mounts, interfaces and rules of a node whose parts have stopped, and keys that they kept in memory."""
    from pybernetes.ingress import cleanup as ingress
    from pybernetes.net.programs import ProgramError
    from pybernetes.networkpolicy import cleanup as policies
    from pybernetes.proxy import cleanup as proxy
    from pybernetes.proxy.backends import BackendError

    with progress.step("containers, mounts, interfaces"), docker(settings):
        asyncio.run(_clean_node(settings, str(layout.kubelet)))
    with progress.step("iptables chains"):
        try:
            proxy.clean()
        except BackendError as error:
            raise ClusterError(f"iptables chains are left: {error}") from error
    try:
        policies.clean()
    except ProgramError as error:
        raise ClusterError(f"the table of network policies is left: {error}") from error
    try:
        ingress.clean()
    except OSError as error:
        raise ClusterError(f"{error.filename} is left: {error.strerror}") from error


async def _clean_node(settings: ClusterConfig, root_dir: str) -> None:
    from pybernetes.kubelet import cleanup
    from pybernetes.kubelet.runtime.docker import DockerRuntime

    runtime = DockerRuntime(settings.docker)
    try:
        await cleanup.clean(runtime, root_dir, plugin_dirs=settings.cni_bin_dir)
    finally:
        await runtime.close()


@contextmanager
def docker(settings: ClusterConfig) -> Iterator[None]:
    """Runs the daemon for as long as it is needed, if it is ours; containers outlived it (live restore)."""
    if not settings.own_docker or docker_version(settings.docker):
        yield
        return
    program = find("dockerd")
    if program is None:
        yield  # what is left of containers cannot be removed, which is told
        return
    command = [program, "-H", settings.docker, *DOCKERD]
    daemon = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + DOCKER_SECONDS
        while not docker_version(settings.docker):
            if daemon.poll() is not None or time.monotonic() > end:
                raise ClusterError("dockerd does not start, so containers cannot be removed: run it by hand to see why")
            time.sleep(0.05)
        yield
    finally:
        daemon.terminate()
        daemon.wait(DOCKER_SECONDS)


def purge_data(layout: Layout) -> None:
    """Deletes what `up` made; folders too if nothing else is in them. ClusterError where pods' volumes are still mounted."""
    from pybernetes.kubelet.volumes import mount

    mounted = mount.mounted_below(layout.kubelet)
    if mounted:
        raise ClusterError(f"{mounted[0]} is still mounted, and what is behind it is not ours to delete: umount it")
    for name in OWN:
        if (layout.root / name).exists():
            shutil.rmtree(layout.root / name)
    for pattern in OWN_FILES:
        for path in layout.root.glob(pattern):
            path.unlink()
    layout.settings.unlink(missing_ok=True)  # last: a purge that was cut off can be repeated
    for folder in (layout.logs, layout.pki, layout.root):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
