"""The pods' network by CNI: what a pod's worker uses (upstream: cri-dockerd's network/cni and network/plugins.go; containerd's GC and STATUS)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from weakref import WeakValueDictionary

from pybernetes.aio.clock import Clock, RealClock
from pybernetes.aio.ending import end
from pybernetes.api.types import core_v1 as core
from pybernetes.net.programs import ProgramError

from ...machine.config import port_mappings
from ...machine.dns import Resolver
from ...runtime.types import RuntimeFailure, Sandbox
from . import directory
from .arguments import IP_RANGES, LOOPBACK_INTERFACE, POD_INTERFACE, BandwidthError, RuntimeConf, pod_args, pod_conf
from .cache import Attachment, Cache
from .chain import CHAIN_SECONDS, Chain
from .configuration import ConfigurationError, Network, container_problem, parse_list, quoted
from .hostports import HostPorts, lease_of
from .invocation import PluginError, PluginPrograms
from .namespaces import PinnedNamespaces
from .results import ResultError, pod_addresses, read

logger = logging.getLogger(__name__)

DEFAULT_CONF_DIR = "/etc/cni/net.d"
DEFAULT_BIN_DIR = "/opt/cni/bin"
DEFAULT_CACHE_DIR = (
    "/var/lib/cni/cache"  # the kubelet's until 1.23; containerd's plugins are remembered in /var/lib/cni
)
SYNC_SECONDS = 5.0  # upstream's, between looks at the configuration and at the plugins' STATUS
LOCK_FILE = "plugins.lock"
UNCONFIGURED = "cni config uninitialized"
NOT_ASKED_YET = "cni plugin not initialized"
LOOPBACK = parse_list(b'{"cniVersion":"0.3.1","name":"cni-loopback","plugins":[{"type":"loopback"}]}')
ERRORS = (PluginError, ConfigurationError, ResultError, BandwidthError, ProgramError, OSError)


class CNINetwork:
    """Implements interfaces.PodNetwork. `run` follows the configuration; without it the one of the first pod stays."""

    def __init__(
        self,
        sandbox_pid: Callable[[str], Awaitable[int]],
        *,
        conf_dir: str = DEFAULT_CONF_DIR,
        bin_dirs: Sequence[str] = (DEFAULT_BIN_DIR,),
        cache_dir: str = DEFAULT_CACHE_DIR,
        resolver: Callable[[core.Pod], Resolver] | None = None,
        namespaces: PinnedNamespaces | None = None,
        host_ports: HostPorts | None = None,
        clock: Clock | None = None,
        seconds: float = CHAIN_SECONDS,
    ) -> None:
        """`resolver` says what is in a pod's resolv.conf; `seconds` is what all plugins of a network have together."""
        self._sandbox_pid, self._resolver = sandbox_pid, resolver
        self._namespaces = namespaces or PinnedNamespaces()
        self._host_ports, self._writing_ports = host_ports or HostPorts(), asyncio.Lock()
        self._conf_dir, self._seconds = Path(conf_dir), seconds
        self._clock: Clock = clock or RealClock()
        self._cache = Cache(Path(cache_dir))
        self._programs = PluginPrograms(bin_dirs, self._clock, Path(cache_dir) / LOCK_FILE)
        self._chain = Chain(self._programs, self._cache, self._clock, seconds)
        self._network: Network | None = None
        self._cidr = ""
        self._status = NOT_ASKED_YET
        self._said: set[str] = set()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._gate = _Gate()
        self._loading, self._starting = asyncio.Lock(), asyncio.Lock()
        self._started = False
        self._collecting: asyncio.Task[None] | None = None
        self._to_collect = True  # GC: once after the start, and after what was left behind

    # The node.

    @property
    def problem(self) -> str:
        """In the words of a kubelet on Docker."""
        text = self._problem()
        return f"docker: network plugin is not ready: {text}" if text else ""

    def _problem(self) -> str:
        return self._unready() or self._status

    def _unready(self) -> str:
        """Why not even ADD can be tried."""
        if self._network is None:
            return UNCONFIGURED
        if IP_RANGES in self._network.capabilities and not self._cidr:
            return "cni config needs ipRanges but no PodCIDR set"
        return ""

    def set_range(self, cidr: str) -> None:
        """The node's podCIDR, for plugins with the capability ipRanges."""
        self._cidr = cidr

    async def run(self, changed: Callable[[], None]) -> None:
        """Follows the configuration and the plugins' STATUS; calls `changed` when `problem` is another one."""
        while True:
            before = self.problem
            await self.refresh()
            if self.problem != before:
                changed()
            await self._clock.sleep(SYNC_SECONDS)

    async def refresh(self) -> None:
        """The first network by its file's name whose plugins are all there and speak its version.

        Where there is none any more the last one stays, as upstream.
        """
        async with self._loading:
            candidates = await asyncio.to_thread(directory.load, self._conf_dir)
            said = [*candidates.problems]
            for network in candidates.networks:
                if network == self._network:
                    break
                try:
                    await self._chain.validate(network)
                except PluginError as error:
                    said.append(f"Error validating CNI config list {network.name}: {error}")
                    continue
                logger.info("pods get the network %s: %s", network.name, ", ".join(p.type for p in network.plugins))
                self._network, self._status = network, NOT_ASKED_YET
                break
            self._say(said)
            if self._network is not None:
                try:
                    await self._chain.status(self._network)
                    self._status = ""
                except PluginError as error:
                    self._status = str(error) or NOT_ASKED_YET

    def _say(self, problems: Sequence[str]) -> None:
        """Each once, until it is over."""
        for problem in problems:
            if problem not in self._said:
                logger.warning("%s", problem)
        self._said = set(problems)

    # Pods.

    async def setup(self, sandbox: Sandbox, pod: core.Pod) -> tuple[str, ...]:
        """After a failure nothing is left; what could not be undone is tried again by `keep_only`."""
        try:
            return await self._setup(sandbox, pod)
        except ERRORS as error:
            raise RuntimeFailure(_setup_text(sandbox.id, pod, error)) from error

    async def _setup(self, sandbox: Sandbox, pod: core.Pod) -> tuple[str, ...]:
        await self._start()
        if self._unready():
            await self.refresh()
        network = self._network
        if network is None or self._unready():
            raise PluginError(self._unready())
        if container_problem(sandbox.id):
            raise PluginError(container_problem(sandbox.id))
        live = _namespace(sandbox.pid or await self._sandbox_pid(sandbox.id))
        resolver = self._resolver(pod) if self._resolver is not None else None
        conf = pod_conf(pod, sandbox.id, self._namespaces.path(sandbox.id), self._cidr, resolver)
        async with self._alone_with(sandbox.id):
            addresses = await self._attached(conf, live)
            if addresses:
                await self._write_host_ports(pod)
                return addresses
            try:
                loopback = RuntimeConf(sandbox.id, conf.netns, LOOPBACK_INTERFACE, conf.args)
                # Whoever finds a pinned namespace finds whose it is.
                self._cache.write(Attachment(LOOPBACK.name, LOOPBACK.data, loopback, incomplete=True))
                self._namespaces.pin(sandbox.id, live)
                await self._chain.add(LOOPBACK, loopback)
                addresses = pod_addresses(await self._chain.add(network, conf), POD_INTERFACE)
                if not addresses:
                    raise PluginError(f"network {quoted(network.name)} gave no address")
                await self._write_host_ports(pod)
            except ERRORS as error:
                try:
                    await self._delete_all(sandbox.id, live)
                except ERRORS as second:
                    text = f"failed to clean up sandbox container {quoted(sandbox.id)} network for pod {quoted(pod.metadata.name)}"
                    first = _setup_text(sandbox.id, pod, error)
                    raise RuntimeFailure(f"[{first}, {text}: {_teardown_text(pod, second)}]") from error
                raise
        return addresses

    async def _attached(self, conf: RuntimeConf, live: str) -> tuple[str, ...]:
        """The addresses that it has, if its plugins say that all is well; else what there is of it goes."""
        attachments = self._cache.attachments(conf.container_id)
        pods = next((one for one in attachments if one.network != LOOPBACK.name), None)
        if pods is not None and not pods.incomplete and pods.result is not None:
            try:
                network = parse_list(pods.config)
                addresses = pod_addresses(read(pods.result, network.cni_version), conf.ifname)
                self._namespaces.pin(conf.container_id, live)
                await self._check(network, replace(pods.conf, netns=conf.netns))
                return addresses
            except (PluginError, ConfigurationError, ResultError) as error:
                logger.warning("the network of sandbox %s is made anew: %s", conf.container_id[:12], error)
        await self._delete_all(conf.container_id, live)
        return ()

    async def _check(self, network: Network, conf: RuntimeConf) -> None:
        """PluginError where a plugin says that something is wrong; one that fails has said nothing (some releases of `bandwidth` crash)."""
        try:
            await self._chain.check(network, conf)
        except PluginError as error:
            if error.told:
                raise
            logger.warning("CHECK of sandbox %s: %s", conf.container_id[:12], error)

    async def teardown(self, sandbox_id: str, pod: core.Pod) -> None:
        """By the configuration that it was made with; by today's where nothing is remembered of it."""
        try:
            await self._start()
            live = ""
            if not self._namespaces.is_pinned(sandbox_id):
                with suppress(RuntimeFailure):  # it has ended, and its namespace with it
                    live = _namespace(await self._sandbox_pid(sandbox_id))
            async with self._alone_with(sandbox_id):
                if not await self._delete_all(sandbox_id, live) and self._network is not None:
                    meta = pod.metadata
                    args = pod_args(meta.namespace, meta.name, sandbox_id, meta.uid)
                    await self._chain.delete(self._network, RuntimeConf(sandbox_id, live, POD_INTERFACE, args))
                await self._write_host_ports(pod)
        except ERRORS as error:
            raise RuntimeFailure(_teardown_text(pod, error)) from error

    async def _delete_all(self, sandbox_id: str, live: str) -> bool:
        """The pod's interface, then its loopback; whether there was anything.

        `live` is the namespace of one that is not pinned, "" where it is gone. Failures of the loopback do not matter, as upstream.
        """
        netns = self._namespaces.path(sandbox_id) if self._namespaces.is_pinned(sandbox_id) else live
        attachments = self._cache.attachments(sandbox_id)
        for attachment in attachments:
            if attachment.network != LOOPBACK.name:
                await self._delete(attachment, netns)
        self._namespaces.unpin(sandbox_id)
        for attachment in attachments:
            if attachment.network == LOOPBACK.name:
                try:
                    await self._delete(attachment, "")
                except PluginError as error:
                    logger.warning("CNI failed to delete loopback network: %s", error)
                    self._cache.remove(attachment.network, attachment.conf)
        return bool(attachments)

    async def _delete(self, attachment: Attachment, netns: str) -> None:
        # Never the path of then, which may have been of /proc: another process may have that number by now.
        network, conf = parse_list(attachment.config), replace(attachment.conf, netns=netns)
        if not network.plugins and self._network is not None and self._network.name == network.name:
            network = self._network  # libcni does not remember plugins that lie in the network's folder
        try:
            await self._chain.delete(network, conf)
        except PluginError as error:
            if not attachment.incomplete:
                raise
            # A plugin that was killed may stumble over what it had half made: `bridge` does once, over rules that are not there yet.
            logger.info("once more: %s", error)
            await self._chain.delete(network, conf)

    async def _write_host_ports(self, pod: core.Pod | None = None) -> None:
        """After a change of a pod; of one that has no such ports there is none."""
        if pod is not None and not port_mappings(pod):
            return
        async with self._writing_ports:
            leases = [lease_of(attachment) for attachment in self._cache.attachments()]
            await self._host_ports.write([lease for lease in leases if lease is not None])

    # What is left behind.

    async def keep_only(self, sandbox_ids: Collection[str], busy: Collection[str]) -> None:
        """Returns at once; plugins may take their time."""
        stale = [
            one
            for one in self._cache.attachments()
            if one.is_sandbox and one.conf.container_id not in sandbox_ids and one.pod_uid not in busy
        ]
        if (stale or self._to_collect) and (self._collecting is None or self._collecting.done()):
            self._collecting = asyncio.create_task(self._collect(stale))

    async def collected(self) -> None:
        """When what `keep_only` began is done."""
        if self._collecting is not None:
            await self._collecting

    async def _collect(self, stale: Sequence[Attachment]) -> None:
        problems = []
        try:
            for sandbox_id in dict.fromkeys(attachment.conf.container_id for attachment in stale):
                logger.info("sandbox %s is gone: what plugins made for it goes", sandbox_id[:12])
                problems += await self._removed(sandbox_id)
            network = self._network
            if network is not None and (self._to_collect or stale):
                self._to_collect = True
                async with self._gate.exclusive() as alone:
                    if alone:
                        self._to_collect = False
                        await self._chain.collect_garbage(network, self._valid(network))
            await self._write_host_ports()
        except ERRORS as error:
            problems.append(str(error))
        for problem in problems:
            logger.warning("%s", problem)

    async def _removed(self, sandbox_id: str) -> list[str]:
        """What could not be undone of one that is gone, or is about to go."""
        try:
            await self._start()
            async with self._alone_with(sandbox_id):
                await self._delete_all(sandbox_id, "")
        except ERRORS as error:
            return [f"failed to delete stale attachment {sandbox_id}: {error}"]
        return []

    async def remove(self, sandbox_ids: Collection[str]) -> None:
        """All of these sandboxes, for good; what could not be undone is logged. Others in the cache are not touched."""
        ours = {one.conf.container_id for one in self._cache.attachments() if one.is_sandbox} & set(sandbox_ids)
        for sandbox_id in sorted(ours):
            for problem in await self._removed(sandbox_id):
                logger.warning("%s", problem)

    def _valid(self, network: Network) -> list[tuple[str, str]]:
        attachments = self._cache.attachments()
        return [(one.conf.container_id, one.conf.ifname) for one in attachments if one.network == network.name]

    # Who may do what at the same time.

    async def _start(self) -> None:
        """Once: what a kubelet that was killed had begun comes to its end first."""
        async with self._starting:
            if not self._started:
                if not await self._programs.alone(self._seconds):
                    logger.warning("plugins of another kubelet still run; is --cni-cache-dir its own?")
                self._started = True

    @asynccontextmanager
    async def _alone_with(self, container_id: str) -> AsyncIterator[None]:
        """Nobody else does anything for the container meanwhile, and no garbage is collected."""
        lock = self._locks.setdefault(container_id, asyncio.Lock())
        async with lock, self._gate.shared():
            yield

    async def close(self) -> None:
        """Pods keep their network."""
        await end(self._collecting)
        self._programs.close()


class _Gate:
    """Many at once, or one alone: GC frees what is of no attachment, and must not meet one that is just being made."""

    def __init__(self) -> None:
        self._inside = 0
        self._open = asyncio.Lock()

    @asynccontextmanager
    async def shared(self) -> AsyncIterator[None]:
        async with self._open:
            self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1

    @asynccontextmanager
    async def exclusive(self) -> AsyncIterator[bool]:
        """False where somebody is inside: a plugin that takes its time holds nobody else up."""
        async with self._open:
            yield self._inside == 0


def _namespace(pid: int) -> str:
    return f"/proc/{pid}/ns/net"


def _full_name(pod: core.Pod) -> str:
    return quoted(f"{pod.metadata.name}_{pod.metadata.namespace}")


def _setup_text(sandbox_id: str, pod: core.Pod, error: Exception) -> str:
    sandbox = f"failed to set up sandbox container {quoted(sandbox_id)} network for pod {quoted(pod.metadata.name)}"
    return f"{sandbox}: networkPlugin cni failed to set up pod {_full_name(pod)} network: {error}"


def _teardown_text(pod: core.Pod, error: Exception) -> str:
    return f"networkPlugin cni failed to teardown pod {_full_name(pod)} network: {error}"
