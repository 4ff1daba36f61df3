"""Every command of docs/ingress.md, in the order of the page, on a host of its own."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from .namespaces import Namespace
from .pages import output_of

MISSING = [program for program in ("kubectl", "curl", "nginx", "openssl") if shutil.which(program) is None]
MOUNTS = ("mount -t tmpfs tmpfs /mnt", "mount -t tmpfs -o mode=755 tmpfs /run", "export HOME=/mnt")


@pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}")
def test_the_page(node: Namespace, tmp_path: Path) -> None:
    """Files of the page are in a folder of their own, also nginx'."""
    output = output_of("ingress.md", node, tmp_path, MOUNTS, "/mnt/")
    for text in (
        "hello",
        "308 https://web.example/shop/",
        "192.0.2.100",
        "canary is not supported",
        "apples",
    ):
        assert text in output, output
