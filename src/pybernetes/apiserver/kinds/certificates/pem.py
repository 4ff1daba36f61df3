"""What is wrong with a request or a chain of certificates, in base64 of PEM (upstream: pkg/apis/certificates/{helpers.go,validation})."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator

_BLOCK = re.compile(rb"-----BEGIN ([^\n-]+)-----\r?\n(.*?)-----END \1-----", re.S)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text)
    except binascii.Error:
        return b""


def _blocks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(type, what is in it) of each PEM block; b"" for what is no base64, or has headers."""
    for found in _BLOCK.finditer(data):
        try:
            yield found[1], base64.b64decode(found[2], validate=False) if b":" not in found[2] else b""
        except binascii.Error:
            yield found[1], b""


def request_error(text: str) -> str:
    """Why it is no certificate request; "" if it is one."""
    from cryptography import x509  # only requests need it

    first = next(_blocks(_decoded(text)), None)
    if first is None or first[0] != b"CERTIFICATE REQUEST":
        return "PEM block type must be CERTIFICATE REQUEST"
    try:
        x509.load_der_x509_csr(first[1])
    except ValueError as error:
        return f"{error}"
    return ""


def certificates_error(text: str) -> str:
    """Why it is no chain of certificates; "" if it is one."""
    from cryptography import x509  # as above

    found = 0
    for kind, der in _blocks(_decoded(text)):
        if kind != b"CERTIFICATE":
            continue
        try:
            x509.load_der_x509_certificate(der)
        except ValueError as error:
            return f"{error}"
        found += 1
    return "" if found else "must contain at least one CERTIFICATE PEM block"
