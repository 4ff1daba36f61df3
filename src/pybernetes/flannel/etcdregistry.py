"""Leases as keys in etcd's v2 API (upstream: subnet/etcdv2/registry.go of v0.11; etcd 3 serves it with --enable-v2).

PREFIX/config is the network's configuration, PREFIX/subnets/10.5.34.0-24 a lease, with a TTL unless an administrator reserved it.
"""

from __future__ import annotations

import base64
import json
import logging
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any, Protocol
from urllib.parse import quote, urlencode

from pybernetes.client.http import Answer, HTTPClient

from . import subnets
from .lease import NO_DATA, Attributes, Lease, LeaseError, Network

_log = logging.getLogger(__name__)

KEY_NOT_FOUND, NODE_EXISTS, INDEX_CLEARED = 100, 105, 401  # etcd's error codes
REQUEST_SECONDS = 5.0
WATCH_SECONDS = 300.0  # then it is asked for again: a connection that hangs is told by nothing else


class EtcdError(Exception):
    """etcd refused (`code` is its own), or none of the servers answers (0)."""

    def __init__(self, text: str, code: int = 0) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class EtcdConfig:
    """Where etcd is and who we are there; file names may be ""."""

    endpoints: Sequence[str]
    prefix: str
    ca_file: str = ""
    certificate_file: str = ""
    key_file: str = ""
    username: str = ""
    password: str = ""


@dataclass(frozen=True, slots=True)
class Held:
    """A lease, and the seconds that it lasts; None for one that was reserved, which does not end."""

    lease: Lease
    ttl: int | None


@dataclass(frozen=True, slots=True)
class Event:
    """A change of one lease, None where it is no more, and its index."""

    subnet: Network | None  # None: the key is no subnet's
    lease: Lease | None
    index: int


class LeaseRegistry(Protocol):
    """Where hosts write their leases. All methods may raise EtcdError."""

    async def close(self) -> None:
        """Closes the connections."""
        ...

    async def network_config(self) -> str:
        """The JSON of PREFIX/config."""
        ...

    async def leases(self) -> tuple[list[Held], int]:
        """All of them, and the index to watch after. What is no lease is told in the log, and left out."""
        ...

    async def create(self, lease: Lease, ttl: int) -> None:
        """EtcdError of NODE_EXISTS where somebody else has it."""
        ...

    async def update(self, lease: Lease, ttl: int | None) -> None:
        """A reservation (None) stays one."""
        ...

    async def delete(self, subnet: Network) -> None:
        """It is gone; one that was so already is no error."""
        ...

    async def watch(self, after: int) -> Event | None:
        """The next change after an index; None where there was none for a while. EtcdError of INDEX_CLEARED: list again."""
        ...


def encode(attributes: Attributes, with_ipv6: bool = False) -> str:
    """A lease's value, as Go writes it; today's has a place for an IPv6 address."""
    value: dict[str, Any] = {"PublicIP": str(attributes.public_ip)}
    if with_ipv6:
        value["PublicIPv6"] = None
    if attributes.backend_type:
        value["BackendType"] = attributes.backend_type
    if attributes.backend_data != NO_DATA:
        value["BackendData"] = json.loads(attributes.backend_data)
    return json.dumps(value, separators=(",", ":"))


def decode(subnet: Network, value: str) -> Lease:
    """LeaseError. A lease of etcd is known by its subnet, as nobody's name is in it."""
    try:
        fields = {name.casefold(): field for name, field in json.loads(value).items()}
        address = IPv4Address(str(fields.get("publicip")))
    except (ValueError, AttributeError, RecursionError):
        raise LeaseError(f"Ignoring bad subnet node: {subnet}: {value[:200]!r}") from None
    data = json.dumps(fields.get("backenddata"), separators=(",", ":"))
    return Lease(str(subnet), subnet, Attributes(address, str(fields.get("backendtype", "")), data))


class Registry:
    """See `LeaseRegistry`; one etcd cluster's v2 API. All methods raise EtcdError; OSError of the constructor: a file cannot be read."""

    def __init__(self, config: EtcdConfig) -> None:
        context: ssl.SSLContext | None = None
        if config.ca_file or config.certificate_file:
            context = ssl.create_default_context(cafile=config.ca_file or None)
            if config.certificate_file:
                context.load_cert_chain(config.certificate_file, config.key_file or None)
        self._clients = [HTTPClient(endpoint, context) for endpoint in config.endpoints]
        self._path = "/v2/keys/" + quote(config.prefix.strip("/"))
        self._headers: list[tuple[str, str]] = []
        if config.username:
            pair = base64.b64encode(f"{config.username}:{config.password}".encode()).decode()
            self._headers.append(("Authorization", f"Basic {pair}"))

    async def close(self) -> None:
        """Closes the connections."""
        for client in self._clients:
            await client.close()

    async def network_config(self) -> str:
        """The JSON of PREFIX/config."""
        document, _ = await self._ask("GET", "/config", {"quorum": "true"})
        return str(document["node"]["value"])

    async def leases(self) -> tuple[list[Held], int]:
        """All of them, and the index to watch after. What is no lease is told in the log, and left out."""
        try:
            document, index = await self._ask("GET", "/subnets", {"recursive": "true", "quorum": "true"})
        except EtcdError as error:
            if error.code != KEY_NOT_FOUND:
                raise
            return [], await self._index()
        held = []
        for node in document["node"].get("nodes", ()):
            subnet = subnets.parse_key(node["key"])
            if subnet is None:
                _log.warning("Ignoring bad subnet node: failed to parse subnet key %s", node["key"])
                continue
            try:
                held.append(Held(decode(subnet, node.get("value", "")), node.get("ttl")))
            except LeaseError as error:
                _log.warning("%s", error)
        return held, index

    async def _index(self) -> int:
        """Of now, where there is no lease yet: the configuration is there."""
        return (await self._ask("GET", "/config", {"quorum": "true"}))[1]

    async def create(self, lease: Lease, ttl: int) -> None:
        """EtcdError of NODE_EXISTS where somebody else has it."""
        await self._set(lease, {"prevExist": "false", "ttl": str(ttl)})

    async def update(self, lease: Lease, ttl: int | None) -> None:
        """A reservation (None) stays one."""
        await self._set(lease, {} if ttl is None else {"ttl": str(ttl)})

    async def _set(self, lease: Lease, fields: dict[str, str]) -> None:
        body = {"value": encode(lease.attributes), **fields}
        await self._ask("PUT", f"/subnets/{subnets.key(lease.subnet)}", {}, body)

    async def delete(self, subnet: Network) -> None:
        """It is gone; one that was so already is no error."""
        try:
            await self._ask("DELETE", f"/subnets/{subnets.key(subnet)}", {})
        except EtcdError as error:
            if error.code != KEY_NOT_FOUND:
                raise

    async def watch(self, after: int) -> Event | None:
        """The next change after an index; None where there was none for a while. EtcdError of INDEX_CLEARED: list again."""
        query = {"recursive": "true", "wait": "true", "waitIndex": str(after + 1)}
        try:
            document, _ = await self._ask("GET", "/subnets", query, seconds=WATCH_SECONDS)
        except TimeoutError:
            return None
        node = document["node"]
        index, subnet = int(node["modifiedIndex"]), subnets.parse_key(node["key"])
        if subnet is None or document["action"] in ("delete", "expire", "compareAndDelete"):
            return Event(subnet, None, index)
        try:
            return Event(subnet, decode(subnet, node.get("value", "")), index)
        except LeaseError as error:
            _log.warning("%s", error)
            return Event(None, None, index)

    async def _ask(
        self, method: str, path: str, query: dict[str, str], form: dict[str, str] | None = None, seconds: float = 0.0
    ) -> tuple[dict[str, Any], int]:
        """The document and etcd's index. The servers are tried in turn; TimeoutError with `seconds` only."""
        target = f"{self._path}{path}?{urlencode(query)}" if query else f"{self._path}{path}"
        body = urlencode(form).encode() if form is not None else b""
        headers = [*self._headers, ("Content-Type", "application/x-www-form-urlencoded")] if form else self._headers
        problem = "no endpoint was given"
        for client in list(self._clients):
            try:
                answer = await client.request(method, target, headers, body, timeout=seconds or REQUEST_SECONDS)
            except (ConnectionError, TimeoutError) as error:
                if seconds and isinstance(error, TimeoutError):
                    raise
                problem = f"{client.host}:{client.port}: {error or 'no answer in time'}"
                self._clients.append(self._clients.pop(0))  # who answers comes first
                continue
            return _read(answer)
        raise EtcdError(f"client: etcd cluster is unavailable or misconfigured: {problem}")


def _read(answer: Answer) -> tuple[dict[str, Any], int]:
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError):
        raise EtcdError(f"etcd answered {answer.status}: {answer.body[:200]!r}") from None
    if not isinstance(document, dict):
        raise EtcdError(f"etcd answered {answer.status}: {answer.body[:200]!r}")
    if answer.status >= 400:
        text = (
            f"{document.get('errorCode', answer.status)}: {document.get('message', '')} ({document.get('cause', '')})"
        )
        raise EtcdError(text, int(document.get("errorCode", 0)))
    return document, int(answer.headers.get("x-etcd-index", "0"))
