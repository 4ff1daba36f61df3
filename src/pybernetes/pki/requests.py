"""Certificate requests (PKCS#10): written, and signed as Kubernetes' signers do (upstream: pkg/controller/certificates/authority)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from . import keys
from .certificates import Authority, Subject, alternative_names, distinguished_name

BACKDATE = timedelta(minutes=5)  # for clocks that are behind
SHORT = timedelta(hours=8)  # certificates of less are not cut by the backdating

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
    """No certificate could be made of a request; says why."""


def request(key: ec.EllipticCurvePrivateKey, subject: Subject) -> bytes:
    """A request for this subject, PEM."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(distinguished_name(subject))
    others = alternative_names(subject)
    if others:
        builder = builder.add_extension(x509.SubjectAlternativeName(others), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def public_key(pem: bytes) -> bytes:
    """The key that a request is for, PEM; b"" for what is no request."""
    try:
        return keys.public_pem(x509.load_pem_x509_csr(pem).public_key())
    except ValueError:
        return b""


def validity(now: datetime, ttl: timedelta, signer_ends: datetime) -> tuple[datetime, datetime]:
    """(not before, not after); never beyond the signer's own end. SigningError where that has come."""
    if now >= signer_ends:
        raise SigningError(f"the signer has expired: NotAfter={signer_ends}")
    start = now - BACKDATE
    end = now + ttl if ttl < SHORT else start + ttl
    return start, min(end, signer_ends)


def usages_of(usages: Iterable[str]) -> tuple[set[str], list[str]]:
    """(key usages, extended ones as object identifiers); SigningError for unknown ones."""
    requested = list(usages)
    unknown = sorted(u for u in requested if u not in KEY_USAGES and u not in EXTENDED_USAGES)
    if unknown:
        raise SigningError(f"unrecognized usage values: {' '.join(unknown)}")
    extended = {EXTENDED_USAGES[u] for u in requested if u in EXTENDED_USAGES}
    return {KEY_USAGES[u] for u in requested if u in KEY_USAGES}, sorted(extended)


def sign(
    authority: Authority, csr: x509.CertificateSigningRequest, usages: Collection[str], ttl: timedelta, now: datetime
) -> bytes:
    """The certificate, PEM: the subject, key and names of the request with these usages. SigningError."""
    if not csr.is_signature_valid:
        raise SigningError("unable to verify certificate request signature")
    start, end = validity(now, ttl, authority.certificate.not_valid_after_utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(csr.subject)
        .issuer_name(authority.certificate.subject)
        .public_key(csr.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
    )
    for extension, critical in _extensions(authority, csr, usages):
        builder = builder.add_extension(extension, critical)
    return authority.sign(builder).public_bytes(serialization.Encoding.PEM)


def _extensions(
    authority: Authority, csr: x509.CertificateSigningRequest, usages: Collection[str]
) -> Iterator[tuple[x509.ExtensionType, bool]]:
    plain, extended = usages_of(usages)
    if plain:
        names = dict.fromkeys(KEY_USAGES.values(), False) | dict.fromkeys(plain, True)
        yield x509.KeyUsage(**names), True
    if extended:
        yield x509.ExtendedKeyUsage([x509.ObjectIdentifier(oid) for oid in extended]), False
    yield x509.BasicConstraints(ca=False, path_length=None), True
    try:
        identifier = authority.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        yield x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), False
    except x509.ExtensionNotFound:
        yield x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), False
    try:
        yield csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value, False
    except x509.ExtensionNotFound:
        return
