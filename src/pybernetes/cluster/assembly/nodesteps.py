"""Steps that a first host and those that join have in common."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from pybernetes.api import types
from pybernetes.api.errors import StatusError
from pybernetes.api.types import core_v1
from pybernetes.client.rest import RESTClient
from pybernetes.component.command import Failure
from pybernetes.deploy import componentconfigs, endpoints, kubeconfigfile, objects
from pybernetes.deploy.daemons import balancer, controlplane, node
from pybernetes.deploy.daemons.model import Daemon, Host
from pybernetes.files import make_private_directory
from pybernetes.kubelet.certificate.bootstrap import store
from pybernetes.pki.files import Pair, write

from . import checks
from .work import KUBELET_SECONDS, Work

MAKERS = {
    controlplane.API_SERVER: controlplane.api_server,
    controlplane.CONTROLLER_MANAGER: controlplane.controller_manager,
    controlplane.SCHEDULER: controlplane.scheduler,
}


def judge(seen: checks.Facts, ignored: Collection[str], tell: Callable[[str], None]) -> None:
    """Failure with all that is in the way."""
    errors, warnings = checks.serious(checks.problems(seen), ignored)
    for one in warnings:
        tell(f"\t[WARNING {one.check}]: {one.text}")
    if errors:
        raise Failure(checks.listed(errors))


def start_control_plane(work: Work, names: Sequence[str], masters: Sequence[Host]) -> None:
    """Those daemons of the control plane, before the etcd members of these masters."""
    work.tell(f"[control-plane] Starting {', '.join(names)}")
    cluster = work.cluster(masters)
    work.run(*(MAKERS[name](cluster, work.host) for name in names))


def start_kubelet(work: Work, text: str) -> None:
    """With the cluster's KubeletConfiguration. Failure where it does not come up."""
    work.tell(f'[kubelet-start] Writing kubelet configuration to file "{node.KUBELET_CONFIG}"')
    _written(node.KUBELET_CONFIG, text)
    Path(componentconfigs.STATIC_PODS).mkdir(parents=True, exist_ok=True)
    work.state.kubelet_extra_args = list(work.configuration.init.node_registration.kubelet_extra_args)
    daemon = node.kubelet(work.cluster(), work.host)
    work.tell("[kubelet-start] Starting the kubelet")
    work.run(daemon)


def start_proxy(work: Work, text: str) -> None:
    """With the cluster's KubeProxyConfiguration."""
    _written(node.PROXY_CONFIG, componentconfigs.of_host_proxy(text, node.KUBECONFIG))
    work.run(node.proxy(work.cluster(), work.host))


def start_balancer(work: Work, masters: Sequence[Host]) -> None:
    """Returns when it takes connections."""
    daemons: Sequence[Daemon] = balancer.balancers(work.cluster(masters), work.host)
    if not daemons:
        work.tell("[balancer] Skipping phase: there is none (--balancer)")
        return
    if not work.host.interface and not daemons[-1].arguments.count("--on-nodes=true"):
        raise Failure(f"no interface of this host has the address {work.host.address}, by which the others reach it")
    work.tell(
        f"[balancer] Starting {', '.join(daemon.name for daemon in daemons)} before {endpoints.control_plane(work.configuration)}"
    )
    work.run(*daemons)
    work.well("balancer", daemons[0], KUBELET_SECONDS)


def mark_control_plane(work: Work) -> None:
    """Labels and taints of this host's Node, as soon as the kubelet has made it."""
    name, taints = work.host.name, work.configuration.init.node_registration.taints
    shown = [objects.CONTROL_PLANE_TAINT] if taints is None else taints
    labels = " ".join((objects.LABEL_CONTROL_PLANE, objects.LABEL_EXCLUDE))
    work.tell(f"[mark-control-plane] Marking the node {name} as control-plane by adding the labels: [{labels}]")
    words = " ".join(f"{taint['key']}:{taint['effect']}" for taint in shown)
    work.tell(f"[mark-control-plane] Marking the node {name} as control-plane by adding the taints [{words}]")

    async def mark(client: RESTClient) -> None:
        node = await registered(client, name)
        present: list[dict[str, Any]] = msgspec.json.decode(types.encode(node.spec)).get("taints") or []
        await client.patch(core_v1.Node, name, "", objects.control_plane_patch(taints, present))

    work.asked(mark)


async def registered(client: RESTClient, name: str) -> core_v1.Node:
    """A Node, as soon as its kubelet has made it. TimeoutError, StatusError."""
    end = asyncio.get_running_loop().time() + KUBELET_SECONDS
    while True:
        try:
            return await client.get(core_v1.Node, name)
        except StatusError as error:
            if error.code != 404:
                raise
        if asyncio.get_running_loop().time() > end:
            raise Failure(f"the kubelet has not made the Node {name} in {KUBELET_SECONDS:.0f} s: see its log")
        await asyncio.sleep(0.1)


def rotatable(work: Work) -> None:
    """kubelet.conf names the file that the kubelet renews, in place of the certificate that `init` made. Failure, OSError."""
    import yaml

    path, held = Path(node.KUBECONFIG), store(Path(node.KUBELET_DIR) / "pki")
    document = yaml.safe_load(path.read_text())
    context = kubeconfigfile.current(document)
    if context is None:
        raise Failure(f"{path} has no current context")
    user = context[1]
    if "client-certificate-data" not in user:
        return  # it does already
    work.tell(f'[kubelet-finalize] Updating "{path}" to point to a rotatable kubelet client certificate and key')
    if held.leaf() is None:
        pair = Pair(*(base64.b64decode(user[f"client-{name}-data"]) for name in ("certificate", "key")))
        held.update(pair, datetime.now(UTC))
    user.clear()
    user |= {"client-certificate": str(held.current_path), "client-key": str(held.current_path)}
    write(path, kubeconfigfile.text(document).encode())
    work.runner.restart(node.KUBELET)


def _written(path: str, text: str) -> None:
    file = Path(path)
    make_private_directory(file.parent)
    write(file, text.encode(), 0o600)
