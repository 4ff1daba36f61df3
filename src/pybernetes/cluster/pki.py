"""Certificates as kubeadm makes them: who signs whom, under which names, and what must be made anew.

Keys are ECDSA P-256 (kubeadm's encryptionAlgorithm ECDSA-P256): made in a millisecond, and cheaper in every TLS handshake than RSA.
Upstream: cmd/kubeadm/app/phases/certs/certlist.go.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_LIFETIME = timedelta(days=3650)
CERTIFICATE_LIFETIME = timedelta(days=365)
RENEW_BEFORE = timedelta(days=30)  # `up` renews what would end sooner
SKEW = timedelta(minutes=5)  # clocks of other hosts may be behind


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, PEM."""

    certificate: bytes
    key: bytes


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a certificate is for: CN is the user, O the groups; names and addresses for servers."""

    common_name: str
    organizations: Sequence[str] = ()
    names: Sequence[str] = ()
    addresses: Sequence[str] = ()
    server: bool = False
    client: bool = True


class Authority:
    """Signs certificates."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self._certificate, self._key = certificate, key
        self.pem = certificate.public_bytes(serialization.Encoding.PEM)

    @classmethod
    def create(cls, name: str, now: datetime, lifetime: timedelta = AUTHORITY_LIFETIME) -> Authority:
        """A new one, self-signed."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        usage = _usage(digital_signature=True, key_cert_sign=True)
        identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        builder = (
            _builder(subject, subject, key, now, lifetime)
            .add_extension(x509.BasicConstraints(True, None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(identifier, critical=False)
        )
        return cls(builder.sign(key, hashes.SHA256()), key)

    @classmethod
    def load(cls, pair: Pair) -> Authority:
        """ValueError if these are no certificate and EC key."""
        key = serialization.load_pem_private_key(pair.key, None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError("the authority's key is not an EC key")
        return cls(x509.load_pem_x509_certificate(pair.certificate), key)

    @property
    def pair(self) -> Pair:
        """To be stored; the key is secret."""
        return Pair(self.pem, _private(self._key))

    def issue(self, subject: Subject, now: datetime, lifetime: timedelta = CERTIFICATE_LIFETIME) -> Pair:
        """A certificate with a key of its own."""
        key = ec.generate_private_key(ec.SECP256R1())
        organizations = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, name) for name in subject.organizations]
        name = x509.Name([*organizations, x509.NameAttribute(NameOID.COMMON_NAME, subject.common_name)])
        lifetime = min(lifetime, self._certificate.not_valid_after_utc - now)
        usages = [ExtendedKeyUsageOID.SERVER_AUTH] * subject.server + [ExtendedKeyUsageOID.CLIENT_AUTH] * subject.client
        builder = (
            _builder(name, self._certificate.subject, key, now, lifetime)
            .add_extension(_usage(digital_signature=True, key_encipherment=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        others = _alternative_names(subject)
        if others:
            builder = builder.add_extension(x509.SubjectAlternativeName(others), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        return Pair(certificate.public_bytes(serialization.Encoding.PEM), _private(key))

    def problem(self, certificate: bytes, subject: Subject, now: datetime) -> str:
        """Why a certificate cannot stay as it is, "" if it can: unreadable, of another authority, for others, or soon to end."""
        try:
            found = x509.load_pem_x509_certificate(certificate)
            found.verify_directly_issued_by(self._certificate)
        except Exception as error:  # cryptography raises InvalidSignature, ValueError, TypeError
            return f"it is not one of this authority ({type(error).__name__})"
        if found.not_valid_after_utc - RENEW_BEFORE < now:
            return f"it ends at {found.not_valid_after_utc:%Y-%m-%d}"
        if found.not_valid_before_utc > now:
            return f"it begins only at {found.not_valid_before_utc:%Y-%m-%d}: the clock went back"
        names = [str(a.value) for a in found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        groups = [str(a.value) for a in found.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
        if names != [subject.common_name] or groups != list(subject.organizations):
            return f"it is for {names} of {groups}"
        wanted = _alternative_names(subject)
        try:
            present = list(found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
        except x509.ExtensionNotFound:
            present = []
        missing = [name.value for name in wanted if name not in present]
        return f"it lacks {', '.join(map(str, missing))}" if missing else ""


def ends_at(certificate: bytes) -> datetime:
    """When a certificate ends. ValueError if it is none."""
    return x509.load_pem_x509_certificate(certificate).not_valid_after_utc


def match(pair: Pair) -> bool:
    """Whether this is a readable key, and the certificate's."""
    try:
        key = serialization.load_pem_private_key(pair.key, None)
        return key.public_key() == x509.load_pem_x509_certificate(pair.certificate).public_key()
    except (ValueError, TypeError):
        return False


def public_key(private: bytes) -> bytes:
    """Of a private key, both PEM. ValueError if it is none."""
    try:
        return _public(serialization.load_pem_private_key(private, None).public_key())
    except TypeError as error:  # it has a password
        raise ValueError(str(error)) from error


def signing_key() -> tuple[bytes, bytes]:
    """A key for service-account tokens: (private, public), PEM. RSA as kubeadm's: verifiers of OpenID tokens everywhere know RS256."""
    key = rsa.generate_private_key(65537, 2048)
    return _private(key), _public(key.public_key())


def _public(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _alternative_names(subject: Subject) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in subject.names]
    return names + [x509.IPAddress(ipaddress.ip_address(address)) for address in subject.addresses]


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, lifetime: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(now + lifetime)
    )


def _usage(
    digital_signature: bool = False, key_encipherment: bool = False, key_cert_sign: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=key_encipherment,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _private(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
