"""`pybernetes certs`: when certificates end, and new ones of the same content (upstream: cmd/kubeadm/app/cmd/certs.go)."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from pybernetes.component import subcommands
from pybernetes.component.command import Failure
from pybernetes.component.flags import Values
from pybernetes.component.subcommands import Group, Subcommand

from . import deployflags

PROGRAM = "pybernetes certs"
RENEW_FLAGS = (deployflags.CONFIG, deployflags.CERT_DIR, deployflags.KUBECONFIG, deployflags.KUBECONFIG_DIR)
KEY_BYTES = 32
DONE = (
    "\nDone renewing certificates. You must restart the kube-apiserver, kube-controller-manager, kube-scheduler and etcd, "
    "so that they can use the new certificates."
)


def main(arguments: list[str]) -> int:
    return subcommands.main(PROGRAM, _commands(), arguments)


def _commands() -> Group:
    from pybernetes.deploy import renewal
    from pybernetes.deploy.configuration import Configuration
    from pybernetes.deploy.types import ClusterConfiguration, InitConfiguration

    known = renewal.entries(Configuration(InitConfiguration(), ClusterConfiguration()))
    single = {
        entry.name: Subcommand(f"Renew the {entry.long_name}", RENEW_FLAGS, _renews(entry.name)) for entry in known
    }
    every = Subcommand("Renew all available certificates", RENEW_FLAGS, _renew_all)
    return Group(
        "Commands related to handling kubernetes certificates.",
        {
            "check-expiration": Subcommand(
                "Check certificates expiration for a Kubernetes cluster",
                (*RENEW_FLAGS, deployflags.OUTPUT),
                check_expiration,
            ),
            "renew": Group("Renew certificates for a Kubernetes cluster.", {"all": every, **single}),
            "certificate-key": Subcommand("Generate certificate keys", (), certificate_key),
        },
    )


def certificate_key(values: Values) -> None:
    """A key by which certificates are kept in the cluster for other masters."""
    print(secrets.token_hex(KEY_BYTES))


def check_expiration(values: Values) -> None:
    """Two tables, or an object."""
    from pybernetes.deploy import renewal, tables

    form = deployflags.output_format(values)
    tell = print if form == "text" else _aside
    configuration = deployflags.of_cluster(values, "check-expiration", tell)
    try:
        found = renewal.expirations(configuration, Path(values["kubeconfig-dir"]))
    except renewal.RenewalError as error:
        raise Failure(str(error)) from error
    now = datetime.now(UTC)
    if form == "text":
        print(renewal.text(*found, now), end="")
    else:
        print(tables.document("CertificateExpirationInfo", renewal.output(*found, now), form), end="")


def _aside(line: str) -> None:
    """Not into what a program reads."""
    print(line, file=sys.stderr)


def _renews(name: str) -> Callable[[Values], None]:
    return lambda values: _renew(values, name)


def _renew_all(values: Values) -> None:
    _renew(values)
    print(DONE)


def _renew(values: Values, name: str = "") -> None:
    """One of them, or all."""
    from pybernetes.deploy import renewal

    configuration = deployflags.of_cluster(values, "renew", print)
    known = renewal.entries(configuration)
    if name and name not in {entry.name for entry in known}:
        raise Failure(f"{name} is not a valid certificate for this cluster")
    for entry in known:
        if name in ("", entry.name):
            try:
                print(renewal.renew(configuration, Path(values["kubeconfig-dir"]), entry, datetime.now(UTC)))
            except renewal.RenewalError as error:
                raise Failure(str(error)) from error
