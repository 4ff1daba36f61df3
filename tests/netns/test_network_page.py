"""Every command of docs/network.md, in the order of the page, on a host of its own."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from .namespaces import Namespace
from .pages import output_of

MISSING = [program for program in ("kubectl", "curl", "nft") if shutil.which(program) is None]
MOUNTS = ("mount -t tmpfs tmpfs /mnt", "export HOME=/mnt")


@pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}")
def test_the_page(node: Namespace, tmp_path: Path) -> None:
    """Files of the page are in a folder of their own."""
    node.run("ip link add eth0 type bridge; ip addr add 192.0.2.100/24 dev eth0; ip link set eth0 up")
    output = output_of("network.md", node, tmp_path, MOUNTS, "/mnt/")
    for text in (
        "meta l4proto tcp ct reply proto-src 8080 ct original ip saddr @pods-",
        "isolated_pods 1",
        "Ensured load balancer",
        "pybernetes-speaker-",
        "--cni-cache-dir",
    ):
        assert text in output, output
