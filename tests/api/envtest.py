"""envtest's calls, one after the other, as releases of controller-runtime make them.

Read in sigs.k8s.io/controller-runtime: pkg/envtest/server.go (the order), and of pkg/internal/testing controlplane (flags, certificates, users,
kubectl), process (--help, health, end) and addr (ports); until 0.8 these are pkg/internal/testing/integration.
"""

import http.client
import os
import re
import signal
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from pybernetes.cluster.credentials import kubeconfig
from pybernetes.testing.certificates import Authority

from ..ports import free_port

START_SECONDS = STOP_SECONDS = 60.0  # envtest has 20 for each; a machine that runs other suites, too, takes its time
POLL_SECONDS = 0.1
STARTED = "serving insecure client requests on "
HOST = "127.0.0.1"


@dataclass(frozen=True)
class Release:
    """What differs between them."""

    name: str
    secured: bool  # users have certificates, and the server no other port; else all go through --insecure-port
    server: tuple[str, ...] = ()  # further flags of kube-apiserver
    peer_port: bool = False  # etcd is given a port of its own for members that it has not
    group: bool = False  # processes are signalled with all that they have started


RELEASES = (
    Release("0.2.0", False, ("--admission-control=AlwaysAdmit",)),
    Release(
        "0.8.3",
        False,
        (
            "--advertise-address=127.0.0.1",
            "--disable-admission-plugins=ServiceAccount",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--allow-privileged=true",
        ),
    ),
    Release("0.13.0", True),
    Release("0.25.0", True, peer_port=True, group=True),
)


@dataclass
class Process:
    """One that envtest has started; `output` is what it has written to both streams."""

    popen: subprocess.Popen[str]
    group: bool
    output: str = ""
    reader: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        assert self.popen.stdout
        for line in self.popen.stdout:
            self.output += line

    def await_(self, holds: Callable[[], bool]) -> None:
        """AssertionError with its output where it ends before, or too much time is over."""
        end = time.monotonic() + START_SECONDS
        while not holds():
            assert self.popen.poll() is None, f"it has ended: {self.output}"
            assert time.monotonic() < end, f"not there after {START_SECONDS:g} s: {self.output}"
            time.sleep(POLL_SECONDS)

    def stop(self) -> int:
        """The exit code. subprocess.TimeoutExpired where it does not end in time."""
        if self.group:
            os.killpg(self.popen.pid, signal.SIGTERM)
        else:
            self.popen.terminate()
        code = self.popen.wait(STOP_SECONDS)
        self.reader.join(STOP_SECONDS)
        assert self.popen.stdout
        self.popen.stdout.close()
        return code


class ControlPlane:
    """etcd and the API server of one suite, each in a folder of its own."""

    def __init__(self, assets: Path, folder: Path, release: Release) -> None:
        self.assets, self.release = assets, release
        self.data, self.certs = folder / "etcd", folder / "apiserver"
        for made in (self.data, self.certs):
            made.mkdir(parents=True)
        self.etcd_url = f"http://{HOST}:{free_port()}"
        self.port, self.secure_port = free_port(), free_port()
        self.serving, self.accounts, self.clients = (Authority(name, datetime.now(UTC)) for name in ("s", "a", "c"))
        self.etcd: Process
        self.server: Process

    @property
    def url(self) -> str:
        """Where clients find the API server."""
        return f"https://{HOST}:{self.secure_port}" if self.release.secured else f"http://{HOST}:{self.port}"

    def start_etcd(self) -> None:
        peer = f"http://{HOST}:{free_port()}" if self.release.peer_port else "http://localhost:0"
        flags = {
            "advertise-client-urls": self.etcd_url,
            "data-dir": str(self.data),
            "listen-client-urls": self.etcd_url,
            "listen-peer-urls": peer,
        }
        if self.release.secured and self.has_flag("etcd", "unsafe-no-fsync"):
            flags["unsafe-no-fsync"] = "true"
        self.etcd = self.run("etcd", [f"--{name}={value}" for name, value in sorted(flags.items())])
        if self.release.secured:
            self.etcd.await_(lambda: answers(f"{self.etcd_url}/health"))
        else:
            self.etcd.await_(lambda: STARTED in self.etcd.output)

    def start_server(self) -> None:
        """Its certificates are made once, and kept when it starts again."""
        if not (self.certs / "apiserver.crt").exists():
            pair = self.serving.serving(["localhost"], [HOST])
            (self.certs / "apiserver.crt").write_bytes(pair.certificate)
            (self.certs / "apiserver.key").write_bytes(pair.key)
        flags = self.secured_flags() if self.release.secured else self.insecure_flags()
        self.server = self.run("kube-apiserver", flags)
        self.server.await_(lambda: answers(f"{self.url}/healthz"))

    def insecure_flags(self) -> list[str]:
        return [
            f"--etcd-servers={self.etcd_url}",
            f"--cert-dir={self.certs}",
            f"--insecure-port={self.port}",
            f"--insecure-bind-address={HOST}",
            f"--secure-port={self.secure_port}",
            *self.release.server,
        ]

    def secured_flags(self) -> list[str]:
        (self.certs / "sa-signer.crt").write_bytes(self.accounts.pem)
        (self.certs / "sa-signer.key").write_bytes(self.accounts.key)
        (self.certs / "client-cert-auth-ca.crt").write_bytes(self.clients.pem)
        flags = {
            "allow-privileged": "true",
            "authorization-mode": "RBAC",
            "bind-address": HOST,
            "cert-dir": str(self.certs),
            "client-ca-file": str(self.certs / "client-cert-auth-ca.crt"),
            "disable-admission-plugins": "ServiceAccount",
            "etcd-servers": self.etcd_url,
            "secure-port": str(self.secure_port),
            "service-account-issuer": f"{self.url}/",
            "service-account-key-file": str(self.certs / "sa-signer.crt"),
            "service-account-signing-key-file": str(self.certs / "sa-signer.key"),
            "service-cluster-ip-range": "10.0.0.0/24",
        }
        if self.has_flag("kube-apiserver", "insecure-port"):
            flags["insecure-port"] = "0"
        return [f"--{name}={value}" for name, value in sorted(flags.items())]

    def has_flag(self, program: str, flag: str) -> bool:
        """envtest's look into --help."""
        text = subprocess.run(
            [self.assets / program, "--help"], capture_output=True, text=True, check=True, timeout=START_SECONDS
        )
        return re.search(rf"(?m)^\s*--{flag}\b", text.stdout + text.stderr) is not None

    def run(self, program: str, flags: list[str]) -> Process:
        popen = subprocess.Popen(
            [self.assets / program, *flags],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=self.release.group,
        )
        return Process(popen, self.release.group)

    def kubectl(self, *arguments: str, user: str = "admin", groups: tuple[str, ...] = ("system:masters",)) -> str:
        """What it prints. subprocess.CalledProcessError."""
        if self.release.secured:
            file = self.certs / f"{user}.kubecfg"
            pair = self.clients.client(user, list(groups))
            file.write_text(kubeconfig(self.url, self.serving.pem, user, pair))
            options = [f"--kubeconfig={file}"]
        else:
            options = [f"--server={self.url}"]
        command = [str(self.assets / "kubectl"), *options, *arguments]
        environment = {**os.environ, "NO_PROXY": HOST, "KUBECONFIG": os.devnull}
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=START_SECONDS, env=environment
        )
        return done.stdout


@contextmanager
def control_plane(assets: Path, folder: Path, release: Release) -> Iterator[ControlPlane]:
    """Started, and ended as envtest ends it; AssertionError where a program does not end well."""
    plane = ControlPlane(assets, folder, release)
    plane.start_etcd()
    try:
        plane.start_server()
        try:
            yield plane
        finally:
            server = plane.server.stop()
        assert server == 0, plane.server.output
    finally:
        code = plane.etcd.stop()
    assert code in (0, -signal.SIGTERM), plane.etcd.output  # a real etcd hands the signal on to itself


def answers(url: str) -> bool:
    """Whether there comes a 200, whoever vouches for the server."""
    parts = urlsplit(url)
    assert parts.hostname
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection(parts.hostname, parts.port, context=context, timeout=START_SECONDS)
    else:
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=START_SECONDS)
    try:
        connection.request("GET", parts.path)
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
