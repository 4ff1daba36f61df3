"""The real clients that tests use: kubectl old, of the machine, and new; helm. tools/clients.sh fetches them."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

CLIENTS = Path(__file__).parent.parent / "build" / "clients"
SECONDS = 120.0


def found() -> dict[str, str]:
    """Name -> path of each kubectl that is there."""
    candidates = {
        "kubectl-old": CLIENTS / "kubectl-old",
        "kubectl": shutil.which("kubectl"),
        "kubectl-new": CLIENTS / "kubectl-new",
    }
    return {name: str(path) for name, path in candidates.items() if path and Path(path).exists()}


def helm() -> str | None:
    """Its path, None if it is not there."""
    path = CLIENTS / "helm"
    return str(path) if path.exists() else shutil.which("helm")


@dataclass(frozen=True, slots=True)
class Kubectl:
    """One binary against one cluster, in one namespace."""

    binary: str
    kubeconfig: str
    namespace: str = "default"

    def command(self, *arguments: str) -> list[str]:
        return [self.binary, "--kubeconfig", self.kubeconfig, "--namespace", self.namespace, *arguments]

    def environment(self, **more: str) -> dict[str, str]:
        return {**os.environ, "HOME": str(Path(self.kubeconfig).parent), **more}

    def __call__(self, *arguments: str, stdin: str | None = None, code: int = 0, **environment: str) -> str:
        """Both outputs of a run that ends with the code."""
        done = subprocess.run(
            self.command(*arguments),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
            env=self.environment(**environment),
        )
        assert done.returncode == code, f"kubectl {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}"
        return done.stdout

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """One that goes on; the caller ends it."""
        return subprocess.Popen(
            self.command(*arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.environment(),
        )

    def on_a_terminal(self, *arguments: str, typed: str, until: str) -> str:
        """What a terminal showed when the text had come, or the run ended."""
        leader, follower = pty.openpty()
        process = subprocess.Popen(
            self.command(*arguments), stdin=follower, stdout=follower, stderr=follower, env=self.environment()
        )
        os.close(follower)
        shown = b""
        end = time.monotonic() + SECONDS
        sent = False
        try:
            while time.monotonic() < end and until.encode() not in shown:
                readable, _, _ = select.select([leader], [], [], 1.0)
                if not readable:
                    continue
                try:
                    shown += os.read(leader, 65536)
                except OSError:  # the other end is closed: the run has ended
                    break
                if not sent and (b"#" in shown or b"$" in shown or b"command prompt" in shown):
                    os.write(leader, typed.encode())
                    sent = True
            assert until.encode() in shown, f"not shown: {until!r} in {shown.decode(errors='replace')}"
            os.write(leader, b"exit\n")
            process.wait(SECONDS)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            os.close(leader)
        return shown.decode(errors="replace")
