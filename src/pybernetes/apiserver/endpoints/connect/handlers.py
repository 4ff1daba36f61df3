"""The subresources that lead through to kubelets, pods and services (upstream: pkg/registry/core/{pod,node,service}/.../rest)."""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import random
import socket
from collections.abc import Awaitable, Callable
from dataclasses import replace
from urllib.parse import quote

from pybernetes.api import errors
from pybernetes.api.strconv import is_number
from pybernetes.client.http import HTTPClient
from pybernetes.wire.http import Request, Response

from ...authentication.user import User
from ...query import Query
from ...resource import Object
from ...types import Reader, RequestInfo
from ..routes import Answer, Special
from . import forward, location
from .forward import Forwarder
from .kubelet import KubeletConfig, unverified
from .location import Location

PROXY_VERBS = ("create", "update", "patch", "delete", "get", "list", "watch", "deletecollection")
PROXY_OPTIONS = {"pods": "PodProxyOptions", "services": "ServiceProxyOptions", "nodes": "NodeProxyOptions"}
# (user, resource, subresource, namespace, name, options): the plug-ins' word; StatusError where one objects.
Admit = Callable[[User, str, str, str, str, Object], Awaitable[None]]


class Connect:
    """Handlers for `Routes.special`."""

    def __init__(
        self, reader: Reader, config: KubeletConfig, admit: Admit, chooser: random.Random | None = None
    ) -> None:
        self._reader, self._config, self._admit = reader, config, admit
        self._random = chooser or random.Random()
        self._others = functools.cache(unverified)
        self._forwarder = Forwarder(self._client)

    def _client(self, place: Location) -> HTTPClient:
        """One for each request: these are few and long, and what is kept open to kubelets would have to be looked after."""
        context = None
        if place.scheme == "https":
            context = self._config.context if place.kubelet else self._others()
        return HTTPClient(place.base, context)

    def special(self) -> dict[tuple[str, str, str], dict[str, Special]]:
        """(group, resource, subresource) -> verb -> handler."""
        handlers: dict[tuple[str, str, str], dict[str, Special]] = {("", "pods", "log"): {"get": self.log}}
        for name in ("exec", "attach", "portforward"):
            handlers["", "pods", name] = dict.fromkeys(("get", "create"), self.stream)
        for name in ("pods", "services", "nodes"):
            handlers["", name, "proxy"] = dict.fromkeys(PROXY_VERBS, self.proxy)
        return handlers

    def _get(self, resource: str, namespace: str, name: str) -> Object:
        obj = self._reader.get("", resource, namespace, name)
        if obj is None:
            raise errors.not_found("", resource, name)
        return obj

    async def log(self, request: Request, info: RequestInfo, query: Query, user: User) -> Answer:
        """GET pods/NAME/log; 204 for a pod that has no node yet."""
        pod = self._get("pods", info.namespace, info.name)
        location.log_parameters(query, info.name)
        location.container(pod, query.get("container", ""))
        if not pod["spec"].get("nodeName"):
            return Response(204)
        node = self._get("nodes", "", location.node_name(pod))
        target = location.log(pod, node, self._config.address_types, query)
        return await self._forwarder.log(target, info.name, request)

    async def stream(self, request: Request, info: RequestInfo, query: Query, user: User) -> Answer:
        """exec, attach, portforward."""
        await self._admit(user, "pods", info.subresource, info.namespace, info.name, _options(info, query))
        pod = self._get("pods", info.namespace, info.name)
        if info.subresource != "portforward":
            location.container(pod, query.get("container", ""))
        node = self._get("nodes", "", location.node_name(pod))
        target = location.stream(pod, node, self._config.address_types, info.subresource, query)
        if not forward.upgrade_asked(request):
            raise errors.bad_request("Upgrade request required")
        return await self._forwarder.upgraded(target, request)

    async def proxy(self, request: Request, info: RequestInfo, query: Query, user: User) -> Answer:
        """pods, services and nodes: any method, any path."""
        parts = location.split_scheme_name_port(info.name)
        if parts is None:
            raise errors.bad_request(f'invalid {info.resource[:-1]} request "{info.name}"')
        scheme, name, port = parts
        rest = _rest(request, info)
        options = {"kind": PROXY_OPTIONS[info.resource], "apiVersion": "v1", "path": rest}
        await self._admit(user, info.resource, "proxy", info.namespace, name, options)
        target = self._proxied(info, scheme, name, port)
        if info.resource == "nodes" and not target.kubelet:  # a node says itself what its addresses are
            location.checked_addresses(await _addresses(target.host))
        target = replace(target, path=rest, query=request.query.decode("latin-1"))
        if forward.upgrade_asked(request):
            return await self._forwarder.upgraded(target, request)
        path = request.raw_path.decode("latin-1")
        if not rest and request.method in ("GET", "HEAD"):
            # Relative links of the page behind need the slash (upstream: issue 4958).
            return Response(301, [("Location", f"{path}/{'?' + target.query if target.query else ''}")])
        return await self._forwarder.proxied(target, request, path.removesuffix(rest))

    def _proxied(self, info: RequestInfo, scheme: str, name: str, port: str) -> Location:
        if info.resource == "nodes":
            return location.node(self._get("nodes", "", name), self._config.address_types, scheme, port)
        if info.resource == "pods":
            return location.pod(self._get("pods", info.namespace, name), scheme, port)
        return self._service(info, scheme, name, port)

    def _service(self, info: RequestInfo, scheme: str, name: str, port: str) -> Location:
        """A random ready pod of the service."""
        if is_number(port):
            port = location.service_port(self._get("services", info.namespace, name), port)
        endpoints = self._get("endpoints", info.namespace, name)
        candidates = location.service_addresses(endpoints, port)
        self._random.shuffle(candidates)
        for address, number, target in candidates:
            if self._is_pod(info.namespace, address, target):
                return Location(scheme or "http", address, number)
        shown = info.name if endpoints.get("subsets") else name
        raise errors.service_unavailable(f'no endpoints available for service "{shown}"')

    def _is_pod(self, namespace: str, address: str, target: Object | None) -> bool:
        """Only pods of the namespace are reached: an Endpoints object that names other addresses opens no door."""
        if not target or target.get("namespace") != namespace:
            return False
        pod = self._reader.get("", "pods", namespace, target.get("name", ""))
        return any(ip.get("ip") == address for ip in ((pod or {}).get("status") or {}).get("podIPs") or ())


async def _addresses(host: str) -> list[str]:
    """What a host's name resolves to; StatusError 400 where that is nothing."""
    try:
        return [str(ipaddress.ip_address(host))]
    except ValueError:
        pass
    try:
        resolved = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise errors.bad_request(f"lookup {host}: no such host") from None
    return [str(address[0]) for *_, address in resolved]


def _options(info: RequestInfo, query: Query) -> Object:
    """PodExecOptions and its like, for admission."""
    if info.subresource == "portforward":
        return {"kind": "PodPortForwardOptions", "apiVersion": "v1"}
    kind = {"exec": "PodExecOptions", "attach": "PodAttachOptions"}[info.subresource]
    flags = {name: True for name in ("stdin", "stdout", "stderr", "tty") if query.flag(name)}
    options: Object = {"kind": kind, "apiVersion": "v1", **flags, "container": query.get("container", "")}
    return options | ({"command": query.every("command")} if info.subresource == "exec" else {})


def _rest(request: Request, info: RequestInfo) -> str:
    """What follows /proxy, still percent-encoded."""
    path = request.raw_path.decode("latin-1")
    parts = path.split("/")
    start = 7 if info.namespace else 5
    if parts[start : start + 1] != ["proxy"]:  # slashes before it are encoded
        return f"/{quote(info.rest)}" if info.rest or path.endswith("/") else ""
    return "/" + "/".join(parts[start + 1 :]) if len(parts) > start + 1 else ""
