"""Every command of docs/ingress.md, in the order of the page, on a host of its own."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .namespaces import Namespace

PAGE = Path(__file__).parents[2] / "docs" / "ingress.md"
MISSING = [program for program in ("kubectl", "curl", "nginx", "openssl") if shutil.which(program) is None]


@pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}")
def test_the_page(node: Namespace, tmp_path: Path) -> None:
    """Files of the page are in a folder of their own, also nginx'; what the page starts ends with it."""
    program = tmp_path / "pybernetes"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m pybernetes "$@"\n')
    program.chmod(0o755)
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), re.S | re.M)
    script = tmp_path / "page.sh"
    body = ["set -eu", "mount -t tmpfs tmpfs /mnt", "mount -t tmpfs -o mode=755 tmpfs /run", "export HOME=/mnt"]
    script.write_text(
        "\n".join(
            [*body, f"export PATH={tmp_path}:$PATH", *(b.replace("/tmp/", "/mnt/") for b in blocks), "kill $(jobs -p)"]
        )
    )
    command = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "timeout", "90", "bash", str(script)]
    done = subprocess.run(
        ["ip", "netns", "exec", node.name, *command], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for text in (
        "hello",
        "308 https://web.example/shop/",
        "192.0.2.100",
        "limit-rps is not supported",
        "apples",
    ):
        assert text in done.stdout, done.stdout + done.stderr
