"""A KMS v2 plug-in on a Unix socket, by another implementation of gRPC (grpcio): XOR and a prefix with the key's name in place of a cipher."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc

from pybernetes.api import protowire
from pybernetes.api.protowire import chunk

Answer = Callable[[dict[int, bytes]], bytes]


class Plugin:
    """What it answers can be changed while it runs."""

    def __init__(self) -> None:
        self.key_id, self.healthz, self.version = "key-1", "ok", "v2"
        self.calls: list[str] = []
        self.failing: grpc.StatusCode | None = None

    def status(self, request: dict[int, bytes]) -> bytes:
        return chunk(1, self.version.encode()) + chunk(2, self.healthz.encode()) + chunk(3, self.key_id.encode())

    def encrypt(self, request: dict[int, bytes]) -> bytes:
        assert request[2]
        sealed = f"{self.key_id}|".encode() + bytes(byte ^ 0x5A for byte in request[1])
        note = chunk(1, b"plugin.example.com") + chunk(2, b"note")
        return chunk(1, sealed) + chunk(2, self.key_id.encode()) + chunk(3, note)

    def decrypt(self, request: dict[int, bytes]) -> bytes:
        name, _, sealed = request[1].partition(b"|")
        assert request[3] == name and request[4] == chunk(1, b"plugin.example.com") + chunk(2, b"note")
        return chunk(1, bytes(byte ^ 0x5A for byte in sealed))

    def answer(self, name: str, call: Answer) -> Callable[[bytes, Any], bytes]:
        def handle(data: bytes, context: Any) -> bytes:
            self.calls.append(name)
            if self.failing is not None:
                context.abort(self.failing, "the plug-in is not well")
            return call({number: value for number, value in protowire.fields(data) if isinstance(value, bytes)})

        return handle


@contextmanager
def served(plugin: Plugin, socket: Path) -> Iterator[None]:
    calls = {"Status": plugin.status, "Encrypt": plugin.encrypt, "Decrypt": plugin.decrypt}
    handlers = {name: grpc.unary_unary_rpc_method_handler(plugin.answer(name, call)) for name, call in calls.items()}
    server = grpc.server(futures.ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("v2.KeyManagementService", handlers),))
    server.add_insecure_port(f"unix:{socket}")
    server.start()
    try:
        yield
    finally:
        server.stop(0).wait()
