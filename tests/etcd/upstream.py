"""Upstream's kube-apiserver on an etcd of a test's, where its binary is present: PYBERNETES_PEERS names the folder that it lies in."""

from __future__ import annotations

import asyncio
import os
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from pybernetes.client.http import HTTPClient

from ..ports import free_port
from .server import Member

FOLDER = os.environ.get("PYBERNETES_PEERS", "")
BINARY = Path(FOLDER) / "kube-apiserver"
WHY_NOT = "" if FOLDER and BINARY.exists() else "PYBERNETES_PEERS names no folder with upstream's kube-apiserver"
TOKEN = "of-the-administrator"
HEADERS = [("Authorization", f"Bearer {TOKEN}"), ("Content-Type", "application/json")]
START_SECONDS = 120.0


def minor() -> int:
    """Of its version, 1.MINOR."""
    said = subprocess.run([BINARY, "--version"], check=True, capture_output=True, text=True).stdout
    return int(said.split(".")[1])


class Upstream:
    """A server that answers, and a client of it that may do everything."""

    def __init__(self, port: int, process: subprocess.Popen[bytes]) -> None:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # it signs its certificate itself
        self.url, self.process = f"https://127.0.0.1:{port}", process
        self.client = HTTPClient(self.url, context)

    async def send(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """Status and body."""
        answer = await self.client.request(method, path, HEADERS, body, timeout=60)
        return answer.status, answer.body


@asynccontextmanager
async def upstream(folder: Path, member: Member, *flags: str) -> AsyncIterator[Upstream]:
    """Ready, with admission as it is by default but for ServiceAccount, whose objects a controller would have to make."""
    key, tokens, port = folder / "sa.key", folder / "tokens.csv", free_port()
    subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
    tokens.write_text(f'{TOKEN},administrator,1,"system:masters"\n')
    command = [
        str(BINARY),
        f"--etcd-servers={member.url}",
        *("--bind-address=127.0.0.1", f"--secure-port={port}", f"--cert-dir={folder / 'upstream'}"),
        f"--token-auth-file={tokens}",
        "--authorization-mode=RBAC",
        "--disable-admission-plugins=ServiceAccount",
        "--service-cluster-ip-range=10.96.0.0/12",
        "--service-account-issuer=https://kubernetes.default.svc",
        *(f"--service-account-key-file={key}", f"--service-account-signing-key-file={key}"),
        *flags,
    ]
    log = folder / "upstream.log"
    with open(log, "wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file)
    server = Upstream(port, process)
    try:
        async with asyncio.timeout(START_SECONDS):
            while not await _ready(server):
                assert process.poll() is None, log.read_text()[-2000:]
                await asyncio.sleep(0.1)
        yield server
    finally:
        await server.client.close()
        process.terminate()
        await asyncio.to_thread(process.wait)


async def _ready(server: Upstream) -> bool:
    try:
        return (await server.send("GET", "/readyz"))[0] == 200
    except ConnectionError:
        return False
