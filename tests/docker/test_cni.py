"""A kubelet with --network-plugin=cni and Debian's plugins on Docker: pods reach each other and a Service, a restart changes nothing."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pybernetes.kubelet.network.cni.network import CNINetwork
from pybernetes.kubelet.runtime.types import RuntimeFailure

from .test_node import NODE, PATIENCE, Node, containers, images, running, until

PLUGINS = "/usr/lib/cni"
BRIDGE, RANGE = "cnitest0", "10.244.251."
SERVICE = "10.96.77.7"
PROXY_PORT = 21694
NOT_READY = (
    "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady "
    "message:docker: network plugin is not ready: cni config uninitialized"
)

__all__ = ["images"]  # the fixture

pytestmark = [
    pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed"),
    pytest.mark.skipif(not Path(PLUGINS, "bridge").exists(), reason="needs containernetworking-plugins"),
]


def _conflist(folder: Path) -> dict[str, Any]:
    ipam = {"type": "host-local", "dataDir": f"{folder}/addresses", "ranges": [[{"subnet": f"{RANGE}0/24"}]]}
    ipam["routes"] = [{"dst": "0.0.0.0/0"}]
    bridge = {"type": "bridge", "bridge": BRIDGE, "isGateway": True, "ipMasq": True, "hairpinMode": True, "ipam": ipam}
    portmap = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "1.0.0", "name": "pods", "plugins": [bridge, portmap]}


def _proxy(node: Node, *flags: str) -> list[str]:
    named = [f"--kubeconfig={node.kubeconfig}", f"--hostname-override={NODE}", "--conntrack-max-per-core=0"]
    ports = [f"--healthz-bind-address=127.0.0.1:{PROXY_PORT}", "--metrics-bind-address="]
    return [sys.executable, "-m", "pybernetes", "kube-proxy", *named, *ports, *flags]


@contextmanager
def _services(node: Node) -> Iterator[None]:
    with (node.folder / "proxy.log").open("w") as log:
        proxy = subprocess.Popen(_proxy(node), stderr=log)
    try:
        yield
    finally:
        proxy.terminate()
        proxy.wait(PATIENCE)
        subprocess.run(_proxy(node, "--cleanup"), check=False, timeout=PATIENCE, capture_output=True)


def _ready(node: Node) -> dict[str, str]:
    conditions = json.loads(node.kubectl("get", "node", NODE, "-o", "json"))["status"].get("conditions", ())
    return next((condition for condition in conditions if condition["type"] == "Ready"), {})


def _address(node: Node, name: str) -> str:
    return node.kubectl("get", "pod", name, "-o", "jsonpath={.status.podIP}")


def _publish(node: Node, address: str) -> None:
    """A Service, with its slice: no controllers run here."""
    port = {"name": "http", "port": 80, "protocol": "TCP"}
    service = {"clusterIP": SERVICE, "ports": [port | {"targetPort": 8080}]}
    endpoint = {"addresses": [address], "conditions": {"ready": True}, "nodeName": NODE}
    slice_meta = {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}}
    for document in (
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": service},
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": slice_meta,
            "addressType": "IPv4",
            "ports": [port | {"port": 8080}],
            "endpoints": [endpoint],
        },
    ):
        node.kubectl("apply", "-f", "-", stdin=json.dumps(document))


def _left(folder: Path) -> list[str]:
    links = subprocess.run(["ip", "-br", "link", "show", "master", BRIDGE], capture_output=True, text=True, check=True)
    addresses = [path.name for path in (folder / "addresses").glob("*/*") if path.name.startswith(RANGE)]
    cached = [path.name for path in (folder / "cache" / "results").glob("*")]
    return [*links.stdout.splitlines(), *addresses, *cached]


async def _clean(folder: Path) -> None:
    """What a test that failed left."""

    async def nobody(sandbox_id: str) -> int:
        raise RuntimeFailure(sandbox_id)

    network = CNINetwork(nobody, conf_dir=f"{folder}/net.d", bin_dirs=[PLUGINS], cache_dir=f"{folder}/cache")
    await network.keep_only((), ())
    await network.collected()
    await network.close()


def test_pods_on_a_chain_of_plugins(tmp_path: Path) -> None:
    conf_dir = tmp_path / "net.d"
    conf_dir.mkdir()
    flags = ["--network-plugin=cni", f"--cni-conf-dir={conf_dir}", f"--cni-bin-dir={PLUGINS}"]
    try:
        with running(tmp_path, [*flags, f"--cni-cache-dir={tmp_path}/cache"]) as node:
            condition = until("the node tells why it is not ready", lambda: _ready(node))
            assert (condition["status"], condition["reason"]) == ("False", "KubeletNotReady")
            assert condition["message"] == NOT_READY
            (conf_dir / "10-pods.conflist").write_text(json.dumps(_conflist(tmp_path)))
            until("the node is ready", lambda: _ready(node)["status"] == "True")

            node.run("web", "mkdir /www; echo web > /www/f; exec httpd -f -p 8080 -h /www")
            node.run("client", "sleep 3600")
            address = _address(node, "web")
            assert address.startswith(RANGE) and address != _address(node, "client")
            assert node.kubectl("exec", "client", "--", "wget", "-qO-", f"http://{address}:8080/f") == "web\n"
            with _services(node):
                _publish(node, address)
                asked = ("exec", "client", "--", "timeout", "5", "wget", "-qO-", f"http://{SERVICE}/f")
                assert until("the Service answers", lambda: node.kubectl(*asked, check=False)) == "web\n"

            before = containers()
            assert any(list(Path("/run/netns").glob(f"cni-{one}*")) for one in before)
            node.kubelet.kill()
            node.kubelet.wait(PATIENCE)
            node.kubelet = node.start()
            node.run("later", "sleep 3600")
            assert set(before) < set(containers()) and _address(node, "web") == address
            assert node.kubectl("exec", "later", "--", "wget", "-qO-", f"http://{address}:8080/f") == "web\n"
            node.kubectl("delete", "pod", "web", "client", "later")
            until("nothing is left", lambda: not containers() and _left(tmp_path) == [])
            assert [one for one in before if list(Path("/run/netns").glob(f"cni-{one}*"))] == []
    finally:
        asyncio.run(_clean(tmp_path))
        subprocess.run(["ip", "link", "del", BRIDGE], check=False, capture_output=True)
