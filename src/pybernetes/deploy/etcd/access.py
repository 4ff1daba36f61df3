"""How the members of a cluster's etcd are called: endpoints and certificates, and what is opened of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pybernetes.store.backends import Location, LocationError, backend

from ..configuration import Configuration

if TYPE_CHECKING:
    from pybernetes.store.etcd.channel import Channel

LOCAL = "https://127.0.0.1:2379"  # every member of kubeadm's listens there, and its certificate says so
CLIENTS = ("etcd/healthcheck-client", "apiserver-etcd-client")  # certificates that etcd knows, by preference


def location(configuration: Configuration, environment: Mapping[str, str]) -> Location:
    """Of etcdctl's variables where they are set, else of the configuration: etcd of somebody else's, or the member on this host."""
    external = configuration.cluster.etcd.external
    folder = Path(configuration.cluster.certificates_dir)
    if external is not None:
        place = Location(tuple(external.endpoints), external.ca_file, external.cert_file, external.key_file)
    else:
        client = next((one for one in CLIENTS if (folder / f"{one}.crt").exists()), CLIENTS[0])
        place = Location(
            (LOCAL,), str(folder / "etcd/ca.crt"), str(folder / f"{client}.crt"), str(folder / f"{client}.key")
        )
    urls = tuple(url for url in environment.get("ETCDCTL_ENDPOINTS", "").split(",") if url)
    return Location(
        tuple(url if "://" in url else f"http://{url}" for url in urls) or place.urls,
        environment.get("ETCDCTL_CACERT") or place.ca_file,
        environment.get("ETCDCTL_CERT") or place.cert_file,
        environment.get("ETCDCTL_KEY") or place.key_file,
    )


@asynccontextmanager
async def opened(where: Location, *, leader: bool = False) -> AsyncIterator[Channel]:
    """A channel to the location's members, closed at the end. LocationError, also where files cannot be read."""
    if not where.urls:
        raise LocationError("no endpoint of etcd is known")
    backend(where).load()  # says which package is missing
    from pybernetes.store.etcd.channel import open_channel

    channel = open_channel(where, leader=leader)
    try:
        yield channel
    finally:
        await channel.close()


def at(where: Location, url: str) -> Location:
    """One member of it, with the same certificates."""
    return Location((url,), where.ca_file, where.cert_file, where.key_file)
