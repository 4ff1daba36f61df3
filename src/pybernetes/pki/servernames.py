"""Which certificate a client is shown that asks for a name (upstream: server/dynamiccertificates named_certificates.go, Go's crypto/tls). Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class NamedCertificate:
    """Of --tls-sni-cert-key. Without `patterns` the names of the certificate are meant."""

    certificate: Path
    key: Path
    patterns: tuple[str, ...] = ()


def parse(text: str) -> NamedCertificate:
    """`certificate,key` or `certificate,key:pattern,pattern`. ValueError."""
    files, colon, names = text.partition(":")
    certificate, comma, key = (part.strip() for part in files.partition(","))
    if not comma or not certificate or not key or "," in key:
        raise ValueError("expected comma separated certificate and key file paths")
    patterns = tuple(name.strip() for name in names.split(",")) if colon else ()
    if colon and not all(patterns):
        raise ValueError("empty domain pattern")
    for pattern in patterns:
        if _is_address(pattern):
            raise ValueError(f"{pattern!r} is an address, which no client asks for by name: give names")
    return NamedCertificate(Path(certificate), Path(key), patterns)


def by_name(certificates: Sequence[tuple[Sequence[str], bytes, T]]) -> dict[str, T]:
    """Of (patterns, certificate, what it stands for): patterns before names of certificates, and of each kind the first one."""
    pairs: dict[str, T] = {}
    for patterns, _, value in certificates:
        for pattern in patterns:
            pairs.setdefault(pattern.lower(), value)
    for patterns, pem, value in certificates:
        for name in () if patterns else names(pem):
            pairs.setdefault(name.lower(), value)
    return pairs


def match(pairs: Mapping[str, T], name: str) -> T | None:
    """What a name leads to: itself first, then patterns with more and more labels replaced from the left by `*`."""
    labels = name.lower().rstrip(".").split(".")
    for count in range(len(labels) + 1):
        value = pairs.get(".".join(["*"] * count + labels[count:]))
        if value is not None:
            return value
    return None


def names(pem: bytes) -> list[str]:
    """DNS names that a certificate is for, with its common name where that is one. ValueError for what is no certificate."""
    from cryptography import x509

    certificate = x509.load_pem_x509_certificate(pem)
    common = [str(one.value) for one in certificate.subject.get_attributes_for_oid(x509.oid.NameOID.COMMON_NAME)]
    try:
        given = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        alternative = given.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        alternative = []
    return [name for name in (*common, *alternative) if name and not _is_address(name)]


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
