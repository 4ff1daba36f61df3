"""Admission of certificate signing requests: who may approve and sign for a signer, and for whom nobody may ask
(upstream: plugin/pkg/admission/certificates/{approval,signing,subjectrestriction})."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable
from typing import Any

from pybernetes.api import errors
from pybernetes.api.wellknown import KUBE_API_SERVER_CLIENT_SIGNER, SYSTEM_PRIVILEGED_GROUP

from ..authentication.user import User
from ..authorization.modes import Authorizers
from ..types import Attributes, RequestInfo

GROUP = "certificates.k8s.io"

Object = dict[str, Any]


async def signer_allowed(authorizers: Authorizers, user: User, verb: str, signer: str) -> bool:
    """By the signer's whole name, or by DOMAIN/*."""
    wildcard = signer.partition("/")[0] + "/*"
    for name in (signer, wildcard):
        info = RequestInfo(verb, "", is_resource=True, group=GROUP, version="*", resource="signers", name=name)
        if (await authorizers.authorize(user, info)).allowed:
            return True
    return False


def _concerns(attributes: Attributes, *subresources: str) -> bool:
    resource = attributes.resource
    return (
        (resource.group, resource.name) == (GROUP, "certificatesigningrequests")
        and attributes.operation == "UPDATE"
        and attributes.subresource in subresources
    )


class CertificateApproval:
    """Approving needs the verb approve on the signer, besides the right to the subresource."""

    name = "CertificateApproval"
    resources = frozenset({(GROUP, "certificatesigningrequests")})

    def __init__(self, authorizers: Authorizers) -> None:
        self._authorizers = authorizers

    def admit(self, attributes: Attributes) -> None:
        """Nothing is filled in."""

    def validate(self, attributes: Attributes) -> Awaitable[None] | None:
        """403 without the right."""
        return self._check(attributes) if _concerns(attributes, "approval") else None

    async def _check(self, attributes: Attributes) -> None:
        signer = ((attributes.old_object or {}).get("spec") or {}).get("signerName", "")
        if not await signer_allowed(self._authorizers, attributes.user, "approve", signer):
            why = f'user not permitted to approve requests with signerName "{signer}"'
            raise errors.forbidden(GROUP, attributes.resource.name, attributes.told_name, why)


class CertificateSigning:
    """Setting a certificate, or that there will be none, needs the verb sign on the signer."""

    name = "CertificateSigning"
    resources = frozenset({(GROUP, "certificatesigningrequests")})

    def __init__(self, authorizers: Authorizers) -> None:
        self._authorizers = authorizers

    def admit(self, attributes: Attributes) -> None:
        """Nothing is filled in."""

    def validate(self, attributes: Attributes) -> Awaitable[None] | None:
        """403 without the right."""
        return self._check(attributes) if _concerns(attributes, "status") else None

    async def _check(self, attributes: Attributes) -> None:
        new, old = attributes.object or {}, attributes.old_object or {}
        if _signed(new) == _signed(old):
            return  # it is neither signed nor failed by this
        signer = (old.get("spec") or {}).get("signerName", "")
        if not await signer_allowed(self._authorizers, attributes.user, "sign", signer):
            why = f'user not permitted to sign requests with signerName "{signer}"'
            raise errors.forbidden(GROUP, attributes.resource.name, attributes.told_name, why)


def _signed(request: Object) -> tuple[Any, Any]:
    status = request.get("status") or {}
    return status.get("certificate") or "", status.get("conditions") or []


class CertificateSubjectRestriction:
    """Nobody becomes a member of system:masters by a certificate that the API server's clients' signer gives."""

    name = "CertificateSubjectRestriction"
    resources = frozenset({(GROUP, "certificatesigningrequests")})

    def admit(self, attributes: Attributes) -> None:
        """Nothing is filled in."""

    def validate(self, attributes: Attributes) -> None:
        """403 for such a request."""
        resource, request = attributes.resource, attributes.object
        if (resource.group, resource.name) != (GROUP, "certificatesigningrequests") or request is None:
            return
        spec = request.get("spec") or {}
        if (
            attributes.operation != "CREATE"
            or attributes.subresource
            or spec.get("signerName") != KUBE_API_SERVER_CLIENT_SIGNER
        ):
            return
        try:
            organizations = subject(spec.get("request", ""))[1]
        except ValueError as error:
            why = f"unable to decode the CSR: {error}"
            raise errors.forbidden(GROUP, resource.name, attributes.told_name, why) from None
        if SYSTEM_PRIVILEGED_GROUP in organizations:
            why = f"use of {KUBE_API_SERVER_CLIENT_SIGNER} signer with {SYSTEM_PRIVILEGED_GROUP} group is not allowed"
            raise errors.forbidden(GROUP, resource.name, attributes.told_name, why)


def subject(request: str) -> tuple[str, list[str]]:
    """(common name, organizations) of a request in base64 of PEM; ValueError."""
    from cryptography import x509  # only for such requests

    try:
        data = base64.b64decode(request)
    except binascii.Error as error:
        raise ValueError(str(error)) from None
    names = x509.load_pem_x509_csr(data).subject
    common = names.get_attributes_for_oid(x509.oid.NameOID.COMMON_NAME)
    organizations = names.get_attributes_for_oid(x509.oid.NameOID.ORGANIZATION_NAME)
    return (str(common[0].value) if common else "", [str(o.value) for o in organizations])
