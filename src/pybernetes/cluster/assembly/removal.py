"""What `reset` does: the daemons end, and what they and `init` or `join` have made on this host goes (upstream: cmd/kubeadm/app/cmd/reset.go).

Each step goes on where there is nothing left of its own, so that it may be run again, also after a kill.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from pybernetes.client.kubeconfig import ConfigError, load
from pybernetes.component.command import Failure
from pybernetes.deploy.configuration import ETCD_DATA_DIR, KUBERNETES_DIR
from pybernetes.deploy.daemons import balancer, node
from pybernetes.deploy.daemons.model import Host
from pybernetes.flannel import cleanup as flannel
from pybernetes.net.links import LinkError
from pybernetes.net.programs import ProgramError

from .. import host as machine
from . import addons, etcdmember, hoststate, staticpods
from .facts import DOCKER
from .hoststate import HostState
from .renewal import BACKUPS
from .runner import LOGS, RunError, runner
from .work import ADMIN, answered, masters

Tell = Callable[[str], None]

ETCD_SECONDS = 10.0  # for the others to let this member go: a cluster that is gone as well must not hold up the end
CONTAINER_SECONDS = 60.0
# Files that init and join write; what else is in these folders is somebody else's.
KUBECONFIGS = (
    "admin.conf",
    "super-admin.conf",
    "kubelet.conf",
    "bootstrap-kubelet.conf",
    "controller-manager.conf",
    "scheduler.conf",
)
FOLDERS = (
    node.KUBELET_DIR,
    "/var/lib/kube-proxy",
    balancer.FOLDER,
    balancer.RUN,
    "/run/flannel",
    str(addons.IMAGES),
    str(BACKUPS),
    str(LOGS),
)
PARENTS = ("/etc/pybernetes", "/etc/kube-flannel", f"{KUBERNETES_DIR}/manifests", "/var/lib/pybernetes", KUBERNETES_DIR)


def reset(state: HostState | None, certificates: Path, tell: Tell) -> None:
    """All of it. Failure, OSError."""
    if state is not None:
        if "etcd" in state.daemons:
            _leave_etcd(state, certificates, tell)
        tell(f"[reset] Stopping {', '.join(state.daemons) or 'nothing: no daemon was started'}")
        try:
            staticpods.removed(state.daemons)
            runner(state.run_with).stop(state.daemons)
        except RunError as error:
            raise Failure(str(error)) from error
    tell("[reset] Removing containers, interfaces, rules and mounts")
    _clean_node(tell)
    tell(f"[reset] Deleting contents of directories: [{certificates} {ETCD_DATA_DIR} {' '.join(FOLDERS)}]")
    _remove_files(certificates)


def _leave_etcd(state: HostState, certificates: Path, tell: Tell) -> None:
    """Where others go on without this member. That they cannot be asked is told, and no reason to stay."""
    this = Host(state.node_name, state.address)
    try:
        others = [host for host in asyncio.run(answered(load(ADMIN), masters, ETCD_SECONDS)) if host.name != this.name]
    except (Failure, ConfigError) as error:
        tell(f"[reset] The cluster does not say which other members its etcd has: {error}")
        others = []
    try:
        if etcdmember.removed(this, others, certificates, ETCD_SECONDS):
            tell("[reset] Removed this host's member from the cluster's etcd")
    except Failure as error:
        tell(
            f"[reset] The etcd member of this host could not be taken out: {error}; `etcdctl member remove` on another host does"
        )


def _clean_node(tell: Tell) -> None:
    from pybernetes.kubelet import cleanup
    from pybernetes.kubelet.runtime.docker import DockerRuntime
    from pybernetes.networkpolicy import cleanup as policies
    from pybernetes.proxy import cleanup as proxy
    from pybernetes.proxy.backends import BackendError

    async def kubelets() -> None:
        runtime = DockerRuntime(DOCKER)
        try:
            await cleanup.clean(runtime, node.KUBELET_DIR)
        finally:
            await runtime.close()

    asyncio.run(kubelets())
    try:
        proxy.clean()
        asyncio.run(flannel.clean())
        policies.clean()
    except (BackendError, ProgramError, LinkError) as error:
        raise Failure(f"rules are left: {error}") from error
    _remove_images(tell)


def _remove_images(tell: Tell) -> None:
    """The project's own: what this host's Docker got from us, and the sandboxes'. What Docker keeps is told, with its reason."""
    program = machine.find("docker")
    if program is None or not machine.docker_version(DOCKER):
        return

    def docker(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [program, "-H", DOCKER, "image", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=CONTAINER_SECONDS)

    for line in images_left(docker):
        tell(f"[reset] {line}")


def images_left(docker: Callable[..., subprocess.CompletedProcess[str]]) -> list[str]:
    """Removes the images by `docker image ...`; a line for each that stays.

    Those of every release, for an upgrade leaves the one before, and from before they had a label; by their ids, for a name goes over to who is
    packed anew.
    """
    from pybernetes.kubelet.runtime import pause

    from ..image import ALL, LABEL

    ids = list[str]()
    references = [*(contents.name for contents in ALL), pause.IMAGE.partition(":")[0]]
    for ours in (f"label={LABEL}", *(f"reference={name}" for name in references)):
        ids += docker("ls", "--quiet", f"--filter={ours}").stdout.split()
    lines = []
    for one in dict.fromkeys(ids):
        done = docker("rm", "--force", one)
        if done.returncode and "No such image" not in done.stderr:
            reason = done.stderr.strip().removeprefix("Error response from daemon: ")
            lines.append(f"Image {one} stays: {reason}; `docker image rm {one}` removes it once nothing uses it")
    return lines


def _remove_files(certificates: Path) -> None:
    """OSError; Failure where a volume of a pod is still mounted."""
    from pybernetes.kubelet.volumes import mount

    mounted = mount.mounted_below(Path(node.KUBELET_DIR))
    if mounted:
        raise Failure(f"{mounted[0]} is still mounted, and what is behind it is not ours to delete: umount it")
    for name in KUBECONFIGS:
        (Path(KUBERNETES_DIR) / name).unlink(missing_ok=True)
    Path(node.NETWORK_CONFIG).unlink(missing_ok=True)
    data = Path(ETCD_DATA_DIR)
    for path in [Path(folder) for folder in FOLDERS] + [certificates, *(data.iterdir() if data.is_dir() else ())]:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    if hoststate.FOLDER.exists():  # last: a reset that was cut off can be repeated
        shutil.rmtree(hoststate.FOLDER)
    # Debian's etcd has its folder from the package, and would miss it.
    _remove_empty([*([data] if data.is_dir() and data.stat().st_uid == 0 else []), *(Path(path) for path in PARENTS)])


def _remove_empty(paths: Sequence[Path]) -> None:
    for path in paths:
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()
