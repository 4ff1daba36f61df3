"""The ports of all parts follow their files: the serving certificate, and the authorities of clients by overlap; none is restarted."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pybernetes.cli import controllermanager, kubelet, scheduler
from pybernetes.client.http import HTTPClient
from pybernetes.component import flags
from pybernetes.kubelet.options import FLAGS as KUBELET_FLAGS
from pybernetes.pki.bundles import LOOK_SECONDS
from pybernetes.testing.certificates import Authority
from pybernetes.testing.cluster import RunningCluster, TestCluster

from ..ports import free_port
from .test_tls_bootstrap import until

Run = Callable[[list[str]], Coroutine[Any, Any, None]]


async def run_scheduler(given: list[str]) -> None:
    await scheduler.run(flags.parse("s", scheduler.FLAGS, [*given, "--leader-elect=false"]))


async def run_controllers(given: list[str]) -> None:
    more = ["--leader-elect=false", "--controllers=ttl-controller"]
    await controllermanager.run(flags.parse("c", controllermanager.FLAGS, [*given, *more]))


async def run_kubelet(given: list[str]) -> None:
    more = ["--runtime=hollow", "--hostname-override=n1", "--node-ip=127.0.0.1", "--healthz-port=0"]
    await kubelet.run(flags.parse("k", KUBELET_FLAGS, [*given, *more]))


PARTS: dict[
    str, tuple[Run, str, str, str]
] = {  # and the names of its flags for port and address; a path for who is known
    "kube-scheduler": (run_scheduler, "secure-port", "bind-address", "/metrics"),
    "kube-controller-manager": (run_controllers, "secure-port", "bind-address", "/metrics"),
    "kubelet": (run_kubelet, "port", "address", "/pods"),
}


class Files:
    """What a part serves with, and the authorities that it takes clients of."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self.old, self.new = Authority("old", datetime.now(UTC)), Authority("new", datetime.now(UTC))

    def serve(self, authority: Authority) -> None:
        pair = authority.serving(["localhost"], ["127.0.0.1"])
        (self.folder / "key").write_bytes(pair.key)
        (self.folder / "crt").write_bytes(pair.certificate)

    def trust(self, *authorities: Authority) -> None:
        (self.folder / "ca").write_bytes(b"".join(authority.pem for authority in authorities))

    def client(self, server: Authority, authority: Authority) -> HTTPClient:
        """One of jane's that trusts `server` alone."""
        pair = authority.client("jane", [])
        (self.folder / "client").write_bytes(pair.key + pair.certificate)
        context = ssl.create_default_context(cadata=server.pem.decode())
        context.load_cert_chain(self.folder / "client")
        return HTTPClient(f"https://127.0.0.1:{self.port}", context)


async def status(client: HTTPClient, path: str, stays: bool = False) -> int:
    """401 where TLS or the part takes no such certificate, 403 where it knows who asks; a client that `stays` keeps its connection."""
    try:
        return (await client.request("GET", path)).status
    except OSError:
        return 401
    finally:
        if not stays:
            await client.close()


@pytest.mark.parametrize("part", PARTS)
def test_a_port(part: str, tmp_path: Path) -> None:
    run, port_flag, address_flag, path = PARTS[part]
    files = Files(tmp_path, free_port())

    def given(running: RunningCluster) -> list[str]:
        return [
            f"--kubeconfig={running.kubeconfig}",
            f"--{port_flag}={files.port}",
            f"--{address_flag}=127.0.0.1",
            f"--tls-cert-file={tmp_path}/crt",
            f"--tls-private-key-file={tmp_path}/key",
            f"--client-ca-file={tmp_path}/ca",
        ]

    async def main() -> None:
        old, new = files.old, files.new
        files.serve(old)
        files.trust(old)
        (tmp_path / "cluster").mkdir()
        cluster = TestCluster(tmp_path / "cluster")
        running = await cluster.start()
        task = asyncio.ensure_future(run(given(running)))
        try:

            async def known() -> bool:
                return await status(files.client(old, old), path) == 403

            assert await until(known)
            files.serve(new)
            assert await status(files.client(new, old), path) == 403
            assert await status(files.client(old, old), path) == 401  # it shows the new one to everybody who comes
            assert await status(files.client(new, new), path) == 401
            files.trust(old, new)
            standing = files.client(new, old)
            assert await status(standing, path, stays=True) == 403
            assert await status(files.client(new, new), path) == 403
            files.trust(new)
            await asyncio.sleep(LOOK_SECONDS + 0.1)
            assert await status(files.client(new, old), path) == 401
            assert await status(files.client(new, new), path) == 403
            assert await status(standing, path) == 401  # over the connection that stands
            assert not task.done()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await cluster.stop()

    asyncio.run(main())
