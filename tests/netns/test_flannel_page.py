"""Every command of docs/flannel.md, in the order of the page, on a host of its own."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from .namespaces import Namespace
from .pages import output_of

NEEDED = ("etcd", "curl", "/usr/lib/cni/bridge")
MISSING = [program for program in NEEDED if shutil.which(program) is None]


@pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}")
def test_the_page(node: Namespace, tmp_path: Path) -> None:
    """/run is a folder of its own."""
    node.run("ip link add eth0 type bridge; ip addr add 10.99.0.1/24 dev eth0; ip link set eth0 up")
    output = output_of("flannel.md", node, tmp_path, ["mount -t tmpfs tmpfs /run"])
    for text in (
        "FLANNEL_MTU=1450",
        "10.244.77.0 lladdr 02:00:00:00:00:77 PERMANENT",
        "02:00:00:00:00:77 dst 10.99.0.77",
        "MASQUERADE",
        "--kube-subnet-mgr",
        'DOCKER_OPTS=" --bip=10.244.',
        "inet 10.244.",
    ):
        assert text in output, text
