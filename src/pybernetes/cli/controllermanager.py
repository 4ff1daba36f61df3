"""`pybernetes kube-controller-manager` with upstream's flags, as far as what stands behind them is there."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import os
import ssl
import time
import uuid
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pybernetes.component import command, flags
from pybernetes.component.command import Failure, UsageError
from pybernetes.component.flags import Flag, Values
from pybernetes.controllers.options import Options

if TYPE_CHECKING:
    from pybernetes.client.kubeconfig import Config
    from pybernetes.client.leaderelection import LeaderElector
    from pybernetes.component.delegated import Guard
    from pybernetes.component.metrics import Registry
    from pybernetes.component.restclient import PartClient

_log = logging.getLogger(__name__)

PROGRAM = "pybernetes kube-controller-manager"
LEASE = "kube-controller-manager"
LOOKUP_SECONDS = 10.0  # between tries to read the CA of clients
DRAIN_SECONDS = 1.0  # for requests to the health port when the part ends

SERVING = (
    Flag("bind-address", flags.string, "0.0.0.0", "The address to listen on with --secure-port.", "Secure serving"),
    Flag("secure-port", flags.integer, 10257, "The port for HTTPS; 0: none.", "Secure serving"),
    Flag("port", flags.integer, 0, "A port on the loopback without TLS and credentials; 0: none.", "Secure serving"),
    Flag(
        "tls-cert-file",
        flags.string,
        "",
        "The serving certificate, PEM; made at the start if not given.",
        "Secure serving",
    ),
    Flag("tls-private-key-file", flags.string, "", "Its key, PEM.", "Secure serving"),
    Flag(
        "cert-dir",
        flags.string,
        "",
        "Where a certificate made at the start is kept; empty: in memory.",
        "Secure serving",
    ),
    Flag("authentication-kubeconfig", flags.string, "", "Who asks for reviews of tokens.", "Authentication"),
    Flag(
        "authentication-skip-lookup", flags.boolean, False, "Do not read the cluster's CA of clients.", "Authentication"
    ),
    Flag("authentication-tolerate-lookup-failure", flags.boolean, True, "Always so: start without.", "Authentication"),
    Flag(
        "client-ca-file",
        flags.string,
        "",
        "Who shows a certificate signed by one of these is its CN.",
        "Authentication",
    ),
    Flag(
        "requestheader-client-ca-file", flags.string, "", "Accepted; front proxies are not trusted.", "Authentication"
    ),
    Flag("authorization-kubeconfig", flags.string, "", "Who asks what a user may.", "Authorization"),
)
GENERIC = (
    Flag("kubeconfig", flags.string, "", "How to reach the API server, and as whom."),
    Flag("master", flags.string, "", "The API server's address, instead of the kubeconfig's."),
    Flag("controllers", flags.strings, ["*"], "'*' all that are on by default, 'foo' that one, '-foo' not that one."),
    Flag("use-service-account-credentials", flags.boolean, False, "Each controller with its own service account."),
    Flag("kube-api-qps", flags.number, -1.0, "Requests a second to the API server; -1: as many as it takes."),
    Flag("kube-api-burst", flags.integer, 30, "Requests in a burst beyond --kube-api-qps."),
    Flag("leader-elect", flags.boolean, True, "Wait for the lease before any work.", "Leader election"),
    Flag(
        "leader-elect-lease-duration",
        flags.duration,
        15.0,
        "How long others wait for a silent leader.",
        "Leader election",
    ),
    Flag("leader-elect-renew-deadline", flags.duration, 10.0, "How long a leader tries to renew.", "Leader election"),
    Flag("leader-elect-retry-period", flags.duration, 2.0, "The pause between tries.", "Leader election"),
    Flag("leader-elect-resource-lock", flags.string, "leases", "Only leases.", "Leader election"),
    Flag("leader-elect-resource-name", flags.string, LEASE, "The lease's name.", "Leader election"),
    Flag("leader-elect-resource-namespace", flags.string, "kube-system", "And its namespace.", "Leader election"),
    command.VERBOSITY,
)
SIGNERS = ("kubelet-serving", "kubelet-client", "kube-apiserver-client", "legacy-unknown")
FILES = (
    Flag("root-ca-file", flags.string, "", "The CA that pods get to know the API server by.", "Certificates"),
    Flag("service-account-private-key-file", flags.string, "", "Signs tokens of service accounts.", "Certificates"),
    Flag("cluster-signing-cert-file", flags.string, "", "The CA that signs certificate requests.", "Certificates"),
    Flag("cluster-signing-key-file", flags.string, "", "Its key.", "Certificates"),
    *(
        Flag(
            f"cluster-signing-{signer}-{part}-file",
            flags.string,
            "",
            f"For kubernetes.io/{signer} alone.",
            "Certificates",
        )
        for signer in SIGNERS
        for part in ("cert", "key")
    ),
)
_PARSERS: dict[str, Callable[[str], Any]] = {"bool": flags.boolean, "int": flags.integer, "str": flags.string}
_RATES = {
    "node_eviction_rate",
    "secondary_node_eviction_rate",
    "unhealthy_zone_threshold",
    "horizontal_pod_autoscaler_tolerance",
}


def _option_flags() -> tuple[Flag, ...]:
    """The plain options of controllers: a flag is the field's name with dashes."""
    result = []
    for option in dataclasses.fields(Options):
        kind = str(option.type)
        parser: Callable[[str], Any]
        if kind == "float":
            parser = flags.number if option.name in _RATES else flags.duration
        elif kind in _PARSERS:
            parser = _PARSERS[kind]
        else:
            continue
        result.append(Flag(option.name.replace("_", "-"), parser, option.default, "As upstream's.", "Controllers"))
    return tuple(result)


OPTIONS = _option_flags()
# Of upstream's command line, now or once: unit files that have them should start, and be told.
WITHOUT_EFFECT: dict[Callable[[str], Any], str] = {
    flags.boolean: "alsologtostderr configure-cloud-routes contention-profiling enable-dynamic-provisioning "
    "enable-hostpath-provisioner enable-leader-migration external-cloud-volume-plugin "
    "horizontal-pod-autoscaler-use-rest-clients logtostderr permit-address-sharing permit-port-sharing profiling",
    flags.string: "address authorization-always-allow-paths cloud-config cloud-provider emulated-version "
    "flex-volume-plugin-dir kube-api-content-type log-dir log-file logging-format requestheader-allowed-names "
    "requestheader-extra-headers-prefix requestheader-group-headers requestheader-uid-headers "
    "requestheader-username-headers show-hidden-metrics-for-version tls-cipher-suites tls-min-version vmodule",
    flags.duration: "authentication-token-webhook-cache-ttl authorization-webhook-cache-authorized-ttl "
    "authorization-webhook-cache-unauthorized-ttl deployment-controller-sync-period log-flush-frequency "
    "min-resync-period node-sync-period pod-eviction-timeout route-reconciliation-period",
    flags.integer: "concurrent-service-syncs concurrent-validating-admission-policy-status-syncs "
    "http2-max-streams-per-connection",
    flags.switches: "feature-gates",
}
IGNORED = tuple(
    Flag(name, kind, None, "Accepted, and without effect here.", "Ignored")
    for kind, names in WITHOUT_EFFECT.items()
    for name in names.split()
)
FLAGS = (*GENERIC, *SERVING, *FILES, *OPTIONS, *IGNORED)


def main(arguments: list[str]) -> int:
    """Runs until SIGTERM or SIGINT, or until the lease is lost (exit code 1)."""
    return command.main(PROGRAM, FLAGS, run, arguments)


def options_from(values: Values) -> Options:
    """UsageError where a file cannot be read or a controller is not known."""
    from pybernetes.controllers import selected

    try:
        selected(values["controllers"])
    except ValueError as error:
        raise UsageError(f"--controllers: {error}") from error
    given = {flag.name.replace("-", "_"): values[flag.name] for flag in OPTIONS}
    signers = {
        signer: (
            _read(values, f"cluster-signing-{signer}-cert-file"),
            _read(values, f"cluster-signing-{signer}-key-file"),
        )
        for signer in SIGNERS
    }
    return Options(
        controllers=tuple(values["controllers"]),
        root_ca=_read(values, "root-ca-file"),
        service_account_private_key=_read(values, "service-account-private-key-file"),
        cluster_signing_cert=_read(values, "cluster-signing-cert-file"),
        cluster_signing_key=_read(values, "cluster-signing-key-file"),
        signers={signer: pair for signer, pair in signers.items() if all(pair)},
        **given,
    )


def _read(values: Values, name: str) -> bytes:
    path = values[name]
    try:
        return Path(path).read_bytes() if path else b""
    except OSError as error:
        raise UsageError(f"--{name}={path}: {error.strerror}") from error


async def run(values: Values) -> None:
    """Serves until cancelled. Failure where the lease is lost, the port is in use or the kubeconfig is of no use."""
    from pybernetes.component.metrics import Registry, process_metrics
    from pybernetes.component.restclient import RequestMetrics

    options = options_from(values)
    for flag in IGNORED:
        if values[flag.name] is not None:
            _log.warning("--%s has no effect here", flag.name)
    if values["leader-elect-resource-lock"] != "leases":
        raise UsageError(f"--leader-elect-resource-lock={values['leader-elect-resource-lock']}: only leases are there")
    config = _config(values, "kubeconfig")
    registry = Registry()
    process_metrics(registry)
    requests = RequestMetrics(registry)
    async with AsyncExitStack() as stack:
        client = _client(stack, values, config, requests, "kube-controller-manager")
        elector = _elector(values, client, config, requests, registry, stack)
        await _serve(stack, values, registry, elector, requests)

        async def lead() -> None:
            await _control(values, options, config, client, registry, requests)

        if elector is None:
            await lead()
        else:
            await elector.run(lead)
            raise Failure("leaderelection lost")


async def _control(
    values: Values, options: Options, config: Config, client: PartClient, registry: Registry, requests: Any
) -> None:
    from pybernetes.client.informer import InformerFactory
    from pybernetes.controllers import manager
    from pybernetes.controllers.credentials import Accounts

    async with AsyncExitStack() as stack:
        client_for = None
        if values["use-service-account-credentials"]:
            accounts = Accounts(client, config, lambda own, name: _part_client(values, own, requests, name))
            stack.push_async_callback(accounts.close)
            client_for = accounts.client_for
        await manager.run(client, InformerFactory(client), options, registry=registry, client_for=client_for)


def _config(values: Values, flag: str) -> Config:
    from pybernetes.client.kubeconfig import Config, ConfigError, load

    if values["master"] and not values[flag] and not values["kubeconfig"]:
        return Config(values["master"])
    try:
        config = load(values[flag] or values["kubeconfig"] or None)
    except (ConfigError, OSError) as error:
        raise UsageError(f"--{flag}: {error}") from error
    if values["master"] and not (flag != "kubeconfig" and values[flag]):
        config.server = values["master"]
    return config


def _part_client(values: Values, config: Config, requests: Any, agent: str) -> PartClient:
    from pybernetes.client.kubeconfig import ConfigError
    from pybernetes.component.restclient import PartClient, TokenBucket

    bucket = TokenBucket(values["kube-api-qps"], values["kube-api-burst"]) if values["kube-api-qps"] > 0 else None
    try:
        return PartClient(config, agent, requests, bucket)
    except ConfigError as error:
        raise UsageError(str(error)) from error


def _client(stack: AsyncExitStack, values: Values, config: Config, requests: Any, agent: str) -> PartClient:
    client = _part_client(values, config, requests, agent)
    stack.push_async_callback(client.close)
    return client


def _elector(
    values: Values, client: PartClient, config: Config, requests: Any, registry: Registry, stack: AsyncExitStack
) -> LeaderElector | None:
    """None without --leader-elect. The lease has a client of its own, so that no burst of work can lose it."""
    if not values["leader-elect"]:
        return None
    from pybernetes.client.leaderelection import LeaderElector
    from pybernetes.client.leaderelection import Options as Election
    from pybernetes.component.restclient import PartClient

    own = PartClient(config, "kube-controller-manager/leader-election", requests)
    stack.push_async_callback(own.close)
    name = values["leader-elect-resource-name"]
    election = Election(
        name,
        f"{os.uname().nodename}_{uuid.uuid4()}",
        values["leader-elect-resource-namespace"],
        values["leader-elect-lease-duration"],
        values["leader-elect-renew-deadline"],
        values["leader-elect-retry-period"],
    )
    elector = LeaderElector(own, election, lambda: datetime.now(UTC))
    registry.gauge(
        "leader_election_master_status",
        "Gauge of if the reporting system is master of the relevant lease, 0 indicates backup, 1 indicates master.",
        ("name",),
        function=lambda: {(name,): float(elector.is_leader)},
    )
    return elector


async def _serve(
    stack: AsyncExitStack, values: Values, registry: Registry, elector: LeaderElector | None, requests: Any
) -> None:
    """Opens the ports; they close with the stack."""
    from pybernetes.component import serving, servingcert

    routes = serving.standard(registry, {"leaderElection": elector.problem} if elector is not None else {})
    try:
        if values["secure-port"]:
            context = servingcert.context(
                values["tls-cert-file"],
                values["tls-private-key-file"],
                values["cert-dir"],
                LEASE,
                ["127.0.0.1", "::1"],
                datetime.now(UTC),
            )
            guard = await _guard(stack, values, context, requests)
            server = await serving.start(routes, values["bind-address"], values["secure-port"], context, guard)
            stack.push_async_callback(server.stop, DRAIN_SECONDS)
        if values["port"]:
            server = await serving.start(routes, "127.0.0.1", values["port"])
            stack.push_async_callback(server.stop, DRAIN_SECONDS)
    except ssl.SSLError as error:
        raise UsageError(
            f"--tls-cert-file, --tls-private-key-file, --client-ca-file cannot be used: {error}"
        ) from error
    except OSError as error:
        raise Failure(
            f"{error.strerror or error}: is --secure-port={values['secure-port']} or --port={values['port']} in use?"
        ) from error


async def _guard(stack: AsyncExitStack, values: Values, context: ssl.SSLContext, requests: Any) -> Guard:
    from pybernetes.component.delegated import DelegatedGuard, certificate_user

    reviews = _client(stack, values, _config(values, "authentication-kubeconfig"), requests, "kube-controller-manager")
    authority = _read(values, "client-ca-file").decode()
    if authority:
        _take_certificates(context, authority)
    elif not values["authentication-skip-lookup"]:
        lookup = asyncio.ensure_future(_look_up(reviews, context))
        stack.callback(lookup.cancel)
    guard = DelegatedGuard(reviews, time.monotonic, certificate_user(lambda: datetime.now(UTC)))
    if values["authorization-kubeconfig"] not in ("", values["authentication-kubeconfig"]):
        access = _client(
            stack, values, _config(values, "authorization-kubeconfig"), requests, "kube-controller-manager"
        )
        return _Split(guard, DelegatedGuard(access, time.monotonic))
    return guard


class _Split:
    """Two files, two clients."""

    def __init__(self, who: Guard, may: Guard) -> None:
        self.authenticate, self.authorize = who.authenticate, may.authorize


def _take_certificates(context: ssl.SSLContext, authority: str) -> None:
    """From the next connection on."""
    context.load_verify_locations(cadata=authority)
    context.verify_mode = ssl.CERT_OPTIONAL


async def _look_up(client: PartClient, context: ssl.SSLContext) -> None:
    """Takes the CA that the API server publishes of its --client-ca-file, as soon as it can be read.

    Where it is not published, certificates are not taken. The part may well be up before the API server is.
    """
    from pybernetes.api.errors import StatusError
    from pybernetes.api.types import core_v1

    while True:
        try:
            found = await client.get(core_v1.ConfigMap, "extension-apiserver-authentication", "kube-system")
        except (StatusError, ConnectionError, TimeoutError) as error:
            if isinstance(error, StatusError) and error.code == 404:
                _log.info("certificates are not taken on the secure port: %s", error)
                return
            _log.warning("the CA of clients cannot be read, it will be tried again: %s", error)
            await asyncio.sleep(LOOKUP_SECONDS)
            continue
        authority = found.data.get("client-ca-file", "")
        if authority:
            _take_certificates(context, authority)
        return
