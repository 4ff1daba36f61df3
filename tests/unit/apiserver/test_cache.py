"""The watch cache: order, watchers that are woken only by what they want, kept frames."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from pybernetes.api.errors import StatusError
from pybernetes.apiserver.generic import cache
from pybernetes.apiserver.generic.cache import KeptFrames, ResourceCache, Stored, TooOld
from pybernetes.store.types import KeyValue

PREFIX = "/registry/core/pods/"


def value(name: str, node: str = "") -> bytes:
    return b'{"apiVersion":"v1","kind":"Pod","metadata":{"name":"%b","namespace":"a"},"spec":{"nodeName":"%b"}}' % (
        name.encode(),
        node.encode(),
    )


def node(stored: Stored) -> str:
    return str(stored.obj["spec"]["nodeName"])


class Pods(ResourceCache):
    """Applies what a test says, one revision after the other."""

    def __init__(self) -> None:
        super().__init__(PREFIX)
        self.revision = 0

    def put(self, name: str, on: str = "") -> None:
        self.revision += 1
        key = f"{PREFIX}a/{name}"
        self.apply(self.revision, key, KeyValue(key, value(name, on), self.revision, self.revision))

    def delete(self, name: str) -> None:
        self.revision += 1
        self.apply(self.revision, f"{PREFIX}a/{name}", None)


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(test())


def test_pieces_make_the_object() -> None:
    stored = Stored("k", value("p"), 7)
    assert stored.obj["metadata"] == {"resourceVersion": "7", "name": "p", "namespace": "a"}
    assert stored.data == stored.head + stored.tail
    assert stored.head == b'{"apiVersion":"v1","kind":"Pod",'
    assert stored.head is Stored("l", value("q"), 8).head


def test_range_is_in_order_whatever_the_order_of_writes() -> None:
    pods = Pods()
    for name in ("c", "a", "b", "a"):
        pods.put(name)
    pods.delete("c")
    assert [s.key[-1] for s in pods.range(PREFIX)] == ["a", "b"]
    assert [s.key[-1] for s in pods.range(f"{PREFIX}a/", f"{PREFIX}a/a")] == ["b"]
    assert [s.revision for s in pods.range(f"{PREFIX}a/")] == [4, 3]
    assert list(pods.range(f"{PREFIX}b/")) == []


def test_watchers_with_a_trigger_see_what_enters_stays_and_leaves() -> None:
    async def test() -> None:
        pods = Pods()
        one, other = pods.watch(0, "spec.nodeName", "one", node), pods.watch(0)
        pods.put("p")
        pods.put("p", "one")
        pods.put("p", "one")
        pods.put("p", "two")
        pods.put("q", "two")
        pods.delete("p")
        assert [change.revision for change in await one.batch(1)] == [2, 3, 4]
        assert [change.revision for change in await other.batch(1)] == [1, 2, 3, 4, 5, 6]

    run(test)


def test_an_ended_watcher_is_forgotten() -> None:
    async def test() -> None:
        pods = Pods()
        watchers = [pods.watch(0), pods.watch(0, "spec.nodeName", "one", node)]
        for watcher in watchers:
            watcher.end()
            watcher.end()
        pods.put("p", "one")
        assert pods.watchers == set()
        assert [await watcher.batch(1) for watcher in watchers] == [[], []]

    run(test)


def test_a_watch_from_before_the_ring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "RING", 3)
    pods = Pods()
    pods.ring = type(pods.ring)(maxlen=3)
    for number in range(5):
        pods.put(f"p{number}")
    with pytest.raises(TooOld) as error:
        pods.watch(1)
    assert error.value.oldest == 2


@pytest.mark.parametrize("after", range(6))
def test_a_watch_goes_on_after_its_revision(after: int) -> None:
    async def test() -> None:
        pods = Pods()
        for number in range(5):
            pods.put(f"p{number}")
        watcher = pods.watch(after)
        pods.put("last")
        expected = [*range(after + 1, 6), 6] if after < 6 else []
        assert [change.revision for change in await watcher.batch(1)] == expected

    run(test)


def test_kept_frames_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "FRAMES", 2)
    kept = KeptFrames()
    frames: list[Any] = [kept.keep(number, b"%d" % number) for number in range(3)]
    assert frames == [b"0", b"1", b"2"]
    assert (kept.get(0), kept.get(2)) == (None, b"2")


def test_what_selectors_see_is_found_once() -> None:
    stored, looks = Stored("k", value("p", "one"), 1), []

    def look(obj: Any) -> tuple[dict[str, str], dict[str, str]]:
        looks.append(obj)
        return {}, {"spec.nodeName": obj["spec"]["nodeName"]}

    assert stored.seen(look) == stored.seen(look) == ({}, {"spec.nodeName": "one"})
    assert len(looks) == 1


@pytest.mark.parametrize(
    ("damaged", "words"),
    [
        (
            b"\x00\xff",
            r"couldn't get version/kind; json parse error: invalid character '\x00' looking for beginning of value",
        ),
        (b"", "couldn't get version/kind; json parse error: unexpected end of JSON input"),
        (value("a")[:-3], "couldn't get version/kind; json parse error: unexpected end of JSON input"),
        (b'{"kind":"Pod"}', f"the value of {PREFIX}a/a is no object"),
        (b"[]", f"the value of {PREFIX}a/a is no object"),
        (b'{"metadata":5}', f"the value of {PREFIX}a/a is no object"),
    ],
)
def test_who_reads_a_damaged_value_is_told_so(damaged: bytes, words: str) -> None:
    """Whatever is read of it: a broken disk must neither make answers that are no JSON nor stop the cache, nor hide an object."""
    pods = ResourceCache(PREFIX)
    key = f"{PREFIX}a/a"
    pods.replace([KeyValue(key, value("b"), 1, 1)], 1)
    by_node = pods.watch(1, "spec.nodeName", "n", node)
    pods.apply(2, key, KeyValue(key, damaged, 2, 2))
    broken = pods.items[key]
    for read in (lambda: broken.data, lambda: broken.tail, lambda: broken.obj, broken.peek, broken.copy):
        with pytest.raises(StatusError) as refused:
            read()
        assert (refused.value.code, str(refused.value)) == (500, words)
    assert len(by_node._queue) == 1  # who watches learns of it, whatever it watches for
    pods.apply(3, key, KeyValue(key, value("c"), 3, 3))
    assert pods.items[key].obj["metadata"]["name"] == "c"
