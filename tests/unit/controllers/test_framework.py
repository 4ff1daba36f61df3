"""What every controller is made of."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pybernetes.aio.clock import VirtualClock
from pybernetes.api.errors import conflict
from pybernetes.api.labels import as_selector
from pybernetes.api.pods import is_available
from pybernetes.api.types import apps_v1 as apps
from pybernetes.api.types import core_v1 as core
from pybernetes.client.events import EventBroadcaster
from pybernetes.client.memory import MemoryClient, MemoryInformers
from pybernetes.controllers import CONTROLLERS, selected
from pybernetes.controllers.common import deletion_cost, scaled, template_hash
from pybernetes.controllers.framework import (
    EXPECTATIONS_SECONDS,
    Again,
    Claims,
    Context,
    Controller,
    Expectations,
    resolve,
    slow_start,
)

from .objects import LABELS, NOW, ago, owned, pod, replica_set, selector, template

# --- which controllers


def test_selection() -> None:
    every = [entry.name for entry in selected(["*"])]
    assert every == [entry.name for entry in CONTROLLERS if entry.default]
    assert [entry.name for entry in selected(["deployment"])] == ["deployment-controller"]
    assert "job-controller" not in [entry.name for entry in selected(["*", "-job-controller"])]
    with pytest.raises(ValueError, match='"x" is not in the list of known controllers'):
        selected(["x"])


def test_names_are_unique_and_all_can_be_loaded() -> None:
    names = [name for entry in CONTROLLERS for name in (entry.name, *entry.aliases)]
    assert len(names) == len(set(names))
    for entry in CONTROLLERS:
        assert issubclass(entry.load(), Controller) and entry.load().name == entry.name


# --- expectations


def test_expectations() -> None:
    clock = VirtualClock()
    expected = Expectations(clock)
    assert expected.satisfied("k")
    expected.expect("k", additions=2, deletions=["a"])
    expected.created("k")
    expected.created("k")
    assert not expected.satisfied("k")
    expected.deleted("k", "a")
    assert expected.satisfied("k")
    expected.expect("k", additions=1)
    assert not expected.satisfied("k")
    asyncio.run(clock.advance(EXPECTATIONS_SECONDS + 1))
    assert expected.satisfied("k")


# --- slow start


@pytest.mark.parametrize(
    ("count", "refused", "done", "tried"), [(10, None, 10, 10), (10, 0, 0, 1), (10, 2, 2, 3), (0, None, 0, 0)]
)
def test_slow_start(count: int, refused: int | None, done: int, tried: int) -> None:
    calls: list[int] = []

    async def work(number: int) -> None:
        calls.append(number)
        if number == refused:
            raise conflict("", "pods", "p", "no")

    made, error = asyncio.run(slow_start(count, work))
    assert (made, len(calls), error is not None) == (done, tried, refused is not None)


# --- claims


def claim(client: MemoryClient, *pods: core.Pod, owner: apps.ReplicaSet | None = None) -> list[str]:
    rs = owner or replica_set("web", 1)
    claims = Claims(client, core.Pod, rs, as_selector(selector()))
    return [p.metadata.name for p in asyncio.run(claims.claim(pods))]


def test_claims() -> None:
    rs, other = replica_set("web", 1), replica_set("other", 1)
    mine = pod("mine", owner_references=owned(rs))
    strange = pod("strange", owner_references=owned(other))
    orphan, unlike = pod("orphan"), pod("unlike", labels={})
    lost = pod("lost", labels={}, owner_references=owned(rs))
    pods = (mine, strange, orphan, unlike, lost, pod("going", deleted=True))
    client = MemoryClient(rs, *pods)
    assert claim(client, *pods) == ["mine", "orphan"]
    assert [request.name for request in client.asked("patch")] == ["orphan", "lost"]
    owners = {p.metadata.name: [ref.uid for ref in p.metadata.owner_references] for p in client.all(core.Pod)}
    assert owners == {"mine": ["web"], "strange": ["other"], "orphan": ["web"], "unlike": [], "lost": [], "going": []}


def test_who_is_leaving_adopts_nothing() -> None:
    gone = replica_set("web", 1)
    gone.metadata.deletion_timestamp = NOW
    client = MemoryClient(gone, pod("orphan"))
    with pytest.raises(Again):
        claim(client, pod("orphan"))
    assert claim(client, pod("orphan"), owner=gone) == []
    renewed = replica_set("web", 1)
    renewed.metadata.uid = "another"
    with pytest.raises(Again, match="got uid another"):
        claim(MemoryClient(renewed), pod("orphan"))
    assert client.asked("patch") == []


def test_an_orphan_that_vanishes_is_nobodys() -> None:
    assert claim(MemoryClient(replica_set("web", 1)), pod("orphan")) == []


# --- the queue


class Stubborn(Controller):
    """Fails so many times."""

    name = "stubborn-controller"
    max_retries = 3

    def __init__(self, context: Context, failures: int) -> None:
        super().__init__(context, 1)
        self.failures, self.calls = failures, 0

    async def sync(self, key: Any) -> None:
        self.calls += 1
        if self.calls <= self.failures:
            raise conflict("", "pods", "p", "changed")


@pytest.mark.parametrize(("failures", "calls"), [(0, 1), (2, 3), (99, 4)])
def test_a_key_is_tried_again_with_back_off(failures: int, calls: int) -> None:
    async def main() -> int:
        clock = VirtualClock()
        client = MemoryClient()
        context = Context(client, MemoryInformers(client), EventBroadcaster(client, clock), clock)
        controller = Stubborn(context, failures)
        controller.queue.add(("ns", "a"))
        task = asyncio.ensure_future(controller.run())
        for _ in range(12):
            await clock.advance(0.5)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        text = context.registry.text()
        assert f'workqueue_adds_total{{name="stubborn-controller"}} {calls}' in text
        assert 'workqueue_depth{name="stubborn-controller"} 0' in text
        return controller.calls

    assert asyncio.run(main()) == calls


# --- what they share


@pytest.mark.parametrize(
    ("value", "total", "up", "expected"),
    [(None, 9, True, 0), (3, 9, True, 3), ("25%", 10, True, 3), ("25%", 10, False, 2), ("0%", 5, True, 0)],
)
def test_scaled(value: int | str | None, total: int, up: bool, expected: int) -> None:
    assert scaled(value, total, up) == expected


def test_scaled_refuses_other_text() -> None:
    with pytest.raises(ValueError, match="neither a number nor a percentage"):
        scaled("x", 1, True)


@pytest.mark.parametrize(
    ("text", "cost"), [("5", 5), ("-7", -7), ("+5", 0), ("05", 0), ("x", 0), ("", 0), ("9999999999", 0)]
)
def test_deletion_cost(text: str, cost: int) -> None:
    assert deletion_cost(pod("p", annotations={"controller.kubernetes.io/pod-deletion-cost": text})) == cost


def test_availability() -> None:
    assert is_available(pod("p", ready=10), 10, NOW) and not is_available(pod("p", ready=9), 10, NOW)
    assert is_available(pod("p", ready=0), 0, NOW) and not is_available(pod("p"), 0, NOW)


def test_a_hash_is_stable_and_of_the_template() -> None:
    assert template_hash(template(), None) == template_hash(template(), None)
    assert template_hash(template(), None) != template_hash(template("j"), None)
    assert template_hash(template(), None) != template_hash(template(), 1)
    assert set(template_hash(template(), None)) <= set("bcdfghjklmnpqrstvwxz2456789")


def test_owners_are_resolved_by_uid() -> None:
    rs = replica_set("web", 1)

    class Sets:
        def get(self, name: str, namespace: str) -> Any:
            return rs if name == "web" else None

    reference = owned(rs)[0]
    sets: Any = Sets()
    assert resolve(sets, reference, "ns", "ReplicaSet") is rs
    assert resolve(sets, reference, "ns", "Job") is None
    reference.uid = "former"
    assert resolve(sets, reference, "ns", "ReplicaSet") is None
    assert LABELS and ago(0) == NOW
