"""Flags of kube-apiserver that say where objects are kept, and how."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pybernetes.component import flags
from pybernetes.component.command import Failure, UsageError
from pybernetes.component.flags import Flag, Values
from pybernetes.store.backends import Location, LocationError, open_store
from pybernetes.store.compaction import DEFAULT_SECONDS
from pybernetes.store.types import Store, StoreError

from ..generic.keys import Keys
from ..storage import copying
from . import services

if TYPE_CHECKING:
    from pybernetes.store.transformed import Transformer

    from ..encryption.provider import Encryption
    from ..storage.form import TTLStore, UpstreamForm

ETCD_SCHEMES = ("http://", "https://")
LEASE_REUSE_SECONDS = 60  # as store.etcd.leases.REUSE_SECONDS, which is not loaded without need; upstream's
INTERNAL = ("ranges", "masterleases")  # groups of keys that are no resource's: upstream never encrypts them
MASTER_LEASE_SECONDS = 15  # as services.kubernetes.LEASE_SECONDS; upstream's

# What the server keeps in step by one revision: addresses and ports with Services, definitions with their objects.
TOGETHER = (
    ("", "services"),
    ("networking.k8s.io", "ipaddresses"),
    ("networking.k8s.io", "servicecidrs"),
    ("apiextensions.k8s.io", "customresourcedefinitions"),
    ("apiregistration.k8s.io", "apiservices"),
)

FLAGS = (
    Flag("store", flags.string, "memory:", "sqlite:PATH or memory: (pybernetes' own flag)."),
    Flag(
        "etcd-servers", flags.strings, [], "Members of the etcd cluster that objects are kept in: http(s)://HOST:PORT."
    ),
    Flag(
        "etcd-servers-overrides",
        flags.strings,
        [],
        "Resources in other etcd clusters: GROUP/RESOURCE#http(s)://HOST:PORT;http(s)://HOST:PORT, separated by commas.",
    ),
    Flag(
        "etcd-cafile",
        flags.string,
        "",
        "The authorities of etcd's certificates, PEM; those of the system where none is given.",
    ),
    Flag("etcd-certfile", flags.string, "", "The certificate that etcd is shown, PEM."),
    Flag("etcd-keyfile", flags.string, "", "Its key, PEM."),
    Flag("etcd-prefix", flags.string, "/registry", "What all keys in the store begin with."),
    Flag(
        "etcd-compaction-interval",
        flags.duration,
        DEFAULT_SECONDS,
        "How often what watches no longer need is dropped; 0: never.",
    ),
    Flag(
        "etcd-healthcheck-timeout",
        flags.duration,
        2.0,
        "How long etcd may take to answer before the check `etcd` of /livez, /healthz and /readyz fails.",
    ),
    Flag(
        "etcd-readycheck-timeout",
        flags.duration,
        2.0,
        "How long etcd may take to answer before the check `etcd-readiness` of /readyz fails.",
    ),
    *(
        flags.ignored(f"etcd-{name}", flags.duration, why)
        for name, why in (
            ("count-metric-poll-period", "the watch cache counts"),
            ("db-metric-poll-interval", ""),
        )
    ),
    Flag("storage-backend", flags.string, "", "etcd3, the only one that there is."),
    Flag(
        "lease-reuse-duration-seconds",
        flags.integer,
        LEASE_REUSE_SECONDS,
        "How long a lease in etcd is taken for further keys (events).",
    ),
    flags.ignored("watch-cache", flags.boolean, "all resources are watched through it", True),
    flags.ignored("watch-cache-sizes", flags.strings, "each resource has 10,000 events"),
    flags.ignored("default-watch-cache-size", flags.integer, "each resource has 10,000 events", 100),
    flags.ignored("delete-collection-workers", flags.integer, "", 1),
    flags.ignored("enable-garbage-collector", flags.boolean, "finalizers of owners are always kept", True),
    flags.ignored(
        "storage-media-type",
        flags.string,
        "built-in kinds are protobuf in etcd, as upstream's default",
        "application/vnd.kubernetes.protobuf",
    ),
)


async def opened(values: Values, encryption: Encryption | None = None) -> Store:
    """The store, which the caller closes. UsageError, Failure."""
    store, raw = await _opened(values, encryption)
    try:
        await copying.check_finished(raw, Keys(values["etcd-prefix"]))
    except StoreError as error:
        await store.close()
        raise Failure(f"the store: {error}") from error
    return store


async def _opened(values: Values, encryption: Encryption | None = None) -> tuple[Store, Store]:
    """As a server sees it, and as it is."""
    if values["storage-backend"] not in ("", "etcd3"):
        raise UsageError(
            "--storage-backend invalid, allowed values: etcd3. If not specified, it will default to 'etcd3'"
        )
    servers = tuple(values["etcd-servers"])
    if not servers:
        where = values["store"]
        if where.startswith(ETCD_SCHEMES):
            raise UsageError(f"--store={where}: etcd is for --etcd-servers")
        store = await _open(f"--store={where}", Location((where,)))
        return _encrypted(store, values, encryption), store
    shown = f"--etcd-servers={','.join(servers)}"
    if values["store"] != "memory:":
        raise UsageError(f"--store={values['store']} and {shown}: give one of them")
    if not all(server.startswith(ETCD_SCHEMES) for server in servers):
        raise UsageError(f"{shown}: want http://HOST:PORT or https://HOST:PORT, separated by commas")
    location = Location(servers, values["etcd-cafile"], values["etcd-certfile"], values["etcd-keyfile"])
    raw = await _open(shown, location)
    return _in_upstreams_form(raw, values, encryption), raw


async def place(values: Values, encryption: Encryption | None = None) -> copying.Place:
    """For copies; its store is the caller's to close. UsageError, Failure."""
    from ..storage.form import UpstreamForm

    store, raw = await _opened(values, encryption)
    keys = Keys(values["etcd-prefix"])
    served = store.served if isinstance(store, UpstreamForm) else lambda key: bool(keys.resource_of(key))
    return copying.Place(store, raw, keys, served)


async def _open(shown: str, location: Location) -> Store:
    try:
        return await open_store(location)
    except LocationError as error:
        raise UsageError(f"{shown}: {error}") from error
    except StoreError as error:
        raise Failure(f"{shown}: {error}") from error


Overrides = dict[tuple[str, str], tuple[str, ...]]


def overrides(texts: list[str]) -> Overrides:
    """The servers of each (group, resource) as it is stored, of --etcd-servers-overrides; upstream's syntax and words. UsageError."""
    from ..kinds import RESOURCES

    stored = {(one.group, one.name): one.stored_at[:2] for one in RESOURCES}
    by_resource: Overrides = {}
    for text in texts:
        place, mark, servers = text.partition("#")
        group, slash, resource = place.partition("/")
        urls = tuple(servers.split(";"))
        if not mark or not slash or "#" in servers or "/" in resource or not all(urls):
            raise UsageError(
                f"--etcd-servers-overrides={text}: invalid, must be of format: group/resource#servers, where servers are URLs, "
                "semicolon separated"
            )
        if (group, resource) not in stored:
            raise UsageError(
                f"--etcd-servers-overrides={text}: there is no built-in resource {resource!r} in group {group!r}"
            )
        if (group, resource) in TOGETHER:
            raise UsageError(f"--etcd-servers-overrides={text}: {resource} cannot lie apart from the rest here")
        if not all(url.startswith(ETCD_SCHEMES) for url in urls):
            raise UsageError(f"--etcd-servers-overrides={text}: want http://HOST:PORT or https://HOST:PORT")
        by_resource[stored[group, resource]] = urls
    return by_resource


async def opened_overrides(values: Values, encryption: Encryption | None = None) -> dict[tuple[str, str], Store]:
    """The stores of resources that lie elsewhere, one for each set of servers; the caller closes them. UsageError, Failure."""
    servers = overrides(values["etcd-servers-overrides"])
    if servers and not values["etcd-servers"]:
        raise UsageError("--etcd-servers-overrides: --etcd-servers is needed for the other resources")
    stores: dict[frozenset[str], Store] = {}
    try:
        for urls in servers.values():
            if frozenset(urls) not in stores:
                location = Location(urls, values["etcd-cafile"], values["etcd-certfile"], values["etcd-keyfile"])
                raw = await _open(f"--etcd-servers-overrides: {';'.join(urls)}", location)
                stores[frozenset(urls)] = _in_upstreams_form(raw, values, encryption)
    except BaseException:
        for store in stores.values():
            await store.close()
        raise
    return {name: stores[frozenset(urls)] for name, urls in servers.items()}


def _encrypted(store: Store, values: Values, encryption: Encryption | None) -> Store:
    """Over a store of our own form: keys are bound to values as they are there."""
    if encryption is None:
        return store
    from pybernetes.store.transformed import Transformed

    keys, of = Keys(values["etcd-prefix"]), encryption.of

    def choose(key: str) -> Transformer | None:
        prefix = keys.resource_of(key)
        name = keys.named(prefix)
        return of(name) if prefix and name[0] not in INTERNAL else None

    return Transformed(store, choose)


def _in_upstreams_form(store: Store, values: Values, encryption: Encryption | None) -> UpstreamForm:
    from pybernetes.aio.clock import RealClock
    from pybernetes.store.etcd.store import EtcdStore

    from ..storage.form import UpstreamForm
    from .api import installed

    assert isinstance(store, EtcdStore)
    store.reuse_leases(values["lease-reuse-duration-seconds"])
    ttls = {("", "events"): int(values["event-ttl"]), ("masterleases", "endpoints"): MASTER_LEASE_SECONDS}
    ports = services.options(values).ports
    keys = Keys(values["etcd-prefix"])
    below: TTLStore = store
    resources = installed(values)
    if encryption is not None:
        from pybernetes.store.transformed import Transformed

        from ..storage.layout import Layout

        layout, of = Layout(keys, (one.stored_at[:2] for one in resources)), encryption.of

        def choose(key: str) -> Transformer | None:
            prefix = keys.resource_of(layout.ours(key))
            name = keys.named(prefix)
            return of(name) if prefix and name[0] not in INTERNAL else None

        below = Transformed(store, choose)
    return UpstreamForm(below, keys, resources, ttls, (ports.first, ports.last), RealClock().now)


def options(values: Values) -> dict[str, Any]:
    """Those of `apiserver.server.Options`."""
    return {
        "key_prefix": values["etcd-prefix"],
        "compaction_interval": values["etcd-compaction-interval"],
        "shared_store": bool(values["etcd-servers"]),
        "healthcheck_timeout": values["etcd-healthcheck-timeout"],
        "readycheck_timeout": values["etcd-readycheck-timeout"],
    }
