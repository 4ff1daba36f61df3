"""Who takes the lease."""

import asyncio

import pytest

from pybernetes.aio.clock import VirtualClock
from pybernetes.api.types import coordination_v1, core_v1
from pybernetes.client.leaderelection import LeaderElector, Observed, Options, decide
from pybernetes.client.memory import MemoryClient, T


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


class Server(MemoryClient):
    """`hangs`: it takes a lease's update and never answers."""

    hangs = False

    async def update(self, obj: T, subresource: str = "") -> T:
        if self.hangs:
            await asyncio.Event().wait()
        return await super().update(obj, subresource)

    def holder(self) -> str | None:
        (lease,) = self.all(coordination_v1.Lease)
        return lease.spec.holder_identity


async def forever() -> None:
    await asyncio.Event().wait()


def test_leading_ends_with_the_lease() -> None:
    async def main() -> Server:
        clock, server = VirtualClock(), Server()
        elector = LeaderElector(server, Options("part", "me"), clock)
        task = asyncio.ensure_future(elector.run(forever))
        await clock.advance(60)
        assert elector.is_leader and elector.problem() == ""
        server.fail(ConnectionError("silent"), "get", coordination_v1.Lease, times=99)
        await clock.advance(9)
        assert elector.is_leader  # it tries for the renew deadline
        await clock.advance(5)
        await task
        assert not elector.is_leader
        return server

    server = asyncio.run(main())
    assert [event.message for event in server.all(core_v1.Event)] == ["me became leader"]
    assert server.holder() == "me"


@pytest.mark.parametrize("step", [3600, -3600])
def test_a_wall_clock_that_jumps_costs_nobody_the_lease(step: int) -> None:
    """The leader's clock, and the candidate's: how old a lease is each tells by how long it has seen it unchanged."""

    async def main() -> None:
        server, clocks = Server(), {name: VirtualClock() for name in ("me", "other")}
        electors = {name: LeaderElector(server, Options("part", name), clock) for name, clock in clocks.items()}
        tasks = []
        for name in ("me", "other"):
            tasks.append(asyncio.ensure_future(electors[name].run(forever)))
            await clocks[name].advance(5)
        for name in ("me", "other"):
            clocks[name].step(step)
            for _ in range(60):
                for clock in clocks.values():
                    await clock.advance(1)
            assert (electors["me"].is_leader, electors["other"].is_leader) == (True, False), f"the clock of {name}"
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(main())


@pytest.mark.parametrize(("given_up", "latest"), [(True, 2.0), (False, 15.0)], ids=["given up", "killed"])
def test_a_successor_leads_in_time(given_up: bool, latest: float) -> None:
    """After a clean stop within the retry period; after a kill when the lease ends, but for the time until it saw the last renewal."""

    async def main() -> None:
        clock, server = VirtualClock(), Server()
        first, second = (LeaderElector(server, Options("part", name), clock) for name in ("first", "second"))
        tasks = [asyncio.ensure_future(first.run(forever))]
        await clock.advance(1)
        tasks.append(asyncio.ensure_future(second.run(forever)))
        await clock.advance(60)
        assert (first.is_leader, second.is_leader) == (True, False)
        if not given_up:  # what is killed says nothing more
            server.fail(ConnectionError("gone"), "get", coordination_v1.Lease, times=1)
        tasks[0].cancel()
        await asyncio.gather(tasks[0], return_exceptions=True)
        assert (server.holder() == "") is given_up
        await clock.advance(latest + (0 if given_up else 1.5))
        assert second.is_leader
        tasks[1].cancel()
        await asyncio.gather(tasks[1], return_exceptions=True)

    asyncio.run(main())


def test_a_server_that_hangs_ends_it_before_others_may_lead() -> None:
    async def main() -> None:
        clock, server, options = VirtualClock(), Server(), Options("part", "me")
        elector = LeaderElector(server, options, clock)
        task = asyncio.ensure_future(elector.run(forever))
        await clock.advance(60.5)
        server.hangs = True
        await clock.advance(options.retry_period + options.renew_deadline - 2.5)
        assert elector.is_leader
        await clock.advance(2.5)
        assert not elector.is_leader, "the lease is still its own for a while"
        await clock.advance(options.renew_deadline)  # nor does giving it back take longer
        await task

    asyncio.run(main())


def test_the_lease_is_given_back() -> None:
    async def main() -> Server:
        server = Server()
        elector = LeaderElector(server, Options("part", "me"), VirtualClock())

        async def lead() -> None:
            raise RuntimeError("broken")

        with pytest.raises(RuntimeError, match="broken"):
            await elector.run(lead)
        return server

    assert asyncio.run(main()).holder() == ""
