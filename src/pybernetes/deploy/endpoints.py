"""Where a cluster's API servers are reached; pure (upstream: cmd/kubeadm/app/util/endpoint.go)."""

from __future__ import annotations

import ipaddress

from pybernetes.api.names import dns1123_subdomain_errors

from .configuration import Configuration


class EndpointError(ValueError):
    """What is no host or no port; says which."""


def split_host_port(text: str) -> tuple[str, str]:
    """(host, port) of HOST, HOST:PORT or [ADDRESS]:PORT; the port may be "". EndpointError."""
    host, port = text, ""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise EndpointError(
                f"hostport {text}: host '{text}' must be a valid IP address or a valid RFC-1123 DNS subdomain"
            )
        port = rest[1:]
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    if (text.endswith(":") and not is_address(host)) or (port and parse_port(port) is None):
        raise EndpointError(f"hostport {text}: port {port} must be a valid number between 1 and 65535, inclusive")
    if not is_address(host) and dns1123_subdomain_errors(host):
        raise EndpointError(
            f"hostport {text}: host '{host}' must be a valid IP address or a valid RFC-1123 DNS subdomain"
        )
    return host, port


def parse_port(text: str) -> int | None:
    """1 to 65535; None for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 and 0 < int(text) < 65536 else None


def is_address(text: str) -> bool:
    """Whether this is an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_loopback(server: str) -> bool:
    """Whether a URL, or HOST:PORT, leads to whoever asks: to a balancer of the host's own."""
    try:
        return ipaddress.ip_address(split_host_port(server.removeprefix("https://").rstrip("/"))[0]).is_loopback
    except ValueError:
        return False


def url(host: str, port: str | int) -> str:
    """https://HOST:PORT, an IPv6 address in brackets."""
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


def local(configuration: Configuration) -> str:
    """Of this host's own API server."""
    endpoint = configuration.init.local_api_endpoint
    return url(endpoint.advertise_address, endpoint.bind_port)


def control_plane(configuration: Configuration) -> str:
    """What everybody uses: controlPlaneEndpoint, or this host's where there is none. EndpointError."""
    given = configuration.cluster.control_plane_endpoint
    if not given:
        return local(configuration)
    host, port = split_host_port(given)
    return url(host, port or configuration.init.local_api_endpoint.bind_port)
