"""What the approver and the signer are made of (upstream: pkg/controller/certificates/certificate_controller.go)."""

from __future__ import annotations

from typing import Any

from pybernetes.api.types import certificates_v1 as certificates

from ..common import Key
from ..framework import Again, Context, Controller


class Waits(Again):
    """Recognized, but the requester may not have it without a person: asked again later."""


class CertificateController(Controller):
    """One queue of requests without a certificate."""

    retry_delays = (0.2, 1000.0)

    def __init__(self, context: Context) -> None:
        super().__init__(context, workers=5)
        self._requests = self.informer(certificates.CertificateSigningRequest)
        self._requests.add_handler(self.on_change)

    async def sync(self, key: Key) -> None:
        """Handles one that has no certificate yet."""
        csr = self._requests.get(key[1])
        if csr is not None and not csr.status.certificate:
            await self.handle(csr)

    async def handle(self, csr: certificates.CertificateSigningRequest) -> None:
        """What the subclass does with a request that has no certificate yet; whatever it raises, it is called again later."""
        raise NotImplementedError

    def _failed(self, key: Any, error: Exception) -> None:
        if isinstance(error, Waits):
            self.queue.add_rate_limited(key)
        else:
            super()._failed(key, error)
