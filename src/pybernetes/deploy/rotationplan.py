"""How far the replacement of an authority is, and what comes next; pure (upstream: "Manual Rotation of CA Certificates").

Who trusts an authority reads its certificate file, who signs with it the key beside it. So it is replaced in three steps, and between them
whoever has done one meets whoever has not yet:

    step      trusted (NAME.crt)   signs (NAME.key)   certificates
    -         old                  old                old
    prepare   old, new             old                old
    reissue   new, old             new                new
    finish    new                  new                new

A signer takes the first certificate of its file; the order says which.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from cryptography import x509
from cryptography.exceptions import InvalidSignature


class Stage(StrEnum):
    """What has been done."""

    IDLE = "idle"
    PREPARED = "prepared"
    REISSUED = "reissued"


class RotationError(Exception):
    """A step that cannot be done now; says what comes before it."""


@dataclass(frozen=True, slots=True)
class Authorities:
    """What is on the disk: the bundle, which of it the key belongs to (None: no key), and the one that is to come (None: none)."""

    bundle: tuple[x509.Certificate, ...]
    signing: x509.Certificate | None
    coming: x509.Certificate | None

    @property
    def stage(self) -> Stage:
        """Of NAME.key: what signs says how far it is."""
        if self.coming is None:
            return Stage.IDLE
        return Stage.REISSUED if self.signing == self.coming else Stage.PREPARED

    @property
    def old(self) -> tuple[x509.Certificate, ...]:
        """Those that are to go."""
        return tuple(one for one in self.bundle if one != self.coming)

    def trusted(self, stage: Stage) -> tuple[x509.Certificate, ...]:
        """The bundle of a stage, the one that signs first."""
        if self.coming is None or stage is Stage.IDLE:
            return self.bundle
        return (*self.old, self.coming) if stage is Stage.PREPARED else (self.coming, *self.old)


def may_reissue(authorities: Authorities) -> None:
    """RotationError where not everybody can know the new one yet."""
    if authorities.coming is None:
        raise RotationError("no rotation is under way: `pybernetes certs rotate-ca prepare` comes first, on every host")
    if authorities.coming not in authorities.bundle:
        raise RotationError(
            "the new authority is not in the bundle yet: `pybernetes certs rotate-ca prepare` comes first"
        )


def may_finish(authorities: Authorities, left: Sequence[str]) -> None:
    """RotationError where something is signed by the old one still; `left` names it."""
    if authorities.stage is Stage.IDLE:
        raise RotationError("no rotation is under way: `pybernetes certs rotate-ca prepare` comes first")
    if authorities.stage is Stage.PREPARED:
        raise RotationError(
            "certificates are signed by the old authority: `pybernetes certs rotate-ca reissue` comes first"
        )
    if left:
        raise RotationError(
            f"signed by the old authority still: {', '.join(left)}; `pybernetes certs rotate-ca reissue`, or wait for its renewal"
        )


def issued_by(certificate: x509.Certificate, authorities: Sequence[x509.Certificate]) -> bool:
    """Whether one of them has signed it."""
    return any(_issued(certificate, authority) for authority in authorities)


def with_trust(
    present: Sequence[x509.Certificate], family: Sequence[x509.Certificate], bundle: Sequence[x509.Certificate]
) -> list[x509.Certificate]:
    """A kubeconfig's authorities with those of the family replaced by the bundle; what has none of the family stays as it is."""
    if not any(one in family for one in present):
        return list(present)
    return [*bundle, *(one for one in present if one not in family and one not in bundle)]


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True
