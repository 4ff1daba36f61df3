"""`pybernetes kube-apiserver` as a process of its own."""

from __future__ import annotations

import json
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pybernetes.testing.certificates import Authority

from ..ports import free_port

SECONDS = 60.0  # for what takes a moment where nothing else runs
TOKENS = 'secret,jane,1,"developers,system:masters"\n'


class Running:
    """A server process over one data file; `start` again after `kill`."""

    def __init__(self, folder: Path) -> None:
        authority = Authority("ca", datetime.now(UTC))
        pair = authority.serving(["localhost"], ["127.0.0.1"])
        files = {"crt": pair.certificate, "key": pair.key, "tokens": TOKENS.encode()}
        for name, data in files.items():
            (folder / name).write_bytes(data)
        self.port = free_port()
        self.context = ssl.create_default_context(cadata=authority.pem.decode())
        self.flags = [
            *("--bind-address=127.0.0.1", f"--secure-port={self.port}", f"--store=sqlite:{folder}/data/state.db"),
            *(
                f"--tls-cert-file={folder}/crt",
                f"--tls-private-key-file={folder}/key",
                f"--token-auth-file={folder}/tokens",
                "--anonymous-auth=false",
            ),
        ]
        self.process: subprocess.Popen[bytes]

    def start(self) -> None:
        command = [sys.executable, "-m", "pybernetes", "kube-apiserver", *self.flags]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL, umask=0)
        end = time.monotonic() + SECONDS
        while time.monotonic() < end and self.process.poll() is None:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1):
                    return
            except OSError:
                time.sleep(0.02)
        raise AssertionError(f"the server did not start within {SECONDS:g} s, or ended: {self.process.poll()}")

    def kill(self, number: int = signal.SIGKILL) -> int:
        self.process.send_signal(number)
        return self.process.wait(SECONDS)

    def ask(self, method: str, path: str, body: Any = None, token: str = "secret") -> Any:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"https://127.0.0.1:{self.port}{path}", data, headers, method=method)
        with urllib.request.urlopen(request, context=self.context, timeout=SECONDS) as answer:
            return json.loads(answer.read())

    def text(self, path: str, token: str = "secret") -> str:
        request = urllib.request.Request(
            f"https://127.0.0.1:{self.port}{path}", headers={"Authorization": f"Bearer {token}"}
        )
        with urllib.request.urlopen(request, context=self.context, timeout=SECONDS) as answer:
            body: bytes = answer.read()
        return body.decode()
