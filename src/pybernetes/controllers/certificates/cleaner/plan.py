"""Which certificate signing requests are old; pure (upstream: pkg/controller/certificates/cleaner)."""

from __future__ import annotations

from datetime import datetime, timedelta

from pybernetes.api.types import certificates_v1 as certificates

DECIDED = timedelta(hours=1)  # an issued, denied or failed request stays so long
PENDING = timedelta(hours=24)


def certificate_end(pem: bytes) -> datetime | None:
    """Not-after of the first certificate; None where it cannot be read."""
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificate(pem).not_valid_after_utc
    except ValueError:
        return None


def is_old(csr: certificates.CertificateSigningRequest, now: datetime) -> bool:
    """Whether it may go: decided long ago (DECIDED), not decided for longer (PENDING), or with a certificate that has ended."""

    def older(moment: datetime | None, age: timedelta) -> bool:
        return moment is not None and now - moment > age

    if not csr.status.conditions:
        return older(csr.metadata.creation_timestamp, PENDING)
    for entry in csr.status.conditions:
        over = entry.type in ("Denied", "Failed") or (entry.type == "Approved" and bool(csr.status.certificate))
        if over and older(entry.last_update_time, DECIDED):
            return True
        if entry.type == "Approved" and csr.status.certificate:
            end = certificate_end(csr.status.certificate)
            if end is not None and now > end:
                return True
    return False
