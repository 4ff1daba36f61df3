"""Certificates and password files in Secrets (upstream: internal/ingress/controller/store/backend_ssl.go)."""

from __future__ import annotations

import hashlib
from datetime import datetime

from pybernetes.api.types import core_v1 as core
from pybernetes.pki import certificates, keys
from pybernetes.pki.certificates import Leaf
from pybernetes.pki.files import Pair

from .model import Certificate, Key
from .quoting import Invalid

FAKE_NAME = "Kubernetes Ingress Controller Fake Certificate"  # upstream's
FAKE_HOST = "ingress.local"


def fake(now: datetime) -> Certificate:
    """Shown where there is no other: nobody vouches for it."""
    pair = certificates.self_signed(FAKE_NAME, [FAKE_HOST], [], now)
    return certificate("default-fake-certificate", pair)


def of_secret(secret: core.Secret) -> Certificate:
    """Of `tls.crt` and `tls.key`. Invalid, with what is wrong."""
    pair = Pair(secret.data.get("tls.crt", b""), secret.data.get("tls.key", b""))
    for name, data in (("tls.crt", pair.certificate), ("tls.key", pair.key)):
        if not data:
            raise Invalid(f"has no {name}")
    return certificate(f"{secret.metadata.namespace}_{secret.metadata.name}", pair)


def certificate(name: str, pair: Pair) -> Certificate:
    """Invalid."""
    try:
        leaf = Leaf.of(pair.certificate)
    except ValueError:
        raise Invalid("its certificate cannot be read") from None
    if not keys.match(pair):
        raise Invalid("its key is not that of its certificate, or has a password")
    pem = pair.certificate.rstrip() + b"\n" + pair.key.strip() + b"\n"
    names = leaf.names or ((leaf.common_name,) if leaf.common_name else ())
    return Certificate(file_name(name, pem, "pem"), pem, tuple(each.lower() for each in names), leaf.ends)


def passwords(secret: core.Secret) -> tuple[str, bytes]:
    """The file of `auth` (htpasswd's lines): its name and content. Invalid."""
    content = secret.data.get("auth", b"")
    if not content.strip():
        raise Invalid("has no auth, with the lines of htpasswd")
    return file_name(f"{secret.metadata.namespace}_{secret.metadata.name}", content, "htpasswd"), content


def file_name(name: str, content: bytes, suffix: str) -> str:
    """Another one for other content: what runs goes on with its own, however the next configuration fares."""
    return f"{name}_{hashlib.sha256(content).hexdigest()[:16]}.{suffix}"


def is_for(certificate: Certificate, host: str) -> bool:
    """Whether a client that asks for the host takes it (RFC 6125: a wildcard stands for the first label)."""
    wildcard = f"*.{host.partition('.')[2]}"
    return host in certificate.names or (not host.startswith("*.") and wildcard in certificate.names)


def key_of(text: str) -> Key:
    """NAMESPACE/NAME, as flags have it. Invalid."""
    namespace, slash, name = text.partition("/")
    if not slash or not namespace or not name or "/" in name:
        raise Invalid(f"{text!r} is not NAMESPACE/NAME")
    return namespace, name
