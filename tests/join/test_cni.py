"""`up` with plugins: Debian's, in the network of docs/network.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.hosts import REPOSITORY, lan

from .conftest import ADDRESSES, DOCKER
from .test_cluster import PYBERNETES, must, until

PLUGINS = Path("/usr/lib/cni")
UP = f"{PYBERNETES} up --data-dir=/root/cluster --no-install --no-example --network-plugin=cni"
KUBECTL = "KUBECONFIG=/root/cluster/admin.conf kubectl"


@pytest.mark.skipif(not (PLUGINS / "bridge").exists(), reason="needs containernetworking-plugins")
def test_up_with_plugins(tmp_path: Path) -> None:
    (network,) = re.findall(r"^```json up\n(.*?)^```$", (REPOSITORY / "docs" / "network.md").read_text(), re.S | re.M)
    with lan(tmp_path, {"master1": ADDRESSES["master1"]}) as hosts:
        host = hosts["master1"]
        must(host, f"{DOCKER.replace('exit;', 'break;').replace('exit 1', 'true')}")
        code, said = host(f"rm -rf /etc/cni; {UP}")
        assert (
            code == 1
            and "--network-plugin=cni: no networks found in /etc/cni/net.d; docs/network.md has a network" in said
        )
        must(host, f"mkdir -p /etc/cni/net.d; cat >/etc/cni/net.d/10-pods.conflist <<'END'\n{network}END")
        must(host, f"{UP} 2>&1")  # until cluster DNS answers, which is a pod of this network
        pods = f"{KUBECTL} get pods -A -o jsonpath='{{.items[*].status.podIP}}'"
        for address in until(host, pods, r"^10\.244\.0\.\d+").split():
            assert address.startswith(("10.244.0.", ADDRESSES["master1"])), address
        assert "master cni0" in must(host, "ip -o link") and "pyb0" not in must(host, "ip -o link")
        must(host, f"{UP} 2>&1")  # with the bridge's route there
        must(host, f"{PYBERNETES} down --data-dir=/root/cluster --purge 2>&1")
        assert "veth" not in must(host, "ip -o link")
        assert must(host, "find /var/lib/cni -path '*/results/*' 2>/dev/null || true") == ""  # what was done for pods
