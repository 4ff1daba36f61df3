"""Base64 as Go reads it."""

from __future__ import annotations

import pytest

from pybernetes.api.gobase64 import IllegalBase64, decode, encode


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("", b""),
        ("\r\n", b""),
        ("aGk=", b"hi"),
        ("aGl=", b"hi"),  # bits behind the last byte
        ("aG\nk\r=\n", b"hi"),
        ("aA=\n=\n", b"h"),
        ("aGVsbG8h", b"hello!"),
    ],
)
def test_decode(text: str, data: bytes) -> None:
    assert decode(text) == data
    assert decode(encode(data)) == data


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ("a", 0),
        ("aGk", 0),
        ("aGVsbG", 4),
        ("aG\nk", 1),  # Go steps back from the end by the digits it has, whatever stands between
        ("=", 0),
        ("a===", 1),
        ("aA=", 3),
        ("aA=b", 2),
        ("aA==b", 4),
        ("aGk=\nb", 5),
        ("aGk!", 3),
        ("aGVs bG8=", 4),
        ("aGVs-_8=", 4),
        ("\xe9aaa", 0),
    ],
)
def test_illegal(text: str, offset: int) -> None:
    with pytest.raises(IllegalBase64) as refused:
        decode(text)
    assert refused.value.offset == offset
    assert str(refused.value) == f"illegal base64 data at input byte {offset}"
