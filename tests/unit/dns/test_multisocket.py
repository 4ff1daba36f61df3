"""multisocket: how many sockets, and what it waits for."""

from __future__ import annotations

import pytest

from pybernetes.dns.corefile import CorefileError
from pybernetes.dns.plugins import multisocket

from .chains import context, directive


def test_the_directive() -> None:
    block = context()
    plugin = multisocket.setup(directive("multisocket 3"), block)
    assert (block.sockets, plugin.ready()) == (3, True)
    block = context()
    multisocket.setup(directive("multisocket"), block)
    assert block.sockets >= 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("multisocket 0", "num sockets can not be zero or negative: 0"),
        ("multisocket 65", "num sockets exceeds maximum (64): 65"),
        ("multisocket x", 'invalid num sockets: strconv.Atoi: parsing "x": invalid syntax'),
        ("multisocket 1 2", "Wrong argument count"),
    ],
)
def test_mistakes(text: str, message: str) -> None:
    with pytest.raises(CorefileError) as caught:
        multisocket.setup(directive(text), context())
    assert message in str(caught.value)
