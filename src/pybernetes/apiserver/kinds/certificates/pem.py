"""What is wrong with a request or a chain of certificates, in base64 of PEM (upstream: pkg/apis/certificates/{helpers.go,validation})."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator

_BEGIN, _END, _DASHES = b"-----BEGIN ", b"-----END ", b"-----"


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text)
    except binascii.Error:
        return b""


def _blocks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(type, what is in it) of each PEM block; b"" for what is no base64, or has headers.

    Each byte is looked at a few times only, however many lines begin a block that none ends (upstream: encoding/pem Decode).
    """
    place = data.find(_BEGIN)
    while place >= 0:
        line_end, next_begin = data.find(b"\n", place), data.find(_BEGIN, place + 1)
        end = data.find(_END, place, next_begin if next_begin >= 0 else len(data))
        kind, dashes, rest = data[place + len(_BEGIN) : max(line_end, place)].rstrip(b"\r").partition(_DASHES)
        if 0 <= line_end < end and kind and dashes and not rest and data.startswith(kind + _DASHES, end + len(_END)):
            text = data[line_end + 1 : end]
            try:
                yield kind, base64.b64decode(text, validate=False) if b":" not in text else b""
            except binascii.Error:
                yield kind, b""
        place = next_begin


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

    blocks = 0
    for kind, der in _blocks(_decoded(text)):
        if kind != b"CERTIFICATE":
            continue
        try:
            x509.load_der_x509_certificate(der)
        except ValueError as error:
            return f"{error}"
        blocks += 1
    return "" if blocks else "must contain at least one CERTIFICATE PEM block"
