"""Into and out of a real cluster: NetworkPolicies and Services of type LoadBalancer, by real packets of real pods."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Callable, Iterator

import pytest

from pybernetes.cluster.layout import Layout
from tests import clients
from tests.clients import Kubectl

SECONDS = 60.0
PAGE = "hello from pybernetes\n"
POLICY = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: hello}
spec:
  podSelector: {matchLabels: {app: hello}}
  ingress:
  - from: [{podSelector: {matchLabels: {may: "yes"}}}]
    ports: [{port: http}]
"""


@pytest.fixture(scope="module")
def asker(layout: Layout) -> Iterator[Kubectl]:
    """With a pod that runs a shell."""
    binary = clients.found().get("kubectl") or clients.found().get("kubectl-new")
    if binary is None:
        pytest.skip("no kubectl: run tools/clients.sh")
    kubectl = Kubectl(binary, str(layout.kubeconfig("admin")))
    kubectl("run", "asker", "--image=pybernetes:local", "--image-pull-policy=Never", "--command", "--", "sleep", "1000")
    kubectl("wait", "--for=condition=Ready", "pod/asker", "--timeout=180s")
    yield kubectl
    kubectl("delete", "pod", "asker", "--grace-period=1")


def until(check: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not check():
        assert time.monotonic() < end
        time.sleep(0.1)


def reaches(kubectl: Kubectl, host: str) -> bool:
    """Whether the pod gets the page from all of the Service's pods that it is led to."""
    once = f"timeout 2 wget -q -O - http://{host}/"  # what is dropped would be waited for
    command = f"{once} && {once} || echo refused"
    return kubectl("exec", "asker", "--", "sh", "-c", command) == 2 * PAGE


def test_a_policy_lets_in_whom_it_names(asker: Kubectl) -> None:
    until(lambda: reaches(asker, "hello"))
    asker("apply", "-f", "-", stdin=POLICY)
    until(lambda: not reaches(asker, "hello"))
    ready = asker("get", "deployment", "hello", "-o", "jsonpath={.status.readyReplicas}")
    assert ready == "3"  # the kubelet's probes pass
    asker("label", "pod", "asker", "may=yes")
    until(lambda: reaches(asker, "hello"))
    asker("label", "pod", "asker", "may-")
    until(lambda: not reaches(asker, "hello"))
    asker("delete", "networkpolicy", "hello")
    until(lambda: reaches(asker, "hello"))


def test_a_load_balancer_has_the_nodes_address(asker: Kubectl) -> None:
    asker(
        "expose", "deployment", "hello", "--name=balanced", "--type=LoadBalancer", "--port=8088", "--target-port=http"
    )
    where = ("get", "service", "balanced", "-o", "jsonpath={.status.loadBalancer.ingress[0].ip}")
    until(lambda: asker(*where) != "")
    node = asker("get", "nodes", "-o", "jsonpath={.items[0].status.addresses[?(@.type=='InternalIP')].address}")
    assert asker(*where) == node

    def answers() -> bool:
        try:
            with urllib.request.urlopen(f"http://{node}:8088/", timeout=2) as answer:
                return bool(answer.read() == PAGE.encode())
        except OSError:
            return False

    until(answers)
    assert "Ensured load balancer" in asker("get", "events", "-o", "custom-columns=M:.message")
    asker("delete", "service", "balanced")
    until(lambda: not answers())
