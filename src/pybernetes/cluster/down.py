"""`pybernetes down`: ends the parts and removes what they made on the host; the data stays unless it is purged."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import state
from .host import docker_version
from .layout import Layout
from .parts import DOCKERD
from .progress import Progress
from .settings import Settings
from .up import UpError, stop_supervisor

DOCKER_SECONDS = 30.0  # for the daemon to start, or to end
# What `up` puts into the data directory: a purge removes nothing else, whatever --data-dir was given.
OWN = ("pki", "logs", "kubelet", "images")
OWN_FILES = ("*.conf", "state.db*", "supervisor.json", "supervisor.lock", "cluster.json", "up.lock", "*.new")


def down(data_dir: Path, purge: bool, progress: Progress) -> None:
    """Repeatable: finds what is left, also after a crash. UpError."""
    layout = Layout(data_dir)
    try:
        settings = state.load_settings(layout)
    except ValueError as error:
        raise UpError(str(error)) from error
    if settings is None:
        progress.note(f"no cluster in {layout.root}")
        return
    with progress.step("parts"):
        stop_supervisor(layout)
    if not settings.hollow:
        clean_host(layout, settings, progress)
    if purge:
        with progress.step(f"data in {layout.root}"):
            purge_data(layout)


def clean_host(layout: Layout, settings: Settings, progress: Progress) -> None:
    """Containers, volumes' mounts, interfaces and rules of a node whose parts have stopped."""
    from pybernetes.kubelet import cleanup as node
    from pybernetes.proxy import cleanup as proxy

    with progress.step("containers, mounts, interfaces"), docker(settings):
        node.clean(settings.docker, str(layout.kubelet))
    with progress.step("iptables chains"):
        proxy.clean()


@contextmanager
def docker(settings: Settings) -> Iterator[None]:
    """Runs the daemon for as long as it is needed, if it is ours; containers outlived it (live restore)."""
    if not settings.own_docker or docker_version(settings.docker):
        yield
        return
    daemon = subprocess.Popen(
        ["dockerd", "-H", settings.docker, *DOCKERD], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        end = time.monotonic() + DOCKER_SECONDS
        while not docker_version(settings.docker):
            if daemon.poll() is not None or time.monotonic() > end:
                raise UpError("dockerd does not start, so containers cannot be removed: run it by hand to see why")
            time.sleep(0.05)
        yield
    finally:
        daemon.terminate()
        daemon.wait(DOCKER_SECONDS)


def purge_data(layout: Layout) -> None:
    """Deletes what `up` made; the directory too if nothing else is in it."""
    for name in OWN:
        if (layout.root / name).exists():
            shutil.rmtree(layout.root / name)
    for pattern in OWN_FILES:
        for path in layout.root.glob(pattern):
            path.unlink()
    if not any(layout.root.iterdir()):
        layout.root.rmdir()
