"""Parameters of requests as Go reads them."""

import pytest

from pybernetes.api.strconv import NumberError
from pybernetes.apiserver.query import parse


@pytest.mark.parametrize(
    ("text", "first", "every"),
    [
        (b"", None, []),
        (b"a", "", [""]),
        (b"a=1&a=2", "1", ["1", "2"]),
        (b"a=1&b=2&a=1&a=3", "1", ["1", "1", "3"]),
        (b"a=&a=2", "", ["", "2"]),
        (b"%61=1+2%2B", "1 2+", ["1 2+"]),
        (b"a=%zz&a=2", "2", ["2"]),
        (b"a=1;2&a=%", None, []),
        (b"a==1&=3", "=1", ["=1"]),
        (b"a=%C3%A9", "é", ["é"]),
    ],
)
def test_values(text: bytes, first: str | None, every: list[str]) -> None:
    query = parse(text)
    assert (query.get("a"), query.every("a")) == (first, every)


@pytest.mark.parametrize(
    ("text", "yes"), [(b"", False), (b"a", True), (b"a=", True), (b"a=FALSE", False), (b"a=0", False), (b"a=no", True)]
)
def test_flags(text: bytes, yes: bool) -> None:
    """A name without a value is a yes: `?watch` watches."""
    assert parse(text).flag("a") is yes


def test_numbers() -> None:
    assert (parse(b"a=%2B7").integer("a"), parse(b"").integer("a")) == (7, None)
    with pytest.raises(NumberError, match=r'strconv.ParseInt: parsing "": invalid syntax'):
        parse(b"a=").integer("a")
