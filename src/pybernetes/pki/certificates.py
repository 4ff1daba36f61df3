"""Certificates as kubeadm makes them: who signs whom, under which names, and what must be made anew.

Upstream: cmd/kubeadm/app/phases/certs/certlist.go, client-go/util/cert.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from . import keys
from .files import Pair

SigningKey = (
    ec.EllipticCurvePrivateKey
    | rsa.RSAPrivateKey
    | dsa.DSAPrivateKey
    | ed25519.Ed25519PrivateKey
    | ed448.Ed448PrivateKey
)

AUTHORITY_LIFETIME = timedelta(days=3650)
CERTIFICATE_LIFETIME = timedelta(days=365)
RENEW_BEFORE = timedelta(days=30)  # `up` renews what would end sooner
SELF_SIGNED_LIFETIME = timedelta(days=365)
SKEW = timedelta(minutes=5)  # clocks of other hosts may be behind
SELF_SIGNED_SKEW = timedelta(hours=1)
KUBERNETES_NAMES = ("kubernetes", "kubernetes.default", "kubernetes.default.svc")  # of the API in its own cluster
COMMON_NAME_LIMIT = 64  # X.520's upper bound


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a certificate is for: CN is the user, O the groups; names and addresses for servers."""

    common_name: str
    organizations: Sequence[str] = ()
    names: Sequence[str] = ()
    addresses: Sequence[str] = ()
    server: bool = False
    client: bool = True


@dataclass(frozen=True, slots=True)
class Leaf:
    """What a certificate says: whom it is for, and when."""

    common_name: str
    organizations: tuple[str, ...]
    names: tuple[str, ...]
    addresses: tuple[str, ...]
    begins: datetime
    ends: datetime

    @classmethod
    def of(cls, pem: bytes) -> Leaf:
        """The first of a PEM file. ValueError if there is none."""
        certificate = x509.load_pem_x509_certificate(pem)
        subject = certificate.subject
        try:
            others = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            others = x509.SubjectAlternativeName([])
        names = [str(name.value) for name in subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        return cls(
            names[0] if names else "",
            tuple(str(name.value) for name in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)),
            tuple(others.get_values_for_type(x509.DNSName)),
            tuple(str(address) for address in others.get_values_for_type(x509.IPAddress)),
            certificate.not_valid_before_utc,
            certificate.not_valid_after_utc,
        )


class Authority:
    """Signs certificates. `pair` is what is stored of it (its key is secret), `pem` the certificate that others trust."""

    def __init__(self, certificate: x509.Certificate, key: SigningKey, pair: Pair) -> None:
        self.certificate, self.key, self.pair = certificate, key, pair
        self.pem = pair.certificate

    @classmethod
    def create(
        cls,
        name: str,
        now: datetime,
        lifetime: timedelta = AUTHORITY_LIFETIME,
        key: keys.PrivateKey | None = None,
    ) -> Authority:
        """A new one, signed by itself, with the key or a new EC one; its name is a DNS name of it, too, as upstream has it."""
        key = key or keys.generate()
        subject = distinguished_name(Subject(name))
        usage = _usage(digital_signature=True, key_encipherment=True, key_cert_sign=True)
        identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        builder = (
            _builder(subject, subject, key, now, lifetime)
            .add_extension(x509.BasicConstraints(True, None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(identifier, critical=False)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        )
        certificate = builder.sign(key, hashes.SHA256())
        return cls(certificate, key, Pair(_pem(certificate), keys.private_pem(key)))

    @classmethod
    def load(cls, pair: Pair) -> Authority:
        """From what is stored. ValueError if these are no certificate and a key that can sign certificates."""
        try:
            key = serialization.load_pem_private_key(pair.key, None)
        except TypeError as error:  # it has a password
            raise ValueError(str(error)) from error
        if not isinstance(key, SigningKey):
            raise ValueError(f"a key of the kind {type(key).__name__} signs no certificates")
        return cls(x509.load_pem_x509_certificate(pair.certificate), key, pair)

    def issue(
        self,
        subject: Subject,
        now: datetime,
        lifetime: timedelta = CERTIFICATE_LIFETIME,
        key: keys.PrivateKey | None = None,
    ) -> Pair:
        """A certificate for the key, or for a new EC one, never beyond the authority's own end."""
        key = key or keys.generate()
        name = distinguished_name(subject)
        lifetime = min(lifetime, self.certificate.not_valid_after_utc - now)
        usages = [ExtendedKeyUsageOID.SERVER_AUTH] * subject.server + [ExtendedKeyUsageOID.CLIENT_AUTH] * subject.client
        builder = (
            _builder(name, self.certificate.subject, key, now, lifetime)
            .add_extension(_usage(digital_signature=True, key_encipherment=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(x509.BasicConstraints(False, None), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        others = alternative_names(subject)
        if others:
            builder = builder.add_extension(x509.SubjectAlternativeName(others), critical=False)
        return Pair(_pem(self.sign(builder)), keys.private_pem(key))

    def sign(self, builder: x509.CertificateBuilder) -> x509.Certificate:
        """Signs what a builder holds, with the hash of the key's kind."""
        hashes_itself = isinstance(self.key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey)
        return builder.sign(self.key, None if hashes_itself else hashes.SHA256())

    def problem(self, certificate: bytes, subject: Subject, now: datetime) -> str:
        """Why a certificate cannot stay as it is, "" if it can: unreadable, of another authority, for others, or soon to end."""
        try:
            parsed = x509.load_pem_x509_certificate(certificate)
            parsed.verify_directly_issued_by(self.certificate)
        except Exception as error:  # cryptography raises InvalidSignature, ValueError, TypeError
            return f"it is not one of this authority ({type(error).__name__})"
        if parsed.not_valid_after_utc - RENEW_BEFORE < now:
            return f"it ends at {parsed.not_valid_after_utc:%Y-%m-%d}"
        if parsed.not_valid_before_utc > now:
            return f"it begins only at {parsed.not_valid_before_utc:%Y-%m-%d}: the clock went back"
        names = [str(a.value) for a in parsed.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        groups = [str(a.value) for a in parsed.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
        if names != [subject.common_name] or groups != list(subject.organizations):
            return f"it is for {names} of {groups}"
        expected = alternative_names(subject)
        try:
            present = list(parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
        except x509.ExtensionNotFound:
            present = []
        missing = [name.value for name in expected if name not in present]
        return f"it lacks {', '.join(map(str, missing))}" if missing else ""


def self_signed(name: str, names: Sequence[str], addresses: Sequence[str], now: datetime) -> Pair:
    """A server's certificate that nobody vouches for, for these DNS names and addresses; its CN is the name and the time, as upstream's."""
    key = keys.generate()
    common_name = f"{name}@{int(now.timestamp())}"[:COMMON_NAME_LIMIT]
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    others = alternative_names(Subject(common_name, names=names, addresses=addresses))
    builder = (
        _builder(subject, subject, key, now, SELF_SIGNED_LIFETIME, SELF_SIGNED_SKEW)
        .add_extension(x509.SubjectAlternativeName(others), critical=False)
        .add_extension(x509.BasicConstraints(True, None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    )
    return Pair(_pem(builder.sign(key, hashes.SHA256())), keys.private_pem(key))


def subject_of(certificate: bytes) -> Subject:
    """Whom a certificate (PEM; the first of several) is for and what it may be used for. ValueError if it is none."""
    leaf, parsed = Leaf.of(certificate), x509.load_pem_x509_certificate(certificate)
    try:
        usages = set(parsed.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        usages = set()
    server, client = (usage in usages for usage in (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH))
    return Subject(leaf.common_name, leaf.organizations, leaf.names, leaf.addresses, server, client)


def first(pem: bytes) -> bytes:
    """The first certificate of a PEM file alone. ValueError if there is none."""
    return _pem(x509.load_pem_x509_certificate(pem))


def is_authority(certificate: bytes) -> bool:
    """Whether a certificate (PEM) may sign others (basicConstraints). ValueError if it is none."""
    try:
        extensions = x509.load_pem_x509_certificate(certificate).extensions
        return extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def public_key_pin(certificate: bytes) -> str:
    """sha256:HEX of a certificate's public key, by which who joins knows the cluster's CA (upstream: kubeadm's pubkeypin)."""
    key = x509.load_pem_x509_certificate(certificate).public_key()
    return f"sha256:{hashlib.sha256(keys.public_der(key)).hexdigest()}"


def ends_at(certificate: bytes) -> datetime:
    """When a certificate (PEM; the first of several) ends. ValueError if it is none."""
    return x509.load_pem_x509_certificate(certificate).not_valid_after_utc


def distinguished_name(subject: Subject) -> x509.Name:
    """The groups, then the user, of whatever length: names of nodes have up to 253 characters, and Go knows no bound."""
    attributes = [(NameOID.ORGANIZATION_NAME, name) for name in subject.organizations]
    attributes.append((NameOID.COMMON_NAME, subject.common_name))
    return x509.Name([x509.NameAttribute(oid, value, _validate=False) for oid, value in attributes])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def alternative_names(subject: Subject) -> list[x509.GeneralName]:
    """DNS names, then addresses, of a subject."""
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in subject.names]
    return names + [x509.IPAddress(ipaddress.ip_address(address)) for address in subject.addresses]


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: keys.PrivateKey,
    now: datetime,
    lifetime: timedelta,
    skew: timedelta = SKEW,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - skew)
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
