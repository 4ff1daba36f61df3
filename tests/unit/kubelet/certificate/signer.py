"""A cluster that is one authority: it signs what is asked for, or leaves it, on whatever clock."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from cryptography import x509

from pybernetes.aio.clock import Clock
from pybernetes.api import errors
from pybernetes.api.errors import StatusError
from pybernetes.api.types import certificates_v1
from pybernetes.pki.certificates import Authority
from pybernetes.pki.requests import sign

Condition = certificates_v1.CertificateSigningRequestCondition


class Signer:
    """The two verbs of a client that who asks for certificates uses."""

    def __init__(self, clock: Clock, lifetime: timedelta = timedelta(days=30)) -> None:
        self.clock, self.lifetime = clock, lifetime
        self.authority = Authority.create("ca", clock.now())
        self.requests: dict[str, certificates_v1.CertificateSigningRequest] = {}
        self.decision = "Approved"  # or Denied, Failed, or "" for nobody decides
        self.down = False
        self.refuses = 0  # the code of the answer to each request, as 401 to who comes with what has ended

    async def create(self, request: Any) -> Any:
        if self.down:
            raise ConnectionError("it is down")
        if self.refuses:
            raise StatusError({"code": self.refuses, "reason": "Refused", "message": "refused"})
        name = request.metadata.name or f"csr-{len(self.requests)}"
        if name in self.requests:
            raise errors.already_exists("certificates.k8s.io", "certificatesigningrequests", name)
        request.metadata.name, request.metadata.uid = name, f"uid-{len(self.requests)}"
        self.requests[name] = request
        return request

    async def get(self, kind: type, name: str) -> Any:
        if self.down:
            raise ConnectionError("it is down")
        if name not in self.requests:
            raise errors.not_found("certificates.k8s.io", "certificatesigningrequests", name)
        request = self.requests[name]
        if self.decision and not request.status.conditions:
            condition = Condition(type=self.decision, status="True", reason="R", message="M")
            request.status.conditions = [condition]
            if self.decision == "Approved":
                parsed = x509.load_pem_x509_csr(request.spec.request)
                now = self.clock.now()
                request.status.certificate = sign(self.authority, parsed, request.spec.usages, self.lifetime, now)
        return request
