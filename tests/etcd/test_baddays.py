"""Faults under load, for some seconds: what is found here was acknowledged, and is in etcd, in order, once.

The longer runs are `python -m tests.etcd.faults` and `python -m tests.etcd.crash`. Not met in the wild: an API server that is killed between
a write and its answer, a member that is frozen with a write in its socket, one that comes back with the leader gone.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from . import crash, server
from .faults.hosts import CAN_CUT, WHY_NOT

pytestmark = pytest.mark.skipif(bool(server.WHY_NOT), reason=server.WHY_NOT)
KILLS, SEED = 10, 20261130


def test_killed_api_servers_lose_nothing(tmp_path: Path) -> None:
    report = asyncio.run(asyncio.wait_for(crash.run(tmp_path, KILLS, SEED), 300))
    assert report.problems == [], str(report)
    assert report.kills == KILLS
    assert report.outcomes["update done"] and report.events


@pytest.mark.skipif(not CAN_CUT, reason=WHY_NOT)
def test_faults_of_members_and_api_servers(tmp_path: Path) -> None:
    """In a process of its own, which enters a namespace."""
    command = [sys.executable, "-m", "tests.etcd.faults", "--minutes=0.2", f"--seed={SEED}", "--longest=4"]
    done = subprocess.run([*command, f"--keep={tmp_path}"], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 problems" in done.stdout
