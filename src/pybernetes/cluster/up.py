"""`pybernetes up`: from nothing to a cluster that serves; repeatable, and every step finds out what is done already."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from pybernetes import files
from pybernetes.api.errors import StatusError
from pybernetes.api.types import apps_v1 as apps
from pybernetes.api.types import core_v1 as core
from pybernetes.client.kubeconfig import load
from pybernetes.client.rest import RESTClient
from pybernetes.kubelet.network.cni import directory
from pybernetes.pki.files import write

from . import addons, apply, contents, credentials, hello, host, ports, preflight, signs, state
from .down import clean_host
from .host import HostError
from .layout import Layout
from .ports import PortTaken
from .progress import Progress
from .settings import ClusterConfig, conflicts, merged, problems
from .stopping import ClusterError, stop_supervisor

if TYPE_CHECKING:
    from .image import ImageInfo

T = TypeVar("T")

START_SECONDS = 60.0  # for the API server, on a machine that is busy
NODE_SECONDS = 60.0
LOGS = "logs: pybernetes logs PART"
WORKLOAD_SECONDS = 180.0
POLL_SECONDS = 0.05
DNS_SECONDS = 1.0  # for an answer; then it is asked again
DOCKER_ROOT = Path("/var/lib/docker")  # where its daemon keeps images and logs unless told otherwise
HOLLOW_NODES = 3  # where there can be no containers and no number was asked for


@dataclass(frozen=True, slots=True)
class UpOptions:
    """The command line. `changes` has only the settings that the user typed."""

    data_dir: Path
    install: bool = True
    hollow_nodes: int = 0
    example: bool = True
    changes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Machine:
    """What decides whether pods can be containers here."""

    root: bool
    missing: Sequence[str]  # Debian packages
    docker: bool  # a daemon, or the program to start one, is there


def hollow_because(machine: Machine) -> str:
    """Why there can be no containers, "" if there can."""
    if not machine.root:
        return "not root: pods run hollow, without containers (as root they run on Docker)"
    if not machine.docker:
        return "no Docker here: pods run hollow, without containers (install docker.io, or leave out --no-install)"
    return ""


def node_address(before: Sequence[str], present: Sequence[str], pod_cidr: str) -> str:
    """The node's address: the one it had if the host still has it, else the host's first that is not a bridge of pods."""
    kept = [address for address in before if address in present]
    pods = ipaddress.ip_network(pod_cidr, strict=False)
    own = [address for address in present if ipaddress.ip_address(address) not in pods]
    return (kept or own or ["127.0.0.1"])[0]


class Up:
    """One run of `up`."""

    def __init__(self, options: UpOptions, progress: Progress) -> None:
        self._options, self._progress = options, progress
        self._since: datetime | None = None  # when the parts were started, if by this run
        self._client: RESTClient | None = None  # once there is an API server to ask
        self.layout = Layout(options.data_dir)

    def run(self) -> ClusterConfig:
        """Returns when the cluster serves. ClusterError."""
        try:
            return self._run()
        except BrokenPipeError:
            raise  # nobody reads our output on
        except (
            HostError,
            PortTaken,
            credentials.CredentialsError,
            ValueError,
            StatusError,
            ConnectionError,
            TimeoutError,
        ) as error:
            raise ClusterError(str(error)) from error
        except OSError as error:
            raise ClusterError(f"{error.filename or self.layout.root}: {error.strerror or error}") from error

    def _run(self) -> ClusterConfig:
        try:
            contents.make(self.layout)
        except OSError as error:
            text = f"{self.layout.root} cannot be made ({error.strerror}): choose a directory of yours with --data-dir"
            raise ClusterError(text) from error
        with self._only_one():
            closed = contents.close_to_others(self.layout)
            if closed:
                self._progress.note(closed)
            stored = state.existing(str(self.layout.root))[1] if self.layout.settings.exists() else None
            settings = self._settings(stored)
            fresh = self._credentials(settings)
            self._start(stored, settings, renewed=bool(fresh - {"admin.conf"}))
            asyncio.run(self._bring_up(settings))
        return settings

    def _only_one(self) -> Any:
        try:
            return os.fdopen(state.hold(self.layout.root / "up.lock"), "rb")
        except state.AlreadyRunning:
            raise ClusterError(f"another `up` works on {self.layout.root}: wait for it") from None

    # What it is made of.

    def _settings(self, stored: ClusterConfig | None) -> ClusterConfig:
        given = dict(self._options.changes)
        if stored is not None:
            clash = conflicts(stored, given)
            if clash:
                raise ClusterError("\n".join(clash))
        fresh = ClusterConfig(node_name=host.node_name(), addresses=[])
        machine = self._machine(str(given.get("docker", fresh.docker)))
        hollow = self._options.hollow_nodes
        reason = "" if hollow else hollow_because(machine)
        if reason:
            self._progress.note(reason)
            hollow = (stored.hollow_nodes if stored else 0) or HOLLOW_NODES
        given["hollow_nodes"] = hollow
        settings = merged(stored, fresh, given)
        settings = msgspec.structs.replace(settings, nft=host.find("nft") is not None)
        if settings.network_policies and not settings.nft and not hollow:
            self._progress.note("no nft here: NetworkPolicies have no effect (install nftables and run `up` again)")
        if settings.ingress and not hollow and host.find("nginx") is None:
            raise ClusterError("no nginx here: apt-get install nginx, or leave Ingresses out with --ingress=false")
        if settings.uses_cni and (reason := directory.lacking(Path(settings.cni_conf_dir), settings.cni_bin_dir)):
            text = "docs/network.md has a network for the plugins of Debian's containernetworking-plugins"
            raise ClusterError(f"--network-plugin=cni: {reason}; {text}")
        if wrong := problems(settings):  # what was typed; the address below is chosen by it
            raise ClusterError("\n".join(wrong))
        present = host.addresses()
        chosen = node_address(stored.addresses if stored else [], present, settings.pod_cidr)
        settings = msgspec.structs.replace(settings, addresses=[chosen])
        if not hollow:
            ours = stored is not None and stored.own_docker and state.supervisor_pid(self.layout) != 0
            own = ours or not host.docker_version(settings.docker)
            settings = msgspec.structs.replace(settings, own_docker=own)
        wrong = problems(settings)
        if not wrong:
            routes, disks = host.routes(), (self.layout.root, *(() if hollow else (DOCKER_ROOT,)))
            wrong = preflight.routes_in_the_way(settings, routes, is_new=stored is None)
            wrong += preflight.full_disks(host.free_bytes(*disks))
            for text in preflight.hidden_by_services(settings, routes):
                self._progress.note(text)
        if wrong:
            raise ClusterError("\n".join(wrong))
        return self._ports(stored, settings)

    def _ports(self, stored: ClusterConfig | None, settings: ClusterConfig) -> ClusterConfig:
        """Those that our own parts have now can be had. PortTaken."""
        ours = stored is not None and state.supervisor_pid(self.layout) != 0
        mine = {port.number for port in ports.used(stored)} if stored is not None and ours else set[int]()
        return ports.settle(settings, lambda number: "" if number in mine else host.port_problem(number))

    def _machine(self, docker: str) -> Machine:
        root = os.geteuid() == 0
        if not root or self._options.hollow_nodes:
            return Machine(root, (), False)
        lacking = host.missing()
        packages = [need.package for need in lacking]
        if lacking and self._options.install:
            with self._progress.step(f"installing {', '.join(packages)}"):
                host.install(lacking)
            lacking = host.missing()
        for need in lacking:
            self._progress.note(f"missing: {need.package} ({need.why})")
        vital = [need for need in lacking if need.program in ("iptables-restore", "dockerd")]
        return Machine(root, packages, not vital or bool(host.docker_version(docker)))

    def _credentials(self, settings: ClusterConfig) -> set[str]:
        """Names of the certificates and kubeconfigs that were made or renewed: who holds one of them must start anew."""
        endpoint = credentials.Endpoint(
            settings.node_name, settings.addresses, settings.service_ip, settings.domain, settings.port
        )
        files = credentials.ensure(self.layout, endpoint, datetime.now(UTC))
        if files:
            self._progress.note(f"✓ certificates: {len(files)} made or renewed")
        return set(files)

    # The processes.

    def _start(self, stored: ClusterConfig | None, settings: ClusterConfig, renewed: bool) -> None:
        pid = state.supervisor_pid(self.layout)
        if state.alive(pid) and stored == settings and not renewed:
            os.kill(pid, signal.SIGHUP)  # parts that wait for their restart get it now
            return
        if pid and not state.alive(pid):
            stop_supervisor(self.layout)  # it was killed: waits for its parts, which follow it
        elif pid:
            with self._progress.step("stopping the parts: settings or certificates have changed"):
                stop_supervisor(self.layout)
        if stored is not None and settings.hollow and not stored.hollow:
            clean_host(self.layout, stored, self._progress)  # no kubelet would end these containers
        write(self.layout.settings, msgspec.json.format(msgspec.json.encode(settings)))
        files.make_private_directory(self.layout.logs)
        self._since = datetime.now(UTC).replace(microsecond=0)
        log_file = files.open_private(self.layout.log("supervisor"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        with os.fdopen(log_file, "ab") as log:
            subprocess.Popen(
                [sys.executable, "-m", "pybernetes", "supervise", f"--data-dir={self.layout.root}"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    async def _bring_up(self, settings: ClusterConfig) -> None:
        client: RESTClient | None = None
        image: asyncio.Future[ImageInfo] | None = None
        try:
            with self._progress.step("API server"):
                client = self._client = RESTClient(load(self.layout.kubeconfig("admin")), "pybernetes-up")
                await self._until("the API server answers", lambda: _ready(client), START_SECONDS)
                await apply.apply(client, addons.bindings())
                if settings.runs_ingress:
                    await apply.apply(client, addons.ingress_class())
            if not settings.hollow:  # only now: packing takes a core, which the parts' start had more need of
                image = asyncio.ensure_future(asyncio.to_thread(addons.pack, self.layout))
            with self._progress.step(f"node {settings.node_name} Ready" if not settings.hollow else "nodes Ready"):
                await self._until("a node is Ready", lambda: _node_ready(client, settings, self._since), NODE_SECONDS)
            if image is not None:
                with self._progress.step("image of the add-ons"):
                    packed = await image
                    name = await self._until(
                        "Docker has the image", lambda: _loaded(packed, settings), WORKLOAD_SECONDS
                    )
                await apply.apply(client, addons.dns_manifests(settings, name))
                await self._choices(client, settings, name)
            if self._options.example:
                await self._example(client, settings)
            if image is not None:
                with self._progress.step("cluster DNS"):
                    await self._until(
                        "deployment kube-system/coredns is available",
                        lambda: _available(client, "coredns", "kube-system"),
                        WORKLOAD_SECONDS,
                    )
                    await self._until("cluster DNS answers", lambda: _dns_answers(settings), WORKLOAD_SECONDS)
                if settings.local_path:
                    with self._progress.step("volumes for claims"):
                        await self._until(
                            "local-path-provisioner is available", lambda: _provisions(client), WORKLOAD_SECONDS
                        )
        finally:
            if image is not None and not image.done():
                image.cancel()
            if client is not None:
                await client.close()

    async def _choices(self, client: RESTClient, settings: ClusterConfig, image: str) -> None:
        """Add-ons that may be left out, also after they were there. metrics-server has figures after a while, which nobody waits for."""
        metrics = addons.metrics_server_manifests(image, verified=True)
        await (apply.apply if settings.metrics_server else apply.remove)(client, metrics)
        storage = addons.local_path_manifests(image, str(self.layout.local_path))
        await (apply.apply if settings.local_path else apply.remove)(client, storage)

    async def _example(self, client: RESTClient, settings: ClusterConfig) -> None:
        with self._progress.step("examples/hello"):
            await apply.apply(client, hello.manifests(settings))
            await self._until(
                "deployment default/hello is available",
                lambda: _available(client, "hello", "default"),
                WORKLOAD_SECONDS,
            )
        if settings.hollow:
            return
        for title, check in hello.checks(client, settings):
            with self._progress.step(title):
                await self._until(title, check, WORKLOAD_SECONDS)

    async def _until(self, what: str, check: Callable[[], Awaitable[T | None]], seconds: float) -> T:
        """Asks again until there is an answer; ClusterError with what the parts say when it takes too long."""
        end = time.monotonic() + seconds
        last = ""
        while True:
            try:
                problem = await check()
                if problem is not None:
                    return problem
            except (StatusError, ConnectionError, TimeoutError, OSError) as error:
                last = str(error)
            trouble = failing(state.read(self.layout), self.layout)
            if time.monotonic() > end or (trouble and time.monotonic() > end - seconds + 5):
                raise ClusterError("\n".join([trouble or await self._why_not(what, seconds, last), LOGS]))
            await asyncio.sleep(POLL_SECONDS)

    async def _why_not(self, what: str, seconds: float, last: str) -> str:
        """What was waited for in vain, the last error, and what the cluster's own events warn of."""
        warnings: list[str] = []
        if self._client is not None:
            try:
                async with asyncio.timeout(signs.SECONDS):
                    warnings = signs.newest_warnings((await self._client.list(core.Event)).items)
            except (StatusError, ConnectionError, TimeoutError) as error:
                last = last or str(error)
        if not last and not warnings:
            last = "neither the parts' states nor the cluster's events say why"
        return "\n".join([f"waited {seconds:.0f} s until {what}{f': {last}' if last else ''}", *warnings])


def failing(supervisor: state.SupervisorState | None, layout: Layout) -> str:
    """Parts that end again and again, with the last line of their logs."""
    if supervisor is None:
        return ""
    lines = []
    for part in supervisor.parts:
        if part.restarts >= 2 and not part.pid:
            lines.append(
                f"{part.name} ended {part.restarts} times ({part.last_exit}): {last_line(layout.log(part.name))}"
            )
    return "\n".join(lines)


def last_line(log: Path) -> str:
    """Of a log that may be long, or not there yet."""
    try:
        with log.open("rb") as file:
            file.seek(max(file.seek(0, os.SEEK_END) - 4096, 0))
            lines = file.read().decode(errors="replace").strip().splitlines()
    except OSError:
        return "it has no log"
    return lines[-1] if lines else "its log is empty"


async def _ready(client: RESTClient) -> bool | None:
    return True if await client.raw("GET", "/readyz") == b"ok" else None


async def _node_ready(client: RESTClient, settings: ClusterConfig, since: datetime | None) -> bool | None:
    if settings.hollow:
        nodes = (await client.list(core.Node)).items
        return True if sum(is_ready(node, since) for node in nodes) >= settings.hollow_nodes else None
    return True if is_ready(await client.get(core.Node, settings.node_name), since) else None


def is_ready(node: core.Node, since: datetime | None) -> bool:
    """Whether the kubelet says so, and (`since`) has said so after the parts were started: an older word is of another run."""
    ready = next((c for c in node.status.conditions if c.type == "Ready" and c.status == "True"), None)
    if ready is None or since is None:
        return ready is not None
    return ready.last_heartbeat_time is not None and ready.last_heartbeat_time >= since


async def _dns_answers(settings: ClusterConfig) -> bool | None:
    """Whether the Service kube-dns knows the Service kubernetes."""
    return await asyncio.to_thread(_ask_dns, settings.dns_ip, f"kubernetes.default.svc.{settings.domain}.") or None


def _ask_dns(server: str, name: str) -> bool:
    from pybernetes.dns import wire

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(DNS_SECONDS)
        asking.sendto(wire.encode_query(1, name, wire.A), (server, 53))
        try:
            reply = wire.decode_reply(asking.recv(4096))
        except wire.WireError:
            return False
    return bool(reply.answer.answer)


async def _available(client: RESTClient, name: str, namespace: str) -> bool | None:
    deployment = await client.get(apps.Deployment, name, namespace)
    desired = 1 if deployment.spec.replicas is None else deployment.spec.replicas
    current = deployment.status.observed_generation >= deployment.metadata.generation
    ready = deployment.status.updated_replicas == desired == deployment.status.available_replicas
    return True if current and ready else None


async def _provisions(client: RESTClient) -> bool | None:
    """Whether the provisioner of each node runs."""
    status = (await client.get(apps.DaemonSet, "local-path-provisioner", "local-path-storage")).status
    return True if 0 < status.desired_number_scheduled <= status.number_available else None


async def _loaded(packed: ImageInfo, settings: ClusterConfig) -> str | None:
    if not host.docker_version(settings.docker):
        return None
    return await asyncio.to_thread(addons.load_image, settings.docker, packed)
