"""The add-ons of `up` at work: figures of what runs, and volumes that outlive their pods."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from pybernetes.cluster.layout import Layout
from tests import clients
from tests.clients import Kubectl

SECONDS = 120.0
CLAIM = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec:
  accessModes: [ReadWriteOnce]
  resources: {requests: {storage: 1Gi}}
"""
POD = """
apiVersion: v1
kind: Pod
metadata: {name: NAME}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 0
  containers:
  - name: c
    image: IMAGE
    command: [/usr/bin/python3, -c, "COMMAND"]
    volumeMounts: [{name: data, mountPath: /data}]
  volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]
"""


@pytest.fixture(scope="module")
def administrator(layout: Layout) -> Kubectl:
    binary = clients.found().get("kubectl")
    if binary is None:
        pytest.skip("kubectl is not there")
    kubectl = Kubectl(binary, str(layout.kubeconfig("admin")))
    kubectl("create", "namespace", "addons")
    return Kubectl(binary, kubectl.kubeconfig, "addons")


def eventually(run: Callable[[], str], holds: Callable[[str], bool]) -> str:
    end = time.monotonic() + SECONDS
    while True:
        try:
            text = run()
            if holds(text):
                return text
            problem = text
        except AssertionError as error:
            problem = str(error)
        assert time.monotonic() < end, problem
        time.sleep(0.5)


def test_what_a_pod_wrote_its_successor_reads(layout: Layout, administrator: Kubectl) -> None:
    image = administrator(
        "get", "deployment/coredns", "-n", "kube-system", "-o", "jsonpath={.spec.template.spec.containers[0].image}"
    )

    def run(name: str, command: str) -> str:
        text = POD.replace("NAME", name).replace("IMAGE", image).replace("COMMAND", command)
        administrator("apply", "-f", "-", stdin=text)
        phase = ("get", f"pod/{name}", "-o", "jsonpath={.status.phase}")
        eventually(lambda: administrator(*phase), lambda text: text == "Succeeded")
        output = administrator("logs", name)
        administrator("delete", "pod", name)
        return output

    administrator("apply", "-f", "-", stdin=CLAIM)
    run("writer", "open('/data/file', 'w').write('kept')")
    assert run("reader", "print(open('/data/file').read())") == "kept\n"
    volume = administrator("get", "pvc/data", "-o", "jsonpath={.spec.volumeName}")
    place = layout.local_path / f"{volume}_addons_data"
    assert (place / "file").read_text() == "kept"
    administrator("delete", "pvc/data")
    administrator("wait", "--for=delete", f"pv/{volume}", "--timeout=180s")
    assert not place.exists()


def test_kubectl_top(administrator: Kubectl) -> None:
    nodes = eventually(lambda: administrator("top", "nodes"), lambda text: len(text.splitlines()) == 2).splitlines()
    assert nodes[0].split() == ["NAME", "CPU(cores)", "CPU(%)", "MEMORY(bytes)", "MEMORY(%)"]
    pods = eventually(lambda: administrator("top", "pods", "-n", "kube-system"), lambda text: "coredns" in text)
    assert "metrics-server" in pods
