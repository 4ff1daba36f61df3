"""Who asks for a node's client certificate, and what must be allowed for it; pure (upstream: pkg/controller/certificates/approver)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pybernetes.api.types import authorization_v1 as authorization
from pybernetes.api.types import certificates_v1 as certificates
from pybernetes.api.wellknown import KUBE_API_SERVER_CLIENT_KUBELET_SIGNER

from ..requests import Refused, Request, check


@dataclass(frozen=True, slots=True)
class Recognized:
    """A way to be approved: who may create this subresource."""

    subresource: str
    message: str


SELF = Recognized("selfnodeclient", "Auto approving self kubelet client certificate after SubjectAccessReview.")
NODE = Recognized("nodeclient", "Auto approving kubelet client certificate after SubjectAccessReview.")


def recognized(csr: certificates.CertificateSigningRequest, request: Request) -> Sequence[Recognized]:
    """The ways that are open to a request, in the order to try them."""
    if csr.spec.signer_name != KUBE_API_SERVER_CLIENT_KUBELET_SIGNER:
        return ()
    try:
        check(KUBE_API_SERVER_CLIENT_KUBELET_SIGNER, request, csr.spec.usages)
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
