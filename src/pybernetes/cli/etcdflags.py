"""Flags by which commands find a cluster's etcd, and what its errors become."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pybernetes.component import flags
from pybernetes.component.command import Failure
from pybernetes.component.flags import Flag, Values

from . import deployflags

if TYPE_CHECKING:
    from pybernetes.store.backends import Location

T = TypeVar("T")

ACCESS = (
    Flag("endpoints", flags.strings, [], "Members to ask, https://HOST:PORT; default: the one on this host, and by it all others."),
    Flag("cacert", flags.string, "", "The authority of etcd's certificates; default: etcd/ca.crt in --cert-dir."),
    Flag("cert", flags.string, "", "The certificate to come with; default: etcd/healthcheck-client.crt in --cert-dir."),
    Flag("key", flags.string, "", "Its key."),
    deployflags.CERT_DIR,
    deployflags.CONFIG,
    deployflags.KUBECONFIG,
)  # fmt: skip


def location(values: Values) -> Location:
    """Of the flags, etcdctl's variables, this host's member, or what the cluster says of somebody else's etcd. UsageError."""
    from pybernetes.deploy.etcd import access
    from pybernetes.store.backends import Location

    here = bool(values["endpoints"]) or Path(values["cert-dir"], "etcd/ca.crt").exists()
    # Only a host without etcd's authority asks the cluster where etcd is: where it is broken nobody answers.
    configuration = (
        deployflags.configuration(values) if here else deployflags.of_cluster(values, "etcd", lambda line: None)
    )
    place = access.location(configuration, os.environ)
    urls = tuple(values["endpoints"]) or place.urls
    files = (values["cacert"] or place.ca_file, values["cert"] or place.cert_file, values["key"] or place.key_file)
    plain = all(url.startswith("http://") for url in urls)
    return Location(urls) if plain else Location(urls, *files)


def run(work: Coroutine[Any, Any, T]) -> T:
    """What it gives; Failure in etcd's words, or in those of who writes files."""
    from pybernetes.deploy.archive import ArchiveError
    from pybernetes.deploy.etcd.snapshots import SnapshotError
    from pybernetes.store.backends import LocationError
    from pybernetes.store.etcd.http2 import RPCError

    try:
        return asyncio.run(work)
    except RPCError as error:
        raise Failure(error.message) from error
    except (ArchiveError, SnapshotError, LocationError) as error:
        raise Failure(str(error)) from error
