"""Which certificates a control-plane host has, and for whom they are; pure (upstream: cmd/kubeadm/app/phases/certs/certlist.go).

The rows stand in kubeadm's order: an authority before what it signs.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from pybernetes.pki.certificates import KUBERNETES_NAMES, Subject

from . import endpoints
from .configuration import Configuration

# Bound to cluster-admin by an object in the API, so that whoever loses such a certificate can be stopped; system:masters cannot be.
CLUSTER_ADMINS_GROUP = "kubeadm:cluster-admins"


@dataclass(frozen=True, slots=True)
class Certificate:
    """`file` is the path below the certificates' folder without its ending; one without `authority` is an authority itself."""

    name: str
    file: str
    long_name: str
    subject: Callable[[Configuration], Subject]
    authority: str = ""

    @property
    def of_etcd(self) -> bool:
        """Whether somebody else has it where somebody else runs etcd."""
        return "etcd-ca" in (self.name, self.authority)


def api_server(configuration: Configuration) -> Subject:
    """Serves the API: under its names in the cluster, this host's name and address, and what clients call it by."""
    cluster, init = configuration.cluster, configuration.init
    names = [init.node_registration.name, *KUBERNETES_NAMES, f"{KUBERNETES_NAMES[-1]}.{cluster.networking.dns_domain}"]
    addresses = [first_service_address(cluster.networking.service_subnet), init.local_api_endpoint.advertise_address]
    called = [endpoints.split_host_port(cluster.control_plane_endpoint)[0]] if cluster.control_plane_endpoint else []
    _sort_in([*called, *cluster.api_server.cert_sans], names, addresses)
    return Subject("kube-apiserver", (), _set(names), _once(addresses), server=True, client=False)


def etcd_server(configuration: Configuration) -> Subject:
    """A member's port for clients; the member comes with the same to its own gateway, hence also a client's."""
    local = configuration.cluster.etcd.local
    return _member(configuration, local.server_cert_sans if local is not None else ())


def etcd_peer(configuration: Configuration) -> Subject:
    """A member among members."""
    local = configuration.cluster.etcd.local
    return _member(configuration, local.peer_cert_sans if local is not None else ())


def _member(configuration: Configuration, more: Sequence[str]) -> Subject:
    node = configuration.init.node_registration.name
    names = [node, "localhost"]
    addresses = [configuration.init.local_api_endpoint.advertise_address, "127.0.0.1", "::1"]
    _sort_in(more, names, addresses)
    return Subject(node, (), _set(names), _once(addresses), server=True, client=True)


def _client(common_name: str, *organizations: str) -> Callable[[Configuration], Subject]:
    return lambda configuration: Subject(common_name, organizations)


CERTIFICATES: Sequence[Certificate] = (
    Certificate(
        "ca",
        "ca",
        "self-signed Kubernetes CA to provision identities for other Kubernetes components",
        _client("kubernetes"),
    ),
    Certificate("apiserver", "apiserver", "certificate for serving the Kubernetes API", api_server, "ca"),
    Certificate(
        "apiserver-kubelet-client",
        "apiserver-kubelet-client",
        "certificate for the API server to connect to kubelet",
        _client("kube-apiserver-kubelet-client", CLUSTER_ADMINS_GROUP),
        "ca",
    ),
    Certificate(
        "front-proxy-ca",
        "front-proxy-ca",
        "self-signed CA to provision identities for front proxy",
        _client("front-proxy-ca"),
    ),
    Certificate(
        "front-proxy-client",
        "front-proxy-client",
        "certificate for the front proxy client",
        _client("front-proxy-client"),
        "front-proxy-ca",
    ),
    Certificate("etcd-ca", "etcd/ca", "self-signed CA to provision identities for etcd", _client("etcd-ca")),
    Certificate("etcd-server", "etcd/server", "certificate for serving etcd", etcd_server, "etcd-ca"),
    Certificate(
        "etcd-peer", "etcd/peer", "certificate for etcd nodes to communicate with each other", etcd_peer, "etcd-ca"
    ),
    Certificate(
        "etcd-healthcheck-client",
        "etcd/healthcheck-client",
        "certificate for liveness probes to healthcheck etcd",
        _client("kube-etcd-healthcheck-client"),
        "etcd-ca",
    ),
    Certificate(
        "apiserver-etcd-client",
        "apiserver-etcd-client",
        "certificate the apiserver uses to access etcd",
        _client("kube-apiserver-etcd-client"),
        "etcd-ca",
    ),
)
BY_NAME = {certificate.name: certificate for certificate in CERTIFICATES}
SERVICE_ACCOUNT_KEY = "sa"  # sa.key and sa.pub: a key pair without a certificate


def first_service_address(ranges: str) -> str:
    """The API's own address among Services: the first of the first range."""
    return str(ipaddress.ip_network(ranges.split(",")[0].strip(), strict=False)[1])


def unverified(chain: bytes, authority: bytes, now: datetime) -> str:
    """Why a certificate (PEM, intermediates behind it) is none that the authority stands for now, "" where it is; in Go's words."""
    leaf, *others = x509.load_pem_x509_certificates(chain)
    root = x509.load_pem_x509_certificate(authority)
    for certificate in (leaf, root):
        if problem := period_problem(certificate, now):
            return f"x509: certificate has expired or is not yet valid: {problem}"
    current = leaf
    while not _issued(current, root):
        issuer = next((one for one in others if _issued(current, one)), None)
        if issuer is None:
            return "x509: certificate signed by unknown authority"
        others.remove(issuer)
        current = issuer
    return ""


def period_problem(certificate: x509.Certificate, now: datetime) -> str:
    """Why a certificate does not hold now, "" where it does."""
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now < begins:
        return f"current time {_shown(now)} is before {_shown(begins)}"
    return f"current time {_shown(now)} is after {_shown(ends)}" if now > ends else ""


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def _shown(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _sort_in(given: Iterable[str], names: list[str], addresses: list[str]) -> None:
    for one in given:
        (addresses if endpoints.is_address(one) else names).append(one)


def _set(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(names)))


def _once(addresses: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(ipaddress.ip_address(address)) for address in addresses))
