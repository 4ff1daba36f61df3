"""A cluster as `up` makes it, on this machine's Docker: needs root, and ports that nobody else has."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pybernetes.cluster.layout import Layout
from tests import clients
from tests.clients import Kubectl

UP_SECONDS = 300.0


def pybernetes(*arguments: str, code: int = 0) -> str:
    """Runs a command of the project; both outputs."""
    done = subprocess.run(
        [sys.executable, "-m", "pybernetes", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=UP_SECONDS,
    )
    assert done.returncode == code, f"pybernetes {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}"
    return done.stdout


@pytest.fixture(scope="session")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Layout]:
    """Of a running cluster; gone afterwards, with all it made."""
    if os.geteuid() != 0:
        pytest.skip("needs root: containers, interfaces and iptables")
    place = Layout(tmp_path_factory.mktemp("up") / "cluster")
    try:
        print(pybernetes("up", f"--data-dir={place.root}", "--ingress=true"))
        yield place
    finally:
        pybernetes("down", f"--data-dir={place.root}", "--purge")
        left = {path.name for path in place.root.glob("*")} - {".kube"}  # what clients of the tests keep
        assert left == set()


@pytest.fixture(scope="session", params=["kubectl-old", "kubectl", "kubectl-new"])
def kubectl(request: pytest.FixtureRequest, layout: Layout) -> Kubectl:
    """Each kubectl, in a namespace of its own where examples/hello runs."""
    binary = clients.found().get(request.param)
    if binary is None:
        pytest.skip(f"{request.param} is not there: run tools/clients.sh")
    administrator = Kubectl(binary, str(layout.kubeconfig("admin")))
    administrator("create", "namespace", request.param)
    chosen = Kubectl(binary, str(layout.kubeconfig("admin")), request.param)
    hello = Path(__file__).parent.parent.parent / "examples" / "hello"
    assert "deployment.apps/hello created" in chosen("apply", "-f", str(hello))
    chosen("rollout", "status", "deployment/hello", "--timeout=120s")
    return chosen
