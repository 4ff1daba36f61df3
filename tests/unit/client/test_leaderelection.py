"""Who takes the lease."""

import asyncio
from typing import Any

import pytest

from pybernetes.aio.clock import VirtualClock
from pybernetes.api.errors import not_found
from pybernetes.api.types import coordination_v1, core_v1
from pybernetes.client.leaderelection import LeaderElector, Observed, Options, decide


def lease(holder: str | None, renewed: str = "t1") -> coordination_v1.Lease:
    return coordination_v1.Lease(spec=coordination_v1.LeaseSpec(holder_identity=holder, renew_time=renewed))


@pytest.mark.parametrize(
    ("held", "observed", "expected"),
    [
        (None, Observed(), "create"),
        (lease("me"), Observed(("me", "t1"), 0), "renew"),
        (lease("other"), Observed(), "wait"),  # first seen now: its age is not known
        (lease("other"), Observed(("other", "t1"), 90), "wait"),
        (lease("other"), Observed(("other", "t1"), 85), "acquire"),
        (lease("other", "t2"), Observed(("other", "t1"), 10), "wait"),  # it was renewed
        (lease(""), Observed(), "acquire"),  # it was released
    ],
)
def test_decide(held: coordination_v1.Lease | None, observed: Observed, expected: str) -> None:
    assert decide(held, observed, "me", 15, 100) == expected


class FakeServer:
    """Holds one lease; takes events. `silent`: it does not answer."""

    def __init__(self) -> None:
        self.lease: coordination_v1.Lease | None = None
        self.events: list[core_v1.Event] = []
        self.silent = False

    async def get(self, kind: Any, name: str, namespace: str = "") -> Any:
        if self.silent:
            raise ConnectionError("silent")
        if self.lease is None:
            raise not_found("coordination.k8s.io", "leases", name)
        return self.lease

    async def create(self, obj: Any) -> Any:
        if isinstance(obj, core_v1.Event):
            self.events.append(obj)
        else:
            self.lease = obj
        return obj

    async def update(self, obj: Any) -> Any:
        self.lease = obj
        return obj


def test_leading_ends_with_the_lease() -> None:
    async def main() -> FakeServer:
        clock, server = VirtualClock(), FakeServer()
        client: Any = server
        elector = LeaderElector(client, Options("part", "me"), clock)

        async def lead() -> None:
            await asyncio.Event().wait()

        task = asyncio.ensure_future(elector.run(lead))
        await clock.advance(60)
        assert elector.is_leader and elector.problem() == ""
        server.silent = True
        await clock.advance(9)
        assert elector.is_leader  # it tries for the renew deadline
        await clock.advance(5)
        await task
        assert not elector.is_leader
        return server

    server = asyncio.run(main())
    assert [event.message for event in server.events] == ["me became leader"]
    assert server.lease is not None and server.lease.spec.holder_identity == "me"


def test_the_lease_is_given_back() -> None:
    async def main() -> FakeServer:
        server = FakeServer()
        client: Any = server
        elector = LeaderElector(client, Options("part", "me"), VirtualClock())

        async def lead() -> None:
            raise RuntimeError("broken")

        with pytest.raises(RuntimeError, match="broken"):
            await elector.run(lead)
        return server

    server = asyncio.run(main())
    assert server.lease is not None and server.lease.spec.holder_identity == ""
