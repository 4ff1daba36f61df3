"""Gathers the facts about a host (`diagnosis.py` judges them). What cannot be seen is left out of them, never guessed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

from pybernetes.api.errors import StatusError
from pybernetes.api.types import coordination_v1 as coordination
from pybernetes.api.types import core_v1 as core
from pybernetes.client.http import HTTPClient
from pybernetes.client.kubeconfig import Config, ConfigError, load
from pybernetes.client.rest import RESTClient
from pybernetes.pki.certificates import Leaf

from . import diagnosis, kubeconfigfile, statuslines
from .diagnosis import ETCD, MASTER, NODE, Certificate, Disk, Facts, Listener

ASK_SECONDS = 3.0
TOOL_SECONDS = 5.0
DISKS = ("/", "/var/lib/etcd", "/var/lib/kubelet", "/var/lib/docker", "/var/log")
PARTS = ("kube-apiserver", "etcd")  # whose descriptors many clients use up
KUBELET_PEM = "kubelet-client-current.pem"
SBIN = "/usr/local/sbin:/usr/sbin:/sbin"


async def facts(kubeconfig: Path, kubernetes: Path, kubelet: Path, name: str) -> Facts:
    """Of this host; `kubernetes` is /etc/kubernetes, `kubelet` the kubelet's directory, `name` the node's."""
    host = roles(kubernetes)
    listeners = list(listening())
    seen = Facts(
        roles=host,
        listeners=listeners,
        programs=frozenset(_there(program for programs in diagnosis.PROGRAMS.values() for program in programs)),
        disks=list(_disks()),
        open_files=dict(_open_files(listeners)),
        inotify_instances=_number(Path("/proc/sys/fs/inotify/max_user_instances")),
        ip_forward=_switch(Path("/proc/sys/net/ipv4/ip_forward")),
        bridge_calls=_switch(Path("/proc/sys/net/bridge/bridge-nf-call-iptables")),
        iptables_problem=_iptables() if NODE in host else "",
        certificates=[*_certificates(kubernetes), *_kubelets(kubelet)],
        node_name=name if NODE in host else "",
    )
    return await _asked(seen, kubeconfig)


def roles(kubernetes: Path) -> frozenset[str]:
    """By the files that init and join leave."""
    signs = {MASTER: "pki/apiserver.crt", ETCD: "pki/etcd/server.crt", NODE: "kubelet.conf"}
    return frozenset(role for role, file in signs.items() if (kubernetes / file).exists())


def listening(proc: Path = Path("/proc")) -> Iterator[Listener]:
    """All TCP ports that somebody listens on in this network namespace; whose they are, where this user may see it."""
    sockets: dict[str, int] = {}
    for table in ("net/tcp", "net/tcp6"):
        with contextlib.suppress(OSError):  # without IPv6
            for line in (proc / table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A":
                    sockets[fields[9]] = int(fields[1].rpartition(":")[2], 16)
    owners: dict[str, int] = {}
    for folder in proc.glob("[0-9]*"):
        for target in _descriptors(folder):
            if target.startswith("socket:["):
                owners.setdefault(target[8:-1], int(folder.name))
    for inode, port in sorted(sockets.items(), key=lambda pair: pair[1]):
        pid = owners.get(inode, 0)
        yield Listener(port, pid, _command(proc, pid) if pid else "")


def _descriptors(process: Path) -> Iterator[str]:
    """What its descriptors are; none of one that is gone meanwhile, or another user's."""
    try:
        names = os.listdir(process / "fd")
    except OSError:
        return
    for name in names:
        with contextlib.suppress(OSError):  # closed meanwhile
            yield os.readlink(process / "fd" / name)


def _command(proc: Path, pid: int) -> str:
    """Parts that a supervisor has forked have its command line, and their own name as that of the thread."""
    try:
        words = (proc / str(pid) / "cmdline").read_bytes().decode(errors="replace").split("\0")
        thread = (proc / str(pid) / "comm").read_text().strip()
    except OSError:
        return ""
    return " ".join(word for word in (*words, f"[{thread}]") if word)


def _there(programs: Iterable[str]) -> Iterator[str]:
    path = f"{os.environ.get('PATH', os.defpath)}:{SBIN}"
    return (program for program in programs if shutil.which(program, path=path))


def _disks() -> Iterator[Disk]:
    seen = set()
    for path in DISKS:
        try:
            device, usage = os.stat(path).st_dev, os.statvfs(path)
        except OSError:
            continue  # it is not there
        if device not in seen:
            seen.add(device)
            size, free = usage.f_blocks * usage.f_frsize, usage.f_bavail * usage.f_frsize
            yield Disk(path, size, free, usage.f_files, usage.f_favail)


def _open_files(listeners: Iterable[Listener]) -> Iterator[tuple[str, int]]:
    for part in PARTS:
        pid = next((one.pid for one in listeners if one.pid and part in one.command), 0)
        with contextlib.suppress(OSError, StopIteration, ValueError):
            lines = Path(f"/proc/{pid}/limits").read_text().splitlines()
            yield part, int(next(line for line in lines if line.startswith("Max open files")).split()[3])


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _switch(path: Path) -> bool | None:
    number = _number(path)
    return None if number is None else bool(number)


def _iptables() -> str:
    """What the program says where it cannot list the rules; "" also where it is not there, which is told apart."""
    program = shutil.which("iptables", path=f"{os.environ.get('PATH', os.defpath)}:{SBIN}")
    if program is None:
        return ""
    try:
        done = subprocess.run([program, "-w", "-t", "nat", "-S"], capture_output=True, text=True, timeout=TOOL_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return "" if done.returncode == 0 else (done.stderr.strip().splitlines() or ["it fails"])[0]


def _certificates(kubernetes: Path) -> Iterator[Certificate]:
    pki = kubernetes / "pki"
    for path in sorted(pki.rglob("*.crt")):
        yield _certificate(str(path.relative_to(pki).with_suffix("")).replace("/", "-"), path, path.read_bytes)
    for path in sorted(kubernetes.glob("*.conf")):
        yield from _held(path)


def _held(path: Path) -> Iterator[Certificate]:
    import base64

    import yaml

    try:
        context = kubeconfigfile.current(yaml.safe_load(path.read_text()))
        data = context[1].get("client-certificate-data") if context is not None else None
        if data:
            yield _certificate(path.name, path, lambda: base64.b64decode(data, validate=True))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        yield Certificate(path.name, problem=f"{path} cannot be read: {' '.join(str(error).split())}")


def _kubelets(kubelet: Path) -> Iterator[Certificate]:
    path = kubelet / "pki" / KUBELET_PEM
    if path.exists():
        yield _certificate("kubelet", path, path.read_bytes)


def _certificate(name: str, path: Path, read: Callable[[], bytes]) -> Certificate:
    try:
        leaf = Leaf.of(read())
    except (OSError, ValueError) as error:
        return Certificate(name, problem=f"{path} cannot be read: {error}")
    return Certificate(name, leaf.begins, leaf.ends)


async def _asked(seen: Facts, kubeconfig: Path) -> Facts:
    """With what an API server's answers tell."""
    if not kubeconfig.exists():
        return seen
    try:
        config = load(kubeconfig)
    except ConfigError as error:
        return replace(seen, api_server=str(kubeconfig), api_problem=str(error))
    seen = replace(seen, api_server=config.server)
    try:
        seen = replace(seen, api_offset=await clock_offset(config))
    except (ConfigError, ConnectionError, TimeoutError, OSError) as error:
        return replace(seen, api_problem=str(error) or type(error).__name__)
    return await _with_node(seen, config) if seen.node_name else seen


async def clock_offset(config: Config) -> timedelta | None:
    """The API server's clock less this host's: 0 where the Date of its answer lies within the second that it took, None where it says none."""
    client = HTTPClient(config.server, config.ssl_context(), config.tls_server_name)
    try:
        before, begin = datetime.now(UTC), time.monotonic()
        answer = await client.request("GET", "/livez", timeout=ASK_SECONDS)
        after = before + timedelta(seconds=time.monotonic() - begin)
    finally:
        await client.close()
    try:
        said = parsedate_to_datetime(answer.headers.get("date", ""))
    except ValueError:
        return None
    latest = said + timedelta(seconds=1)  # the header has whole seconds
    if said > after:
        return said - after
    return latest - before if latest < before else timedelta(0)


async def _with_node(seen: Facts, config: Config) -> Facts:
    client = RESTClient(config, "pybernetes-doctor", timeout=ASK_SECONDS)
    try:
        await client.get(core.Node, seen.node_name)
        seen = replace(seen, node_known=True)
        lease = await client.get(coordination.Lease, seen.node_name, "kube-node-lease")
        return replace(seen, lease_renewed=statuslines.renewed_at(lease))
    except StatusError as error:
        if error.code != 404:
            return replace(seen, api_problem=str(error))
        return replace(seen, node_known=bool(seen.node_known))
    except (ConnectionError, TimeoutError, OSError) as error:
        return replace(seen, api_problem=str(error) or type(error).__name__)
    finally:
        await client.close()


def gathered(kubeconfig: Path, kubernetes: Path, kubelet: Path, name: str) -> Facts:
    """`facts`, from a command."""
    return asyncio.run(facts(kubeconfig, kubernetes, kubelet, name))
