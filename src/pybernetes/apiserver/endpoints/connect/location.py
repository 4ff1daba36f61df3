"""Where log, exec, attach, portforward and proxy requests go (upstream: pkg/registry/core/{pod,node,service}, pkg/kubelet/client).

Pure. Errors are StatusErrors in upstream's words.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from pybernetes.api import errors, field, strconv, times
from pybernetes.api.field import Path

from ...query import Query
from ...resource import Errors, Object

ADDRESS_TYPES = ("Hostname", "InternalDNS", "InternalIP", "ExternalDNS", "ExternalIP")  # upstream's default preference
KUBELET_PORT = 10250
SCHEMES = ("", "http", "https")


@dataclass(frozen=True, slots=True)
class Location:
    """A URL in parts; `kubelet` says that the API server's own certificate is shown there."""

    scheme: str
    host: str
    port: int
    path: str = ""
    query: str = ""
    kubelet: bool = False

    @property
    def base(self) -> str:
        """`https://10.0.0.1:10250`."""
        return f"{self.scheme}://{join_host_port(self.host, self.port)}"


def join_host_port(host: str, port: int | str) -> str:
    """With brackets around IPv6."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def split_scheme_name_port(identifier: str) -> tuple[str, str, str] | None:
    """`name`, `name:port` or `scheme:name:port`; None for anything else."""
    parts = identifier.split(":")
    if len(parts) > 3:
        return None
    scheme, name, port = {1: ("", *parts, ""), 2: ("", *parts), 3: tuple(parts)}[len(parts)]
    return (scheme, name, port) if name and scheme in SCHEMES else None


def kubelet(node: Object, preferred: Sequence[str]) -> tuple[str, int]:
    """(address, port) of a node's kubelet; a plain 500 where the node has no address of a preferred type."""
    status = node.get("status") or {}
    addresses: list[dict[str, str]] = status.get("addresses") or []
    port = ((status.get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}).get("Port") or KUBELET_PORT
    for kind in preferred:
        for address in addresses:
            if address.get("type") == kind:
                return address.get("address", ""), port
    listed = " ".join(f"{{{a.get('type')} {a.get('address')}}}" for a in addresses)
    raise errors.generic(500, "", "", "", "", f"no preferred addresses found; known addresses: [{listed}]")


def container_names(pod: Object) -> list[str]:
    """Of every sort, in upstream's order."""
    spec = pod["spec"]
    kinds = ("initContainers", "containers", "ephemeralContainers")
    return [container["name"] for kind in kinds for container in spec.get(kind) or ()]


def container(pod: Object, asked: str) -> str:
    """The container meant: the one asked for, or the only one."""
    name, containers = pod["metadata"]["name"], pod["spec"].get("containers") or []
    if asked:
        if asked not in container_names(pod):
            raise errors.bad_request(f"container {asked} is not valid for pod {name}")
        return asked
    if len(containers) == 1:
        return str(containers[0]["name"])
    choice = f", choose one of: [{' '.join(container_names(pod))}]" if containers else ""
    raise errors.bad_request(f"a container name must be specified for pod {name}{choice}")


def node_name(pod: Object) -> str:
    """Where the pod runs."""
    name = pod["spec"].get("nodeName") or ""
    if not name:
        raise errors.bad_request(f"pod {pod['metadata']['name']} does not have a host assigned")
    return str(name)


# Query parameters.


def _number(query: Query, name: str) -> int | None:
    try:
        return query.integer(name)
    except strconv.NumberError as error:
        raise errors.bad_request(str(error)) from None


def log_parameters(query: Query, pod: str) -> dict[str, str]:
    """PodLogOptions as the kubelet wants them; StatusError 422 as ValidatePodLogOptions says it."""
    parameters = {name: "true" for name in ("follow", "previous", "timestamps") if query.flag(name)}
    numbers = {name: _number(query, name) for name in ("sinceSeconds", "tailLines", "limitBytes")}
    since = query.get("sinceTime", "")
    stream = query.get("stream", "")
    problems = _log_errors(numbers, since, stream)
    if problems:
        raise errors.invalid("", "PodLogOptions", pod, problems)
    parameters |= {name: str(value) for name, value in numbers.items() if value is not None}
    if since:
        try:
            parameters["sinceTime"] = times.format_time(times.parse_time(since))
        except ValueError:
            layout = "2006-01-02T15:04:05Z07:00"
            text = f'parsing time "{since}" as "{layout}": cannot parse "{since}" as "2006"'
            raise errors.bad_request(text) from None
    return parameters | ({"stream": stream} if stream and stream != "All" else {})


def _log_errors(numbers: Mapping[str, int | None], since: str, stream: str) -> Errors:
    errors: Errors = []
    tail, limit, seconds = (numbers[name] for name in ("tailLines", "limitBytes", "sinceSeconds"))
    if tail is not None and tail < 0:
        errors.append(field.invalid(Path("tailLines"), tail, "must be greater than or equal to 0"))
    if limit is not None and limit < 1:
        errors.append(field.invalid(Path("limitBytes"), limit, "must be greater than 0"))
    if seconds is not None and since:
        errors.append(field.forbidden(Path("[]"), "at most one of `sinceTime` or `sinceSeconds` may be specified"))
    elif seconds is not None and seconds < 1:
        errors.append(field.invalid(Path("sinceSeconds"), seconds, "must be greater than 0"))
    if stream not in ("", "All", "Stdout", "Stderr"):
        errors.append(field.not_supported(Path("stream"), stream, ("All", "Stdout", "Stderr")))
    elif stream not in ("", "All") and tail is not None:
        errors.append(field.forbidden(Path(""), "`tailLines` and specific `stream` are mutually exclusive for now"))
    return errors


def stream_parameters(subresource: str, query: Query) -> list[tuple[str, str]]:
    """Of exec, attach and portforward."""
    if subresource == "portforward":
        ports = ",".join(str(port) for text in query.every("ports") for port in _ports(text))
        return [("port", ports)] if ports else []
    names = {"stdin": "input", "stdout": "output", "stderr": "error", "tty": "tty"}
    parameters = [(kubelets, "1") for name, kubelets in names.items() if query.flag(name)]
    return parameters + ([("command", part) for part in query.every("command")] if subresource == "exec" else [])


def _ports(text: str) -> list[int]:
    try:
        return [strconv.parse_int(part, 32) for part in text.split(",") if part]
    except strconv.NumberError as error:
        raise errors.bad_request(str(error)) from None


# Kubelets' URLs.


def log(pod: Object, node: Object, preferred: Sequence[str], query: Query) -> Location:
    """GET /containerLogs/NAMESPACE/POD/CONTAINER."""
    metadata = pod["metadata"]
    name = container(pod, query.get("container", ""))
    parameters = urlencode(sorted(log_parameters(query, metadata["name"]).items()))
    path = f"/containerLogs/{metadata['namespace']}/{metadata['name']}/{name}"
    return Location("https", *kubelet(node, preferred), path, parameters, kubelet=True)


def stream(pod: Object, node: Object, preferred: Sequence[str], subresource: str, query: Query) -> Location:
    """/exec, /attach or /portForward."""
    metadata = pod["metadata"]
    parameters = urlencode(sorted(stream_parameters(subresource, query), key=lambda pair: pair[0]))
    parts = ["", metadata["namespace"], metadata["name"]]
    if subresource != "portforward":
        parts.append(container(pod, query.get("container", "")))
    path = ("/portForward" if subresource == "portforward" else f"/{subresource}") + "/".join(parts)
    return Location("https", *kubelet(node, preferred), path, parameters, kubelet=True)


# Proxied places.


def checked_address(address: str) -> str:
    """An address that the API server lends its hand to reach; StatusError 400 for loopback, link-local and the like.

    What Go takes for IPv4 is judged as that: `::ffff:127.0.0.1` is loopback (upstream: apimachinery/pkg/util/proxy, IsProxyableIP).
    """
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        raise errors.bad_request("address not allowed") from None
    ip = getattr(ip, "ipv4_mapped", None) or ip
    if ip.is_unspecified or ip.is_loopback or ip.is_multicast or ip.is_link_local or str(ip) == "255.255.255.255":
        raise errors.bad_request("address not allowed")
    return address


def checked_addresses(addresses: Sequence[str]) -> None:
    """Of all that a name resolves to. StatusError 400 (upstream: IsProxyableHostname)."""
    if not addresses:
        raise errors.bad_request("no addresses for hostname")
    for address in addresses:
        checked_address(address)


def pod(pod: Object, scheme: str, port: str) -> Location:
    """A pod's own port: the one asked for, else the first that it declares, else the scheme's."""
    if not port:
        declared = [p["containerPort"] for c in pod["spec"].get("containers") or () for p in c.get("ports") or ()]
        port = str(declared[0]) if declared else ""
    ips: list[Any] = (pod.get("status") or {}).get("podIPs") or []
    address = checked_address(ips[0].get("ip", "") if ips else "")
    return Location(scheme or "http", address, _port(port, scheme))


def _port(text: str, scheme: str) -> int:
    if not text:
        return 443 if scheme == "https" else 80
    try:
        return strconv.parse_uint(text, 16)
    except strconv.NumberError:
        raise errors.bad_request(f'invalid port "{text}"') from None


def node(node: Object, preferred: Sequence[str], scheme: str, port: str) -> Location:
    """The kubelet, or another port of its host: there `checked_addresses` must be asked about the host before."""
    host, own = kubelet(node, preferred)
    if port in ("", str(own)):
        return Location("https", host, own, kubelet=True)
    return Location(scheme or "http", host, _port(port, scheme))


def service_port(service: Object, port: str) -> str:
    """The port's name, which endpoints go by."""
    try:
        number = strconv.parse_int(port)
    except strconv.NumberError:  # upstream takes it for a name
        return port
    for declared in service["spec"].get("ports") or ():
        if declared.get("port") == number:
            return str(declared.get("name") or "")
    raise errors.service_unavailable(f'no service port {number} found for service "{service["metadata"]["name"]}"')


def service_addresses(endpoints: Object | None, port: str) -> list[tuple[str, int, Object | None]]:
    """(IP, port, target reference) of all ready endpoints with the port's name."""
    return [
        (address["ip"], declared["port"], address.get("targetRef"))
        for subset in (endpoints or {}).get("subsets") or ()
        for declared in subset.get("ports") or ()
        if (declared.get("name") or "") == port
        for address in subset.get("addresses") or ()
    ]
