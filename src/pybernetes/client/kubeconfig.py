"""kubeconfig files and the credentials in them (client-go/tools/clientcmd, plugin/pkg/client/auth/exec)."""

from __future__ import annotations

import base64
import contextlib
import logging
import os
import ssl
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pybernetes.pki.contexts import ReloadingContext, load_pair, trusting
from pybernetes.pki.files import Pair

from . import execplugin
from .configerror import ConfigError as ConfigError  # this module's word, too
from .configerror import NoCredentials
from .execplugin import ExecPlugin

_log = logging.getLogger(__name__)

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
TOKEN_RELOAD = timedelta(minutes=1)  # projected tokens are rotated in place; client-go reads them again as often


@dataclass(slots=True)
class Config:
    """Where the server is and who we are there.

    Where `ca_file`, `certificate_file` or `key_file` is given, the bytes beside it are what it held at first: new connections use what it holds
    by then. So with `source`, a kubeconfig that holds authorities or certificate itself and its context: an authority is replaced by way of
    both, and no part ends for it.
    """

    server: str
    namespace: str = "default"
    ca_data: bytes | None = None  # None: the system's
    insecure_skip_tls_verify: bool = False
    tls_server_name: str = ""
    certificate: bytes | None = None
    key: bytes | None = None
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    source: tuple[Path, str] | None = None
    token: str = ""
    token_file: Path | None = None
    username: str = ""
    password: str = ""
    exec_plugin: ExecPlugin | None = None
    impersonate: dict[str, Any] = field(default_factory=dict)
    _cached: tuple[str, datetime, datetime] | None = None  # a token, when it was read, when it is to be read again
    _plugins_context: ReloadingContext | None = None
    _plugins_pair: Pair | None = None

    def ssl_context(self) -> ssl.SSLContext | None:
        """None for plain HTTP. ConfigError where certificate or key cannot be used."""
        if not self.server.startswith("https://"):
            return None
        files = [file for file in (self.ca_file, self.certificate_file, self.key_file) if file is not None]
        files += [self.source[0]] if self.source is not None else []
        try:
            if self._uses_plugin():
                # One for all clients of this configuration, for what the plug-in gives is everybody's.
                self._plugins_context = self._plugins_context or ReloadingContext(self._context, files)
                return self._plugins_context
            return ReloadingContext(self._context, files) if files else self._context()
        except OSError as error:  # ssl.SSLError is one
            raise ConfigError(
                f"certificate or key of the kubeconfig for {self.server} cannot be used: {error}"
            ) from error

    def _context(self) -> ssl.SSLContext:
        held = self._held()
        authority = self.ca_file.read_bytes() if self.ca_file is not None else held.ca_data
        context = trusting(authority.decode() if authority else None)
        if self.insecure_skip_tls_verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        certificate = self.certificate_file.read_bytes() if self.certificate_file is not None else held.certificate
        key = self.key_file.read_bytes() if self.key_file is not None else held.key
        if certificate and key:
            load_pair(context, Pair(certificate, key))
        elif self._plugins_pair is not None:
            load_pair(context, self._plugins_pair)
        return context

    def _held(self) -> Config:
        """With the authorities and the certificate that its kubeconfig holds by now. ValueError where that cannot be read."""
        if self.source is None:
            return self
        try:
            now = load(*self.source)
        except ConfigError as error:
            raise ValueError(str(error)) from error
        certificate, key = (now.certificate, now.key) if self.certificate is not None else (None, None)
        return replace(self, ca_data=now.ca_data, certificate=certificate, key=key)

    def _uses_plugin(self) -> bool:
        """Other credentials win, so that `kubectl --token` runs no plug-in."""
        other = self.username or self.token or self.token_file or self.certificate
        return self.exec_plugin is not None and not other

    async def authorization(self, now: datetime) -> str:
        """The Authorization header, "" for none (or a client certificate). NoCredentials where a file or plug-in gives none."""
        if self.username:
            pair = base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
            return f"Basic {pair}"
        token = self.token
        if self.token_file is not None:
            token = self._of_file(self.token_file, now)
        elif self.exec_plugin is not None and self._uses_plugin():
            token = await self._of_plugin(self.exec_plugin, now)
        return f"Bearer {token}" if token else ""

    def rejected(self, authorization: str) -> bool:
        """Told that the server does not take this header any more (401): a token that was kept is dropped. Whether another may come."""
        token = authorization.removeprefix("Bearer ")
        if self._cached is not None and token == self._cached[0]:
            self._cached = None
        if self._uses_plugin() and self.exec_plugin is not None:
            self.exec_plugin.reject(token)
        return not self.username and (self.token_file is not None or self._uses_plugin())

    def _of_file(self, file: Path, now: datetime) -> str:
        """What was read before stays where the file cannot be read now, as client-go's: it may be between two of a rotation."""
        # Before it was read: the clock was put back since, and nobody knows how old the token is.
        if self._cached is not None and self._cached[1] <= now < self._cached[2]:
            return self._cached[0]
        try:
            token = file.read_text().strip()
            problem = "" if token else f'read empty token from file "{file}"'
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            token, problem = "", f'failed to read token file "{file}": {reason}'
        if problem:
            token = self._cached[0] if self._cached is not None else self.token
            if not token:
                raise NoCredentials(problem)
            _log.error("Unable to rotate token: %s", problem)
        self._cached = (token, now, now + TOKEN_RELOAD)
        return token

    async def _of_plugin(self, plugin: ExecPlugin, now: datetime) -> str:
        """The token; a certificate that is another than before is the next connections'."""
        given = await plugin.current(now)
        if given.pair != self._plugins_pair:
            self._plugins_pair = given.pair
            if self._plugins_context is not None:
                self._plugins_context.rebuild()
        return given.token


def load(path: str | os.PathLike[str] | None = None, context: str = "") -> Config:
    """The given file, else $KUBECONFIG, else ~/.kube/config, else the pod's service account."""
    import yaml  # parts that run with a Config made in code never need it

    places = [Path(path)] if path else [Path(p) for p in os.environ.get("KUBECONFIG", "").split(os.pathsep) if p]
    if not places:
        places = [Path.home() / ".kube" / "config"]
        if not places[0].exists():
            return in_cluster()
    merged: dict[str, Any] = {"clusters": {}, "users": {}, "contexts": {}}
    current = ""
    for place in places:
        try:
            document = yaml.safe_load(place.read_text()) or {}
        except FileNotFoundError:
            if len(places) > 1:
                continue
            raise ConfigError(f"kubeconfig {str(place)!r} does not exist") from None
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise ConfigError(f"kubeconfig {str(place)!r} cannot be read: {error}") from error
        current = current or document.get("current-context", "")
        for section in merged:
            for entry in document.get(section) or ():
                value = {**(entry.get(section[:-1]) or {}), "_folder": place.parent}
                merged[section].setdefault(entry.get("name"), value)
    config = _config(merged, context or current, ", ".join(str(p) for p in places))
    holds = (config.ca_data and not config.ca_file) or (config.certificate and not config.certificate_file)
    if holds and len(places) == 1:
        config.source = places[0].absolute(), context or current
    return config


def _config(merged: dict[str, Any], context: str, where: str) -> Config:
    def pick(section: str, name: str) -> dict[str, Any]:
        try:
            entry: dict[str, Any] = merged[section][name]
        except KeyError:
            raise ConfigError(f"{section[:-1]} {name!r} is not in the kubeconfig {where}") from None
        return entry

    chosen = pick("contexts", context)
    cluster = pick("clusters", chosen.get("cluster", ""))
    user = pick("users", chosen["user"]) if chosen.get("user") else {}
    if not cluster.get("server"):
        raise ConfigError(f"cluster {chosen.get('cluster')!r} of the kubeconfig {where} has no server")
    impersonate: dict[str, Any] = {
        key: user[key] for key in ("as", "as-uid", "as-groups", "as-user-extra") if key in user
    }
    return Config(
        server=cluster["server"],
        namespace=chosen.get("namespace") or "default",
        ca_data=_data(cluster, "certificate-authority"),
        insecure_skip_tls_verify=bool(cluster.get("insecure-skip-tls-verify")),
        tls_server_name=cluster.get("tls-server-name", ""),
        certificate=_data(user, "client-certificate"),
        key=_data(user, "client-key"),
        ca_file=_file(cluster, "certificate-authority"),
        certificate_file=_file(user, "client-certificate"),
        key_file=_file(user, "client-key"),
        token=user.get("token", ""),
        token_file=user["_folder"] / user["tokenFile"] if user.get("tokenFile") else None,
        username=user.get("username", ""),
        password=user.get("password", ""),
        exec_plugin=_plugin(user, str(chosen.get("user")), cluster),
        impersonate=impersonate,
    )


def _plugin(user: dict[str, Any], name: str, cluster: dict[str, Any]) -> ExecPlugin | None:
    if not user.get("exec"):
        return None
    if user.get("auth-provider"):
        raise ConfigError(f"authProvider cannot be provided in combination with an exec plugin for {name}")
    authority = _data(cluster, "certificate-authority")
    with_data = {**cluster, "certificate-authority-data": base64.b64encode(authority or b"").decode()}
    return ExecPlugin(execplugin.parse(user["exec"], name, user["_folder"], with_data))


def _data(section: dict[str, Any], name: str) -> bytes | None:
    """`name-data` in base64, or the content of the file `name` (relative to the kubeconfig)."""
    if section.get(f"{name}-data"):
        with contextlib.suppress(ValueError):
            return base64.b64decode(section[f"{name}-data"], validate=True)
        raise ConfigError(f"{name}-data of the kubeconfig is not base64")
    path = _file(section, name)
    if path is None:
        return None
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{name} {str(path)!r} cannot be read: {error.strerror}") from error


def _file(section: dict[str, Any], name: str) -> Path | None:
    """The file `name`, relative to the kubeconfig; None where there is none, or `name-data` is there, which wins."""
    if section.get(f"{name}-data") or not section.get(name):
        return None
    folder: Path = section["_folder"]
    return folder / str(section[name])


def in_cluster() -> Config:
    """What a pod's service account gives (rest.InClusterConfig)."""
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT")
    if not host or not port:
        raise ConfigError(
            "no kubeconfig: give --kubeconfig or set KUBECONFIG (and this is not a pod: KUBERNETES_SERVICE_HOST is not set)"
        )
    authority = f"[{host}]" if ":" in host else host
    namespace = SERVICE_ACCOUNT / "namespace"
    return Config(
        server=f"https://{authority}:{port}",
        namespace=namespace.read_text().strip() if namespace.exists() else "default",
        ca_data=(SERVICE_ACCOUNT / "ca.crt").read_bytes(),
        ca_file=SERVICE_ACCOUNT / "ca.crt",
        token_file=SERVICE_ACCOUNT / "token",
    )
