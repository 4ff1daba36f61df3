"""Calls to a KMS plug-in: gRPC on a socket of this machine (upstream: kms/apis/v2/api.proto, envelope/kmsv2/grpc_service.go)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pybernetes.api import protowire
from pybernetes.api.protowire import ProtobufError, chunk
from pybernetes.store.transformed import TransformError

from ..configdocument import DocumentError
from . import kmsobject
from .metrics import EncryptionMetrics

if TYPE_CHECKING:
    from pybernetes.store.etcd.http2 import Connection

SERVICE = "/v2.KeyManagementService/"
AUTHORITY = "localhost"
# gRPC's codes by number (grpc/codes).
CODES = (
    *("OK", "Canceled", "Unknown", "InvalidArgument", "DeadlineExceeded", "NotFound", "AlreadyExists"),
    *("PermissionDenied", "ResourceExhausted", "FailedPrecondition", "Aborted", "OutOfRange", "Unimplemented"),
    *("Internal", "Unavailable", "DataLoss", "Unauthenticated"),
)


class KMSError(TransformError):
    """A call that failed; `status` is gRPC's code, as its Go library names it."""

    def __init__(self, status: str, message: str) -> None:
        super().__init__(f"rpc error: code = {status} desc = {message}")
        self.status = status


@dataclass(frozen=True, slots=True)
class Status:
    """`healthz` is "ok", or says what is wrong; `key_id` names the key that Encrypt takes now."""

    version: str
    healthz: str
    key_id: str


@dataclass(frozen=True, slots=True)
class Encrypted:
    """What a plug-in has made of a data key, and wants to be told again for Decrypt."""

    ciphertext: bytes
    key_id: str
    annotations: Mapping[str, bytes] = field(default_factory=dict)


class KMSService:
    """Between its making and `close`. One connection, made with the first call and again after it broke."""

    def __init__(self, name: str, endpoint: str, seconds: float, metrics: EncryptionMetrics) -> None:
        """`endpoint`: unix:///PATH, unix:///@NAME for an abstract socket; `seconds` of each call. DocumentError where the package is missing."""
        try:
            from pybernetes.store.etcd import http2
        except ModuleNotFoundError as error:
            text = f"the package {error.name} is needed for kms: pip install 'pybernetes[kms]'"
            raise DocumentError(text) from error
        parts = urlsplit(endpoint)
        path = f"{parts.netloc}{parts.path}"
        self._address = f"\0{path[2:]}" if path.startswith("/@") else path
        self._name, self._endpoint, self._seconds, self._metrics = name, endpoint, seconds, metrics
        self._http2 = http2
        self._connection: Connection | None = None
        self._connecting = asyncio.Lock()

    async def status(self) -> Status:
        """KMSError."""
        told = _texts(await self._call("Status", b""))
        return Status(told.get(1, ""), told.get(2, ""), told.get(3, ""))

    async def encrypt(self, plaintext: bytes, uid: str) -> Encrypted:
        """KMSError. `uid` is for the plug-in's log."""
        data, key_id, annotations = b"", "", {}
        for number, value in _fields(await self._call("Encrypt", chunk(1, plaintext) + chunk(2, uid.encode()))):
            if number == 1:
                data = value
            elif number == 2:
                key_id = _text(value)
            elif number == 3:
                key, told = _entry(value)
                annotations[key] = told
        return Encrypted(data, key_id, annotations)

    async def decrypt(self, one: Encrypted, uid: str) -> bytes:
        """The plaintext. KMSError."""
        request = chunk(1, one.ciphertext) + chunk(2, uid.encode()) + chunk(3, one.key_id.encode())
        request += b"".join(chunk(4, kmsobject.entry(key, value)) for key, value in sorted(one.annotations.items()))
        return next((value for number, value in _fields(await self._call("Decrypt", request)) if number == 1), b"")

    async def close(self) -> None:
        """Ends all calls."""
        if self._connection is not None:
            self._connection.close()

    async def _call(self, method: str, request: bytes) -> bytes:
        started, status = time.perf_counter(), "OK"
        try:
            async with asyncio.timeout(self._seconds):
                return await self._asked(f"{SERVICE}{method}", request)
        except TimeoutError:
            status = "DeadlineExceeded"
            raise KMSError(status, "context deadline exceeded") from None
        except KMSError as error:
            status = error.status
            raise
        finally:
            self._metrics.called(self._name, f"{SERVICE}{method}", status, time.perf_counter() - started)

    async def _asked(self, path: str, request: bytes) -> bytes:
        try:
            stream = (await self._connected()).call(path)
            try:
                stream.send(request, last=True)
                answer = await stream.receive()
                if answer is not None:
                    await stream.receive()  # its status
            finally:
                stream.cancel()
        except self._http2.RPCError as error:
            name = CODES[error.status] if error.status < len(CODES) else f"Code({error.status})"
            raise KMSError(name, error.message) from error
        return answer or b""

    async def _connected(self) -> Connection:
        async with self._connecting:
            if self._connection is None or not self._connection.usable:
                loop = asyncio.get_running_loop()
                make = self._http2.Connection
                try:
                    _, self._connection = await loop.create_unix_connection(
                        lambda: make(AUTHORITY, tls=False, metadata=()), self._address
                    )
                except OSError as error:
                    words = f"dial unix {self._address}: connect: {(error.strerror or str(error)).lower()}"
                    text = f'connection error: desc = "transport: Error while dialing: {words}"'
                    raise KMSError("Unavailable", text) from error
            return self._connection


def _fields(message: bytes) -> list[tuple[int, bytes]]:
    try:
        return [(number, value) for number, value in protowire.fields(message) if isinstance(value, bytes)]
    except ProtobufError as error:
        raise KMSError("Internal", f"grpc: failed to unmarshal the received message: {error}") from error


def _texts(message: bytes) -> dict[int, str]:
    return {number: _text(value) for number, value in _fields(message)}


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise KMSError("Internal", "grpc: failed to unmarshal the received message: invalid UTF-8") from error


def _entry(value: bytes) -> tuple[str, bytes]:
    try:
        return kmsobject.read_entry(value)
    except (ProtobufError, UnicodeDecodeError) as error:
        raise KMSError("Internal", f"grpc: failed to unmarshal the received message: {error}") from error
