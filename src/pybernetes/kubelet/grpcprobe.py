"""Asks grpc.health.v1.Health/Check (upstream: pkg/probe/grpc): one unary call over HTTP/2, by hand.

A library for one message a probe would cost more memory than the rest of the kubelet. What is asked is fixed; of the answer only
the DATA frame with the status counts, so that headers need no decoding.
"""

from __future__ import annotations

import asyncio
import struct

from pybernetes.api import version

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY = 0x0, 0x1, 0x3, 0x4, 0x6, 0x7
END_STREAM, ACK, END_HEADERS = 0x1, 0x1, 0x4
STREAM = 1
MAX_FRAME = 16 << 10  # HTTP/2's without a setting that asks for more; a health answer has seven bytes
UNKNOWN, SERVING = 0, 1
NAMES = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def literal(name: bytes, value: bytes) -> bytes:
    """A header field without indexing and without compression (RFC 7541, 6.2.2); both under 127 bytes."""
    return b"\x00" + bytes((len(name),)) + name + bytes((len(value),)) + value


def request(authority: str, service: str) -> bytes:
    """Everything that the client says."""
    fields = (
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", b"/grpc.health.v1.Health/Check"),
        (b":authority", authority.encode()),
        (b"content-type", b"application/grpc"),
        (b"te", b"trailers"),
        (b"user-agent", f"kube-probe/{version.MINOR}".encode()),
    )
    headers = b"".join(literal(name, value) for name, value in fields)
    text = service.encode()
    message = b"\x0a" + _varint(len(text)) + text if text else b""
    body = b"\x00" + struct.pack(">I", len(message)) + message
    return (
        PREFACE
        + frame(SETTINGS, 0, 0, b"")
        + frame(HEADERS, END_HEADERS, STREAM, headers)
        + frame(DATA, END_STREAM, STREAM, body)
    )


def _varint(number: int) -> bytes:
    return bytes((number,)) if number < 0x80 else bytes((number & 0x7F | 0x80,)) + _varint(number >> 7)


def status_of(body: bytes) -> int:
    """HealthCheckResponse.status of a length-prefixed message; the default is left out on the wire."""
    message = body[5:]
    return message[1] if len(message) >= 2 and message[0] == 0x08 else UNKNOWN


async def check(host: str, port: int, service: str = "") -> int:
    """The status; ConnectionError where the server answers with something else."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(request(f"{host}:{port}", service))
        body = b""
        while True:
            head = await reader.readexactly(9)
            length, kind, flags = int.from_bytes(head[:3]), head[3], head[4]
            if length > MAX_FRAME or len(body) > MAX_FRAME:
                raise ConnectionResetError("the answer is too large for the grpc health protocol")
            payload = await reader.readexactly(length)
            if kind == DATA:
                body += payload
                if len(body) >= 5 and len(body) >= 5 + int.from_bytes(body[1:5]):
                    return status_of(body)
            elif kind == SETTINGS and not flags & ACK:
                writer.write(frame(SETTINGS, ACK, 0, b""))
            elif kind == PING and not flags & ACK:
                writer.write(frame(PING, ACK, 0, payload))
            elif kind in (RST_STREAM, GOAWAY) or (kind == HEADERS and flags & END_STREAM):
                raise ConnectionResetError(
                    "the server does not implement the grpc health protocol (grpc.health.v1.Health)"
                )
    except asyncio.IncompleteReadError as error:
        raise ConnectionResetError("the connection ended before an answer") from error
    finally:
        writer.close()
