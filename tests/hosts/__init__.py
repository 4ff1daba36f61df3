"""Hosts of their own on one machine: network, mounts, name and processes are namespaces; a bridge joins them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pybernetes
from tests import clients

HERE = Path(__file__).parent
REPOSITORY = HERE.parent.parent
FAMILY = "pybhost-"
PREFIX = f"{FAMILY}{os.getpid()}-"  # of network namespaces, which have names on the machine; all else is the hosts' own
LAN = f"{PREFIX}lan"
GATEWAY = "10.20.0.1"
START_SECONDS = 120.0
COMMAND_SECONDS = 300.0


def unable(programs: Sequence[str]) -> str:
    """Why hosts with these programs cannot be made here, "" where they can."""
    if os.geteuid():
        return "needs root"
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    missing = [program for program in programs if shutil.which(program, path=path) is None]
    if missing:
        return f"needs {', '.join(missing)}: run tools/packages.sh"
    return "" if clients.found() else "needs a kubectl: run tools/clients.sh"


def newest_kubectl() -> str:
    """Of those that there are."""
    found = clients.found()
    return str(next(found[name] for name in ("kubectl-new", "kubectl", "kubectl-old") if name in found))


def run(*command: str) -> str:
    """Output of a command that must succeed."""
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
    return done.stdout


@dataclass
class Host:
    """`address` is its own in 10.20.0.0/24. What runs on it ends with `stop`."""

    name: str
    address: str
    folder: Path
    environment: Mapping[str, str]
    _unshare: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    _init: int = 0

    @property
    def namespace(self) -> str:
        return f"{PREFIX}{self.name}"

    @property
    def init(self) -> int:
        """The pid of its first process, as seen from here."""
        return self._init

    def start(self) -> None:
        """Begins; `wait` until commands can be run."""
        for part in ("memory", "docker"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        run("ip", "netns", "add", self.namespace)
        port = f"to-{self.name}"
        run("ip", "-n", LAN, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", self.namespace)
        run("ip", "-n", LAN, "link", "set", port, "master", "lan", "up")
        run("ip", "-n", self.namespace, "address", "add", f"{self.address}/24", "dev", "eth0")
        run("ip", "-n", self.namespace, "link", "set", "eth0", "up")
        run("ip", "-n", self.namespace, "route", "add", "default", "via", GATEWAY)
        command = ["setpriv", "--pdeathsig=KILL"]  # no host outlives the tests
        command += ["nsenter", f"--net=/run/netns/{self.namespace}", "unshare", "--mount", "--uts", "--ipc", "--pid"]
        command += ["--fork", "--kill-child", "--propagation=private", str(HERE / "host.sh"), self.name]
        command += [str(self.folder), str(REPOSITORY), str(HERE / "standin")]
        with open(self.folder / "log", "ab") as log:
            self._unshare = subprocess.Popen(command, stdout=log, stderr=log, env=dict(self.environment))

    def wait(self) -> None:
        """AssertionError with what it said, if it does not come up."""
        assert self._unshare is not None
        end = time.monotonic() + START_SECONDS
        while not (self.folder / "ready").exists():
            assert self._unshare.poll() is None and time.monotonic() < end, (self.folder / "log").read_text()
            time.sleep(0.02)
        self._init = int(run("pgrep", "-P", str(self._unshare.pid)).split()[0])

    def __call__(self, script: str, seconds: float = COMMAND_SECONDS) -> tuple[int, str]:
        """Exit code and both outputs of a shell script run as root; 137 where it took too long."""
        command = ["nsenter", "-t", str(self._init), "--mount", "--uts", "--ipc", "--net", "--pid"]
        with open(self.folder / "output", "wb+") as output:  # no pipe: what stays in the background would keep it open
            done = subprocess.run(
                [*command, "--wd=/root", "timeout", "--signal=KILL", str(seconds), "bash", "-c", script],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=dict(self.environment),
            )
            output.seek(0)
            return done.returncode, output.read().decode(errors="replace")

    def stop(self) -> None:
        """As by pulling the plug."""
        if self._unshare is not None:
            with suppress(ProcessLookupError):
                os.kill(self._init, signal.SIGKILL)
            self._unshare.wait()
            self._unshare = None
            run("ip", "netns", "delete", self.namespace)


@contextmanager
def lan(folder: Path, addresses: Mapping[str, str], kubectl: str = "") -> Iterator[dict[str, Host]]:
    """The hosts by name, started; all gone afterwards. `kubectl`: theirs, the newest where none is given."""
    _forget_the_dead()
    programs = folder / "clients"
    programs.mkdir()
    (programs / "kubectl").symlink_to(kubectl or newest_kubectl())
    _ssh_keys(folder / "ssh")
    environment = {
        "HOME": "/root",
        "LANG": "C.UTF-8",
        "PATH": f"/usr/local/sbin:/usr/local/bin:{programs}:/usr/sbin:/usr/bin:/sbin:/bin",
        "PYTHONPATH": str(Path(pybernetes.__file__).parent.parent),
    }
    hosts = {name: Host(name, address, folder / name, environment) for name, address in addresses.items()}
    run("ip", "netns", "add", LAN)
    try:
        run("ip", "-n", LAN, "link", "add", "lan", "type", "bridge")
        run("ip", "-n", LAN, "address", "add", f"{GATEWAY}/24", "dev", "lan")
        run("ip", "-n", LAN, "link", "set", "lan", "up")
        for host in hosts.values():
            host.start()
        for host in hosts.values():
            host.wait()
        yield hosts
    finally:
        for host in hosts.values():
            host.stop()
        run("ip", "netns", "delete", LAN)


def _ssh_keys(folder: Path) -> None:
    """One key that every host has and lets in."""
    folder.mkdir()
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "id_ed25519"))
    (folder / "authorized_keys").write_text((folder / "id_ed25519.pub").read_text())
    (folder / "config").write_text("StrictHostKeyChecking no\nUserKnownHostsFile /dev/null\nLogLevel ERROR\n")


def _forget_the_dead() -> None:
    """Names that processes have left which could not clean up."""
    for line in run("ip", "netns", "list").splitlines():
        name = line.split()[0]
        pid = name.removeprefix(FAMILY).partition("-")[0]
        if name.startswith(FAMILY) and pid.isdigit() and not Path(f"/proc/{pid}").exists():
            run("ip", "netns", "delete", name)
