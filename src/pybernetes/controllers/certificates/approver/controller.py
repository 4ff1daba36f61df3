"""Approves client certificates of nodes for those who may have them (upstream: pkg/controller/certificates/approver)."""

from __future__ import annotations

from pybernetes.api.types import certificates_v1 as certificates

from ...common import clone
from ..controller import CertificateController, Waits
from ..requests import (
    Unparsable,
    is_decided,
    parse,
)
from .plan import recognized, review_of


class CSRApprovingController(CertificateController):
    """One queue of requests; only those of kubelets are recognized, all others wait for a person."""

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
        approved = clone(csr)
        now = self.now().replace(microsecond=0)
        approved.status.conditions.append(
            certificates.CertificateSigningRequestCondition(
                type="Approved",
                status="True",
                reason="AutoApproved",
                message=message,
                last_update_time=now,
                last_transition_time=now,
            )
        )
        await self.client.update(approved, "approval")
