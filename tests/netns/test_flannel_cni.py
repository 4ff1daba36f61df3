"""The CNI plugin "flannel" as a runtime runs it, over Debian's bridge and host-local."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .namespaces import Namespace, created

PLUGINS = Path("/usr/lib/cni")
pytestmark = pytest.mark.skipif(not (PLUGINS / "bridge").exists(), reason="needs containernetworking-plugins")


@pytest.fixture
def pod() -> Iterator[Namespace]:
    with created("pod") as namespace:
        yield namespace


def test_add_check_del(node: Namespace, pod: Namespace, tmp_path: Path) -> None:
    program, file = tmp_path / "flannel", tmp_path / "subnet.env"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m pybernetes flannel-cni "$@"\n')
    program.chmod(0o755)
    config: dict[str, Any] = {
        "name": "cbr0",
        "cniVersion": "0.4.0",
        "type": "flannel",
        "subnetFile": str(file),
        "dataDir": str(tmp_path / "data"),
        "delegate": {"hairpinMode": True, "isDefaultGateway": True},
        "ipam": {"dataDir": str(tmp_path / "ipam")},
    }

    def plugin(command: str, **more: Any) -> tuple[int, str]:
        variables = [
            *(f"CNI_COMMAND={command}", "CNI_CONTAINERID=c1", f"CNI_NETNS=/var/run/netns/{pod.name}"),
            *("CNI_IFNAME=eth0", f"CNI_PATH={tmp_path}:{PLUGINS}"),
        ]
        command_line = ["ip", "netns", "exec", node.name, "env", *variables, str(program)]
        done = subprocess.run(
            command_line, input=json.dumps(config | more), capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout

    assert "0.4.0" in json.loads(plugin("VERSION")[1])["supportedVersions"]
    code, said = plugin("ADD")
    assert code == 1 and "Check the flannel pod log for this node" in json.loads(said)["msg"]
    file.write_text(
        "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.3.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n"
    )
    code, said = plugin("ADD")
    assert code == 0, said
    result = json.loads(said)
    assert result["ips"][0]["address"] == "10.244.3.2/24" and result["ips"][0]["gateway"] == "10.244.3.1"
    assert json.loads(pod.run("ip -j link show eth0"))[0]["mtu"] == 1450
    assert json.loads(node.run("ip -j link show cni0"))[0]["mtu"] == 1450
    assert "10.244.0.0/16 via 10.244.3.1" in pod.run("ip route") and "MASQUERADE" not in node.run("iptables-save")
    code, said = plugin("CHECK", prevResult=result)
    assert code == 0, said
    node.run("ip link del cni0")
    assert plugin("CHECK", prevResult=result)[0] == 1

    # Another subnet by then: what was made is undone as it was made, once and again.
    file.unlink()
    assert (tmp_path / "data" / "c1").stat().st_mode & 0o777 == 0o600
    assert plugin("DEL") == (0, "") and plugin("DEL") == (0, "")
    assert "eth0" not in pod.run("ip link") and list((tmp_path / "data").iterdir()) == []
    assert [path.name for path in (tmp_path / "ipam" / "cbr0").iterdir() if path.name.startswith("10.")] == []
    config["delegate"] = {"type": "../sh"}
    file.write_text("FLANNEL_SUBNET=10.244.3.1/24\nFLANNEL_MTU=1450\n")
    assert "failed to find plugin" in json.loads(plugin("ADD")[1])["msg"]
