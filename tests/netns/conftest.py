"""Network namespaces for tests that want real iptables and real packets; root only."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

from .namespaces import Namespace, created

PROGRAMS = ("ip", "iptables-save", "iptables-restore", "conntrack")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    reason = "needs root" if os.geteuid() else f"needs {', '.join(missing)}" if missing else ""
    for item in items:
        if reason and "/netns/" in str(item.path):
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture
def node() -> Iterator[Namespace]:
    """An empty namespace with its loopback up."""
    with created("node") as namespace:
        yield namespace
