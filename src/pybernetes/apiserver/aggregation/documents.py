"""What an extension API server tells of itself, as this server tells it on (upstream: kube-aggregator pkg/apiserver/handler_discovery.go,
apiserver/pkg/endpoints/discovery/util.go). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

ACCEPT_AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
MAX_BYTES = 8 << 20  # of a document; a server that tells more is not believed


class Unreadable(ValueError):
    """No document of discovery."""


def told(body: bytes, group: str, version: str) -> list[dict[str, Any]]:
    """APIResourceDiscovery of the group-version, whichever way its server tells it: an APIGroupDiscoveryList or an APIResourceList."""
    document = _object(body)
    if document.get("kind") == "APIGroupDiscoveryList":
        return _of_groups(document, group, version)
    if document.get("kind") == "APIResourceList":
        return _of_resources(_objects(document, "resources"), group, version)
    raise Unreadable("neither an APIGroupDiscoveryList nor an APIResourceList")


def index(body: bytes, group: str, version: str) -> Mapping[str, Any]:
    """The items of a server's /openapi/v3 that are of its group-version."""
    paths = _object(body).get("paths")
    name = f"apis/{group}/{version}"
    item = paths.get(name) if isinstance(paths, dict) else None
    url = item.get("serverRelativeURL") if isinstance(item, dict) else None
    return {name: {"serverRelativeURL": url}} if isinstance(url, str) else {}


def _object(body: bytes) -> dict[str, Any]:
    if len(body) > MAX_BYTES:
        raise Unreadable(f"the document has more than {MAX_BYTES} bytes")
    try:
        document: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(str(error)) from None
    if not isinstance(document, dict):
        raise Unreadable("no object")
    return document


def _objects(parent: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    values = parent.get(name)
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []


def _of_groups(document: Mapping[str, Any], group: str, version: str) -> list[dict[str, Any]]:
    for item in _objects(document, "items"):
        metadata = item.get("metadata")
        if not isinstance(metadata, dict) or metadata.get("name", "") != group:
            continue
        for one in _objects(item, "versions"):
            if one.get("version") == version:
                return [_with_kind(resource) for resource in _objects(one, "resources")]
    return []


def _with_kind(resource: dict[str, Any]) -> dict[str, Any]:
    """Clients of 1.26 break where a kind is missing."""
    subresources = [{"responseKind": {}, **one} for one in _objects(resource, "subresources")]
    return {"responseKind": {}, **resource, **({"subresources": subresources} if subresources else {})}


def _of_resources(listed: Iterable[Mapping[str, Any]], group: str, version: str) -> list[dict[str, Any]]:
    groups: dict[str, dict[str, Any]] = {}
    for entry in listed:
        parent, _, subresource = str(entry.get("name") or "").partition("/")
        kind = {
            "group": entry.get("group") or group,
            "version": entry.get("version") or version,
            "kind": entry.get("kind") or "",
        }
        verbs = entry.get("verbs") or []
        scope = "Namespaced" if entry.get("namespaced") else "Cluster"
        if not subresource:
            resource = groups.setdefault(parent, {})
            resource |= {"resource": parent, "responseKind": kind, "scope": scope, "verbs": verbs}
            resource["singularResource"] = entry.get("singularName") or ""
            resource |= {name: entry[name] for name in ("shortNames", "categories") if entry.get(name)}
            continue
        # Of a parent that is not told itself there is what its subresource says of it.
        resource = groups.setdefault(parent, {"resource": parent, "responseKind": {}, "scope": scope, "verbs": []})
        one = {"subresource": subresource, "responseKind": kind, "verbs": verbs}
        resource.setdefault("subresources", []).append(one)
    return list(groups.values())
