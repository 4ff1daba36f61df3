"""The phases certs and kubeconfig of `init`: what is missing is made, what is there is looked at and never replaced.

Upstream: cmd/kubeadm/app/cmd/phases/init/{certs,kubeconfig}.go and the packages behind them. `tell` gets each line for the user.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509

from pybernetes.api.durations import parse_duration
from pybernetes.files import make_private_directory
from pybernetes.pki import keys
from pybernetes.pki.certificates import Authority, Subject, first
from pybernetes.pki.files import Pair, write

from . import certificates, kubeconfigfile, kubeconfigs, pkifiles
from .certificates import SERVICE_ACCOUNT_KEY, Certificate
from .configuration import Configuration
from .kubeconfigs import Kubeconfig
from .pkifiles import FileError, Missing

_log = logging.getLogger(__name__)

Tell = Callable[[str], None]


class PhaseError(Exception):
    """A phase that could not be done; says why, in kubeadm's words."""


def folder(configuration: Configuration) -> Path:
    """Of the certificates."""
    return Path(configuration.cluster.certificates_dir)


def lifetime(configuration: Configuration, authority: bool = False) -> timedelta:
    """Of a new certificate."""
    cluster = configuration.cluster
    text = cluster.ca_certificate_validity_period if authority else cluster.certificate_validity_period
    return timedelta(seconds=parse_duration(text))


def make_certificate(configuration: Configuration, certificate: Certificate, now: datetime, tell: Tell) -> None:
    """The phase certs/NAME. PhaseError, OSError."""
    kind = "certificate" if certificate.authority else "certificate authority"
    if certificate.of_etcd and configuration.cluster.etcd.external is not None:
        tell(f"[certs] External etcd mode: Skipping {certificate.file} {kind} generation")
        return
    try:
        if certificate.authority:
            _signed(configuration, certificate, now, tell)
        else:
            _authority(configuration, certificate, now, tell)
    except FileError as error:
        raise PhaseError(str(error)) from error


def make_service_account_key(configuration: Configuration, tell: Tell) -> None:
    """The phase certs/sa. A key that is there is kept, since all tokens end with it. PhaseError, OSError."""
    place, name = folder(configuration), SERVICE_ACCOUNT_KEY
    public = place / f"{name}.pub"
    try:
        key = pkifiles.read_key(place, name)
    except Missing:
        tell(f'[certs] Generating "{name}" key and public key')
        key = keys.generate_as(configuration.cluster.encryption_algorithm)
        make_private_directory(place, 0o755)
        write(pkifiles.key_path(place, name), keys.private_pem(key), pkifiles.KEY_MODE)
        public.unlink(missing_ok=True)  # of a key that is gone
    except FileError as error:
        raise PhaseError(f"file {name}.key existed but it could not be loaded properly: {error}") from error
    else:
        tell(f'[certs] Using the existing "{name}" key')
    if not public.exists():
        write(public, keys.public_pem(key.public_key()), pkifiles.KEY_MODE)


def make_kubeconfig(
    configuration: Configuration, kubeconfig: Kubeconfig, directory: Path, now: datetime, tell: Tell
) -> None:
    """The phase kubeconfig/NAME. PhaseError, OSError."""
    path, server, cluster = (
        directory / kubeconfig.file,
        kubeconfig.server(configuration),
        configuration.cluster.cluster_name,
    )
    if external_authority(configuration):
        _check_provided(configuration, path, server)
        tell(f"[kubeconfig] External CA mode: Using user provided {kubeconfig.file}")
        return
    authority = _kubeconfigs_authority(configuration, now)
    if path.exists():
        _check_kubeconfig(path, server, authority.pem)
        tell(f'[kubeconfig] Using existing kubeconfig file: "{path}"')
        return
    subject = kubeconfig.subject(configuration)
    pair = _issue(configuration, authority, subject, now)
    tell(f'[kubeconfig] Writing "{kubeconfig.file}" kubeconfig file')
    document = kubeconfigfile.with_certificate(server, first(authority.pem), cluster, subject.common_name, pair)
    make_private_directory(directory, 0o755)
    write(path, kubeconfigfile.text(document).encode())


def user_kubeconfig(
    configuration: Configuration, subject: Subject, token: str, period: timedelta, now: datetime
) -> str:
    """A kubeconfig for a further user, with the token or a new certificate. PhaseError."""
    server = kubeconfigs.BY_NAME["admin"].server(configuration)
    cluster = configuration.cluster.cluster_name
    if token:
        try:
            certificate = pkifiles.read_certificate(folder(configuration), "ca")
        except FileError as error:
            raise PhaseError(f"couldn't create a kubeconfig; the CA files couldn't be loaded: {error}") from error
        document = kubeconfigfile.with_token(server, first(certificate), cluster, subject.common_name, token)
        return kubeconfigfile.text(document)
    authority = _kubeconfigs_authority(configuration, now)
    key = keys.generate_as(configuration.cluster.encryption_algorithm)
    pair = authority.issue(subject, now, period, key)
    return kubeconfigfile.text(
        kubeconfigfile.with_certificate(server, first(authority.pem), cluster, subject.common_name, pair)
    )


def external_authority(configuration: Configuration, file: str = "ca") -> bool:
    """Whether somebody else keeps the authority's key: its certificate is here without."""
    place = folder(configuration)
    return pkifiles.certificate_path(place, file).exists() and not pkifiles.key_path(place, file).exists()


def _authority(configuration: Configuration, certificate: Certificate, now: datetime, tell: Tell) -> None:
    place = folder(configuration)
    try:
        present = pkifiles.read_certificate(place, certificate.file)
    except Missing:
        key = pkifiles.left_key(place, certificate.file) or keys.generate_as(configuration.cluster.encryption_algorithm)
        tell(f'[certs] Generating "{certificate.file}" certificate and key')
        name = certificate.subject(configuration).common_name
        pkifiles.write_pair(
            place, certificate.file, Authority.create(name, now, lifetime(configuration, True), key).pair
        )
        return
    _warn_of_period(certificate.file, present, now)
    try:
        pkifiles.read_authority(place, certificate.file)
    except FileError:
        if pkifiles.key_path(place, certificate.file).exists():
            raise
        tell(f"[certs] Using existing {certificate.file} keyless certificate authority")
    else:
        tell(f"[certs] Using existing {certificate.file} certificate authority")


def _signed(configuration: Configuration, certificate: Certificate, now: datetime, tell: Tell) -> None:
    place, signer = folder(configuration), certificates.BY_NAME[certificate.authority]
    try:
        present = pkifiles.read_certificate(place, certificate.file)
    except Missing:
        _make(configuration, certificate, signer, now, tell)
        return
    _warn_of_period(certificate.file, present, now)
    try:
        root = pkifiles.read_certificate(place, signer.file)
    except FileError as error:
        raise PhaseError(f"couldn't load CA certificate {signer.name}: {error}") from error
    if problem := certificates.unverified(present, root, now):
        text = f"[certs] certificate {certificate.file} not signed by CA certificate {signer.file}: {problem}"
        raise PhaseError(text)
    tell(f"[certs] Using existing {certificate.file} certificate and key on disk")


def _make(
    configuration: Configuration, certificate: Certificate, signer: Certificate, now: datetime, tell: Tell
) -> None:
    place = folder(configuration)
    try:
        authority = pkifiles.read_authority(place, signer.file)
    except FileError as error:
        raise PhaseError(f"couldn't load CA certificate {signer.name}: {error}") from error
    subject = certificate.subject(configuration)
    tell(f'[certs] Generating "{certificate.file}" certificate and key')
    pair = _issue(configuration, authority, subject, now, pkifiles.left_key(place, certificate.file))
    pkifiles.write_pair(place, certificate.file, pair)
    if subject.server:
        names, addresses = " ".join(subject.names), " ".join(subject.addresses)
        tell(f"[certs] {certificate.file} serving cert is signed for DNS names [{names}] and IPs [{addresses}]")


def _issue(
    configuration: Configuration,
    authority: Authority,
    subject: Subject,
    now: datetime,
    key: keys.PrivateKey | None = None,
) -> Pair:
    key = key or keys.generate_as(configuration.cluster.encryption_algorithm)
    return authority.issue(subject, now, lifetime(configuration), key)


def _kubeconfigs_authority(configuration: Configuration, now: datetime) -> Authority:
    try:
        authority = pkifiles.read_authority(folder(configuration), "ca")
    except Missing as error:
        text = "the CA files do not exist, please run `pybernetes init phase certs ca` to generate it"
        raise PhaseError(f"{text}: {error}") from error
    except FileError as error:
        raise PhaseError(f"couldn't create a kubeconfig; the CA files couldn't be loaded: {error}") from error
    _warn_of_period("ca", authority.pem, now)
    return authority


def _check_provided(configuration: Configuration, path: Path, server: str) -> None:
    """Nobody here can make it: PhaseError where it is not there, or of no use."""
    try:
        authority = pkifiles.read_certificate(folder(configuration), "ca")
        if not path.exists():
            raise PhaseError(f"stat {path}: no such file or directory")
        _check_kubeconfig(path, server, authority)
    except (FileError, PhaseError) as error:
        raise PhaseError(f"the {path.name} file does not exists or it is not valid: {error}") from error


def _check_kubeconfig(path: Path, server: str, authority: bytes) -> None:
    """PhaseError for one of another cluster; another address is only worth a warning, as upstream has it."""
    document = _load(path)
    context = kubeconfigfile.current(document)
    if context is None:
        raise PhaseError(f"failed to find CurrentContext in Contexts of the kubeconfig file {path}")
    try:
        present = kubeconfigfile.authority_of(context[0])
        present = (path.parent / present).read_bytes() if isinstance(present, Path) else present
    except (OSError, ValueError) as error:
        raise PhaseError(f"failed to load CA cert of the kubeconfig {path}: {error}") from error
    if present.strip() != first(authority).strip():
        raise PhaseError(f'a kubeconfig file "{path}" exists already but has got the wrong CA cert')
    if context[0].get("server") != server:
        text = "a kubeconfig file %s exists already but has an unexpected API Server URL: expected: %s, got: %s"
        _log.warning(text, path, server, context[0].get("server"))


def _load(path: Path) -> Any:
    import yaml

    try:
        return yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise PhaseError(f"failed to load kubeconfig file {path} that already exists on disk: {reason}") from error


def _warn_of_period(file: str, certificate: bytes, now: datetime) -> None:
    if problem := certificates.period_problem(x509.load_pem_x509_certificate(certificate), now):
        _log.warning("could not validate bounds for certificate %s: %s", file, problem)
