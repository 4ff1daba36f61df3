"""Approves client certificates of nodes for those who may have them (upstream: pkg/controller/certificates/approver)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pybernetes.api.types import authorization_v1 as authorization
from pybernetes.api.types import certificates_v1 as certificates

from ...common import clone
from ..requests import (
    KUBELET_CLIENT,
    CertificateController,
    Refused,
    Request,
    Unparsable,
    Waits,
    check,
    is_decided,
    parse,
)


@dataclass(frozen=True, slots=True)
class Recognized:
    """A way to be approved: who may create this subresource."""

    subresource: str
    message: str


SELF = Recognized("selfnodeclient", "Auto approving self kubelet client certificate after SubjectAccessReview.")
NODE = Recognized("nodeclient", "Auto approving kubelet client certificate after SubjectAccessReview.")


def recognized(csr: certificates.CertificateSigningRequest, request: Request) -> Sequence[Recognized]:
    """The ways that are open to a request, in the order to try them."""
    if csr.spec.signer_name != KUBELET_CLIENT:
        return ()
    try:
        check(KUBELET_CLIENT, request, csr.spec.usages)
    except Refused:
        return ()
    return (SELF, NODE) if csr.spec.username == request.common_name else (NODE,)


def review_of(csr: certificates.CertificateSigningRequest, subresource: str) -> authorization.SubjectAccessReview:
    """Asks whether the requester may create the subresource."""
    spec = csr.spec
    return authorization.SubjectAccessReview(
        spec=authorization.SubjectAccessReviewSpec(
            user=spec.username,
            uid=spec.uid,
            groups=list(spec.groups),
            extra=dict(spec.extra),
            resource_attributes=authorization.ResourceAttributes(
                group="certificates.k8s.io",
                resource="certificatesigningrequests",
                verb="create",
                subresource=subresource,
            ),
        )
    )


class CSRApprovingController(CertificateController):
    """See the module."""

    name = "certificatesigningrequest-approving-controller"
    account = "certificate-controller"

    async def handle(self, csr: certificates.CertificateSigningRequest) -> None:
        """Approves where a review allows it; Waits where none does."""
        if is_decided(csr):
            return
        try:
            ways = recognized(csr, parse(csr.spec.request))
        except Unparsable:
            return  # the API server accepts none such; nothing here will make it better
        for way in ways:
            answer = await self.client.create(review_of(csr, way.subresource))
            if answer.status.allowed:
                await self._approve(csr, way.message)
                return
        if ways:
            tried = " ".join(way.subresource for way in ways)
            raise Waits(f'recognized csr "{csr.metadata.name}" as [{tried}] but subject access review was not approved')

    async def _approve(self, csr: certificates.CertificateSigningRequest, message: str) -> None:
        wanted = clone(csr)
        now = self.now().replace(microsecond=0)
        wanted.status.conditions.append(
            certificates.CertificateSigningRequestCondition(
                type="Approved",
                status="True",
                reason="AutoApproved",
                message=message,
                last_update_time=now,
                last_transition_time=now,
            )
        )
        await self.client.update(wanted, "approval")
