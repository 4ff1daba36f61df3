"""kubernetes [ZONES...]: answers from the cluster's objects (upstream: plugin/kubernetes)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pybernetes.aio.ending import end
from pybernetes.api.durations import parse_duration
from pybernetes.api.labels import SelectorError, parse_selector
from pybernetes.client.kubeconfig import Config, ConfigError, in_cluster, load
from pybernetes.client.rest import RESTClient
from pybernetes.client.sliminformer import SlimInformers
from pybernetes.net.addresses import source_address

from ..corefile import Directive
from ..directory import ClusterDirectory
from ..plugin import BlockContext, Fall, Plugin, ServeError, fall_of, matching, zones_of
from ..records import Directory, Options, PodMode, Result, is_reverse, resolve
from ..resolvconf import search_list
from ..wire import AA, NOERROR, NXDOMAIN, SERVFAIL, TC, Answer, Query, Record, joined, soa_record

_log = logging.getLogger(__name__)

NAME = "kubernetes"
SYNC_SECONDS = 5.0  # upstream waits so long for the API before it serves all the same
MAX_TTL = 3600
MAX_RESULTS = 4096  # names of strangers fill it, too
RESOLV_CONF = Path("/etc/resolv.conf")


@dataclass(slots=True)
class Access:
    """How the API server is reached; without anything: the pod's service account."""

    endpoint: str = ""
    tls: tuple[str, str, str] | None = None  # certificate, key, CA
    kubeconfig: str = ""
    context: str = ""

    def config(self) -> Config:
        """ConfigError."""
        if self.kubeconfig:
            return load(self.kubeconfig, self.context)
        if not self.endpoint:
            return in_cluster()
        if self.tls is None:
            return Config(self.endpoint)
        try:
            files = [Path(path) for path in self.tls]
            certificate, key, authority = (path.read_bytes() for path in files)
        except OSError as error:
            raise ConfigError(f"tls: {error.filename!r}: {error.strerror}") from error
        return Config(
            self.endpoint,
            certificate=certificate,
            key=key,
            ca_data=authority,
            certificate_file=files[0],
            key_file=files[1],
            ca_file=files[2],
        )


@dataclass(slots=True)
class Parsed:
    """The directive."""

    options: Options
    access: Access = field(default_factory=Access)
    fall: Fall = field(default_factory=Fall)
    labels: str = ""
    namespace_labels: str = ""
    endpoints: bool = True
    startup_timeout: float = SYNC_SECONDS


class Kubernetes(Plugin):
    """Keeps the directory and asks it."""

    name = NAME

    def __init__(self, parsed: Parsed, block: BlockContext, directory: Directory | None = None) -> None:
        super().__init__()
        self._parsed, self._block, self._options = parsed, block, parsed.options
        self._directory = directory
        self._synced = directory is not None
        self._tasks: list[asyncio.Task[None]] = []
        self._client: RESTClient | None = None
        self._search: Sequence[str] = ()
        self._results: dict[tuple[str, int], Result] = {}
        self._generation = -1

    async def prepare(self) -> None:
        """ConfigError where there is no way to the API."""
        parsed = self._parsed
        self._client = RESTClient(parsed.access.config(), "coredns", clock=self.clock)
        informers = SlimInformers(self._client, self.clock)
        verified = self._options.pods is PodMode.VERIFIED
        self._directory = ClusterDirectory(
            informers, self._seconds, verified, parsed.labels, parsed.namespace_labels, parsed.endpoints
        )
        with contextlib.suppress(OSError):
            self._search = search_list(RESOLV_CONF)
        self._options = replace(self._options, local_ips=tuple(local_addresses(parsed.access.endpoint)))
        self._tasks = [asyncio.ensure_future(informers.run()), asyncio.ensure_future(self._sync(informers))]
        self._tasks[0].add_done_callback(self._ended)
        try:
            async with self.clock.timeout(parsed.startup_timeout):
                await asyncio.wait(self._tasks[1:])
        except TimeoutError:
            _log.warning("plugin/kubernetes: starting server with unsynced Kubernetes API")

    def _seconds(self) -> float:
        return self.clock.now().timestamp()

    async def _sync(self, informers: SlimInformers) -> None:
        await informers.wait_synced()
        self._synced = True

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self._block.fail(f"plugin/kubernetes: {task.exception()}")

    async def stop(self) -> None:
        await end(*self._tasks)
        if self._client is not None:
            await self._client.close()

    def ready(self) -> bool:
        return self._synced

    def autopath(self, query: Query) -> Sequence[str]:
        """The search list of the pod that asks (see `autopath`); of others, and unless pods are verified, none."""
        zone = matching(query.key, self._options.zones)
        if not zone or self._directory is None or self._options.pods is not PodMode.VERIFIED:
            return ()
        namespace = self._directory.namespace_of_pod(query.client[0])
        if not namespace:
            return ()
        return [joined(f"{namespace}.svc", zone), joined("svc", zone), zone, *self._search, ""]

    async def serve(self, query: Query) -> Answer:
        zone = matching(query.key, self._options.zones)
        if not zone or self._directory is None:
            return await self.next(query)
        result = self._resolved(query, zone, self._directory)
        if not result.exists and not self._synced:
            return self._denial(SERVFAIL, zone)
        if not result.exists:
            return await self.next(query) if self._parsed.fall.through(query.key) else self._denial(NXDOMAIN, zone)
        if not result.answer:
            return self._denial(NOERROR, zone)
        answer = Answer(NOERROR, result.answer, [], result.additional, flags=AA, plugin=NAME)
        if result.leads_to:
            await self._follow(query, result.leads_to, answer)
        return answer

    def _resolved(self, query: Query, zone: str, directory: Directory) -> Result:
        """Remembered until anything changes: half of the work, where no `cache` stands before this."""
        if directory.generation != self._generation or len(self._results) >= MAX_RESULTS:
            self._results.clear()
            self._generation = directory.generation
        key = (query.name, query.type)
        result = self._results.get(key)
        if result is None:
            result = self._results[key] = resolve(query.name, query.type, zone, directory, self._options)
        return result

    def _denial(self, rcode: int, zone: str) -> Answer:
        serial = self._directory.serial if self._directory is not None else 0
        return Answer(rcode, authority=[soa_record(zone, serial, self._options.ttl)], flags=AA, plugin=NAME)

    async def _follow(self, query: Query, target: str, answer: Answer) -> None:
        """Adds what the whole server says about a name outside; without an answer the CNAME stands alone."""
        with contextlib.suppress(ServeError):
            elsewhere = await self._block.lookup(query.asking(target, query.type))
            own = {_identity(record) for record in answer.answer}
            answer.answer = [*answer.answer, *(r for r in elsewhere.answer if _identity(r) not in own)]
            answer.flags |= elsewhere.flags & TC


def _identity(record: Record) -> tuple[str, int, bytes]:
    return (record.name.lower(), record.type, record.data)


def local_addresses(endpoint: str) -> list[str]:
    """The address by which this host is seen in the cluster (upstream: the bound addresses)."""
    host = endpoint.rpartition("://")[2].partition("/")[0].rpartition(":")[0].strip("[]") or "192.0.2.1"
    return [source_address(host) or "127.0.0.1"]


def setup(directive: Directive, block: BlockContext) -> Plugin:
    """CorefileError."""
    if any(isinstance(plugin, Kubernetes) for plugin in block.plugins):
        raise directive.error("plugin/kubernetes: this plugin can only be used once per Server Block")
    return Kubernetes(parse(directive, block), block)


def parse(directive: Directive, block: BlockContext) -> Parsed:
    """The directive and its properties. CorefileError."""
    zones = tuple(zones_of(directive.arguments, block))
    if all(is_reverse(zone) for zone in zones):
        raise directive.error("plugin/kubernetes: non-reverse zone name must be used")
    parsed = Parsed(Options(zones))
    for prop in directive.properties:
        _property(prop, parsed)
    if parsed.options.namespaces and parsed.namespace_labels:
        raise directive.error("plugin/kubernetes: namespaces and namespace_labels cannot both be set")
    return parsed


def _property(prop: Directive, parsed: Parsed) -> None:
    arguments, access = prop.arguments, parsed.access
    if prop.name == "pods":
        if prop.one() not in {mode.value for mode in PodMode}:
            wrong = f"wrong value for pods: {arguments[0]},  must be one of: disabled, verified, insecure"
            raise prop.error(f"plugin/kubernetes: {wrong}")
        parsed.options = replace(parsed.options, pods=PodMode(arguments[0]))
    elif prop.name == "ttl":
        parsed.options = replace(parsed.options, ttl=_ttl(prop))
    elif prop.name == "namespaces" and arguments:
        parsed.options = replace(parsed.options, namespaces=parsed.options.namespaces | frozenset(arguments))
    elif prop.name == "endpoint_pod_names" and not arguments:
        parsed.options = replace(parsed.options, endpoint_pod_names=True)
    elif prop.name == "ignore" and arguments:
        if arguments[0] != "empty_service":
            raise prop.error(f"plugin/kubernetes: unable to parse ignore value: '{arguments[0]}'")
        parsed.options = replace(parsed.options, ignore_empty_service=True)
    elif prop.name == "noendpoints" and not arguments:
        parsed.endpoints = False
    elif prop.name == "startup_timeout" and arguments:
        try:
            parsed.startup_timeout = parse_duration(arguments[0])
        except ValueError as error:
            wrong = f"failed to parse startup_timeout: {arguments[0]}, {error}"
            raise prop.error(f"plugin/kubernetes: {wrong}") from None
    elif prop.name == "fallthrough":
        parsed.fall = fall_of(prop)
    elif prop.name == "endpoint" and arguments:
        access.endpoint = arguments[0] if "://" in arguments[0] else f"http://{arguments[0]}"
    elif prop.name == "tls" and len(arguments) == 3:
        access.tls = (arguments[0], arguments[1], arguments[2])
    elif prop.name == "kubeconfig" and len(arguments) in (1, 2):
        access.kubeconfig, access.context = arguments[0], "".join(arguments[1:])
    elif prop.name == "labels" and arguments:
        parsed.labels = _selector(prop, "label selector")
    elif prop.name == "namespace_labels" and arguments:
        parsed.namespace_labels = _selector(prop, "namespace_label selector")
    elif prop.name in _PROPERTIES:
        raise prop.wrong_arguments()
    elif prop.name in _ABSENT:
        raise prop.error(f"plugin/kubernetes: {prop.name} is not there")
    else:
        raise prop.error(f"plugin/kubernetes: unknown property '{prop.name}'")


_PROPERTIES = frozenset(
    {"pods", "ttl", "namespaces", "endpoint_pod_names", "ignore", "endpoint", "tls", "kubeconfig", "labels"}
    | {"namespace_labels", "noendpoints", "startup_timeout"}
)
_ABSENT = frozenset({"multicluster", "zonal", "apiserver_qps", "apiserver_burst", "apiserver_max_inflight"})


def _selector(prop: Directive, what: str) -> str:
    text = " ".join(prop.arguments)
    try:
        parse_selector(text)
    except SelectorError as error:
        raise prop.error(f"plugin/kubernetes: unable to parse {what} value: '{text}': {error}") from None
    return text


def _ttl(prop: Directive) -> int:
    text = prop.one()
    if not text.isdigit() or int(text) > MAX_TTL:
        raise prop.error(f"plugin/kubernetes: ttl must be in range [0, {MAX_TTL}]: {text}")
    return int(text)
