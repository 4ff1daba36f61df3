"""Credential plug-ins: commands that give a token or a client certificate (upstream: client-go/plugin/pkg/client/auth/exec).

What is run and what its answer means is decided by pure functions; `ExecPlugin` runs it, and keeps what it gave until that expires.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import ssl
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from pybernetes.api.times import parse_time
from pybernetes.pki.files import Pair

from .configerror import ConfigError, NoCredentials

GROUP = "client.authentication.k8s.io"
API_VERSIONS = (f"{GROUP}/v1", f"{GROUP}/v1beta1")
CLUSTER_EXTENSION = f"{GROUP}/exec"  # the cluster's extension that is given to the plug-in as cluster.config
NEVER, IF_AVAILABLE, ALWAYS = "Never", "IfAvailable", "Always"
OUTPUT_BYTES = 1 << 20  # far more than a token and a chain of certificates
NOT_INSTALLED = """

It looks like you are trying to use a client-go credential plugin that is not installed.

To learn more about this feature, consult the documentation available at:
      https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins"""


class PluginError(Exception):
    """A plug-in gave no credentials; the text is upstream's."""


@dataclass(frozen=True, slots=True)
class ExecConfig:
    """`users[].user.exec` of a kubeconfig. `cluster` is given where provideClusterInfo is set."""

    command: str
    api_version: str = API_VERSIONS[0]
    args: Sequence[str] = ()
    env: Sequence[tuple[str, str]] = ()
    install_hint: str = ""
    interactive_mode: str = IF_AVAILABLE
    cluster: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Credential:
    """What a plug-in gave. `expires` None: it holds until the server refuses it."""

    token: str = field(default="", repr=False)
    pair: Pair | None = field(default=None, repr=False)
    expires: datetime | None = None

    def expired(self, now: datetime) -> bool:
        """Whether the plug-in is to be run again."""
        return self.expires is not None and now > self.expires


def parse(plugin: Mapping[str, Any], user: str, folder: Path, cluster: Mapping[str, Any]) -> ExecConfig:
    """Of a kubeconfig's user and cluster; a command with a slash is relative to the kubeconfig's folder. ConfigError in upstream's words."""
    command, version = str(plugin.get("command") or ""), str(plugin.get("apiVersion") or "")
    mode = str(plugin.get("interactiveMode") or "")
    env = [(str(entry.get("name") or ""), str(entry.get("value") or "")) for entry in plugin.get("env") or ()]
    use = f"must be specified for {user} to use exec authentication plugin"
    if not command:
        raise ConfigError(f"command {use}")
    if not version:
        raise ConfigError(f"apiVersion {use}")
    if not all(name for name, _ in env):
        raise ConfigError(f"env variable name {use}")
    if version not in API_VERSIONS:
        raise ConfigError(f'exec plugin: invalid apiVersion "{version}"')
    if not mode and version == API_VERSIONS[0]:
        raise ConfigError(f"interactiveMode {use}")
    if mode not in ("", NEVER, IF_AVAILABLE, ALWAYS):
        raise ConfigError(f'invalid interactiveMode for {user}: "{mode}"')
    return ExecConfig(
        command=str(folder / command) if "/" in command else command,
        api_version=version,
        args=[str(argument) for argument in plugin.get("args") or ()],
        env=env,
        install_hint=str(plugin.get("installHint") or ""),
        interactive_mode=mode or IF_AVAILABLE,
        cluster=cluster_info(cluster) if plugin.get("provideClusterInfo") else None,
    )


def cluster_info(cluster: Mapping[str, Any]) -> dict[str, Any]:
    """`spec.cluster` of an ExecCredential: the kubeconfig's cluster with its CA as data, and the extension meant for the plug-in."""
    info: dict[str, Any] = {"server": cluster.get("server", "")}
    for name in (
        "tls-server-name",
        "insecure-skip-tls-verify",
        "certificate-authority-data",
        "proxy-url",
        "disable-compression",
    ):
        if cluster.get(name):
            info[name] = cluster[name]
    extensions = {entry.get("name"): entry.get("extension") for entry in cluster.get("extensions") or ()}
    if extensions.get(CLUSTER_EXTENSION) is not None:
        info["config"] = extensions[CLUSTER_EXTENSION]
    return info


def is_interactive(mode: str, terminal: bool) -> bool:
    """Whether the plug-in gets standard input. PluginError where it must and there is no terminal."""
    if mode == ALWAYS and not terminal:
        raise PluginError("exec plugin cannot support interactive mode: standard input is not a terminal")
    return mode != NEVER and terminal


def exec_info(config: ExecConfig, interactive: bool) -> str:
    """What the plug-in is told in the variable KUBERNETES_EXEC_INFO."""
    spec: dict[str, Any] = {"interactive": interactive}
    if config.cluster is not None:
        spec = {"cluster": config.cluster, **spec}
    return json.dumps({"kind": "ExecCredential", "apiVersion": config.api_version, "spec": spec})


def credential(output: bytes, api_version: str) -> Credential:
    """Of the ExecCredential on a plug-in's standard output. PluginError in upstream's words."""
    try:
        document = json.loads(output)
    except ValueError as error:
        raise PluginError(f"decoding stdout: {error}") from error
    if not isinstance(document, dict) or document.get("kind") != "ExecCredential":
        raise PluginError("decoding stdout: it is no ExecCredential")
    if document.get("apiVersion") != api_version:
        given = document.get("apiVersion")
        raise PluginError(
            f"exec plugin is configured to use API version {api_version}, plugin returned version {given}"
        )
    status = document.get("status")
    if not isinstance(status, dict):
        raise PluginError("exec plugin didn't return a status field")
    token, certificate, key = (_text(status, n) for n in ("token", "clientCertificateData", "clientKeyData"))
    if not token and not certificate and not key:
        raise PluginError("exec plugin didn't return a token or cert/key pair")
    if bool(certificate) != bool(key):
        raise PluginError("exec plugin returned only certificate or key, not both")
    expires = _text(status, "expirationTimestamp")
    try:
        until = parse_time(expires) if expires else None
    except ValueError as error:
        raise PluginError(f"decoding stdout: {error}") from error
    return Credential(token, Pair(certificate.encode(), key.encode()) if certificate else None, until)


def _text(status: Mapping[str, Any], name: str) -> str:
    value = status.get(name) or ""
    if not isinstance(value, str):
        raise PluginError(f"decoding stdout: status.{name} is no string")
    return value


class ExecPlugin:
    """Runs the command where what it gave before has expired or was refused; many who ask at once run it once."""

    def __init__(self, config: ExecConfig) -> None:
        self.config = config
        self.credential: Credential | None = None
        self._lock = asyncio.Lock()

    async def current(self, now: datetime) -> Credential:
        """NoCredentials where it gives none."""
        async with self._lock:
            if self.credential is None or self.credential.expired(now):
                try:
                    self.credential = await self._run()
                except PluginError as error:
                    raise NoCredentials(f"getting credentials: {error}") from error
            return self.credential

    def reject(self, token: str) -> None:
        """The server does not take this token (or, for "", its certificate): the next who asks has it run again."""
        if self.credential is not None and self.credential.token == token:
            self.credential = None

    async def _run(self) -> Credential:
        config = self.config
        interactive = is_interactive(config.interactive_mode, sys.stdin is not None and sys.stdin.isatty())
        environment = {**os.environ, **dict(config.env), "KUBERNETES_EXEC_INFO": exec_info(config, interactive)}
        try:
            process = await asyncio.create_subprocess_exec(
                config.command,
                *config.args,
                env=environment,
                stdin=None if interactive else asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                start_new_session=not interactive,  # so that all of it can be ended; a session of its own has no terminal
            )
        except OSError as error:
            raise PluginError(_not_run(config, error)) from error
        try:
            output = await _output(process)
            status = await process.wait()
        except BaseException:  # it says too much, or nobody waits for it any more
            await _end(process, alone=interactive)
            raise
        if status:
            raise PluginError(f"exec: executable {config.command} failed with exit code {status}")
        given = credential(output, config.api_version)
        _check_pair(given.pair)
        return given


def _not_run(config: ExecConfig, error: OSError) -> str:
    if not isinstance(error, FileNotFoundError):
        return f"exec: {error.strerror or error}: {config.command}"
    hint = f"\n\n{config.install_hint}" if config.install_hint else ""
    return f"exec: executable {config.command} not found{NOT_INSTALLED}{hint}"


async def _output(process: asyncio.subprocess.Process) -> bytes:
    assert process.stdout is not None
    output = b""
    while piece := await process.stdout.read(65536):
        output += piece
        if len(output) > OUTPUT_BYTES:
            raise PluginError(f"decoding stdout: it is longer than {OUTPUT_BYTES} bytes")
    return output


async def _end(process: asyncio.subprocess.Process, alone: bool) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill() if alone else os.killpg(process.pid, signal.SIGKILL)
    assert process.stdout is not None
    while await process.stdout.read(65536):
        pass
    await process.wait()


def _check_pair(pair: Pair | None) -> None:
    from pybernetes.pki.contexts import load_pair

    if pair is None:
        return
    try:
        load_pair(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), pair)
    except OSError as error:  # ssl.SSLError is one
        raise PluginError(f"failed parsing client key/certificate: {error}") from error
