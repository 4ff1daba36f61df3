"""A kubelet as a process on Docker: what a user does with kubectl, restarts, and that nothing is left behind."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

from pybernetes.kubelet import cleanup
from pybernetes.kubelet.runtime.docker import DockerRuntime

from .engine import endpoint
from .node import BRIDGE, CIDR
from .replay import outcomes

IMAGE = "busybox:1.29"
MAX_PIDS = 60
NODE = "localhost"  # a name that the API server can reach
PORT, HEALTH_PORT, FORWARDED, HOST_PORT = 21690, 21691, 21692, 21693
PATIENCE = 60.0

pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")


def until(what: str, holds: Callable[[], Any]) -> Any:
    end = time.monotonic() + PATIENCE
    while not (found := holds()):
        assert time.monotonic() < end, f"never: {what}"
        time.sleep(0.05)
    return found


class Node:
    """An API server and a kubelet, each a process."""

    def __init__(self, folder: Path, flags: Sequence[str] = ()) -> None:
        """`flags` are the kubelet's, beside those of every test."""
        self.folder, self.flags = folder, flags
        self.server = subprocess.Popen(
            [sys.executable, "-m", "pybernetes", "testserver", "--json"], stdout=subprocess.PIPE, text=True
        )
        assert self.server.stdout is not None
        self.kubeconfig = json.loads(self.server.stdout.readline())["kubeconfig"]
        self.kubelet = self.start()

    def start(self) -> subprocess.Popen[str]:
        with (self.folder / "kubelet.log").open("a") as log:
            return self._popen(log)

    def _popen(self, log: IO[str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [
                *(sys.executable, "-m", "pybernetes", "kubelet", f"--kubeconfig={self.kubeconfig}"),
                *(
                    f"--hostname-override={NODE}",
                    f"--root-dir={self.folder}/root",
                    f"--pod-logs-dir={self.folder}/logs",
                ),
                *(f"--docker-endpoint={endpoint()}", f"--pod-cidr={CIDR}", f"--pod-bridge={BRIDGE}"),
                *(f"--port={PORT}", f"--healthz-port={HEALTH_PORT}"),
                *("--anonymous-auth", "--authorization-mode=AlwaysAllow", "--cluster-dns=10.96.0.10"),
                f"--pod-max-pids={MAX_PIDS}",
                "--eviction-hard=memory.available<1Mi",  # how full the machine's disk is is no business of these tests
                *self.flags,
            ],
            stderr=log,
            text=True,
        )

    def kubectl(self, *arguments: str, stdin: str = "", check: bool = True) -> str:
        done = subprocess.run(
            ["kubectl", "--kubeconfig", self.kubeconfig, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert not check or done.returncode == 0, done.stderr
        return done.stdout

    def run(self, name: str, script: str, **more: Any) -> None:
        container = {"name": "c", "image": IMAGE, "command": ["sh", "-c", script], **more}
        spec = {"nodeName": NODE, "terminationGracePeriodSeconds": 1, "containers": [container]}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
        self.kubectl("apply", "-f", "-", stdin=json.dumps(pod))
        self.kubectl("wait", "--for=condition=Ready", f"pod/{name}", f"--timeout={PATIENCE:.0f}s")

    def close(self) -> None:
        self.kubelet.terminate()
        self.kubelet.wait(PATIENCE)
        self.server.terminate()
        self.server.communicate(timeout=PATIENCE)


def containers() -> list[str]:
    listed = ["docker", "-H", endpoint(), "ps", "-aq", "--filter", "label=io.kubernetes.pod.uid"]
    return sorted(subprocess.run(listed, capture_output=True, text=True, check=True).stdout.split())


def clean(folder: Path) -> None:
    async def main() -> None:
        runtime = DockerRuntime(endpoint())
        try:
            await cleanup.clean(runtime, f"{folder}/root", BRIDGE)
        finally:
            await runtime.close()

    asyncio.run(main())


@contextmanager
def running(folder: Path, flags: Sequence[str] = ()) -> Iterator[Node]:
    node = Node(folder, flags)
    try:
        until("the node is registered", lambda: NODE in node.kubectl("get", "nodes", "-o", "name"))
        node.kubectl("create", "serviceaccount", "default", check=False)
        node.kubectl("create", "configmap", "kube-root-ca.crt", "--from-literal=ca.crt=x", check=False)
        yield node
    finally:
        node.close()
        clean(folder)


@pytest.fixture(scope="module", autouse=True)
def images() -> None:
    """The images of the recordings; they stay."""
    asyncio.run(outcomes([]))


def test_a_day_with_kubectl(tmp_path: Path) -> None:
    with running(tmp_path) as node:
        node.run("p", "echo hello; mkdir /www; echo web > /www/f; exec httpd -f -p 127.0.0.1:8080 -h /www")
        assert node.kubectl("logs", "p") == "hello\n"
        assert node.kubectl("exec", "p", "--", "cat", "/www/f") == "web\n"
        assert node.kubectl("exec", "-i", "p", "--", "cat", stdin="typed") == "typed"
        failed = subprocess.run(
            ["kubectl", "--kubeconfig", node.kubeconfig, "exec", "p", "--", "sh", "-c", "exit 3"], capture_output=True
        )
        assert failed.returncode == 3
        (tmp_path / "sent").write_text("copied")
        node.kubectl("cp", f"{tmp_path}/sent", "default/p:/received")
        node.kubectl("cp", "default/p:/received", f"{tmp_path}/back")
        assert (tmp_path / "back").read_text() == "copied"
        forward = subprocess.Popen(
            ["kubectl", "--kubeconfig", node.kubeconfig, "port-forward", "pod/p", f"{FORWARDED}:8080"],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert forward.stdout is not None
            forward.stdout.readline()
            with urllib.request.urlopen(f"http://127.0.0.1:{FORWARDED}/f", timeout=PATIENCE) as answer:
                assert answer.read() == b"web\n"  # it listens on the pod's loopback alone
        finally:
            forward.terminate()
            forward.communicate()
        with urllib.request.urlopen(f"http://127.0.0.1:{HEALTH_PORT}/healthz", timeout=PATIENCE) as answer:
            assert answer.read() == b"ok"
        node.kubectl("debug", "p", f"--image={IMAGE}", "--target=c", "-c", "debugger", "--", "ps")
        shown = until("the debugger's log", lambda: node.kubectl("logs", "p", "-c", "debugger", check=False))
        assert "httpd" in shown  # it sees the target's processes


def test_variables_from_a_file_that_an_init_container_writes(tmp_path: Path) -> None:
    with running(tmp_path) as node:
        mount = {"name": "v", "mountPath": "/data"}
        write = "printf \"# made\\nADDRESS='a.b'\\nTWO='one\\n two'\\n\" > /data/vars"
        writer = {"name": "w", "image": IMAGE, "command": ["sh", "-c", write], "volumeMounts": [mount]}
        env = [
            {
                "name": name,
                "valueFrom": {"fileKeyRef": {"volumeName": "v", "path": "vars", "key": name, "optional": maybe}},
            }
            for name, maybe in (("ADDRESS", False), ("TWO", False), ("NONE", True))
        ]
        shown = 'echo "$ADDRESS/$TWO/${NONE-unset}"'
        reader = {"name": "c", "image": IMAGE, "command": ["sh", "-c", shown], "env": env}
        spec = {"nodeName": NODE, "restartPolicy": "Never", "initContainers": [writer], "containers": [reader]}
        spec["volumes"] = [{"name": "v", "emptyDir": {}}]
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec}
        node.kubectl("apply", "-f", "-", stdin=json.dumps(pod))
        node.kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/p", f"--timeout={PATIENCE:.0f}s")
        assert node.kubectl("logs", "p") == "a.b/one\n two/unset\n"


def test_an_image_as_a_volume(tmp_path: Path) -> None:
    """Its files, whole and by a part of it, which nobody can write; an engine without mounts of images is told of in words."""
    shown = subprocess.run(
        ["docker", "-H", endpoint(), "version", "--format={{.Server.APIVersion}}"], capture_output=True, text=True
    )
    mounts = [{"name": "i", "mountPath": "/whole"}, {"name": "i", "mountPath": "/part", "subPath": "etc"}]
    script = (
        "cmp /whole/etc/passwd /part/passwd && echo same; touch /whole/x 2>/dev/null || echo unwritable; sleep 3600"
    )
    main = {"name": "c", "image": IMAGE, "command": ["sh", "-c", script], "volumeMounts": mounts}
    spec = {"nodeName": NODE, "containers": [main], "volumes": [{"name": "i", "image": {"reference": IMAGE}}]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec}
    with running(tmp_path) as node:
        node.kubectl("apply", "-f", "-", stdin=json.dumps(pod))
        if tuple(int(part) for part in shown.stdout.split(".")) < (1, 48):
            text = "image volumes are not supported by this Docker engine: it has no mounts of images"
            until("it is refused", lambda: f"Error: {text}" in node.kubectl("get", "events"))
            return
        until("it has looked", lambda: node.kubectl("logs", "p", check=False) == "same\nunwritable\n")


def test_a_sidecar_outlives_what_it_serves(tmp_path: Path) -> None:
    shared = {"name": "e", "mountPath": "/shared"}
    loop = "touch /shared/ready; while :; do sleep 0.1; done"
    main = {"name": "c", "image": IMAGE, "volumeMounts": [shared]}
    main["command"] = ["sh", "-c", f"trap 'sleep 2; echo ends > /shared/main; exit' TERM; {loop}"]
    main["readinessProbe"] = {"exec": {"command": ["test", "-e", "/shared/ready"]}, "periodSeconds": 1}
    sidecar = {"name": "s", "image": IMAGE, "restartPolicy": "Always", "volumeMounts": [shared]}
    sidecar["command"] = [
        "sh",
        "-c",
        "trap 'cat /shared/main > /dev/termination-log; exit' TERM; while :; do sleep 0.1; done",
    ]
    spec = {
        "nodeName": NODE,
        "initContainers": [sidecar],
        "containers": [main],
        "volumes": [{"name": "e", "emptyDir": {}}],
    }
    metadata = {"name": "p", "finalizers": ["example.com/stays"]}
    with running(tmp_path) as node:
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
        node.kubectl("apply", "-f", "-", stdin=json.dumps(pod))
        node.kubectl("wait", "--for=condition=Ready", "pod/p", f"--timeout={PATIENCE:.0f}s")
        node.kubectl("delete", "pod", "p", "--wait=false")
        message = "jsonpath={.status.initContainerStatuses[0].state.terminated.message}"
        until("the sidecar ends", lambda: node.kubectl("get", "pod", "p", "-o", message))
        assert node.kubectl("get", "pod", "p", "-o", message) == "ends\n"
        node.kubectl("patch", "pod", "p", "--type=merge", "-p", '{"metadata":{"finalizers":null}}')


def test_what_a_container_writes_is_limited_and_a_second_deletion_shortens_the_first(tmp_path: Path) -> None:
    with running(tmp_path) as node:
        node.run("d", "trap '' TERM; while :; do sleep 1; done")
        node.kubectl("delete", "pod", "d", "--wait=false", "--grace-period=3600")
        node.kubectl("delete", "pod", "d", "--wait=false", "--grace-period=1")
        until("it is gone", lambda: not node.kubectl("get", "pod", "d", "--ignore-not-found", "-o", "name"))
        writer = {"name": "c", "image": IMAGE, "command": ["sh", "-c", "head -c 3000000 /dev/zero > /f; sleep 3600"]}
        writer["resources"] = {"limits": {"ephemeral-storage": "1Mi"}}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "w"}}
        pod["spec"] = {"nodeName": NODE, "containers": [writer], "terminationGracePeriodSeconds": 3600}
        node.kubectl("apply", "-f", "-", stdin=json.dumps(pod))
        text = "jsonpath={.status.reason}: {.status.message}"
        until("it is evicted", lambda: node.kubectl("get", "pod", "w", "-o", text).startswith("Evicted: Pod ephemeral"))


def test_limits_hold_and_change_in_place(tmp_path: Path) -> None:
    with running(tmp_path) as node:
        limits = {"cpu": "500m", "memory": "64Mi"}
        node.run("p", "sleep 3600", resources={"requests": limits, "limits": limits})
        many = f"for i in $(seq {2 * MAX_PIDS}); do sleep 30 & done; echo started"
        failed = subprocess.run(
            ["kubectl", "--kubeconfig", node.kubeconfig, "exec", "p", "--", "sh", "-c", many],
            capture_output=True,
            text=True,
        )
        assert "an't fork" in failed.stderr and "started" not in failed.stdout
        more = {"cpu": "700m", "memory": "96Mi"}
        patch = {"spec": {"containers": [{"name": "c", "resources": {"requests": more, "limits": more}}]}}
        node.kubectl("patch", "pod", "p", "--subresource=resize", "--type=strategic", "-p", json.dumps(patch))

        def resized() -> bool:
            status = json.loads(node.kubectl("get", "pod", "p", "-o", "json"))["status"]["containerStatuses"][0]
            return bool(status["resources"]["limits"] == more)

        until("the status tells of the new limits", resized)
        uid = node.kubectl("get", "pod", "p", "-o", "jsonpath={.status.containerStatuses[0].containerID}").partition(
            "//"
        )[2]
        inspect = [
            "docker",
            "-H",
            endpoint(),
            "inspect",
            uid,
            "--format={{.HostConfig.CpuQuota}} {{.HostConfig.Memory}}",
        ]
        shown = subprocess.run(inspect, capture_output=True, text=True, check=True).stdout
        assert shown.split() == ["70000", str(96 << 20)]
        assert node.kubectl("get", "pod", "p", "-o", "jsonpath={.status.containerStatuses[0].restartCount}") == "0"
        namespaced = {"name": "u", "image": IMAGE}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "u"}}
        pod["spec"] = {"nodeName": NODE, "hostUsers": False, "containers": [namespaced]}
        node.kubectl("apply", "-f", "-", stdin=json.dumps(pod))
        text = "Failed to create pod sandbox: the default runtime handler does not support user namespaces"
        until("it is refused", lambda: text in node.kubectl("get", "events"))


def test_a_host_port_answers(tmp_path: Path) -> None:
    with running(tmp_path) as node:
        ports = [{"containerPort": 9090, "hostPort": HOST_PORT}]
        node.run("p", "mkdir /www; echo web > /www/f; exec httpd -f -p 9090 -h /www", ports=ports)

        def answered() -> bytes:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{HOST_PORT}/f", timeout=10) as answer:
                    return bytes(answer.read())
            except OSError:
                return b""

        assert until("the port answers", answered) == b"web\n"


def test_a_restart_kills_nothing_and_deletion_leaves_nothing(tmp_path: Path) -> None:
    with running(tmp_path) as node:
        node.run("p", "sleep 3600")
        before = containers()
        address = node.kubectl("get", "pod", "p", "-o", "jsonpath={.status.podIP}")
        node.kubelet.kill()
        node.kubelet.wait(PATIENCE)
        assert containers() == before
        node.kubelet = node.start()
        node.run("q", "sleep 3600")
        assert set(before) < set(containers())
        status = json.loads(node.kubectl("get", "pod", "p", "-o", "json"))["status"]
        assert (status["podIP"], status["containerStatuses"][0]["restartCount"]) == (address, 0)
        node.kubectl("delete", "pod", "p", "q")
        until("the containers are gone", lambda: not containers())
        until("the directories are gone", lambda: not os.listdir(tmp_path / "root/pods"))
        assert [name for name in os.listdir(tmp_path / "root/network") if name != "last"] == []
        assert str(tmp_path) not in Path("/proc/mounts").read_text()


def test_cleaning_removes_running_pods(tmp_path: Path) -> None:
    with running(tmp_path) as node:
        node.run("p", "sleep 3600")
        node.close()
        assert containers()
        clean(tmp_path)
        assert not containers()
        links = subprocess.run(["ip", "-br", "link"], capture_output=True, text=True, check=True).stdout
        assert BRIDGE not in links
        rules = subprocess.run(["iptables-save"], capture_output=True, text=True, check=True).stdout
        assert "PYBERNETES" not in rules
        assert not (tmp_path / "root/pods").exists()
