"""The cluster of tests: memory store, TLS on a free port of the loopback, a kubeconfig for an administrator."""

from __future__ import annotations

import asyncio
import logging
import secrets
import ssl
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pybernetes.aio.clock import Clock, RealClock
from pybernetes.aio.ending import end
from pybernetes.aio.flowing import FlowingClock
from pybernetes.api import times
from pybernetes.api.errors import StatusError
from pybernetes.api.wellknown import ALL_AUTHENTICATED, KUBE_CONTROLLER_MANAGER, KUBE_SCHEDULER, SYSTEM_PRIVILEGED_GROUP
from pybernetes.apiserver.admission.chain import DEFAULT, EMBEDDED
from pybernetes.apiserver.authentication import keys
from pybernetes.apiserver.authentication.options import AuthenticationOptions
from pybernetes.apiserver.authentication.serviceaccount import TokenOptions
from pybernetes.apiserver.authentication.tokenfile import TokenFile
from pybernetes.apiserver.authentication.user import User
from pybernetes.apiserver.authentication.x509 import ClientCertificate
from pybernetes.apiserver.endpoints.connect.kubelet import KubeletConfig
from pybernetes.apiserver.generic.keys import Keys
from pybernetes.apiserver.generic.store import new_uid
from pybernetes.apiserver.server import APIServer, Options
from pybernetes.client.kubeconfig import Config
from pybernetes.cluster.credentials import kubeconfig
from pybernetes.pki import keys as pki
from pybernetes.pki.contexts import ServerContext
from pybernetes.pki.files import Pair
from pybernetes.store.memory import MemoryStore, Snapshot

from . import addresses, arguments, template
from .addresses import LOOPBACK
from .certificates import Authority, write

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

    from pybernetes.apiserver.filters.exchange import Link
    from pybernetes.client.rest import RESTClient
    from pybernetes.wire.http import Server

    from .nodes import HollowNodes
    from .scripts import Scripts

_log = logging.getLogger(__name__)

START_SECONDS = 60.0  # a machine that runs several suites at once takes its time
POLL_SECONDS = 0.01
SERVICE_ACCOUNTS = "serviceaccount-controller"
SIGNING_SECONDS = 365 * 24 * 3600.0  # the controller manager's --cluster-signing-duration
FRONT_PROXY = "front-proxy-client"
CA_FILE = "ca.crt"
ADMINISTRATOR = "kubernetes-admin"
POD_RANGES = "10.128.0.0/10"  # of hollow nodes, a /24 each: more than there can be, and none of the services' addresses
HOLLOW_NODES = "system:hollow-nodes"
_beginnings: list[Snapshot] = []  # none before the first cluster of the process has started, one from then on
ISSUER = "https://kubernetes.default.svc.cluster.local"


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class RunningCluster:
    """Where a test finds its cluster."""

    url: str
    kubeconfig: str  # path
    ca: bytes
    token: str  # the administrator's, for clients without a kubeconfig
    ca_file: str  # path
    certificate_file: str  # path; the administrator's, for clients that want files
    key_file: str  # path; SEC1 PEM, which OpenSSL 1.x, the JDK's providers and fabric8 read


class NotStarted(RuntimeError):
    """The cluster had not all that its users expect when START_SECONDS were over; says what was missing."""


class TestCluster:
    """An API server of one's own on the running event loop; the folder holds its kubeconfig and keys."""

    __test__ = False  # not a test, whatever pytest thinks of the name

    def __init__(
        self,
        folder: Path,
        hollow_nodes: int = 0,
        controllers: str | bool | Sequence[str] = (),
        scheduler: bool = False,
        clock: Clock | None = None,
        signing_seconds: float = SIGNING_SECONDS,
        *,
        host: str = LOOPBACK,
        state: Snapshot | None = None,
        watching: Sequence[Link] = (),
        failing: Sequence[Link] = (),
        scripts: Scripts | None = None,
    ) -> None:
        """`controllers`: "all", or names as kube-controller-manager's --controllers takes them. WrongArgument.

        `clock` is every part's: with a VirtualClock (of an epoch near today, for TLS) time passes when it is advanced. Hollow nodes with
        a scheduler have the node-lifecycle-controller besides: without it they would take no pods. `signing_seconds`: how long
        certificates hold that a controller signs. `host`: the address that is listened on. `state`: what another cluster had, to begin with.
        `watching`, `failing`: links as `chain.links` has them; `scripts`: what the pods of hollow nodes do.
        """
        self._clock = clock or RealClock()
        self._stands_still = clock is not None and not isinstance(
            clock, FlowingClock
        )  # until the caller, who waits for the start, advances it
        self._folder = folder
        self._hollow_nodes = arguments.hollow_nodes(hollow_nodes)
        self._scheduler = arguments.scheduler(scheduler)
        self._signing_seconds = arguments.seconds("signing_seconds", signing_seconds)
        chosen = arguments.controllers(controllers)
        self._controllers = arguments.with_lifecycle(chosen, self._hollow_nodes, self._scheduler)
        self._running = AsyncExitStack()  # ends what was started, the last first
        self._parts: list[asyncio.Task[None]] = []
        self._host, self._state, self._scripts = host, state, scripts
        self._links = tuple(watching), tuple(failing)
        self._restarting = False
        self._users: dict[str, User] = {}  # by token
        self._served = 0  # webhooks
        self.nodes: HollowNodes | None = None

    async def start(self, port: int = 0) -> RunningCluster:
        """Returns when it answers, its hollow nodes are registered and pods can be created in the namespace default.

        The last not on a clock of the caller's: controllers wait for the time that passes after the start.
        WrongArgument; OSError where the port is not to be had; NotStarted. Nothing is left running after an error.
        """
        arguments.port(port)
        try:
            return await self._start(port)
        except BaseException:
            await self.stop()
            raise

    async def _start(self, port: int) -> RunningCluster:
        self._authority = authority = Authority("pybernetes-test-ca", _now())
        write(self._folder / CA_FILE, authority.pem)
        self._token_key = pki.generate()  # of the cluster's own, for service-account tokens
        context, token = self._tls(authority), secrets.token_urlsafe()
        shown, published = self._front_proxy(authority)
        self._users[token] = User(ADMINISTRATOR, (SYSTEM_PRIVILEGED_GROUP, ALL_AUTHENTICATED))
        self._store = MemoryStore()
        self._store.restore(self._state or self._beginning())
        self._running.push_async_callback(self._store.close)
        self._options = Options(
            host=self._host,
            port=port,
            ssl_context=context,
            authentication=AuthenticationOptions(
                requests=[ClientCertificate(self._clock.now)],
                published=lambda: published,
                tokens=[TokenFile(self._users)],
                service_accounts=_tokens(self._token_key),
                bootstrap_tokens=True,
                anonymous=True,  # as upstream's default: RBAC lets them see health and version
            ),
            authorization_modes=("Node", "RBAC"),
            kubelet=self._kubelet_client(),
            proxy_client=(shown, ""),
            enable_admission_plugins=self._plugins(),
            clock=self._clock,
            watching=self._links[0],
            failing=self._links[1],
        )
        self._running.push_async_callback(self._stop_server)
        self.server = APIServer(self._store, self._options)
        await self.server.start()
        if self._state is None and not _beginnings:
            _beginnings.append(template.template(self.snapshot(), Keys(self._options.key_prefix)))
        url = f"https://{addresses.reached_at(self._host)}:{self.server.port}"
        path = self._folder / "kubeconfig"
        admin = authority.client(ADMINISTRATOR, [SYSTEM_PRIVILEGED_GROUP])
        write(path, kubeconfig(url, authority.pem, ADMINISTRATOR, admin).encode())
        certificate, key = self._folder / "admin.crt", self._folder / "admin.key"
        write(certificate, admin.certificate)
        write(key, admin.key)
        if self._hollow_nodes:
            await self._start_nodes()
        if self._controllers:
            self._start_controllers(authority.pem)
        if self._scheduler:
            self._start_scheduler()
        if self._makes_accounts() and not self._stands_still:
            await self._wait_for_account()
        files = (str(self._folder / CA_FILE), str(certificate), str(key))
        return RunningCluster(url, str(path), authority.pem, token, *files)

    def _beginning(self) -> Snapshot:
        """What the store has before the server starts."""
        now = times.format_time(self._clock.now())
        return template.fresh(_beginnings[0], now, new_uid) if _beginnings else Snapshot({})

    async def _stop_server(self) -> None:
        await self.server.stop(0)

    # What a test does to it.

    def snapshot(self) -> Snapshot:
        """All objects as they are now."""
        return self._store.snapshot()

    async def restore(self, snapshot: Snapshot) -> None:
        """All objects as they were; returns when whoever asks is answered so. Uids are those of then, revisions go on (`MemoryStore.restore`)."""
        self._store.restore(snapshot)
        await self.server.cache.wait(await self._store.revision())

    async def restart(self) -> None:
        """The API server ends and comes back, on its port and with its data; connections are cut."""
        self._restarting = True
        await self.server.stop(0)
        self._options = replace(self._options, port=self.server.port)
        self.server = APIServer(self._store, self._options)
        await self.server.start()
        self._restarting = False

    def user(self, name: str, groups: Sequence[str] = ()) -> tuple[str, Pair]:
        """(token, certificate and key) of one whom nobody has given rights yet."""
        token = secrets.token_urlsafe()
        self._users[token] = User(name, (*groups, ALL_AUTHENTICATED))
        return token, self._authority.client(name, list(groups))

    def serving(self, host: str) -> tuple[str, str, bytes]:
        """(file of a certificate for this machine's address, file of its key, the authority that it is of): for webhooks."""
        self._served += 1
        place = self._folder / f"webhook-{self._served}"
        place.mkdir(mode=0o700)
        pair = self._authority.serving(*addresses.served_as(host))
        certificate, key = place / "tls.crt", place / "tls.key"  # as servers that are given a folder have them
        write(certificate, pair.certificate)
        write(key, pair.key)
        return str(certificate), str(key), self._authority.pem

    def _plugins(self) -> tuple[str, ...]:
        """The default ones; ServiceAccount only where a controller makes the accounts that it asks for."""
        plugins = (*(DEFAULT if self._makes_accounts() else EMBEDDED), "NodeRestriction")
        if arguments.NODE_LIFECYCLE in self._chosen():
            return plugins
        # Nobody would ever take the taint not-ready off new nodes, and no pod be placed on them.
        return tuple(name for name in plugins if name != "TaintNodesByCondition")

    def _chosen(self) -> set[str]:
        """The names of the controllers that run."""
        from pybernetes.controllers import selected

        return {entry.name for entry in selected(self._controllers)}

    def _makes_accounts(self) -> bool:
        """Whether namespaces have a service account each, without which no pod is admitted."""
        return SERVICE_ACCOUNTS in self._chosen()

    def _kubelet_client(self) -> KubeletConfig:
        """What the API server shows to the hollow nodes' port; their certificate is of the same authority."""
        if not self._hollow_nodes:
            return KubeletConfig()
        authority, pair, trusted = self._authority, self._folder / "kubelet-client.pem", self._folder / CA_FILE
        client = authority.client("kube-apiserver-kubelet-client", [SYSTEM_PRIVILEGED_GROUP])
        write(pair, client.key + client.certificate)
        return KubeletConfig(
            address_types=("InternalIP",), certificate=str(pair), key=str(pair), authority=str(trusted)
        )

    def _front_proxy(self, authority: Authority) -> tuple[str, dict[str, str]]:
        """(file of the certificate and key that extension API servers are shown, what they are to know to believe it)."""
        proxies, pair = Authority("pybernetes-test-front-proxy-ca", _now()), self._folder / "front-proxy-client.pem"
        client = proxies.client(FRONT_PROXY, [])
        write(pair, client.key + client.certificate)
        return str(pair), {
            "client-ca-file": authority.pem.decode(),
            "requestheader-client-ca-file": proxies.pem.decode(),
            "requestheader-allowed-names": f'["{FRONT_PROXY}"]',
            "requestheader-username-headers": '["X-Remote-User"]',
            "requestheader-group-headers": '["X-Remote-Group"]',
            "requestheader-extra-headers-prefix": '["X-Remote-Extra-"]',
        }

    def client(
        self, user: str, groups: Sequence[str] = (SYSTEM_PRIVILEGED_GROUP,), agent: str = "", *, retries: bool = True
    ) -> RESTClient:
        """A client of this process, without a socket; closed with the cluster.

        `agent`: what managedFields call it, as the commands of a real cluster are called; the user's name where it has none. Without
        `retries` it hands on every 429.
        """
        from pybernetes.client.inprocess import URL, InProcessClient
        from pybernetes.client.rest import MAX_RETRIES, RESTClient

        certificate = ssl.PEM_cert_to_DER_cert(self._authority.client(user, list(groups)).certificate.decode())
        http = InProcessClient(self._listening, certificate)
        client = RESTClient(
            Config(URL), agent or user, clock=self._clock, http=http, retries=MAX_RETRIES if retries else 0
        )
        self._running.push_async_callback(client.close)
        return client

    def _listening(self) -> Server:
        if self._restarting:
            raise ConnectionRefusedError("the API server is restarted")
        return self.server.listening

    def _start_controllers(self, root_ca: bytes) -> None:
        """The controllers of --controllers, without an election: nobody else could be elected."""
        from pybernetes.client.informer import InformerFactory
        from pybernetes.controllers import manager
        from pybernetes.controllers.options import Options as ControllerOptions

        client = self.client(KUBE_CONTROLLER_MANAGER, agent="kube-controller-manager")
        options = ControllerOptions(
            controllers=self._controllers,
            allocate_node_cidrs=True,
            cluster_cidr=POD_RANGES,
            root_ca=root_ca,
            service_account_private_key=pki.private_pem(self._token_key),
            cluster_signing_cert=root_ca,
            cluster_signing_key=self._authority.key,
            cluster_signing_duration=self._signing_seconds,
        )
        informers = InformerFactory(client, self._clock)
        self._run(asyncio.ensure_future(manager.run(client, informers, options, self._clock)))

    def _start_scheduler(self) -> None:
        """Without an election either."""
        from pybernetes.client.informer import InformerFactory
        from pybernetes.scheduler import app

        client = self.client(KUBE_SCHEDULER, agent="kube-scheduler")
        self._run(asyncio.ensure_future(app.run(client, InformerFactory(client, self._clock), clock=self._clock)))

    async def _start_nodes(self) -> None:
        """Returns when all are registered."""
        from pybernetes.api.types import core_v1

        from .nodes import HollowNodes

        client = self.client(HOLLOW_NODES, agent="kubelet")
        serving = self._authority.serving(["localhost"], ["127.0.0.1"])
        context = ServerContext(serving, authorities=[self._folder / CA_FILE])
        self.nodes = nodes = HollowNodes(client, self._clock, self._hollow_nodes, self._scripts)
        self._running.push_async_callback(nodes.stop)
        for task in await nodes.start(context):
            self._run(task)

        async def registered() -> bool:
            return len((await client.list(core_v1.Node)).items) >= self._hollow_nodes

        await self._wait("the hollow nodes", registered)

    async def _wait_for_account(self) -> None:
        """Whoever has a cluster wants to create a pod in it at once."""
        from pybernetes.api.types import core_v1

        client = self.client(ADMINISTRATOR)

        async def exists() -> bool:
            try:
                await client.get(core_v1.ServiceAccount, "default", "default")
            except StatusError as error:
                if error.code != 404:
                    raise
                return False
            return True

        await self._wait("the service account of the namespace default", exists)

    async def _wait(self, what: str, holds: Callable[[], Awaitable[bool]]) -> None:
        """NotStarted. Real seconds, whatever the cluster's clock: the start is of this machine."""
        try:
            async with asyncio.timeout(START_SECONDS):
                while not await holds():
                    for task in self._parts:
                        if task.done():
                            raise NotStarted(
                                f"{what}: not there, and what would bring it has ended"
                            ) from task.exception()
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError as error:
            raise NotStarted(f"{what}: not there within {START_SECONDS:g} s") from error

    async def kill_node(self, name: str) -> None:
        """A hollow node ends as if its power had gone: nothing is said, its lease runs out. KeyError if there is none."""
        if self.nodes is None:
            raise KeyError(name)
        await self.nodes.kill(name)

    def _tls(self, authority: Authority) -> ssl.SSLContext:
        serving = authority.serving(*addresses.served_as(self._host))
        pair = self._folder / "apiserver.pem"
        write(pair, serving.key + serving.certificate)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair)
        context.load_verify_locations(cadata=authority.pem.decode())
        context.verify_mode = ssl.CERT_OPTIONAL
        return context

    async def stop(self) -> None:
        """Nothing is left but the folder, which is the caller's."""
        await self._running.aclose()

    def _run(self, task: asyncio.Task[None]) -> None:
        """The task is one of the cluster's parts from here on."""
        task.add_done_callback(_report)
        self._parts.append(task)
        self._running.push_async_callback(_end, task)


def _tokens(key: EllipticCurvePrivateKey) -> TokenOptions:
    signer = keys.signer_with(key)
    return TokenOptions(issuers=(ISSUER,), verifiers=(signer.public,), signer=signer)


async def _end(task: asyncio.Task[None]) -> None:
    """Waits for it; why it ended, if by itself, `_report` has told."""
    await end(task)


def _report(task: asyncio.Task[None]) -> None:
    """A part that ends by itself has failed."""
    if not task.cancelled() and task.exception() is not None:
        _log.error("a part of the test cluster ended", exc_info=task.exception())
