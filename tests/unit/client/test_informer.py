"""Informers keep a copy by list and watch, through cuts and compaction."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from pybernetes.aio.clock import VirtualClock
from pybernetes.api import errors
from pybernetes.api.types import core_v1, meta_v1, policy_v1
from pybernetes.client.informer import Cache, SharedInformer, title_of
from pybernetes.client.types import Bookmark, ObjectList, WatchEvent


def pod(name: str, version: str, uid: str = "", node: str = "") -> core_v1.Pod:
    meta = meta_v1.ObjectMeta(name=name, namespace="a", resource_version=version, uid=uid or name)
    return core_v1.Pod(metadata=meta, spec=core_v1.PodSpec(node_name=node))


class Script:
    """A source that plays: each list takes the next answer, each watch the next batch of events or error."""

    title = "pods"

    def __init__(self, lists: list[ObjectList[core_v1.Pod]], watches: list[list[Any]]) -> None:
        self.lists, self.watches, self.asked = lists, watches, list[str]()

    async def list(self, resource_version: str) -> ObjectList[core_v1.Pod]:
        self.asked.append(f"list {resource_version}")
        return self.lists.pop(0)

    async def watch(
        self, resource_version: str, timeout_seconds: int
    ) -> AsyncIterator[WatchEvent[core_v1.Pod] | Bookmark]:
        self.asked.append(f"watch {resource_version}")
        if not self.watches:
            await asyncio.Event().wait()
        for step in self.watches.pop(0):
            if isinstance(step, Exception):
                raise step
            yield step


def play(script: Script) -> tuple[SharedInformer[core_v1.Pod], list[str]]:
    news: list[str] = []
    clock = VirtualClock()

    def heard(old: Any, new: Any) -> None:
        news.append(("+" if old is None else "-" if new is None else "~") + (new or old).metadata.name)

    async def main() -> SharedInformer[core_v1.Pod]:
        informer = SharedInformer(script, clock)
        informer.add_handler(heard)
        task = asyncio.ensure_future(informer.run())
        await informer.wait_synced()
        while script.watches or script.lists:
            await clock.advance(60.0)
        for _ in range(5):
            await asyncio.sleep(0)
        task.cancel()
        return informer

    return asyncio.run(main()), news


def test_resumes_after_a_cut_where_it_was() -> None:
    events = [
        [WatchEvent("ADDED", pod("y", "2")), WatchEvent("MODIFIED", pod("x", "3")), ConnectionResetError("cut")],
        [Bookmark("9")],
    ]
    script = Script([ObjectList([pod("x", "1")], "1")], events)
    informer, news = play(script)
    assert news == ["+x", "+y", "~x"]
    assert script.asked == ["list 0", "watch 1", "watch 3", "watch 9"]
    found = informer.get("x", "a")
    assert found is not None and found.metadata.resource_version == "3"


def test_lists_again_when_the_server_has_forgotten() -> None:
    lists = [
        ObjectList([pod("x", "1"), pod("y", "1")], "1"),
        ObjectList([pod("y", "5", uid="other"), pod("z", "6")], "6"),
    ]
    script = Script(lists, [[errors.expired("too old resource version: 1 (4)")]])
    _, news = play(script)
    assert news == ["+x", "+y", "-x", "-y", "+y", "+z"]
    assert script.asked == ["list 0", "watch 1", "list ", "watch 6"]


def test_says_which_kind_the_server_has_not(caplog: pytest.LogCaptureFixture) -> None:
    assert title_of(policy_v1.PodDisruptionBudget) == "policy/v1 PodDisruptionBudget"
    absent = errors.StatusError({"code": 404, "reason": "NotFound", "message": "page not found"})
    play(Script([ObjectList([pod("x", "1")], "1")], [[absent], [absent], [Bookmark("2"), absent], []]))
    once = "the server has no pods: who needs them waits until it has"
    assert [one.getMessage() for one in caplog.records] == [once, once]  # anew where it was there meanwhile


def test_indexes_follow_changes() -> None:
    cache = Cache[core_v1.Pod]()
    cache.add_index("node", lambda p: [p.spec.node_name] if p.spec.node_name else [])
    cache.replace([pod("x", "1"), pod("y", "1", node="n1")])
    cache.change(("a", "x"), pod("x", "2", node="n1"))
    assert [p.metadata.name for p in cache.by_index("node", "n1")] == ["y", "x"]
    cache.change(("a", "y"), None)
    assert [p.metadata.name for p in cache.by_index("node", "n1")] == ["x"]
    assert list(cache.by_index("node", "n2")) == []
    assert list(cache.list("b")) == []


def test_one_failing_handler_does_not_stop_the_others() -> None:
    cache, heard = Cache[Any](), list[str]()
    cache.add_handler(lambda old, new: heard.append(new.metadata.missing))
    cache.add_handler(lambda old, new: heard.append(new.metadata.name))
    cache.change(("a", "x"), pod("x", "1"))
    assert heard == ["x"]
