"""The kubelet's own network on flannel's subnet.env: addresses and MTU in the kernel."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import uvloop

from pybernetes.api.types.core_v1 import Pod
from pybernetes.kubelet.network.bridge import BridgeNetwork
from pybernetes.kubelet.runtime.types import Sandbox

from .namespaces import Namespace


def test_bridge_and_veth_have_the_files_mtu(node: Namespace, tmp_path: Path) -> None:
    file = tmp_path / "subnet.env"
    file.write_text(
        "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.3.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n"
    )
    command = ["ip", "netns", "exec", node.name, "unshare", "--net", "sh", "-c", "echo up; exec sleep 60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as pod:
        assert pod.stdout is not None and pod.stdout.readline() == b"up\n"

        async def pid(sandbox: str) -> int:
            return pod.pid

        async def work() -> None:
            network = BridgeNetwork(str(tmp_path), pid, subnet_file=file)
            sandbox = Sandbox("s", "p", "default", "u", 0, True, datetime(2026, 1, 1, tzinfo=UTC))
            assert await network.setup(sandbox, Pod()) == ("10.244.3.2",)
            network.close()

        try:
            node.inside(lambda: uvloop.run(work()))
            links = [link for link in json.loads(node.run("ip -j link")) if link["ifname"].startswith("pyb")]
            assert len(links) == 2 and {link["mtu"] for link in links} == {1450}
            assert json.loads(node.run(f"nsenter -t {pod.pid} -n ip -j link show eth0"))[0]["mtu"] == 1450
            assert "MASQUERADE" not in node.run("iptables-save")
        finally:
            pod.kill()
