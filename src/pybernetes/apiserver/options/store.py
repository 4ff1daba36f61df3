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
    from ..storage.form import UpstreamForm

ETCD_SCHEMES = ("http://", "https://")
MASTER_LEASE_SECONDS = 15  # as services.kubernetes.LEASE_SECONDS; upstream's

FLAGS = (
    Flag("store", flags.string, "memory:", "sqlite:PATH or memory: (pybernetes' own flag)."),
    Flag(
        "etcd-servers", flags.strings, [], "Members of the etcd cluster that objects are kept in: http(s)://HOST:PORT."
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
    flags.ignored("storage-backend", flags.string, "etcd3 is what --etcd-servers means", "etcd3"),
    flags.ignored(
        "storage-media-type",
        flags.string,
        "built-in kinds are protobuf in etcd, as upstream's default",
        "application/vnd.kubernetes.protobuf",
    ),
)


async def opened(values: Values) -> Store:
    """The store, which the caller closes. UsageError, Failure."""
    store, raw = await _opened(values)
    try:
        await copying.check_finished(raw, Keys(values["etcd-prefix"]))
    except StoreError as error:
        await store.close()
        raise Failure(f"the store: {error}") from error
    return store


async def _opened(values: Values) -> tuple[Store, Store]:
    """As a server sees it, and as it is."""
    servers = tuple(values["etcd-servers"])
    if not servers:
        where = values["store"]
        if where.startswith(ETCD_SCHEMES):
            raise UsageError(f"--store={where}: etcd is for --etcd-servers")
        store = await _open(f"--store={where}", Location((where,)))
        return store, store
    shown = f"--etcd-servers={','.join(servers)}"
    if values["store"] != "memory:":
        raise UsageError(f"--store={values['store']} and {shown}: give one of them")
    if not all(server.startswith(ETCD_SCHEMES) for server in servers):
        raise UsageError(f"{shown}: want http://HOST:PORT or https://HOST:PORT, separated by commas")
    location = Location(servers, values["etcd-cafile"], values["etcd-certfile"], values["etcd-keyfile"])
    raw = await _open(shown, location)
    return _in_upstreams_form(raw, values), raw


async def place(values: Values) -> copying.Place:
    """For copies; its store is the caller's to close. UsageError, Failure."""
    from ..storage.form import UpstreamForm

    store, raw = await _opened(values)
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


def _in_upstreams_form(store: Store, values: Values) -> UpstreamForm:
    from pybernetes.aio.clock import RealClock
    from pybernetes.store.etcd.store import EtcdStore

    from ..kinds import RESOURCES
    from ..storage.form import UpstreamForm

    assert isinstance(store, EtcdStore)
    ttls = {("", "events"): int(values["event-ttl"]), ("masterleases", "endpoints"): MASTER_LEASE_SECONDS}
    ports = services.options(values).ports
    return UpstreamForm(store, Keys(values["etcd-prefix"]), RESOURCES, ttls, (ports.first, ports.last), RealClock().now)


def options(values: Values) -> dict[str, Any]:
    """Those of `apiserver.server.Options`."""
    return {
        "key_prefix": values["etcd-prefix"],
        "compaction_interval": values["etcd-compaction-interval"],
        "shared_store": bool(values["etcd-servers"]),
        "healthcheck_timeout": values["etcd-healthcheck-timeout"],
        "readycheck_timeout": values["etcd-readycheck-timeout"],
    }
