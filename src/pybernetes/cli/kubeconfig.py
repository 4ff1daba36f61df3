"""`pybernetes kubeconfig user`: a kubeconfig for a further user (upstream: cmd/kubeadm/app/cmd/kubeconfig.go)."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pybernetes.component import flags, subcommands
from pybernetes.component.command import Failure, UsageError
from pybernetes.component.flags import Flag, Values
from pybernetes.component.subcommands import Group, Subcommand

from . import deployflags

PROGRAM = "pybernetes kubeconfig"
YEAR = 365 * 86400.0
USER_FLAGS = (
    Flag("client-name", flags.string, "", "The name of user. It is the CN if client certificates are created."),
    deployflags.CONFIG,
    deployflags.KUBECONFIG,
    Flag("org", flags.strings, [], "The organizations of the client certificate: the user's groups."),
    Flag("token", flags.string, "", "The token that the kubeconfig is to authenticate with, instead of a certificate."),
    Flag("validity-period", flags.duration, YEAR, "How long the client certificate is to hold."),
)


def main(arguments: list[str]) -> int:
    command = Subcommand("Output a kubeconfig file for an additional user", USER_FLAGS, user)
    return subcommands.main(PROGRAM, Group("Kubeconfig file utilities.", {"user": command}), arguments)


def user(values: Values) -> None:
    """On stdout: it holds a key."""
    from pybernetes.deploy import phases
    from pybernetes.pki.certificates import Subject

    if not values["client-name"]:
        raise UsageError('required flag(s) "client-name" not set')
    if not values["config"] and not Path(values["kubeconfig"]).exists():
        raise UsageError(
            "the kubeadm configuration path cannot be empty: give --config, or --kubeconfig of a cluster that knows it"
        )
    if values["validity-period"] <= 0:
        raise UsageError(f"--validity-period={values['validity-period']:g}s: want a time that lies ahead")
    if values["validity-period"] > YEAR:
        text = "the specified certificate validity period is longer than the default duration 8760h0m0s, this may increase security risks."
        print(f"WARNING: {text}", file=sys.stderr)
    configuration = deployflags.of_cluster(values, "kubeconfig", lambda line: print(line, file=sys.stderr))
    subject = Subject(values["client-name"], tuple(values["org"]))
    period = timedelta(seconds=values["validity-period"])
    try:
        print(phases.user_kubeconfig(configuration, subject, values["token"], period, datetime.now(UTC)))
    except phases.PhaseError as error:
        raise Failure(str(error)) from error
