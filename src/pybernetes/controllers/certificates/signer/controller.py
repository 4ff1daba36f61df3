"""Signs approved certificate requests with the cluster's CA (upstream: pkg/controller/certificates/signer and authority)."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING

from pybernetes.api.types import certificates_v1 as certificates
from pybernetes.api.wellknown import (
    KUBE_API_SERVER_CLIENT_KUBELET_SIGNER,
    KUBE_API_SERVER_CLIENT_SIGNER,
    KUBELET_SERVING_SIGNER,
    LEGACY_UNKNOWN_SIGNER,
)
from pybernetes.pki.files import Pair
from pybernetes.pki.reloading import Reloaded

from ...common import clone
from ...framework import Context
from ...options import Options
from ..controller import CertificateController
from ..requests import Refused, check, has_failed, is_approved, parse
from .plan import lifetime

if TYPE_CHECKING:
    from pybernetes.pki.certificates import Authority

SIGNERS = {  # signer -> its name in the flags
    KUBELET_SERVING_SIGNER: "kubelet-serving",
    KUBE_API_SERVER_CLIENT_KUBELET_SIGNER: "kubelet-client",
    KUBE_API_SERVER_CLIENT_SIGNER: "kube-apiserver-client",
    LEGACY_UNKNOWN_SIGNER: "legacy-unknown",
}


def load(pair: Pair) -> Authority:
    """ValueError for what is no certificate and its key: between the writing of the two the pair before stays."""
    from pybernetes.pki import keys
    from pybernetes.pki.certificates import Authority

    if not keys.match(pair):
        raise ValueError("the key is not the certificate's")
    return Authority.load(pair)


def follow(certificate: Path, key: Path) -> Reloaded[Authority]:
    """A CA that follows its files. OSError or ValueError where they cannot be used at first."""
    return Reloaded(lambda: load(Pair(certificate.read_bytes(), key.read_bytes())), [certificate, key])


class CSRSigningController(CertificateController):
    """The four signers of kubernetes.io, each with the cluster's CA or its own."""

    name = "certificatesigningrequest-signing-controller"
    account = "certificate-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._authorities: dict[str, Authority] = {}
        self._followed: dict[str, Reloaded[Authority]] = {}

    @classmethod
    def lacks(cls, options: Options) -> str:
        """Nothing can be signed without a CA, one for all signers or one for each."""
        if options.signers or (options.cluster_signing_cert and options.cluster_signing_key):
            return ""
        return "--cluster-signing-cert-file and --cluster-signing-key-file are not set"

    def _authority(self, signer: str) -> Authority | None:
        """Of its files as they are now (upstream: dynamiccertificates), or of the options; None for a signer without a CA."""
        options, name = self.context.options, SIGNERS[signer]
        if name in self._followed:
            return self._followed[name].current()
        if name in options.signer_files:
            self._followed[name] = follow(*options.signer_files[name])
            return self._followed[name].current()
        if signer not in self._authorities:
            certificate, key = options.signers.get(name, (options.cluster_signing_cert, options.cluster_signing_key))
            if not certificate or not key:
                return None
            self._authorities[signer] = load(Pair(certificate, key))
        return self._authorities[signer]

    async def handle(self, csr: certificates.CertificateSigningRequest) -> None:
        """Signs, or says in a condition why not."""
        from pybernetes.pki.requests import sign

        signer = csr.spec.signer_name
        if signer not in SIGNERS or not is_approved(csr) or has_failed(csr):
            return
        authority = self._authority(signer)
        if authority is None:
            return
        request = parse(csr.spec.request)
        signed = clone(csr)
        try:
            check(signer, request, csr.spec.usages)
        except Refused as error:
            now = self.now().replace(microsecond=0)
            signed.status.conditions.append(
                certificates.CertificateSigningRequestCondition(
                    type="Failed",
                    status="True",
                    reason="SignerValidationFailure",
                    message=str(error),
                    last_update_time=now,
                    last_transition_time=now,
                )
            )
        else:
            ttl = lifetime(csr.spec.expiration_seconds, self.context.options.cluster_signing_duration)
            now = self.now().astimezone(UTC)
            parsed = request.parsed
            assert parsed is not None  # only tests make requests of nothing
            signed.status.certificate = sign(authority, parsed, csr.spec.usages, ttl, now)
        await self.client.update(signed, "status")
