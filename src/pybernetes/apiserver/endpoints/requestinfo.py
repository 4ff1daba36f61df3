"""What a path asks for (upstream: apiserver/pkg/endpoints/request/requestinfo.go)."""

from __future__ import annotations

from urllib.parse import unquote

from ..query import Query
from ..types import RequestInfo

_VERBS = {"POST": "create", "GET": "get", "HEAD": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


def parse(method: str, path: str, query: Query) -> RequestInfo:
    """`path` is still percent-encoded. It is decoded before it is split, as Go's URL.Path is: no name holds a slash."""
    decoded = unquote(path)
    parts = decoded.strip("/").split("/") if decoded.strip("/") else []
    other = RequestInfo(method.lower(), decoded)
    if len(parts) < 2 or parts[0] not in ("api", "apis"):
        return other
    prefix = parts[0]
    if prefix == "api":
        group, version, rest = "", parts[1], parts[2:]
    elif len(parts) < 4:
        return other
    else:
        group, version, rest = parts[1], parts[2], parts[3:]
    if not rest:
        return other
    verb = _VERBS.get(method, "")
    if rest[0] in ("watch", "proxy") and len(rest) > 1:
        if rest[0] == "watch":
            verb = "watch"
        rest = rest[1:]
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 1:
        namespace = rest[1]
        # /namespaces/a/status is the namespace's own subresource, /namespaces/a/pods are the pods in it
        if len(rest) > 2 and rest[2] not in ("status", "finalize"):
            rest = rest[2:]
    resource = rest[0]
    name = rest[1] if len(rest) > 1 else ""
    subresource = rest[2] if len(rest) > 2 else ""
    selectors = {}
    if not name:
        selectors = {"field_selector": query.get("fieldSelector", ""), "label_selector": query.get("labelSelector", "")}
        if verb == "get":
            verb = "watch" if query.flag("watch") else "list"
        elif verb == "delete":
            verb = "deletecollection"
    elif verb == "watch":
        selectors = {"field_selector": f"metadata.name={name}"}
    return RequestInfo(
        verb=verb,
        path=decoded,
        is_resource=True,
        prefix=prefix,
        group=group,
        version=version,
        namespace=namespace,
        resource=resource,
        subresource=subresource,
        name=name,
        rest="/".join(rest[3:]),
        **selectors,
    )
