"""Deletes old certificate signing requests (upstream: pkg/controller/certificates/cleaner)."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable

from pybernetes.api.errors import StatusError
from pybernetes.api.types import certificates_v1 as certificates

from ...framework import Context, Controller
from .plan import is_old

CHECK_SECONDS = 3600.0


class CSRCleanerController(Controller):
    """Looks at all requests every so often (CHECK_SECONDS): what is over or was never decided goes after its time."""

    name = "certificatesigningrequest-cleaner-controller"
    account = "certificate-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context, workers=0)
        self._requests = self.informer(certificates.CertificateSigningRequest)

    def background(self) -> Iterable[Awaitable[None]]:
        return (self.every(CHECK_SECONDS, self.clean),)

    async def clean(self) -> None:
        """Looks at all requests once, and deletes the old ones."""
        for csr in self._requests.list():
            if not is_old(csr, self.now()):
                continue
            try:
                await self.client.delete(certificates.CertificateSigningRequest, csr.metadata.name)
            except StatusError as error:
                if error.code != 404:
                    raise
