"""The certificate of the kubelet's port where nobody gives or signs one.

Upstream: cmd/kubelet/app/server.go, client-go/util/cert (GenerateSelfSignedCertKey).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from pybernetes.pki.files import write_pair


def serving_files(directory: Path, name: str, addresses: Sequence[str], now: datetime) -> tuple[Path, Path]:
    """kubelet.crt and kubelet.key in the directory, made anew where they are missing or have ended."""
    from pybernetes.pki.certificates import SELF_SIGNED_SKEW, ends_at, self_signed

    certificate, key = directory / "kubelet.crt", directory / "kubelet.key"
    if not (certificate.exists() and key.exists() and ends_at(certificate.read_bytes()) > now + SELF_SIGNED_SKEW):
        write_pair(certificate, key, self_signed(name, [name], addresses, now))
    return certificate, key
