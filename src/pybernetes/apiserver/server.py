"""The API server put together: store, watch cache, resources, and the chain that a request goes through.

`handle` shows the chain in its order: who asks, what is asked, may they, then the verb. Upstream: pkg/controlplane, apiserver/pkg/server.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import random
import ssl
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pybernetes.aio.clock import RealClock
from pybernetes.api import errors, times
from pybernetes.api.errors import StatusError
from pybernetes.store.compaction import DEFAULT_SECONDS, Compactor
from pybernetes.store.types import Closed, Store
from pybernetes.wire.http import Request, Response, Server, serve

from .access import Access, AccessOptions
from .admission.chain import ADMISSION, EMBEDDED, Services, admission_chain, admit
from .authentication.serviceaccount import TokenOptions
from .authentication.user import User
from .bootstrap import objects as bootstrap
from .crd.loader import Loader
from .documents.discovery import Discovery
from .documents.openapi import OpenAPI
from .endpoints import binding, negotiate
from .endpoints.componentstatuses import ComponentStatuses, ComponentStore
from .endpoints.connect.handlers import Connect
from .endpoints.connect.kubelet import KubeletConfig
from .endpoints.eviction import Eviction
from .endpoints.handlers import ResourceHandler, answer
from .endpoints.metrics import APIServerMetrics
from .endpoints.negotiate import Accepted
from .endpoints.nonresource import Check, NonResource
from .endpoints.routes import Answer, Routes, Special
from .filters.inflight import Asked, Filters, Limits
from .generic.cache import WatchCache
from .generic.expiry import EventExpiry
from .generic.keys import DEFAULT_PREFIX, Keys
from .generic.options import WriteOptions
from .generic.reader import CacheReader
from .generic.store import GenericStore
from .kinds import RESOURCES
from .resource import Object, Resource
from .services.keeper import ServiceKeeper
from .services.options import ServiceOptions
from .types import Attributes, Authenticator

if TYPE_CHECKING:
    from .crd.controller import CustomResources

_log = logging.getLogger(__name__)

# What is done at the start, as /readyz names it (upstream: poststarthooks).
HOOKS = ("start-system-namespaces-controller", "rbac/bootstrap-roles", "start-service-ip-repair-controllers")
INTERNAL = ("ranges", "masterleases")  # kept beside the resources, and none
SYSTEM_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")


@dataclass(kw_only=True)
class Options:
    """What the command line decides; see also `access.AccessOptions`."""

    host: str = "127.0.0.1"
    port: int = 0
    ssl_context: ssl.SSLContext | None = None
    authenticators: Sequence[Authenticator] = ()
    authorization_modes: Sequence[str] = ("AlwaysAllow",)
    anonymous: bool = False
    service_accounts: TokenOptions | None = None
    bootstrap_tokens: bool = False
    published_authentication: Mapping[str, str] = field(default_factory=dict)
    enable_admission_plugins: Sequence[str] = EMBEDDED
    allow_privileged: bool = True  # containers with all rights on their node
    resources: Sequence[Resource] = RESOURCES
    kubelet: KubeletConfig = field(default_factory=KubeletConfig)
    services: ServiceOptions = field(default_factory=ServiceOptions)
    event_ttl: float = 3600.0  # seconds
    limits: Limits = field(default_factory=Limits)
    key_prefix: str = DEFAULT_PREFIX
    compaction_interval: float = DEFAULT_SECONDS  # 0: never


class APIServer:
    """A running API server between `start` and `stop`. The store is the caller's: it is not closed here."""

    def __init__(self, store: Store, options: Options) -> None:
        self.options = options
        self.cache = WatchCache(store, Keys(options.key_prefix))
        self._compactor = Compactor(store, options.compaction_interval, RealClock())
        self.reader = CacheReader(self.cache)
        self.metrics = APIServerMetrics(self._counts, self.cache.watchers)
        self.access = self._access()
        services = Services(
            reader=self.reader,
            authorizers=self.access.authorizers,
            write_quota=self._write_quota,
            allow_privileged=options.allow_privileged,
            served=lambda: [handler.resource for handler in self._handlers.values()],
            registry=self.metrics.registry,
        )
        self._webhooks = services.webhooks
        self._admission = admission = admission_chain(services, options.enable_admission_plugins)
        self._handlers = {
            (r.group, r.version, r.name): ResourceHandler(GenericStore(r, self.cache, admission), self._now)
            for r in options.resources
        }
        for handler in self._handlers.values():
            handler.store.authorize_create = self.access.may_create
        self._look_at_components()
        self._services = ServiceKeeper(self.cache, self.store, options.services, self._now)
        self._events = EventExpiry(self.cache, options.event_ttl, self._now)
        self._routes = Routes(self._handlers, self._special())
        self._services.measure(self.metrics.registry)
        self._filters = Filters(self.metrics, options.limits, self._handlers)
        self._discovery, self._documents = Discovery(options.resources), OpenAPI(options.resources)
        self._custom = Loader(self.cache, self._custom_resources)
        self._done: set[str] = set()  # parts of the start
        self._nonresource = NonResource(self._discovery, self._documents, self._checks(), self.metrics.registry.text)
        self._server: Server | None = None
        self._ready = False

    def _counts(self) -> dict[tuple[str, str], int]:
        return {key: count for key, count in self.cache.counts().items() if key[0] not in INTERNAL}

    def _custom_resources(self) -> CustomResources:
        from .crd import apiservices  # with the first definition only
        from .crd.controller import CustomResources, Host
        from .crd.webhook import Webhook

        async def register(group: str, version: str, served: bool) -> None:
            store = self.store("apiregistration.k8s.io", "v1", "apiservices")
            await apiservices.register(store, group, version, served, store.now_text())

        def prepare(handler: ResourceHandler) -> None:
            handler.store.authorize_create = self.access.may_create

        def serve_too(custom: Iterable[Resource]) -> None:
            found = list(custom)
            self._discovery.serve(found)
            self._documents.serve(found)

        webhook = Webhook(self.reader)
        definitions = self.store("apiextensions.k8s.io", "v1", "customresourcedefinitions")
        admission = functools.partial(tuple, self._admission)
        return CustomResources(
            Host(
                cache=self.cache,
                definitions=definitions,
                handlers=self._handlers,
                admission=admission,
                now=self._now,
                serve=serve_too,
                prepare=prepare,
                register=register,
                call=webhook.call,
                close=webhook.close,
            )
        )

    def _look_at_components(self) -> None:
        key = ("", "v1", "componentstatuses")
        if key in self._handlers:
            asked = ComponentStore(self._handlers[key].resource, self.cache, self._now)
            self._handlers[key] = ComponentStatuses(asked, self._now)

    def _access(self) -> Access:
        options = self.options
        chosen = AccessOptions(
            authenticators=options.authenticators,
            authorization_modes=options.authorization_modes,
            anonymous=options.anonymous,
            service_accounts=options.service_accounts,
            bootstrap_tokens=options.bootstrap_tokens,
            published=options.published_authentication,
        )
        return Access(chosen, self.cache, self.reader, self._now, self.metrics.registry)

    def _special(self) -> dict[tuple[str, str, str], dict[str, Special]]:
        """What is answered otherwise than from a kind's own storage: (group, resource, subresource) -> verb -> handler."""
        pods, budgets = self.store("", "v1", "pods"), self.store("policy", "v1", "poddisruptionbudgets")
        bind = functools.partial(binding.create, pods)
        return {
            ("", "pods", "binding"): {"create": bind},
            ("", "bindings", ""): {"create": bind},
            ("", "pods", "eviction"): {"create": Eviction(pods, budgets).create},
            **self.access.routes(self._admit),
            **Connect(self.reader, self.options.kubelet, self._admit_connection).special(),
        }

    async def _admit(self, attributes: Attributes) -> None:
        await admit(self._admission, attributes)

    async def _write_quota(self, quota: Object) -> Object:
        store, metadata = self.store("", "v1", "resourcequotas"), quota["metadata"]
        options = WriteOptions(admission=False)
        return (await store.update(metadata["namespace"], metadata["name"], quota, options, "status"))[0]

    async def _admit_connection(
        self, user: User, resource: str, subresource: str, namespace: str, name: str, options: Object
    ) -> None:
        await self.store("", "v1", resource).connect(user, subresource, namespace, name, options)

    def _checks(self) -> dict[str, dict[str, Check]]:
        """Of /healthz, /livez and /readyz."""
        hooks: dict[str, Check] = {f"poststarthook/{hook}": functools.partial(self._is_done, hook) for hook in HOOKS}
        common: dict[str, Check] = {"ping": lambda: True, "log": lambda: True, "etcd": lambda: self.cache.following}
        ready: dict[str, Check] = {"etcd-readiness": common["etcd"], "informer-sync": lambda: self.cache.revision > 0}
        shutdown: dict[str, Check] = {"shutdown": lambda: self._ready}
        return {"healthz": common | hooks, "livez": common | hooks, "readyz": common | ready | hooks | shutdown}

    def _is_done(self, hook: str) -> bool:
        return hook in self._done

    @staticmethod
    def _now() -> datetime:
        return datetime.now(UTC)

    def store(self, group: str, version: str, name: str) -> GenericStore:
        """The verbs of a resource, for use inside the server."""
        return self._handlers[group, version, name].store

    async def start(self) -> None:
        """Returns when requests are answered and /readyz says so."""
        await self.cache.start()
        await self._make_namespaces()
        self._done.add("start-system-namespaces-controller")
        await self.access.bootstrap(self.store)
        self._done.add("rbac/bootstrap-roles")
        await bootstrap.ensure(self.store, self.options.resources, times.format_time(self._now()))
        await self._services.repair()
        await self._custom.start()
        options = self.options
        self._server = await serve(self.handle, options.host, options.port, options.ssl_context)
        await self._services.start(self.port)
        self._events.start()
        self._compactor.start()
        self._done.add("start-service-ip-repair-controllers")
        self._ready = True

    async def stop(self, grace: float = 1.0) -> None:
        """Refuses new requests, ends watches, waits for the rest."""
        self._ready = False
        await self._custom.stop()
        await self._compactor.stop()
        await self._events.stop()
        await self._services.stop()
        await self.cache.stop()
        if self._server is not None:
            await self._server.stop(grace)
        await self._webhooks.close()

    def connect(self, client: asyncio.Protocol, certificate: bytes | None = None) -> None:
        """Joins a client of the same process without a socket; `certificate` (DER) says who it is."""
        assert self._server is not None, "not started"
        self._server.connect(client, certificate)

    @property
    def port(self) -> int:
        """The bound port."""
        assert self._server is not None, "not started"
        return self._server.port

    async def _make_namespaces(self) -> None:
        store = self.store("", "v1", "namespaces")
        for name in SYSTEM_NAMESPACES:
            if self.reader.get("", "namespaces", "", name) is None:
                obj, _ = store.schema.normalize({"metadata": {"name": name}})
                try:
                    await store.create(obj, "", WriteOptions(admission=False))
                except StatusError as error:
                    if error.code != 409:  # another server has been faster
                        raise

    # The way of a request.

    async def handle(self, request: Request) -> Answer:
        """Every answer, also to what fails."""
        audit_id = request.header("audit-id") or self._audit_id()
        try:
            answered = await self._filters.run(request, self._filters.asked(request), self._answered)
        except StatusError as error:  # of the filters themselves: too late, a time-out that is none
            answered = self._refusal(request, error)
        headers = (*answered.headers, ("Audit-Id", audit_id))
        if type(answered) is Response:
            return Response(answered.status, headers, answered.body)
        return replace(answered, headers=headers)

    async def _answered(self, request: Request, what: Asked) -> Answer:
        try:
            return await self._handle(request, what)
        except StatusError as error:
            return self._refusal(request, error)
        except Closed:
            return self._refusal(request, errors.service_unavailable("the server is shutting down"))
        except Exception as error:
            _log.exception("%s %r failed", request.method, request.raw_path)
            return self._refusal(request, errors.internal_error(str(error)))

    async def _handle(self, request: Request, what: Asked) -> Answer:
        user, info = self.access.user(request), what.info
        self.access.require(user, info, request)
        if info.is_resource:
            return await self._routes.answer(request, info, what.query, user)
        return self.access.page(request, info) or self._nonresource.answer(request, info, what.query)

    @staticmethod
    def _audit_id() -> str:
        """Random, as uuid.uuid4() but without a system call: it tells requests apart and keeps no secret."""
        text = f"{random.getrandbits(128):032x}"
        return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"

    def _refusal(self, request: Request, error: StatusError) -> Response:
        try:
            form = negotiate.accepted(request, {})
        except StatusError:
            form = Accepted()
        response = answer(error.code, error.status, Accepted(form.media, pretty=form.pretty))
        seconds = (error.status.get("details") or {}).get("retryAfterSeconds")
        if not seconds:
            return response
        return Response(response.status, (*response.headers, ("Retry-After", str(seconds))), response.body)


__all__ = ["ADMISSION", "APIServer", "Options", "admission_chain"]
