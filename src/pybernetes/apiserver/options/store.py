"""Flags of kube-apiserver that say where objects are kept, and how."""

from __future__ import annotations

from typing import Any

from pybernetes.component import flags
from pybernetes.component.command import Failure, UsageError
from pybernetes.component.flags import Flag, Values
from pybernetes.store.backends import Location, LocationError, open_store
from pybernetes.store.compaction import DEFAULT_SECONDS
from pybernetes.store.types import Store, StoreError

FLAGS = (
    Flag("store", flags.string, "memory:", "sqlite:PATH or memory: (pybernetes' own flag)."),
    Flag("etcd-prefix", flags.string, "/registry", "What all keys in the store begin with."),
    Flag(
        "etcd-compaction-interval",
        flags.duration,
        DEFAULT_SECONDS,
        "How often what watches no longer need is dropped; 0: never.",
    ),
)


async def opened(values: Values) -> Store:
    """The store, which the caller closes. UsageError, Failure."""
    where = values["store"]
    try:
        return await open_store(Location((where,)))
    except LocationError as error:
        raise UsageError(f"--store={where}: {error}") from error
    except StoreError as error:
        raise Failure(f"--store={where}: {error}") from error


def options(values: Values) -> dict[str, Any]:
    """Those of `apiserver.server.Options`."""
    return {"key_prefix": values["etcd-prefix"], "compaction_interval": values["etcd-compaction-interval"]}
