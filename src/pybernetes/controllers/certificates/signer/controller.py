"""Signs approved certificate requests with the cluster's CA (upstream: pkg/controller/certificates/signer and authority)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pybernetes.api.types import certificates_v1 as certificates

from ...common import clone
from ...framework import Context
from ...options import Options
from ..requests import (
    API_SERVER_CLIENT,
    KUBELET_CLIENT,
    KUBELET_SERVING,
    LEGACY_UNKNOWN,
    CertificateController,
    Refused,
    Request,
    check,
    has_failed,
    is_approved,
    parse,
)

if TYPE_CHECKING:
    from cryptography import x509

SIGNERS = {  # signer -> its name in the flags
    KUBELET_SERVING: "kubelet-serving",
    KUBELET_CLIENT: "kubelet-client",
    API_SERVER_CLIENT: "kube-apiserver-client",
    LEGACY_UNKNOWN: "legacy-unknown",
}
BACKDATE = timedelta(minutes=5)  # for clocks that are behind
SHORT = timedelta(hours=8)  # certificates of less are not cut by the backdating
SHORTEST = timedelta(minutes=10)

KEY_USAGES = {
    "signing": "digital_signature",
    "digital signature": "digital_signature",
    "content commitment": "content_commitment",
    "key encipherment": "key_encipherment",
    "data encipherment": "data_encipherment",
    "key agreement": "key_agreement",
    "cert sign": "key_cert_sign",
    "crl sign": "crl_sign",
    "encipher only": "encipher_only",
    "decipher only": "decipher_only",
}
EXTENDED_USAGES = {
    "any": "2.5.29.37.0",
    "server auth": "1.3.6.1.5.5.7.3.1",
    "client auth": "1.3.6.1.5.5.7.3.2",
    "code signing": "1.3.6.1.5.5.7.3.3",
    "email protection": "1.3.6.1.5.5.7.3.4",
    "s/mime": "1.3.6.1.5.5.7.3.4",
    "ipsec end system": "1.3.6.1.5.5.7.3.5",
    "ipsec tunnel": "1.3.6.1.5.5.7.3.6",
    "ipsec user": "1.3.6.1.5.5.7.3.7",
    "timestamping": "1.3.6.1.5.5.7.3.8",
    "ocsp signing": "1.3.6.1.5.5.7.3.9",
    "microsoft sgc": "1.3.6.1.4.1.311.10.3.3",
    "netscape sgc": "2.16.840.1.113730.4.1",
}


class SigningError(Exception):
    """No certificate could be made; tried again."""


def lifetime(asked: int | None, longest: float) -> timedelta:
    """What a certificate gets of the seconds that were asked for."""
    limit = timedelta(seconds=longest)
    if asked is None:
        return limit
    wanted = timedelta(seconds=asked)
    return limit if wanted > limit else max(wanted, SHORTEST)


def validity(now: datetime, ttl: timedelta, signer_ends: datetime) -> tuple[datetime, datetime]:
    """(not before, not after); never beyond the signer's own end. SigningError where that has come."""
    if now >= signer_ends:
        raise SigningError(f"the signer has expired: NotAfter={signer_ends}")
    start = now - BACKDATE
    end = now + ttl if ttl < SHORT else start + ttl
    return start, min(end, signer_ends)


def usages_of(usages: Iterable[str]) -> tuple[set[str], list[str]]:
    """(key usages, extended ones as object identifiers); SigningError for unknown ones."""
    wanted = list(usages)
    unknown = sorted(u for u in wanted if u not in KEY_USAGES and u not in EXTENDED_USAGES)
    if unknown:
        raise SigningError(f"unrecognized usage values: {' '.join(unknown)}")
    extended = {EXTENDED_USAGES[u] for u in wanted if u in EXTENDED_USAGES}
    return {KEY_USAGES[u] for u in wanted if u in KEY_USAGES}, sorted(extended)


@dataclass(frozen=True, slots=True)
class Authority:
    """A CA's certificate and key, loaded."""

    certificate: x509.Certificate
    key: Any

    @classmethod
    def load(cls, certificate: bytes, key: bytes) -> Authority:
        """From PEM."""
        from cryptography import x509
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        return cls(x509.load_pem_x509_certificate(certificate), load_pem_private_key(key, None))

    def sign(self, request: Request, usages: Collection[str], ttl: timedelta, now: datetime) -> bytes:
        """The certificate, PEM."""
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ed448, ed25519

        csr = request.parsed
        assert csr is not None
        if not csr.is_signature_valid:
            raise SigningError("unable to verify certificate request signature")
        start, end = validity(now, ttl, self.certificate.not_valid_after_utc)
        public: Any = csr.public_key()  # of the kinds that can be certified: the library refuses others
        builder = (
            x509.CertificateBuilder()
            .subject_name(csr.subject)
            .issuer_name(self.certificate.subject)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(end)
        )
        for extension, critical in self._extensions(csr, usages):
            builder = builder.add_extension(extension, critical)
        own_hash = isinstance(self.key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey)
        made = builder.sign(self.key, None if own_hash else hashes.SHA256())
        return made.public_bytes(serialization.Encoding.PEM)

    def _extensions(
        self, csr: x509.CertificateSigningRequest, usages: Collection[str]
    ) -> Iterable[tuple[x509.ExtensionType, bool]]:
        from cryptography import x509

        plain, extended = usages_of(usages)
        if plain:
            names = dict.fromkeys(KEY_USAGES.values(), False) | dict.fromkeys(plain, True)
            yield x509.KeyUsage(**names), True
        if extended:
            yield x509.ExtendedKeyUsage([x509.ObjectIdentifier(oid) for oid in extended]), False
        yield x509.BasicConstraints(ca=False, path_length=None), True
        try:
            own = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
            yield x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own), False
        except x509.ExtensionNotFound:
            yield x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), False
        try:
            yield csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value, False
        except x509.ExtensionNotFound:
            return


class CSRSigningController(CertificateController):
    """The four signers of kubernetes.io, each with the cluster's CA or its own."""

    name = "certificatesigningrequest-signing-controller"
    account = "certificate-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._authorities: dict[str, Authority] = {}

    @classmethod
    def lacks(cls, options: Options) -> str:
        """A CA."""
        if options.signers or (options.cluster_signing_cert and options.cluster_signing_key):
            return ""
        return "--cluster-signing-cert-file and --cluster-signing-key-file are not set"

    def _authority(self, signer: str) -> Authority | None:
        if signer not in self._authorities:
            options = self.context.options
            own = (options.cluster_signing_cert, options.cluster_signing_key)
            certificate, key = options.signers.get(SIGNERS[signer], own)
            if not certificate or not key:
                return None
            self._authorities[signer] = Authority.load(certificate, key)
        return self._authorities[signer]

    async def handle(self, csr: certificates.CertificateSigningRequest) -> None:
        """Signs, or says in a condition why not."""
        signer = csr.spec.signer_name
        if signer not in SIGNERS or not is_approved(csr) or has_failed(csr):
            return
        authority = self._authority(signer)
        if authority is None:
            return
        request = parse(csr.spec.request)
        wanted = clone(csr)
        try:
            check(signer, request, csr.spec.usages)
        except Refused as error:
            now = self.now().replace(microsecond=0)
            wanted.status.conditions.append(
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
            wanted.status.certificate = authority.sign(request, csr.spec.usages, ttl, now)
        await self.client.update(wanted, "status")
