"""`pybernetes kube-controller-manager` with upstream's flags, as far as what stands behind them is there."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from pybernetes.component import command, flags, leaderflags, servingflags
from pybernetes.component.clientflags import Clients, client_flags
from pybernetes.component.command import UsageError, read_file
from pybernetes.component.flags import Flag, Values
from pybernetes.component.leaderflags import leader_flags
from pybernetes.component.servingflags import serving_flags
from pybernetes.controllers.options import Options

if TYPE_CHECKING:
    from pybernetes.component.metrics import Registry

PROGRAM = "pybernetes kube-controller-manager"
NAME = "kube-controller-manager"

GENERIC = (
    *client_flags(burst=30),
    Flag("controllers", flags.strings, ["*"], "'*' all that are on by default, 'foo' that one, '-foo' not that one."),
    Flag("use-service-account-credentials", flags.boolean, False, "Each controller with its own service account."),
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
    flags.string: "authorization-always-allow-paths cloud-config cloud-provider emulated-version "
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
IGNORED = tuple(flags.ignored(name, kind) for kind, names in WITHOUT_EFFECT.items() for name in names.split())
FLAGS = (*GENERIC, *leader_flags(NAME), *serving_flags(10257), *FILES, *OPTIONS, *IGNORED)


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
            read_file(values, f"cluster-signing-{signer}-cert-file"),
            read_file(values, f"cluster-signing-{signer}-key-file"),
        )
        for signer in SIGNERS
    }
    return Options(
        controllers=tuple(values["controllers"]),
        root_ca=read_file(values, "root-ca-file"),
        service_account_private_key=read_file(values, "service-account-private-key-file"),
        cluster_signing_cert=read_file(values, "cluster-signing-cert-file"),
        cluster_signing_key=read_file(values, "cluster-signing-key-file"),
        signers={signer: pair for signer, pair in signers.items() if all(pair)},
        **given,
    )


async def run(values: Values) -> None:
    """Serves until cancelled. Failure where the lease is lost or a port is in use, UsageError for files of no use."""
    from pybernetes.component.metrics import Registry, process_metrics

    options = options_from(values)
    leaderflags.check(values)
    registry = Registry()
    process_metrics(registry)
    async with AsyncExitStack() as stack:
        clients = Clients(stack, values, NAME, registry)
        elector = leaderflags.elector(values, clients, registry)
        await servingflags.serve(stack, values, clients, registry, elector)
        await leaderflags.lead(elector, lambda: _control(values, options, clients, registry))


async def _control(values: Values, options: Options, clients: Clients, registry: Registry) -> None:
    from pybernetes.client.informer import InformerFactory
    from pybernetes.controllers import manager
    from pybernetes.controllers.credentials import Accounts

    client = clients.client()
    async with AsyncExitStack() as stack:
        client_for = None
        if values["use-service-account-credentials"]:
            accounts = Accounts(client, clients.config, clients.another)
            stack.push_async_callback(accounts.close)
            client_for = accounts.client_for
        await manager.run(client, InformerFactory(client), options, registry=registry, client_for=client_for)
