"""Certificate signing requests as parsed, and the rules of their signers; pure (upstream: pkg/apis/certificates)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pybernetes.api.conditions import condition, is_true
from pybernetes.api.types import certificates_v1 as certificates
from pybernetes.api.wellknown import (
    KUBE_API_SERVER_CLIENT_KUBELET_SIGNER,
    KUBE_API_SERVER_CLIENT_SIGNER,
    KUBELET_SERVING_SIGNER,
    NODE_USER_PREFIX,
    NODES_GROUP,
)

if TYPE_CHECKING:
    from cryptography.x509 import CertificateSigningRequest

DIGITAL_SIGNATURE, KEY_ENCIPHERMENT = "digital signature", "key encipherment"
CLIENT_AUTH, SERVER_AUTH = "client auth", "server auth"

_BEGIN, _END = b"-----BEGIN CERTIFICATE REQUEST-----", b"-----END CERTIFICATE REQUEST-----"


class Refused(ValueError):
    """A request that its signer does not sign; the text goes into the condition Failed."""


class Unparsable(ValueError):
    """The text holds no PKCS#10 request; the message says why."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a PKCS#10 request asks for."""

    common_name: str = ""
    organizations: Sequence[str] = ()
    dns_names: Sequence[str] = ()
    ip_addresses: Sequence[str] = ()
    emails: Sequence[str] = ()
    uris: Sequence[str] = ()
    parsed: CertificateSigningRequest | None = None


def parse(pem: bytes) -> Request:
    """The first PEM block of the kind. Unparsable where there is none, or it holds no request."""
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    # Found by search, not by a pattern: this text is anybody's, and may be of nothing but beginnings.
    before, begin, rest = pem.partition(_BEGIN)
    body, end, _ = rest.partition(_END)
    if not begin or not end or b"-----END " in before:
        raise Unparsable("PEM block type must be CERTIFICATE REQUEST")
    try:
        csr = x509.load_der_x509_csr(base64.b64decode(b"".join(body.split()), validate=True))
    except (binascii.Error, ValueError) as error:
        raise Unparsable(str(error)) from error

    def subject(oid: Any) -> list[str]:
        return [str(attribute.value) for attribute in csr.subject.get_attributes_for_oid(oid)]

    try:
        names = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        names = x509.SubjectAlternativeName([])
    return Request(
        common_name=(subject(NameOID.COMMON_NAME) or [""])[-1],
        organizations=subject(NameOID.ORGANIZATION_NAME),
        dns_names=names.get_values_for_type(x509.DNSName),
        ip_addresses=[str(address) for address in names.get_values_for_type(x509.IPAddress)],
        emails=names.get_values_for_type(x509.RFC822Name),
        uris=names.get_values_for_type(x509.UniformResourceIdentifier),
        parsed=csr,
    )


def check(signer: str, request: Request, usages: Collection[str]) -> None:
    """Refused where the signer's rules are not kept; the texts and their order are upstream's."""
    if signer == KUBELET_SERVING_SIGNER:
        _check_serving(request, set(usages))
    elif signer == KUBE_API_SERVER_CLIENT_KUBELET_SIGNER:
        _check_kubelet_client(request, set(usages))
    elif signer == KUBE_API_SERVER_CLIENT_SIGNER:
        _check_client(usages)


def _check_serving(request: Request, usages: set[str]) -> None:
    _check_organization(request)
    if not request.dns_names and not request.ip_addresses:
        raise Refused("DNS or IP subjectAltName is required")
    if request.emails:
        raise Refused("Email subjectAltNames are not allowed")
    if request.uris:
        raise Refused("URI subjectAltNames are not allowed")
    _check_usages(usages, SERVER_AUTH)
    _check_common_name(request)


def _check_kubelet_client(request: Request, usages: set[str]) -> None:
    _check_organization(request)
    kinds = {"DNS": request.dns_names, "Email": request.emails, "IP": request.ip_addresses, "URI": request.uris}
    for kind, names in kinds.items():
        if names:
            raise Refused(f"{kind} subjectAltNames are not allowed")
    _check_common_name(request)
    _check_usages(usages, CLIENT_AUTH)


def _check_client(usages: Collection[str]) -> None:
    for usage in usages:
        if usage not in (DIGITAL_SIGNATURE, KEY_ENCIPHERMENT, CLIENT_AUTH):
            raise Refused(f"invalid usage for client certificate: {usage}")
    if CLIENT_AUTH not in usages:
        raise Refused(f"missing required usage for client certificate: {CLIENT_AUTH}")


def _check_organization(request: Request) -> None:
    if list(request.organizations) != [NODES_GROUP]:
        raise Refused("subject organization is not system:nodes")


def _check_common_name(request: Request) -> None:
    if not request.common_name.startswith(NODE_USER_PREFIX):
        raise Refused("subject common name does not begin with system:node:")


def _check_usages(usages: set[str], auth: str) -> None:
    if usages - {KEY_ENCIPHERMENT} != {DIGITAL_SIGNATURE, auth}:
        expected = sorted((auth, DIGITAL_SIGNATURE, KEY_ENCIPHERMENT))
        raise Refused(f"usages did not match [{' '.join(expected)}]")


def is_decided(csr: certificates.CertificateSigningRequest) -> bool:
    """Whether somebody has approved or denied it."""
    return any(condition(csr.status.conditions, type_) is not None for type_ in ("Approved", "Denied"))


def is_approved(csr: certificates.CertificateSigningRequest) -> bool:
    """Whether somebody approved it and nobody denied it (IsCertificateRequestApproved)."""
    conditions = csr.status.conditions
    return condition(conditions, "Approved") is not None and condition(conditions, "Denied") is None


def has_failed(csr: certificates.CertificateSigningRequest) -> bool:
    return is_true(csr.status.conditions, "Failed")
