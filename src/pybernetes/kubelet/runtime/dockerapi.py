"""Docker's HTTP API on a unix socket, as far as the kubelet needs it (upstream: moby api/swagger.yaml v1.41)."""

from __future__ import annotations

import json
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

from pybernetes.client.http import Duplex, HTTPClient, Stream

from .types import RuntimeFailure

VERSION = (1, 41)
DEFAULT_ENDPOINT = "unix:///var/run/docker.sock"
FRAME_HEADER_BYTES = 8
STDERR = 2
SECONDS = 120.0  # as --runtime-request-timeout

Query = Mapping[str, Any]


class DockerError(RuntimeFailure):
    """The daemon's answer of 400 or more; the message is worded as Docker's own client words it."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"Error response from daemon: {message}")
        self.status = status


class DockerGone(RuntimeFailure):
    """The daemon does not answer."""


def socket_path(endpoint: str) -> str:
    """/var/run/docker.sock of unix:///var/run/docker.sock. ValueError for other kinds of endpoint."""
    scheme, separator, path = endpoint.partition("://")
    if not separator:
        return endpoint
    if scheme != "unix" or not path:
        raise ValueError(f"Docker endpoint {endpoint!r} is no unix socket such as {DEFAULT_ENDPOINT}")
    return path


def target(path: str, query: Query | None = None) -> str:
    """A request's target; booleans as Docker reads them, mappings (filters) as JSON, None left out."""
    if not query:
        return path
    texts = {}
    for key, value in query.items():
        if isinstance(value, bool):
            texts[key] = "1" if value else "0"
        elif isinstance(value, dict):
            texts[key] = json.dumps(value)
        elif value is not None:
            texts[key] = str(value)
    return f"{path}?{urlencode(texts)}"


def message_of(body: bytes) -> str:
    """What the daemon says in an error's body."""
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace").strip()


def _numbers(version: str) -> tuple[int, int]:
    major, _, minor = version.partition(".")
    return int(major), int(minor)


class Frames:
    """Takes a multiplexed stream apart: each frame is one byte of stream, three of nothing, a length and so many bytes."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """The whole frames so far, as (1 stdout or 2 stderr, bytes)."""
        self._buffer += data
        frames = []
        while len(self._buffer) >= FRAME_HEADER_BYTES:
            kind, length = struct.unpack_from(">BxxxI", self._buffer)
            end = FRAME_HEADER_BYTES + length
            if len(self._buffer) < end:
                break
            frames.append((kind, bytes(self._buffer[FRAME_HEADER_BYTES:end])))
            del self._buffer[:end]
        return frames


class DockerAPI:
    """One daemon. Errors: DockerError, DockerGone."""

    def __init__(self, endpoint: str = DEFAULT_ENDPOINT) -> None:
        self.endpoint = endpoint
        self._http = HTTPClient("http://docker", unix_socket=socket_path(endpoint))
        self._prefix = ""
        self._newest = VERSION

    async def close(self) -> None:
        await self._http.close()

    async def speaks(self, version: tuple[int, int]) -> bool:
        """Whether the daemon knows this version of its API."""
        await self._path("", None)
        return self._newest >= version

    async def _path(self, path: str, query: Query | None, version: tuple[int, int] | None = None) -> str:
        if not self._prefix:
            answer = json.loads((await self._send("GET", "/version")).body)
            # A daemon that has dropped v1.41 is asked in the oldest version that it still speaks.
            major, minor = max(VERSION, _numbers(answer.get("MinAPIVersion", "1.12")))
            self._prefix = f"/v{major}.{minor}"
            self._newest = _numbers(answer.get("ApiVersion", "1.41"))
        prefix = f"/v{version[0]}.{version[1]}" if version is not None else self._prefix
        return target(prefix + path, query)

    async def _send(
        self,
        method: str,
        target_: str,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        timeout: Any = SECONDS,
    ) -> Any:
        try:
            answer = await self._http.request(method, target_, list((headers or {}).items()), body, timeout)
        except TimeoutError as error:
            raise DockerGone(f"{method} {target_}: no answer in {timeout:g} s") from error
        except ConnectionError as error:
            raise DockerGone(f"Cannot connect to the Docker daemon at {self.endpoint}: {error}") from error
        if answer.status >= 400:
            raise DockerError(answer.status, message_of(answer.body))
        return answer

    async def get(self, path: str, query: Query | None = None) -> Any:
        """Decoded JSON."""
        return json.loads((await self._send("GET", await self._path(path, query))).body)

    async def post(
        self,
        path: str,
        body: Any = None,
        query: Query | None = None,
        timeout: float | None = SECONDS,
        version: tuple[int, int] | None = None,
    ) -> Any:
        """Decoded JSON, None for an empty answer. A body of bytes is a tar. `version`: the API's, where VERSION's will not do."""
        headers = {}
        data = b""
        if isinstance(body, bytes):
            headers, data = {"Content-Type": "application/x-tar"}, body
        elif body is not None:
            headers, data = {"Content-Type": "application/json"}, json.dumps(body).encode()
        answer = await self._send("POST", await self._path(path, query, version), headers, data, timeout)
        is_json = answer.headers.get("content-type", "").startswith("application/json")
        return json.loads(answer.body) if is_json and answer.body and not isinstance(body, bytes) else None

    async def delete(self, path: str, query: Query | None = None) -> None:
        await self._send("DELETE", await self._path(path, query))

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        headers: Mapping[str, str] | None = None,
        body: Any = None,
    ) -> AsyncIterator[Stream]:
        """An answer that is read as it comes."""
        sent = dict(headers or {})
        data = b""
        if body is not None:
            data, sent["Content-Type"] = json.dumps(body).encode(), "application/json"
        try:
            async with self._http.stream(method, await self._path(path, query), list(sent.items()), data) as answer:
                if answer.status >= 400:
                    raise DockerError(answer.status, message_of(await answer.read()))
                yield answer
        except ConnectionError as error:
            raise DockerGone(f"Cannot connect to the Docker daemon at {self.endpoint}: {error}") from error

    async def hijack(self, path: str, query: Query | None = None, body: Any = None) -> Duplex:
        """A connection that becomes a process's streams."""
        data = json.dumps(body or {}).encode()
        try:
            answer = await self._http.upgrade(
                "POST", await self._path(path, query), [("Content-Type", "application/json")], "tcp", data
            )
        except ConnectionError as error:
            raise DockerGone(f"Cannot connect to the Docker daemon at {self.endpoint}: {error}") from error
        if isinstance(answer, Duplex):
            return answer
        raise DockerError(answer.status, message_of(answer.body))
