"""The certificates and kubeconfigs of a cluster on disk: what is wanted, and making what is missing or no longer fits.

Least privilege: each part has its own user, bound by RBAC's bootstrap roles. Keys are mode 0600. A file is replaced in one step,
so that a kill leaves the old one or the new one. Upstream: kubeadm's phases certs and kubeconfig.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import yaml

from pybernetes.api.wellknown import (
    KUBE_CONTROLLER_MANAGER,
    KUBE_SCHEDULER,
    NODE_USER_PREFIX,
    NODES_GROUP,
    SYSTEM_PRIVILEGED_GROUP,
)
from pybernetes.deploy import kubeconfigfile
from pybernetes.files import make_private_directory
from pybernetes.pki import keys
from pybernetes.pki.certificates import KUBERNETES_NAMES, Authority, Subject
from pybernetes.pki.files import Pair, write

from .layout import Layout

# The names of files, without their endings.
CERTIFICATES = (
    "ca",
    "front-proxy-ca",
    "apiserver",
    "apiserver-kubelet-client",
    "front-proxy-client",
    "kubelet",
    "controller-manager",
    "scheduler",
)
USERS = (
    "admin",
    "controller-manager",
    "scheduler",
    "kubelet",
    "kube-proxy",
    "kube-network-policies",
    "service-load-balancer",
    "nginx-ingress-controller",
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """How the API server is reached and called."""

    node_name: str
    addresses: Sequence[str]  # of the host, loopback not among them
    service_ip: str
    domain: str = "cluster.local"
    port: int = 6443

    @property
    def url(self) -> str:
        """For parts on this host."""
        return f"https://127.0.0.1:{self.port}"


class CredentialsError(Exception):
    """A file of the PKI that cannot be used; says which, and what to do."""


def certificates(endpoint: Endpoint) -> dict[str, tuple[str, Subject]]:
    """File name -> (authority, subject)."""
    local = ("127.0.0.1", "::1")
    serving = Subject(
        "kube-apiserver",
        names=(*KUBERNETES_NAMES, f"kubernetes.default.svc.{endpoint.domain}", "localhost", endpoint.node_name),
        addresses=(*local, endpoint.service_ip, *endpoint.addresses),
        server=True,
        client=False,
    )
    kubelet = Subject(
        f"{NODE_USER_PREFIX}{endpoint.node_name}",
        (NODES_GROUP,),
        names=(endpoint.node_name, "localhost"),
        addresses=(*local, *endpoint.addresses),
        server=True,
        client=False,
    )
    local_server = Subject(
        "localhost", names=("localhost", endpoint.node_name), addresses=local, server=True, client=False
    )
    return {
        "apiserver": ("ca", serving),
        "apiserver-kubelet-client": ("ca", Subject("kube-apiserver-kubelet-client")),
        "front-proxy-client": ("front-proxy-ca", Subject("front-proxy-client")),
        "kubelet": ("ca", kubelet),
        "controller-manager": ("ca", local_server),
        "scheduler": ("ca", local_server),
    }


def users(endpoint: Endpoint) -> dict[str, Subject]:
    """Kubeconfig -> its user."""
    return {
        "admin": Subject("kubernetes-admin", (SYSTEM_PRIVILEGED_GROUP,)),
        "controller-manager": Subject(KUBE_CONTROLLER_MANAGER),
        "scheduler": Subject(KUBE_SCHEDULER),
        "kubelet": Subject(f"{NODE_USER_PREFIX}{endpoint.node_name}", (NODES_GROUP,)),
        "kube-proxy": Subject("system:kube-proxy"),
        "kube-network-policies": Subject("pybernetes:kube-network-policies"),
        "service-load-balancer": Subject("pybernetes:service-load-balancer"),
        "nginx-ingress-controller": Subject("pybernetes:nginx-ingress-controller"),
    }


def ensure(layout: Layout, endpoint: Endpoint, now: datetime) -> list[str]:
    """Makes and renews what is needed; the names of what was made. CredentialsError, OSError."""
    make_private_directory(layout.pki)
    authorities = {
        "ca": _authority(layout, "ca", "kubernetes", now),
        "front-proxy-ca": _authority(layout, "front-proxy-ca", "front-proxy-ca", now),
    }
    files = [
        name
        for name, (authority, subject) in certificates(endpoint).items()
        if _ensure_certificate(layout, name, authorities[authority], subject, now)
    ]
    if _ensure_signing_key(layout):
        files.append("sa")
    for name, subject in users(endpoint).items():
        if _ensure_kubeconfig(layout, name, authorities["ca"], subject, endpoint, now):
            files.append(f"{name}.conf")
    return files


def _authority(layout: Layout, file: str, name: str, now: datetime) -> Authority:
    certificate, key = layout.certificate(file), layout.key(file)
    if not certificate.exists() and not key.exists():
        authority = Authority.create(name, now)
        write(key, authority.pair.key)
        write(certificate, authority.pem, 0o644)
        return authority
    try:
        return Authority.load(Pair(certificate.read_bytes(), key.read_bytes()))
    except (OSError, ValueError) as error:
        text = f"{certificate} and {key} cannot be used ({error}); restore them, or start over with `pybernetes down --purge`"
        raise CredentialsError(text) from error


def _ensure_signing_key(layout: Layout) -> bool:
    """Makes what is missing; a key that is there is never replaced, since all tokens end with it. CredentialsError."""
    key, public = layout.key("sa"), layout.pki / "sa.pub"
    fresh = not key.exists()
    if fresh:
        write(key, keys.signing_key()[0])
    try:
        expected = keys.public_of(key.read_bytes())
    except ValueError as error:
        text = f"{key} cannot be used ({error}); restore it, or delete it for a new one: all service-account tokens end with it"
        raise CredentialsError(text) from error
    if not fresh and public.exists() and public.read_bytes() == expected:
        return False
    write(public, expected, 0o644)
    return True


def _ensure_certificate(layout: Layout, name: str, authority: Authority, subject: Subject, now: datetime) -> bool:
    certificate, key = layout.certificate(name), layout.key(name)
    if certificate.exists() and key.exists():
        present = Pair(certificate.read_bytes(), key.read_bytes())
        if keys.match(present) and not authority.problem(present.certificate, subject, now):
            return False
    pair = authority.issue(subject, now)
    write(key, pair.key)
    write(certificate, pair.certificate, 0o644)
    return True


def _ensure_kubeconfig(
    layout: Layout, name: str, authority: Authority, subject: Subject, endpoint: Endpoint, now: datetime
) -> bool:
    path = layout.kubeconfig(name)
    if path.exists() and _fits(path, authority, subject, endpoint, now):
        return False
    pair = authority.issue(subject, now)
    write(path, kubeconfig(endpoint.url, authority.pem, subject.common_name, pair).encode())
    return True


def _fits(path: Path, authority: Authority, subject: Subject, endpoint: Endpoint, now: datetime) -> bool:
    try:
        content = yaml.safe_load(path.read_text())
        server = content["clusters"][0]["cluster"]
        user = content["users"][0]["user"]
        pair = Pair(*(base64.b64decode(user[f"client-{name}-data"]) for name in ("certificate", "key")))
        names = (
            server["server"] == endpoint.url and base64.b64decode(server["certificate-authority-data"]) == authority.pem
        )
    except (yaml.YAMLError, LookupError, TypeError, ValueError):
        return False  # cut short or not ours: it is made anew
    return names and keys.match(pair) and not authority.problem(pair.certificate, subject, now)


def kubeconfig(url: str, ca: bytes, user: str, pair: Pair, cluster: str = "pybernetes") -> str:
    """A kubeconfig with everything in it."""
    return kubeconfigfile.text(kubeconfigfile.with_certificate(url, ca, cluster, user, pair))
