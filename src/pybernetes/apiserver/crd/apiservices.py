"""An APIService for each group-version of custom resources (upstream: pkg/controlplane/controller/crdregistration)."""

from __future__ import annotations

from pybernetes.api.errors import StatusError

from ..generic.options import DeleteOptions, WriteOptions
from ..generic.store import GenericStore
from ..kinds.apiregistration import apiservice

GROUP_PRIORITY, VERSION_PRIORITY = 1000, 100  # upstream's: after all built-in groups
AUTOMANAGED = "true"


async def register(store: GenericStore, group: str, version: str, served: bool, now: str) -> None:
    """Makes it, or takes away what this server made."""
    name = f"{version}.{group}"
    stored = store.cache.resource(store.prefix).items.get(store.key("", name))
    if served and stored is None:
        await _make(store, group, version, now)
    elif not served and stored is not None:
        labels = stored.peek()["metadata"].get("labels") or {}
        if labels.get(apiservice.AUTOMANAGED) == AUTOMANAGED:
            await store.delete("", name, DeleteOptions(admission=False))


async def _make(store: GenericStore, group: str, version: str, now: str) -> None:
    wanted = apiservice.local(group, version, GROUP_PRIORITY, VERSION_PRIORITY, now)
    wanted["metadata"]["labels"] = {apiservice.AUTOMANAGED: AUTOMANAGED}
    plain, _ = store.schema.normalize(wanted)
    try:
        made = await store.create(plain, "", WriteOptions(admission=False))
        status = WriteOptions(admission=False)
        await store.update("", made["metadata"]["name"], {**made, "status": wanted["status"]}, status, "status")
    except StatusError as error:
        if error.code not in (404, 409):  # another server was faster
            raise
