"""How the page is read, and when an output is what it shows."""

from __future__ import annotations

import pytest

from .page import Block, blocks, difference, shape, steps, with_outputs

PAGE = """# Title
## One
Words.
<!-- on: a b; role: worker -->
```sh
first
second
```
## Two
```text
nothing
```
<!-- on: c; again: worker; until -->
```console
# command
shown
```
"""


def test_blocks_know_their_section_hosts_and_options() -> None:
    one, two = blocks(PAGE)
    assert one == Block("One", 5, "sh", "first\nsecond\n", ("a", "b"), ("role: worker",))
    assert (two.heading, two.hosts, two.values("again"), "until" in two.options) == ("Two", ("c",), ["worker"], True)


def test_a_command_must_say_where() -> None:
    with pytest.raises(ValueError, match="line 2: a block of sh does not say on which host it runs"):
        list(blocks("text\n```sh\nx\n```\n"))


def test_outputs_that_came_into_the_page() -> None:
    _, two = blocks(PAGE)
    assert with_outputs(PAGE, {two: ["came\nmore\n"]}) == PAGE.replace("shown\n", "came\nmore\n")
    assert with_outputs(PAGE, {two: [""]}) == PAGE.replace("shown\n", "")


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("# a\n", [("a", "")]),
        ("# a\nx\ny\n# b\nz\n", [("a", "x\ny\n"), ("b", "z\n")]),
        ("# a \\\n  b\nx\n", [("a \\\n  b", "x\n")]),
    ],
)
def test_steps(body: str, found: list[tuple[str, str]]) -> None:
    assert steps(body) == found


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("worker1   Ready    <none>   16s   v1.37.0+pybernetes.0.0.1", "worker1 Ready <none> 2m3s v1.38.0"),
        ("hello-6c7d49cbd5-2f8zm 10.244.0.3", "hello-76c5d8f4b-vb9kq 10.244.12.4"),
        ("https://10.20.0.11:2379 is healthy: took = 8.371ms", "https://10.20.0.11:2379 is healthy: took = 1.5s"),
        ("notBefore=Nov 30 12:30:05 2026 GMT", "notBefore=Jan  3 01:02:03 2027 GMT"),
    ],
)
def test_what_is_another_one_each_time(one: str, other: str) -> None:
    assert shape(one) == shape(other)


@pytest.mark.parametrize(
    ("shown", "came", "words"),
    [
        ("a\nb\n", "b\na\n", ""),
        ("a\n", "a\nb\n", "here, but not shown on the page"),
        ("a\nb\n", "a\n", "shown on the page, but not here"),
        ("a\n...\n", "x\na\ny\n", ""),
        ("a\n...\n", "x\n", "shown on the page, but not here"),
        ("NAME READY\nx 1/1\n", "NAME READY\nx 0/1\n", "shown on the page, but not here"),
        ("eth0 10.20.0.10\n", "eth0 10.20.0.11\n", "shown on the page, but not here"),
    ],
)
def test_difference(shown: str, came: str, words: str) -> None:
    told = difference(shown, came)
    assert words in told and bool(words) == bool(told)
