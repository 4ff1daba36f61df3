"""How the API server reaches kubelets: which address, which certificate, whom it trusts (upstream: pkg/kubelet/client)."""

from __future__ import annotations

import functools
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pybernetes.pki.contexts import ReloadingContext

from .location import ADDRESS_TYPES


@dataclass(frozen=True, kw_only=True)
class KubeletConfig:
    """The --kubelet-* flags; files in PEM. Without an authority kubelets' certificates are not checked, as upstream does."""

    address_types: Sequence[str] = ADDRESS_TYPES
    certificate: str = ""
    key: str = ""
    authority: str = ""

    @functools.cached_property
    def context(self) -> ssl.SSLContext:
        """Made at the first use, and anew as the files change; OSError or ssl.SSLError where they cannot be used."""
        files = [Path(file) for file in (self.certificate, self.key, self.authority) if file]
        return ReloadingContext(self._context, files) if files else unverified()

    def _context(self) -> ssl.SSLContext:
        context = unverified()
        if self.authority:
            context.verify_mode = ssl.CERT_REQUIRED
            context.check_hostname = True
            context.load_verify_locations(self.authority)
        if self.certificate:
            context.load_cert_chain(self.certificate, self.key or None)
        return context


def unverified() -> ssl.SSLContext:
    """Of upstream's proxy transport: what runs in pods has certificates of its own making."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
