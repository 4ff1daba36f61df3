"""The system namespaces (upstream: pkg/controlplane/controller/systemnamespaces)."""

from __future__ import annotations

from pybernetes.api.errors import StatusError

from ..generic.options import WriteOptions
from ..generic.store import GenericStore

NAMES = ("default", "kube-system", "kube-public", "kube-node-lease")


async def ensure(store: GenericStore) -> None:
    """Makes those that are missing."""
    present = store.cache.resource(store.prefix).items
    for name in NAMES:
        if store.key("", name) in present:
            continue
        namespace, _ = store.schema.normalize({"metadata": {"name": name}})
        try:
            await store.create(namespace, "", WriteOptions(admission=False))
        except StatusError as error:
            if error.code != 409:  # another server has been faster
                raise
