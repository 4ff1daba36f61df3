"""Calls webhooks over HTTPS, and says in upstream's words why one gave no answer (upstream: util/webhook/client.go, client-go/rest)."""

from __future__ import annotations

import functools
import random
import socket
import ssl
from collections import OrderedDict
from typing import Any

import msgspec

from pybernetes.aio.outside import outside
from pybernetes.client.http import ConnectFailed, HTTPClient
from pybernetes.pki import contexts

from ...resource import Object
from ...types import Reader
from .endpoint import Endpoint, Unresolved, addresses, target
from .hooks import ClientConfig

CLIENTS = 200  # with connections of their own, as many as upstream keeps
HEADERS = (
    ("Accept", "application/json, */*"),
    ("Content-Type", "application/json"),
    ("User-Agent", "kube-apiserver-admission"),
)
UNTRUSTED = frozenset({18, 19, 20, 21})  # OpenSSL's codes of a chain that ends at no known authority
EXPIRED, NOT_YET, OTHER_NAME, OTHER_ADDRESS = 10, 9, 62, 64
WORDS = {
    400: "the server rejected our request for an unknown reason",
    401: "the server has asked for the client to provide credentials",
    403: "unknown",
    404: "the server could not find the requested resource",
    405: "the server does not allow this method on the requested resource",
    409: "the server reported a conflict",
    413: "the request entity is too large",
    415: "the media type in the accept header is not supported by the resource",
    429: "the server has received too many requests and has asked us to try again later",
    503: "the server is currently unable to handle the request",
    504: "the server was unable to return a response in the time allotted, but may still be processing the request",
}


class CallFailed(Exception):
    """No answer that can be read. `code` is what is counted of it."""

    def __init__(self, why: str, code: int = 503) -> None:
        super().__init__(why)
        self.code = code


class Caller:
    """Keeps connections to webhooks. `close` when done."""

    def __init__(self, reader: Reader, chooser: random.Random | None = None) -> None:
        self._reader, self._random = reader, chooser or random.Random()
        self._clients: OrderedDict[tuple[str, tuple[str, int] | None, bytes], HTTPClient] = OrderedDict()

    async def close(self) -> None:
        """Ends all connections."""
        for client in self._clients.values():
            await client.close()
        self._clients.clear()

    async def call(self, config: ClientConfig, body: bytes, seconds: int) -> Object:
        """The decoded answer to a POST. CallFailed."""
        base, path = target(config)
        query = f"?timeout={seconds}s"
        try:
            place = self._place(config, base, path)
            with outside():
                client = self._client(place)
                answer = await client.request("POST", path + query, HEADERS, body, seconds, repeatable=True)
        except Unresolved as error:
            raise CallFailed(f'Post "{base}{path}{query}": {error}') from None
        except TimeoutError:
            raise CallFailed(f'Post "{base}{path}{query}": context deadline exceeded') from None
        except (OSError, ValueError) as error:
            raise CallFailed(f'Post "{base}{path}{query}": {explained(error, base, place)}') from None
        if not 200 <= answer.status < 300:
            raise CallFailed(told(answer.status, answer.body), answer.status)
        return _decoded(answer.body)

    def _place(self, config: ClientConfig, base: str, path: str) -> Endpoint:
        if config.service is None:
            return Endpoint(base, path, None, config.ca)
        return Endpoint(base, path, self._random.choice(addresses(self._reader, config.service)), config.ca)

    def _client(self, place: Endpoint) -> HTTPClient:
        key = (place.base, place.address, place.ca)
        client = self._clients.get(key)
        if client is None:
            client = self._clients[key] = HTTPClient(place.base, trusting(place.ca), address=place.address)
            self._forget()
        self._clients.move_to_end(key)
        return client

    def _forget(self) -> None:
        """Of those that are not in use, what was used longest ago."""
        for key, client in list(self._clients.items())[: max(0, len(self._clients) - CLIENTS)]:
            if not client.busy:
                client.drop_idle()
                del self._clients[key]


@functools.lru_cache(maxsize=CLIENTS)
def trusting(ca: bytes) -> ssl.SSLContext:
    """A context that trusts the authorities, the system's for b"". ValueError if they cannot be read."""
    try:
        return contexts.trusting(ca.decode("ascii") if ca else None)
    except (ssl.SSLError, UnicodeDecodeError) as error:
        raise ValueError(f"unable to load root certificates: {error}") from None


def explained(error: Exception, base: str, place: Endpoint) -> str:
    """Why no whole answer came, as Go says it."""
    host = base.removeprefix("https://")
    where = f"{place.address[0]}:{place.address[1]}" if place.address else host
    cause: BaseException = error.__cause__ if isinstance(error, ConnectFailed) and error.__cause__ else error
    match cause:
        case ssl.SSLCertVerificationError():
            return f"tls: failed to verify certificate: x509: {_certificate(cause, host.rpartition(':')[0] or host)}"
        case ssl.SSLError():
            return f"tls: {cause.reason or cause}"
        case ConnectionRefusedError():
            return f"dial tcp {where}: connect: connection refused"
        case TimeoutError():
            return f"dial tcp {where}: i/o timeout"
        case socket.gaierror():
            return f"dial tcp: lookup {where.rpartition(':')[0]}: no such host"
        case ConnectionResetError():
            return "EOF"
    return str(cause)


def _certificate(error: ssl.SSLCertVerificationError, name: str) -> str:
    code = error.verify_code
    if code in UNTRUSTED:
        return "certificate signed by unknown authority"
    if code in (EXPIRED, NOT_YET):
        return "certificate has expired or is not yet valid"
    if code in (OTHER_NAME, OTHER_ADDRESS):
        return f"certificate is not valid for {name}"
    return error.verify_message


def told(code: int, body: bytes) -> str:
    """Of an answer that is none of success: its Status' message, or words for the code."""
    try:
        status: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        status = None
    if isinstance(status, dict) and status.get("kind") == "Status" and status.get("message"):
        return str(status["message"])
    if code in WORDS:
        return WORDS[code]
    text = body.decode(errors="replace").strip()
    if code >= 500:
        return (
            f"an error on the server ({msgspec.json.encode(text).decode()}) has prevented the request from succeeding"
        )
    return f"the server responded with the status code {code} but did not return more information"


def _decoded(body: bytes) -> Object:
    try:
        review: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CallFailed(f"couldn't get version/kind; json parse error: {error}", 500) from None
    if not isinstance(review, dict):
        raise CallFailed("couldn't get version/kind; json parse error: no object", 500)
    return review
