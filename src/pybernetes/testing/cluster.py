"""The cluster of tests: memory store, TLS on a free port of the loopback, a kubeconfig for an administrator."""

from __future__ import annotations

import asyncio
import base64
import os
import ssl
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pybernetes.apiserver.server import APIServer, Options
from pybernetes.apiserver.x509 import ClientCertificate
from pybernetes.store.sqlite import SQLiteStore

from .certificates import Authority, Pair

START_SECONDS = 30.0


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class RunningCluster:
    """Where a test finds its cluster."""

    url: str
    kubeconfig: str  # path
    ca: bytes


class TestCluster:
    """An API server of one's own on the running event loop; the folder holds its kubeconfig and keys."""

    __test__ = False  # not a test, whatever pytest thinks of the name

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def start(self, port: int = 0) -> RunningCluster:
        """Returns when it answers."""
        authority = Authority("pybernetes-test-ca", _now())
        context = self._tls(authority)
        self._store = await SQLiteStore.open(":memory:")
        options = Options(port=port, ssl_context=context, authenticators=[ClientCertificate(_now)])
        self._server = APIServer(self._store, options)
        await self._server.start()
        url = f"https://127.0.0.1:{self._server.port}"
        path = self._folder / "kubeconfig"
        admin = authority.client("kubernetes-admin", ["system:masters"])
        _write(path, kubeconfig(url, authority.pem, admin).encode())
        return RunningCluster(url, str(path), authority.pem)

    def _tls(self, authority: Authority) -> ssl.SSLContext:
        serving = authority.serving(
            ["localhost", "kubernetes", "kubernetes.default.svc"], ["127.0.0.1", "::1", "10.96.0.1"]
        )
        pair = self._folder / "apiserver.pem"
        _write(pair, serving.key + serving.certificate)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair)
        context.load_verify_locations(cadata=authority.pem.decode())
        context.verify_mode = ssl.CERT_OPTIONAL
        return context

    async def stop(self) -> None:
        """Nothing is left but the folder, which is the caller's."""
        await self._server.stop(0)
        await self._store.close()


def _write(path: Path, data: bytes) -> None:
    """A file for its owner only."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)


def kubeconfig(url: str, ca: bytes, user: Pair) -> str:
    """A kubeconfig with everything in it."""

    def text(data: bytes) -> str:
        return base64.b64encode(data).decode()

    return f"""apiVersion: v1
kind: Config
current-context: pybernetes
clusters:
- name: pybernetes
  cluster:
    server: {url}
    certificate-authority-data: {text(ca)}
users:
- name: kubernetes-admin
  user:
    client-certificate-data: {text(user.certificate)}
    client-key-data: {text(user.key)}
contexts:
- name: pybernetes
  context:
    cluster: pybernetes
    user: kubernetes-admin
"""


@contextmanager
def cluster() -> Iterator[RunningCluster]:
    """A cluster on a thread of its own, for tests that are not asynchronous."""
    with tempfile.TemporaryDirectory(prefix="pybernetes-") as folder:
        ready: list[RunningCluster] = []
        failed: list[BaseException] = []
        started, stop = threading.Event(), threading.Event()

        async def main() -> None:
            running = TestCluster(Path(folder))
            try:
                ready.append(await running.start())
            except BaseException as error:
                failed.append(error)
                raise
            finally:
                started.set()
            await asyncio.get_running_loop().run_in_executor(None, stop.wait)
            await running.stop()

        thread = threading.Thread(target=lambda: asyncio.run(main()), name="pybernetes-cluster", daemon=True)
        thread.start()
        if not started.wait(START_SECONDS) or not ready:
            raise RuntimeError(f"the test cluster did not start: {failed[0] if failed else 'no answer'}")
        try:
            yield ready[0]
        finally:
            stop.set()
            thread.join(START_SECONDS)
