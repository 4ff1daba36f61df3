"""Upstream's kube-proxy of 1.20 with our API server: it writes a service's rules, and takes them away again."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from ..netns.namespaces import Namespace, created
from .parts import FOLDER, OURS, cluster, wait, why_not

WHY_NOT = why_not("kube-proxy", "kubeadm", "kubectl")
WHY_NOT = WHY_NOT or ("needs root" if os.geteuid() or not shutil.which("iptables-save") else "")
pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "all of it is there")
CONFIGURATION = """apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {{kubeconfig: {kubeconfig}}}
clusterCIDR: 10.244.0.0/16
conntrack: {{maxPerCore: 0, min: 0, tcpCloseWaitTimeout: 0s, tcpEstablishedTimeout: 0s}}
mode: iptables
bindAddress: 10.255.77.2
"""
SERVICE = """apiVersion: v1
kind: Service
metadata: {name: web}
spec: {clusterIP: 10.96.7.7, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints:
- {addresses: [10.244.1.5], conditions: {ready: true}, nodeName: worker1}
- {addresses: [10.244.1.6], conditions: {ready: false}, nodeName: worker1}
"""


USERSPACE = """apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {{kubeconfig: {kubeconfig}}}
conntrack: {{maxPerCore: 0, min: 0, tcpCloseWaitTimeout: 0s, tcpEstablishedTimeout: 0s}}
mode: userspace
bindAddress: {bind}
portRange: 41000-41999
featureGates: {{EndpointSliceProxying: false}}
"""
SERVICES = """apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: NodePort
  clusterIP: 10.96.7.7
  externalIPs: [198.51.100.7]
  sessionAffinity: ClientIP
  ports: [{name: http, port: 80, targetPort: 8080, nodePort: 30080}, {name: tls, port: 443, nodePort: 30443}]
---
apiVersion: v1
kind: Service
metadata: {name: dns}
spec: {clusterIP: 10.96.7.8, ports: [{port: 53, protocol: UDP}]}
"""
HOST = "10.255.77.2"


@contextmanager
def linked(node: Namespace, number: int) -> Iterator[None]:
    """A way from the namespace to this host, and an address of its own."""
    outside, inside = f"p{number}a", f"p{number}b"
    subprocess.run(
        ["ip", "link", "add", outside, "type", "veth", "peer", "name", inside, "netns", node.name], check=True
    )
    try:
        for command in (f"addr add 10.255.77.1/30 dev {outside}", f"link set {outside} up"):
            subprocess.run(["ip", *command.split()], check=True)
        node.run(f"ip addr add {HOST}/30 dev {inside}; ip link set {inside} up; ip route add default via 10.255.77.1")
        yield
    finally:
        subprocess.run(["ip", "link", "del", outside], check=True)


FILES = 64_000  # upstream's userspace takes no less, where ours takes what there is
FEW_FILES = resource.getrlimit(resource.RLIMIT_NOFILE)[1] < FILES


@pytest.mark.skipif(FEW_FILES, reason=f"upstream's kube-proxy wants {FILES} open files: ulimit -Hn")
@pytest.mark.parametrize("bind", ["0.0.0.0", HOST])
def test_in_userspace_ours_writes_the_same_rules(tmp_path: Path, bind: str) -> None:
    """But for the local ports, which each takes by chance."""
    with cluster(tmp_path) as one:
        one.api_server()
        one.kubectl("apply", "-f", "-", stdin=SERVICES)
        # By its address the node is known on which all are listened on.
        one.kubectl("apply", "-f", "-", stdin="{apiVersion: v1, kind: Node, metadata: {name: w1}}")
        node_now = one.get("node", "w1")
        node_now["status"]["addresses"] = [{"type": "InternalIP", "address": HOST}]
        one.kubectl("replace", "--raw", "/api/v1/nodes/w1/status", "-f", "-", stdin=json.dumps(node_now))
        file = tmp_path / "kube-proxy.yaml"
        file.write_text(USERSPACE.format(kubeconfig=one.admin, bind=bind))
        # One behind the other: both have the same address.
        written = {}
        for name, program in (("theirs", (str(FOLDER / "kube-proxy"),)), ("ours", (*OURS, "kube-proxy"))):
            with created(name) as node, linked(node, one.port), ExitStack() as stack:
                command = ["ip", "netns", "exec", node.name, *program, f"--config={file}", "--hostname-override=w1"]
                log = one.start(name, command, stack)

                def rules(node: Namespace = node) -> list[str]:
                    lines = [line for line in node.run("iptables-save").splitlines() if line.startswith("-A ")]
                    return sorted(re.sub(r"\b41\d{3}\b", "LOCAL", line) for line in lines if "KUBE-" in line)

                wait(f"rules: {log}", lambda: sum("px/" in r or "default/" in r for r in rules()) >= 20)
                written[name] = [rule for rule in rules() if "kubernetes:https" not in rule]
        assert written["ours"] == written["theirs"]


def test_it_writes_the_rules_of_a_service(tmp_path: Path) -> None:
    with created("proxy") as node, cluster(tmp_path) as one, linked(node, one.port):
        one.api_server()
        one.kubectl("apply", "-f", "-", stdin=SERVICE)
        file = tmp_path / "kube-proxy.yaml"
        file.write_text(CONFIGURATION.format(kubeconfig=one.admin))
        proxy = (str(FOLDER / "kube-proxy"), f"--config={file}", "--hostname-override=worker1")
        log = one.start("kube-proxy", ["ip", "netns", "exec", node.name, *proxy])

        def rules(text: str) -> list[str]:
            return [line for line in node.run("iptables-save -t nat").splitlines() if text in line]

        wait("the rules", lambda: rules("--to-destination 10.244.1.5:8080"))
        assert rules("-d 10.96.7.7/32")
        assert not rules("10.244.1.6")
        one.kubectl("delete", "service", "web")
        wait("no rules", lambda: not rules("10.244.1.5"))
        assert not re.search("Failed to (list|watch)|Failed to execute", log.read_text())
