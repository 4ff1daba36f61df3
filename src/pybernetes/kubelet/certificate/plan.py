"""What the kubelet's certificates say, when they are renewed, and when they are of no use any more; pure.

Upstream: pkg/kubelet/certificate/kubelet.go, its bootstrap, client-go/util/certificate/certificate_manager.go.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from pybernetes.api.types import certificates_v1
from pybernetes.api.wellknown import (
    KUBE_API_SERVER_CLIENT_KUBELET_SIGNER,
    KUBELET_SERVING_SIGNER,
    NODE_USER_PREFIX,
    NODES_GROUP,
)
from pybernetes.pki.certificates import Leaf, Subject

# So long that nobody notices, so different that the nodes of a cluster do not all ask at once.
EARLIEST, SPREAD = 0.7, 0.2  # of a certificate's life
RETRIES = (2.0, 4.0, 8.0, 16.0)  # seconds after a try that failed
RETRY_LATER = 32.0
WITHOUT_ENCIPHERMENT = 27  # the minor version from which on kubelets with EC keys ask for no key encipherment
EXIT_SECONDS = 300.0  # without a valid certificate


@dataclass(frozen=True, slots=True)
class Template:
    """What is asked of a signer."""

    subject: Subject
    signer: str
    usages: tuple[str, ...]


def client_template(node: str) -> Template:
    """Of the certificate that the API server knows the node by. The key is an EC one, which enciphers no others: no such usage."""
    subject = Subject(f"{NODE_USER_PREFIX}{node}", (NODES_GROUP,))
    return Template(subject, KUBE_API_SERVER_CLIENT_KUBELET_SIGNER, ("digital signature", "client auth"))


def serving_template(node: str, names: Sequence[str], addresses: Sequence[str]) -> Template | None:
    """Of the certificate of the kubelet's port; None without a name or address that it could be for."""
    if not names and not addresses:
        return None
    names, addresses = sorted(set(names)), sorted(set(addresses))
    subject = Subject(f"{NODE_USER_PREFIX}{node}", (NODES_GROUP,), names, addresses, server=True, client=False)
    return Template(subject, KUBELET_SERVING_SIGNER, ("digital signature", "server auth"))


def usages_for(template: Template, server: str) -> list[str]:
    """Of a request to a server of this gitVersion, "" where that is not known: as a kubelet of the server's own release asks.

    Before 1.27 that was for key encipherment, too, whatever the key was, and up to 1.24 nobody approved or signed a request that was not.
    """
    version = re.match(r"v?1\.([0-9]{1,3})\b", server)
    if version is None or int(version[1]) >= WITHOUT_ENCIPHERMENT:
        return list(template.usages)
    return ["key encipherment", *template.usages]


def digested_name(public_key: bytes, template: Template) -> str:
    """The request's name, of the key (DER) and what is asked for: who asks again with the same key finds the first one.

    Each part is encoded before a delimiter that is not in base64, so that no two lists of parts are one text.
    """
    parts = [public_key, *(p.encode() for p in _words(template))]
    digest = hashlib.new("sha512_256", b"".join(_encoded(part) + b"|" for part in parts)).digest()
    return f"node-csr-{_encoded(digest).decode()}"


def _words(template: Template) -> Iterator[str]:
    yield template.subject.common_name
    yield from template.subject.organizations
    yield from template.usages


def _encoded(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def rotation_deadline(leaf: Leaf | None, template: Template, now: datetime, share: float) -> datetime:
    """When to ask for the next one: between 70 and 90 % of its life by `share` (0 to 1), or now where this one will not do."""
    if leaf is None or lacks(leaf, template):
        return now
    return leaf.begins + (leaf.ends - leaf.begins) * (EARLIEST + SPREAD * share)


def lacks(leaf: Leaf, template: Template) -> str:
    """What a certificate has not that is asked for, "" for nothing; more than that does no harm."""
    subject = template.subject
    if leaf.common_name != subject.common_name:
        return f"it is for {leaf.common_name}, not for {subject.common_name}"
    for kind, present, desired in (
        ("DNS names", leaf.names, subject.names),
        ("IP addresses", leaf.addresses, subject.addresses),
        ("orgs", leaf.organizations, subject.organizations),
    ):
        missing = sorted(set(desired) - set(present))
        if missing:
            return f"it is missing requested {kind} {missing}"
    return ""


def unusable(leaf: Leaf | None, now: datetime) -> str:
    """Why a client certificate on disk is none to begin with, "" where it is: then the bootstrap credentials are used."""
    if leaf is None:
        return "there is none"
    return f"it ended at {leaf.ends:%Y-%m-%dT%H:%M:%SZ}" if now > leaf.ends else ""


def given_up(idle_seconds: float, responsive: bool) -> bool:
    """Whether a kubelet that has had no valid certificate for so long ends, to begin anew with what a start can do.

    Not while no API server answers: then a start could do no better, and the pods are better off with a kubelet.
    """
    return idle_seconds > EXIT_SECONDS and responsive


@dataclass(frozen=True, slots=True)
class Issued:
    """The signer's answer, PEM."""

    certificate: bytes


@dataclass(frozen=True, slots=True)
class Refused:
    """There will be none of this request; why, in upstream's words."""

    reason: str


def answer(request: certificates_v1.CertificateSigningRequest, uid: str) -> Issued | Refused | None:
    """What a request has come to; None: it waits. `uid` of the one that is waited for."""
    name, status = request.metadata.name, request.status
    if request.metadata.uid != uid:
        return Refused(f'csr "{name}" changed UIDs')
    approved = False
    for condition in status.conditions:
        if condition.type == "Denied":
            text = f"reason: {condition.reason}, message: {condition.message}"
            return Refused(f"certificate signing request is denied, {text}")
        if condition.type == "Failed":
            return Refused(
                f"certificate signing request failed, reason: {condition.reason}, message: {condition.message}"
            )
        approved = approved or condition.type == "Approved"
    return Issued(status.certificate) if approved and status.certificate else None


def retries() -> Iterator[float]:
    """Seconds between tries, without an end."""
    yield from RETRIES
    while True:
        yield RETRY_LATER
