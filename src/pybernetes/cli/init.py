"""`pybernetes init`, and `init phase NAME`: those of certificates and kubeconfigs are here, the others in `initcluster.py`
(upstream: cmd/kubeadm/app/cmd/phases/init)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pybernetes.component import command, subcommands
from pybernetes.component.command import Failure
from pybernetes.component.flags import Flag, Values
from pybernetes.component.subcommands import Group, Subcommand

from . import deployflags

if TYPE_CHECKING:
    from pybernetes.deploy.configuration import Configuration

PROGRAM = "pybernetes init"
CERTS_FLAGS = (deployflags.CERT_DIR, deployflags.CONFIG, deployflags.VERSION)
NAMES_FLAGS = (
    deployflags.ADVERTISE_ADDRESS,
    deployflags.ENDPOINT,
    deployflags.EXTRA_SANS,
    deployflags.DOMAIN,
    deployflags.SERVICE_CIDR,
)
KUBECONFIG_FLAGS = (
    deployflags.ADVERTISE_ADDRESS,
    deployflags.ENDPOINT,
    deployflags.BIND_PORT,
    deployflags.CERT_DIR,
    deployflags.CONFIG,
    deployflags.KUBECONFIG_DIR,
    deployflags.VERSION,
)
ALL, SA = "all", "sa"

Work = Callable[["Configuration", Values], None]


def main(arguments: list[str]) -> int:
    """Exit code 1 where a phase cannot be done."""
    if arguments[:1] == ["phase"]:
        return subcommands.main(f"{PROGRAM} phase", _commands(), arguments[1:])
    from . import initcluster

    return command.once(PROGRAM, initcluster.FLAGS, initcluster.run, arguments)


def _commands() -> Group:
    from pybernetes.deploy.certificates import CERTIFICATES
    from pybernetes.deploy.kubeconfigs import KUBECONFIGS

    certificates = {one.name: f"Generate the {one.long_name}" for one in CERTIFICATES}
    certificates[SA] = "Generate a private key for signing service account tokens along with its public key"
    files = {one.name: f"Generate the kubeconfig file {one.file}" for one in KUBECONFIGS}
    from .initcluster import groups

    return Group(
        "One phase of init; each may be run again.",
        {
            **groups(),
            "certs": _phase(
                "certs", "Certificate generation", "certificates", certificates, _certs_flags, _certificate
            ),
            "kubeconfig": _phase(
                "kubeconfig",
                "Generate all kubeconfig files necessary to establish the control plane and the admin kubeconfig file",
                "kubeconfig files",
                files,
                _kubeconfig_flags,
                _kubeconfig,
            ),
        },
    )


def _phase(
    phase: str,
    summary: str,
    what: str,
    names: dict[str, str],
    flags_of: Callable[[str], Sequence[Flag]],
    work: Callable[[str], Work],
) -> Group:
    def one(*chosen: str) -> Callable[[Values], None]:
        return lambda values: _run(phase, chosen, work, values)

    everything = Subcommand(f"Generate all {what}", flags_of(ALL), one(*names))
    single = {name: Subcommand(text, flags_of(name), one(name)) for name, text in names.items()}
    return Group(summary, {ALL: everything, **single})


def _certs_flags(name: str) -> Sequence[Flag]:
    """The names of servers count where there are servers among them; the node is one of etcd's names too."""
    if name == SA:
        return (deployflags.CERT_DIR, deployflags.CONFIG)
    more = (*NAMES_FLAGS, deployflags.NODE_NAME) if name in (ALL, "apiserver") else ()
    etcd = (deployflags.ADVERTISE_ADDRESS, deployflags.NODE_NAME) if name in ("etcd-server", "etcd-peer") else ()
    return (*CERTS_FLAGS, *more, *etcd)


def _kubeconfig_flags(name: str) -> Sequence[Flag]:
    return (*KUBECONFIG_FLAGS, deployflags.NODE_NAME) if name in (ALL, "kubelet") else KUBECONFIG_FLAGS


def _run(phase: str, names: Sequence[str], work: Callable[[str], Work], values: Values) -> None:
    from pybernetes.deploy.phases import PhaseError

    configuration = deployflags.configuration(values)
    if len(names) > 1:
        folder = configuration.cluster.certificates_dir if phase == "certs" else values["kubeconfig-dir"]
        print(f'[{phase}] Using {"certificateDir" if phase == "certs" else "kubeconfig"} folder "{folder}"')
    for name in names:
        try:
            work(name)(configuration, values)
        except PhaseError as error:
            raise Failure(f"error execution phase {phase}/{name}: {error}") from error
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            raise Failure(f"error execution phase {phase}/{name}: {where}{error.strerror or error}") from error


def _certificate(name: str) -> Work:
    def work(configuration: Configuration, values: Values) -> None:
        from pybernetes.deploy import certificates, phases

        if name == SA:
            phases.make_service_account_key(configuration, print)
        else:
            phases.make_certificate(configuration, certificates.BY_NAME[name], datetime.now(UTC), print)

    return work


def _kubeconfig(name: str) -> Work:
    def work(configuration: Configuration, values: Values) -> None:
        from pybernetes.deploy import kubeconfigs, phases

        directory = Path(values["kubeconfig-dir"])
        phases.make_kubeconfig(configuration, kubeconfigs.BY_NAME[name], directory, datetime.now(UTC), print)

    return work
