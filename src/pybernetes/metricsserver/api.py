"""Answers for metrics.k8s.io/v1beta1: discovery, get and list, as JSON or a table (upstream: pkg/api)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Protocol
from urllib.parse import parse_qs

import msgspec

from pybernetes.aio.clock import Clock
from pybernetes.api import errors
from pybernetes.api.errors import StatusError
from pybernetes.api.fieldselectors import parse_field_selector
from pybernetes.api.labels import parse_selector
from pybernetes.component.delegated import Ask
from pybernetes.component.serving import VERBS, Route
from pybernetes.wire.http import Request, Response

from . import objects
from .kubelets import NodeFacts
from .objects import GROUP, GROUP_VERSION, VERSION, Document
from .points import Key
from .storage import PodFacts, Storage

BASE = f"/apis/{GROUP_VERSION}"
_PATH = re.compile(
    rf"{re.escape(BASE)}/(?:(?P<resource>nodes|pods)|namespaces/(?P<namespace>[^/]+)/(?P<pods>pods))(?:/(?P<name>[^/]+))?"
)
JSON = [("Content-Type", "application/json")]
PARAMETERS = ("labelSelector", "fieldSelector", "includeObject", "watch")


class Known(Protocol):
    """What the scraper keeps of the cluster."""

    @property
    def storage(self) -> Storage: ...

    @property
    def nodes(self) -> Mapping[str, NodeFacts]: ...

    @property
    def pods(self) -> Mapping[Key, PodFacts]: ...


def ask(request: Request) -> Ask:
    """What a request wants, as the API server judges it."""
    path = request.raw_path.decode("latin-1")
    match = _PATH.fullmatch(path)
    if match is None:
        return Ask(VERBS.get(request.method, request.method.lower()), path)
    name, namespace = match["name"] or "", match["namespace"] or ""
    verb = "get" if name else "watch" if _flag(_query(request), "watch") else "list"
    if request.method not in ("GET", "HEAD"):
        verb = VERBS.get(request.method, request.method.lower())
    resource = match["resource"] or match["pods"]
    return Ask(verb, group=GROUP, resource=resource, name=name, namespace=namespace, version=VERSION)


class MetricsAPI:
    """Routes for `serving.start`."""

    def __init__(self, cluster: Known, clock: Clock) -> None:
        self._known, self._clock = cluster, clock

    def routes(self) -> Mapping[str, Route]:
        """By path."""
        documents = {"/apis": objects.group_list, f"/apis/{GROUP}": objects.group, BASE: objects.resource_list}
        routes: dict[str, Route] = {path: _document(make()) for path, make in documents.items()}
        return {**routes, f"{BASE}/": self._answer}

    async def _answer(self, request: Request) -> Response:
        try:
            return _json(200, self._body(request))
        except StatusError as error:
            return _json(error.code, error.status)

    def _body(self, request: Request) -> Document:
        """StatusError."""
        match = _PATH.fullmatch(request.raw_path.decode("latin-1"))
        if match is None:
            raise errors.generic(404, "GET", "", "", "", "the server could not find the requested resource")
        resource, namespace, name = match["resource"] or match["pods"], match["namespace"] or "", match["name"] or ""
        query, now = _query(request), self._clock.now()
        if (
            request.method not in ("GET", "HEAD")
            or _flag(query, "watch")
            or (name and resource == "pods" and not namespace)
        ):
            verb = "watch" if request.method in ("GET", "HEAD") else request.method
            raise errors.method_not_supported(GROUP, resource, verb)
        if name:
            item = self._node(name, now) if resource == "nodes" else self._pod((namespace, name), now)
            items, whole = [item], objects.single(resource, item)
        else:
            items = self._items(resource, namespace, query, now)
            whole = objects.listed(resource, items)
        if _wants_table(request):
            return objects.table(resource, items, query.get("includeObject") or "Metadata")
        return whole

    def _items(self, resource: str, namespace: str, query: Mapping[str, str], now: datetime) -> list[Document]:
        try:
            labels = parse_selector(query.get("labelSelector", ""))
            fields = parse_field_selector(query.get("fieldSelector", ""))
        except ValueError as error:
            raise errors.bad_request(str(error)) from error
        items: list[Document | None] = []
        if resource == "nodes":
            for name, node in sorted(self._known.nodes.items()):
                if labels.matches(node.labels) and fields.matches({"metadata.name": name}):
                    items.append(self._of_node(name, now))
        else:
            for key, pod in sorted(self._known.pods.items()):
                place = {"metadata.name": key[1], "metadata.namespace": key[0]}
                if namespace in ("", key[0]) and labels.matches(pod.labels) and fields.matches(place):
                    items.append(self._of_pod(key, now))
        return [item for item in items if item is not None]

    def _of_node(self, name: str, now: datetime) -> Document | None:
        usage = self._known.storage.of_node(name)
        return objects.node_metrics(name, self._known.nodes[name].labels, usage, now) if usage is not None else None

    def _of_pod(self, key: Key, now: datetime) -> Document | None:
        pod, usages = self._known.pods[key], self._known.storage.of_pod(key)
        if usages is None or not pod.running:
            return None
        return objects.pod_metrics(key, pod.labels, usages, now)

    def _node(self, name: str, now: datetime) -> Document:
        if name not in self._known.nodes:
            raise errors.not_found("", "nodes", name)
        item = self._of_node(name, now)
        if item is None:
            raise errors.not_found(GROUP, "nodemetrics", name)
        return item

    def _pod(self, key: Key, now: datetime) -> Document:
        if key not in self._known.pods:
            raise errors.not_found("", "pods", key[1])
        item = self._of_pod(key, now)
        if item is None:
            raise errors.not_found(GROUP, "podmetrics", f"{key[0]}/{key[1]}")
        return item


def _query(request: Request) -> dict[str, str]:
    values = parse_qs(request.query.decode("latin-1"), keep_blank_values=True)
    return {name: values[name][-1] for name in PARAMETERS if name in values}


def _flag(query: Mapping[str, str], name: str) -> bool:
    return query.get(name, "false") not in ("false", "0")


def _wants_table(request: Request) -> bool:
    """Whether the first form that is asked for, of those that there are, is one."""
    for clause in (request.header("accept") or "").split(","):
        media, *parameters = (part.strip() for part in clause.split(";"))
        if media == "application/json":
            return "as=Table" in parameters and "g=meta.k8s.io" in parameters
    return False


def _document(document: Document) -> Route:
    body = msgspec.json.encode(document)

    async def answer(_: Request) -> Response:
        return Response(200, JSON, body)

    return answer


def _json(code: int, document: Mapping[str, object]) -> Response:
    return Response(code, JSON, msgspec.json.encode(document))
