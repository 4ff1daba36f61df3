"""The way to a host: the system's ssh, one connection for all commands of a host (ControlMaster), never a question to the user.

The user's own ssh configuration holds (jump hosts, agents, known hosts); what the file says comes before it.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import shlex
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .clusterfile import SSH

CONNECT_SECONDS = 10
ALIVE_SECONDS, ALIVE_COUNT = 5, 3  # a host that is silent for so long is gone
PERSIST_SECONDS = 120
LARGEST_OUTPUT = 32 * 1024 * 1024
SSH_FAILED = 255  # ssh's own exit code
END_SECONDS = 5.0
PRELUDE = "set -eu\nPATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/sbin\nexport PATH\n"


class Unreachable(Exception):
    """No command can be run on the host; one line that says why and what to do."""


@dataclass(frozen=True, slots=True)
class Result:
    """Of a command that ran. The outputs are cut at LARGEST_OUTPUT."""

    code: int
    output: str
    errors: str


class Connections:
    """One for all hosts of a run; `close` ends ssh's own processes."""

    def __init__(self) -> None:
        # Below /tmp and short: a socket's path has 108 bytes at most.
        self.folder = Path(tempfile.mkdtemp(prefix="pyb-ssh-", dir="/tmp"))
        self._targets: list[list[str]] = []

    def host(self, name: str, address: str, given: SSH, default: SSH) -> Connection:
        """To a host by its entry; `default` is for what this leaves out."""
        merged = SSH(
            user=given.user or default.user,
            port=given.port or default.port,
            key=given.key or default.key,
            address=given.address or address,
        )
        words = arguments(merged, str(self.folder / "%C"))
        self._targets.append(words)
        return Connection(name, merged, words)

    async def close(self) -> None:
        """Ends the connections."""
        for words in self._targets:
            with contextlib.suppress(OSError):
                process = await asyncio.create_subprocess_exec(
                    *words[:-1], "-O", "exit", words[-1], stdin=_NOTHING, stdout=_NOTHING, stderr=_NOTHING
                )
                await process.wait()
        self.forget()

    def forget(self) -> None:
        """What is left of the connections here, also where `close` was cut off; ssh's own processes end by themselves."""
        shutil.rmtree(self.folder, ignore_errors=True)


_NOTHING = asyncio.subprocess.DEVNULL


@dataclass(frozen=True, slots=True)
class Connection:
    """To one host."""

    name: str
    ssh: SSH
    words: Sequence[str]

    async def run(self, script: str, data: bytes = b"", seconds: float = 600.0) -> Result:
        """Runs a shell script as root; `data` is its input. Unreachable, TimeoutError. Cancelled: ssh ends, and with it the script's input
        and output, not always the script."""
        command = f"sh -c {shlex.quote(PRELUDE + script)}"
        if self.ssh.user not in ("", "root"):
            command = f"sudo -n {command}"
        try:
            process = await asyncio.create_subprocess_exec(
                *self.words,
                command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                limit=LARGEST_OUTPUT,
            )
        except FileNotFoundError as error:
            raise Unreachable("there is no ssh on this machine: install openssh-client") from error
        try:
            async with asyncio.timeout(seconds):
                output, errors = await _talk(process, data)
                code = await process.wait()
        finally:
            if process.returncode is None:
                process.terminate()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(process.wait(), END_SECONDS)
                if process.returncode is None:
                    process.kill()
        problem = explained(code, errors, self.ssh)
        if problem:
            raise Unreachable(problem)
        return Result(code, output, errors)


async def _talk(process: asyncio.subprocess.Process, data: bytes) -> tuple[str, str]:
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None
    outputs = asyncio.gather(_bounded(process.stdout), _bounded(process.stderr))
    with contextlib.suppress(
        BrokenPipeError, ConnectionResetError
    ):  # a script that does not read to the end says why itself
        for start in range(0, len(data), 65536):
            process.stdin.write(data[start : start + 65536])
            await process.stdin.drain()
    process.stdin.close()
    output, errors = await outputs
    return output, errors


async def _bounded(stream: asyncio.StreamReader) -> str:
    """All of it is read, so that nobody waits; what is too much is forgotten."""
    kept, size = [], 0
    while part := await stream.read(65536):
        if size < LARGEST_OUTPUT:
            kept.append(part)
            size += len(part)
    return b"".join(kept)[:LARGEST_OUTPUT].decode("utf-8", "replace")


def arguments(ssh: SSH, control_path: str) -> list[str]:
    """ssh's command line up to the host."""
    options = {
        "BatchMode": "yes",
        "ConnectTimeout": str(CONNECT_SECONDS),
        "ControlMaster": "auto",
        "ControlPath": control_path,
        "ControlPersist": str(PERSIST_SECONDS),
        "ServerAliveInterval": str(ALIVE_SECONDS),
        "ServerAliveCountMax": str(ALIVE_COUNT),
    }
    words = ["ssh", "-T", *(word for name, value in options.items() for word in ("-o", f"{name}={value}"))]
    if ssh.port:
        words += ["-p", str(ssh.port)]
    if ssh.key:
        words += ["-i", str(Path(ssh.key).expanduser()), "-o", "IdentitiesOnly=yes"]
    if ssh.user:
        words += ["-l", ssh.user]
    return [*words, ssh.address]


def explained(code: int, errors: str, ssh: SSH) -> str:
    """Why a command did not run at all, and what to do; "": it ran. Pure."""
    user, port = ssh.user or "root", ssh.port or 22
    if "sudo: a password is required" in errors or "sudo: a terminal is required" in errors:
        return f"{user} may not become root by sudo without a password: give it NOPASSWD in /etc/sudoers.d, or log in as root"
    if ssh.user not in ("", "root") and re.search(
        r"^(sh: \d+: |bash: .*)?sudo: (not found|command not found)", errors, re.MULTILINE
    ):
        return "there is no sudo: install it, or log in as root (ssh.user)"
    if code != SSH_FAILED:
        return ""
    said = _last(errors)
    where = f"{ssh.address}, port {port}"
    if "REMOTE HOST IDENTIFICATION HAS CHANGED" in errors:
        return f"{where}: it has another host key than the one that is known: if it was installed anew, `ssh-keygen -R {ssh.address}`"
    if "Host key verification failed" in errors:
        key = f"ssh-keyscan -p {port} {ssh.address} >>~/.ssh/known_hosts"
        return f"{where}: its host key is not known here: log in once by `ssh`, or `{key}` on a network that you trust"
    if "Permission denied" in errors or "Too many authentication failures" in errors:
        key = ssh.key or "a key of yours"
        return f"{where}: permission denied to {user}: `ssh-copy-id {user}@{ssh.address}` lets {key} in; or name another in ssh.key, ssh.user"
    if re.search(r"UNPROTECTED PRIVATE KEY|bad permissions", errors):
        return f"{where}: others can read the key {ssh.key}: chmod 600 it"
    for text in (
        "Connection refused",
        "timed out",
        "No route to host",
        "Network is unreachable",
        "Could not resolve hostname",
    ):
        if text in errors:
            return f"{where}: not reachable: {said}"
    return f"{where}: ssh ended: {said or 'without a word'}"


def _last(errors: str) -> str:
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    return lines[-1] if lines else ""
