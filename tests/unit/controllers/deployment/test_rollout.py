"""Rollouts, whatever happens between two syncs: never too many pods, never too few available, and in the end all of the new template."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from pybernetes.api.types import apps_v1 as apps
from pybernetes.controllers.deployment import util
from pybernetes.controllers.deployment.plan import (
    Action,
    CreateReplicaSet,
    DeleteReplicaSet,
    UpdateReplicaSet,
    UpdateStatus,
    plan,
)

from ..objects import NOW, meta, selector, template

SIZES = st.integers(0, 5)
SHARES = st.one_of(SIZES, st.sampled_from(["0%", "25%", "40%", "100%"]))
EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("image"), st.sampled_from("abc")),
        st.tuples(st.just("create"), SIZES),
        st.tuples(st.just("ready"), SIZES),
        st.tuples(st.just("fail"), SIZES),
        st.tuples(st.just("sync"), st.just(0)),
    ),
    max_size=30,
)


class World:
    """A deployment and what its replica sets' controller makes of them: sets shrink at once, and grow when told to."""

    def __init__(self, replicas: int, surge: int | str, unavailable: int | str) -> None:
        rolling = apps.RollingUpdateDeployment(max_surge=surge, max_unavailable=unavailable)
        self.d = apps.Deployment(
            metadata=meta("web", generation=1),
            spec=apps.DeploymentSpec(
                replicas=replicas,
                selector=selector(),
                template=template("a"),
                strategy=apps.DeploymentStrategy(type="RollingUpdate", rolling_update=rolling),
                revision_history_limit=1,
            ),
        )
        self.sets: dict[str, apps.ReplicaSet] = {}
        self.pods: dict[str, int] = {}
        self.available: dict[str, int] = {}
        self.age = 0

    @property
    def asked(self) -> int:
        """Pods that all replica sets together are for."""
        return sum(rs.spec.replicas or 0 for rs in self.sets.values())

    def observe(self) -> None:
        """The status of the replica sets is what there is."""
        for name, rs in self.sets.items():
            size = rs.spec.replicas or 0
            self.pods[name] = min(self.pods.get(name, 0), size)
            self.available[name] = min(self.available.get(name, 0), self.pods[name])
            counts = {"ready_replicas": self.available[name], "available_replicas": self.available[name]}
            status = apps.ReplicaSetStatus(
                replicas=self.pods[name], observed_generation=rs.metadata.generation, **counts
            )
            self.sets[name] = msgspec.structs.replace(rs, status=status)

    def image(self, image: str) -> None:
        self.d.spec.template = template(image)

    def create(self, count: int) -> None:
        for name, rs in self.sets.items():
            self.pods[name] = min(rs.spec.replicas or 0, self.pods[name] + count)

    def ready(self, count: int) -> None:
        for name, pods in self.pods.items():
            self.available[name] = min(pods, self.available[name] + count)

    def fail(self, count: int) -> None:
        for name in self.pods:
            self.available[name] = max(0, self.available[name] - count)

    def sync(self, _: int = 0) -> list[Action]:
        self.observe()
        actions = plan(self.d, list(self.sets.values()), {}, NOW)
        for action in actions:
            match action:
                case CreateReplicaSet(rs):
                    self.age += 1
                    rs.metadata.uid, rs.metadata.creation_timestamp = (
                        rs.metadata.name,
                        NOW + timedelta(seconds=self.age),
                    )
                    self.sets[rs.metadata.name] = rs
                case UpdateReplicaSet(rs):
                    self.sets[rs.metadata.name] = rs
                case DeleteReplicaSet(rs):
                    assert not rs.spec.replicas and not self.pods[rs.metadata.name]
                    del self.sets[rs.metadata.name], self.pods[rs.metadata.name], self.available[rs.metadata.name]
                case UpdateStatus(deployment):
                    self.d = deployment
        self.observe()
        return actions


@settings(max_examples=300)
@given(SIZES, SHARES, SHARES, EVENTS)
def test_a_rollout_keeps_its_bounds_and_ends(
    replicas: int, surge: int | str, unavailable: int | str, events: list[tuple[str, Any]]
) -> None:
    world = World(replicas, surge, unavailable)
    most_more, most_fewer = util.fenceposts(surge, unavailable, replicas)

    def happens(name: str, argument: Any) -> None:
        world.observe()
        before = sum(world.available.values())
        getattr(world, name)(argument)
        assert sum(world.pods.values()) <= world.asked <= replicas + most_more
        if name == "sync":  # it takes what is available no lower than allowed, and not at all where it is lower already
            assert sum(world.available.values()) >= min(before, replicas - most_fewer)

    def ends() -> None:
        for _ in range(100):
            happens("create", 1)
            happens("ready", 1)
            happens("sync", 0)
            if not world.sync() and all(world.available[name] == rs.spec.replicas for name, rs in world.sets.items()):
                break
        image = world.d.spec.template.spec.containers[0].image
        sizes = {rs.spec.template.spec.containers[0].image: rs.spec.replicas for rs in world.sets.values()}
        assert {name: size for name, size in sizes.items() if size} == ({image: replicas} if replicas else {})
        assert util.is_complete(world.d, world.d.status)
        assert len(world.sets) <= 2  # the new one and a history of one

    ends()
    for name, argument in (("image", "b"), ("sync", 0), *events):
        happens(name, argument)
    ends()


@given(st.integers(1, 5), st.integers(0, 8), SHARES, EVENTS)
def test_another_size_in_the_middle_of_a_rollout(first: int, second: int, surge: int | str, events: list[Any]) -> None:
    world = World(first, surge, 1)
    for name, argument in events:
        getattr(world, name)(argument)
        world.observe()
    world.d.spec.replicas = second
    before = world.asked
    world.sync()
    allowed = second + util.max_surge(world.d) if second else 0
    assert world.asked <= max(before, allowed)
    for _ in range(100):
        world.sync()
        world.create(1)
        world.ready(1)
    assert world.asked == second == sum(world.available.values())


def test_a_rollout_of_two_thousand_million_plans_no_more_than_one_write_a_set() -> None:
    world = World(2**31 - 1, "100%", 0)
    world.sync()
    world.image("b")
    assert len([action for action in world.sync() if not isinstance(action, UpdateStatus)]) <= 2
