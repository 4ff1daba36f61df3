"""Every command of docs/flannel.md, in the order of the page, on a host of its own."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .namespaces import Namespace

PAGE = Path(__file__).parents[2] / "docs" / "flannel.md"
NEEDED = ("etcd", "curl", "/usr/lib/cni/bridge")
MISSING = [program for program in NEEDED if shutil.which(program) is None]


@pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}")
def test_the_page(node: Namespace, tmp_path: Path) -> None:
    """/run is a folder of its own; what the page starts in the background ends with it."""
    program = tmp_path / "pybernetes"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m pybernetes "$@"\n')
    program.chmod(0o755)
    node.run("ip link add eth0 type bridge; ip addr add 10.99.0.1/24 dev eth0; ip link set eth0 up")
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), re.S | re.M)
    script = tmp_path / "page.sh"
    script.write_text(
        "\n".join(["set -eu", "mount -t tmpfs tmpfs /run", f"export PATH={tmp_path}:$PATH", *blocks, "kill $(jobs -p)"])
    )
    command = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "timeout", "90", "bash", str(script)]
    done = subprocess.run(
        ["ip", "netns", "exec", node.name, *command], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for text in (
        "FLANNEL_MTU=1450",
        "10.244.77.0 lladdr 02:00:00:00:00:77 PERMANENT",
        "02:00:00:00:00:77 dst 10.99.0.77",
        "MASQUERADE",
        "--kube-subnet-mgr",
        'DOCKER_OPTS=" --bip=10.244.',
        "inet 10.244.",
    ):
        assert text in done.stdout, text
