"""The API server put together: store, watch cache, resources, and the chain that a request goes through (`chain.py`).

Upstream: pkg/controlplane, apiserver/pkg/server.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pybernetes.aio.clock import Clock, RealClock
from pybernetes.aio.ending import end
from pybernetes.api import times
from pybernetes.store.compaction import DEFAULT_SECONDS, Compactor
from pybernetes.store.types import Store
from pybernetes.wire.http import Server, serve

from . import runtimeconfig
from .admission.chain import EMBEDDED, AdmissionChain, Services, admission_chain
from .authentication import openid
from .authentication.chain import authenticators
from .authentication.options import AuthenticationOptions
from .authentication.user import User
from .authorization import reconcile
from .authorization.modes import Authorizers, authorizers
from .authorization.rules import GROUP as RBAC_GROUP
from .bootstrap import authentication as bootstrap_authentication
from .bootstrap import flowcontrol as bootstrap_flowcontrol
from .bootstrap import namespaces, objects
from .bootstrap.storage import Storage
from .chain import Chain, links
from .documents.discovery import Discovery
from .documents.openapi import OpenAPI
from .endpoints import binding, tokenrequest
from .endpoints.connect.handlers import Connect
from .endpoints.connect.kubelet import KubeletConfig
from .endpoints.customresources import CustomResources
from .endpoints.eviction import Eviction
from .endpoints.health import Ask, Health
from .endpoints.metrics import APIServerMetrics
from .endpoints.nonresource import NonResource, OtherMetrics
from .endpoints.resourcehandlers import ResourceHandlers
from .endpoints.reviews import Reviews
from .endpoints.routes import Routes, Special
from .filters import aggregation
from .filters.director import Director
from .filters.exchange import Link
from .filters.maxinflight import Limits, MaxInFlight
from .filters.shutdown import Shutdown
from .flowcontrol.server import ServerFlowControl
from .generic.allocation import AllocatingStore
from .generic.cache import Stored, WatchCache
from .generic.caches import Caches
from .generic.expiry import EventExpiry
from .generic.freshness import FreshClusters
from .generic.keys import DEFAULT_PREFIX, Keys
from .generic.loader import Loader
from .generic.options import WriteOptions
from .generic.reader import CacheReader
from .kinds import RESOURCES
from .resource import Object, Resource
from .services.allocator import ServiceAllocator
from .services.keeper import ServiceKeeper
from .services.options import ServiceOptions
from .services.pool import Pool
from .types import Attributes

if TYPE_CHECKING:
    from .aggregation.controller import Aggregator
    from .auditing.auditor import Auditor
    from .authorization.options import AuthorizationOptions
    from .crd.controller import DefinitionController
    from .encryption.provider import Encryption

_log = logging.getLogger(__name__)

# What is done at the start, as /readyz names it (upstream: poststarthooks).
NAMESPACES_MADE, ROLES_MADE, FLOWS_MADE, SERVICES_REPAIRED = HOOKS = (
    "start-system-namespaces-controller",
    "rbac/bootstrap-roles",
    "priority-and-fairness-config-producer",
    "start-service-ip-repair-controllers",
)
ADDRESSES, SERVICES = ("networking.k8s.io", "v1", "ipaddresses"), ("", "services")
DEFINITIONS = ("apiextensions.k8s.io", "customresourcedefinitions")
API_SERVICES = ("apiregistration.k8s.io", "apiservices")
AGAIN_SECONDS = 5.0
FLOWS_READ, FLOWS_LIMITED = FLOW_HOOKS = ("priority-and-fairness-config-consumer", "priority-and-fairness-filter")
INTERNAL = ("ranges", "masterleases")  # kept beside the resources, and none


@dataclass(frozen=True, kw_only=True)
class ShutdownOptions:
    """How the server ends."""

    delay: float = 0.0  # seconds for which it is not ready, and serves all the same: load balancers take notice
    send_retry_after: bool = False  # 429 while requests under way end, instead of no port
    watches: float = 0.0  # seconds in which watches end, one after the other; 0: all at once


@dataclass(kw_only=True)
class Options:
    """What the command line decides."""

    host: str = "127.0.0.1"
    port: int = 0
    reuse_port: bool = False  # other processes of this server listen on it as well
    other_metrics: OtherMetrics | None = None  # and what they have counted
    ssl_context: ssl.SSLContext | None = None
    authentication: AuthenticationOptions = field(default_factory=AuthenticationOptions)
    authorization_modes: Sequence[str] = ("AlwaysAllow",)  # those that need no more than their name
    authorization: AuthorizationOptions | None = None  # in place of these modes
    enable_admission_plugins: Sequence[str] = EMBEDDED
    toleration_seconds: tuple[int, int] = (300, 300)  # on nodes that are not ready, and not to be reached
    allow_privileged: bool = True  # containers with all rights on their node
    runtime_config: Mapping[str, str] = field(default_factory=dict)  # by upstream's keys; RuntimeConfigError
    resources: Sequence[Resource] = RESOURCES
    kubelet: KubeletConfig = field(default_factory=KubeletConfig)
    proxy_client: tuple[str, str] = ("", "")  # files of the certificate and key that extension API servers are shown
    services: ServiceOptions = field(default_factory=ServiceOptions)
    event_ttl: float = 3600.0  # seconds
    limits: Limits = field(default_factory=Limits)
    priority_and_fairness: bool = True  # over both limits together; else each for itself
    request_timeout: float = 60.0  # seconds; 0: none
    key_prefix: str = DEFAULT_PREFIX
    compaction_interval: float = DEFAULT_SECONDS  # 0: never
    shared_store: bool = False  # other servers write to it as well
    healthcheck_timeout: float = 2.0  # seconds that it may take to answer /livez and /healthz
    readycheck_timeout: float = 2.0  # as it, for /readyz/etcd-readiness
    elsewhere: Mapping[tuple[str, str], Store] = field(default_factory=dict)  # stores of single resources
    auditor: Auditor | None = None  # who writes down what is asked
    encryption: Encryption | None = None  # of the store's values; the caller starts and closes it
    clock: Clock = field(default_factory=RealClock)
    shutdown: ShutdownOptions = field(default_factory=ShutdownOptions)
    watching: Sequence[Link] = ()  # further links of the chain, see there; none but in tests
    failing: Sequence[Link] = ()


def _legacy() -> Sequence[Resource]:
    from .kinds import legacy  # where the configuration asks for something alone

    return legacy.resources()


class APIServer:
    """A running API server between `start` and `stop`. The store is the caller's: it is not closed here.

    Each part is made from those before it. Only the table of handlers is handed out while it is still empty: admission looks
    into it (webhooks for all versions of a resource) when requests come, and handlers need admission.
    """

    def __init__(self, store: Store, options: Options) -> None:
        self.options, now = options, options.clock.now
        chosen = runtimeconfig.enabled(options.resources, _legacy, options.runtime_config)
        self._resources, self._hidden = chosen.resources, chosen.hidden
        self._legacy = options.runtime_config.get(runtimeconfig.LEGACY) == "true"
        shown = [one for one in chosen.resources if runtimeconfig.key_of(one) not in chosen.hidden]
        self.cache = WatchCache(store, Keys(options.key_prefix), options.clock)
        self._caches = Caches(self.cache, self._elsewhere())
        stores = (cache.store for cache in (self.cache, *self._caches.others))
        self._compactors = [Compactor(one, options.compaction_interval, options.clock) for one in stores]
        self.reader = CacheReader(self._caches)
        self.metrics = APIServerMetrics(self._counts, self._caches.watchers)
        if options.auditor is not None:
            self.metrics.registry.include(options.auditor.metrics.registry)
        registry = self.metrics.registry
        self.authenticators = authenticators(options.authentication, self.reader, options.clock, registry)
        self.authorizers = self._authorizers()
        self._handlers = ResourceHandlers(self._caches, now, self.authorizers.require_create, self._legacy)
        self.store = self._handlers.store
        services = self._admission_services()
        self._webhooks = services.webhooks
        self._admission = AdmissionChain(admission_chain(services, options.enable_admission_plugins))
        pool = self._install()
        self._services = ServiceKeeper(self.cache, self.store, pool, options.services, now)
        self._services.measure(self.metrics.registry)
        self._events = EventExpiry(self._caches.of("", "events"), options.event_ttl, now)
        self._discovery, self._documents = Discovery(shown), OpenAPI(shown)
        configmaps = Storage(self.store("", "v1", "configmaps"))
        self._publisher = bootstrap_authentication.Publisher(
            configmaps, options.authentication.published, options.clock
        )
        self._custom = Loader(self.cache, DEFINITIONS, self._definition_controller, "custom resources are not served")
        self._delegates: dict[aggregation.GroupVersion, aggregation.Delegate] = {}
        self._extensions = Loader(
            self.cache, API_SERVICES, self._aggregator, "extension API servers are not reached", _names_service
        )
        self._freshness = FreshClusters(self._caches) if options.shared_store else None
        timeouts = (options.healthcheck_timeout, options.readycheck_timeout)
        asks = self._freshness.asks(*timeouts) if self._freshness is not None else {}
        self._producer = bootstrap_flowcontrol.Producer(self.store, options.clock)
        self._flows = self._flow_control() if options.priority_and_fairness else None
        self._health = Health(
            self._caches, HOOKS if self._flows is None else (*HOOKS, *FLOW_HOOKS), asks, self._decipher()
        )
        self._ending = Shutdown() if options.shutdown.send_retry_after else None
        self.handle = self._chain().handle
        self._server: Server | None = None
        self._making: asyncio.Task[None] | None = None

    def _authorizers(self) -> Authorizers:
        options, registry, cache = self.options, self.metrics.registry, self._caches.of("", "pods")
        if options.authorization is None:
            return authorizers(options.authorization_modes, cache, self.reader, registry)
        from .authorization.dynamic import DynamicAuthorizers  # with a file of its own, or a webhook

        return DynamicAuthorizers(options.authorization, cache, self.reader, options.clock, registry)

    def _decipher(self) -> dict[str, Ask]:
        """Follows those who decrypt the store; what there is to ask of their health."""
        encryption = self.options.encryption
        if encryption is None:
            return {}
        encryption.readable += [cache.read_again for cache in (self.cache, *self._caches.others)]
        self.metrics.registry.include(encryption.metrics.registry)
        return {"kms-providers": encryption.healthy} if encryption.checked else {}

    def _elsewhere(self) -> dict[tuple[str, str], WatchCache]:
        """A cache for each other store, by each name of its resources."""
        chosen, caches = self.options.elsewhere, dict[int, WatchCache]()
        for store in chosen.values():
            caches.setdefault(id(store), WatchCache(store, Keys(self.options.key_prefix), self.options.clock))
        stored = ((one, one.stored_at[:2]) for one in self.options.resources)
        return {
            name: caches[id(chosen[at])] for one, at in stored if at in chosen for name in (at, (one.group, one.name))
        }

    def _install(self) -> Pool:
        """The handlers of all built-in resources. Services are the last: they take their addresses from the pool, it keeps
        IPAddresses."""
        services = [r for r in self._resources if (r.group, r.name) == SERVICES]
        others = [r for r in self._resources if (r.group, r.name) != SERVICES]
        self._handlers.install(others, self._admission)
        options = self.options.services
        pool = Pool(self.cache, self.store(*ADDRESSES), options.networks, options.ports)
        make = functools.partial(AllocatingStore, allocator=ServiceAllocator(pool))
        self._handlers.install(services, self._admission, make)
        return pool

    def _admission_services(self) -> Services:
        return Services(
            reader=self.reader,
            authorizers=self.authorizers,
            write_quota=self._write_quota,
            provide_namespace=self._provide_namespace,
            allow_privileged=self.options.allow_privileged,
            toleration_seconds=self.options.toleration_seconds,
            legacy=self._legacy,
            served=self._handlers.resources,
            clock=self.options.clock,
            registry=self.metrics.registry,
        )

    def _chain(self) -> Chain:
        options, accounts = self.options, self.options.authentication.service_accounts
        routes = Routes(self._handlers.by_key, self._special(), self._hidden)
        pages = openid.pages(accounts) if accounts else {}
        flows = self._flows
        debug = flows.answer if flows is not None else None
        told = NonResource(
            self._discovery,
            self._documents,
            self._health,
            self.metrics.registry.text,
            pages,
            debug,
            options.other_metrics,
        )
        chain = links(
            authenticators=self.authenticators,
            authorizers=self.authorizers,
            limiter=flows.link if flows is not None else MaxInFlight(options.limits, self.metrics),
            request_timeout=options.request_timeout,
            metrics=self.metrics,
            served=self._handlers.by_key,
            delegates=self._delegates,
            clock=options.clock,
            watching=options.watching,
            failing=options.failing,
            auditor=options.auditor,
            ending=self._ending,
        )
        return Chain(chain, Director(routes, told, self._freshness), options.clock)

    def _flow_control(self) -> ServerFlowControl:
        options = self.options
        return ServerFlowControl(
            *(options.limits.total, options.request_timeout, self._handlers.by_key, self.store, self.metrics),
            options.clock,
        )

    def _special(self) -> dict[tuple[str, str, str], dict[str, Special]]:
        """What is answered otherwise than from a kind's own storage: (group, resource, subresource) -> verb -> handler."""
        pods, budgets = self.store("", "v1", "pods"), self.store("policy", "v1", "poddisruptionbudgets")
        bind = functools.partial(binding.create, pods)
        accounts = self.authenticators.service_accounts
        special: dict[tuple[str, str, str], dict[str, Special]] = {
            ("", "pods", "binding"): {"create": bind},
            ("", "bindings", ""): {"create": bind},
            ("", "pods", "eviction"): {"create": Eviction(pods, budgets).create},
            **Reviews(self.authenticators, self.authorizers, self._handlers.by_key).routes(),
            **Connect(self.reader, self.options.kubelet, self._admit_connection).special(),
        }
        if any("rollback" in resource.subresources for resource in self._resources):
            from .endpoints.rollback import Rollback  # with old group-versions only

            back = Rollback(self.store("apps", "v1", "deployments"))
            special |= {(group, "deployments", "rollback"): {"create": back.create} for group in ("apps", "extensions")}
        if accounts is not None and accounts.options.signer is not None:
            issue = functools.partial(tokenrequest.create, accounts, self._admit)
            special["", "serviceaccounts", "token"] = {"create": issue}
        return special

    def _counts(self) -> dict[tuple[str, str], int]:
        return {key: count for key, count in self._caches.counts().items() if key[0] not in INTERNAL}

    def _definition_controller(self) -> DefinitionController:
        from .crd.controller import DefinitionController  # with the first definition only
        from .crd.webhook import Webhook

        tell = (self._discovery.serve, self._documents.serve)
        return DefinitionController(
            self.store("apiextensions.k8s.io", "v1", "customresourcedefinitions"),
            self.store("apiregistration.k8s.io", "v1", "apiservices"),
            CustomResources(self.cache, self._handlers, self._admission, tell),
            Webhook(self.reader),
        )

    def _aggregator(self) -> Aggregator:
        from .aggregation.controller import Aggregator  # with the first extension API server only
        from .aggregation.delegate import ProxyClient

        return Aggregator(
            self.store("apiregistration.k8s.io", "v1", "apiservices"),
            self.reader,
            ProxyClient(*self.options.proxy_client),
            self._delegates,
            self._discovery,
            self._documents,
            self.metrics.registry,
        )

    # What parts ask of each other.

    async def _admit(self, attributes: Attributes) -> None:
        await self._admission.admit(attributes)

    async def _write_quota(self, quota: Object) -> Object:
        store, metadata = self.store("", "v1", "resourcequotas"), quota["metadata"]
        options = WriteOptions(admission=False)
        return (await store.update(metadata["namespace"], metadata["name"], quota, options, "status"))[0]

    async def _provide_namespace(self, name: str) -> None:
        """As the system itself, for who asks may not have the right; admission sees it, as it sees that of upstream's own client."""
        await self.store("", "v1", "namespaces").create({"metadata": {"name": name}}, "", WriteOptions())

    async def _admit_connection(
        self, user: User, resource: str, subresource: str, namespace: str, name: str, options: Object
    ) -> None:
        await self.store("", "v1", resource).connect(user, subresource, namespace, name, options)

    def _storage(self, resource: str) -> Storage:
        return Storage(self.store(RBAC_GROUP, "v1", resource))

    # The life of the server.

    async def start(self) -> None:
        """Returns when requests are answered and /readyz says so."""
        options, health = self.options, self._health
        if options.auditor is not None:
            await options.auditor.start()
        await self.authenticators.start()
        await self.authorizers.start()
        await self._caches.start()
        await self._make()
        await self._publisher.start()
        self._producer.start()
        if self._flows is not None:
            await self._flows.start()
            health.done(FLOWS_READ)
            health.done(FLOWS_LIMITED)
        await self._custom.start()
        await self._extensions.start()
        self._making = asyncio.get_running_loop().create_task(self._make_again())
        where = (options.host, options.port, options.ssl_context)
        self._server = await serve(self.handle, *where, asks_for_bodies=True, reuse_port=options.reuse_port)
        await self._services.start(self.port)
        self._events.start()
        for compactor in self._compactors:
            compactor.start()
        health.done(SERVICES_REPAIRED)
        health.serving = True

    async def _make(self) -> None:
        """What every cluster has."""
        await namespaces.ensure(self.store("", "v1", "namespaces"))
        self._health.done(NAMESPACES_MADE)
        if self.authorizers.rbac is not None:
            await reconcile.reconcile(self._storage)
        self._health.done(ROLES_MADE)
        await self._producer.ensure()
        self._health.done(FLOWS_MADE)
        await objects.ensure(self.store, self._resources, times.format_time(self.options.clock.now()))
        await self._services.repair()

    async def _make_again(self) -> None:
        """Whenever the store has come back with older data, or none."""
        while True:
            await self.cache.restored.wait()
            self.cache.restored.clear()
            try:
                await self._make()
            except Exception:
                _log.exception("what every cluster has could not be made again; the next try is in %g s", AGAIN_SECONDS)
                await self.options.clock.sleep(AGAIN_SECONDS)
                self.cache.restored.set()

    async def stop(self, grace: float = 1.0) -> None:
        """Refuses new requests, ends watches, waits for the rest."""
        self._health.serving = False
        await self._leave()
        await end(self._making)
        await self._producer.stop()
        if self._flows is not None:
            await self._flows.stop()
        await self._extensions.stop()
        await self._custom.stop()
        for compactor in self._compactors:
            await compactor.stop()
        await self._publisher.stop()
        await self._events.stop()
        await self._services.stop()
        await self._caches.stop()
        if self._server is not None:
            await self._server.stop(grace)
        if self.options.auditor is not None:
            await self.options.auditor.close()
        await self.authenticators.close()
        await self.authorizers.close()
        await self._webhooks.close()

    async def _leave(self) -> None:
        """What clients and load balancers see before the port closes (upstream: genericapiserver.go RunWithContext)."""
        options, clock = self.options.shutdown, self.options.clock
        if options.delay:
            _log.info("not ready any more; requests are answered for another %g s", options.delay)
            await clock.sleep(options.delay)
        if self._ending is not None:
            self._ending.refuse()
            if not await self._ending.drained(self.options.request_timeout, clock):
                _log.warning("some requests have not ended within %g s", self.options.request_timeout)
        elif self._server is not None and options.watches:
            self._server.refuse()
        if options.watches:
            await self._caches.end_watches(options.watches, clock)

    @property
    def listening(self) -> Server:
        """What answers, also clients of the same process (`client.inprocess`)."""
        assert self._server is not None, "not started"
        return self._server

    @property
    def port(self) -> int:
        """The bound port."""
        return self.listening.port


def _names_service(stored: Stored) -> bool:
    """Of an APIService: whether another server answers for it."""
    return stored.peek()["spec"].get("service") is not None
