"""The serving certificate of a part: given, found in --cert-dir, or made for the occasion (apiserver's SecureServingOptions)."""

from __future__ import annotations

import ipaddress
import os
import ssl
import tempfile
from datetime import datetime, timedelta
from pathlib import Path

LIFETIME = timedelta(days=365)
SKEW = timedelta(hours=1)


def self_signed(host: str, addresses: list[str], now: datetime) -> tuple[bytes, bytes]:
    """Certificate and key, PEM, for a host name and its addresses; nobody trusts it, as upstream's."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, f"{host}@{int(now.timestamp())}"[:64])])
    others: list[x509.GeneralName] = [x509.DNSName(host), x509.DNSName("localhost")]
    others += [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectAlternativeName(others), critical=False)
        .add_extension(x509.BasicConstraints(True, None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    )
    return (
        builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )


def context(
    certificate_file: str, key_file: str, cert_dir: str, name: str, addresses: list[str], now: datetime
) -> ssl.SSLContext:
    """TLS for a part's port; OSError or ssl.SSLError where the files cannot be used.

    Without files a pair is looked for in `cert_dir` as NAME.crt and NAME.key, and made there; without a folder it is never stored.
    """
    result = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    result.minimum_version = ssl.TLSVersion.TLSv1_2
    if certificate_file or key_file:
        result.load_cert_chain(certificate_file, key_file)
        return result
    if cert_dir:
        paths = Path(cert_dir, f"{name}.crt"), Path(cert_dir, f"{name}.key")
        if not all(path.exists() for path in paths):
            _store(paths, self_signed(_hostname(), addresses, now))
        result.load_cert_chain(*paths)
        return result
    with tempfile.TemporaryDirectory() as folder:  # the ssl module takes files only
        paths = Path(folder, "tls.crt"), Path(folder, "tls.key")
        _store(paths, self_signed(_hostname(), addresses, now))
        result.load_cert_chain(*paths)
    return result


def _hostname() -> str:
    return os.uname().nodename.lower()


def _store(paths: tuple[Path, Path], pair: tuple[bytes, bytes]) -> None:
    paths[0].parent.mkdir(parents=True, exist_ok=True)
    for path, data, mode in zip(paths, pair, (0o644, 0o600), strict=True):
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
            file.write(data)
