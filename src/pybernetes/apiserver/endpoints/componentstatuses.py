"""componentstatuses: whether the other parts of the control plane answer on this host; asked anew each time.

Deprecated since 1.19, but `kubectl get cs` is still typed. Upstream: pkg/registry/core/componentstatus.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from datetime import datetime

from pybernetes.client.http import HTTPClient
from pybernetes.wire.http import Request, Response

from ..generic.cache import Stored, WatchCache
from ..generic.options import ListOptions, ListResult
from ..generic.reading import encode
from ..generic.selection import selector_predicate
from ..generic.store import GenericStore
from ..query import Query
from ..resource import Object, Resource
from ..types import RequestInfo
from .handlers import ResourceHandler

PROBE_SECONDS = 5.0
# Where each part's health is asked for, as upstream has it.
PARTS: Mapping[str, str] = {
    "controller-manager": "https://127.0.0.1:10257/healthz",
    "scheduler": "https://127.0.0.1:10259/healthz",
}


def status(name: str, message: str = "", error: str = "") -> Object:
    """Healthy with a message, or not with an error."""
    condition = {"type": "Healthy", "status": "False" if error else "True"}
    condition |= {"message": error} if error else {"message": message}
    return {"apiVersion": "v1", "kind": "ComponentStatus", "metadata": {"name": name}, "conditions": [condition]}


async def probe(name: str, url: str) -> Object:
    """One GET, whoever shows which certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    base, slash, path = url.rpartition("/")
    client = HTTPClient(base, context)
    try:
        answer = await client.request("GET", slash + path, timeout=PROBE_SECONDS)
    except (OSError, TimeoutError) as error:
        return status(name, error=f'Get "{url}": {error or "context deadline exceeded"}')
    finally:
        await client.close()
    text = answer.body.decode(errors="replace")
    return status(name, text) if answer.status == 200 else status(name, error=f"{answer.status}: {text}")


class ComponentStore(GenericStore):
    """What the last look has shown."""

    def __init__(self, resource: Resource, cache: WatchCache, now: Callable[[], datetime]) -> None:
        super().__init__(resource, cache, now=now)
        self._seen: dict[str, Stored] = {}

    async def look(self) -> None:
        """Asks all parts at once; the store answers, or this server would not."""
        statuses = await asyncio.gather(*(probe(name, url) for name, url in PARTS.items()))
        self._seen = {obj["metadata"]["name"]: self._shown(obj) for obj in (*statuses, status("etcd-0", "ok"))}

    def _shown(self, obj: Object) -> Stored:
        stored = Stored(self.key("", obj["metadata"]["name"]), encode(obj), 0)
        stored.data = encode(obj)  # which has no resource version: it is not stored
        return stored

    def get(self, namespace: str, name: str) -> Stored:
        if name not in self._seen:
            raise self._not_found(name)
        return self._seen[name]

    async def list(self, namespace: str, options: ListOptions) -> ListResult:
        await self.look()
        predicate = selector_predicate(self.resource, options)
        return ListResult([s for _, s in sorted(self._seen.items()) if predicate is None or predicate(s)], 0)


class ComponentStatuses(ResourceHandler):
    """See the module."""

    store: ComponentStore

    async def get(self, request: Request, info: RequestInfo, query: Query) -> Response:
        await self.store.look()
        return await super().get(request, info, query)
