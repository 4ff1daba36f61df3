"""A chart with hooks and a test: installed, upgraded, rolled back, removed."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pybernetes.cluster.layout import Layout
from tests import clients

CHART = str(Path(__file__).parent / "chart")


@pytest.fixture
def helm(layout: Layout, tmp_path: Path) -> Callable[..., str]:
    binary = clients.helm()
    if binary is None:
        pytest.skip("helm is not there: run tools/clients.sh")

    def run(*arguments: str) -> str:
        command = [binary, "--kubeconfig", str(layout.kubeconfig("admin")), *arguments]
        home = {**os.environ, "HOME": str(tmp_path)}
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=home)
        assert done.returncode == 0, f"helm {' '.join(arguments)}:\n{done.stdout}{done.stderr}"
        return done.stdout

    return run


def test_a_release_lives(helm: Callable[..., str]) -> None:
    helm("install", "web", CHART, "--wait", "--timeout=180s")
    assert "Succeeded" in helm("test", "web", "--timeout=180s")
    helm("upgrade", "web", CHART, "--set=text=second,replicas=2", "--wait", "--timeout=180s")
    helm("test", "web", "--timeout=180s")
    helm("rollback", "web", "1", "--wait", "--timeout=180s")
    releases = json.loads(helm("list", "-o", "json"))
    assert [(r["name"], r["revision"], r["status"]) for r in releases] == [("web", "3", "deployed")]
    assert len(json.loads(helm("history", "web", "-o", "json"))) == 3
    helm("uninstall", "web", "--wait", "--timeout=180s")
    assert json.loads(helm("list", "-o", "json")) == []
