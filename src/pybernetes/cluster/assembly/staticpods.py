"""The control plane in pods of this host's own kubelet, of manifests in /etc/kubernetes/manifests as kubeadm's is; all else by another runner.

The pods run an image of the project's own, packed of this installation and of the host's etcd.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from pybernetes.deploy.daemons.controlplane import API_SERVER, CONTROLLER_MANAGER, SCHEDULER
from pybernetes.deploy.daemons.model import Cluster, Daemon, File, Host
from pybernetes.deploy.daemons.render import staticpod
from pybernetes.deploy.upgradeplan import Difference
from pybernetes.files import make_private_directory
from pybernetes.pki.files import write

from .runner import RunError, Runner, file_differences, write_files

IN_PODS = ("etcd", API_SERVER, CONTROLLER_MANAGER, SCHEDULER)
LOGS = "docker logs $(docker ps -aqf name=k8s_{0}_ | head -n 1)"


class StaticPods:
    """A Runner. `cluster` is asked for with each manifest: who joins learns of it later. `image` has this host's Docker know the image, and
    returns its name; it is called with the first pod.

    The kubelet starts what is described, and again what has ended or is unwell, so that it has to run before anything is waited for.
    """

    def __init__(
        self,
        others: Runner,
        cluster: Callable[[], Cluster],
        host: Host,
        image: Callable[[], str],
        folder: Path = Path(staticpod.FOLDER),
    ) -> None:
        self._others, self._cluster, self._host, self._folder = others, cluster, host, folder
        self._image = functools.cache(image)

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
        for daemon in mine:
            write_files(daemon)
            for directory in daemon.directories:
                make_private_directory(Path(directory))
            manifest = self._manifest(daemon)
            path = Path(manifest.path)
            if not path.exists() or path.read_text() != manifest.text:
                path.parent.mkdir(parents=True, exist_ok=True)
                write(path, manifest.text.encode(), manifest.mode)
        if others:
            self._others.describe(others)

    def again(self, names: Sequence[str]) -> None:
        pods = [name for name in names if name in IN_PODS]
        if pods:
            raise RunError(f"{', '.join(pods)}: static pods are not renewed by this command")
        self._others.again(names)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.yaml"

    def _manifest(self, daemon: Daemon) -> File:
        manifest = staticpod.manifest(self._cluster(), self._host, daemon, self._image())
        return replace(manifest, path=str(self._path(daemon.name)))


def packed() -> str:
    """The image's name, which this host's Docker knows afterwards. Failure."""
    from ..image import CONTROL_PLANE
    from . import addons

    return addons.give_image(CONTROL_PLANE).name


def removed(names: Sequence[str], folder: Path = Path(staticpod.FOLDER)) -> None:
    """The manifests of those that have one go. OSError."""
    for name in names:
        if name in IN_PODS:
            (folder / f"{name}.yaml").unlink(missing_ok=True)


def _divided(daemons: Sequence[Daemon]) -> tuple[list[Daemon], list[Daemon]]:
    """(those in pods, the others)"""
    mine = [daemon for daemon in daemons if daemon.name in IN_PODS]
    return mine, [daemon for daemon in daemons if daemon.name not in IN_PODS]
