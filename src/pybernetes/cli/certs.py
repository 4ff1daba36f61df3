"""`pybernetes certs`: when certificates end, and new ones of the same content (upstream: cmd/kubeadm/app/cmd/certs.go)."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pybernetes.component import flags, subcommands
from pybernetes.component.command import Failure, UsageError
from pybernetes.component.flags import Flag, Values
from pybernetes.component.subcommands import Group, Subcommand

from . import deployflags

if TYPE_CHECKING:
    from pybernetes.deploy import rotation

PROGRAM = "pybernetes certs"
RENEW_FLAGS = (deployflags.CONFIG, deployflags.CERT_DIR, deployflags.KUBECONFIG, deployflags.KUBECONFIG_DIR)
ROTATE_FLAGS = (
    *RENEW_FLAGS,
    Flag("kubelet-dir", flags.string, "/var/lib/kubelet/pki", "Where the kubelet's certificates are."),
)
KEY_BYTES = 32
AFTER_PREPARE = """
Next: the same on every host before anything else. Control-plane hosts: copy {folder} there and run prepare; others:
copy this ca.crt there and run `pybernetes certs rotate-ca trust FILE`. Parts of pybernetes read their files again by themselves; pods see
the new kube-root-ca.crt a minute or two later. etcd reads its authorities at its start only: for etcd-ca restart the members, one after
the other."""
AFTER_REISSUE = """
Next: the same on every control-plane host. Kubelets of other hosts get their certificates of the new authority with their next
renewal; a host that should not wait for it joins anew. When nothing of the old authority is in use: finish, and on others trust."""
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

    entries = renewal.entries(Configuration(InitConfiguration(), ClusterConfiguration()))
    single = {
        entry.name: Subcommand(f"Renew the {entry.long_name}", RENEW_FLAGS, _renews(entry.name)) for entry in entries
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
            "rotate-ca": _rotate_ca(),
            "generate-csr": Subcommand("Not done here", (), _generate_csr),
            "certificate-key": Subcommand("Generate certificate keys", (), certificate_key),
        },
    )


def _generate_csr(values: Values) -> None:
    """People type it, as upstream's. UsageError."""
    raise UsageError(
        "requests for an authority elsewhere are not written here: put its ca.crt and the certificates that it has signed into --cert-dir "
        "before `init`, which keeps what is there; `openssl req` makes requests of keys"
    )


def _rotate_ca() -> Group:
    """Steps that are taken on every host before the next one is on any."""
    return Group(
        "Replaces an authority (ca, front-proxy-ca or etcd-ca) while the cluster runs, in three steps.",
        {
            "prepare": Subcommand(
                "Have this host trust a new authority beside the old one", ROTATE_FLAGS, _rotates("prepare"), "[NAME]"
            ),
            "reissue": Subcommand(
                "Have the new one sign, and all certificates of this host anew",
                ROTATE_FLAGS,
                _rotates("reissue"),
                "[NAME]",
            ),
            "finish": Subcommand("Take the old one out", ROTATE_FLAGS, _rotates("finish"), "[NAME]"),
            "trust": Subcommand(
                "On a host without the authority's key: trust what a control-plane host's file says",
                (
                    *ROTATE_FLAGS,
                    Flag("ca", flags.string, "ca", "Which authority it is: ca, front-proxy-ca or etcd-ca."),
                ),
                _trust,
                "FILE",
            ),
        },
    )


def _rotates(step: str) -> Callable[[Values], None]:
    def run(values: Values) -> None:
        from pybernetes.deploy import rotation

        place = _place(values, values.arguments[0] if values.arguments else "ca")
        with _told():
            if step == "prepare":
                rotation.prepare(place, datetime.now(UTC), print)
                print(AFTER_PREPARE.format(folder=place.coming))
            elif step == "reissue":
                rotation.reissue(place, datetime.now(UTC), print)
                print(AFTER_REISSUE)
            else:
                rotation.finish(place, print)

    return run


def _trust(values: Values) -> None:
    from pybernetes.deploy import rotation

    if not values.arguments:
        raise UsageError("FILE is missing")
    with _told():
        rotation.trust(_place(values, values["ca"]), Path(values.arguments[0]).read_bytes(), print)


def _place(values: Values, name: str) -> rotation.Place:
    from pybernetes.deploy import certificates, rotation

    certificate = certificates.BY_NAME.get(name)
    if certificate is None or certificate.authority:
        raise UsageError(f"{name!r}: want ca, front-proxy-ca or etcd-ca")
    configuration = deployflags.of_cluster(values, "rotate-ca", _aside)
    return rotation.Place(configuration, certificate.file, Path(values["kubeconfig-dir"]), Path(values["kubelet-dir"]))


@contextmanager
def _told() -> Iterator[None]:
    from pybernetes.deploy.pkifiles import FileError
    from pybernetes.deploy.rotationplan import RotationError

    try:
        yield
    except (RotationError, FileError) as error:
        raise Failure(str(error)) from error


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
        expirations = renewal.expirations(configuration, Path(values["kubeconfig-dir"]))
    except renewal.RenewalError as error:
        raise Failure(str(error)) from error
    now = datetime.now(UTC)
    if form == "text":
        print(renewal.text(*expirations, now), end="")
    else:
        print(tables.document("CertificateExpirationInfo", renewal.output(*expirations, now), form), end="")


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
    entries = renewal.entries(configuration)
    if name and name not in {entry.name for entry in entries}:
        raise Failure(f"{name} is not a valid certificate for this cluster")
    for entry in entries:
        if name in ("", entry.name):
            try:
                print(renewal.renew(configuration, Path(values["kubeconfig-dir"]), entry, datetime.now(UTC)))
            except renewal.RenewalError as error:
                raise Failure(str(error)) from error
