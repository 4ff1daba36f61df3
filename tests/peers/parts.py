"""Parts of one cluster as processes, ours or upstream's, with certificates and kubeconfigs that upstream's kubeadm has written.

Upstream's programs lie in the folder that PYBERNETES_PEERS names (`tools/peers.sh FOLDER all` builds them).
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from ..ports import free_port

FOLDER = Path(os.environ.get("PYBERNETES_PEERS") or "/nonexistent")
SECONDS = 90.0  # for whatever somebody waits for
OURS = (sys.executable, "-m", "pybernetes")


def why_not(*names: str) -> str:
    """Why a test that needs these of upstream's programs cannot run; "" if it can."""
    missing = [name for name in names if not (FOLDER / name).exists()]
    if missing:
        return f"PYBERNETES_PEERS names no folder with upstream's {', '.join(missing)}"
    return "" if host_address() else "kubeadm wants an address that is not of the loopback interface"


def host_address() -> str:
    """That of the default route; "" where there is none. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return ""
        return str(probe.getsockname()[0])


def wait(what: str, condition: Callable[[], Any], seconds: float = SECONDS) -> Any:
    """Its first true value."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        time.sleep(0.2)
    return value


class Cluster:
    """The files of a cluster in a folder, and what runs of it; all of it ends with `stack`."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self.address, self.port = folder, host_address(), free_port()
        self.pki, self.configs, self.configuration = folder / "pki", folder / "kubeconfigs", folder / "kubeadm.yaml"
        self.admin = self.configs / "admin.conf"
        self._stack = stack
        self.configuration.write_text(
            f"""apiVersion: kubeadm.k8s.io/v1beta2
kind: InitConfiguration
localAPIEndpoint: {{advertiseAddress: {self.address}, bindPort: {self.port}}}
nodeRegistration: {{name: master1}}
---
apiVersion: kubeadm.k8s.io/v1beta2
kind: ClusterConfiguration
kubernetesVersion: v1.20.2
certificatesDir: {self.pki}
controlPlaneEndpoint: {self.address}:{self.port}
networking: {{serviceSubnet: 10.96.0.0/16, podSubnet: 10.244.0.0/16}}
"""
        )
        self.phase("certs", "all")
        self.phase("kubeconfig", "all", f"--kubeconfig-dir={self.configs}")

    def upstream(self, *arguments: str) -> str:
        """What one of upstream's programs says."""
        return self._run((str(FOLDER / arguments[0]), *arguments[1:]))

    def ours(self, *arguments: str) -> str:
        """What one of our commands says."""
        return self._run((*OURS, *arguments))

    def phase(self, *arguments: str) -> str:
        """One of kubeadm's init, with this cluster's configuration."""
        return self.upstream("kubeadm", "init", "phase", *arguments, f"--config={self.configuration}")

    def kubectl(self, *arguments: str, stdin: str = "") -> str:
        """Upstream's, as the administrator."""
        return self._run((str(FOLDER / "kubectl"), f"--kubeconfig={self.admin}", *arguments), stdin)

    def get(self, *arguments: str) -> Any:
        """An object; {} where there is none."""
        return json.loads(self.kubectl("get", *arguments, "--ignore-not-found", "-o", "json") or "{}")

    def items(self, *arguments: str) -> list[Any]:
        """The objects of a list."""
        return list(self.get(*arguments).get("items", ()))

    def _run(self, command: Sequence[str], stdin: str = "") -> str:
        answer = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=SECONDS, cwd=self.folder)
        assert answer.returncode == 0, (command, answer.stdout, answer.stderr)
        return answer.stdout

    def start(self, name: str, command: Sequence[str], stack: ExitStack | None = None) -> Path:
        """A process until the end of the stack, or else of the test; its log."""
        log = self.folder / f"{name}.log"
        with open(log, "wb") as file:
            process = subprocess.Popen(command, stdout=file, stderr=file, cwd=self.folder, start_new_session=True)

        def stop() -> None:
            os.killpg(process.pid, signal.SIGTERM)  # a shell waits for what it has started
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

        (stack or self._stack).callback(stop)
        return log

    def api_server(self, *flags: str) -> Path:
        """Ours, with the API of 2020."""
        pki = self.pki
        log = self.start(
            "kube-apiserver",
            [
                *(*OURS, "kube-apiserver", "--store=memory:", "--runtime-config=api/legacy=true"),
                *(f"--advertise-address={self.address}", f"--bind-address={self.address}"),
                *(f"--secure-port={self.port}", "--service-cluster-ip-range=10.96.0.0/16"),
                *(f"--tls-cert-file={pki}/apiserver.crt", f"--tls-private-key-file={pki}/apiserver.key"),
                *(f"--client-ca-file={pki}/ca.crt", "--enable-bootstrap-token-auth=true"),
                "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
                *(f"--service-account-key-file={pki}/sa.pub", f"--service-account-signing-key-file={pki}/sa.key"),
                *("--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction", "--allow-privileged"),
                *flags,
            ],
        )
        wait("the API server", lambda: "serving securely" in log.read_text())
        return log

    def upstream_api_server(self) -> Path:
        """Upstream's, with an etcd of its own."""
        pki, client, peer = self.pki, f"http://127.0.0.1:{free_port()}", f"http://127.0.0.1:{free_port()}"
        etcd = [f"--data-dir={self.folder}/etcd", f"--listen-client-urls={client}", f"--advertise-client-urls={client}"]
        etcd += [
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
        ]
        self.start("etcd", ["etcd", *etcd])
        log = self.start(
            "kube-apiserver",
            [
                str(FOLDER / "kube-apiserver"),
                *(f"--etcd-servers={client}", "--service-cluster-ip-range=10.96.0.0/16", "--allow-privileged"),
                *(
                    f"--advertise-address={self.address}",
                    f"--bind-address={self.address}",
                    f"--secure-port={self.port}",
                ),
                *(f"--tls-cert-file={pki}/apiserver.crt", f"--tls-private-key-file={pki}/apiserver.key"),
                *(f"--client-ca-file={pki}/ca.crt", "--enable-bootstrap-token-auth=true"),
                "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
                *(f"--service-account-key-file={pki}/sa.pub", f"--service-account-signing-key-file={pki}/sa.key"),
                *("--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction"),
            ],
        )
        wait("upstream's API server", self._ready)
        return log

    def _ready(self) -> bool:
        command = [str(FOLDER / "kubectl"), f"--kubeconfig={self.admin}", "get", "--raw=/readyz"]
        return subprocess.run(command, capture_output=True, timeout=SECONDS, check=False).stdout == b"ok"

    def our_controller_manager(self) -> Path:
        """With the flags that kubeadm gives to upstream's; token Secrets, without which a server of 1.20 takes no pods."""
        tokens = "--feature-gates=LegacyServiceAccountTokenNoAutoGeneration=false"
        return self.controller_manager(*OURS, "kube-controller-manager", tokens)

    def our_scheduler(self) -> Path:
        """As the administrator: upstream's role of 1.20 for schedulers has no namespaces, which ours reads."""
        own, admin = self.configs / "scheduler.conf", self.admin.read_text()
        own.write_text(admin)
        return self.scheduler(*OURS, "kube-scheduler")

    def controller_manager(self, *program: str) -> Path:
        """Upstream's, or the `program`, as kubeadm starts it."""
        pki, config = self.pki, self.configs / "controller-manager.conf"
        return self.start(
            "kube-controller-manager",
            [
                *(program or (str(FOLDER / "kube-controller-manager"),)),
                *(f"--{name}={config}" for name in ("kubeconfig", "authentication-kubeconfig")),
                *(f"--authorization-kubeconfig={config}", f"--client-ca-file={pki}/ca.crt"),
                *("--bind-address=127.0.0.1", f"--secure-port={free_port()}", "--port=0"),
                *("--allocate-node-cidrs=true", "--cluster-cidr=10.244.0.0/16"),
                *(f"--cluster-signing-cert-file={pki}/ca.crt", f"--cluster-signing-key-file={pki}/ca.key"),
                *("--controllers=*,bootstrapsigner,tokencleaner", "--use-service-account-credentials=true"),
                *(f"--root-ca-file={pki}/ca.crt", f"--service-account-private-key-file={pki}/sa.key"),
                *("--leader-elect=false", f"--flex-volume-plugin-dir={self.folder}/flexvolume", "--v=2"),
            ],
        )

    def scheduler(self, *program: str) -> Path:
        """Upstream's, or the `program`."""
        config = self.configs / "scheduler.conf"
        return self.start(
            "kube-scheduler",
            [
                *(program or (str(FOLDER / "kube-scheduler"),)),
                *(f"--{name}={config}" for name in ("kubeconfig", "authentication-kubeconfig")),
                f"--authorization-kubeconfig={config}",
                *("--bind-address=127.0.0.1", f"--secure-port={free_port()}", "--port=0", "--leader-elect=false"),
            ],
        )

    def hollow_nodes(self, count: int) -> Path:
        """Ours: hollow-0, hollow-1, ..."""
        hollow = ("--runtime=hollow", f"--hollow-nodes={count}", "--hostname-override=hollow")
        return self.start("kubelet", [*OURS, "kubelet", *hollow, f"--kubeconfig={self.admin}"])


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """With its files, and nothing that runs."""
    with ExitStack() as stack:
        yield Cluster(folder, stack)
