"""The pods' network by CNI: what a pod's worker uses (upstream: cri-dockerd's network/cni and network/plugins.go; containerd's GC and STATUS)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from weakref import WeakValueDictionary

from pybernetes.aio.clock import Clock, RealClock
from pybernetes.api.types import core_v1 as core

from ...machine.dns import Resolver
from ...runtime.types import RuntimeFailure, Sandbox
from . import directory
from .arguments import IP_RANGES, LOOPBACK_INTERFACE, POD_INTERFACE, BandwidthError, RuntimeConf, pod_args, pod_conf
from .cache import Attachment, Cache
from .chain import CHAIN_SECONDS, Chain
from .configuration import ConfigurationError, Network, parse_list, quoted
from .invocation import PluginError, PluginPrograms
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
ERRORS = (PluginError, ConfigurationError, ResultError, BandwidthError, OSError)


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
        clock: Clock | None = None,
        seconds: float = CHAIN_SECONDS,
    ) -> None:
        """`resolver` says what is in a pod's resolv.conf; `seconds` is what all plugins of a network have together."""
        self._sandbox_pid, self._resolver = sandbox_pid, resolver
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
        pid = sandbox.pid or await self._sandbox_pid(sandbox.id)
        resolver = self._resolver(pod) if self._resolver is not None else None
        conf = pod_conf(pod, sandbox.id, _namespace(pid), self._cidr, resolver)
        async with self._alone_with(sandbox.id):
            addresses = await self._attached(conf)
            if addresses:
                return addresses
            try:
                loopback = RuntimeConf(sandbox.id, conf.netns, LOOPBACK_INTERFACE, conf.args)
                await self._chain.add(LOOPBACK, loopback)
                addresses = pod_addresses(await self._chain.add(network, conf), POD_INTERFACE)
                if not addresses:
                    raise PluginError(f"network {quoted(network.name)} gave no address")
            except ERRORS as error:
                try:
                    await self._delete_all(sandbox.id, conf.netns)
                except ERRORS as second:
                    text = f"failed to clean up sandbox container {quoted(sandbox.id)} network for pod {quoted(pod.metadata.name)}"
                    first = _setup_text(sandbox.id, pod, error)
                    raise RuntimeFailure(f"[{first}, {text}: {_teardown_text(pod, second)}]") from error
                raise
        return addresses

    async def _attached(self, conf: RuntimeConf) -> tuple[str, ...]:
        """The addresses that it has, if its plugins say that all is well; else what there is of it goes."""
        attachments = self._cache.attachments(conf.container_id)
        pods = next((one for one in attachments if one.conf.ifname == conf.ifname), None)
        if pods is not None and not pods.incomplete and pods.result is not None:
            try:
                network = parse_list(pods.config)
                await self._chain.check(network, replace(pods.conf, netns=conf.netns))
                return pod_addresses(read(pods.result, network.cni_version), conf.ifname)
            except (PluginError, ConfigurationError, ResultError) as error:
                logger.warning("the network of sandbox %s is made anew: %s", conf.container_id[:12], error)
        await self._delete_all(conf.container_id, conf.netns)
        return ()

    async def teardown(self, sandbox_id: str, pod: core.Pod) -> None:
        """By the configuration that it was made with; by today's where nothing is remembered of it."""
        try:
            await self._start()
            try:
                netns = _namespace(await self._sandbox_pid(sandbox_id))
            except RuntimeFailure:
                netns = ""  # it has ended, and its namespace with it
            async with self._alone_with(sandbox_id):
                if not await self._delete_all(sandbox_id, netns) and self._network is not None:
                    meta = pod.metadata
                    args = pod_args(meta.namespace, meta.name, sandbox_id, meta.uid)
                    await self._chain.delete(self._network, RuntimeConf(sandbox_id, netns, POD_INTERFACE, args))
        except ERRORS as error:
            raise RuntimeFailure(_teardown_text(pod, error)) from error

    async def _delete_all(self, sandbox_id: str, netns: str) -> bool:
        """The pod's interface, then its loopback; whether there was anything. Failures of the loopback do not matter, as upstream."""
        attachments = self._cache.attachments(sandbox_id)
        for attachment in sorted(attachments, key=lambda one: one.network == LOOPBACK.name):
            try:
                await self._delete(attachment, netns)
            except PluginError as error:
                if attachment.network != LOOPBACK.name:
                    raise
                logger.warning("CNI failed to delete loopback network: %s", error)
                self._cache.remove(attachment.network, attachment.conf)
        return bool(attachments)

    async def _delete(self, attachment: Attachment, netns: str) -> None:
        # Never the namespace's path of then: another process may have that number by now.
        await self._chain.delete(parse_list(attachment.config), replace(attachment.conf, netns=netns))

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
            await self._start()
            for attachment in stale:
                container_id = attachment.conf.container_id
                async with self._alone_with(container_id):
                    logger.info("sandbox %s is gone: it leaves network %s", container_id[:12], attachment.network)
                    try:
                        await self._delete(attachment, "")
                    except ERRORS as error:
                        problems.append(
                            f"failed to delete stale attachment {container_id} {attachment.conf.ifname}: {error}"
                        )
            network = self._network
            if network is not None and (self._to_collect or stale):
                self._to_collect = True
                async with self._gate.exclusive() as alone:
                    if alone:
                        self._to_collect = False
                        await self._chain.collect_garbage(network, self._valid(network))
        except ERRORS as error:
            problems.append(str(error))
        for problem in problems:
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
        if self._collecting is not None:
            self._collecting.cancel()
            await asyncio.gather(self._collecting, return_exceptions=True)
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
