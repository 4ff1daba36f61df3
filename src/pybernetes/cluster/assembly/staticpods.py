"""The control plane in pods of this host's own kubelet, of manifests in /etc/kubernetes/manifests as kubeadm's is; all else by another runner.

The pods run an image of the project's own, packed of this installation and of the host's etcd.
"""

from __future__ import annotations

import functools
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pybernetes.deploy.daemons.controlplane import API_SERVER, CONTROLLER_MANAGER, SCHEDULER
from pybernetes.deploy.daemons.model import Cluster, Daemon, File, Host
from pybernetes.deploy.daemons.render import staticpod
from pybernetes.deploy.upgradeplan import Difference
from pybernetes.files import make_private_directory
from pybernetes.pki.files import write

from ..host import find
from ..image import CONTROL_PLANE
from .facts import DOCKER
from .runner import RunError, Runner, file_differences, write_files

IN_PODS = ("etcd", API_SERVER, CONTROLLER_MANAGER, SCHEDULER)
LOGS = "docker logs $(docker ps -aqf name=k8s_{0}_ | head -n 1)"
POLL_SECONDS = 0.2
DOCKER_SECONDS = 30.0
UPGRADE_SECONDS = 300.0  # kubeadm's upgradeManifests: for the kubelet to begin the pod of another manifest


@dataclass(frozen=True, slots=True)
class Container:
    """Of a static pod. `hash` is that of the manifest (which is the pod's uid), "" where there is no container."""

    hash: str = ""
    running: bool = False


class StaticPods:
    """A Runner. `cluster` is asked for with each manifest: who joins learns of it later. `give` has this host's Docker know the image, and is
    called with the first pod that is described; `newest` tells of the container of a pod that was made last.

    The kubelet starts what is described, and again what has ended or is unwell, so that it has to run before anything is waited for.
    """

    def __init__(
        self,
        others: Runner,
        cluster: Callable[[], Cluster],
        host: Host,
        give: Callable[[], None],
        newest: Callable[[str], Container],
        folder: Path = Path(staticpod.FOLDER),
    ) -> None:
        self._others, self._cluster, self._host, self._folder = others, cluster, host, folder
        self._give, self._newest = functools.cache(give), newest
        self._before: dict[str, tuple[str, str]] = {}  # manifest and hash of what ran before another one was described

    def put(self, daemons: Sequence[Daemon]) -> None:
        mine, others = _divided(daemons)
        self.describe(mine)
        if others:
            self._others.put(others)

    def restart(self, name: str) -> None:
        if name in IN_PODS:
            raise RunError(f"{name} is a static pod: move {self._path(name)} away for some seconds, and back")
        self._others.restart(name)

    def stop(self, names: Sequence[str]) -> None:
        """The kubelet ends pods without a manifest, where it goes on; containers of one that ends with them are removed by `reset`."""
        removed(names, self._folder)
        self._others.stop([name for name in names if name not in IN_PODS])

    def told(self, name: str) -> Sequence[str]:
        import yaml

        if name not in IN_PODS:
            return self._others.told(name)
        try:
            document = yaml.safe_load(self._path(name).read_text())
            command: list[str] = document["spec"]["containers"][0]["command"]
        except FileNotFoundError:
            return ()
        except (yaml.YAMLError, LookupError, TypeError) as error:
            raise RunError(f"{self._path(name)} cannot be read: {error}") from error
        return command[command.index(name) + 1 :]

    def differences(self, daemons: Sequence[Daemon]) -> Sequence[Difference]:
        mine, others = _divided(daemons)
        changed = [
            one for daemon in mine for one in file_differences(daemon.name, (*daemon.files, self._manifest(daemon)))
        ]
        return [*changed, *self._others.differences(others)]

    def described_in(self, daemon: Daemon) -> Sequence[Path]:
        if daemon.name not in IN_PODS:
            return self._others.described_in(daemon)
        return [self._path(daemon.name), *(Path(file.path) for file in daemon.files)]

    def describe(self, daemons: Sequence[Daemon]) -> None:
        mine, others = _divided(daemons)
        if mine:
            self._give()
        for daemon in mine:
            write_files(daemon)
            for directory in daemon.directories:
                make_private_directory(Path(directory))
            manifest = self._manifest(daemon)
            path = Path(manifest.path)
            present = path.read_text() if path.exists() else ""
            if present != manifest.text:
                self._before[daemon.name] = present, self._newest(daemon.name).hash if present else ""
                path.parent.mkdir(parents=True, exist_ok=True)
                write(path, manifest.text.encode(), manifest.mode)
        if others:
            self._others.describe(others)

    def again(self, names: Sequence[str]) -> None:
        """Pods when the kubelet has begun them by their manifests as these are now: of another one, or once more of the one before."""
        for name in names:
            if name in IN_PODS:
                self._await(name)
        if others := [name for name in names if name not in IN_PODS]:
            self._others.again(others)

    def pinned(self, name: str) -> bool:
        return name in IN_PODS or self._others.pinned(name)

    def _await(self, name: str) -> None:
        manifest, hash_before = self._before.get(name, ("", ""))
        back = self._path(name).read_text() == manifest
        end = time.monotonic() + UPGRADE_SECONDS
        while True:
            if begun(self._newest(name), hash_before, back):
                return
            if time.monotonic() > end:
                raise RunError(
                    f"{name}: the kubelet has not begun the pod of {self._path(name)} in {UPGRADE_SECONDS:.0f} s: see its log"
                )
            time.sleep(POLL_SECONDS)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.yaml"

    def _manifest(self, daemon: Daemon) -> File:
        manifest = staticpod.manifest(self._cluster(), self._host, daemon, CONTROL_PLANE.full_name)
        return replace(manifest, path=str(self._path(daemon.name)))


def begun(newest: Container, hash_before: str, back: bool) -> bool:
    """Whether the kubelet has taken a manifest up: another one than before, or (`back`) the one before once more."""
    if back:
        return newest.running and hash_before in ("", newest.hash)
    return newest.hash not in ("", hash_before)


def give_image() -> None:
    """Has this host's Docker know the image of this release. Failure."""
    from . import addons

    addons.give_image(CONTROL_PLANE)


def newest(name: str) -> Container:
    """As this host's Docker tells: it needs no API server, which may be what starts anew. RunError."""
    from pybernetes.kubelet.runtime import dockerconfig as labels

    program = find("docker")
    if program is None:
        raise RunError("the program docker is missing: install docker.io")
    having = {labels.POD_NAMESPACE: "kube-system", labels.CONTAINER_NAME: name, labels.CONTAINER_TYPE: labels.CONTAINER}
    filters = [f"--filter=label={label}={value}" for label, value in having.items()]
    form = f'--format={{{{.Label "{labels.POD_UID}"}}}} {{{{.State}}}}'
    done = subprocess.run(
        [program, "-H", DOCKER, "ps", "--all", *filters, form], capture_output=True, text=True, timeout=DOCKER_SECONDS
    )
    if done.returncode:
        raise RunError(f"docker ps: {done.stderr.strip()}")
    first = next(iter(done.stdout.splitlines()), "")
    uid, _, state = first.partition(" ")
    return Container(uid, state == "running")


def removed(names: Sequence[str], folder: Path = Path(staticpod.FOLDER)) -> None:
    """The manifests of those that have one go. OSError."""
    for name in names:
        if name in IN_PODS:
            (folder / f"{name}.yaml").unlink(missing_ok=True)


def _divided(daemons: Sequence[Daemon]) -> tuple[list[Daemon], list[Daemon]]:
    """(those in pods, the others)"""
    mine = [daemon for daemon in daemons if daemon.name in IN_PODS]
    return mine, [daemon for daemon in daemons if daemon.name not in IN_PODS]
