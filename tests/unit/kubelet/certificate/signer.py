"""A cluster that is one authority: it signs what is asked for, or leaves it, on whatever clock."""

from __future__ import annotations

from datetime import timedelta
from typing import TypeVar

from cryptography import x509

from pybernetes.aio.clock import Clock
from pybernetes.api.errors import StatusError
from pybernetes.api.types import certificates_v1
from pybernetes.client.memory import MemoryClient
from pybernetes.client.types import Object
from pybernetes.pki.certificates import Authority
from pybernetes.pki.requests import sign

CSR = certificates_v1.CertificateSigningRequest
Condition = certificates_v1.CertificateSigningRequestCondition

T = TypeVar("T", bound=Object)


class Signer(MemoryClient):
    """Requests are decided when somebody looks at them."""

    def __init__(self, clock: Clock, lifetime: timedelta = timedelta(days=30)) -> None:
        super().__init__(clock=clock)
        self.clock, self.lifetime = clock, lifetime
        self.authority = Authority.create("ca", clock.now())
        self.decision = "Approved"  # or Denied, Failed, or "" for nobody decides
        self.down = False
        self.refuses = 0  # the code of the answer to each request, as 401 to who comes with what has ended

    async def create(self, obj: T) -> T:
        self._answers()
        if self.refuses:
            raise StatusError({"code": self.refuses, "reason": "Refused", "message": "refused"})
        return await super().create(obj)

    async def get(self, kind: type[T], name: str, namespace: str = "") -> T:
        self._answers()
        for request in self.all(CSR):
            if request.metadata.name == name and self.decision and not request.status.conditions:
                self.put(self._decided(request))
        return await super().get(kind, name, namespace)

    def _answers(self) -> None:
        if self.down:
            raise ConnectionError("it is down")

    def _decided(self, request: CSR) -> CSR:
        request.status.conditions = [Condition(type=self.decision, status="True", reason="R", message="M")]
        if self.decision == "Approved":
            parsed = x509.load_pem_x509_csr(request.spec.request)
            now = self.clock.now()
            request.status.certificate = sign(self.authority, parsed, request.spec.usages, self.lifetime, now)
        return request
