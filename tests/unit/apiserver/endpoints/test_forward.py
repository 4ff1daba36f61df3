"""What is passed on, what is not, and what is said where nobody answers."""

import socket

import pytest

from pybernetes.apiserver.endpoints.connect import forward
from pybernetes.apiserver.endpoints.connect.location import Location
from pybernetes.client.http import ConnectFailed
from pybernetes.wire.http import Request

NODE = Location("https", "10.0.0.1", 10250, "/exec/a/b/c", kubelet=True)


def caused(error: Exception) -> ConnectFailed:
    failed = ConnectFailed("cannot connect")
    failed.__cause__ = error
    return failed


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (caused(ConnectionRefusedError(111, "x")), "dial tcp 10.0.0.1:10250: connect: connection refused"),
        (caused(OSError(113, "x")), "dial tcp 10.0.0.1:10250: connect: no route to host"),
        (caused(TimeoutError()), "dial tcp 10.0.0.1:10250: i/o timeout"),
        (caused(socket.gaierror(-2, "x")), "dial tcp: lookup 10.0.0.1: no such host"),
        (ConnectionResetError("connection closed by the server"), "connection closed by the server"),
    ],
)
def test_dial_errors(error: Exception, text: str) -> None:
    assert forward.dial_error(error, NODE) == text


def test_credentials_and_hops_end_here() -> None:
    """Also hops that the header Connection names; the host stays as the client asked for it."""
    kept = (("host", "h"), ("accept", "a/b"), ("sec-websocket-key", "k"), ("x-stream-protocol-version", "v4"))
    dropped = (
        *(("authorization", "Bearer x"), ("connection", "upgrade, X-Hop"), ("upgrade", "SPDY/3.1"), ("x-hop", "1")),
        *(("impersonate-user", "u"), ("impersonate-extra-a", "b"), ("content-length", "3"), ("te", "gzip")),
        *(("x-remote-user", "u"), ("x-remote-group", "g"), ("x-remote-uid", "1"), ("x-remote-extra-a", "b")),
        *(("transfer-encoding", "chunked"), ("x-forwarded-uri", "/x")),
    )
    assert forward.forwarded_headers(Request("GET", b"/", b"", (*dropped, *kept))) == list(kept)


@pytest.mark.parametrize(
    ("before", "peer", "told"),
    [
        ([], "10.0.0.9", ["10.0.0.9"]),
        (["1.2.3.4"], "10.0.0.9", ["1.2.3.4, 10.0.0.9"]),
        (["1.2.3.4", "5.6.7.8, 9.9.9.9"], "::1", ["1.2.3.4, 5.6.7.8, 9.9.9.9, ::1"]),
        (["1.2.3.4"], "", ["1.2.3.4"]),
    ],
)
def test_through_whom_it_came(before: list[str], peer: str, told: list[str]) -> None:
    headers = tuple(("x-forwarded-for", one) for one in before)
    sent = forward.forwarded_headers(Request("GET", b"/", b"", headers, peer=peer))
    assert sent == [("x-forwarded-for", one) for one in told]


def test_answers_headers() -> None:
    given = [("content-type", "a/b"), ("access-control-allow-origin", "*"), ("connection", "close"), ("x", "y")]
    assert forward.answered_headers(given) == [("content-type", "a/b"), ("x", "y")]
